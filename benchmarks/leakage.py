"""Leakage score without an AIF beside Ktrans of the extended Tofts model, on simulated exams.

Run: OMP_NUM_THREADS=1 python benchmarks/leakage.py [--patients 80]
Everything is simulated. Tofts is given the true arterial curve, which no scan has, and, in a second
row, the mean curve of artery voxels. Native T1 is fitted to noisy flip-angle images without a B1
map. The fit has its delay, and washout up to 5 per minute: without a limit (a third row) it takes
the transit through intact capillaries for exchange, and normal voxels get Ktrans.
Times are CPU seconds on one thread.
"""

import argparse
import time
import warnings

import numpy as np
from scipy.ndimage import gaussian_filter

from bolus.io.weights import shipped_weights
from bolus.metrics.classification import auc_with_interval, delong_test
from bolus.nets.leakage_fit import fit_leakage, leakage_score
from bolus.nets.physical_axis import ExamCurves
from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_models import ExtendedTofts
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.quantify.t1 import fit_flip_angles
from bolus.simulate.physics import relaxivities_at
from bolus.workflows import shipped_leakage as shipped

BLOOD_R10, HAEMATOCRIT = 0.61, 0.45
STEPS = (1, 2, 3)
IMAGE = (20, 15)
OWN = 6
TOFTS = ExtendedTofts(kep_range_per_min=(0.0, 5.0), delay_range_s=(0.0, 8.0))


def ktrans_of(exam, *, every, true_artery, model=TOFTS):
    """Return Ktrans [1/min] of the voxels without an artery, 0 where the fit failed."""
    protocol, tissue = exam.protocol, ~exam.artery
    field = protocol.field_strength_t
    r1 = relaxivities_at(field).r1
    sequence = SpoiledGradientEcho(
        repetition_time_s=protocol.repetition_time_s, flip_angle_deg=protocol.flip_angle_deg
    )
    t1 = fit_flip_angles(
        exam.vfa.astype(float), flip_angles_deg=protocol.vfa_deg,
        repetition_time_s=protocol.repetition_time_s,
    ).t1_s  # fmt: skip
    signal = exam.signal[:, ::every].astype(float)
    seconds = protocol.time.seconds[::every]
    baseline = slice(0, max(4 // every, 1))

    def held(voxels, r10):
        return concentration_curves(
            signal[voxels], r10_per_s=r10, sequence=sequence, r1_per_mmolar_s=r1,
            baseline=baseline,
        ).values  # fmt: skip

    if true_artery:
        artery = exam.plasma[::every]
    else:
        found = held(exam.artery, np.full(exam.artery.sum(), BLOOD_R10))
        artery = np.nanmean(found, axis=0) / (1 - HAEMATOCRIT)
    curves = held(tissue, 1 / t1[tissue])
    fit = model(curves, np.maximum(artery, 0), seconds=seconds)
    return np.nan_to_num(fit["ktrans"])


def similarity(first, second):
    """Return SSIM of two images of one exam's tumour voxels, each over its 99th percentile.

    Voxels are laid by their true Ktrans, so that neighbours are alike as in a tumour.
    """
    a, b = (np.clip(x / max(np.quantile(x, 0.99), 1e-9), 0, 1) for x in (first, second))

    def mean(x):
        return gaussian_filter(x, 1.5)

    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * ma * mb + c1) * (2 * both + c2)
    return float((top / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def spread(values):
    """Return median and quartiles as text."""
    low, middle, high = np.nanquantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def correlations(ways, tests):
    """Print correlation and SSIM with the truth and with measured Ktrans, exam by exam."""
    orders = [np.argsort(t.truth[t.tumour]) for t in tests]

    def image(values, n):
        return values[tests[n].tumour][orders[n]].reshape(IMAGE)

    pairs = [(name, "truth") for name in ways if name != "truth"]
    pairs += [(name, "Ktrans, true artery") for name in ways if name.startswith("score")]
    for name, other in pairs:
        one, two = ways[name], ways[other]
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(one, two, strict=True)]
        inside = [
            np.corrcoef(a[t.tumour], b[t.tumour])[0, 1]
            for a, b, t in zip(one, two, tests, strict=True)
        ]
        alike = [similarity(image(one[n], n), image(two[n], n)) for n in range(len(tests))]
        print(f"{name} and {other}: r {spread(r)}, in tumour {spread(inside)}, "
              f"SSIM {spread(alike)}")  # fmt: skip


def robustness(full, fewer, name, tests):
    """Print how much of the full map is left with fewer frames."""
    r2 = [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(full, fewer, strict=True)]
    off = [
        np.abs(a[t.tumour] - b[t.tumour]).mean() / max(a[t.tumour].mean(), 1e-9)
        for a, b, t in zip(full, fewer, tests, strict=True)
    ]
    print(f"{name}: r2 with all frames {spread(r2)}, mean change in tumour {spread(off)} of it")


def genotype(ways, tests):
    """Print the AUC of the tumour's mean for IDH wildtype, and each against measured Ktrans."""
    wild = np.array([t.exam.idh == "wildtype" for t in tests])
    means = {
        name: np.array([v[t.tumour].mean() for v, t in zip(values, tests, strict=True)])
        for name, values in ways.items()
    }
    print(f"IDH: {wild.sum()} wildtype, {(~wild).sum()} mutant")
    for name, value in means.items():
        area = auc_with_interval(value, wild)
        test = delong_test(value, means["Ktrans, measured artery"], wild)
        print(f"{name}: AUC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}), "
              f"against Ktrans with measured artery {test.difference:+.3f} "
              f"({test.low:+.3f} to {test.high:+.3f}), p {test.p_value:.2f}")  # fmt: skip


def own_scores(tests):
    """Return the scores by networks learned in each exam alone, and the CPU time of one."""
    scores, began = [], time.process_time()
    for test in tests:
        exam, tissue = test.exam, ~test.exam.artery
        places = np.flatnonzero(exam.normal)
        halves = [np.isin(np.arange(len(tissue)), places[n::2]) for n in (0, 1)]
        parts = [[shipped.exam_of(exam, half)] for half in halves]
        weights, _ = fit_leakage(*parts)
        scores.append(leakage_score(shipped.exam_of(exam, tissue), weights).leakage)
    return scores, (time.process_time() - began) / len(tests)


def whole_volume(exam, weights):
    """Print how long a clinical volume takes."""
    curves = shipped.exam_of(exam, exam.tumour)
    many = np.resize(curves.signal, (192 * 192 * 40, curves.signal.shape[1]))
    whole = ExamCurves(signal=many, interval_s=curves.interval_s, arrival_s=curves.arrival_s)
    began = time.process_time()
    leakage_score(whole, weights)
    print(f"192 x 192 x 40 voxels: {time.process_time() - began:.2f} CPU-s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=shipped.TEST_PATIENTS)
    parser.add_argument("--learn", action="store_true", help="learn the shipped network again")
    warnings.filterwarnings("ignore", "Mean of empty slice")
    chosen = parser.parse_args()
    weights = shipped.fit_shipped_leakage() if chosen.learn else shipped_weights("leakage")
    exams = shipped.leakage_exams(chosen.patients, seed=shipped.TEST_SEED)
    print(f"{len(exams)} simulated exams on {shipped.SCANNERS} scanners; none was trained on")
    scored = {n: shipped.leakage_tests(exams, weights, every=n) for n in STEPS}
    tests = scored[1]
    scores = {n: [t.score for t in scored[n]] for n in STEPS}
    began = time.process_time()
    fits = {n: [ktrans_of(e, every=n, true_artery=False) for e in exams] for n in STEPS}
    each = (time.process_time() - began) / len(exams) / len(STEPS)
    print(f"Tofts: {each:.2f} CPU-s an exam of 600 voxels")
    ways = {
        "score, shipped": scores[1],
        "Ktrans, true artery": [ktrans_of(e, every=1, true_artery=True) for e in exams],
        "Ktrans, measured artery": fits[1],
        "Ktrans, true artery, no limits": [
            ktrans_of(e, every=1, true_artery=True, model=ExtendedTofts()) for e in exams
        ],
        "truth": [t.truth for t in tests],
    }
    correlations(ways, tests)
    for n in STEPS[1:]:
        robustness(scores[1], scores[n], f"score, 1 of {n} frames", tests)
        robustness(fits[1], fits[n], f"Ktrans, 1 of {n} frames", tests)
    genotype(ways, tests)
    whole_volume(exams[0], weights)
    some = tests[:OWN]
    own, own_s = own_scores(some)
    print(f"network of each exam alone: {own_s:.2f} CPU-s an exam; the first {len(some)} exams:")
    correlations({n: v[: len(some)] for n, v in ways.items()} | {"score, own exam": own}, some)


if __name__ == "__main__":
    main()

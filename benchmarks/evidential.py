"""The evidential fit of one case beside other ways to tell how sure a curve's parameters are.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/evidential.py [--voxels 24]
     [--sampling no] [--only dce] [--large]
Curves are simulated. All methods see the same ones, where least squares (DCE) or the vascular model
(DSC) gives a value; an interval counts where there is one. Every voxel is there at each SNR of the
baseline signal. Times are CPU seconds on one thread, for 1000 curves.
"""

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from bolus.core import stream
from bolus.io.weights import shipped_weights
from bolus.metrics.coverage import crps_normal, interval_coverage
from bolus.nets.evidential_fit import evidential_fit
from bolus.nets.pharmacokinetics_fit import kinetic_posterior
from bolus.nets.pharmacokinetics_input import PARAMETERS, REFERENCE
from bolus.quantify.dce_bootstrap import bootstrap_fit
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_posterior import sample_posterior
from bolus.quantify.deconvolution import Osvd, flow
from bolus.quantify.vascular import VascularModel
from bolus.simulate.curves import ArterialBolus, capillary_concentration
from bolus.simulate.kinetic_curves import KineticRanges, simulate_kinetic_curves

SNR = (5.0, 10.0, 20.0, 50.0)
SEED, ACQUISITIONS, NORMAL90 = 20_860, 2, 1.6449
SHORT = {"interval_s": (2.0, 5.0), "duration_s": (240.0, 360.0)}
IDEAL = "as all methods assume"
DCE = {
    IDEAL: {"artery": "drawn", "residue": "extended_tofts"},
    "Tofts' residue": {"artery": "drawn", "residue": "extended_tofts"},
    "another residue and artery": {"artery": "infused", "residue": "adiabatic"},
}
BOUNDS = {"ktrans": (0.0, 1.0), "ve": (0.5, 99.5), "vp": (0.0, 60.0), "delay": (-2.0, 8.0)}
DSC = {"exponential residue": (1.0,), "gamma residue, shape 3": (3.0,), "two pools": (1.0, 1.0)}
SLOW = ("posterior by emcee", "evidential fit")
HELD = ("cbf", "mtt", "delay", "cbv")
PER_MMOLAR_S, ECHO_S = 90.0, 0.03
EVERY = 4


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Estimates, their spread and the ends of the 90 % interval of all parameters (n, p).

    `epistemic` is its share of the variance, where a method tells it.
    """

    value: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    epistemic: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """Curves of one acquisition with their truth (n, p) and SNR."""

    tissue: np.ndarray
    arterial: np.ndarray
    seconds: np.ndarray
    truth: np.ndarray
    snr: np.ndarray
    kind: str


def normal(value, std):
    """Return an answer of normal distributions."""
    far = NORMAL90 * std
    return Answer(value=value, std=std, low=value - far, high=value + far)


def columns(one, names):
    """Return (n, p) of a function of the name."""
    return np.stack([one(name) for name in names], axis=1)


def dce_case(number, voxels, ranges):
    """Return the curves of one acquisition, each voxel at every SNR."""
    parts = [
        simulate_kinetic_curves(
            number + 1,
            seed=SEED,
            voxels=voxels,
            ranges=KineticRanges(snr=(s, s), **SHORT, **ranges),
        )[number]
        for s in SNR
    ]
    return Case(
        tissue=np.concatenate([p.tissue for p in parts]),
        arterial=parts[0].arterial, seconds=parts[0].seconds,
        truth=np.concatenate([columns(p.truth.get, PARAMETERS) for p in parts]),
        snr=np.repeat(SNR, [len(p.tissue) for p in parts]), kind="dce",
    )  # fmt: skip


def idealised(case):
    """Return the same kinetics with white noise of the same size; the artery is linear."""
    known = dict(zip(PARAMETERS, case.truth.T, strict=True))
    clean = dce_curves("extended_tofts", known, case.arterial, seconds=case.seconds)
    size = (case.tissue - clean).std(axis=1, keepdims=True)
    noise = size * stream(SEED, "white").standard_normal(clean.shape)
    return replace(case, tissue=clean + noise)


def least_squares(case):
    """Fit with standard errors."""
    fit = REFERENCE(case.tissue, case.arterial, seconds=case.seconds)
    return normal(columns(fit.__getitem__, PARAMETERS), columns(fit.std, PARAMETERS))


def bootstrap(case):
    """Fit, and again 200 times."""
    found = bootstrap_fit(
        "extended_tofts", REFERENCE, case.tissue, case.arterial, seconds=case.seconds,
        random=stream(SEED, "bootstrap"),
    )  # fmt: skip
    at = [found.fit.names.index(name) for name in PARAMETERS]
    return Answer(
        value=found.fit.values[:, at], std=found.std[:, at],
        low=found.low[:, at], high=found.high[:, at],
    )  # fmt: skip


def sampled(case):
    """Sample the posterior of flat priors in every fourth curve: it takes seconds each."""
    names, some = PARAMETERS, slice(None, None, EVERY)
    found = sample_posterior(
        "extended_tofts", BOUNDS, case.tissue[some], case.arterial, seconds=case.seconds, seed=SEED
    )
    held = np.full((4, *case.truth.shape), np.nan)
    held[:2, some] = columns(found.mean, names), columns(found.std, names)
    held[2:, some] = np.stack([found.interval(name, 0.9) for name in names], axis=-1)
    return Answer(value=held[0], std=held[1], low=held[2], high=held[3])


def trained(case):
    """Ask the shipped network, which learned on simulated acquisitions."""
    weights = shipped_weights("pharmacokinetics")
    found = kinetic_posterior(case.tissue, case.arterial, weights, seconds=case.seconds)
    ends = np.stack([found.interval(name) for name in PARAMETERS], axis=-1)
    return Answer(value=found.mean, std=found.std, low=ends[0], high=ends[1])


def evidential(case):
    """Fit the case by physics and echoes."""
    model = "extended_tofts" if case.kind == "dce" else "vascular"
    found = evidential_fit(case.tissue, case.arterial, seconds=case.seconds, seed=SEED, model=model)
    names = PARAMETERS if case.kind == "dce" else HELD
    at = [found.names.index(name) for name in names]
    ends = np.stack([found.interval(name) for name in names], axis=-1)
    return Answer(
        value=found.mean[:, at], std=found.std[:, at], low=ends[0], high=ends[1],
        epistemic=(found.epistemic**2 / np.maximum(found.std, 1e-9) ** 2)[:, at],
    )  # fmt: skip


def dsc_case(number, voxels, kind):
    """Return dR2* curves [1/s] of magnitudes with Rice's noise."""
    draw = stream(SEED, "dsc", str(number))
    fine = np.arange(0.0, 90.0, 0.1)
    seconds = np.arange(15.0, 80.0, float(draw.uniform(1.2, 2.0)))
    bolus = ArterialBolus(
        dose_mmol_per_kg=0.1, weight_kg=float(draw.uniform(55, 90)), cardiac_output_l_per_min=6,
        haematocrit=0.45, arrival_s=25, width_s=float(draw.uniform(6, 12)),
    )(fine)  # fmt: skip
    truth = np.stack([
        np.exp(draw.uniform(np.log(10), np.log(90), voxels)),
        np.exp(draw.uniform(np.log(2), np.log(14), voxels)), draw.uniform(0, 4, voxels),
    ], axis=1)  # fmt: skip
    truth = np.column_stack([truth, truth[:, 0] * truth[:, 1] / 60])
    spread = (1.0,) if len(kind) == 1 else (0.625, 2.5)  # the flow of both pools is CBV / MTT
    held = np.mean([
        capillary_concentration(
            bolus, step_s=0.1, mtt_s=share * truth[:, 1], family="gamma", shape=shape
        )
        for share, shape in zip(spread, kind, strict=True)
    ], axis=0)  # fmt: skip
    clean = PER_MMOLAR_S * np.stack([
        v * np.interp(seconds - d, fine, h)
        for v, d, h in zip(truth[:, 3] / 100, truth[:, 2], held, strict=True)
    ])  # fmt: skip
    tissue, before = [], seconds < 25
    for snr in SNR:
        real, imaginary = draw.standard_normal((2, *clean.shape)) / snr
        noisy = np.hypot(np.exp(-ECHO_S * clean) + real, imaginary)
        tissue.append(-np.log(noisy / noisy[:, before].mean(axis=1, keepdims=True)) / ECHO_S)
    return Case(
        tissue=np.concatenate(tissue), arterial=PER_MMOLAR_S * np.interp(seconds, fine, bolus),
        seconds=seconds, truth=np.tile(truth, (len(SNR), 1)), snr=np.repeat(SNR, voxels),
        kind="dsc",
    )  # fmt: skip


def vascular(case):
    """Fit the vascular model, with standard errors."""
    fit = VascularModel()(case.tissue, case.arterial, seconds=case.seconds)
    value = np.stack([6000 * fit.flow_per_s, fit.mtt_s, fit.delay_s, 100 * fit.volume], axis=1)
    return normal(
        value,
        np.stack(
            [6000 * fit.flow_std_per_s, fit.mtt_std_s, fit.delay_std_s, 100 * fit.volume_std],
            axis=1,
        ),
    )


def deconvolved(case):
    """Deconvolve by oSVD; it has an error of the flow alone."""
    step_s = float(case.seconds[1] - case.seconds[0])
    found, delay, error, _ = flow(case.tissue, case.arterial, step_s=step_s, method=Osvd())
    area = case.tissue.sum(axis=1) / case.arterial.sum()
    unknown = np.full(len(found), np.nan)
    value = np.stack([6000 * found, area / found, delay, 100 * area], axis=1)
    return normal(value, np.stack([6000 * error, unknown, unknown, unknown], axis=1))


def compare(label, cases, methods, names, reference):
    """Print error, coverage and CRPS by method, parameter and SNR; return what they cost."""
    truth, snr = (np.concatenate([getattr(c, n) for c in cases]) for n in ("truth", "snr"))
    answers, spent = {}, {}
    for who, method in methods.items():
        if who not in SLOW:
            method(cases[0])  # compiled, or read from disk, before time is taken
        began = time.process_time()
        found = [method(case) for case in cases]
        share = 1 / EVERY if method is sampled else 1.0
        spent[who] = (time.process_time() - began) / (share * len(snr)) * 1000
        answers[who] = {
            n: np.concatenate([getattr(f, n) for f in found])
            for n in ("value", "std", "low", "high")
        }
    for at, name in enumerate(names):
        known = np.isfinite(answers[reference]["value"][:, at])
        for level in SNR:
            band = known & (snr == level)
            for who, told in answers.items():
                print(
                    row((label, name, f"{level:.0f}", who), truth[:, at], told, at, band),
                    flush=True,
                )
    if found[0].epistemic is None:
        return spent, []
    shares = np.concatenate([f.epistemic for f in found])
    told = [np.median(shares[snr == level], axis=0).round(2).tolist() for level in SNR]
    return spent, told


def row(about, truth, told, at, band):
    """Return one row of the table."""
    value, std, low, high = (told[n][:, at] for n in ("value", "std", "low", "high"))
    band = band & np.isfinite(value)
    off = (value - truth)[band]
    sure = band & np.isfinite(std)
    cells = [f"{band.sum()}", f"{np.sqrt(np.mean(off**2)):.3g}", f"{np.median(np.abs(off)):.2g}"]
    if sure.sum() < 10:  # too few for a share
        return "| " + " | ".join([*about, *cells, "", "", ""]) + " |"
    held = interval_coverage(truth[sure], low[sure], high[sure], level=0.9)
    score = crps_normal(truth[sure], value[sure], std[sure])
    return "| " + " | ".join([
        *about, *cells, f"{held.covered:.3f}", f"{held.width:.3g}", f"{score:.3g}"
    ]) + " |"  # fmt: skip


def large():
    """Print CPU time of one case of 1000 curves."""
    case = dce_case(0, 250, DCE["Tofts' residue"])
    began = time.process_time()
    evidential(case)
    spent = time.process_time() - began
    print(f"\none case of {len(case.tissue)} curves, {len(case.seconds)} frames: {spent:.0f} CPU-s")


def main():
    """Run what was asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--voxels", type=int, default=24)
    asked.add_argument("--sampling", choices=("some", "no", "alone"), default="some")
    asked.add_argument("--only", choices=("dce", "dsc"))
    asked.add_argument("--large", action="store_true")
    given = asked.parse_args()
    kinetic = {
        "least squares": least_squares, "bootstrap of 200": bootstrap,
        "posterior by emcee": sampled, "trained networks": trained, "evidential fit": evidential,
    }  # fmt: skip
    if given.sampling != "some":
        left = kinetic.pop("posterior by emcee")
    if given.sampling == "alone":
        kinetic = {"least squares": least_squares, "posterior by emcee": left}
    perfusion = {"vascular model": vascular, "oSVD": deconvolved, "evidential fit": evidential}
    spent = {}
    print("| curves | parameter | SNR | method | n | RMSE | median error | covered 90 % | "
          "width | CRPS |\n" + "|" + "---|" * 10)  # fmt: skip
    for label, ranges in DCE.items() if given.only != "dsc" else ():
        cases = [dce_case(n, given.voxels, ranges) for n in range(ACQUISITIONS)]
        cases = [idealised(case) for case in cases] if label == IDEAL else cases
        spent[label] = compare(label, cases, kinetic, PARAMETERS, "least squares")
    for label, kind in DSC.items() if given.only != "dce" else ():
        cases = [dsc_case(n, given.voxels, kind) for n in range(ACQUISITIONS)]
        spent[label] = compare(label, cases, perfusion, HELD, "vascular model")
    print("\n| curves | method | CPU-s for 1000 curves |\n|---|---|---|")
    for label, (costs, _) in spent.items():
        for who, seconds in costs.items():
            print(f"| {label} | {who} | {seconds:.2g} |")
    print("\nepistemic share of the variance (median), one list of parameters for each SNR:")
    for label, (_, told) in spent.items():
        print(f"{label}: {told}")
    if given.large:
        large()


if __name__ == "__main__":
    main()

"""Ktrans, ve, vp and delay with an interval: networks beside least squares and its standard error.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/uncertainty.py [--exams 100] [--heads]
     [--data ../shared/data]
Curves are simulated, of acquisitions, arteries and residues that the network did not see, but for
the last table (--data), which is of real ones. Least squares: extended Tofts with its delay,
`pharmacokinetics_input.REFERENCE`. Both are compared where least squares gives a value, its
intervals where it also gives a standard error. Times are CPU seconds on one thread.
"""

import argparse
import time
from pathlib import Path

import dce_reference_data as sets
import numpy as np

from bolus.io.weights import shipped_weights
from bolus.metrics.coverage import (
    LEVELS,
    calibration_error,
    crps_normal,
    nll_normal,
    normal_coverage,
    sparsification,
)
from bolus.nets.pharmacokinetics_fit import kinetic_posterior
from bolus.nets.pharmacokinetics_input import PARAMETERS, to_soft
from bolus.simulate.kinetic_curves import KineticRanges, simulate_kinetic_curves
from bolus.workflows import shipped_pharmacokinetics as shipped

BANDS = ((2, 5), (5, 10), (10, 25), (25, 50), (50, 100))


def root_mean_square(values):
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def by_noise(tests):
    """Print error and coverage of 90 % by SNR, for each kind of curves."""
    print("| curves | parameter | SNR | n | RMSE network | RMSE least squares | "
          "median error network | least squares | covered 90 % network | "
          "standard error |")  # fmt: skip
    print("|" + "---|" * 10)
    for label, test in tests.items():
        for name in PARAMETERS:
            truth, mean = test.truth(name), test.mean(name)
            fitted, error = test.least_squares(name)
            for low, high in BANDS:
                band = (test.snr >= low) & (test.snr < high)
                both = band & np.isfinite(fitted) & np.isfinite(mean)
                known = both & np.isfinite(error)
                off, other = (mean - truth)[both], (fitted - truth)[both]
                told = normal_coverage(truth[known], fitted[known], error[known], levels=(0.9,))
                print(f"| {label} | {name} | {low} to {high} | {both.sum()} | "
                      f"{root_mean_square(off):.3g} | {root_mean_square(other):.3g} | "
                      f"{np.median(np.abs(off)):.2g} | {np.median(np.abs(other)):.2g} | "
                      f"{test.coverage(name, where=band).covered:.3f} | "
                      f"{told[0].covered:.3f} |")  # fmt: skip


def scores(tests):
    """Print coverage of all levels, CRPS, likelihood and sparsification of Ktrans."""
    print("| curves | who | 50 % | 80 % | 90 % | 95 % | calibration error | CRPS | NLL | AUSE | "
          "random | rank correlation |\n" + "|" + "---|" * 12)  # fmt: skip
    for label, test in tests.items():
        truth, mean = test.truth("ktrans"), test.mean("ktrans")
        std = np.concatenate([p.std[:, 0] for p in test.posteriors])
        fitted, error = test.least_squares("ktrans")
        both = np.isfinite(fitted) & np.isfinite(error) & np.isfinite(mean)
        ours = tuple(test.coverage("ktrans", level=x) for x in LEVELS)
        theirs = normal_coverage(truth[both], fitted[both], error[both])
        for who, rows, value, spread in (
            ("network", ours, mean, std), ("least squares", theirs, fitted, error),
        ):  # fmt: skip
            order = sparsification((value - truth)[both], spread[both])
            told = " | ".join(f"{row.covered:.3f}" for row in rows)
            print(f"| {label} | {who} | {told} | {calibration_error(rows):.3f} | "
                  f"{crps_normal(truth[both], value[both], spread[both]):.4f} | "
                  f"{nll_normal(truth[both], value[both], np.maximum(spread[both], 1e-5)):.2f} | "
                  f"{order.area:.2f} | {order.random:.2f} | {order.spearman:.2f} |")  # fmt: skip


def marks(tests, spoiled):
    """Print the share of curves marked as unlike, and coverage among the others."""
    print(
        "| curves | unlike | Ktrans covered 90 %, others | epistemic / aleatoric |\n"
        "|---|---|---|---|"
    )
    for label, test in (tests | spoiled).items():
        unlike = np.concatenate([p.unlike for p in test.posteriors])
        ratio = np.concatenate([p.epistemic[:, 0] / p.aleatoric[:, 0] for p in test.posteriors])
        held = test.coverage("ktrans", where=~unlike).covered
        print(f"| {label} | {unlike.mean():.3f} | {held:.3f} | {np.nanmedian(ratio):.2f} |")


def heads(exams):
    """Learn every head anew; print cost, calibration and error of Ktrans in soft units."""
    print("| head | CPU-s to learn | covered 50 % | 80 % | 90 % | 95 % | RMSE Ktrans | "
          "NLL asinh Ktrans | epistemic share of variance |\n" + "|" + "---|" * 9)  # fmt: skip
    for label, head, members in (
        ("mean and variance", "mve", 1), ("ensemble of 5", "mve", 5),
        ("evidential", "evidential", 1),
    ):  # fmt: skip
        began = time.process_time()
        weights = shipped.fit_shipped_kinetics(head=head, members=members)
        spent = time.process_time() - began
        test = shipped.kinetic_test(exams, weights)
        told = " | ".join(f"{test.coverage('ktrans', level=x).covered:.3f}" for x in LEVELS)
        mean, std = (
            np.concatenate([getattr(p, n)[:, 0] for p in test.posteriors])
            for n in ("soft_mean", "soft_std")
        )
        truth = np.stack([test.truth(n) for n in PARAMETERS], axis=1)
        share = np.concatenate([p.epistemic[:, 0] ** 2 / p.std[:, 0] ** 2 for p in test.posteriors])
        off = root_mean_square(test.mean("ktrans") - test.truth("ktrans"))
        print(f"| {label} | {spent:.0f} | {told} | {off:.3g} | "
              f"{nll_normal(to_soft(truth)[:, 0], mean, std):.2f} | {np.nanmedian(share):.2f} |",
              flush=True)  # fmt: skip


def speed(weights):
    """Print CPU time for 100,000 voxels of 60 frames."""
    exam = simulate_kinetic_curves(
        1, seed=1, voxels=1000, ranges=KineticRanges(interval_s=(5.0, 5.0), duration_s=(280, 281))
    )[0]
    tissue = np.tile(exam.tissue, (100, 1))
    began = time.process_time()
    found = kinetic_posterior(tissue, exam.arterial, weights, seconds=exam.seconds)
    spent = time.process_time() - began
    print(f"\n{len(tissue)} curves of {tissue.shape[1]} frames: {spent:.1f} CPU-s")
    return found


def real(data, weights):
    """Print how often least squares lies in the interval of the network, in real curves."""
    given = sets.patient(data)
    tissue, plasma, seconds = sets.sepal(data)
    print("| curves | parameter | n | least squares within 90 % | median network | least squares | "
          "unlike |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for label, curves, artery, times in (
        ("ROCKETSHIP p19", given.tissue, given.measured, given.seconds),
        ("SEPAL, one region", tissue[None], plasma / (1 - 0.395), seconds),
    ):
        found = kinetic_posterior(curves, artery, weights, seconds=times)
        for at, name in enumerate(PARAMETERS):
            fitted = found.fit[name]
            low, high = found.interval(name)
            known = np.isfinite(fitted) & np.isfinite(low)
            inside = (low <= fitted + 1e-9) & (fitted <= high + 1e-9)
            print(f"| {label} | {name} | {known.sum()} | {inside[known].mean():.3f} | "
                  f"{np.nanmedian(found.mean[known, at]):.3g} | {np.median(fitted[known]):.3g} | "
                  f"{found.unlike.mean():.3f} |")  # fmt: skip
        disagreements(found, label)


def disagreements(found, label):
    """Print the voxels in which least squares lies furthest outside the network's interval."""
    fitted = found.fit["ktrans"]
    low, high = found.interval("ktrans")
    beyond = np.maximum(low - fitted, fitted - high) / np.maximum(found.std[:, 0], 1e-9)
    worst = np.argsort(-np.nan_to_num(beyond, nan=-np.inf))[:5]
    for n in worst[beyond[worst] > 0]:
        print(f"  {label} curve {n}: least squares {fitted[n]:.4f}, network {low[n]:.4f} to "
              f"{high[n]:.4f} 1/min, unlike {bool(found.unlike[n])}")  # fmt: skip


def main():
    """Run what was asked for."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--exams", type=int, default=shipped.TEST_EXAMS)
    asked.add_argument("--heads", action="store_true")
    asked.add_argument("--data", type=Path)
    given = asked.parse_args()
    weights = shipped_weights("pharmacokinetics")

    def tests_of(kinds):
        return {
            label: shipped.kinetic_test(
                simulate_kinetic_curves(
                    given.exams, seed=shipped.TEST_SEED, voxels=shipped.VOXELS, ranges=ranges
                ),
                weights,
            )
            for label, ranges in kinds.items()
        }

    tests = tests_of(shipped.UNSEEN)
    by_noise(tests)
    scores(tests)
    marks(tests, tests_of(shipped.SPOILED))
    speed(weights)
    if given.heads:
        heads(tests["other arteries"].exams)
    if given.data:
        real(given.data, weights)


if __name__ == "__main__":
    main()

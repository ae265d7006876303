"""Arteries picked by a network beside the deterministic search, in simulated DSC and DCE series.

Run: OMP_NUM_THREADS=1 python benchmarks/artery_picker.py [--patients 8]; prints the tables of
docs/science/artery_picker.md. Patients, scanners, matrix, bolus and residue are none of the
training's, but for the rows "as trained". The truth is pure arterial blood at the carotid, without
noise. Times are CPU seconds on one thread.
"""

import argparse
import itertools
import time
from dataclasses import replace

import numpy as np

from bolus.io.weights import read_weights, shipped_weights
from bolus.nets.artery_fit import propose_arteries
from bolus.workflows import shipped_artery as shipped
from bolus.workflows.artery_study import (
    network_picker,
    pick_of,
    scaled_to_vein,
    score_picks,
    searched_artery,
)

HEADS = (
    "scans", "kind", "picker", "of", "by network", "none",
    "over half artery [%]", "mean artery [%]", "more vein than artery [%]",
    "r with truth", "peak [%]", "FWHM [%]", "area [%]", "ICC of peak", "ICC of area", "CPU-s",
)  # fmt: skip
HARDER = {
    "SNR 20": {"snr": 20.0},
    "all its motion": {"motion": 1.0},
    "quadratic blood": {"quadratic": True},
    "no inflow": {"inflow": False},
}
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 1.01)


def agreed(icc):
    """Return an ICC and its interval as text."""
    return f"{icc.value:.2f} ({icc.low:.2f} to {icc.high:.2f})" if icc.count >= 3 else "-"


def row(scans, name, score, spent):
    """Print one row of the table."""
    cells = (
        scans, score.kind, name, str(score.scans), str(score.proposed), str(score.failed),
        f"{100 * score.precise:.0f}", f"{100 * score.share:.0f}", f"{100 * score.venous:.0f}",
        f"{score.correlation:.3f}",
        *(f"{100 * getattr(score, key):.0f}" for key in ("peak", "fwhm", "area")),
        agreed(score.peak_icc), agreed(score.area_icc), f"{np.mean(spent):.2f}",
    )  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def compare(name, scans, weights, *, told):
    """Print rows of both pickers on the same scans; keep what the network expected of voxels."""
    pickers = {"search": searched_artery, "network": network_picker(weights)}
    scaled = {f"{key}, to vein": scaled_to_vein(picker) for key, picker in pickers.items()}
    picks, spent = {}, {}
    for scan in scans:
        todo = pickers | scaled if scan.kind == "dce" else pickers
        for key, picker in todo.items():
            began = time.process_time()
            pick = pick_of(scan, picker)
            spent.setdefault((scan.kind, key), []).append(time.process_time() - began)
            picks.setdefault((scan.kind, key), []).append(pick)
        found = propose_arteries(
            scan.series.values, scan.series.time.seconds, scan.brain.values, weights,
            kind=scan.kind,
        )  # fmt: skip
        seen = found.share > 0
        told.setdefault((name, scan.kind), []).append((found.share[seen], scan.artery[seen]))
    for kind, key in sorted(picks, reverse=True):
        row(name, key, score_picks(kind, picks[kind, key]), spent[kind, key])


def calibration(told):
    """Print the mean true share of voxels by the share that the network expected."""
    steps = list(itertools.pairwise(EDGES))
    print(
        "\n| scans | kind | " + " | ".join(f"{a:.1f} to {min(b, 1):.1f}" for a, b in steps) + " |"
    )
    print("|---" * (2 + len(steps)) + "|")
    for (name, kind), parts in told.items():
        said, true = (np.concatenate(x) for x in zip(*parts, strict=True))
        cells = []
        for low, high in steps:
            inside = (said >= low) & (said < high)
            cells.append(f"{true[inside].mean():.2f} ({inside.sum()})" if inside.any() else "-")
        print(f"| {name} | {kind} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=shipped.TEST_PATIENTS)
    parser.add_argument("--harder", type=int, default=4, help="patients of each harder kind")
    parser.add_argument("--weights", help="other than those that come with bolus")
    asked = parser.parse_args()
    weights = read_weights(asked.weights) if asked.weights else shipped_weights("artery-picker")
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    told = {}
    n = asked.patients
    compare("unseen", shipped.unseen_scans(n, visits=2), weights, told=told)
    compare("as trained", shipped.seen_scans(n), weights, told=told)
    for name, change in HARDER.items() if asked.harder else ():
        conditions = replace(shipped.UNSEEN, **change)
        scans = shipped.unseen_scans(asked.harder, conditions=conditions)
        compare(f"unseen, {name}", scans, weights, told=told)
    calibration(told)


if __name__ == "__main__":
    main()

"""Perfusion codes beside what they have to beat: MONAI's VQ-VAE, k-means, PCA and an autoencoder.

Run: OMP_NUM_THREADS=1 python benchmarks/vqvae.py [--quick] [--peer /tmp/peer/monai/bin/python]
Times are CPU seconds on one thread. The peer needs a virtual environment with `pip install monai`.
"""

import argparse
import dataclasses
import subprocess
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from bolus.habitats.accuracy import adjusted_rand
from bolus.habitats.curve_clusters import (
    component_groups,
    latent_groups,
    mean_groups,
    median_groups,
    network_codes,
)
from bolus.nets.curve_codes import RECIPE, fit_curve_codes, gather_curves
from bolus.workflows import shipped_codes as shipped

GROUPS = 8
PLAIN_WAYS = {
    "k-means": mean_groups,
    "k-medians": median_groups,
    "PCA-6 + k-means": component_groups,
    "AE + k-means": latent_groups,
}


def fitted(training, validation, seeds):
    """Return coders of every method, a seed each, and the CPU time of fits and epochs."""
    coders, told = {"VQ-VAE": []}, []
    for seed in seeds:
        began = time.process_time()
        weights, done = fit_curve_codes(
            training, validation, recipe=dataclasses.replace(RECIPE, seed=seed)
        )
        whole = time.process_time() - began
        epoch = np.median([row.cpu_seconds for row in done.history])
        told.append((len(done.history), epoch, whole, weights.card.measured["perplexity"]))
        coders["VQ-VAE"].append(network_codes(weights))
    for name, fit in PLAIN_WAYS.items():
        began = time.process_time()
        coders[name] = [fit(training, GROUPS, seed=seed) for seed in seeds]
        each = (time.process_time() - began) / len(seeds)
        print(f"{name}: {each:.1f} CPU-s a fit")
    curves = sum(len(exam.signal) for exam in training)
    for count, epoch, whole, perplexity in told:
        print(
            f"VQ-VAE: {curves} curves x 60, {epoch:.2f} CPU-s an epoch with validation, "
            f"{count} epochs, {whole:.1f} CPU-s in all, perplexity {perplexity:.2f}"
        )
    return coders


def peer_rows(python, training, exams, *, epochs, seeds):
    """Train MONAI's VQ-VAE on the same curves and print the same figures."""
    if not Path(python).is_file():
        print(f"MONAI: not measured, {python} is not there (python -m venv, pip install monai)")
        return
    values, measured = (tensor.numpy() for tensor in gather_curves(exams))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "curves.npz", Path(folder) / "codes.npz"
        np.savez(source, training=gather_curves(training)[0].numpy(), test=values)
        script = Path(__file__).with_name("peer_vqvae.py")
        ran = subprocess.run(
            [python, str(script), str(source), str(target), str(epochs), str(seeds)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode:
            print(f"MONAI: not measured, it stopped: {ran.stderr.strip().splitlines()[-1]}")
            return
        found = np.load(target)
        codes, curves, seconds = found["codes"], found["curves"], found["seconds"]
    for own, curve, spent in zip(codes, curves, seconds, strict=True):
        off = np.abs(curve - values) * measured
        points = measured.sum(axis=1)
        square = np.sqrt(np.mean((off**2).sum(axis=1) / points))
        shares = np.bincount(own, minlength=GROUPS + 1)[1:] / len(own)
        present = shares[shares > 0]
        print(
            f"MONAI: {spent:.1f} CPU-s an epoch, after {epochs} epochs L1 "
            f"{(off.sum(axis=1) / points).mean():.5f}, L2 {square:.5f}, "
            f"codes used {(shares >= 1e-3).sum()} of {GROUPS}, "
            f"perplexity {np.exp(-(present * np.log(present)).sum()):.2f}"
        )
    pairs = [adjusted_rand(a, b) for a, b in combinations(codes, 2)]
    print(f"MONAI: ARI over {seeds} seeds {np.mean(pairs):.3f}, lowest {min(pairs):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer patients, seeds and epochs")
    parser.add_argument("--peer", default="/tmp/peer/monai/bin/python")
    parser.add_argument("--peer-epochs", type=int, default=4)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    quick = asked.quick
    patients, held, seeds = (60, 20, (1, 2)) if quick else (
        shipped.PATIENTS, shipped.HELD_OUT_PATIENTS, shipped.SEEDS)  # fmt: skip
    training = shipped.code_exams(patients, seed=shipped.SEED)
    validation = shipped.code_exams(shipped.VALIDATION_PATIENTS, seed=shipped.VALIDATION_SEED)
    exams = {shipped.PLAIN: shipped.held_out_exams(1.5, 60, patients=held)}
    exams |= shipped.other_measurements(held)
    coders = fitted(training, validation, seeds)

    print("\n| method | seen as | L1 | L2 | codes used of 8 |\n|---|---|---|---|---|")
    for row in shipped.error_rows({n: c[0] for n, c in coders.items()}, exams[shipped.PLAIN]):
        print(f"| {row.method} | {row.protocol} | {row.absolute:.5f} | {row.root_square:.5f} "
              f"| {row.used} |")  # fmt: skip
    print("\n| method | change | ARI | lowest | ratio ICC, median | lowest |")
    print("|---|---|---|---|---|---|")
    for name, own in coders.items():
        for row in shipped.stability_rows(own, exams, method=name):
            print(f"| {row.method} | {row.change} | {row.ari:.3f} | {row.lowest_ari:.3f} "
                  f"| {row.ratio_icc:.3f} | {row.lowest_icc:.3f} ({row.worst_code}) |")  # fmt: skip
    print()
    peer_rows(
        asked.peer, training, exams[shipped.PLAIN],
        epochs=1 if quick else asked.peer_epochs, seeds=2,
    )  # fmt: skip


if __name__ == "__main__":
    main()

"""Ktrans by translated arterial curves, beside measured, scaled and population curves.

Run: OMP_NUM_THREADS=1 python benchmarks/aif_translation.py [--patients 100] [--gan-epochs 60]
Everything is simulated, the tissue's R10 and B1 are known. "Seen": other patients on scanners of
the training. "Unseen": other scanners, another law of the first pass and of the residue. The
published design is learned here, from the same pairs; times are CPU seconds on one thread.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from bolus.io.weights import shipped_weights
from bolus.nets.aif_input import AXIS_S, aif_inputs, aif_summaries
from bolus.nets.aif_translate import translate_curves
from bolus.nets.aif_wgan import RECIPE_WGAN, fit_spectrogram
from bolus.workflows import shipped_aif as shipped
from bolus.workflows.aif_study import BASELINES, DESCRIPTORS, study_aif

GAN_PATIENTS = 600
WEIGHTS = {"published design": 1.0, "the same, error x 100": 100.0}


def table(scores):
    """Print ICC, Bland-Altman and errors of every way."""
    print("| curve | ICC(2,1) of Ktrans (95 %) | picks differ by (limits) | error | bias | "
          "voxels | Ktrans/truth (limits) |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for s in scores:
        one, two = s.repeat, s.accuracy
        ratio = [f"{np.exp(v):.2f}" for v in (one.bias, one.lower, one.upper)]
        truth = [f"{np.exp(v):.2f}" for v in (two.bias, two.lower, two.upper)]
        print(
            f"| {s.name} | {s.icc.value:.3f} ({s.icc.low:.3f} to {s.icc.high:.3f}) | "
            f"x {ratio[0]} ({ratio[1]} to {ratio[2]}) | {100 * s.error:.1f} % | "
            f"{100 * s.bias:+.1f} % | {100 * np.nanmedian(s.voxel_error):.1f} % | "
            f"x {truth[0]} ({truth[1]} to {truth[2]}) |"
        )
    print(f"\n| curve | {' | '.join(DESCRIPTORS)} |\n|---|---|---|---|---|---|")
    for s in scores:
        held = [
            f"{100 * s.descriptor_error(d):.0f} %, {s.descriptor_icc(d):.2f}" for d in DESCRIPTORS
        ]
        print(f"| {s.name} | {' | '.join(held)} |")


def intervals(pairs, weights):
    """Print coverage of the 90 % interval, quality, and how many curves are unlike."""
    curves, truth = shipped.aif_examples(pairs)
    made = translate_curves(curves, weights)
    inside = []
    for found, curve, (plasma, seconds) in zip(made, curves, truth, strict=True):
        after = found.seconds >= curve.rise_s
        held = np.interp(found.seconds, seconds, plasma)
        inside.append(((found.low <= held) & (held <= found.high))[after].mean())
    quality = np.quantile([m.quality for m in made], (0.05, 0.5, 0.95)).round(2)
    unlike = np.array([m.unlike for m in made])
    print(
        f"90 % interval holds {100 * np.mean(inside):.1f} % of points; quality {quality}; "
        f"unlike: median {np.median(unlike):.2f}, {100 * np.mean(unlike > 1):.1f} % above 1"
    )


def distance(seen, unseen):
    """Print how far what networks see of unseen exams is from that of seen ones."""
    means = []
    for pairs in (seen, unseen):
        found = aif_summaries(*aif_inputs(shipped.aif_examples(pairs)[0]))
        means.append((np.nanmean(found, axis=0), np.nanstd(found, axis=0)))
    apart = np.abs(means[1][0] - means[0][0]) / np.maximum(means[0][1], 1e-6)
    print(
        f"distance seen to unseen: mean difference of {len(apart)} summaries "
        f"{np.nanmean(apart):.2f} standard deviations, largest {np.nanmax(apart):.2f}"
    )


def learned_gan(name, weight, pairs, *, epochs):
    """Return the published design, learned with a weight of the mean absolute error."""
    began = time.process_time()
    gan = fit_spectrogram(
        *(shipped.aif_examples(part) for part in pairs),
        error_weight=weight, recipe=replace(RECIPE_WGAN, epochs=epochs),
    )  # fmt: skip
    losses = [row.losses["validation_loss"] for row in gan.trained.history]
    print(
        f"{name}: {time.process_time() - began:.0f} CPU-s, {len(losses)} epochs, best "
        f"{gan.trained.best_epoch}, error {losses[0]:.4f} to {min(losses):.4f}",
        flush=True,
    )
    return shipped.spectrogram_method(gan)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=shipped.TEST_PATIENTS)
    parser.add_argument("--gan-epochs", type=int, default=60)
    chosen = parser.parse_args()
    weights = shipped_weights("aif-translation")
    fleet = shipped.draw_aif_scanners(shipped.SCANNERS, seed=shipped.SEED)
    some = shipped.simulate_aif_pairs(GAN_PATIENTS, seed=shipped.SEED, scanners=fleet)
    others = shipped.simulate_aif_pairs(200, seed=shipped.VALIDATION_SEED, scanners=fleet)
    gans = {
        name: learned_gan(name, weight, (some, others), epochs=chosen.gan_epochs)
        for name, weight in WEIGHTS.items()
    }
    methods = {
        **BASELINES,
        "mean of the training": shipped.mean_method(some),
        **gans,
        **shipped.learned_methods(weights),
    }
    seen, unseen = shipped.seen_pairs(chosen.patients), shipped.unseen_pairs(chosen.patients)
    for name, pairs in (("seen scanners", seen), ("unseen scanners, bolus, residue", unseen)):
        print(f"\n{name}: {len(pairs)} simulated exams, two picks\n")
        table(study_aif(pairs, methods))
        intervals(pairs, weights)
    distance(seen, unseen)
    curves = shipped.aif_examples(unseen)[0]
    began = time.process_time()
    translate_curves(curves[:1], weights)
    print(f"one curve: {1000 * (time.process_time() - began):.0f} CPU-ms, "
          f"{len(AXIS_S)} points")  # fmt: skip


if __name__ == "__main__":
    main()

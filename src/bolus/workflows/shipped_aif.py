"""The arterial networks that come with bolus: how they were learned, and what was measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import Weights
from bolus.io.weights import write_weights
from bolus.simulate.aif_pairs import PICKS, AifPair, draw_aif_scanners, simulate_aif_pairs
from bolus.workflows.aif_study import BASELINES, AifMethod, AifScore, Plasma, study_aif

if TYPE_CHECKING:
    from bolus.nets.aif_input import AifCurves
    from bolus.nets.aif_wgan import SpectrogramTranslator

SEED, VALIDATION_SEED, SEEN_SEED, TEST_SEED = 20_380, 20_381, 20_382, 20_383
PATIENTS, VALIDATION_PATIENTS, TEST_PATIENTS = 3500, 500, 100
SCANNERS, TEST_SCANNERS = 120, 50
VOXELS = 16
_TRAINED_ON = (
    f"simulated DCE exams of {PATIENTS} patients on {SCANNERS} scanners (seed {SEED}), "
    "two picks each"
)
Examples = tuple[list["AifCurves"], list[tuple[np.ndarray, np.ndarray]]]


def aif_curves(pair: AifPair, pick: int, *, plain: bool = False) -> "AifCurves":
    """Return what networks see of a pick; plain is without vein and dose.

    Args:
        pair: simulated.
        pick: 0 or 1.
        plain: whether vein and dose are left out.
    """
    from bolus.nets.aif_input import AifCurves

    return AifCurves(
        artery=pair.artery[pick],
        seconds=pair.seconds,
        vein=None if plain else pair.vein[pick],
        dose_mmol_per_kg=None if plain else pair.protocol.dose_mmol_per_kg,
    )


def aif_examples(pairs: Sequence[AifPair]) -> Examples:
    """Return every pick and its truth, as `fit_aif` and `fit_spectrogram` take them."""
    kept = [(p, k) for p in pairs for k in range(PICKS) if p.artery[k].max() > 0]
    return [aif_curves(p, k) for p, k in kept], [(p.plasma, p.fine_s) for p, _ in kept]


def training_pairs() -> tuple[tuple[AifPair, ...], tuple[AifPair, ...]]:
    """Return the exams of training and of validation, on the same scanners."""
    fleet = draw_aif_scanners(SCANNERS, seed=SEED)
    return (
        simulate_aif_pairs(PATIENTS, seed=SEED, scanners=fleet),
        simulate_aif_pairs(VALIDATION_PATIENTS, seed=VALIDATION_SEED, scanners=fleet),
    )


def seen_pairs(patients: int = TEST_PATIENTS) -> tuple[AifPair, ...]:
    """Return exams of other patients on scanners of the training."""
    fleet = draw_aif_scanners(SCANNERS, seed=SEED)
    return simulate_aif_pairs(patients, seed=SEEN_SEED, scanners=fleet, voxels=VOXELS)


def unseen_pairs(patients: int = TEST_PATIENTS) -> tuple[AifPair, ...]:
    """Return exams of other patients on other scanners, with another bolus and another residue."""
    return simulate_aif_pairs(
        patients, seed=TEST_SEED, scanners=draw_aif_scanners(TEST_SCANNERS, seed=TEST_SEED),
        voxels=VOXELS, family="lagged normal", residue="exponential",
    )  # fmt: skip


def fit_shipped_aif() -> Weights:
    """Learn the networks again, as they were."""
    from bolus.nets.aif_translation_fit import fit_aif

    training, validation = training_pairs()
    weights, _ = fit_aif(aif_examples(training), aif_examples(validation))
    card = replace(weights.card, trained_on=_TRAINED_ON, simulated=True)
    return replace(weights, card=card)


def learned_methods(weights: Weights) -> dict[str, AifMethod]:
    """Return the ways to the plasma curve that use the networks, with and without a vein.

    Args:
        weights: of `fit_aif`.
    """
    from bolus.nets.aif_translate import translate_curves

    def method(*, plain: bool) -> AifMethod:
        def found(pair: AifPair, pick: int) -> Plasma:
            made = translate_curves([aif_curves(pair, pick, plain=plain)], weights)[0]
            return made.seconds, made.concentration

        return found

    return {"learned": method(plain=False), "learned, artery only": method(plain=True)}


def spectrogram_method(translator: "SpectrogramTranslator") -> AifMethod:
    """Return the published design as a way to the plasma curve.

    Args:
        translator: of `fit_spectrogram`.
    """

    def found(pair: AifPair, pick: int) -> Plasma:
        seconds, values = translator(aif_curves(pair, pick, plain=True))
        later = seconds >= min(0.0, float(pair.seconds[0]))
        seconds, values = seconds[later], values[later]
        if seconds[-1] < pair.seconds[-1]:  # it knows four minutes
            seconds = np.append(seconds, pair.seconds[-1] + pair.protocol.frame_s)
            values = np.append(values, values[-1])
        return seconds, values

    return found


def mean_method(pairs: Sequence[AifPair]) -> AifMethod:
    """Return the mean curve of the training for the dose, as a control: it is always the same.

    Args:
        pairs: of the training.
    """
    from bolus.nets.aif_input import AXIS_S

    curves = []
    for pair in pairs:
        rise_s = aif_curves(pair, 0, plain=True).rise_s
        held = np.interp(AXIS_S + rise_s, pair.fine_s, pair.plasma)
        curves.append(held / pair.protocol.dose_mmol_per_kg)
    mean = np.mean(curves, axis=0)

    def found(pair: AifPair, pick: int) -> Plasma:
        times = AXIS_S + aif_curves(pair, pick, plain=True).rise_s
        return times, mean * pair.protocol.dose_mmol_per_kg

    return found


def write_shipped_aif(folder: Path) -> tuple[AifScore, ...]:
    """Learn, measure and write the networks and their card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_aif()
    scores = study_aif(unseen_pairs(), {**BASELINES, **learned_methods(weights)})
    measured = dict(weights.card.measured)
    for score in scores:
        name = score.name.replace(" ", "_").replace(",", "").replace("(", "").replace(")", "")
        measured[f"unseen_{name.lower()}_icc"] = score.icc.value
        measured[f"unseen_{name.lower()}_ktrans_error"] = score.error
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))
    return scores

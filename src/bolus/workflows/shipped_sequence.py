"""The sequence networks for IDH that come with bolus: how they were made, and what was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from bolus.core import CurveCohort, Split, Weights, split_subjects
from bolus.habitats.predictors import Outcome, Predictor, age_and_sex, age_sex_ncbv, ncbv_alone
from bolus.io.weights import write_weights
from bolus.metrics.classification import auc_with_interval, brier, calibration_slope
from bolus.simulate.curve_cohort import held_out_scanner, simulate_curve_cohort
from bolus.workflows.curve_timing import exam_curves

NAME = "sequence-idh"
SEED, HELD_OUT_SEED = 20_280, 20_281
PATIENTS, HELD_OUT_PATIENTS = 900, 400
SCANNERS = 8
OUTCOME = Outcome(label="idh", positive="mutant")
VALIDATION = 0.15
_TRAINED_ON = (
    f"simulated curves: untreated gliomas of {PATIENTS} simulated patients on {SCANNERS} simulated "
    f"scanners (seed {SEED})"
)
_LIMITS = (
    " Trained on simulated curves: what it is worth in patients is not known, and how much leaks, "
    "dies and swells by genotype was set by us."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Development:
    """Simulated patients that networks and baselines are fitted on."""

    cohort: CurveCohort
    split: Split

    @property
    def parts(self) -> tuple[CurveCohort, CurveCohort]:
        """Exams of training and of validation."""
        return self.cohort.of(self.split.training), self.cohort.of(self.split.validation)


def development_patients() -> Development:
    """Simulate the patients that the shipped networks were fitted on."""
    cohort = simulate_curve_cohort(PATIENTS, seed=SEED, scanners=SCANNERS).labelled(OUTCOME.label)
    split = split_subjects(
        cohort.subjects, seed=SEED, validation=VALIDATION, test=0.0, strata=cohort.sites
    )
    return Development(cohort=cohort, split=split)


def held_out_patients() -> CurveCohort:
    """Simulate other patients on a scanner whose times and noise no training has seen."""
    cohort = simulate_curve_cohort(
        HELD_OUT_PATIENTS, seed=HELD_OUT_SEED, scanners=[held_out_scanner()]
    )
    return cohort.labelled(OUTCOME.label)


def fit_shipped_sequence(
    development: Development, *, network: str = "attention_lstm", members: int = 5
) -> Weights:
    """Fit the networks again, as they were.

    Args:
        development: of `development_patients`.
        network: the shipped one, or another name of `nets.sequence.SEQUENCE_NETWORKS`.
        members: of the ensemble.
    """
    from bolus.nets.sequence import SequenceSettings
    from bolus.nets.sequence_fit import fit_sequence

    weights, _ = fit_sequence(
        development.cohort,
        development.split,
        settings=SequenceSettings(
            network=network, label=OUTCOME.label, positive=OUTCOME.positive, members=members
        ),
    )
    card = replace(
        weights.card, name=NAME, trained_on=_TRAINED_ON, simulated=True,
        limits=weights.card.limits + _LIMITS,
    )  # fmt: skip
    return replace(weights, card=card)


def measured_sequence(weights: Weights, test: CurveCohort) -> Mapping[str, float]:
    """Return figures of the card from patients on the held-out scanner.

    Args:
        weights: of `fit_shipped_sequence`.
        test: of `held_out_patients`.
    """
    from bolus.nets.sequence_fit import UNLIKE, predict_sequence

    said = predict_sequence(test, weights)
    truth = OUTCOME.of(test)
    area = auc_with_interval(said.probability, truth)
    return {
        "held_out_scanner_auc": area.value,
        "held_out_scanner_auc_low95": area.low,
        "held_out_scanner_auc_high95": area.high,
        "held_out_scanner_calibration_slope": calibration_slope(said.probability, truth).slope,
        "held_out_scanner_brier": brier(said.probability, truth).value,
        "held_out_scanner_share_unlike": float(
            np.mean(said.out_of_distribution > weights.card.measured[UNLIKE])
        ),
        "held_out_scanner_exams": float(len(truth)),
    }


def baseline_probabilities(development: Development, test: CurveCohort) -> dict[str, np.ndarray]:
    """Return what simple predictors say of the same patients, fitted on the same ones.

    Args:
        development: of `development_patients`.
        test: of `held_out_patients`.
    """
    from bolus.habitats.curve_predictors import code_ratio_forest

    predictors: tuple[Predictor, ...] = (
        *(make(OUTCOME) for make in _SIMPLE),
        code_ratio_forest(OUTCOME, lru_cache(maxsize=None)(exam_curves)),
    )
    return {one.name: one.fit(*development.parts, SEED)(test) for one in predictors}


def write_shipped_sequence(folder: Path) -> Weights:
    """Fit, measure and write the networks and their card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Returns:
        What was written.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_sequence(development_patients())
    measured = measured_sequence(weights, held_out_patients())
    card = replace(weights.card, measured={**weights.card.measured, **measured})
    done = replace(weights, card=card)
    write_weights(folder, done)
    return done


_SIMPLE: tuple[Callable[[Outcome], Predictor], ...] = (age_and_sex, ncbv_alone, age_sex_ncbv)

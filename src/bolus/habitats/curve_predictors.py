"""Predictors that learn from curves: shares of perfusion codes, and the sequence networks."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bolus.core.exam_curves import CurveCohort, CurveExam
from bolus.core.learned import Split
from bolus.habitats.curve_clusters import CurveCoder, component_groups, network_codes
from bolus.habitats.perfusion_ratio import perfusion_ratio
from bolus.habitats.predictors import Features, Outcome, Predictor, Probabilities, forest
from bolus.nets.curve_codes import RECIPE, fit_curve_codes
from bolus.nets.machine import Machine
from bolus.nets.physical_axis import ExamCurves
from bolus.nets.sequence import SequenceSettings
from bolus.nets.sequence_fit import RECIPE as SEQUENCE_RECIPE
from bolus.nets.sequence_fit import fit_sequence, predict_sequence
from bolus.nets.train import TrainSettings
from bolus.nets.vqvae import CodeSettings

Timed = Callable[[CurveExam], ExamCurves]
"""Gives the curves of an exam's tumour with the arrival of their bolus."""
_CURVES_EACH = 100
"""Curves that an exam gives to a codebook, evenly over its voxels; set by us."""


def code_ratio_forest(
    outcome: Outcome,
    timed: Timed,
    *,
    settings: CodeSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
) -> Predictor:
    """Predict from the shares of the codes of a network that is trained in the fold.

    Args:
        outcome: to predict.
        timed: gives curves and their arrival.
        settings: of the network.
        recipe: of its training; each fit puts in its own seed.
        machine: where it is trained.

    Assumes:
        Every voxel of the tumour counts the same.

    Source:
        Habitat ratios and forest: github jhlee0619/Glioma-Tumor-Habitat, doi
        10.5281/zenodo.21350691.
    """
    settings = settings or CodeSettings()

    def learn(training: CurveCohort, validation: CurveCohort, seed: int) -> Features:
        weights, _ = fit_curve_codes(
            *(thinned(part, timed) for part in (training, validation)),
            settings=settings,
            recipe=replace(recipe, seed=seed),
            machine=machine,
        )
        return ratio_features(network_codes(weights), timed, count=settings.states)

    return forest("code ratios + forest", outcome, learn)


def component_ratio_forest(outcome: Outcome, timed: Timed, *, groups: int = 8) -> Predictor:
    """Predict from the shares of k-means groups of six principal components, fitted in the fold.

    Args:
        outcome: to predict.
        timed: gives curves and their arrival.
        groups: how many.

    Assumes:
        As `code_ratio_forest`.

    Source:
        Components: Akbari et al., Radiology 2014;273:502. Forest: as `code_ratio_forest`.
    """

    def learn(training: CurveCohort, validation: CurveCohort, seed: int) -> Features:
        both = CurveCohort(exams=training.exams + validation.exams)
        found = component_groups(thinned(both, timed), groups, seed=seed)
        return ratio_features(found, timed, count=groups)

    return forest("component ratios + forest", outcome, learn)


def sequence_networks(
    outcome: Outcome,
    *,
    settings: SequenceSettings | None = None,
    recipe: TrainSettings = SEQUENCE_RECIPE,
    machine: Machine | None = None,
) -> Predictor:
    """Predict from the mean curves of regions, by an ensemble that is trained in the fold.

    Args:
        outcome: to predict; it replaces that of the settings.
        settings: of the networks.
        recipe: of their training; each fit puts in its own seed.
        machine: where they are trained.

    Assumes:
        As `fit_sequence`.

    Source:
        As `fit_sequence`.
    """
    asked = replace(settings or SequenceSettings(), label=outcome.label, positive=outcome.positive)

    def fit(training: CurveCohort, validation: CurveCohort, seed: int) -> Probabilities:
        weights, _ = fit_sequence(
            CurveCohort(exams=training.exams + validation.exams),
            Split(
                training=frozenset(training.subjects),
                validation=frozenset(validation.subjects),
                test=frozenset(),
            ),
            settings=asked,
            recipe=replace(recipe, seed=seed),
            machine=machine,
        )
        return lambda cohort: predict_sequence(cohort, weights).probability

    return Predictor(name=f"sequence, {asked.network}", fit=fit, draws=True)


def ratio_features(coder: CurveCoder, timed: Timed, *, count: int) -> Features:
    """Return what gives an exam the share of every code.

    Args:
        coder: gives curves their codes.
        timed: gives curves and their arrival.
        count: how many codes there are.

    Assumes:
        As `perfusion_ratio`.

    Source:
        As `perfusion_ratio`.
    """

    def features(exam: CurveExam) -> np.ndarray:
        return perfusion_ratio(coder(timed(exam)).codes, count=count)

    return features


def thinned(cohort: CurveCohort, timed: Timed) -> list[ExamCurves]:
    """Return about as many curves of every exam, for the fit of a codebook.

    Args:
        cohort: its exams.
        timed: gives curves and their arrival.

    Assumes:
        Every so many voxels are as good as all.

    Source:
        Set by us.
    """
    found = []
    for exam in cohort.exams:
        curves = timed(exam)
        step = max(1, len(curves.signal) // _CURVES_EACH)
        found.append(replace(curves, signal=curves.signal[::step]))
    return found

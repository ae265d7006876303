"""The classifier of recurrence in the test part, beside known measures, and where nothing is."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from bolus.core.learned import Split
from bolus.core.randomness import stream
from bolus.habitats.analyses import (
    AucComparison,
    PartCount,
    PermutedControl,
    RecurrenceAnalysis,
)
from bolus.habitats.classifier_curves import calibration_groups, decision_curves, roc_row
from bolus.habitats.cohort_table import HabitatCohort
from bolus.habitats.recurrence import RecurrenceModel, fit_recurrence, rival_measures
from bolus.habitats.track import Interval
from bolus.metrics import delong_test
from bolus.simulate.null import finding

CLASSIFIER = "habitats"
_SIGNIFICANT = 0.05

Labels = Bool[np.ndarray, " patients"]
Scores = Float[np.ndarray, " patients"]


def analyse_recurrence(
    cohort: HabitatCohort, split: Split, *, seed: int, permutations: int = 200
) -> RecurrenceAnalysis:
    """Fit the classifier, look at it once in the test part, and compare it by DeLong's test.

    Args:
        cohort: one row a patient; rows whose recurrence is not known are left out.
        split: of its subjects.
        seed: of folds and permutations.
        permutations: runs of the whole way with exchanged labels; 0 for none.

    Raises:
        MetadataError: too few patients of either kind.

    Assumes:
        The truth was found without looking at perfusion or diffusion.

    Source:
        DeLong et al., Biometrics 1988;44:837; decision curve: Vickers and Elkin, Med Decis Making
        2006;26:565.
    """
    known = cohort.known()
    model = fit_recurrence(known, split, seed=seed)
    test = known.part(split.test)
    label, probability = test.recurrence, model.probability(test)
    rivals = rival_measures(test.rows)
    rows = {CLASSIFIER: model.log_odds(test)} | rivals
    unknown = {row.subject for row in cohort.rows} - set(known.subjects)
    return RecurrenceAnalysis(
        counts=_counts(known, split),
        weights=dict(zip(model.names, model.weights.tolist(), strict=True)),
        rocs=tuple(roc_row(name, score, label) for name, score in rows.items()),
        comparisons=tuple(
            _compared(name, rows[CLASSIFIER], score, label) for name, score in rivals.items()
        ),
        calibration=calibration_groups(probability, label),
        decision=decision_curves({CLASSIFIER: probability}, label),
        permuted=permuted_recurrence(known, split, runs=permutations, seed=seed),
        subjects=test.subjects,
        probability=probability,
        recurrence=label,
        left_out=(
            *cohort.left_out,
            *((subject, "recurrence is not known or was not asked") for subject in sorted(unknown)),
        ),
        assumptions=_assumptions(model),
    )


def permuted_recurrence(
    cohort: HabitatCohort, split: Split, *, runs: int, seed: int
) -> PermutedControl:
    """Go the whole way with exchanged labels: choice, fit, calibration, test; again and again.

    A run is a finding if the classifier's AUC in the test part is above 0.5 at p < 0.05
    (one-sided, Mann and Whitney).

    Args:
        cohort: rows with known recurrence.
        split: of its subjects.
        runs: how many; with 0 the numbers are NaN.
        seed: of the exchanges.

    Assumes:
        Labels are exchanged among all patients; the split stays.

    Source:
        Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., Springer 2005.
    """
    claims = []
    for n in range(runs):
        own = int(stream(seed, "habitats", "labels", str(n)).integers(2**31))
        dealt = exchanged(cohort, seed=own)
        model = fit_recurrence(dealt, split, seed=own)
        test = dealt.part(split.test)
        claims.append(finding(model.log_odds(test), test.recurrence.astype(np.int64)))
    if not claims:
        return PermutedControl(runs=0, centre=np.nan, spread=np.nan, false_positives=np.nan)
    areas = np.array([claim.auc for claim in claims])
    return PermutedControl(
        runs=runs,
        centre=float(areas.mean()),
        spread=float(areas.std()),
        false_positives=float(np.mean([claim.p_value < _SIGNIFICANT for claim in claims])),
    )


def exchanged(cohort: HabitatCohort, *, seed: int) -> HabitatCohort:
    """Return the same patients with the labels of recurrence dealt at random.

    Args:
        cohort: rows with known recurrence.
        seed: decides who gets which.

    Assumes:
        Nothing.

    Source:
        As `permuted_recurrence`.
    """
    order = stream(seed, "habitats", "exchanged").permutation(len(cohort.rows))
    rows = tuple(
        dataclasses.replace(row, recurrence=cohort.rows[other].recurrence)
        for row, other in zip(cohort.rows, order, strict=True)
    )
    return HabitatCohort(rows, cohort.left_out)


def _counts(cohort: HabitatCohort, split: Split) -> tuple[PartCount, ...]:
    rows = []
    for name in ("training", "validation", "test"):
        part = cohort.part(getattr(split, name))
        events = int(part.recurrence.sum())
        rows.append(PartCount(part=name, patients=len(part.rows), events=events))
    return tuple(rows)


def _compared(name: str, own: Scores, other: Scores, label: Labels) -> AucComparison:
    found = delong_test(own, other, label)
    return AucComparison(
        against=name,
        difference=Interval(found.difference, found.low, found.high),
        p_value=found.p_value,
    )


def _assumptions(model: RecurrenceModel) -> tuple[str, ...]:
    return (
        f"The classifier looks at {model.kind} of the habitats; validation patients chose it and "
        "how strongly it is shrunk.",
        "Probabilities hold where recurrence is as frequent as among the patients it learnt from.",
        "The other measures are used as they are, higher for recurrence; nothing was fitted.",
    )

"""Choosing and fitting the scores of a cohort without a look at its test part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bolus.core.learned import Split
from bolus.core.randomness import stream
from bolus.habitats.analyses import PermutedControl
from bolus.habitats.cohort_table import HabitatCohort
from bolus.habitats.rule import HabitatRule, given_rule, learn_rule, trend_statistic
from bolus.habitats.score import HabitatScore, choose_limits, fit_score
from bolus.survival import SurvivalTarget, harrell_c

_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalStudy:
    """What was chosen and fitted without the test part, before anybody looks at it.

    `plain` adjusts for the clinic alone, `unadjusted` has the habitats alone.
    """

    cohort: HabitatCohort
    target: SurvivalTarget
    split: Split
    outcome: str
    rule: HabitatRule
    score: HabitatScore
    plain: HabitatScore
    unadjusted: HabitatScore

    def part(self, subjects: frozenset[str]) -> tuple[HabitatCohort, SurvivalTarget]:
        """Return patients at risk of one part, and what came after."""
        return _part(self.cohort, self.target, subjects)


def fit_survival(
    cohort: HabitatCohort,
    split: Split,
    *,
    outcome: str = "progression",
    limits_ml: Mapping[str, float] | None = None,
    cut_offs_ml: Mapping[str, float] | None = None,
    adjust: Sequence[str] | None = None,
    noise_ml: Mapping[str, float] | None = None,
) -> SurvivalStudy:
    """Choose limits and cut-offs, and fit the scores; the test part is not touched.

    Args:
        cohort: one row a patient.
        split: of its subjects.
        outcome: a key of the rows' outcomes.
        limits_ml: of the continuous score by habitat; None chooses them on validation patients.
        cut_offs_ml: of the rule; None learns them on training and validation patients.
        adjust: clinical numbers; None for all that every patient has.
        noise_ml: change by habitat that noise alone makes: no learnt cut-off is smaller.

    Raises:
        MetadataError: too few patients or events.
        ResourceError: lifelines is not installed.

    Assumes:
        As `fit_score`.

    Source:
        `fit_score`, `learn_rule`, `choose_limits`.
    """
    patients, target = cohort.at_risk(outcome)
    training = _part(patients, target, split.training)
    development, known = _part(patients, target, split.development)
    if limits_ml is None:
        validation = _part(patients, target, split.validation)
        limits_ml = choose_limits(training, validation, outcome=outcome, adjust=adjust)
    if cut_offs_ml is None:
        rule = learn_rule(development, known, least_ml=noise_ml)
    else:
        rule = given_rule(cut_offs_ml, source="given")

    def fitted(limits: Mapping[str, float], names: Sequence[str] | None) -> HabitatScore:
        return fit_score(development, known, outcome=outcome, limits_ml=limits, adjust=names)

    score = fitted(limits_ml, adjust)
    return SurvivalStudy(
        cohort=patients,
        target=target,
        split=split,
        outcome=outcome,
        rule=rule,
        score=score,
        plain=fitted({}, score.adjust) if score.adjust else score,
        unadjusted=fitted(limits_ml, ()),
    )


def permuted_survival(study: SurvivalStudy, *, runs: int, seed: int) -> PermutedControl:
    """Fit the score on exchanged outcomes and look at it in the test part, again and again.

    A run is a finding if the score tells in the test part (one-sided score test) at p < 0.05.

    Args:
        study: whose limits and adjustment are used.
        runs: how many.
        seed: of the exchanges.

    Assumes:
        Outcomes are exchanged among all patients at risk, entry with them.

    Source:
        Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., Springer 2005.
    """
    found, p_values = np.empty(runs), np.empty(runs)
    for n in range(runs):
        own = int(stream(seed, "habitats", "permuted", str(n)).integers(2**31))
        dealt = study.target.permuted(seed=own)
        score = fit_score(
            *_part(study.cohort, dealt, study.split.development), outcome=study.outcome,
            limits_ml=study.score.limits_ml, adjust=study.score.adjust,
        )  # fmt: skip
        test, after = _part(study.cohort, dealt, study.split.test)
        risk = score.risk(test)
        found[n] = harrell_c(risk, after)
        p_values[n] = stats.norm.sf(trend_statistic(risk, after))
    return PermutedControl(
        runs=runs,
        centre=float(found.mean()),
        spread=float(found.std()),
        false_positives=float((p_values < _SIGNIFICANT).mean()),
    )


def _part(
    cohort: HabitatCohort, target: SurvivalTarget, subjects: frozenset[str]
) -> tuple[HabitatCohort, SurvivalTarget]:
    kept = np.array([subject in subjects for subject in cohort.subjects])
    return cohort.select(kept), target.select(kept)

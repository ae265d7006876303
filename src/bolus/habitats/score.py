"""A continuous habitat score: hazard by how much the cellular habitats grew, beside the clinic."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.habitats.cohort_table import HabitatCohort, common_numbers
from bolus.habitats.rule import CELLULAR
from bolus.survival import CoxModel, SurvivalTarget, fit_cox
from bolus.survival.cox import Penalty
from bolus.survival.risk_sets import RiskSets

LIMITS_ML = (8.0, 4.0, 2.0, 1.0)
"""Increases that may be the largest that still adds hazard; the first unless told otherwise.

There is always one: without it, one patient whose tumour grew by 60 mL decides the fit.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatScore:
    """ln h = Σ βᵢ min(max(ΔVᵢ, 0), limitᵢ) + Σ γⱼ xⱼ, fitted on patients from their second visit.

    ΔVᵢ [mL] is the change of a habitat between the first two visits; `limits_ml` by habitat;
    `adjust` names the clinical numbers xⱼ.
    """

    outcome: str
    limits_ml: Mapping[str, float]
    adjust: tuple[str, ...]
    model: CoxModel

    def covariates(self, cohort: HabitatCohort) -> Float[np.ndarray, "patients covariates"]:
        """Return limited increases [mL] and clinical numbers in the order of the model."""
        return score_covariates(cohort, self.limits_ml, self.adjust)

    def risk(self, cohort: HabitatCohort) -> Float[np.ndarray, " patients"]:
        """Return ln of every patient's hazard over that of the average patient of the fit."""
        return self.model.score(self.covariates(cohort))

    def habitat_part(self, cohort: HabitatCohort) -> Float[np.ndarray, " patients"]:
        """Return ln of the hazard over that of the same patient without growth."""
        count = len(self.limits_ml)
        return np.asarray(self.covariates(cohort)[:, :count] @ self.model.log_hazard_ratios[:count])

    def chance(self, cohort: HabitatCohort, within_days: float) -> Float[np.ndarray, " patients"]:
        """Return the chance of the event within some days after each patient's second visit.

        1 - S(landmark + days) / S(landmark); NaN where nobody of the fit was followed so far.
        """
        table = self.covariates(cohort)
        asked = np.array([row.landmark_day for row in cohort.rows])
        days, place = np.unique(np.concatenate([asked, asked + within_days]), return_inverse=True)
        survival = self.model.survival(table, days)
        each = np.arange(len(table))
        start, end = place[: len(asked)], place[len(asked) :]
        return np.asarray(1 - survival[each, end] / survival[each, start])


def score_covariates(
    cohort: HabitatCohort, limits_ml: Mapping[str, float], adjust: Sequence[str]
) -> Float[np.ndarray, "patients covariates"]:
    """Return increases [mL] between 0 and a limit, then clinical numbers.

    Args:
        cohort: the patients.
        limits_ml: by habitat.
        adjust: names of clinical numbers that every row has.

    Assumes:
        Shrinkage of a habitat adds no hazard and takes none away.

    Source:
        Form of the hazard: set by us after the score of Moon et al., Neuro Oncol 2024, noae227,
        which counts growth alone.
    """
    increase = cohort.increase_ml(tuple(limits_ml))
    limited = np.clip(increase, 0.0, np.array(list(limits_ml.values())))
    clinical = np.array([[row.clinical[name] for name in adjust] for row in cohort.rows])
    return np.column_stack([limited, clinical.reshape(len(limited), len(adjust))])


def fit_score(
    cohort: HabitatCohort,
    target: SurvivalTarget,
    *,
    outcome: str,
    limits_ml: Mapping[str, float] | None = None,
    adjust: Sequence[str] | None = None,
    penalty: Penalty = "firth",
) -> HabitatScore:
    """Fit the continuous score by Cox's model with late entry at the second visit.

    Args:
        cohort: patients at risk, as `HabitatCohort.at_risk` returns them.
        target: what came after, days from the first visit with entry at the second.
        outcome: key of what is awaited.
        limits_ml: largest increase that still adds hazard, by habitat; None for 8 mL of each
            cellular habitat. A habitat that grew in nobody is left out.
        adjust: clinical numbers; None for all that every patient has.
        penalty: "firth" keeps the estimate finite where a rare habitat grew in few patients; or
            the weight of ridge, 0 for none.

    Raises:
        MetadataError: too few events, or no finite answer.
        ResourceError: lifelines is not installed.

    Assumes:
        Proportional hazards, ln hazard linear in limited increases. Errors of measured volumes
        are not corrected for: they move hazard ratios towards 1.

    Source:
        Cox, J R Stat Soc B 1972;34:187; landmark: Anderson et al., J Clin Oncol 1983;1:710;
        penalty: Heinze and Schemper, Biometrics 2001;57:114.
    """
    limits = dict(limits_ml) if limits_ml is not None else dict.fromkeys(CELLULAR, LIMITS_ML[0])
    limits = {n: v for n, v in limits.items() if (cohort.increase_ml((n,)) > 0).any()}
    names = common_numbers(cohort.rows)
    chosen = tuple(names if adjust is None else (n for n in adjust if n in names))
    table = score_covariates(cohort, limits, chosen)
    model = fit_cox(table, (*limits, *chosen), target, penalty=penalty)
    return HabitatScore(
        outcome=outcome, limits_ml=MappingProxyType(limits), adjust=chosen, model=model
    )


def choose_limits(
    training: tuple[HabitatCohort, SurvivalTarget],
    validation: tuple[HabitatCohort, SurvivalTarget],
    *,
    outcome: str,
    adjust: Sequence[str] | None = None,
    habitats: Sequence[str] = CELLULAR,
) -> Mapping[str, float]:
    """Choose up to which increase hazard rises, by the partial likelihood of validation patients.

    Args:
        training: patients and outcomes that every candidate is fitted on.
        validation: those that judge it.
        outcome: key of what is awaited.
        adjust: as in `fit_score`.
        habitats: that count; each limit is 1, 2, 4 or 8 mL.

    Raises:
        MetadataError: no candidate can be fitted.

    Assumes:
        The two parts share no patient.

    Source:
        Verweij and van Houwelingen, Stat Med 1993;12:2305 (likelihood of patients left out).
    """
    patients, outcomes = training
    judges, known = validation
    best, limits = -np.inf, dict.fromkeys(habitats, LIMITS_ML[0])
    for values in itertools.product(LIMITS_ML, repeat=len(habitats)):
        tried = dict(zip(habitats, values, strict=True))
        score = fit_score(patients, outcomes, outcome=outcome, limits_ml=tried, adjust=adjust)
        table = score.covariates(judges) - score.model.means
        sets = RiskSets(table, known.days, known.event, known.entry)
        value = sets.at(score.model.log_hazard_ratios).value
        if value > best + 1e-9:
            best, limits = value, tried
    return MappingProxyType(limits)

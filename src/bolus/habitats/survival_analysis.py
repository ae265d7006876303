"""From a cohort and its split to the survival part of a paper: chosen, fitted, looked at once."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from bolus.core.learned import Split
from bolus.habitats.analyses import (
    CalibrationCurve,
    ConcordanceRow,
    DecisionCurves,
    HazardRow,
    PartCount,
    SurvivalAnalysis,
    SurvivalStratum,
    TimeAucRow,
)
from bolus.habitats.cohort_table import HabitatCohort
from bolus.habitats.survival_study import SurvivalStudy, fit_survival, permuted_survival
from bolus.habitats.track import Interval
from bolus.survival import (
    HazardRatio,
    SurvivalTarget,
    brier_at,
    calibration_at,
    concordance_interval,
    fit_cox,
    kaplan_meier,
    landmark,
    logrank,
    net_benefit_at,
    optimism_corrected_c,
    proportional_hazards,
    time_dependent_auc,
)

HORIZON_DAYS = 180.0
"""Calibration and decision curves are about events within this time after the second visit."""
_AUC_DAYS = (90.0, 180.0, 270.0, 365.0)
_THRESHOLDS = np.linspace(0.05, 0.95, 19)
_GROUPS = 4

Risks = dict[str, Float[np.ndarray, " patients"]]


def analyse_survival(
    cohort: HabitatCohort,
    split: Split,
    *,
    seed: int,
    outcome: str = "progression",
    limits_ml: Mapping[str, float] | None = None,
    noise_ml: Mapping[str, float] | None = None,
    resamples: int = 200,
    permutations: int = 0,
) -> SurvivalAnalysis:
    """Relate the growth of habitats to time to an event: `fit_survival`, then `analyse_study`.

    Args:
        cohort: one row a patient.
        split: of its subjects; the test part is looked at here, so run it once.
        seed: of resamples and permutations.
        outcome: a key of the rows' outcomes.
        limits_ml: as in `fit_survival`.
        noise_ml: as in `fit_survival`.
        resamples: for intervals and the correction for optimism.
        permutations: runs of the control with exchanged outcomes; 0 for none.

    Raises:
        MetadataError: too few patients or events.
        ResourceError: lifelines is not installed.

    Assumes:
        Patients are independent; censoring tells nothing beyond the covariates.

    Source:
        As `analyse_study`.
    """
    study = fit_survival(cohort, split, outcome=outcome, limits_ml=limits_ml, noise_ml=noise_ml)
    return analyse_study(cohort, study, seed=seed, resamples=resamples, permutations=permutations)


def analyse_study(
    cohort: HabitatCohort,
    study: SurvivalStudy,
    *,
    seed: int,
    resamples: int = 200,
    permutations: int = 0,
) -> SurvivalAnalysis:
    """Look at the test part of a fitted study, and put everything together.

    Who had the event before the second visit is left out (landmark). Hazards count days from the
    first visit with entry at the second; curves, time-dependent AUC, calibration and decision
    curves count from the second.

    Args:
        cohort: all that the study was fitted on, to name who is left out.
        study: of `fit_survival`.
        seed: of resamples and permutations.
        resamples: for intervals and the correction for optimism.
        permutations: runs of the control with exchanged outcomes; 0 for none.

    Raises:
        MetadataError: too few patients or events in the test part.
        ResourceError: lifelines is not installed.

    Assumes:
        Patients are independent; censoring tells nothing beyond the covariates.

    Source:
        Landmark: Anderson et al., J Clin Oncol 1983;1:710. The parts: `survival`.
    """
    development, known = study.part(study.split.development)
    test, after = study.part(study.split.test)
    table, model = study.score.covariates(development), study.score.model
    optimism = optimism_corrected_c(
        table, model.names, known, resamples=resamples, seed=seed, penalty=model.penalty
    )
    from_landmark, _ = landmark(after, after.entry)
    risks = _risks(study, test)
    strata = _strata(study.rule.score(test), from_landmark)
    return SurvivalAnalysis(
        outcome=study.outcome,
        counts=_counts(study),
        limits_ml=dict(study.score.limits_ml),
        cut_offs_ml=dict(study.rule.cut_offs_ml),
        hazards=_hazards(study),
        rule_hazards=_rule_hazards(study, development, known),
        concordance=tuple(
            _concordance(name, risk, after, from_landmark, seed=seed, resamples=resamples)
            for name, risk in risks.items()
        ),
        time_auc=_time_auc(risks, from_landmark, seed=seed, resamples=resamples),
        strata=tuple(stratum for stratum, _ in strata),
        logrank_p=logrank([t for _, t in strata]).p_value if len(strata) > 1 else np.nan,
        apparent_c=optimism.apparent,
        corrected_c=optimism.corrected,
        calibration=_calibration(study, test, from_landmark),
        decision=_decision(study, test, from_landmark),
        horizon_days=HORIZON_DAYS,
        proportional={row.name: row.p_value for row in proportional_hazards(model, table, known)},
        permuted=permuted_survival(study, runs=permutations, seed=seed) if permutations else None,
        left_out=_left_out(cohort, study),
        assumptions=_assumptions(study),
    )


def _counts(study: SurvivalStudy) -> tuple[PartCount, ...]:
    parts = (study.split.training, study.split.validation, study.split.test)
    rows = []
    for name, subjects in zip(("training", "validation", "test"), parts, strict=True):
        kept = np.array([subject in subjects for subject in study.cohort.subjects])
        events = int(study.target.event[kept].sum())
        rows.append(PartCount(part=name, patients=int(kept.sum()), events=events))
    return tuple(rows)


def _row(ratio: HazardRatio, *, per: str, adjusted: bool) -> HazardRow:
    return HazardRow(
        name=ratio.name,
        per=per,
        ratio=Interval(ratio.value, ratio.low, ratio.high),
        p_value=ratio.p_value,
        adjusted=adjusted,
    )


_UNITS: Mapping[str, str] = {"age_years": "1 year", "kps": "1 point"}


def _hazards(study: SurvivalStudy) -> tuple[HazardRow, ...]:
    """Return every covariate per unit and per standard deviation, habitats alone as well."""
    rows = []
    for score, adjusted in ((study.score, True), (study.unadjusted, False)):
        model = score.model
        spreads = dict(zip(model.names, model.spreads.tolist(), strict=True))
        for ratio in model.hazard_ratios():
            habitat = ratio.name in score.limits_ml
            unit = "1 mL" if habitat else _UNITS.get(ratio.name, "1")
            rows.append(_row(ratio, per=unit, adjusted=adjusted))
        for ratio in model.hazard_ratios(per=spreads):
            unit = " mL" if ratio.name in score.limits_ml else ""
            per = f"1 SD ({spreads[ratio.name]:.3g}{unit})"
            rows.append(_row(ratio, per=per, adjusted=adjusted))
    return tuple(rows)


def _rule_hazards(
    study: SurvivalStudy, cohort: HabitatCohort, target: SurvivalTarget
) -> tuple[HazardRow, ...]:
    """Return the hazard of every score of the rule over that of score 0, adjusted."""
    found = study.rule.score(cohort)
    values = [v for v in range(1, len(study.rule.cut_offs_ml) + 1) if (found == v).any()]
    if not values or not (found == 0).any():
        return ()
    clinical = study.score.covariates(cohort)[:, len(study.score.limits_ml) :]
    table = np.column_stack([*(found == value for value in values), clinical])
    names = (*(f"score {value}" for value in values), *study.score.adjust)
    ratios = fit_cox(table.astype(np.float64), names, target, penalty="firth").hazard_ratios()
    return tuple(
        _row(ratio, per="against score 0", adjusted=True) for ratio in ratios[: len(values)]
    )


def _risks(study: SurvivalStudy, cohort: HabitatCohort) -> Risks:
    """Return every score that the test part compares; higher is worse."""
    risks = {"habitats and clinic": study.score.risk(cohort)}
    if study.score.adjust:
        risks["clinic alone"] = study.plain.risk(cohort)
    risks["habitats alone"] = study.unadjusted.risk(cohort)
    risks["rule"] = study.rule.score(cohort).astype(np.float64)
    lesion = cohort.after_ml.sum(axis=1)
    risks["lesion volume"] = lesion
    risks["lesion growth"] = lesion - cohort.before_ml.sum(axis=1)
    return risks


def _concordance(
    name: str,
    risk: Float[np.ndarray, " patients"],
    target: SurvivalTarget,
    from_landmark: SurvivalTarget,
    *,
    seed: int,
    resamples: int,
) -> ConcordanceRow:
    harrell = concordance_interval(risk, target, resamples=resamples, seed=seed)
    uno = concordance_interval(risk, from_landmark, kind="uno", resamples=resamples, seed=seed)
    return ConcordanceRow(
        name=name,
        harrell=Interval(harrell.value, harrell.low, harrell.high),
        uno=Interval(uno.value, uno.low, uno.high),
    )


def _auc_days(target: SurvivalTarget) -> Float[np.ndarray, " times"]:
    """Return the days that have a few events before them and a few patients followed beyond."""
    return np.array(
        [
            day
            for day in _AUC_DAYS
            if (target.event & (target.days <= day)).sum() >= 3 and (target.days > day).sum() >= 3
        ]
    )


def _time_auc(
    risks: Risks, target: SurvivalTarget, *, seed: int, resamples: int
) -> tuple[TimeAucRow, ...]:
    days = _auc_days(target)
    if not len(days):
        return ()
    rows = []
    for name, risk in risks.items():
        found = time_dependent_auc(risk, target, days, resamples=resamples, seed=seed)
        rows.append(
            TimeAucRow(name=name, days=days, auc=found.auc, lower=found.low, upper=found.high)
        )
    return tuple(rows)


def _strata(
    score: Int[np.ndarray, " patients"], target: SurvivalTarget
) -> tuple[tuple[SurvivalStratum, SurvivalTarget], ...]:
    """Return one Kaplan-Meier curve for each value of the rule's score."""
    ticks = np.arange(0.0, float(target.days.max()) + 1, 180.0)
    strata = []
    for value in np.unique(score):
        part = target.select(score == value)
        curve = kaplan_meier(part)
        stratum = SurvivalStratum(
            name=f"score {value}",
            patients=part.count,
            events=part.events,
            days=curve.days,
            survival=curve.survival,
            lower=curve.lower,
            upper=curve.upper,
            at_risk_days=ticks,
            at_risk=curve.at_risk(ticks).astype(np.float64),
            median_days=Interval(curve.median_days, curve.median_low, curve.median_high),
        )
        strata.append((stratum, part))
    return tuple(strata)


def _calibration(
    study: SurvivalStudy, cohort: HabitatCohort, target: SurvivalTarget
) -> CalibrationCurve:
    chance = study.score.chance(cohort, HORIZON_DAYS)
    kept = np.isfinite(chance)
    survival, part = 1 - chance[kept], target.select(kept)
    found = calibration_at(survival, part, HORIZON_DAYS, groups=_GROUPS)
    return CalibrationCurve(
        predicted=np.array([group.predicted for group in found.groups]),
        observed=np.array([group.observed for group in found.groups]),
        lower=np.array([group.low for group in found.groups]),
        upper=np.array([group.high for group in found.groups]),
        slope=Interval(found.slope, found.slope_low, found.slope_high),
        brier=brier_at(survival, part, HORIZON_DAYS).value,
    )


def _decision(
    study: SurvivalStudy, cohort: HabitatCohort, target: SurvivalTarget
) -> DecisionCurves:
    models = {"habitats and clinic": study.score}
    if study.score.adjust:
        models["clinic alone"] = study.plain
    chances = {name: score.chance(cohort, HORIZON_DAYS) for name, score in models.items()}
    chances["all"] = np.ones(target.count)
    curves = {}
    for name, chance in chances.items():
        kept = np.isfinite(chance)
        curves[name] = net_benefit_at(chance[kept], target.select(kept), HORIZON_DAYS, _THRESHOLDS)
    return DecisionCurves(
        thresholds=_THRESHOLDS, net_benefit=curves | {"none": np.zeros(len(_THRESHOLDS))}
    )


def _left_out(cohort: HabitatCohort, study: SurvivalStudy) -> tuple[tuple[str, str], ...]:
    at_risk = set(study.cohort.subjects)
    reasons = {
        row.subject: (
            f"{study.outcome} or end of follow-up came before the second visit"
            if study.outcome in row.outcomes
            else f"{study.outcome} is not known"
        )
        for row in cohort.rows
        if row.subject not in at_risk
    }
    return (*cohort.left_out, *reasons.items())


def _assumptions(study: SurvivalStudy) -> tuple[str, ...]:
    limits = ", ".join(f"{name} {ml:g} mL" for name, ml in study.score.limits_ml.items())
    adjusted = ", ".join(study.score.adjust) or "nothing"
    return (
        f"Growth adds hazard up to a limit ({limits}), and shrinkage none.",
        f"Adjusted for {adjusted}: what every patient has on record.",
        "Errors of measured volumes are not corrected for; they move hazard ratios towards 1.",
        "Patients enter at their second visit: events before it are left out.",
    )

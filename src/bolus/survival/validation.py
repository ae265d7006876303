"""Whether a fitted score holds: optimism of its C-index, calibration, and error of its chances."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from scipy import stats

from bolus.errors import Code, MetadataError
from bolus.survival.concordance import harrell_c, resample_counts, resampled_c
from bolus.survival.cox import Penalty, finite_table
from bolus.survival.kaplan_meier import kaplan_meier
from bolus.survival.product_limit import censoring_curves, require_followed, survival_curves
from bolus.survival.risk_sets import (
    Coefficients,
    RiskSets,
    Table,
    maximise,
    maximise_firth,
    unsolvable,
)
from bolus.survival.target import Scores, SurvivalTarget, require_events, require_scores
from bolus.survival.time_auc import require_seen_from_start


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimismCorrected:
    """C of a model on the data it was fitted on, and what is left for new patients.

    `low` and `high` are the 95 % interval of `corrected`. `failed` resamples had no answer and
    were left out.
    """

    apparent: float
    optimism: float
    corrected: float
    low: float
    high: float
    resamples: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationGroup:
    """Patients of like risk: the chance of the event by the day, predicted and observed."""

    count: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationAt:
    """Predicted against observed chance of the event by `day`; a perfect slope and ratio are 1.

    `slope` is of ln cumulative hazard, with its 95 % interval; below 1 the model is too sure.
    `ratio` is observed over predicted events by the day in all.
    """

    day: float
    groups: tuple[CalibrationGroup, ...]
    slope: float
    slope_low: float
    slope_high: float
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BrierAt:
    """Mean squared error of the chance to be without the event on `day`.

    `reference` is that of the Kaplan-Meier curve, the same for all; `scaled` is
    1 - value / reference: 0 is as good as the curve, 1 is perfect.
    """

    day: float
    value: float
    reference: float
    scaled: float


def optimism_corrected_c(
    covariates: Table,
    names: Sequence[str],
    target: SurvivalTarget,
    *,
    resamples: int = 200,
    seed: int,
    penalty: Penalty = 0.0,
) -> OptimismCorrected:
    """Correct Harrell's C of a Cox model for having been fitted on the same patients.

    The model is fitted anew on resampled patients. Its C there less its C on the original
    patients, averaged, is the optimism. The interval is that of the C of the resamples, moved to
    the corrected C; with many covariates for few events it is too narrow.

    Args:
        covariates: (n, p), finite; all that was chosen by looking at outcomes must be redone in
            every resample, so give covariates that were not.
        names: of the p covariates.
        target: what happened.
        resamples: of the patients.
        seed: of the resamples.
        penalty: as in `fit_cox`.

    Raises:
        MetadataError: shapes do not fit, too few events, or most resamples have no answer.

    Assumes:
        Patients are independent; the covariates were chosen beforehand.

    Source:
        Harrell, Lee and Mark, Stat Med 1996;15:361-387, doi
        10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4. Interval: after
        Noma et al., Stat Med 2021;40:5691-5701, doi 10.1002/sim.9148, who move it by the optimism.
    """
    table = finite_table(covariates, names, rows=target.count)
    require_events(target, max(3, len(names)), purpose="a correction for optimism")
    beta = _refit(table, target, np.arange(target.count), penalty)
    apparent = harrell_c(table @ beta, target)
    drawn = resample_counts(target.count, resamples, seed=seed, name="optimism")[1:]
    there, optimism = [], []
    for counts in drawn:
        rows = np.repeat(np.arange(target.count), counts.astype(np.int64))
        try:
            score = table @ _refit(table, target, rows, penalty)
            both = np.stack([np.ones(target.count), counts])
            original, own = resampled_c(score, target, both, "harrell")
        except MetadataError:
            continue
        if np.isfinite(own):
            there.append(own)
            optimism.append(own - original)
    if len(there) < max(2, resamples // 2):
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{resamples - len(there)} of {resamples} resamples had no fit",
            mend="use fewer covariates, or give a penalty",
        )
    mean = float(np.mean(optimism))
    corrected = apparent - mean
    low, high = np.quantile(there, [0.025, 0.975]) - np.mean(there) + corrected
    return OptimismCorrected(
        apparent=apparent,
        optimism=mean,
        corrected=corrected,
        low=float(low),
        high=float(high),
        resamples=resamples,
        failed=resamples - len(there),
    )


def calibration_at(
    survival: Scores, target: SurvivalTarget, day: float, *, groups: int = 5
) -> CalibrationAt:
    """Compare predicted chances of the event by a day with what happened.

    Patients are put into groups of like size by predicted risk; observed is 1 - Kaplan-Meier. The
    slope is the coefficient of ln(-ln S) in a Cox model.

    Args:
        survival: (n,) predicted chance to be without the event on the day, between 0 and 1.
        target: what happened to the same patients, whom the model did not see.
        day: since the target's origin.
        groups: of patients, at least two.

    Raises:
        MetadataError: chances do not fit, too few patients, or nobody was followed to the day.
        ResourceError: lifelines is not installed.

    Assumes:
        Censoring tells nothing about the hazard within a group.

    Source:
        van Houwelingen, Stat Med 2000;19:3401-3415, doi
        10.1002/1097-0258(20001230)19:24<3401::AID-SIM554>3.0.CO;2-2. Royston and Altman, BMC Med
        Res Methodol 2013;13:33, doi 10.1186/1471-2288-13-33.
    """
    chance = _chances(survival, target)
    require_events(target, 3, purpose="calibration")
    if groups < 2 or target.count < 2 * groups or not target.days.max() >= day > 0:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{target.count} patients followed up to day {target.days.max():g} cannot be "
            f"compared in {groups} groups at day {day:g}",
            mend="use fewer groups, or an earlier day",
        )
    order = np.argsort(-chance, kind="stable")
    rows = [_group(chance, target, part, day) for part in np.array_split(order, groups)]
    slope, error = _slope(chance, target)
    z = float(stats.norm.ppf(0.975))
    observed = 1 - float(survival_curves(target).on(np.array([day]))[0, 0])
    return CalibrationAt(
        day=day,
        groups=tuple(rows),
        slope=slope,
        slope_low=slope - z * error,
        slope_high=slope + z * error,
        ratio=observed / float(1 - chance.mean()),
    )


def brier_at(
    survival: Scores,
    target: SurvivalTarget,
    day: float,
    *,
    followed: SurvivalTarget | None = None,
) -> BrierAt:
    """Compute the mean squared error of predicted chances on a day, corrected for censoring.

    Who had the event by the day counts (0 - S)² / G(T-), who was followed beyond it
    (1 - S)² / G(day), who was lost before it counts nothing.

    Args:
        survival: (n,) predicted chance to be without the event on the day.
        target: what happened; all seen from day 0.
        day: since the target's origin.
        followed: whose follow-up gives G; the target's own if None.

    Raises:
        MetadataError: chances do not fit, somebody entered late, or nobody was followed so far.

    Assumes:
        Censoring depends neither on the hazard nor on the prediction.

    Source:
        Graf et al., Stat Med 1999;18:2529-2545, doi
        10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5.
    """
    chance = _chances(survival, target)
    require_seen_from_start(target, purpose="a Brier score")
    curve = censoring_curves(target if followed is None else followed)
    require_followed(curve, day)
    until, after = target.event & (target.days <= day), target.days > day
    weight = np.zeros(target.count)
    weight[until] = 1 / curve.before(target.days[until])[0]
    if after.any():
        weight[after] = 1 / curve.on(np.array([day]))[0, 0]
    constant = float(survival_curves(target).on(np.array([day]))[0, 0])
    value, reference = (
        float(np.mean(weight * (after - predicted) ** 2)) for predicted in (chance, constant)
    )
    scaled = 1 - value / reference if reference > 0 else np.nan
    return BrierAt(day=day, value=value, reference=reference, scaled=scaled)


def _refit(
    table: Table, target: SurvivalTarget, rows: Int[np.ndarray, " drawn"], penalty: Penalty
) -> Coefficients:
    """Return the coefficients of a Cox model of some rows, which may repeat."""
    drawn = table[rows]
    spread = drawn.std(axis=0, ddof=1)
    if not (spread > 0).all():
        raise unsolvable()
    standard = (drawn - drawn.mean(axis=0)) / spread
    sets = RiskSets(standard, target.days[rows], target.event[rows], target.entry[rows])
    if penalty == "firth":
        return np.asarray(maximise_firth(sets) / spread)
    ridge = np.full(table.shape[1], float(penalty) * len(rows))
    return np.asarray(maximise(sets, ridge=ridge) / spread)


def _chances(survival: Scores, target: SurvivalTarget) -> Scores:
    chance = require_scores(survival, target)
    if chance.min() < 0 or chance.max() > 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"chances from {chance.min():g} to {chance.max():g}",
            mend="give the chance to be without the event, between 0 and 1",
        )
    return chance


def _group(
    chance: Scores, target: SurvivalTarget, part: Int[np.ndarray, " members"], day: float
) -> CalibrationGroup:
    kept = np.zeros(target.count, bool)
    kept[part] = True
    curve = kaplan_meier(target.select(kept))
    place = int(np.searchsorted(curve.days, day, side="right")) - 1
    followed = bool(curve.target.days.max() >= day)
    share, low, high = (
        1 - float(bound[place]) if followed else np.nan
        for bound in (curve.survival, curve.upper, curve.lower)
    )
    return CalibrationGroup(
        count=len(part),
        predicted=float(1 - chance[part].mean()),
        observed=share,
        low=low,
        high=high,
    )


def _slope(chance: Scores, target: SurvivalTarget) -> tuple[float, float]:
    """Return the coefficient of ln cumulative hazard, and its standard error."""
    inside = np.clip(chance, 1e-9, 1 - 1e-9)
    linear = np.log(-np.log(inside))[:, None]
    sets = RiskSets(linear - linear.mean(), target.days, target.event, target.entry)
    beta = maximise(sets, ridge=np.zeros(1))
    return float(beta[0]), float(sets.at(beta).information[0, 0] ** -0.5)

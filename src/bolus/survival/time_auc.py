"""How well a score tells who has the event by a day from who has not."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.errors import Code, MetadataError
from bolus.survival.concordance import resample_counts
from bolus.survival.product_limit import (
    StepCurves,
    Weights,
    censoring_curves,
    require_followed,
    survival_curves,
)
from bolus.survival.target import Scores, SurvivalTarget, require_scores

Days = Float[np.ndarray, " t"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeAuc:
    """AUC at each of `days`, and their mean weighted by how many events fall between the days.

    Bounds are 95 % percentile intervals; NaN without resamples.
    """

    days: Days
    auc: Days
    low: Days
    high: Days
    integrated: float
    integrated_low: float
    integrated_high: float
    cases: tuple[int, ...]
    """Events seen by each day."""
    controls: tuple[int, ...]
    """Subjects known to be without the event after each day."""


def time_dependent_auc(
    score: Scores,
    target: SurvivalTarget,
    days: Days,
    *,
    followed: SurvivalTarget | None = None,
    resamples: int = 0,
    seed: int = 0,
) -> TimeAuc:
    """Compute the cumulative, dynamic AUC: event by day t against still without it after t.

    A case counts 1 / G(T-), with G the chance to be still in follow-up, so that it stands for
    those who were lost; all controls of a day count alike. Equal scores count half. The mean over
    days weighs each by the fall of the Kaplan-Meier curve since the day before.

    Args:
        score: (n,) higher is worse.
        target: what happened; all seen from day 0.
        days: (t,) increasing; each with a case and a control.
        followed: whose follow-up gives G; the target's own if None.
        resamples: of the subjects for the interval, 0 for none.
        seed: of the resamples.

    Raises:
        MetadataError: somebody entered late, or a day has no case or no control.

    Assumes:
        Censoring does not depend on the score. Subjects are independent.

    Source:
        Uno et al., J Am Stat Assoc 2007;102:527-537, doi 10.1198/016214507000000149; weights of
        the mean: Lambert and Chevret, Stat Methods Med Res 2016;25:2088-2102, doi
        10.1177/0962280213515571.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3", "4"),
        ...     days=np.array([100.0, 200, 300, 400]), event=np.array([True, True, True, False]))
        >>> found = time_dependent_auc(np.array([4.0, 1.0, 3.0, 2.0]), target, np.array([250.0]))
        >>> found.auc.tolist(), found.cases, found.controls
        ([0.5], (2,), (2,))
    """
    values = require_scores(score, target)
    asked = np.atleast_1d(np.asarray(days, np.float64))
    require_seen_from_start(target, purpose="an AUC at a day")
    cases, controls = _sides(target, asked)
    weights = resample_counts(target.count, resamples, seed=seed, name="auc")
    curve = censoring_curves(target, weights=weights if followed is None else None)
    if followed is not None:
        curve = censoring_curves(followed)
    require_followed(curve, float(target.days[target.event & (target.days <= asked[-1])].max()))
    auc = _auc(values, target, asked, weights, curve)
    mean = _mean(auc, target, asked, weights)
    low, high = _bounds(auc)
    mean_low, mean_high = _bounds(mean[:, None])
    return TimeAuc(
        days=asked,
        auc=auc[0],
        low=low,
        high=high,
        integrated=float(mean[0]),
        integrated_low=float(mean_low[0]),
        integrated_high=float(mean_high[0]),
        cases=tuple(cases),
        controls=tuple(controls),
    )


def require_seen_from_start(target: SurvivalTarget, *, purpose: str) -> None:
    """Refuse late entry where a method counts from day 0.

    Raises:
        MetadataError: somebody entered after day 0.

    Assumes:
        Nothing.

    Source:
        A check; no publication.
    """
    if target.entry.any():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{int(np.count_nonzero(target.entry))} subjects entered after day 0; {purpose} "
            "counts all from day 0",
            mend="count from a landmark that all have passed: survival.landmark",
        )


def _sides(target: SurvivalTarget, days: Days) -> tuple[list[int], list[int]]:
    cases = [int(np.sum(target.event & (target.days <= day))) for day in days]
    controls = [int(np.sum(target.days > day)) for day in days]
    if (np.diff(days) <= 0).any() or not days.size or min(cases + controls) == 0:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"days {days.tolist()[:6]} have {cases[:6]} cases and {controls[:6]} controls",
            mend="give increasing days, each with an event before it and somebody followed "
            "beyond it",
        )
    return cases, controls


def _auc(
    score: Scores, target: SurvivalTarget, days: Days, weights: Weights, curve: StepCurves
) -> Float[np.ndarray, "resamples t"]:
    """Return the AUC of every resample on every day, from pairs compared once."""
    early = np.flatnonzero(target.event & (target.days <= days[-1]))
    with np.errstate(divide="ignore"):
        inverse = 1 / curve.before(target.days[early])
    case = weights[:, early] * np.where(np.isfinite(inverse), inverse, 0.0)
    higher = (score[early, None] > score) + 0.5 * (score[early, None] == score)
    found = np.full((len(weights), len(days)), np.nan)
    for place, day in enumerate(days):
        until, after = target.days[early] <= day, target.days > day
        weight, control = case[:, until], weights[:, after]
        agreeing = ((weight @ higher[np.ix_(until, after)]) * control).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[:, place] = agreeing / (weight.sum(axis=1) * control.sum(axis=1))
    return found


def _mean(
    auc: Float[np.ndarray, "resamples t"], target: SurvivalTarget, days: Days, weights: Weights
) -> Float[np.ndarray, " resamples"]:
    share = survival_curves(target, weights=weights).on(days)
    falls = -np.diff(share, axis=1, prepend=1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((auc * falls).sum(axis=1) / falls.sum(axis=1))


def _bounds(drawn: Float[np.ndarray, "resamples t"]) -> tuple[Days, Days]:
    """Return the 95 % percentile interval over all rows but the first; NaN without any."""
    finite = drawn[1:][np.isfinite(drawn[1:]).all(axis=1)]
    if len(finite) < 2:
        return np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    low, high = np.quantile(finite, [0.025, 0.975], axis=0)
    return low, high

"""Product-limit curves of many resamples at once: of the event, and of being lost to follow-up."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from bolus.errors import Code, MetadataError
from bolus.survival.target import SurvivalTarget

Weights = Float[np.ndarray, "resamples subjects"]
Vector = Float[np.ndarray, " values"]
Asked = Float[np.ndarray, " asked"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepCurves:
    """Falling curves from 1, one row per resample, with steps at `days`."""

    days: Float[np.ndarray, " t"]
    chance: Float[np.ndarray, "resamples t"]

    def before(self, days: Asked) -> Float[np.ndarray, "resamples asked"]:
        """Return the value just before some days."""
        return self._at(np.searchsorted(self.days, days, "left"))

    def on(self, days: Asked) -> Float[np.ndarray, "resamples asked"]:
        """Return the value on some days, after the step of that day."""
        return self._at(np.searchsorted(self.days, days, "right"))

    def _at(self, place: Int[np.ndarray, " asked"]) -> Float[np.ndarray, "resamples asked"]:
        padded = np.column_stack([np.ones(len(self.chance)), self.chance])
        return np.asarray(padded[:, place])


def survival_curves(target: SurvivalTarget, *, weights: Weights | None = None) -> StepCurves:
    """Estimate the chance to be without the event, as `kaplan_meier` but for many resamples.

    Args:
        target: of one group.
        weights: how often each subject counts, one row per resample; once each if None.

    Assumes:
        Censoring and entry tell nothing about the hazard.

    Source:
        Kaplan and Meier, J Am Stat Assoc 1958;53:457-481, doi 10.1080/01621459.1958.10501452.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3", "4"),
        ...     days=np.array([1.0, 2, 3, 4]), event=np.array([True, False, True, True]))
        >>> survival_curves(target).on(np.array([1.0, 3.0])).tolist()
        [[0.75, 0.375]]
    """
    count = np.ones((1, target.count)) if weights is None else weights
    days = np.unique(target.days[target.event])
    at_risk = _reaching(count, target.days, days) - _reaching(count, target.entry, days)
    return _product(_leaving(count, target, target.event, days), at_risk, days)


def censoring_curves(target: SurvivalTarget, *, weights: Weights | None = None) -> StepCurves:
    """Estimate the chance to be still in follow-up: events and censorings exchange their roles.

    Events of a day come before the censorings of that day, and leave the risk set first.

    Args:
        target: of the subjects that stand for how follow-up went.
        weights: how often each subject counts, one row per resample; once each if None.

    Assumes:
        Censoring depends neither on the hazard nor on any covariate.

    Source:
        Uno et al., Stat Med 2011;30:1105-1117, doi 10.1002/sim.4154, section 2.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3", "4"),
        ...     days=np.array([1.0, 2, 3, 4]), event=np.array([True, False, True, True]))
        >>> censoring_curves(target).on(np.array([1.0, 2.0])).round(3).tolist()
        [[1.0, 0.667]]
    """
    count = np.ones((1, target.count)) if weights is None else weights
    days = np.unique(target.days[~target.event])
    at_risk = _reaching(count, target.days, days) - _reaching(count, target.entry, days)
    at_risk -= _leaving(count, target, target.event, days)
    return _product(_leaving(count, target, ~target.event, days), at_risk, days)


def require_followed(curves: StepCurves, day: float) -> None:
    """Refuse a day that nobody was followed to.

    Raises:
        MetadataError: the chance to be in follow-up just before the day is zero.

    Assumes:
        The first row of the curves counts every subject once.

    Source:
        A check; no publication.
    """
    if not float(curves.before(np.array([day]))[0, 0]) > 0:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"follow-up of all subjects ended before day {day:g}",
            mend="choose an earlier day",
        )


def _product(
    leaving: Float[np.ndarray, "resamples t"],
    at_risk: Float[np.ndarray, "resamples t"],
    days: Float[np.ndarray, " t"],
) -> StepCurves:
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(at_risk > 0, 1 - leaving / at_risk, 1.0)
    return StepCurves(days=days, chance=np.cumprod(factor, axis=1))


def _leaving(
    weights: Weights,
    target: SurvivalTarget,
    who: Bool[np.ndarray, " subjects"],
    days: Float[np.ndarray, " t"],
) -> Float[np.ndarray, "resamples t"]:
    """Sum the weights of those whose observation ends on a day."""
    counted = weights * who
    later = _reaching(counted, target.days, days, after=True)
    return np.asarray(_reaching(counted, target.days, days) - later)


def _reaching(
    weights: Weights, ends: Vector, days: Float[np.ndarray, " t"], *, after: bool = False
) -> Float[np.ndarray, "resamples t"]:
    """Sum the weights of those whose end is on a day or later, or only later."""
    order = np.argsort(ends, kind="stable")
    total = np.cumsum(weights[:, order[::-1]], axis=1)[:, ::-1]
    padded = np.column_stack([total, np.zeros(len(total))])
    return np.asarray(padded[:, np.searchsorted(ends[order], days, "right" if after else "left")])

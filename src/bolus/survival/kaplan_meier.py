"""The share without the event against time, its median, and whether groups differ."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from bolus.errors import Code, MetadataError
from bolus.survival.libraries import require_lifelines
from bolus.survival.target import SurvivalTarget

Days = Float[np.ndarray, " t"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KaplanMeier:
    """Product-limit curve with pointwise interval; it falls at `days` and is flat between.

    `days` begin with 0. `median_days` is the first day on which half or fewer are without the
    event, infinite when not reached; so are its bounds.
    """

    days: Days
    survival: Days
    lower: Days
    upper: Days
    median_days: float
    median_low: float
    median_high: float
    target: SurvivalTarget

    def at(self, days: Float[np.ndarray, " asked"]) -> Float[np.ndarray, " asked"]:
        """Return the share without the event on some days; NaN beyond the last observation."""
        asked = np.asarray(days, np.float64)
        share = self.survival[np.searchsorted(self.days, asked, side="right") - 1]
        return np.asarray(np.where(asked <= self.target.days.max(), share, np.nan))

    def at_risk(self, days: Float[np.ndarray, " asked"]) -> Int[np.ndarray, " asked"]:
        """Return how many are under observation just before some days, for the table below."""
        asked = np.asarray(days, np.float64)[:, None]
        entered = (self.target.entry < asked) | (self.target.entry == 0)
        return np.asarray((entered & (self.target.days >= asked)).sum(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRank:
    """Test that groups have the same hazard; `observed` and `expected` events of each group."""

    statistic: float
    degrees: int
    p_value: float
    observed: tuple[int, ...]
    expected: tuple[float, ...]


def kaplan_meier(target: SurvivalTarget, *, confidence: float = 0.95) -> KaplanMeier:
    """Estimate the share without the event by the product of daily survival.

    S(t) = Π (1 - deaths / at risk). The interval is Greenwood's on the scale of ln(-ln S); that
    of the median is where the bounds cross one half.

    Args:
        target: of one group; who enters late is at risk after the day of entry.
        confidence: of the intervals.

    Raises:
        ResourceError: lifelines is not installed.

    Assumes:
        Censoring and entry tell nothing about the hazard. With late entry, somebody was under
        observation all the time.

    Source:
        Kaplan and Meier, J Am Stat Assoc 1958;53:457-481, doi 10.1080/01621459.1958.10501452.
        Median's interval: Brookmeyer and Crowley, Biometrics 1982;38:29-41, doi 10.2307/2530286.
        Computed by lifelines (doi 10.21105/joss.01317).
    """
    require_lifelines()
    from lifelines import KaplanMeierFitter

    entry = target.entry if target.entry.any() else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # small risk sets are seen in the table of those at risk
        fitter = KaplanMeierFitter(alpha=1 - confidence)
        fitter.fit(target.days, target.event, entry=entry)
    days = fitter.survival_function_.index.to_numpy(np.float64)
    survival = fitter.survival_function_.to_numpy(np.float64)[:, 0]
    lower, upper = fitter.confidence_interval_.to_numpy(np.float64).T
    if days[0] > 0:  # all entered late; before that nobody is known to have had the event
        days = np.concatenate([[0.0], days])
        survival, lower, upper = (np.concatenate([[1.0], c]) for c in (survival, lower, upper))
    return KaplanMeier(
        days=days,
        survival=survival,
        lower=lower,
        upper=upper,
        median_days=_first_half(days, survival),
        median_low=_first_half(days, lower),
        median_high=_first_half(days, upper),
        target=target,
    )


def logrank(targets: Sequence[SurvivalTarget]) -> LogRank:
    """Test whether two or more groups have the same hazard at all times.

    On each day with an event, a group expects its share of those at risk; the statistic is the
    squared sum of observed - expected over its hypergeometric covariance, χ² with one degree of
    freedom less than groups.

    Args:
        targets: one per group, days from the same origin.

    Raises:
        MetadataError: fewer than two groups, or no event in any.

    Assumes:
        Censoring and entry tell nothing about the hazard. Power is best for proportional hazards.

    Source:
        Mantel, Cancer Chemother Rep 1966;50:163-170; Peto and Peto, J R Stat Soc A
        1972;135:185-207, doi 10.2307/2344317.

    Example:
        >>> def group(days):
        ...     return SurvivalTarget(subjects=tuple(map(str, days)), days=np.array(days, float),
        ...         event=np.ones(len(days), bool))
        >>> logrank([group([1, 2, 3, 4]), group([1.5, 2.5, 3.5, 4.5])]).p_value > 0.3
        True
    """
    events = sum(target.events for target in targets)
    if len(targets) < 2 or events == 0:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{len(targets)} groups with {events} events; a log-rank test needs 2 groups with some",
            mend="give at least two groups in which the event was seen",
        )
    days = np.unique(np.concatenate([t.days[t.event] for t in targets]))
    deaths = np.array([[np.sum(t.event & (t.days == d)) for t in targets] for d in days], float)
    risk = np.array([[np.sum((t.entry < d) & (t.days >= d)) for t in targets] for d in days], float)
    dead, alive = deaths.sum(axis=1), risk.sum(axis=1)
    share = risk / alive[:, None]
    expected = share * dead[:, None]
    excess = (deaths - expected).sum(axis=0)
    spread = dead * (alive - dead) / np.maximum(alive - 1, 1)
    covariance = np.diag(spread @ share) - (share * spread[:, None]).T @ share
    statistic = float(excess @ np.linalg.pinv(covariance) @ excess)
    return LogRank(
        statistic=statistic,
        degrees=len(targets) - 1,
        p_value=float(stats.chi2.sf(statistic, len(targets) - 1)),
        observed=tuple(int(t.events) for t in targets),
        expected=tuple(float(value) for value in expected.sum(axis=0)),
    )


def _first_half(days: Days, share: Days) -> float:
    """Return the first day on which a falling curve is at or below one half."""
    below = np.flatnonzero(share <= 0.5)
    return float(days[below[0]]) if len(below) else float("inf")

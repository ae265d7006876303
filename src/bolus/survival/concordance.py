"""How well a score orders patients by their survival, with intervals by resampling."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.survival.product_limit import StepCurves, Weights, censoring_curves, require_followed
from bolus.survival.target import Scores, SurvivalTarget, require_events, require_scores

Kind = Literal["harrell", "uno"]
_BLOCK = 256
"""Events whose pairs are held at once: 256 x 10,000 subjects are 10 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Concordance:
    """A C-index with its percentile interval, and how many subjects and events it rests on."""

    value: float
    low: float
    high: float
    std: float
    """Standard deviation over the resamples."""
    kind: Kind
    count: int
    events: int
    resamples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcordanceDifference:
    """C of the first score less C of the second, on the same resamples."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided: twice the smaller share of resamples on one side of zero."""
    kind: Kind
    resamples: int


def harrell_c(score: Scores, target: SurvivalTarget) -> float:
    """Return the share of comparable pairs in which the higher score has the earlier event.

    A pair is comparable when the shorter observation ended with the event, and the other subject
    was under observation then (entered before, and still without the event after that day). Equal
    scores count half.

    Args:
        score: (n,) higher is worse.
        target: what happened.

    Raises:
        MetadataError: the score does not fit, or no pair is comparable.

    Assumes:
        Censoring is much alike for all; with heavy censoring the value depends on it (`uno_c`
        does not).

    Source:
        Harrell et al., JAMA 1982;247:2543-2546, doi 10.1001/jama.1982.03320430047030.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3"), days=np.array([1.0, 2, 3]),
        ...     event=np.array([True, True, False]))
        >>> harrell_c(np.array([3.0, 1.0, 2.0]), target)
        0.6666666666666666
    """
    return float(resampled_c(score, target, np.ones((1, target.count)), "harrell")[0])


def uno_c(
    score: Scores,
    target: SurvivalTarget,
    *,
    until_day: float | None = None,
    followed: SurvivalTarget | None = None,
) -> float:
    """Return the C-index that does not depend on censoring.

    Each comparable pair weighs 1 / G(T-)², with T the earlier event and G the chance to be still
    in follow-up. Equal scores count half.

    Args:
        score: (n,) higher is worse.
        target: what happened.
        until_day: events after this day are left out, so that few late ones do not weigh most;
            None uses all events.
        followed: whose follow-up gives G; the target's own if None.

    Raises:
        MetadataError: the score does not fit, no pair is comparable, or nobody of `followed` was
            seen at the last event.

    Assumes:
        Censoring does not depend on the score. No late entry is corrected for in G beyond its
        risk sets.

    Source:
        Uno et al., Stat Med 2011;30:1105-1117, doi 10.1002/sim.4154.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3"), days=np.array([1.0, 2, 3]),
        ...     event=np.array([True, True, True]))
        >>> uno_c(np.array([3.0, 2.0, 1.0]), target)
        1.0
    """
    once = np.ones((1, target.count))
    curve = None if followed is None else censoring_curves(followed)
    return float(resampled_c(score, target, once, "uno", until_day=until_day, curve=curve)[0])


def concordance_interval(
    score: Scores,
    target: SurvivalTarget,
    *,
    kind: Kind = "harrell",
    until_day: float | None = None,
    resamples: int = 1000,
    seed: int,
    confidence: float = 0.95,
) -> Concordance:
    """Return a C-index with its interval from resampled subjects.

    All pairs are compared once; a resample is how often each subject counts, so 200 resamples are
    one product of matrices. For Uno's, G is estimated anew in every resample.

    Args:
        score: (n,) higher is worse.
        target: what happened.
        kind: "harrell" or "uno".
        until_day: see `uno_c`; for both kinds.
        resamples: of the subjects, with replacement.
        seed: of the resamples.
        confidence: of the percentile interval.

    Raises:
        MetadataError: as `harrell_c`, or fewer than three events.

    Assumes:
        Subjects are independent. The score was not fitted on these subjects.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, Chapman and Hall 1993, chapter 13.
    """
    require_events(target, 3, purpose="an interval of a C-index")
    weights = _draws(target.count, resamples, seed)
    found = resampled_c(score, target, weights, kind, until_day=until_day)
    low, high, std = _spread(found[1:], confidence)
    return Concordance(
        value=float(found[0]),
        low=low,
        high=high,
        std=std,
        kind=kind,
        count=target.count,
        events=target.events,
        resamples=resamples,
    )


def concordance_difference(
    first: Scores,
    second: Scores,
    target: SurvivalTarget,
    *,
    kind: Kind = "harrell",
    until_day: float | None = None,
    resamples: int = 1000,
    seed: int,
) -> ConcordanceDifference:
    """Return how much better the first score orders the same subjects, with a 95 % interval.

    Args:
        first: (n,) higher is worse.
        second: (n,) of the same subjects.
        target: what happened.
        kind: "harrell" or "uno".
        until_day: see `uno_c`; for both kinds.
        resamples: of the subjects, the same for both scores.
        seed: of the resamples.

    Raises:
        MetadataError: as `harrell_c`, or fewer than three events.

    Assumes:
        Subjects are independent, and neither score was fitted on them.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, Chapman and Hall 1993, chapters 13
        and 15.
    """
    require_events(target, 3, purpose="a comparison of C-indices")
    weights = _draws(target.count, resamples, seed)
    difference = resampled_c(first, target, weights, kind, until_day=until_day) - resampled_c(
        second, target, weights, kind, until_day=until_day
    )
    drawn = difference[1:]
    drawn = drawn[np.isfinite(drawn)]
    low, high, _ = _spread(drawn, 0.95)
    side = min(int(np.sum(drawn <= 0)), int(np.sum(drawn >= 0)))
    return ConcordanceDifference(
        value=float(difference[0]),
        low=low,
        high=high,
        p_value=min(1.0, 2 * (side + 1) / (len(drawn) + 1)),
        kind=kind,
        resamples=resamples,
    )


def resample_counts(subjects: int, resamples: int, *, seed: int, name: str) -> Weights:
    """Return how often each subject is drawn: a first row of ones, then one row per resample.

    Args:
        subjects: number of them.
        resamples: rows to draw.
        seed: of the draws.
        name: of the stream, so that two analyses do not share their draws.

    Assumes:
        Subjects are drawn with replacement, all alike.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, Chapman and Hall 1993, chapter 6.
    """
    random = stream(seed, "survival", name)
    shares = np.full(subjects, 1 / subjects)
    drawn = random.multinomial(subjects, shares, size=resamples)
    return np.concatenate([np.ones((1, subjects)), drawn])


def resampled_c(
    score: Scores,
    target: SurvivalTarget,
    weights: Weights,
    kind: Kind,
    *,
    until_day: float | None = None,
    curve: StepCurves | None = None,
) -> Float[np.ndarray, " resamples"]:
    """Return the C-index for every way of counting the subjects; NaN without a comparable pair.

    Args:
        score: (n,) higher is worse.
        target: what happened.
        weights: (r, n) how often each subject counts.
        kind: "harrell" or "uno".
        until_day: events after it are left out.
        curve: of follow-up, for Uno's; estimated with each row of weights if None.

    Raises:
        MetadataError: the score does not fit, or the first row has no comparable pair.

    Assumes:
        As `harrell_c` and `uno_c`. A subject drawn twice is not compared with itself.

    Source:
        As `harrell_c` and `uno_c`.
    """
    values = require_scores(score, target)
    last = np.inf if until_day is None else until_day
    early = np.flatnonzero(target.event & (target.days <= last))
    of_event = weights[:, early]
    if kind == "uno" and len(early):
        known = curve or censoring_curves(target, weights=weights)
        require_followed(known, float(target.days[early].max()))
        with np.errstate(divide="ignore"):
            inverse = known.before(target.days[early]) ** -2.0
        of_event = of_event * np.where(np.isfinite(inverse), inverse, 0.0)
    right = weights.T.astype(np.float32)
    agreeing, comparable = np.zeros(len(weights)), np.zeros(len(weights))
    for start in range(0, len(early), _BLOCK):
        rows = early[start : start + _BLOCK, None]
        weight = of_event[:, start : start + _BLOCK].T
        later = (target.days > target.days[rows]) | (
            (target.days == target.days[rows]) & ~target.event
        )
        pairs = later & (target.entry < target.days[rows])
        higher = (values < values[rows]) + 0.5 * (values == values[rows])
        comparable += (weight * (pairs.astype(np.float32) @ right)).sum(axis=0)
        agreeing += (weight * ((pairs * higher).astype(np.float32) @ right)).sum(axis=0)
    if not comparable[0] > 0:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"no two of {target.count} subjects can be compared ({len(early)} events)",
            mend="add subjects, or wait for longer follow-up",
        )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(agreeing / comparable)


def _draws(subjects: int, resamples: int, seed: int) -> Weights:
    return resample_counts(subjects, resamples, seed=seed, name="concordance")


def _spread(
    drawn: Float[np.ndarray, " resamples"], confidence: float
) -> tuple[float, float, float]:
    """Return the percentile interval and the standard deviation; NaN without two resamples."""
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < 2:
        return np.nan, np.nan, np.nan
    low, high = np.quantile(finite, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high), float(finite.std(ddof=1))

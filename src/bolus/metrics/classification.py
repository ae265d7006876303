"""How well a number tells two classes apart, and whether a probability means what it says."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.metrics.agreement import Agreement

Sample = Float[np.ndarray, " n"]
Labels = Bool[np.ndarray, " n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DelongTest:
    """AUC of two numbers on the same subjects, and their difference with interval and p-value."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    std: float
    p_value: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Predicted against observed probability, each with its 95 % interval (low, high).

    `slope` of the log odds, 1 when perfect, below 1 when predictions are too extreme;
    `in_the_large`, 0 when perfect, above 0 when the condition is commoner than predicted.
    """

    slope: float
    slope_interval: tuple[float, float]
    in_the_large: float
    in_the_large_interval: tuple[float, float]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brier:
    """Mean squared error of a probability; `reference` is that of the prevalence for everybody.

    `scaled` is 1 - value / reference: 0 is as good as the prevalence, 1 is perfect.
    """

    value: float
    reference: float
    scaled: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedAuc:
    """AUC beside those with labels dealt at random: their mean, 95 % range and p (one-sided)."""

    value: float
    null_mean: float
    null_low: float
    null_high: float
    p_value: float
    permutations: int


def auc_with_interval(score: Sample, label: Labels, *, confidence: float = 0.95) -> Agreement:
    """Compute the area under the ROC curve with DeLong's interval.

    AUC is the chance that a positive scores higher than a negative; equal scores count half.

    Args:
        score: (n,) higher means positive.
        label: (n,) True for positive.
        confidence: of the interval, which is cut at 0 and 1.

    Returns:
        AUC with its interval; NaN bounds with fewer than two of a class.

    Raises:
        MetadataError: lengths differ, a score is not finite, or a class is absent.

    Assumes:
        Subjects are independent. Near 0 or 1 with few subjects the interval is too narrow; with
        perfect separation it has no width.

    Source:
        DeLong et al., Biometrics 1988;44:837-845, doi 10.2307/2531595; in O(n log n) by Sun and
        Xu, IEEE Signal Process Lett 2014;21:1389-1393, doi 10.1109/LSP.2014.2337313.

    Example:
        >>> round(auc_with_interval(np.array([1.0, 2, 3, 4]),
        ...     np.array([False, True, False, True])).value, 3)
        0.75
    """
    values, positive = require_labels(score, label)
    areas, covariance = _delong(values[None], positive)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * float(covariance[0, 0]) ** 0.5
    return Agreement(
        value=float(areas[0]),
        low=float(np.maximum(areas[0] - half, 0.0)),
        high=float(np.minimum(areas[0] + half, 1.0)),
        count=len(values),
    )


def delong_test(
    first: Sample, second: Sample, label: Labels, *, confidence: float = 0.95
) -> DelongTest:
    """Test whether two numbers tell the same subjects apart equally well.

    Args:
        first: (n,) higher means positive.
        second: (n,) of the same subjects.
        label: (n,) True for positive.
        confidence: of the interval of first - second.

    Returns:
        Both AUC, their difference, its interval and two-sided p-value: 1 where the two order all
        subjects alike, NaN with fewer than two of a class.

    Raises:
        MetadataError: lengths differ, a number is not finite, or a class is absent.

    Assumes:
        Subjects are independent; neither number was fitted on them (for nested models fitted on
        the same subjects the test is too timid).

    Source:
        As `auc_with_interval`.

    Example:
        >>> truth = np.array([False, False, False, True, True, True])
        >>> good, poor = np.array([1.0, 2, 4, 3, 5, 6]), np.array([4.0, 2, 5, 3, 1, 6])
        >>> found = delong_test(good, poor, truth)
        >>> round(found.difference, 3), round(found.p_value, 3)
        (0.444, 0.157)
    """
    one, positive = require_labels(first, label)
    two, _ = require_labels(second, label)
    areas, covariance = _delong(np.stack([one, two]), positive)
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    std = np.nan if np.isnan(variance) else max(variance, 0.0) ** 0.5
    half = float(stats.norm.ppf((1 + confidence) / 2)) * std
    if std > _NO_WIDTH or np.isnan(std):
        p_value = float(2 * stats.norm.sf(abs(difference) / std))
    else:
        p_value = 1.0 if abs(difference) < _NO_WIDTH else 0.0
    return DelongTest(
        first=float(areas[0]),
        second=float(areas[1]),
        difference=difference,
        low=difference - half,
        high=difference + half,
        std=std,
        p_value=p_value,
        count=len(one),
    )


_NO_WIDTH = 1e-9


def calibration_slope(probability: Sample, label: Labels) -> Calibration:
    """Compare predicted probabilities with what was found, on the scale of log odds.

    The slope is b in logit P = a + b logit p; calibration in the large is a in
    logit P = a + logit p. Both by maximum likelihood, intervals by Wald.

    Args:
        probability: (n,) of being positive, between 0 and 1 (kept 1e-9 from both).
        label: (n,) True for positive.

    Returns:
        Both with their intervals; NaN where the labels are separated, so that no slope is finite.

    Raises:
        MetadataError: lengths differ, numbers are out of range, or a class is absent.

    Assumes:
        Subjects are independent, and the model did not see them.

    Source:
        Cox, Biometrika 1958;45:562-565, doi 10.1093/biomet/45.3-4.562. Van Calster et al., BMC
        Med 2019;17:230, doi 10.1186/s12916-019-1466-7.

    Example:
        >>> chance = np.repeat([0.2, 0.8], 10)
        >>> truth = np.tile(np.arange(10) < 2, 2)
        >>> truth[10:] = ~truth[10:]
        >>> found = calibration_slope(chance, truth)
        >>> round(found.slope, 4), round(abs(found.in_the_large), 4)
        (1.0, 0.0)
    """
    odds, positive = _log_odds(probability, label)
    slope = _logistic(np.column_stack([np.ones(len(odds)), odds]), positive, np.zeros(len(odds)))
    large = _logistic(np.ones((len(odds), 1)), positive, odds)
    return Calibration(
        slope=float(slope[0][-1]),
        slope_interval=_wald(slope),
        in_the_large=float(large[0][-1]),
        in_the_large_interval=_wald(large),
        count=len(odds),
    )


def brier(probability: Sample, label: Labels) -> Brier:
    """Compute the mean squared error of predicted probabilities.

    Args:
        probability: (n,) of being positive, between 0 and 1.
        label: (n,) True for positive.

    Raises:
        MetadataError: lengths differ, numbers are out of range, or a class is absent.

    Assumes:
        Subjects have the prevalence of those it is used on.

    Source:
        Brier, Mon Weather Rev 1950;78:1-3. Scaled: Steyerberg et al., Epidemiology
        2010;21:128-138, doi 10.1097/EDE.0b013e3181c30fb2.

    Example:
        >>> round(brier(np.array([0.9, 0.2]), np.array([True, False])).value, 4)
        0.025
    """
    chance, positive = _probabilities(probability, label)
    value = float(np.mean((chance - positive) ** 2))
    reference = float(positive.mean() * (1 - positive.mean()))
    return Brier(value=value, reference=reference, scaled=1 - value / reference, count=len(chance))


def permuted_labels_auc(
    score: Sample, label: Labels, *, permutations: int = 1000, seed: int
) -> PermutedAuc:
    """Compare an AUC with those of the same numbers when labels are dealt at random.

    Args:
        score: (n,) higher means positive; where the score was fitted, fit it anew on permuted
            labels instead, because a fit finds something in noise too.
        label: (n,) True for positive.
        permutations: of the labels.
        seed: of the permutations.

    Raises:
        MetadataError: lengths differ, a score is not finite, or a class is absent.

    Assumes:
        Subjects are exchangeable when the score says nothing.

    Source:
        Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 3rd ed., Springer 2005.

    Example:
        >>> found = permuted_labels_auc(np.arange(20.0), np.arange(20) >= 10, seed=1)
        >>> found.value, abs(found.null_mean - 0.5) < 0.02, found.p_value < 0.01
        (1.0, True, True)
    """
    values, positive = require_labels(score, label)
    random = stream(seed, "metrics", "permuted labels")
    ranks = stats.rankdata(values)
    dealt = random.permuted(np.tile(positive, (permutations, 1)), axis=1)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    areas = (np.vstack([positive, dealt]) @ ranks - ones * (ones + 1) / 2) / (ones * zeros)
    low, high = np.quantile(areas[1:], [0.025, 0.975])
    return PermutedAuc(
        value=float(areas[0]),
        null_mean=float(areas[1:].mean()),
        null_low=float(low),
        null_high=float(high),
        p_value=float((np.sum(areas[1:] >= areas[0] - _NO_WIDTH) + 1) / (permutations + 1)),
        permutations=permutations,
    )


def require_labels(score: Sample, label: Labels) -> tuple[Sample, Labels]:
    """Return finite numbers and the two classes they belong to.

    Args:
        score: (n,).
        label: (n,) True or 1 for positive, False or 0 for negative.

    Raises:
        MetadataError: lengths differ, a number is not finite, a label is neither, or a class is
            absent.

    Assumes:
        Nothing.

    Source:
        A check; no publication.
    """
    values, given = np.asarray(score, np.float64), np.asarray(label)
    if values.shape != given.shape or values.ndim != 1 or not np.isfinite(values).all():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"numbers of shape {values.shape} for labels of shape {given.shape}, "
            f"{int((~np.isfinite(values)).sum())} of them not finite",
            mend="give one finite number and one label per subject",
        )
    classes = set(np.unique(given).tolist())
    if classes != {0, 1}:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"labels {sorted(classes)[:4]} in {len(values)} subjects; both 0 and 1 are needed",
            mend="give subjects of both classes, 1 for positive and 0 for negative",
        )
    return values, given.astype(bool)


def _probabilities(probability: Sample, label: Labels) -> tuple[Sample, Labels]:
    chance, positive = require_labels(probability, label)
    if chance.min() < 0 or chance.max() > 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"probabilities from {chance.min():g} to {chance.max():g}",
            mend="give probabilities between 0 and 1",
        )
    return chance, positive


def _log_odds(probability: Sample, label: Labels) -> tuple[Sample, Labels]:
    chance, positive = _probabilities(probability, label)
    inside = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.log(inside) - np.log1p(-inside), positive


def _delong(
    scores: Float[np.ndarray, "methods n"], positive: Labels
) -> tuple[Float[np.ndarray, " methods"], Float[np.ndarray, "methods methods"]]:
    """Return AUC of each method and their covariance, by mid-ranks."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    among_all = stats.rankdata(scores, axis=1)
    of_ones = (among_all[:, positive] - stats.rankdata(scores[:, positive], axis=1)) / zeros
    of_zeros = 1 - (among_all[:, ~positive] - stats.rankdata(scores[:, ~positive], axis=1)) / ones
    areas = of_ones.mean(axis=1)
    if min(ones, zeros) < 2:
        return areas, np.full((len(scores), len(scores)), np.nan)
    by_ones, by_zeros = (np.atleast_2d(np.cov(part)) for part in (of_ones, of_zeros))
    return areas, by_ones / ones + by_zeros / zeros


def _logistic(
    design: Float[np.ndarray, "n p"], positive: Labels, offset: Sample
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """Return coefficients and standard errors of a logistic model; NaN where none are finite."""
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta + offset, -500, 500)))
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, design.T @ (positive - chance))
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
    return np.full_like(beta, np.nan), np.full_like(beta, np.nan)


def _wald(
    fitted: tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]],
) -> tuple[float, float]:
    value, half = float(fitted[0][-1]), float(stats.norm.ppf(0.975) * fitted[1][-1])
    return value - half, value + half

"""How well two or more measurements of the same things agree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from bolus.errors import Code, MetadataError

Sample = Float[np.ndarray, " n"]
Ratings = Float[np.ndarray, "subjects raters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A coefficient with its confidence interval and the number of things it rests on."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlandAltman:
    """Mean difference and limits of agreement, each with its confidence interval (low, high)."""

    bias: float
    std: float
    """Standard deviation of the differences."""
    lower: float
    upper: float
    bias_interval: tuple[float, float]
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeatability:
    """How much a measurement varies when it is repeated on the same subject."""

    within_std: float
    """Within-subject standard deviation, in the unit of the measurement."""
    coefficient: float
    """Repeatability coefficient: 95 % of repeated pairs differ by less; same unit."""
    within_cv: float
    """Within-subject coefficient of variation, a fraction (0.1 is 10 %)."""
    within_cv_interval: tuple[float, float]
    count: int
    """Subjects that were used."""


def concordance(estimate: Sample, truth: Sample, *, confidence: float = 0.95) -> Agreement:
    """Compute Lin's concordance correlation coefficient of two measurements.

    CCC = 2 s_xy / (s_x² + s_y² + (x̄ - ȳ)²), with moments over n. The interval is taken on
    Fisher's z scale with Lin's asymptotic variance.

    Args:
        estimate: (n,) one method.
        truth: (n,) the other, in the same unit; pairs with a non-finite value are left out.
        confidence: of the interval.

    Returns:
        CCC between -1 and 1 with its interval; NaN bounds for fewer than four pairs, NaN for
        constant values.

    Raises:
        MetadataError: the lengths differ, or fewer than two finite pairs are there.

    Assumes:
        Pairs are independent, and for the interval roughly bivariate normal.

    Source:
        Lin, Biometrics 1989;45:255-268, doi 10.2307/2532051, with the correction in
        Biometrics 2000;56:324-325.

    Example:
        >>> round(concordance(np.array([1.0, 2, 3]), np.array([2.0, 3, 4])).value, 4)
        0.5714
    """
    x, y = _pairs(estimate, truth)
    n = len(x)
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    shift = float(x.mean() - y.mean())
    spread = float(x.var() + y.var() + shift**2)
    product = float(np.sqrt(x.var() * y.var()))
    if spread == 0 or product == 0:
        return Agreement(value=np.nan, low=np.nan, high=np.nan, count=n)
    value = 2 * covariance / spread
    rho = covariance / product
    if n < 4 or rho == 0 or abs(value) >= 1:
        bound = value if abs(value) >= 1 else np.nan
        return Agreement(value=value, low=bound, high=bound, count=n)
    u = shift**2 / product
    variance = (
        (1 - rho**2) * value**2 / ((1 - value**2) * rho**2)
        + 2 * value**3 * (1 - value) * u / (rho * (1 - value**2) ** 2)
        - value**4 * u**2 / (2 * rho**2 * (1 - value**2) ** 2)
    ) / (n - 2)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt(max(variance, 0.0))
    low, high = np.tanh(np.arctanh(value) + np.array([-half, half]))
    return Agreement(value=value, low=float(low), high=float(high), count=n)


def bland_altman(first: Sample, second: Sample, *, confidence: float = 0.95) -> BlandAltman:
    """Compute bias and 95 % limits of agreement of two methods.

    The difference is first - second; the limits are bias ± 1.96 s. Intervals: bias ± t s/√n,
    limits ± t s √(1/n + 1.96²/(2 (n - 1))).

    Args:
        first: (n,) one method.
        second: (n,) the other, in the same unit; pairs with a non-finite value are left out.
        confidence: of the intervals (the limits themselves are always 95 %).

    Returns:
        Bias, limits and their intervals, in the unit of the measurement.

    Raises:
        MetadataError: the lengths differ, or fewer than two finite pairs are there.

    Assumes:
        Differences are independent, roughly normal, and do not depend on the size of what is
        measured (otherwise take logarithms first).

    Source:
        Bland and Altman, Lancet 1986;327:307-310, doi 10.1016/S0140-6736(86)90837-8; variance of
        the limits: Stat Methods Med Res 1999;8:135-160.

    Example:
        >>> found = bland_altman(np.array([1.0, 2, 3]), np.array([0.0, 2, 2]))
        >>> round(found.bias, 4), round(found.upper, 4)
        (0.6667, 1.7983)
    """
    x, y = _pairs(first, second)
    difference = x - y
    n = len(difference)
    bias, std = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    z = float(stats.norm.ppf(0.975))
    lower, upper = bias - z * std, bias + z * std
    of_bias = t * std / np.sqrt(n)
    of_limit = t * std * np.sqrt(1 / n + z**2 / (2 * (n - 1)))
    return BlandAltman(
        bias=bias,
        std=std,
        lower=lower,
        upper=upper,
        bias_interval=_around(bias, of_bias),
        lower_interval=_around(lower, of_limit),
        upper_interval=_around(upper, of_limit),
        count=n,
    )


def deming(first: Sample, second: Sample) -> tuple[float, float]:
    """Fit the line second = slope first + intercept where both have errors of the same size.

    Args:
        first: (n,) one method.
        second: (n,) the other, in the same unit; pairs with a non-finite value are left out.

    Returns:
        Slope and intercept [unit of the measurement]; NaN where the two do not vary together.

    Raises:
        MetadataError: the lengths differ, or fewer than two finite pairs are there.

    Assumes:
        Errors of both methods have the same variance and are independent; the relation is a line.

    Source:
        Deming, Statistical Adjustment of Data, Wiley 1943, with a ratio of variances of 1; as
        used for methods: Linnet, Clin Chem 1993;39:424-432.

    Example:
        >>> slope, intercept = deming(np.array([1.0, 2, 3]), np.array([3.0, 5, 7]))
        >>> round(slope, 4), round(intercept, 4)
        (2.0, 1.0)
    """
    x, y = _pairs(first, second)
    (xx, xy), (_, yy) = np.cov(x, y)
    if xy == 0:
        return np.nan, np.nan
    slope = float((yy - xx + np.hypot(yy - xx, 2 * xy)) / (2 * xy))
    return slope, float(y.mean() - slope * x.mean())


def icc_2_1(ratings: Ratings, *, confidence: float = 0.95) -> Agreement:
    """Compute ICC(2,1): absolute agreement of single measurements, raters drawn at random.

    ICC = (MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n), from the mean squares of subjects
    (rows), raters (columns) and residual of a two-way analysis of variance. The interval is that
    for ICC(A,1), with Satterthwaite's degrees of freedom.

    Args:
        ratings: (subjects, raters); subjects with a non-finite rating are left out.
        confidence: of the interval.

    Returns:
        ICC with its interval; NaN where all ratings are equal.

    Raises:
        MetadataError: fewer than two complete subjects, or fewer than two raters.

    Assumes:
        Every rater rates every subject; subjects, raters and errors are normal; no interaction
        beyond the error.

    Source:
        Shrout and Fleiss, Psychol Bull 1979;86:420-428, doi 10.1037/0033-2909.86.2.420; interval:
        McGraw and Wong, Psychol Methods 1996;1:30-46, doi 10.1037/1082-989X.1.1.30.

    Example:
        >>> table = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
        ...                   [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
        >>> round(icc_2_1(table).value, 2)
        0.29
    """
    table = _complete(ratings)
    n, k = table.shape
    rows, columns, error = _mean_squares(table)
    below = rows + (k - 1) * error + k * (columns - error) / n
    if below == 0:
        return Agreement(value=np.nan, low=np.nan, high=np.nan, count=n)
    value = (rows - error) / below
    if value == 1.0 or (error == 0 and columns == 0):
        return Agreement(value=value, low=value, high=value, count=n)
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * columns + b * error) ** 2 / (
        (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    tail = (1 + confidence) / 2
    over = float(stats.f.ppf(tail, n - 1, freedom))
    under = float(stats.f.ppf(tail, freedom, n - 1))
    mixed = k * columns + (k * n - k - n) * error
    low = n * (rows - over * error) / (over * mixed + n * rows)
    high = n * (under * rows - error) / (mixed + n * under * rows)
    return Agreement(value=float(value), low=float(low), high=float(high), count=n)


def within_subject_cv(ratings: Ratings, *, confidence: float = 0.95) -> Repeatability:
    """Compute how much repeated measurements of the same subject vary.

    The within-subject variance is the mean over subjects of the variance of their repeats; the
    repeatability coefficient is 1.96 √2 times its root; the coefficient of variation is the root
    mean square over subjects of (standard deviation / mean). Its interval is from χ² with
    n (k - 1) degrees of freedom.

    Args:
        ratings: (subjects, repeats), at least two repeats; subjects with a non-finite value are
            left out.
        confidence: of the interval.

    Returns:
        Within-subject standard deviation and repeatability coefficient [unit of the measurement],
        coefficient of variation [fraction]; the latter NaN unless all subject means are positive.

    Raises:
        MetadataError: fewer than two complete subjects, or fewer than two repeats.

    Assumes:
        Repeats differ by chance only. For the coefficient of variation the spread grows with the
        mean; for the repeatability coefficient it does not.

    Source:
        Raunig et al. (QIBA), Stat Methods Med Res 2015;24:27-67; Bland and Altman, BMJ
        1996;313:744 and 313:41.

    Example:
        >>> found = within_subject_cv(np.array([[1.0, 1.2], [2.0, 1.8]]))
        >>> round(found.within_std, 4), round(found.within_cv, 4)
        (0.1414, 0.105)
    """
    table = _complete(ratings)
    n, k = table.shape
    variance = table.var(axis=1, ddof=1)
    means = table.mean(axis=1)
    std = float(np.sqrt(variance.mean()))
    cv = float(np.sqrt(np.mean(variance / means**2))) if means.min() > 0 else np.nan
    freedom = n * (k - 1)
    tail = (1 - confidence) / 2
    low, high = (cv * np.sqrt(freedom / stats.chi2.ppf(q, freedom)) for q in (1 - tail, tail))
    return Repeatability(
        within_std=std,
        coefficient=float(stats.norm.ppf(0.975) * np.sqrt(2) * std),
        within_cv=cv,
        within_cv_interval=(float(low), float(high)),
        count=n,
    )


def _around(centre: float, half: float) -> tuple[float, float]:
    return float(centre - half), float(centre + half)


def _pairs(first: Sample, second: Sample) -> tuple[Sample, Sample]:
    x, y = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    finite = np.isfinite(x) & np.isfinite(y) if x.shape == y.shape else np.zeros(0, bool)
    if np.count_nonzero(finite) < 2:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(x)} and {len(y)} values with {np.count_nonzero(finite)} finite pairs; "
            "agreement needs at least 2",
            mend="give one value of each method for every subject",
        )
    return x[finite], y[finite]


def _complete(ratings: Ratings) -> Ratings:
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"ratings of shape {table.shape}, expected (subjects, raters) with 2 raters or more",
            mend="give one row per subject and one column per rater or repeat",
        )
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < 2:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(table)} subjects with finite ratings, at least 2 are needed",
            mend="give more subjects",
        )
    return table


def _mean_squares(table: Ratings) -> tuple[float, float, float]:
    n, k = table.shape
    grand = table.mean()
    by_row, by_column = table.mean(axis=1), table.mean(axis=0)
    rows = k * float(((by_row - grand) ** 2).sum()) / (n - 1)
    columns = n * float(((by_column - grand) ** 2).sum()) / (k - 1)
    residual = table - by_row[:, None] - by_column + grand
    return rows, columns, float((residual**2).sum()) / ((n - 1) * (k - 1))

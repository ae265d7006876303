"""Whether the uncertainty that is told is the error that is made."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from bolus.errors import Code, MetadataError

Sample = Float[np.ndarray, " n"]
LEVELS = (0.5, 0.8, 0.9, 0.95)
_STEPS = 20
"""Shares of the voxels that are left out one after another in `sparsification`."""
_FEWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often intervals of a level hold the truth, with the interval of that share."""

    level: float
    covered: float
    low95: float
    high95: float
    width: float
    """Median width of the intervals, in the unit of the truth."""
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsification:
    """Root mean square error when the most uncertain voxels are left out step by step.

    `area` (AUSE) is that between leaving out by uncertainty and by the error itself, over the error
    with all: 0 if the order is perfect. `random` is the same area for a random order: a telling
    uncertainty is well below it.
    """

    area: float
    random: float
    spearman: float
    """Rank correlation of told uncertainty and absolute error."""


def interval_coverage(truth: Sample, low: Sample, high: Sample, *, level: float) -> Coverage:
    """Count how many intervals hold the truth.

    Args:
        truth: known values.
        low: lower ends; where one is not finite the voxel is left out.
        high: upper ends.
        level: what the intervals claim, such as 0.9.

    Returns:
        The share with Clopper and Pearson's 95 % interval, and the median width.

    Raises:
        MetadataError: fewer than ten voxels with an interval.

    Assumes:
        Voxels are independent; in an image they are not, and the interval of the share is then too
        narrow.

    Source:
        Clopper and Pearson, Biometrika 26 (1934) 404.

    Example:
        >>> ends = np.ones(20)
        >>> interval_coverage(np.linspace(-2, 2, 20), -ends, ends, level=0.5).covered
        0.5
    """
    known = np.isfinite(truth) & np.isfinite(low) & np.isfinite(high)
    _require(int(known.sum()))
    held = int(np.sum((low[known] <= truth[known]) & (truth[known] <= high[known])))
    share = stats.binomtest(held, int(known.sum())).proportion_ci(0.95, method="exact")
    return Coverage(
        level=level,
        covered=held / int(known.sum()),
        low95=float(share.low),
        high95=float(share.high),
        width=float(np.median(high[known] - low[known])),
        count=int(known.sum()),
    )


def normal_coverage(
    truth: Sample, mean: Sample, std: Sample, *, levels: Sequence[float] = LEVELS
) -> tuple[Coverage, ...]:
    """Count how many intervals of normal distributions hold the truth, at several levels.

    Args:
        truth: known values.
        mean: of each distribution.
        std: standard deviation of each; where it is not finite the voxel is left out.
        levels: shares that central intervals claim.

    Raises:
        MetadataError: fewer than ten voxels with an interval.

    Assumes:
        What is told is a normal distribution.

    Source:
        As `interval_coverage`.

    Example:
        >>> rows = normal_coverage(np.zeros(20), np.zeros(20), np.ones(20))
        >>> [row.covered for row in rows]
        [1.0, 1.0, 1.0, 1.0]
    """
    reach = {level: float(stats.norm.isf((1 - level) / 2)) for level in levels}
    return tuple(
        interval_coverage(truth, mean - reach[level] * std, mean + reach[level] * std, level=level)
        for level in levels
    )


def calibration_error(rows: Sequence[Coverage]) -> float:
    """Return the mean distance of covered shares from their levels [1].

    Args:
        rows: of `normal_coverage` or `interval_coverage`, one or more.

    Assumes:
        Levels count the same.

    Source:
        Kuleshov, Fenner and Ermon, ICML 2018, arXiv 1807.00263, with absolute distances.
    """
    return float(np.mean([abs(row.covered - row.level) for row in rows]))


def crps_normal(truth: Sample, mean: Sample, std: Sample) -> float:
    """Return the mean continuous ranked probability score of normal distributions.

    It has the unit of the truth, is 0 for certainty about the truth, and equals the absolute error
    where `std` is 0.

    Args:
        truth: known values.
        mean: of each distribution.
        std: standard deviation of each, 0 or more; voxels that are not finite are left out.

    Raises:
        MetadataError: fewer than ten voxels.

    Assumes:
        What is told is a normal distribution.

    Source:
        Gneiting and Raftery, J Am Stat Assoc 102 (2007) 359, eq. 21.

    Example:
        >>> crps_normal(np.full(10, 2.0), np.zeros(10), np.zeros(10))
        2.0
    """
    off, spread = _usable(truth, mean, std)
    score = np.abs(off)
    some = spread > 0
    z = off[some] / spread[some]
    inner = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)
    score[some] = spread[some] * inner
    return float(score.mean())


def nll_normal(truth: Sample, mean: Sample, std: Sample) -> float:
    """Return the mean negative log likelihood of the truth under normal distributions [nats].

    Args:
        truth: known values.
        mean: of each distribution.
        std: standard deviation of each, above 0; voxels that are not finite are left out.

    Raises:
        MetadataError: fewer than ten voxels.

    Assumes:
        What is told is a normal distribution. One voxel that is certain and wrong decides it.

    Source:
        Gneiting and Raftery, J Am Stat Assoc 102 (2007) 359.

    Example:
        >>> round(nll_normal(np.zeros(10), np.zeros(10), np.ones(10)), 4)
        0.9189
    """
    off, spread = _usable(truth, mean, std)
    return float(-stats.norm.logpdf(off, scale=spread).mean())


def sparsification(error: Sample, uncertainty: Sample) -> Sparsification:
    """Return how well the told uncertainty orders the errors that were made.

    Args:
        error: estimate minus truth.
        uncertainty: larger where less is known, in any unit; voxels that are not finite are left
            out.

    Raises:
        MetadataError: fewer than ten voxels.

    Assumes:
        Errors are compared within one sample; areas of two samples compare only roughly.

    Source:
        Ilg et al., ECCV 2018, arXiv 1802.07095.

    Example:
        >>> sparsification(np.arange(20.0), np.arange(20.0)).area
        0.0
    """
    known = np.isfinite(error) & np.isfinite(uncertainty)
    _require(int(known.sum()))
    square, told = error[known] ** 2, uncertainty[known]
    best = _left(square, square)
    whole = max(best[0], np.finfo(float).tiny)
    told_area = float(np.mean(_left(square, told) - best) / whole)
    return Sparsification(
        area=told_area,
        random=float(np.mean(whole - best) / whole),
        spearman=float(stats.spearmanr(told, square).statistic),
    )


def _left(square: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return root mean squares of what is left without the largest shares of `by`."""
    sums = np.cumsum(square[np.argsort(by, kind="stable")])
    kept = np.ceil(len(square) * (1 - np.arange(_STEPS) / _STEPS)).astype(int)
    return np.asarray(np.sqrt(sums[kept - 1] / kept))


def _usable(truth: Sample, mean: Sample, std: Sample) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(truth) & np.isfinite(mean) & np.isfinite(std)
    _require(int(known.sum()))
    return truth[known] - mean[known], std[known]


def _require(count: int) -> None:
    if count < _FEWEST:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{count} voxels have a truth and an uncertainty",
            mend=f"give {_FEWEST} or more",
        )

"""Widths that make intervals hold what they claim, from voxels whose truth is known."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from bolus.errors import Code, MetadataError

Sample = Float[np.ndarray, " n"]


def conformal_reach(
    truth: Sample, mean: Sample, std: Sample, *, levels: Sequence[float]
) -> Float[np.ndarray, " levels"]:
    """Return by how many standard deviations intervals must reach to hold the truth.

    The reach of a level is the ceil((n + 1) level)-th smallest of |truth - mean| / std.

    Args:
        truth: known values.
        mean: of each distribution.
        std: standard deviation of each, above 0; voxels that are not finite are left out.
        levels: shares that intervals claim, each between 0 and 1.

    Returns:
        One factor for each level; 1.64 for 0.9 where distributions are normal and right.

    Raises:
        MetadataError: a level is not a share, or there are too few voxels for the highest.

    Assumes:
        New voxels are exchangeable with these. Those of another scanner or anatomy are not, and
        what is claimed then has to be measured on them.

    Source:
        Split conformal prediction: Lei et al., J Am Stat Assoc 113 (2018) 1094,
        doi 10.1080/01621459.2017.1307116.

    Example:
        >>> off = np.arange(1.0, 20.0)
        >>> conformal_reach(off, np.zeros(19), np.ones(19), levels=(0.5, 0.9)).tolist()
        [10.0, 18.0]
    """
    known = np.isfinite(truth) & np.isfinite(mean) & np.isfinite(std) & (std > 0)
    score = np.sort(np.abs(truth[known] - mean[known]) / std[known])
    shares = np.asarray(levels, np.float64)
    place = np.ceil((len(score) + 1) * shares - 1e-9).astype(int) - 1
    if ((shares <= 0) | (shares >= 1)).any() or (place >= len(score)).any():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(score)} voxels with a truth for the levels {tuple(levels)}",
            mend="give levels between 0 and 1, and more voxels than 1 / (1 - level)",
        )
    return np.asarray(score[place])

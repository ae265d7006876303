"""Limits and intervals from repeated measurements of what did not change."""

import numpy as np
from jaxtyping import Float

from bolus.habitats.track import Interval


def joint_limits(
    sizes: Float[np.ndarray, "draws habitats"], confidence: float
) -> Float[np.ndarray, " habitats"]:
    """Return limits, equally unlikely for each habitat, that all stay below in most draws.

    Args:
        sizes: of changes of nothing.
        confidence: share of the draws in which no habitat is above its limit.

    Assumes:
        Draws are alike in distribution.

    Source:
        Simultaneous limits from ranks: Besag et al., Stat Sci 1995;10:3-41, section 6.3.

    Example:
        >>> joint_limits(np.arange(100.0)[:, None], 0.95).tolist()
        [95.0]
    """
    ordered = np.sort(sizes, axis=0)
    ranks = sizes.argsort(axis=0).argsort(axis=0)
    level = int(np.ceil(np.quantile(ranks.max(axis=1), confidence)))
    return np.asarray(ordered[level])


def differences(
    first: Float[np.ndarray, "draws habitats"], second: Float[np.ndarray, "draws habitats"]
) -> Float[np.ndarray, "pairs habitats"]:
    """Return every difference of a draw of `second` and one of `first`.

    Args:
        first: draws that know nothing of the others.
        second: the same.

    Assumes:
        Draws are independent, so that every pair is one.

    Source:
        Own.

    Example:
        >>> differences(np.array([[1.0], [2.0]]), np.array([[5.0]])).ravel().tolist()
        [4.0, 3.0]
    """
    return np.asarray((second[None] - first[:, None]).reshape(-1, first.shape[1]))


def centred(draws: Float[np.ndarray, "draws habitats"]) -> Float[np.ndarray, "draws habitats"]:
    """Return draws less their mean.

    Args:
        draws: of volumes.

    Assumes:
        Nothing.

    Source:
        Own.
    """
    return np.asarray(draws - draws.mean(axis=0))


def intervals_around(
    values: Float[np.ndarray, " habitats"],
    repeats: Float[np.ndarray, "repeats habitats"],
    confidence: float,
    *,
    high: float,
) -> list[Interval]:
    """Return values with what their repeats scatter by, turned about the value.

    Args:
        values: as measured.
        repeats: of the measurement; their mean may lie elsewhere, and does not matter.
        confidence: share of the scatter between the ends.
        high: the largest possible value; the least is 0.

    Assumes:
        Repeats scatter about the measured value as that does about the true one.

    Source:
        Basic bootstrap interval: Davison and Hinkley, Bootstrap Methods and their Application,
        1997, section 5.2.

    Example:
        >>> draws = np.linspace(0, 2, 101)[:, None]
        >>> found = intervals_around(np.array([5.0]), draws, 0.9, high=np.inf)[0]
        >>> round(found.lower, 3), round(found.upper, 3)
        (4.1, 5.9)
    """
    tail = (1 - confidence) / 2
    low, up = np.quantile(centred(repeats), (tail, 1 - tail), axis=0)
    return [
        Interval(float(v), float(np.clip(v - b, 0, high)), float(np.clip(v - a, 0, high)))
        for v, a, b in zip(values, low, up, strict=True)
    ]

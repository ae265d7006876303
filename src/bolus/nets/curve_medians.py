"""Groups of curves by their mean absolute distance: the start of the codes, and a baseline."""

import numpy as np
import torch
from jaxtyping import Float, Int

from bolus.core import stream
from bolus.errors import Code, QuantityError
from bolus.nets.physical_axis import AXIS, PhysicalAxis

_CORE = 20_000
_RESTARTS = 4
_STEPS, _LAST_STEPS = 60, 10
_STILL = 1e-4


def curve_medians(
    values: Float[np.ndarray, "n points"], clusters: int, *, seed: int
) -> Float[np.ndarray, "clusters points"]:
    """Group curves by k-means on a core set, then by k-medians on all.

    Args:
        values: scaled curves on a common axis, without gaps.
        clusters: how many.
        seed: of the core set and of the restarts, of which the best counts.

    Returns:
        The pointwise median of every group, float32, the largest drop first.

    Raises:
        QuantityError: there are fewer curves than groups.

    Assumes:
        Groups without a curve keep their centre.

    Source:
        Bradley, Mangasarian and Street, NIPS 1996;9:368 (k-medians).

    Example:
        >>> deep, flat = np.ones(60), np.ones(60)
        >>> deep[16:20] = 0.4
        >>> found = curve_medians(np.repeat([flat, deep], 20, axis=0), 2, seed=1)
        >>> [round(float(curve.min()), 1) for curve in found]
        [0.4, 1.0]
    """
    from sklearn.cluster import KMeans

    if len(values) < clusters:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(values)} curves cannot make {clusters} groups",
            mend="give more curves",
        )
    random = stream(seed, "nets", "core")
    core = values[np.sort(random.permutation(len(values))[:_CORE])]
    means = KMeans(clusters, n_init=_RESTARTS, random_state=int(random.integers(2**31)))
    centres = means.fit(core).cluster_centers_.astype(np.float32)
    for some, steps in ((core, _STEPS), (values, _LAST_STEPS)):
        for _ in range(steps):
            before, centres = centres, _medians(some, centres)
            if np.abs(before - centres).max() < _STILL:
                break
    return np.asarray(centres[by_drop(centres)])


def _medians(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the median of the curves that are nearest to each centre."""
    group = nearest_curve(values, centres)
    moved = centres.copy()
    for number in np.unique(group):
        moved[number] = np.median(values[group == number], axis=0)
    return moved


def nearest_curve(
    values: Float[np.ndarray, "n points"], centres: Float[np.ndarray, "k points"]
) -> Int[np.ndarray, " n"]:
    """Return for each curve the number of the nearest centre in mean absolute distance."""
    far = torch.cdist(
        torch.from_numpy(np.array(values, np.float32)),
        torch.from_numpy(np.array(centres, np.float32)),
        p=1.0,
    )
    return np.asarray(far.argmin(1).numpy())


def by_drop(
    curves: Float[np.ndarray, "k points"], *, axis: PhysicalAxis = AXIS
) -> Int[np.ndarray, " k"]:
    """Return the order of curves by what they lose of the level before the arrival, most first.

    Example:
        >>> shallow, deep = np.ones(60), np.ones(60)
        >>> shallow[20], deep[20] = 0.9, 0.3
        >>> by_drop(np.array([shallow, deep]))
        array([1, 0])
    """
    before = axis.seconds < axis.arrival_s
    drop = curves[:, before].mean(axis=1) - curves.min(axis=1)
    return np.asarray(np.argsort(-drop, kind="stable"))

"""Which voxels touch: every pair of a grid once, as two views of the same array."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from jaxtyping import Shaped

FACES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
"""Half of the six neighbours that share a face; the other half are the same pairs, turned."""
ALL = tuple((x, y, z) for x, y, z in product((-1, 0, 1), repeat=3) if (x, y, z) > (0, 0, 0))
"""Half of the 26 neighbours."""


def voxel_pairs(
    values: Shaped[np.ndarray, "x y z"], step: tuple[int, int, int]
) -> tuple[Shaped[np.ndarray, "a b c"], Shaped[np.ndarray, "a b c"]]:
    """Return each voxel that has a neighbour one step on, and that neighbour.

    Args:
        values: anything on a grid.
        step: voxels along each axis: -1, 0 or 1.

    Returns:
        Two views of the same shape; nothing is copied.

    Assumes:
        Nothing: beyond the edge of the grid there is no neighbour.

    Source:
        Shifted label arrays instead of a filter over neighbourhoods: ours.

    Example:
        >>> first, second = voxel_pairs(np.arange(3).reshape(3, 1, 1), (1, 0, 0))
        >>> first.ravel().tolist(), second.ravel().tolist()
        ([0, 1], [1, 2])
    """
    here = tuple(
        slice(max(0, -s), size - max(0, s)) for s, size in zip(step, values.shape, strict=True)
    )
    there = tuple(
        slice(max(0, s), size - max(0, -s)) for s, size in zip(step, values.shape, strict=True)
    )
    return values[here], values[there]


def unlike_pairs(
    labels: Shaped[np.ndarray, "x y z"], steps: tuple[tuple[int, int, int], ...]
) -> Iterator[tuple[tuple[int, int, int], np.ndarray, np.ndarray]]:
    """Yield, for each step, the labels of neighbours that differ; 0 is nobody's neighbour.

    Args:
        labels: whole numbers, 0 outside.
        steps: `FACES` or `ALL`.

    Assumes:
        Labels are not negative.

    Source:
        As `voxel_pairs`.

    Example:
        >>> [(a.tolist(), b.tolist()) for _, a, b in unlike_pairs(np.array([[[1, 1, 2]]]), FACES)]
        [([], []), ([], []), ([1], [2])]
    """
    for step in steps:
        first, second = voxel_pairs(labels, step)
        unlike = (first != second) & (first > 0) & (second > 0)
        yield step, first[unlike], second[unlike]


def box_of(inside: Shaped[np.ndarray, "x y z"]) -> tuple[slice, slice, slice]:
    """Return the smallest box that holds every voxel that is not 0; an empty one if none.

    Args:
        inside: labels or a mask.

    Assumes:
        Nothing.

    Source:
        Cropping before any work that grows with the volume: ours.

    Example:
        >>> box_of(np.array([[[0, 1, 1, 0]]]))
        (slice(0, 1, None), slice(0, 1, None), slice(1, 3, None))
    """
    held = np.asarray(inside) != 0
    spans = []
    for axis in range(3):
        along = np.flatnonzero(held.any(axis=tuple(a for a in range(3) if a != axis)))
        spans.append(slice(int(along[0]), int(along[-1]) + 1) if along.size else slice(0, 0))
    return spans[0], spans[1], spans[2]

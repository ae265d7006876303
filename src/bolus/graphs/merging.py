"""Give regions too small to describe to the neighbour they touch most."""

import numpy as np
from jaxtyping import Int32, Integer

from bolus.graphs.adjacency import Contacts, contacts_of
from bolus.graphs.components import in_order

_ROUNDING = 1e-9
"""A volume that was asked for in whole voxels is not missed by rounding."""


def merge_small(
    labels: Integer[np.ndarray, "x y z"],
    *,
    within: Integer[np.ndarray, "x y z"],
    smallest_mm3: float,
    sizes_mm: tuple[float, float, float],
) -> Int32[np.ndarray, "x y z"]:
    """Merge each region below a volume with a larger neighbour, until none can be merged.

    A region goes to the larger neighbour (of equals, the one with the lower number) with which it
    shares the most area.

    Args:
        labels: 0 outside, else region + 1; every label that is used is one region.
        within: regions merge only where this is equal (ones: everywhere).
        smallest_mm3: a region of less volume [mm3] is merged.
        sizes_mm: edge lengths of a voxel [mm].

    Returns:
        Labels without gaps, in the order of their first voxel. A region that is alone in its part
        of `within` stays, however small.

    Assumes:
        Each region lies in one part of `within`.

    Source:
        As the clean-up of SLIC (Achanta et al., doi 10.1109/TPAMI.2012.120), by area of contact.

    Example:
        >>> merge_small(np.array([[[1, 1, 1, 2, 3, 3]]]), within=np.ones((1, 1, 6), int),
        ...             smallest_mm3=2, sizes_mm=(1.0, 1.0, 1.0)).ravel().tolist()
        [1, 1, 1, 1, 2, 2]
    """
    inside = labels > 0
    found = np.zeros(labels.shape, np.int32)
    if not inside.any():
        return found
    found[inside] = in_order(labels[inside]) + 1
    region = found[inside] - 1
    size = np.bincount(region)
    home = np.zeros(size.size, np.int64)
    home[region] = within[inside]
    part = np.arange(size.size)
    contacts = contacts_of(found, sizes_mm=sizes_mm)
    smallest = smallest_mm3 / float(np.prod(sizes_mm))
    while True:
        target = _targets(size, home, contacts, smallest)
        if np.array_equal(target, np.arange(target.size)):
            break
        new = in_order(target)
        part, contacts = new[part], _joined(contacts, new)
        size, home = np.bincount(new, weights=size), home[np.unique(new, return_index=True)[1]]
    found[inside] = part[region] + 1
    return found


def _targets(size: np.ndarray, home: np.ndarray, contacts: Contacts, smallest: float) -> np.ndarray:
    """Return which part each becomes part of: itself, or the end of a chain of larger ones."""
    target = np.arange(size.size)
    start, end = np.concatenate([contacts.pairs, contacts.pairs[:, ::-1]]).T
    area = np.concatenate([contacts.area_mm2, contacts.area_mm2])
    larger = (size[end] > size[start]) | ((size[end] == size[start]) & (end < start))
    may = (home[start] == home[end]) & larger & (size[start] < smallest - _ROUNDING)
    start, end, area = start[may], end[may], area[may]
    order = np.lexsort((-end, size[end], area, start))
    last = np.append(start[order][1:] != start[order][:-1], True)[: order.size]
    best = order[np.flatnonzero(last)]
    target[start[best]] = end[best]
    while not np.array_equal(target, target[target]):
        target = target[target]
    return target


def _joined(contacts: Contacts, new: np.ndarray) -> Contacts:
    """Return contacts between parts, of contacts between what they were made of."""
    pairs = np.sort(new[contacts.pairs], axis=1)
    apart = pairs[:, 0] != pairs[:, 1]
    unlike, place = np.unique(pairs[apart], axis=0, return_inverse=True)
    area = np.bincount(place.ravel(), weights=contacts.area_mm2[apart], minlength=len(unlike))
    return Contacts(pairs=unlike, area_mm2=area)

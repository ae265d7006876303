"""Nodes of two visits that are the same piece of tissue: links through time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32, Integer

from bolus.core.arrays import read_only
from bolus.errors import Code, GeometryError, MetadataError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitLinks:
    """Links from nodes of an earlier visit to nodes of a later one.

    `pairs` (earlier node, later node), sorted. `overlap_mm3` is the volume both hold;
    `of_earlier` and `of_later` its share of either. `appeared` are later nodes and `vanished`
    earlier nodes without any link.
    """

    pairs: Int32[np.ndarray, "links 2"]
    overlap_mm3: Float[np.ndarray, " links"]
    of_earlier: Float[np.ndarray, " links"]
    of_later: Float[np.ndarray, " links"]
    appeared: Int32[np.ndarray, " a"]
    vanished: Int32[np.ndarray, " v"]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, read_only(getattr(self, name)))


def link_visits(
    earlier: Integer[np.ndarray, "x y z"],
    later: Integer[np.ndarray, "x y z"],
    *,
    voxel_mm3: float,
    least_share: float = 0.1,
) -> VisitLinks:
    """Link nodes of two visits by the volume they share.

    Args:
        earlier: 0 outside, else node + 1.
        later: the same of the later visit, brought onto the earlier grid by registration (nearest
            neighbour, so that labels stay whole).
        voxel_mm3: volume of a voxel of that grid [mm3].
        least_share: a link needs this share of the smaller of the two nodes.

    Raises:
        GeometryError: the two do not lie on one grid.
        MetadataError: the share is not within 0 and 1.

    Assumes:
        Registration is right to less than a node's size. A tumour that pushes tissue aside moves
        nodes away from themselves; `least_share` bounds what is linked by chance.

    Source:
        Ours; the published graph has one visit.

    Example:
        >>> found = link_visits(np.array([[[1, 1, 2, 2]]]), np.array([[[1, 1, 1, 0]]]),
        ...                     voxel_mm3=2.0)
        >>> found.pairs.tolist(), found.overlap_mm3.tolist(), found.of_earlier.tolist()
        ([[0, 0], [1, 0]], [4.0, 2.0], [1.0, 0.5])
    """
    if earlier.shape != later.shape:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"the later visit has {later.shape} voxels where the earlier has {earlier.shape}",
            mend="bring the later labels onto the earlier grid first",
        )
    if not 0 <= least_share <= 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a least share of {least_share:g}",
            mend="give a number from 0 to 1",
        )
    before, after = (np.bincount(item.ravel())[1:] for item in (earlier, later))
    both = (earlier > 0) & (later > 0)
    key = (earlier[both].astype(np.int64) - 1) * max(after.size, 1) + later[both] - 1
    key, shared = np.unique(key, return_counts=True)
    first, second = key // max(after.size, 1), key % max(after.size, 1)
    kept = shared >= least_share * np.minimum(before[first], after[second])
    first, second, shared = first[kept], second[kept], shared[kept]
    return VisitLinks(
        pairs=np.stack([first, second], axis=1).astype(np.int32),
        overlap_mm3=shared * voxel_mm3,
        of_earlier=shared / before[first],
        of_later=shared / after[second],
        appeared=_unlinked(after, second),
        vanished=_unlinked(before, first),
    )


def _unlinked(volumes: np.ndarray, linked: np.ndarray) -> Int32[np.ndarray, " n"]:
    """Return nodes that exist (a label resampled away does not) and have no link."""
    exists = volumes > 0
    exists[linked] = False
    return np.flatnonzero(exists).astype(np.int32)

"""Which coarse region each fine one is part of."""

import numpy as np
from jaxtyping import Int32, Integer

from bolus.errors import Code, GeometryError


def parents_of(
    fine: Integer[np.ndarray, "x y z"], coarse: Integer[np.ndarray, "x y z"]
) -> Int32[np.ndarray, " fine"]:
    """Return the coarse node of each fine node.

    Args:
        fine: 0 outside, else fine node + 1.
        coarse: 0 outside, else coarse node + 1.

    Raises:
        GeometryError: the two do not cover the same voxels, or a fine node lies in two coarse ones.

    Assumes:
        Labels of `fine` are without gaps.

    Source:
        Assignment of cells to tissue in hierarchical graphs: Pati et al., Med Image Anal
        2022;75:102264, doi 10.1016/j.media.2021.102264.

    Example:
        >>> parents_of(np.array([[[1, 2, 3]]]), np.array([[[1, 1, 2]]])).tolist()
        [0, 0, 1]
    """
    if fine.shape != coarse.shape or not np.array_equal(fine > 0, coarse > 0):
        raise GeometryError(
            Code.GRID_MISMATCH,
            "fine and coarse regions do not cover the same voxels",
            mend="cut the fine regions with graphs.supervoxels out of these coarse ones",
        )
    inside = fine > 0
    child, parent = np.asarray(fine[inside]) - 1, np.asarray(coarse[inside]) - 1
    found = np.zeros(int(child.max(initial=-1)) + 1, np.int32)
    found[child] = parent
    if not np.array_equal(found[child], parent):
        torn = int(np.unique(child[found[child] != parent]).size)
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"{torn} fine regions lie in more than one coarse region",
            mend="cut the fine regions with graphs.supervoxels out of these coarse ones",
        )
    return found

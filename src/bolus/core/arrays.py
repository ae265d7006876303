"""Arrays as the rest of the package passes them: read-only, and named by their axes."""

import math
import mmap
import sys
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Shaped

Curve: TypeAlias = Float[np.ndarray, " t"]
Curves: TypeAlias = Float[np.ndarray, "voxels t"]
Volume: TypeAlias = Shaped[np.ndarray, "x y z"]
MaskVolume: TypeAlias = Bool[np.ndarray, "x y z"]
Affine: TypeAlias = Float[np.ndarray, "4 4"]


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to; nothing is copied."""
    view = values.view()
    view.flags.writeable = False
    return view


def sparse_zeros(shape: tuple[int, ...], dtype: np.dtype | type = np.float32) -> np.ndarray:
    """Return zeros of which only what is written to takes memory, 4 KiB at a time.

    `numpy.zeros` asks for pages of 2 MiB, and a brain touches nearly all of those.

    Args:
        shape: of the array, in C order.
        dtype: of its numbers.

    Example:
        >>> sparse_zeros((2, 3)).sum()
        np.float32(0.0)
    """
    count = math.prod(shape)
    if sys.platform == "win32" or not count:
        return np.zeros(shape, dtype)
    memory = mmap.mmap(
        -1, count * np.dtype(dtype).itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    if sys.platform == "linux":
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype).reshape(shape)


def sparse_copy(values: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Return a copy that takes memory only for the curves it holds; see `sparse_zeros`.

    Args:
        values: (x, y, z, t).
        inside: (x, y, z) voxels to copy, 0 elsewhere; None takes every curve that is not all 0.

    Example:
        >>> sparse_copy(np.ones((1, 1, 2, 3)), np.array([[[True, False]]]))[0, 0].tolist()
        [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """
    copy = sparse_zeros(values.shape, values.dtype)
    for x, (slab, target) in enumerate(zip(values, copy, strict=True)):
        kept = slab.any(axis=-1) if inside is None else inside[x]
        target[kept] = slab[kept]
    return copy

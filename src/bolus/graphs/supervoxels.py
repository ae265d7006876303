"""Supervoxels: compact pieces of like intensity, inside each region of one code."""

from itertools import product

import numpy as np
from jaxtyping import Float, Int32, Integer

from bolus.errors import Code, GeometryError, MetadataError
from bolus.graphs.components import code_components
from bolus.graphs.merging import merge_small
from bolus.graphs.neighbours import box_of
from bolus.graphs.slic_kernels import settle

_TO_SD = 1.4826
"""Median absolute deviation to standard deviation of a normal distribution."""
_WHOLE = 1.5
"""A region of less than this many pieces stays whole."""
_SMALLEST = 0.25
"""Of a piece's volume: less than this is no piece."""
_FITS = 4
"""Rounds in which edges grow."""
_WIDE = 1 << 12
"""More cells than a region has along an axis."""
_AROUND = tuple(product((0, -1, 1), repeat=3))


def scale_channels(
    channels: Float[np.ndarray, "voxels c"], reference: Float[np.ndarray, "others c"]
) -> Float[np.ndarray, "voxels c"]:
    """Centre and scale each channel by its median and spread in a reference tissue.

    Args:
        channels: values in any unit; not finite where there is none.
        reference: the same channels of the tumour itself, or of normal-appearing tissue.

    Returns:
        (value - median) / (1.4826 median absolute deviation); 0 where there was no value, and
        throughout a channel that does not vary in the reference.

    Assumes:
        More than half of the reference is one tissue.

    Source:
        Robust z-score. The published graph has none: Jang et al., arXiv 2605.07156, cluster raw
        intensities, so that a scanner's gain decides how compact their pieces are.

    Example:
        >>> values = np.arange(5.0)[:, None]
        >>> scale_channels(values, values).ravel().round(2).tolist()
        [-1.35, -0.67, 0.0, 0.67, 1.35]
    """
    scaled = np.zeros(channels.shape)
    for c in range(channels.shape[1]):
        values = np.asarray(channels[:, c], np.float64)
        finite = np.isfinite(values)
        known = reference[:, c][np.isfinite(reference[:, c])].astype(np.float64)
        if not known.size:
            continue
        middle = np.median(known)
        spread = _TO_SD * np.median(np.abs(known - middle)) or known.std()
        if spread > 0:
            scaled[finite, c] = (values[finite] - middle) / spread
    return scaled


def supervoxels(
    regions: Integer[np.ndarray, "x y z"],
    channels: Float[np.ndarray, "voxels c"],
    *,
    sizes_mm: tuple[float, float, float],
    piece_mm3: float = 500.0,
    compactness: float = 0.5,
    rounds: int = 10,
) -> Int32[np.ndarray, "x y z"]:
    """Cut every region into pieces of like intensity; no piece crosses a region's border.

    k-means in which a voxel sees only the centres near it (SLIC), for all regions at once:
    a voxel belongs to the centre with the least mean over channels of (difference)² +
    compactness² (distance / edge)², with edge³ = `piece_mm3`. Centres begin as the cells of a
    lattice laid into each region, in mm. Afterwards pieces that fell apart are counted
    apart, and those below a quarter of `piece_mm3` go to the neighbour they touch most.

    Args:
        regions: 0 outside, else region + 1, each connected: see `code_components`.
        channels: of `scale_channels`, one row for each voxel of a region, in C order.
        sizes_mm: edge lengths of a voxel [mm].
        piece_mm3: volume that pieces should have [mm3]; a region of less than 1.5 pieces stays
            whole.
        compactness: how many standard deviations of intensity one edge length is worth.
        rounds: at most so many.

    Returns:
        0 outside, else piece + 1, in the order of their first voxel.

    Raises:
        MetadataError: the volume or the compactness is not positive, or no round is asked for.
        GeometryError: there is not one row a voxel, or a channel is not finite.

    Assumes:
        Axes of the grid are perpendicular.

    Source:
        SLIC: Achanta et al., IEEE Trans Pattern Anal Mach Intell 2012;34:2274,
        doi 10.1109/TPAMI.2012.120. Inside components of one code: Jang et al., arXiv 2605.07156.
        All regions in one pass, lattice in mm, volume and compactness: ours,
        docs/science/graphs.md.

    Example:
        >>> image = np.repeat([[0.0], [5.0]], 4, axis=0)
        >>> supervoxels(np.ones((8, 1, 1), int), image, sizes_mm=(1.0, 1.0, 1.0),
        ...             piece_mm3=4.0).ravel().tolist()
        [1, 1, 1, 1, 2, 2, 2, 2]
    """
    _require(regions, channels, piece_mm3=piece_mm3, compactness=compactness, rounds=rounds)
    found = np.zeros(regions.shape, np.int32)
    box = box_of(regions)
    inner = regions[box]
    inside = inner > 0
    if not inside.any():
        return found
    region = inner[inside].astype(np.int64)
    index = np.argwhere(inside)
    edge_mm = piece_mm3 ** (1 / 3)
    cells = _lattice(region, index, np.array(sizes_mm), piece_mm3)
    start, near = _candidates(region, cells)
    label = settle(
        np.ascontiguousarray(channels, np.float64),
        index * (np.array(sizes_mm) / edge_mm),
        start,
        near,
        compactness**2,
        rounds,
    )
    pieces = np.zeros(inner.shape, np.int32)
    pieces[inside] = label + 1
    found[box] = merge_small(
        code_components(pieces),
        within=inner,
        smallest_mm3=_SMALLEST * piece_mm3,
        sizes_mm=sizes_mm,
    )
    return found


def _require(
    regions: np.ndarray,
    channels: np.ndarray,
    *,
    piece_mm3: float,
    compactness: float,
    rounds: int,
) -> None:
    if not (piece_mm3 > 0 and compactness > 0 and rounds > 0):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"pieces of {piece_mm3:g} mm3, a compactness of {compactness:g}, {rounds} rounds",
            mend="give positive numbers",
        )
    if len(channels) != np.count_nonzero(regions):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"{len(channels)} rows of channels for {np.count_nonzero(regions)} voxels of regions",
            mend="give one row for each voxel that lies in a region",
        )
    if not np.isfinite(channels).all():
        raise GeometryError(
            Code.VALUES_INVALID,
            "a channel is not finite in the tumour",
            mend="pass the images through graphs.scale_channels",
        )


def _lattice(
    region: np.ndarray, index: np.ndarray, sizes_mm: np.ndarray, piece_mm3: float
) -> np.ndarray:
    """Return the cell (voxels, 3) of each voxel in a lattice that fits its own region.

    A region that is thin or winding fills few cells of its box, and cells little: edges grow until
    there are about as many cells in use as pieces are wanted.
    """
    count = int(region.max()) + 1
    low = np.full((count, 3), np.iinfo(np.int64).max)
    high = np.full((count, 3), -1)
    np.minimum.at(low, region, index)
    np.maximum.at(high, region, index)
    span = np.maximum(high - low + 1, 1)
    wanted = np.bincount(region, minlength=count) * sizes_mm.prod() / piece_mm3
    edge_mm = np.full(count, piece_mm3 ** (1 / 3))
    for _ in range(_FITS):
        parts = np.clip(np.round(span * sizes_mm / edge_mm[:, None]), 1, span).astype(np.int64)
        parts[wanted < _WHOLE] = 1
        cells = (index - low[region]) * parts[region] // span[region]
        used = np.bincount(region[np.unique(_key(region, cells), return_index=True)[1]])
        cut = np.maximum((parts > 1).sum(axis=1), 1)
        edge_mm *= np.maximum(used / np.maximum(wanted, 1), 1) ** (1 / cut)
    return np.asarray(cells)


def _key(region: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return one number for each cell of each region; cells may be -1 and one too many."""
    x, y, z = (cells + 1).T
    return np.asarray(((region * _WIDE + x) * _WIDE + y) * _WIDE + z)


def _candidates(region: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the cells in use; return each voxel's, and the cells around each (-1: none)."""
    used, first, start = np.unique(_key(region, cells), return_index=True, return_inverse=True)
    near = np.full((used.size, len(_AROUND)), -1, np.int64)
    for j, step in enumerate(_AROUND):
        wanted = _key(region[first], cells[first] + np.array(step))
        place = np.minimum(np.searchsorted(used, wanted), used.size - 1)
        near[:, j] = np.where(used[place] == wanted, place, -1)
    return start, near

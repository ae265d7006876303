"""Brain mask from the perfusion series itself, and the image it is drawn on."""

import warnings

import numpy as np
from scipy import ndimage

from bolus.core import SIGNAL, Mask, PerfusionSeries, Volume
from bolus.errors import Code, GeometryError, QualityWarning

_FEW_VOXELS = 512
"""Below this there is no anatomy to segment: a packed table of curves, or a toy."""
_BRIDGE_MM = 5.0
"""Radius of the opening that parts brain from scalp and eyes."""
_BINS = 256
_CLOSING_MM = 6.0
"""Radius over which gaps are closed: sulci, vessels that lost their signal."""


def baseline_image(series: PerfusionSeries, baseline: slice) -> Volume:
    """Average the frames before the bolus.

    Args:
        series: signal [a.u.].
        baseline: frames, from `find_bolus`.

    Returns:
        Mean signal (x, y, z) [a.u.]; NaN where a frame holds NaN.

    Raises:
        QuantityError: the series is not a signal.

    Assumes:
        The head is still, or motion has been corrected.

    Source:
        Arithmetic mean.
    """
    return np.asarray(series.require(SIGNAL).values[..., baseline].mean(axis=-1, dtype=np.float64))


def find_brain(series: PerfusionSeries) -> Mask:
    """Segment the brain on the temporal median of the series.

    Otsu's threshold parts head and background; an opening of 5 mm cuts the bridges to scalp and
    eyes, the largest part is kept, and gaps up to 12 mm wide and holes are filled slice by slice,
    so that ventricles, necrosis and vessels stay inside.

    Args:
        series: signal [a.u.], at least two frames.

    Returns:
        The brain. Images of fewer than 512 voxels with signal are taken whole, with a
        QualityWarning.

    Raises:
        QuantityError: the series is not a signal.
        GeometryError: no voxel has signal.

    Assumes:
        The skull is dark and fat is suppressed, as in gradient-echo EPI.

    Source:
        Threshold: Otsu, IEEE Trans Syst Man Cybern 1979;9:62-66. Opening, largest part, filling:
        the usual steps of masks on EPI series.
    """
    series.require(SIGNAL)
    middle = _middle(series.values)
    signal = np.where(middle > 0, middle, 0.0).astype(np.float64)
    lit = np.count_nonzero(signal)
    if not lit:
        raise GeometryError(
            Code.MASK_EMPTY,
            "no voxel has signal in half of the frames",
            mend="check the series, or give a brain mask with --mask",
        )
    if lit < _FEW_VOXELS:
        warnings.warn(
            QualityWarning(f"only {lit} voxels have signal: all of them are taken as brain"),
            stacklevel=2,
        )
        return Mask(values=signal > 0, grid=series.grid, name="brain")
    found = _epi_mask(signal, series)
    return Mask(values=found, grid=series.grid, name="brain")


def _middle(values: np.ndarray) -> np.ndarray:
    """Return the temporal median, a slab at a time; samples that are not finite count as 0."""
    slabs = (np.nan_to_num(slab, nan=0.0, posinf=0.0, neginf=0.0) for slab in values)
    return np.stack([np.median(slab, axis=-1) for slab in slabs])


def _epi_mask(signal: np.ndarray, series: PerfusionSeries) -> np.ndarray:
    """Threshold, cut thin bridges, keep the largest part, close and fill it."""
    sizes_mm = series.grid.voxel_sizes_mm
    through = _slice_axis(series.grid.shape, sizes_mm)
    plane_mm = float(np.median(np.delete(sizes_mm, through)))
    disc = _disc(round(_BRIDGE_MM / plane_mm), through)
    head = signal > _otsu(signal)
    parts, count = ndimage.label(ndimage.binary_opening(head, disc))
    if not count:
        return _filled(head, through)
    volumes = ndimage.sum_labels(head, parts, index=range(1, count + 1))
    core = parts == 1 + int(np.argmax(volumes))
    whole = head & ndimage.binary_dilation(core, _disc(1, through))
    wide = _disc(round(_CLOSING_MM / plane_mm), through)
    return _filled(_closed(whole, wide), through)


def _slice_axis(shape: tuple[int, ...], sizes_mm: tuple[float, ...]) -> int:
    """Return the axis across slices: the one of length 1, else the one of the thickest step."""
    return shape.index(1) if 1 in shape else int(np.argmax(sizes_mm))


def _otsu(signal: np.ndarray) -> float:
    """Return Otsu's threshold; bright fluid and vessels are capped so that they do not rule."""
    capped = np.minimum(signal, np.percentile(signal[signal > 0], 90))
    counts, edges = np.histogram(capped, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = signal.size - below
    sums = np.cumsum(counts * centres)
    lower = sums[:-1] / np.maximum(below, 1)
    upper = (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    between = below * above * (lower - upper) ** 2
    return float(edges[1 + int(np.argmax(between))])


def _disc(radius: int, through: int) -> np.ndarray:
    """Return a disc in the plane of the slices."""
    size = max(radius, 1)
    grid = np.hypot(*np.indices((2 * size + 1, 2 * size + 1)) - size)
    return np.expand_dims(grid <= size + 0.3, through)


def _closed(mask: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Close gaps; the border is padded, for closing would eat it otherwise."""
    width = [(size // 2, size // 2) for size in disc.shape]
    closed = ndimage.binary_closing(np.pad(mask, width), disc)
    return np.asarray(
        closed[tuple(slice(w, n + w) for (w, _), n in zip(width, mask.shape, strict=True))]
    )


def _filled(mask: np.ndarray, through: int) -> np.ndarray:
    """Fill holes slice by slice: ventricles open to the outside across slices."""
    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(mask, through, 0)]
    return np.moveaxis(np.array(planes), 0, through)

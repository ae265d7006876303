"""Echo-planar images are stretched and squeezed along the phase-encode axis near air."""

import numpy as np

from bolus.core.geometry import Grid
from bolus.errors import Code, MetadataError
from bolus.simulate.disturbances import lost_phase_rate

_PHASE_AXIS = 1
"""Front to back, as usual for the head."""
_STRONGEST_PER_S = 90.0
"""The loss of phase at the centre of the strongest source of `lost_phase_rate`."""
_STEEPEST = 0.8
"""Displacement may change by this much per millimetre; at 1 the image would fold over."""
_ITERATIONS = 40
_MARGIN = 2


def displacement_mm(grid: Grid, *, to_scanner: np.ndarray, distortion_mm: float) -> np.ndarray:
    """Return how far tissue appears in front of its place (x, y, z) [mm], along the second axis.

    The field has the shape of the loss of phase beside air (`lost_phase_rate`): it is largest,
    `distortion_mm`, above the nose, two thirds of that above the ears, and 0 far from both.

    Args:
        grid: of the scan.
        to_scanner: from template to scanner millimetres.
        distortion_mm: the largest displacement; its sign is the polarity of the phase encoding.

    Source:
        Place of the sources: as of the signal loss; size set by the caller. Displacements of
        several millimetres are usual in echo-planar images: Jezzard and Balaban, Magn Reson Med
        1995;34:65.

    Example:
        >>> grid = Grid(shape=(8, 8, 4), affine=np.diag([20.0, 20.0, 20.0, 1.0]))
        >>> none = displacement_mm(grid, to_scanner=np.eye(4), distortion_mm=0.0)
        >>> float(np.abs(none).max())
        0.0
    """
    rate = lost_phase_rate(grid, to_scanner=to_scanner)
    return np.asarray(distortion_mm * rate / _STRONGEST_PER_S)


def distort(values: np.ndarray, shift_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """Return images as the echo-planar readout shows them: displaced, and brighter where squeezed.

    A voxel at y appears at y + d(y), and its signal is spread over 1 + dd/dy times its size, so
    no signal is lost or made. Between voxels the image is interpolated by cubic convolution.

    Args:
        values: (x, y, z) or (x, y, z, t), before noise.
        shift_mm: d, from `displacement_mm`; the image is returned untouched where all of it is 0.
        grid: of both.

    Raises:
        MetadataError: the displacement changes so fast that places would fold over each other.

    Source:
        Jezzard and Balaban, Magn Reson Med 1995;34:65. Keys, IEEE Trans Acoust Speech Signal
        Process 1981;29:1153.

    Example:
        >>> grid = Grid(shape=(4, 9, 2), affine=np.eye(4))
        >>> image = np.zeros(grid.shape); image[:, 4] = 1.0
        >>> moved = distort(image, np.full(grid.shape, 2.0), grid)
        >>> int(moved[0, :, 0].argmax()), round(float(moved[0].sum()), 6)
        (6, 2.0)
    """
    if not shift_mm.any():
        return values
    shift = shift_mm / grid.voxel_sizes_mm[_PHASE_AXIS]
    slope = np.gradient(shift, axis=_PHASE_AXIS)
    if (steepest := float(np.abs(slope).max())) > _STEEPEST:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"the displacement changes by {steepest:.2f} mm per mm (at most {_STEEPEST})",
            mend="choose a smaller distortion",
        )
    source = _where_from(shift)
    squeezed = 1 / (1 + _linear(slope, source))
    frames = values[..., None] if values.ndim == 3 else values
    shown = _cubic(frames, source) * squeezed[..., None].astype(values.dtype)
    return np.asarray(shown.reshape(values.shape), values.dtype)


def _where_from(shift: np.ndarray) -> np.ndarray:
    """Return the place y [voxels] that appears at each voxel: the root of y + d(y) = voxel."""
    voxel = np.indices(shift.shape)[_PHASE_AXIS].astype(np.float64)
    place = voxel.copy()
    for _ in range(_ITERATIONS):
        place = voxel - _linear(shift, place)
    return np.asarray(place)


def _linear(field: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return a field between its voxels, along the phase axis; constant beyond its ends."""
    last = field.shape[_PHASE_AXIS] - 1
    inside = np.clip(place, 0, last)
    low = np.minimum(np.floor(inside).astype(np.int64), last - 1)
    share = inside - low
    before = np.take_along_axis(field, low, axis=_PHASE_AXIS)
    after = np.take_along_axis(field, low + 1, axis=_PHASE_AXIS)
    return np.asarray((1 - share) * before + share * after)


def _cubic(frames: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return images (x, y, z, t) at places along the phase axis; 0 beyond their ends."""
    count = frames.shape[_PHASE_AXIS]
    low = np.floor(place).astype(np.int64)
    share = place - low
    padded = np.pad(frames, [(0, 0), (_MARGIN, _MARGIN), (0, 0), (0, 0)])
    total = np.zeros_like(frames)
    for step in (-1, 0, 1, 2):
        at = np.clip(low + step + _MARGIN, 0, count + 2 * _MARGIN - 1)
        weight = _keys(np.abs(share - step)).astype(frames.dtype)[..., None]
        total += weight * np.take_along_axis(padded, at[..., None], axis=_PHASE_AXIS)
    return total


def _keys(distance: np.ndarray) -> np.ndarray:
    """Return the weights of cubic convolution at distances [voxels] up to 2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.asarray(np.where(distance <= 1, near, np.where(distance < 2, far, 0.0)))

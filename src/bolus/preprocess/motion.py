"""Rigid head motion, frame by frame, in a series whose contrast changes as the bolus passes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from bolus.core import SIGNAL, Grid, PerfusionSeries, Step
from bolus.errors import Code, GeometryError, QualityWarning
from bolus.preprocess.rigid import (
    Registration,
    displacement_mm,
    frame_matrix,
    frame_parameters,
)

_FEWEST_IN_PLANE = 16
"""Voxels per side below which there is no shape to register."""
_STILL_MM = 0.15
"""Motion below this is the estimate's own noise: the frame is left bit for bit as it was."""
_MOST_LOST = 0.2
"""With a larger share of frames lost this is no head, and the rest is not to be trusted either."""
_UNKNOWN = -32768.0
"""What int16 images hold where nothing was measured."""
_CANDIDATES = 12
"""Frames at the beginning among which the reference is chosen: before most boluses."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MotionCorrection:
    """A series with the head where it was in the reference frame, and how it had moved.

    `parameters` are translations x y z [mm] and rotations about x, y, z [deg] of the head in RAS+,
    about the centre of the grid, from the reference frame to each frame. `skipped` says why
    nothing was done ("" if it was); the series is then the one that came, and all numbers are 0.
    """

    series: PerfusionSeries
    parameters: Float[np.ndarray, "t 6"]
    displacement_mm: Float[np.ndarray, " t"]
    """Mean displacement of the head against the reference frame."""
    matrices: Float[np.ndarray, "t 4 4"]
    """RAS+ position in the reference frame to position in each frame [mm]."""
    resampled: tuple[int, ...]
    """Frames that were moved back; the others moved less than the estimate can tell."""
    reference_frame: int
    skipped: str = ""


def correct_motion(
    series: PerfusionSeries,
    *,
    enabled: bool = True,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MotionCorrection:
    """Bring every frame to where the head was in the reference frame.

    Each frame is registered rigidly by least squares. The frame may be a parabola of the reference,
    for the bolus darkens what is bright; voxels that do not follow it, such as vessels, lose their
    weight. Frames that moved by less than 0.15 mm are left as they are;
    the others are resampled with cubic splines, kept within the range of the frame.

    Args:
        series: signal [a.u.]; voxels that are not finite or negative do not take part.
        enabled: False gives the series back, and says so.
        overwrite: write the frames that are moved into the memory of `series`, which must not be
            used afterwards; without it a second series of the same size is needed.
        progress: called with the frames done and their number.

    Returns:
        The corrected series and the motion; see `MotionCorrection`.

    Raises:
        QuantityError: the series is not a signal.

    Assumes:
        The head moves between frames, not within one, and moves as a rigid body. A single slice
        is registered in its plane.

    Source:
        Least squares: Friston et al., Hum Brain Mapp 1995;3:165-189. Robust weights: Beaton and
        Tukey, Technometrics 1974;16:147-185.
    """
    series.require(SIGNAL)
    reason = "" if enabled else "switched off in the settings"
    if not reason and sorted(series.grid.shape)[1] < _FEWEST_IN_PLANE:
        shape = " x ".join(map(str, series.grid.shape))
        reason = f"an image of {shape} voxels has no shape to register"
    if reason:
        return _untouched(series, reason)
    reference = _reference_frame(series)
    matrices, lost = _estimate(series, reference, progress)
    if lost > _MOST_LOST * len(series.time):
        return _untouched(series, f"{lost} of {len(series.time)} frames show no head to register")
    head = _head(series, reference)
    moved = np.array([displacement_mm(m, head) for m in matrices])
    still = moved < _STILL_MM
    resampled = tuple(int(frame) for frame in np.flatnonzero(~still))
    step = Step(
        "preprocess.correct_motion",
        {
            "reference_frame": reference,
            "largest_displacement_mm": round(float(moved.max()), 3),
            "frames_resampled": len(resampled),
            "interpolation": "cubic spline",
        },
        source="10.1002/hbm.460030303",
    )
    return MotionCorrection(
        series=_moved_back(series, matrices, resampled, step, overwrite=overwrite),
        parameters=np.array([frame_parameters(m, series.grid) for m in matrices]),
        displacement_mm=moved,
        matrices=matrices,
        resampled=resampled,
        reference_frame=reference,
    )


def apply_motion(
    series: PerfusionSeries, motion: MotionCorrection, *, overwrite: bool = False
) -> PerfusionSeries:
    """Apply the motion found on one series to another of the same frames (a second echo).

    Args:
        series: signal [a.u.] on the same grid, with the same frames.
        motion: from `correct_motion`.
        overwrite: as in `correct_motion`.

    Returns:
        The series with the same frames resampled.

    Raises:
        GeometryError: another grid or another number of frames.

    Assumes:
        Both were taken together.

    Source:
        See `correct_motion`.
    """
    motion.series.grid.require_match(series.grid, what="the second echo")
    if len(series.time) != len(motion.matrices):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"the second echo has {len(series.time)} frames where the first has "
            f"{len(motion.matrices)}",
            mend="give both echoes of the same series",
        )
    if not motion.resampled:
        return series
    step = Step("preprocess.apply_motion", {"frames_resampled": len(motion.resampled)})
    return _moved_back(series, motion.matrices, motion.resampled, step, overwrite=overwrite)


def reapply_motion(
    series: PerfusionSeries,
    parameters: Float[np.ndarray, "t 6"],
    moved_mm: Float[np.ndarray, " t"],
    *,
    overwrite: bool = False,
) -> PerfusionSeries:
    """Move the frames of a series back as an earlier run found, without searching again.

    Args:
        series: signal [a.u.] of that run, as it was read.
        parameters: as in `MotionCorrection`.
        moved_mm: displacement of every frame; those that hardly moved are left as they are.
        overwrite: as in `correct_motion`.

    Returns:
        The series as that run had it, but for rounding.

    Raises:
        GeometryError: another number of frames.

    Assumes:
        The motion is that of this series.

    Source:
        See `correct_motion`.
    """
    if parameters.shape != (len(series.time), 6) or len(moved_mm) != len(parameters):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"motion of {len(parameters)} frames for a series of {len(series.time)}",
            mend="give the motion that was found on this series",
        )
    frames = tuple(int(frame) for frame in np.flatnonzero(moved_mm >= _STILL_MM))
    if not frames:
        return series
    matrices = np.array([frame_matrix(row, series.grid) for row in parameters])
    step = Step(
        "preprocess.reapply_motion", {"frames_resampled": len(frames)}, "10.1002/hbm.460030303"
    )
    return _moved_back(series, matrices, frames, step, overwrite=overwrite)


def _untouched(series: PerfusionSeries, reason: str) -> MotionCorrection:
    frames = len(series.time)
    return MotionCorrection(
        series=series,
        parameters=np.zeros((frames, 6)),
        displacement_mm=np.zeros(frames),
        matrices=np.tile(np.eye(4), (frames, 1, 1)),
        resampled=(),
        reference_frame=0,
        skipped=reason,
    )


def _reference_frame(series: PerfusionSeries) -> int:
    """Return the early frame that is most like the other early ones."""
    total = np.zeros(min(_CANDIDATES, len(series.time)))
    for slab in series.values:
        early = slab[..., :_CANDIDATES].astype(np.float32)
        finite = np.nan_to_num(early, nan=0.0, posinf=0.0, neginf=0.0)
        difference = np.abs(finite - np.median(finite, axis=-1, keepdims=True))
        total += difference.sum(axis=(0, 1), dtype=np.float64)
    return int(total.argmin())


def _estimate(
    series: PerfusionSeries, reference: int, progress: Callable[[int, int], None] | None
) -> tuple[Float[np.ndarray, "t 4 4"], int]:
    """Register frames outwards from the reference, each beginning where its neighbour ended.

    Returns the matrices, and how many frames could not be registered.
    """
    frames = len(series.time)
    registration = Registration(series.values[..., reference], series.grid)
    matrices = np.tile(np.eye(4), (frames, 1, 1))
    lost: list[int] = []
    order = [*range(reference + 1, frames), *range(reference - 1, -1, -1)]
    for done, frame in enumerate(order):
        start = matrices[frame - 1 if frame > reference else frame + 1]
        found = registration.register(series.values[..., frame], start=start)
        if found is None:
            lost.append(frame)
        matrices[frame] = start if found is None else found
        if progress is not None:
            progress(done + 1, frames - 1)
    if lost:
        warnings.warn(
            QualityWarning(
                f"{len(lost)} of {frames} frames show no head to register (first: frame "
                f"{min(lost)}): they are taken to lie where their neighbour does"
            ),
            stacklevel=3,
        )
    return matrices, len(lost)


def _head(series: PerfusionSeries, reference: int) -> np.ndarray:
    """Return positions (n, 3) [mm] spread over the head, to measure displacement at."""
    frame = np.nan_to_num(series.values[..., reference], nan=0.0, posinf=0.0, neginf=0.0)
    lit = frame[frame > 0]
    level = 0.3 * np.percentile(lit, 90) if lit.size else -np.inf
    places = np.argwhere(frame > level)
    every = max(1, len(places) // 2000)
    return series.grid.centres_mm(places[::every])


def _moved_back(
    series: PerfusionSeries,
    matrices: np.ndarray,
    frames: tuple[int, ...],
    step: Step,
    *,
    overwrite: bool = False,
) -> PerfusionSeries:
    values = _writeable(series.values) if overwrite else None
    if values is None:
        values = np.array(series.values, dtype=np.result_type(series.values.dtype, np.float32))
    for frame in frames:
        values[..., frame] = _resampled(values[..., frame], matrices[frame], series.grid)
    return series.derive(values, SIGNAL, step)


def _writeable(values: np.ndarray) -> np.ndarray | None:
    """Return the same memory to write to; None where it is not ours or holds whole numbers."""
    if values.dtype.kind != "f":
        return None
    view = values.view()
    try:
        view.flags.writeable = True
    except ValueError:
        return None
    return view


def _resampled(frame: np.ndarray, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """Fetch each voxel from where its tissue is in this frame; what is unknown stays so.

    Unknown voxels (not finite, or the fill value of int16 images) are bridged by their neighbours
    first: a spline through a cliff would ring far into the brain.
    """
    voxels = np.linalg.inv(grid.affine) @ matrix @ grid.affine
    known = np.isfinite(frame) & (frame > _UNKNOWN)
    if not known.any():
        return frame
    moved = ndimage.affine_transform(
        _bridged(frame, known), voxels[:3, :3], offset=voxels[:3, 3], order=3, mode="nearest"
    )
    moved = np.clip(moved, frame[known].min(), frame[known].max())
    if not known.all():
        nearest = {"offset": voxels[:3, 3], "order": 0, "mode": "nearest"}
        lost = ndimage.affine_transform((~known).astype(np.uint8), voxels[:3, :3], **nearest) > 0
        moved[lost] = ndimage.affine_transform(frame, voxels[:3, :3], **nearest)[lost]
    return np.asarray(moved, frame.dtype)


def _bridged(frame: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Replace unknown voxels by the mean of their known neighbours, or of all known voxels."""
    if known.all():
        return frame
    filled = np.where(known, frame, 0.0)
    total = ndimage.uniform_filter(filled, 3, mode="nearest")
    share = ndimage.uniform_filter(known.astype(filled.dtype), 3, mode="nearest")
    with np.errstate(invalid="ignore", divide="ignore"):
        around = np.where(share > 1e-6, total / share, filled[known].mean())
    return np.where(known, frame, around).astype(frame.dtype)

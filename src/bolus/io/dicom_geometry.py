"""Where the slices of a DICOM series lie: one regular stack, or an error that names the gap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core import Grid
from bolus.errors import BolusError, Code, FileError, GeometryError
from bolus.io.dicom_frames import DicomFrame

_SAME_MM = 0.05
"""Two images closer than this along the normal are of one slice: rounding, not anatomy."""
_BESIDE_MM = 0.1
_UNEVEN = 0.02
_NEEDED = (
    ("position", "ImagePositionPatient"),
    ("orientation", "ImageOrientationPatient"),
    ("spacing", "PixelSpacing"),
)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceStack:
    """The slice of every frame, counted along the normal, and the grid they form.

    `slice_of` is (frames,), `distances_mm` (slices,) along the normal of the images.
    """

    slice_of: np.ndarray
    distances_mm: np.ndarray
    grid: Grid


def stack_slices(frames: Sequence[DicomFrame]) -> SliceStack:
    """Return the regular stack that the frames of one image form.

    Voxel axes are the columns, the rows and the slices of DICOM; slices rise along the normal
    (row direction x column direction). The affine is exact: LPS to RAS changes two signs.

    Args:
        frames: of one echo, flip angle and matrix size, in any order.

    Raises:
        FileError: a tag is missing, or slices are.
        GeometryError: the images are not parallel, not of one spacing, or not on one line.
    """
    axes, spacing = _shared(frames)
    normal = np.cross(axes[:3], axes[3:])
    positions = np.array([frame.position for frame in frames])
    along = positions @ normal
    slice_of, first = _levels(along, positions)
    corners = positions[first]
    step = _step(corners, corners @ normal, normal=normal, frames=frames)
    affine = np.eye(4)
    affine[:3, 0] = axes[:3] * spacing[1]
    affine[:3, 1] = axes[3:] * spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = corners[0]
    shape = (frames[0].cols, frames[0].rows, len(first))
    grid = Grid(shape=shape, affine=_LPS_TO_RAS @ affine)
    return SliceStack(slice_of=slice_of, distances_mm=corners @ normal, grid=grid)


def _shared(frames: Sequence[DicomFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Return orientation (6,) and spacing (2,), which all frames must share."""
    for name, tag in _NEEDED:
        for frame in frames:
            stated = frame.position if name == "position" else frame.facts[name]
            if stated is None:
                raise FileError(
                    Code.DICOM_HEADER,
                    f"does not state {tag}",
                    mend="export the series again",
                    where=frame.file.label,
                )
    if len({(frame.rows, frame.cols) for frame in frames}) > 1:
        raise _irregular("its images have different matrix sizes", "export it again")
    axes = np.array([frame.facts["orientation"] for frame in frames])
    spacings = np.array([frame.facts["spacing"] for frame in frames])
    if np.ptp(axes, axis=0).max() > 1e-3:
        raise _irregular("its images are not parallel", "a localiser cannot be imported")
    if np.ptp(spacings, axis=0).max() > 1e-3:
        raise _irregular("its images have different pixel sizes", "export it again")
    # the smallest, not the first: the result must not depend on the order of the files
    own, spacing = axes[np.lexsort(axes.T)[0]], spacings[np.lexsort(spacings.T)[0]]
    lengths = np.linalg.norm(own.reshape(2, 3), axis=1)
    if np.abs(lengths - 1).max() > 1e-3 or abs(own[:3] @ own[3:]) > 1e-3:
        raise _irregular("ImageOrientationPatient is not two perpendicular unit vectors",
                         "export it again")  # fmt: skip
    if spacing.min() <= 0 or spacing.max() > 50:
        raise _irregular(
            f"PixelSpacing is {spacing[0]:g} x {spacing[1]:g} mm, which cannot be right",
            "export it again",
        )
    return own, spacing


def _levels(along: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the slice of each frame, and for each slice the frame whose corner stands for it."""
    order = np.argsort(along, kind="stable")
    breaks = np.diff(along[order]) > _SAME_MM
    slice_of = np.empty(len(along), np.intp)
    slice_of[order] = np.concatenate([[0], np.cumsum(breaks)])
    first = []
    for number in range(int(slice_of.max()) + 1):
        members = np.flatnonzero(slice_of == number)
        corners = positions[members]
        smallest = members[np.lexsort(corners.T)[0]]
        if np.abs(corners - positions[smallest]).max() > _BESIDE_MM:
            raise _irregular(
                f"images at {along[smallest]:.2f} mm lie beside each other", "export it again"
            )
        first.append(int(smallest))
    return slice_of, first


def _step(
    corners: np.ndarray, along: np.ndarray, *, normal: np.ndarray, frames: Sequence[DicomFrame]
) -> np.ndarray:
    """Return the vector from one slice to the next."""
    if len(corners) == 1:
        facts = frames[0].facts
        size = facts["gap"] or facts["thickness"]
        if not size or size <= 0:
            raise FileError(
                Code.DICOM_HEADER,
                "has one slice and does not say how thick it is",
                mend="export the series again",
            )
        return np.asarray(normal * size)
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    tolerance = max(_SAME_MM, _UNEVEN * usual)
    steps = np.rint(gaps / usual)
    if (np.abs(gaps - usual) > tolerance).any():
        if (np.abs(gaps - steps * usual) <= tolerance).all() and steps.min() >= 1:
            raise _missing_slices(along, steps, usual)
        raise _irregular(
            f"its slices are {gaps.min():.2f} to {gaps.max():.2f} mm apart", "export it again"
        )
    step = (corners[-1] - corners[0]) / (len(corners) - 1)
    line = corners[0] + np.arange(len(corners))[:, None] * step
    if np.linalg.norm(corners - line, axis=1).max() > _BESIDE_MM:
        raise _irregular("its slices do not lie on one line", "export it again")
    return np.asarray(step)


def _missing_slices(along: np.ndarray, steps: np.ndarray, usual: float) -> BolusError:
    absent = [
        float(along[place] + number * usual)
        for place, count in enumerate(steps)
        for number in range(1, int(count))
    ]
    shown = ", ".join(f"{place:.2f}" for place in absent[:3])
    more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
    return FileError(
        Code.DICOM_INCOMPLETE,
        f"lacks the slice at {shown} mm{more} in every frame (slices are {usual:.2f} mm apart)",
        mend="fetch the series again; nothing is interpolated",
    )


def _irregular(what: str, mend: str) -> GeometryError:
    return GeometryError(
        Code.DICOM_GEOMETRY, what, mend=f"{mend}, or leave it out with --series NUMBER=skip"
    )

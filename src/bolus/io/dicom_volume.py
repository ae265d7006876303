"""The pixels of one DICOM image as an array on its grid, in whole numbers where they are whole."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core import Grid
from bolus.errors import Code, FileError
from bolus.io.access import require_memory
from bolus.io.dicom_frames import DicomFrame, shown_values, stored_values
from bolus.io.dicom_geometry import stack_slices
from bolus.io.dicom_order import FrameOrder, order_frames
from bolus.io.dicom_scan import HeaderChild
from bolus.io.dicom_times import FrameTimes, frame_times

_MOST_INT16 = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomVolume:
    """One image of a series: `values` (x, y, z, t), t being 1 for a single volume.

    `times` is `None` for a single volume, `order` if another program read it. `notes` are sentences
    for the user.
    """

    values: np.ndarray
    grid: Grid
    times: FrameTimes | None
    order: FrameOrder | None
    notes: tuple[str, ...]


def read_volume(
    frames: Sequence[DicomFrame], child: HeaderChild, *, repetition_s: float | None
) -> DicomVolume:
    """Order the frames of one image and read their pixels.

    Args:
        frames: of one echo, flip angle and matrix size, in any order.
        child: decodes compressed pixels.
        repetition_s: RepetitionTime of the header [s].

    Raises:
        FileError: something is missing, damaged or there twice.
        GeometryError: the slices form no regular stack.
        TimingError: the order of the frames is not agreed by three tags.
        ResourceError: too little memory.
    """
    stack = stack_slices(frames)
    order = order_frames(
        frames, stack.slice_of, stack.distances_mm,
        lambda one, other: bool(
            np.array_equal(shown_values(one, child), shown_values(other, child))
        ),
    )  # fmt: skip
    several = order.places.shape[1] > 1
    times = frame_times(order, stack.distances_mm, repetition_s=repetition_s) if several else None
    notes = _order_notes(order) + (times.notes if times else ())
    values, scaling = _values(order, stack.grid, child)
    return DicomVolume(
        values=values, grid=stack.grid, times=times, order=order, notes=(*notes, *scaling)
    )


def _order_notes(order: FrameOrder) -> tuple[str, ...]:
    notes = []
    if order.agreed:
        notes.append(f"order agreed by {', '.join(order.agreed)}")
    if order.disagreed:
        notes.append(f"another order by {', '.join(order.disagreed)}, not followed")
    if order.dropped:
        notes.append(f"{order.dropped} identical copies of images were dropped")
    return tuple(notes)


def _values(
    order: FrameOrder, grid: Grid, child: HeaderChild
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the values (x, y, z, t) and what is to be said of their scaling."""
    scales = sorted({(f.slope, f.intercept) for f in order.frames})
    if any(slope == 0 for slope, _ in scales):
        raise FileError(
            Code.DICOM_HEADER, "has a RescaleSlope of 0", mend="export the series again"
        )
    factors, notes = _common_scale(order, scales)
    plain = scales == [(1.0, 0.0)] and factors is None
    facts = order.frames[0].file.pixels
    narrow = facts["signed"] == 1 or facts["stored"] < 16
    kind = (np.int16 if narrow else np.uint16) if plain else np.float32
    slices, times = order.places.shape
    shape = (times, slices, grid.shape[1], grid.shape[0])
    require_memory(2 * int(np.prod(shape)) * np.dtype(kind).itemsize, purpose="this DICOM series")
    values = np.empty(shape, kind)
    for level in range(slices):
        for time in range(times):
            frame = order.frames[order.places[level, time]]
            if plain:
                values[time, level] = stored_values(frame, child)
            else:
                factor = 1.0 if factors is None else factors[order.places[level, time]]
                values[time, level] = shown_values(frame, child) * factor
    if kind == np.uint16 and values.max(initial=0) <= _MOST_INT16:
        values = values.view(np.int16)
    return values.transpose(3, 2, 1, 0), notes


def _common_scale(
    order: FrameOrder, scales: Sequence[tuple[float, float]]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return what makes Philips' displayed values comparable between frames, where that differs.

    A displayed value over (rescale slope x scale slope) is the floating-point value of the
    scanner: Chenevert et al., Translational Oncology 2014;7:65.
    """
    if scales == [(1.0, 0.0)]:
        notes: tuple[str, ...] = ()
    elif len(scales) == 1:
        notes = (f"rescaled by slope {scales[0][0]:g} and intercept {scales[0][1]:g}",)
    else:
        notes = (f"rescaled by {len(scales)} different slopes and intercepts",)
    private = [f.facts["philips_slope"] for f in order.frames]
    if any(not slope for slope in private):
        return None, notes
    products = np.array([f.slope * s for f, s in zip(order.frames, private, strict=True)])
    if np.ptp(products) <= 1e-6 * products.max():
        return None, (*notes, "Philips' private scale slope is the same in all frames")
    return 1 / products, (*notes, "Philips' private scale slope differs: scanner values are used")

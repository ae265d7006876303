"""When the frames of an ordered DICOM series were taken, in seconds from the first."""

from dataclasses import dataclass

import numpy as np

from bolus.core.arrays import Curve
from bolus.errors import Code, FileError, TimingError
from bolus.io.dicom_order import FrameOrder

_SOURCES = (
    ("TemporalPositionTimeOffset", 1.0),
    ("FrameAcquisitionDateTime", 1.0),
    ("FrameReferenceDateTime", 1.0),
    ("AcquisitionDateTime", 1.0),
    ("AcquisitionTime", 1.0),
    ("TriggerTime", 1e-3),
    ("Philips (2005,10A0)", 1.0),
    ("ContentTime", 1.0),
)
"""Tags that hold a time, most reliable first, and their unit [s]. ContentTime comes last: it may
be when an image was reconstructed."""
_RESOLUTION_S = 0.011
"""Scanners write clock times to 2.5 or 10 ms."""
_AGREE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTimes:
    """Times [s] from the first frame; `step_s` where they are regular; the tag they come from.

    `slice_times_s` are the times of the slices within a frame [s], where the tag tells them.
    """

    seconds: Curve
    step_s: float | None
    source: str
    notes: tuple[str, ...]
    slice_times_s: Curve | None


def frame_times(
    order: FrameOrder, distances_mm: np.ndarray, *, repetition_s: float | None
) -> FrameTimes:
    """Return the times of the frames.

    They are regular if they keep a constant step within 1 % or the clock's resolution; the step is
    then the repetition time if that is the same within 1 %.

    Args:
        order: of a series of several frames.
        distances_mm: where the slices lie, for messages.
        repetition_s: RepetitionTime of the header [s].

    Raises:
        TimingError: no agreed tag holds times.
        FileError: the times of a slice do not fit those of the others.
    """
    found = [(name, unit) for name, unit in _SOURCES if name in order.agreed]
    if not found:
        raise TimingError(
            Code.DICOM_ORDER,
            "the order is known and no tag holds times",
            mend="fetch the series again with its acquisition times",
        )
    name, unit = found[0]
    seconds, within = _of_slices(order, name, unit, distances_mm)
    fitted = float(seconds[-1] / (len(seconds) - 1))
    notes = tuple(
        f"{other} has frames {step:.4g} s apart, {name} {fitted:.4g} s; {name} is used"
        for other, other_unit in found[1:]
        if other != "ContentTime"
        and abs((step := _mean_step(order, other, other_unit)) - fitted) > 0.05 * fitted
    )
    regular = np.abs(seconds - fitted * np.arange(len(seconds))).max()
    if regular > max(_RESOLUTION_S, _AGREE * fitted):
        return FrameTimes(
            seconds=np.round(seconds, 6), step_s=None, source=name, notes=notes,
            slice_times_s=within,
        )  # fmt: skip
    step = round(fitted, 6)
    if repetition_s is not None and abs(repetition_s - fitted) <= _AGREE * fitted:
        step = repetition_s
    return FrameTimes(
        seconds=step * np.arange(len(seconds)), step_s=step, source=name, notes=notes,
        slice_times_s=within,
    )  # fmt: skip


def _mean_step(order: FrameOrder, name: str, unit: float) -> float:
    told = order.witnesses[name][order.places] * unit
    return float(np.median(told[:, -1] - told[:, 0])) / float(told.shape[1] - 1)


def _of_slices(
    order: FrameOrder, name: str, unit: float, distances_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the median time of the slices, and when each slice is taken within a frame."""
    told = order.witnesses[name][order.places] * unit  # (slices, times)
    since = told - told[:, :1]
    seconds = np.median(since, axis=0)
    steps = np.diff(seconds)
    off = np.abs(since - seconds).max(axis=1)
    if off.max() > max(0.5 * float(np.median(steps)), _RESOLUTION_S):
        worst = int(off.argmax())
        frame = int(np.abs(since[worst] - seconds).argmax())
        raise FileError(
            Code.DICOM_INCOMPLETE,
            f"the slice at {distances_mm[worst]:.2f} mm runs {off[worst]:.3g} s beside the others "
            f"from frame {frame + 1} on by {name}: an image is missing there",
            mend="fetch the series again; nothing is interpolated",
        )
    within = told[:, 0] - told[:, 0].min()
    known = 0 < within.max() < float(np.median(steps))
    return seconds, np.round(within, 4) if known else None

"""Bring header, sidecar and user together: who wins, what contradicts, what is missing."""

import warnings
from dataclasses import fields, replace

import numpy as np

from bolus.core import Acquisition, Assumed, TimeAxis
from bolus.core.arrays import Curve
from bolus.errors import Code, MetadataError, QualityWarning, TimingError
from bolus.io.nifti_guard import NiftiHeader
from bolus.io.plausible import number_of, require_plausible, require_plausible_acquisition
from bolus.io.sidecar import Sidecar

_AGREE = 0.05
"""Two statements of one time agree within this fraction."""


def settle(
    sidecar: Sidecar,
    *,
    header: NiftiHeader,
    given: Acquisition | None = None,
    frame_times_s: Curve | None = None,
    frame_step_s: float | None = None,
    excited: bool = False,
) -> tuple[TimeAxis, Acquisition]:
    """Return the times of the frames and the settings, with the source of each.

    The user wins over the sidecar, the sidecar over the header. A header's frame spacing counts
    only with its unit; exactly 1 s, which programs also write when they do not know, is kept as
    `Assumed` so that the report shows it.

    Args:
        sidecar: what the JSON file says.
        header: of the image.
        given: settings of the user.
        frame_times_s: times of the frames [s] from the user.
        frame_step_s: time between frames [s] from the user.
        excited: whether a frame takes many excitations (DCE). The repetition time is then that of
            the excitations, and it and the time between frames never stand for each other.

    Raises:
        MetadataError: missing, implausible, or two statements of the sidecar contradict.
        TimingError: the times do not fit the frames.
    """
    given = require_plausible_acquisition(given or Acquisition())
    acquisition = _merged(given, sidecar.acquisition)
    if excited:
        acquisition = _of_excitations(acquisition, sidecar)
    elif frame_step_s is None and given.repetition_time_s is not None:
        frame_step_s = number_of(given.repetition_time_s)
    seconds, origin = _frame_times(sidecar, header, frame_step_s, frame_times_s, excited=excited)
    time = TimeAxis(seconds=seconds)
    step = float(np.median(np.diff(time.seconds)))
    require_plausible("frame_step_s", step, key="the time between frames")
    if origin == "header" and acquisition.repetition_time_s is None and not excited:
        acquisition = replace(acquisition, repetition_time_s=_from_header(step))
        acquisition = _noted(acquisition, "repetition_time_s", "header")
    elif header.frame_step_s not in (None, 1.0) and origin != "header" and time.is_uniform:
        _compare_header(step, header.frame_step_s)
    require_plausible_acquisition(acquisition)
    return time, _noted(acquisition, "time", origin)


def _merged(given: Acquisition, sidecar: Acquisition) -> Acquisition:
    """Return the sidecar's settings with those of the user in front."""
    ours = {
        f.name: value
        for f in fields(given)
        if f.name != "sources" and (value := getattr(given, f.name)) is not None
    }
    known = {**dict(sidecar.sources), **dict.fromkeys(ours, "user"), **dict(given.sources)}
    return replace(sidecar, **ours, sources=tuple(known.items()))


def _of_excitations(acquisition: Acquisition, sidecar: Sidecar) -> Acquisition:
    """Return settings whose repetition time is that of the excitations, or is not known.

    A sidecar with RepetitionTime alone may mean the time between frames by it.
    """
    stated = acquisition.repetition_time_s
    ours = dict(acquisition.sources).get("repetition_time_s") == "user"
    if stated is not None and not ours and number_of(stated) == sidecar.frame_step_s:
        return replace(acquisition, repetition_time_s=None)
    if stated is not None:
        require_plausible(
            "excitation_time_s", number_of(stated), key="the repetition time of the excitations"
        )
    return acquisition


def _frame_times(
    sidecar: Sidecar,
    header: NiftiHeader,
    frame_step_s: float | None,
    frame_times_s: Curve | None,
    *,
    excited: bool,
) -> tuple[np.ndarray, str]:
    """Return the times and where they came from."""
    frames, option = header.frames, "--frame-time" if excited else "--repetition-time"
    if frame_times_s is not None:
        return _fitting(np.asarray(frame_times_s, np.float64), frames, "the given times"), "user"
    listed = sidecar.frame_times_s
    if frame_step_s is not None and (listed is None or _is_regular(listed)):
        key = "the given time per frame" if excited else "the given repetition time"
        step = require_plausible("frame_step_s", frame_step_s, key=key)
        return step * np.arange(frames), "user"
    if frame_step_s is not None and excited:
        raise MetadataError(
            Code.METADATA_CONFLICT,
            f"the frames of the sidecar are not evenly spaced, {frame_step_s:g} s per frame was "
            "given",
            mend="leave the time per frame out, or correct the times of the sidecar",
        )
    if listed is not None:
        times = _fitting(listed, frames, "VolumeTiming")
        _require_agreement(times, sidecar.frame_step_s)
        return times, "sidecar"
    if sidecar.frame_step_s is not None:
        return sidecar.frame_step_s * np.arange(frames), "sidecar"
    # A header that says 1 s may not know; DSC shows it as assumed, DCE has nowhere to.
    if header.frame_step_s is not None and not (excited and header.frame_step_s == 1.0):
        _require_header_step(header.frame_step_s, written=header.frame_step, option=option)
        return header.frame_step_s * np.arange(frames), "header"
    raise _no_times(header, option)


def _require_header_step(step_s: float, *, written: float, option: str) -> None:
    """Raise where the unit of the header turns a plausible number into an impossible one."""
    if step_s < 0.1 <= written <= 60:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the header has frames {step_s:g} s apart (its time unit is milli- or microseconds); "
            f"{written:g} s would be plausible",
            mend=f"give {option} {written:g} if only the unit is wrong",
        )
    require_plausible("frame_step_s", step_s, key="pixdim[4] of the header")


def _is_regular(times: np.ndarray) -> bool:
    """Return whether one number can stand for the times; irregular ones are kept as listed."""
    steps = np.diff(times)
    return bool(steps.size and np.ptp(steps) <= 0.01 * abs(np.median(steps)))


def _fitting(times: np.ndarray, frames: int, what: str) -> np.ndarray:
    if times.shape != (frames,):
        raise TimingError(
            Code.TIME_INVALID,
            f"{what} holds {times.size} times for {frames} frames",
            mend="give one time per frame, in seconds",
        )
    steps = np.diff(times)
    if np.isfinite(times).all() and steps.min() > 0 and np.median(steps) >= 100:
        raise TimingError(
            Code.TIME_INVALID,
            f"{what} has frames {np.median(steps):g} s apart, which looks like milliseconds: "
            f"{np.median(steps) / 1000:.4g} s",
            mend="write the times in seconds",
        )
    return times


def _require_agreement(times: np.ndarray, step_s: float | None) -> None:
    if step_s is None:
        return
    median = float(np.median(np.diff(times)))
    if abs(step_s - median) > _AGREE * median:
        raise MetadataError(
            Code.METADATA_CONFLICT,
            f'"VolumeTiming" has frames {median:.4g} s apart, "RepetitionTime" says {step_s:.4g} s',
            mend="keep the one that is right (BIDS allows only one of them)",
        )


def _compare_header(step_s: float, header_step_s: float | None) -> None:
    """Warn where the header gives another frame spacing; what was stated on purpose wins."""
    if header_step_s is None or abs(header_step_s - step_s) <= _AGREE * step_s:
        return
    warnings.warn(
        QualityWarning(
            f"the NIfTI header has frames {header_step_s:.4g} s apart, the stated times "
            f"{step_s:.4g} s; the stated times are used"
        ),
        stacklevel=4,
    )


def _from_header(step_s: float) -> float | Assumed:
    if step_s != 1.0:
        return step_s
    return Assumed(
        value=1.0,
        reason="the header says 1 s, which programs also write when they do not know it",
        source="NIfTI header, pixdim[4]",
    )


def _no_times(header: NiftiHeader, option: str) -> MetadataError:
    step = header.frame_step
    why = "without a unit" if header.frame_step_s is None else "as programs do that do not know it"
    said = f"; its header says {step:g} {why}" if np.isfinite(step) and step > 0 else ""
    return MetadataError(
        Code.METADATA_MISSING,
        f"the time between frames is not known{said}",
        mend=f'give {option} in seconds, or "RepetitionTime" in the JSON sidecar',
    )


def _noted(acquisition: Acquisition, name: str, source: str) -> Acquisition:
    known = {**dict(acquisition.sources), name: source}
    return replace(acquisition, sources=tuple(known.items()))

"""Curves of any protocol on one axis of seconds, aligned to the arrival of the bolus."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.core.arrays import read_only
from bolus.errors import Code, QuantityError, TimingError
from bolus.quantify.bolus import BolusTiming

_QUANTILE = 0.995
_FEWEST = 8
_ROUNDING = 1e-6
_TENTH = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalAxis:
    """Evenly spaced times, with the arrival of the bolus always at the same one.

    `points` samples every `step_s`; the arrival is `arrival_s` after the first.
    """

    points: int = 60
    step_s: float = 1.5
    arrival_s: float = 16.8

    @property
    def seconds(self) -> Float[np.ndarray, " points"]:
        """Time of every point after the first."""
        return self.step_s * np.arange(self.points)


AXIS = PhysicalAxis()
"""That of the published curves (docs/science/curve_codes.md): 60 points of 1.5 s, a tenth of the
drop after 16.8 s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamCurves:
    """Signal curves of one exam, all of one bolus and one protocol.

    `signal` (n, t) [a.u.], a frame every `interval_s`. The bolus arrives `arrival_s` after the
    first frame, one number for all curves, of `arrival_seconds`.
    Frames before `start_s`, ahead of the steady state, are not used.

    Raises:
        QuantityError: the signal is not (n, t).
        TimingError: the interval is not positive, or fewer than eight frames are left.
    """

    signal: Float[np.ndarray, "n t"]
    interval_s: float
    arrival_s: float
    start_s: float = 0.0

    def __post_init__(self) -> None:
        signal = np.asarray(self.signal)
        if signal.ndim != 2:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"curves of shape {signal.shape}, expected (curves, times)",
                mend="give one row for each curve",
            )
        left = signal.shape[1] - self.first_frame if self.interval_s > 0 else 0
        if not left >= _FEWEST or not np.isfinite(self.arrival_s):
            raise TimingError(
                Code.ARGUMENT_INVALID,
                f"{signal.shape[1]} frames of {self.interval_s:g} s from {self.start_s:g} s on, "
                f"arrival at {self.arrival_s:g} s",
                mend=f"give a positive interval and {_FEWEST} frames of the steady state",
            )
        object.__setattr__(self, "signal", read_only(signal))

    @property
    def first_frame(self) -> int:
        """The first frame of the steady state."""
        return max(int(np.ceil(self.start_s / self.interval_s - 1e-6)), 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlignedCurves:
    """Curves of one exam on a `PhysicalAxis`.

    `values` (n, points) float32, 1 is the 99.5th percentile over time of each curve; 0 at times
    that were not measured and in all of a curve that is not `usable` (n,). `measured` (points,)
    tells which times were.
    """

    values: Float[np.ndarray, "n points"]
    measured: Bool[np.ndarray, " points"]
    usable: Bool[np.ndarray, " n"]


def arrival_seconds(bolus: BolusTiming, seconds: Float[np.ndarray, " t"]) -> float:
    """Return when the mean signal has lost a tenth of its drop, between frames.

    The frame of the arrival is too coarse at 3 s a frame, and where it is depends on the noise.

    Args:
        bolus: of a series.
        seconds: its times, from 0 at the first frame.

    Assumes:
        Signal falls linearly from frame to frame.

    Source:
        Set by us.

    Example:
        >>> signal = np.array([10.0, 10, 10, 10, 8, 0, 4, 6, 8, 8])
        >>> bolus = BolusTiming(steady=0, baseline=slice(0, 4), arrival=4, peak=5,
        ...     first_pass_end=8, mean_signal=signal, contrast_to_noise=90.0)
        >>> arrival_seconds(bolus, 2.0 * np.arange(10))
        7.0
    """
    signal = bolus.mean_signal
    base = float(signal[bolus.baseline].mean())
    level = base - _TENTH * (base - float(signal[bolus.peak]))
    above = np.flatnonzero(signal[bolus.steady : bolus.peak] >= level)
    last = bolus.steady + int(above[-1])
    share = (signal[last] - level) / (signal[last] - signal[last + 1])
    return float(seconds[last] + share * (seconds[last + 1] - seconds[last]))


def align_curves(exam: ExamCurves, *, axis: PhysicalAxis = AXIS) -> AlignedCurves:
    """Scale curves to their own 99.5th percentile and put them on a common axis.

    Negative signals become 0. The percentile is over the frames of the steady state as they were
    measured; between frames the signal is interpolated linearly.

    Args:
        exam: curves, and when the bolus arrives.
        axis: where they are put.

    Returns:
        The curves; those with a value that is not finite, or without signal, are not usable.

    Raises:
        TimingError: nothing was measured on the axis.

    Assumes:
        One arrival for all curves: a delay of single voxels stays in their curves.

    Source:
        The scaling: github jhlee0619/Glioma-Tumor-Habitat, doi 10.5281/zenodo.21350691.

    Example:
        >>> exam = ExamCurves(signal=np.full((2, 50), 7.0), interval_s=2.0, arrival_s=10.0)
        >>> found = align_curves(exam)
        >>> found.values.shape, int(found.measured.sum()), float(found.values[0, 20])
        ((2, 60), 55, 1.0)
    """
    first = exam.first_frame
    signal = np.maximum(np.asarray(exam.signal[:, first:], np.float32), np.float32(0))
    matrix, measured = resampling(
        signal.shape[1],
        interval_s=exam.interval_s,
        arrival_s=exam.arrival_s - first * exam.interval_s,
        axis=axis,
    )
    scale = high_percentile(signal)
    usable = np.isfinite(signal).all(axis=1) & (scale > 0)
    scaled = np.zeros_like(signal)
    np.divide(signal, scale[:, None], out=scaled, where=usable[:, None])
    return AlignedCurves(
        values=read_only(scaled @ matrix), measured=read_only(measured), usable=read_only(usable)
    )


def high_percentile(curves: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Return the 99.5th percentile over time of each curve, NaN if one of its values is.

    Example:
        >>> high_percentile(np.arange(201.0)[None])
        array([199.])
    """
    return np.asarray(np.quantile(curves, _QUANTILE, axis=1).astype(curves.dtype))


def resampling(
    frames: int, *, interval_s: float, arrival_s: float, axis: PhysicalAxis = AXIS
) -> tuple[Float[np.ndarray, "frames points"], Bool[np.ndarray, " points"]]:
    """Return the matrix that interpolates curves onto an axis, and which times were measured.

    Args:
        frames: number of frames of a curve, all of them used.
        interval_s: between frames.
        arrival_s: of the bolus, after the first frame.
        axis: where the curves are put.

    Returns:
        A float32 matrix to multiply curves (n, frames) with from the right, and the mask.
        Columns of times that were not measured are 0.

    Raises:
        TimingError: nothing was measured on the axis.

    Example:
        >>> matrix, measured = resampling(30, interval_s=3.0, arrival_s=16.8)
        >>> int(measured.sum()), float(matrix[0, 1]), float(matrix[1, 1])
        (59, 0.5, 0.5)
    """
    place = (axis.seconds - axis.arrival_s + arrival_s) / interval_s
    measured = (place >= -_ROUNDING) & (place <= frames - 1 + _ROUNDING)
    if not measured.any():
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"{frames} frames of {interval_s:g} s with the bolus at {arrival_s:g} s "
            "have none of the times that are asked for",
            mend="give the time of the arrival after the first frame, in seconds",
        )
    points = np.flatnonzero(measured)
    lower = np.clip(place[points].astype(int), 0, frames - 2)
    above = np.clip(place[points] - lower, 0.0, 1.0)
    matrix = np.zeros((frames, axis.points), np.float32)
    matrix[lower, points] = 1 - above
    matrix[lower + 1, points] = above
    return matrix, np.asarray(measured)

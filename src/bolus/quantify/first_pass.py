"""The first pass of many curves at once: when it rises, when and how high it peaks, its width."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core import Curve, Curves, FitStatus
from bolus.quantify.bolus import BolusTiming

_CHUNK = 8192
_NOISES = 3.5
"""A smoothed peak counts from this many of its standard deviations (1.6 % of empty curves do)."""
_SMOOTHED_NOISE = float(np.sqrt(6.0)) / 4
"""White noise after the kernel (1, 2, 1)/4."""
_LATE_S = 10.0
"""A voxel may peak this long after the first pass of the brain mean has ended."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveFeatures:
    """What the first pass of each curve looks like; NaN where `status` is not OK.

    Assumes:
        See `curve_features`.

    Source:
        docs/science/curve_descriptors.md.

    Example:
        >>> CurveFeatures.__slots__[:3]
        ('arrival_s', 'peak_s', 'height')
    """

    arrival_s: Float[np.ndarray, " voxels"]
    """Time [s] at which the up-slope, drawn through 25 % and 75 % of the peak, leaves zero."""
    peak_s: Float[np.ndarray, " voxels"]
    """Time [s] of the peak, by a parabola through the three highest smoothed samples."""
    height: Float[np.ndarray, " voxels"]
    """Peak height above the baseline, by a parabola, in the unit of the curves."""
    fwhm_s: Float[np.ndarray, " voxels"]
    """Full width at half of the peak [s]; infinite where the curve never falls to half."""
    noise: Float[np.ndarray, " voxels"]
    """Standard deviation of one sample, in the unit of the curves."""
    status: UInt8[np.ndarray, " voxels"]


def curve_features(curves: Curves, *, seconds: Curve, bolus: BolusTiming) -> CurveFeatures:
    """Describe the first pass of every curve.

    The peak is the highest smoothed ((1, 2, 1)/4) sample between the end of the baseline and 10 s
    after the first pass of the brain mean. Noise is the larger of the standard deviation of the
    baseline and the robust one of second differences.

    Args:
        curves: (voxels, t), positive while contrast passes (ΔR2* [1/s]), any scale.
        seconds: times of the samples [s], any spacing.
        bolus: where the baseline and the first pass are.

    Returns:
        One value per curve; status NOT_FINITE, NO_SIGNAL (constant), NO_BOLUS (peak below 3.5
        standard deviations of the smoothed noise) or AT_BOUND (the peak lies on the edge of the
        search) where there is none.

    Assumes:
        White noise, and one first pass per curve within the search.

    Source:
        docs/science/curve_descriptors.md.

    Example:
        >>> seconds = 1.0 * np.arange(40)
        >>> timing = BolusTiming(steady=0, baseline=slice(0, 10), arrival=10, peak=15,
        ...     first_pass_end=25, mean_signal=np.ones(40), contrast_to_noise=50.0)
        >>> curve = 8 * np.exp(-((seconds[None] - 15.3) / 3) ** 2)
        >>> round(float(curve_features(curve, seconds=seconds, bolus=timing).peak_s[0]), 1)
        15.3
    """
    parts = [
        _features(curves[start : start + _CHUNK], seconds, bolus)
        for start in range(0, max(len(curves), 1), _CHUNK)
    ]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    arrival_s, peak_s, height, fwhm_s, noise, status = columns
    return CurveFeatures(
        arrival_s=arrival_s,
        peak_s=peak_s,
        height=height,
        fwhm_s=fwhm_s,
        noise=noise,
        status=status.astype(np.uint8),
    )


def _features(curves: Curves, seconds: Curve, bolus: BolusTiming) -> tuple[np.ndarray, ...]:
    finite = np.isfinite(curves).all(axis=1)
    safe = np.where(finite[:, None], curves, 0.0)
    safe = safe - safe[:, bolus.baseline].mean(axis=1, keepdims=True)
    noise = sample_noise(safe, bolus.baseline)
    smooth = smoothed(safe)
    window = search_window(seconds, bolus)
    peak = window.start + np.argmax(smooth[:, window], axis=1)
    rows = np.arange(len(safe))
    peak_s, top = _parabola(smooth, peak, seconds)
    tallest = peak - 1 + np.argmax(_three(safe, peak), axis=1)
    _, height = _parabola(safe, np.clip(tallest, 1, len(seconds) - 2), seconds)

    status = np.full(len(safe), FitStatus.OK, np.uint8)
    edge = (peak <= window.start) | (peak >= window.stop - 1)
    status[edge] = FitStatus.AT_BOUND
    status[is_weak(smooth[rows, peak], noise)] = FitStatus.NO_BOLUS
    status[np.ptp(safe, axis=1) == 0] = FitStatus.NO_SIGNAL
    status[~finite] = FitStatus.NOT_FINITE

    low_s, high_s = (_rise(smooth, peak, level * top, seconds) for level in (0.25, 0.75))
    fwhm_s = _fall(safe, peak, 0.5 * height, seconds) - _rise(safe, peak, 0.5 * height, seconds)
    arrival_s = low_s - 0.5 * (high_s - low_s)
    found = status == FitStatus.OK
    columns = (np.where(found, c, np.nan) for c in (arrival_s, peak_s, height, fwhm_s))
    return (*columns, noise, status)


def sample_noise(curves: Curves, baseline: slice) -> np.ndarray:
    """Return the standard deviation of one sample of each curve (voxels,).

    The larger of the standard deviation of the baseline and 1.4826 median|second difference| /
    sqrt(6): the second helps where the baseline is short, the first where noise is slow.

    Args:
        curves: (voxels, t).
        baseline: frames before the bolus, at least two.

    Assumes:
        Most second differences are noise: the first pass is short or smooth.

    Source:
        docs/science/curve_descriptors.md.

    Example:
        >>> noise = stream(1, "noise").normal(0, 2.0, (500, 60))
        >>> bool(abs(np.median(sample_noise(noise, slice(0, 10))) - 2.2) < 0.2)
        True
    """
    second = np.abs(np.diff(curves, n=2, axis=1))
    robust = 1.4826 * np.median(second, axis=1) / np.sqrt(6.0)
    return np.asarray(np.maximum(robust, curves[:, baseline].std(axis=1, ddof=1)))


def smoothed(curves: Curves) -> Curves:
    """Smooth every curve (voxels, t) with (1, 2, 1)/4; the ends repeat.

    Assumes:
        Equal spacing matters little: the kernel spans three frames.

    Source:
        Binomial kernel of second order.

    Example:
        >>> smoothed(np.array([[0.0, 4.0, 0.0]])).tolist()
        [[1.0, 2.0, 1.0]]
    """
    padded = np.pad(curves, ((0, 0), (1, 1)), mode="edge")
    return np.asarray((padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4)


def search_window(seconds: Curve, bolus: BolusTiming) -> slice:
    """Return the frames among which a voxel's first pass may peak.

    From the end of the baseline until 10 s after the first pass of the brain mean, without the
    first and the last frame of the series.

    Args:
        seconds: times of the frames [s].
        bolus: from `find_bolus`.

    Assumes:
        No tissue is later than that; delays in severe stenosis reach about 10 s.

    Source:
        docs/science/curve_descriptors.md.

    Example:
        >>> timing = BolusTiming(steady=0, baseline=slice(0, 10), arrival=10, peak=15,
        ...     first_pass_end=25, mean_signal=np.ones(40), contrast_to_noise=50.0)
        >>> search_window(1.0 * np.arange(40), timing)
        slice(9, 36, None)
    """
    last_s = seconds[min(bolus.first_pass_end, len(seconds) - 1)] + _LATE_S
    stop = int(np.searchsorted(seconds, last_s, side="right"))
    return slice(max(bolus.baseline.stop - 1, 1), min(stop, len(seconds) - 1))


def _three(curves: Curves, centre: np.ndarray) -> np.ndarray:
    """Return (voxels, 3): the samples at `centre` and beside it."""
    return np.asarray(np.take_along_axis(curves, centre[:, None] + np.arange(-1, 2), axis=1))


def _parabola(curves: Curves, centre: np.ndarray, seconds: Curve) -> tuple[np.ndarray, np.ndarray]:
    """Return the time and value of the vertex through three samples, on any time grid."""
    left, middle, right = _three(curves, centre).T
    before = seconds[centre] - seconds[centre - 1]
    after = seconds[centre + 1] - seconds[centre]
    up, down = (middle - left) / before, (right - middle) / after
    bend = (down - up) / (before + after)
    slope = (up * after + down * before) / (before + after)
    curved = bend < 0
    shift = np.where(curved, -slope / np.where(curved, 2 * bend, 1.0), 0.0)
    shift = np.clip(shift, -before, after)
    return seconds[centre] + shift, middle + slope * shift + bend * shift**2


def _rise(curves: Curves, peak: np.ndarray, level: np.ndarray, seconds: Curve) -> np.ndarray:
    """Return when each curve last rose through `level` before its peak."""
    frames = np.arange(len(seconds))
    below = (curves < level[:, None]) & (frames < peak[:, None])
    first = np.where(below.any(axis=1), (below * frames).max(axis=1), 0)
    return _crossing(curves, first, level, seconds)


def _fall(curves: Curves, peak: np.ndarray, level: np.ndarray, seconds: Curve) -> np.ndarray:
    """Return when each curve first falls through `level` after its peak; infinite if never."""
    frames = np.arange(len(seconds))
    below = (curves < level[:, None]) & (frames > peak[:, None])
    first = np.maximum(np.argmax(below, axis=1) - 1, 0)
    return np.where(below.any(axis=1), _crossing(curves, first, level, seconds), np.inf)


def _crossing(curves: Curves, first: np.ndarray, level: np.ndarray, seconds: Curve) -> np.ndarray:
    rows = np.arange(len(curves))
    start, stop = curves[rows, first], curves[rows, first + 1]
    step = stop - start
    share = np.where(step != 0, (level - start) / np.where(step != 0, step, 1.0), 0.0)
    span = seconds[first + 1] - seconds[first]
    return np.asarray(seconds[first] + np.clip(share, 0, 1) * span)


def is_weak(smooth_peak: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return where a smoothed peak (voxels,) is within 3.5 standard deviations of its noise.

    Args:
        smooth_peak: height above the baseline, after `smoothed`.
        noise: standard deviation of one sample before smoothing, same unit.

    Assumes:
        White noise.

    Source:
        docs/science/curve_descriptors.md.

    Example:
        >>> is_weak(np.array([1.0, 3.0]), np.array([1.0, 1.0])).tolist()
        [True, False]
    """
    return np.asarray(smooth_peak < _NOISES * _SMOOTHED_NOISE * noise)

"""When the contrast agent comes and goes: steady state, baseline, arrival, peak, end of first pass.

Nothing is assumed about when the injection was: every border is found in the signal itself, and
a series that has no single first pass after a baseline is said to be so, never guessed at.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from bolus.core import SIGNAL, Curve, Curves, Mask, PerfusionSeries, read_only
from bolus.errors import Code, QuantityError, TimingError
from bolus.quantify.frame_order import judge_direction, refuse_shuffled

_SMALLEST_DROP = 0.02
"""Below this a drop of the whole brain is slow physiological wander; a bolus gives 0.05 to 0.3."""
_NOISES = 6.0
"""A drop counts from this many standard deviations; a dip of pure noise reaches about 4."""
_QUARTER_RECOVERY_S = 15.0
"""A quarter of the depth of a first pass is recovered 3 to 10 s after its peak; drift is slower."""
_STILL = 0.0125
"""Recovery slower than this share of the depth per second is no longer the first pass."""
_BASELINE_FRAMES = 3
"""The fewest frames that give a baseline mean and an idea of its noise."""
_LONG_BASELINE = 8
"""A longer baseline can spare its last frame, in which an artery may already begin."""
_MOST_VOXELS = 20_000
"""Voxels looked at one by one: more add time, not certainty."""
_FIRST = 0.02
"""Share of the voxels that drop most when the brain mean begins to: arteries."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BolusTiming:
    """The frames that matter, and the curve they were found in.

    Assumes:
        One first pass, later than the baseline.

    Source:
        OSIPI CAPLEX Q.BA1.

    Example:
        >>> timing = BolusTiming(steady=1, baseline=slice(1, 9), arrival=9, peak=14,
        ...     first_pass_end=22, mean_signal=np.ones(40), contrast_to_noise=80.0)
        >>> timing.baseline_frames
        8
    """

    steady: int
    """First frame in the steady state."""
    baseline: slice
    """Frames in the steady state before contrast is seen anywhere."""
    arrival: int
    """First frame in which the brain mean shows contrast."""
    peak: int
    """Frame of the strongest drop of the brain mean."""
    first_pass_end: int
    """First frame after the first pass (exclusive end)."""
    mean_signal: Curve
    """Brain mean [a.u.] (t,) in which all this was found."""
    contrast_to_noise: float
    """Drop of ln(signal) at the peak over the noise of ln(signal) [1]."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean_signal", read_only(np.asarray(self.mean_signal, np.float64)))

    @property
    def baseline_frames(self) -> int:
        """Number of frames of the baseline."""
        return int(self.baseline.stop - self.baseline.start)

    @property
    def mean_drop(self) -> Curve:
        """-ln(S/S_BL) of the brain mean (t,) [1]: ΔR2* times the echo time."""
        level = self.mean_signal[self.baseline].mean()
        return np.asarray(-np.log(self.mean_signal / level))


@dataclass(frozen=True, slots=True)
class _Dip:
    peak: int
    depth: float
    shoulder: int


def find_bolus(series: PerfusionSeries, mask: Mask, *, arteries: bool = True) -> BolusTiming:
    """Find the baseline and the first pass in a signal series.

    The logarithm of the brain mean is searched for a dip: a valley that stands at least 2 % and
    six standard deviations below both of its sides and that most voxels share. From its bottom,
    arrival is where the signal first leaves the level before it (2 % of the depth or 3 standard
    deviations); the first pass ends where the recovery stops. The baseline ends at the arrival in
    the voxels that drop first (arteries), or a frame earlier where that leaves eight. Noise is
    the robust standard deviation of second differences or that of the detrended baseline, the
    larger of the two.

    Args:
        series: signal [a.u.].
        mask: the brain, or most of it; voxels without a positive signal throughout are left out.
        arteries: the mask has some; where it has none they cannot tell if time runs backwards.

    Returns:
        Frame indices, the brain mean and its contrast-to-noise ratio.

    Raises:
        TimingError: NO_BOLUS no such dip; TWO_BOLUSES a second dip of comparable depth;
            BOLUS_TOO_EARLY fewer than three baseline frames; NOT_DSC the signal rises and stays;
            SERIES_TOO_SHORT it ends too early; TIME_INVALID frames are shuffled or backwards.
        QuantityError: the values are no signal, or no voxel has a usable curve.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Contrast lowers the signal of most of the brain while it passes (T2*- or T2-weighted);
        motion is small or corrected; recirculation is less than 0.4 of the first pass.

    Source:
        Ours; measured behaviour and limits: docs/science/bolus_detection.md.

    Example:
        >>> seconds = 1.5 * np.arange(40)
        >>> drop = 0.2 * np.exp(-((seconds - 25) / 4) ** 2)
        >>> series = PerfusionSeries(values=(900 * np.exp(-drop)).reshape(1, 1, 1, 40),
        ...     quantity=SIGNAL, grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        ...     time=TimeAxis(seconds=seconds), acquisition=Acquisition(), provenance=Provenance())
        >>> find_bolus(series, Mask(values=[[[True]]], grid=series.grid, name="brain")).peak
        17
    """
    mean, sample = _curves(series.require(SIGNAL), mask.require_some())
    seconds = series.time.seconds
    log = np.log(mean)
    noise = _noise(log)
    dip = _first_pass(log, seconds, noise, sample)
    if arteries:
        judge_direction(log, seconds, sample, dip.peak)
    arrival, level = _arrival(log, dip.peak, noise)
    steady = _steady(log, arrival, noise)
    _require_baseline(arrival - steady, seconds, arrival, steady)
    noise = max(noise, _detrended_std(log[steady:arrival]))
    depth = level - log[dip.peak]
    end = _first_pass_end(level - log, dip.peak, seconds, noise)
    stop = _arrival_in_arteries(sample, slice(steady, arrival), dip.peak)
    stop -= int(stop - steady > _LONG_BASELINE)
    return BolusTiming(
        steady=steady,
        baseline=slice(steady, max(stop, steady + _BASELINE_FRAMES)),
        arrival=arrival,
        peak=dip.peak,
        first_pass_end=end,
        mean_signal=mean,
        contrast_to_noise=float(depth / noise),
    )


def _curves(series: PerfusionSeries, mask: Mask) -> tuple[Curve, Curves]:
    """Return the brain mean and evenly spread voxel curves, reading one slab at a time."""
    series.grid.require_match(mask.grid, what=f"the {mask.name} mask")
    stride = -(-mask.count // _MOST_VOXELS)
    total, count, first = np.zeros(len(series.time)), 0, 0
    kept = []
    for slab, inside in zip(series.values, mask.values, strict=True):
        curves = np.asarray(slab[inside], np.float64)
        usable = np.isfinite(curves).all(axis=1) & (curves > 0).all(axis=1)
        total += curves[usable].sum(axis=0)
        count += int(usable.sum())
        on_stride = (first + np.arange(len(curves))) % stride == 0
        kept.append(curves[usable & on_stride])
        first += len(curves)
    if count == 0:
        raise QuantityError(
            Code.VALUES_INVALID,
            f"none of the {mask.count} voxels of the {mask.name} mask has a positive, finite "
            "signal in every frame",
            mend="check the series for empty frames, and the mask",
        )
    return total / count, np.concatenate(kept)


def _noise(log: Curve) -> float:
    """Standard deviation of what changes from frame to frame; a smooth passage hardly counts."""
    second = np.diff(log, n=2)
    return float(max(1.4826 * np.median(np.abs(second)) / np.sqrt(6.0), 1e-5))


def _detrended_std(values: Curve) -> float:
    if len(values) < 5:
        return 0.0
    frames = np.arange(len(values))
    slope, start = np.polyfit(frames, values, 1)
    return float(np.std(values - start - slope * frames, ddof=2))


def _dips(log: Curve, seconds: Curve, smallest: float) -> list[_Dip]:
    """Valleys that stand out on both sides, deepest first; a spike of one frame is none."""
    smooth = median_filter(log, 3, mode="nearest")
    peaks, found = find_peaks(-smooth, prominence=smallest)
    dips = []
    for peak, depth in zip(peaks.tolist(), found["prominences"], strict=True):
        after = np.flatnonzero(smooth[peak:] >= smooth[peak] + 0.25 * depth)
        if seconds[peak + after[0]] - seconds[peak] > _QUARTER_RECOVERY_S:
            continue
        low = max(peak - 1, 0)
        bottom = low + int(np.argmin(log[low : peak + 2]))
        start = max((p for p in peaks if p < peak), default=0)
        dips.append(_Dip(bottom, float(depth), start + int(np.argmax(smooth[start : peak + 1]))))
    return sorted(dips, key=lambda dip: -dip.depth)


def _first_pass(log: Curve, seconds: Curve, noise: float, sample: Curves) -> _Dip:
    """Return the one first pass, or say what the series shows instead."""
    refuse_shuffled(log, seconds)
    smallest = max(_SMALLEST_DROP, _NOISES * noise)
    dips = [dip for dip in _dips(log, seconds, smallest) if _shared(sample, dip) >= 0.6]
    depth = dips[0].depth if dips else 0.0
    _refuse_start_in_bolus(log, seconds, max(depth, smallest))
    _refuse_rise(log, seconds, noise, depth)
    _refuse_open_end(log, seconds, max(2 * depth, smallest))
    if not dips:
        drop = float(np.median(log) - median_filter(log, 3, mode="nearest").min())
        raise TimingError(
            Code.NO_BOLUS,
            f"the brain mean never falls and recovers by more than {100 * smallest:.1f} % "
            f"(largest excursion {100 * drop:.1f} %, noise {100 * noise:.2f} %)",
            mend="check that contrast was given during this series and that the mask is the brain",
        )
    for other in dips[1:]:
        gap_s = abs(seconds[other.peak] - seconds[dips[0].peak])
        ratio = other.depth / dips[0].depth
        if gap_s >= 8 and ratio >= (0.4 if gap_s < 30 else 0.3) and _alike(sample, dips[0], other):
            first, second = sorted((dips[0], other), key=lambda dip: dip.peak)
            raise TimingError(
                Code.TWO_BOLUSES,
                f"two passages of contrast agent, at {seconds[first.peak]:.1f} s "
                f"({100 * first.depth:.1f} %) and {seconds[second.peak]:.1f} s "
                f"({100 * second.depth:.1f} %); one is expected",
                mend="cut the series so that it holds one injection with its baseline",
            )
    return dips[0]


def _drops(sample: Curves, dip: _Dip) -> Curve:
    """Drop of ln(signal) of each voxel from the shoulder of a dip to its bottom."""
    logs = np.log(sample)
    high = logs[:, max(dip.shoulder - 1, 0) : dip.shoulder + 2].mean(axis=1)
    return np.asarray(high - logs[:, max(dip.peak - 1, 0) : dip.peak + 2].mean(axis=1))


def _shared(sample: Curves, dip: _Dip) -> float:
    """Share of the voxels that drop; motion raises about as many as it lowers."""
    return float(np.mean(_drops(sample, dip) > 0)) if len(sample) else 1.0


def _alike(sample: Curves, first: _Dip, second: _Dip) -> bool:
    """Whether two dips have the same strong and weak voxels, as two passages of contrast have."""
    if len(sample) < 20:
        return True
    return float(np.corrcoef(_drops(sample, first), _drops(sample, second))[0, 1]) > 0.2


def _refuse_start_in_bolus(log: Curve, seconds: Curve, depth: float) -> None:
    """Stop where the first frames are already inside a first pass.

    The approach to the steady state takes 3 to 4 s, a first pass longer, drift much longer.
    """
    missing = float(np.median(log)) - median_filter(log, 3, mode="nearest")
    low = float(missing[:3].max())
    recovered = np.flatnonzero(missing <= 0.25 * low)
    if low < depth or not len(recovered):
        return
    lasting = 4 <= seconds[recovered[0]] - seconds[0] <= 20 and recovered[0] >= 2
    flat_before = missing[recovered[0] // 2] > 0.85 * low
    if lasting and not flat_before:
        raise TimingError(
            Code.BOLUS_TOO_EARLY,
            f"the series begins {100 * low:.1f} % below its later level and recovers over "
            f"{seconds[recovered[0]] - seconds[0]:.1f} s: the bolus is in the first frames",
            mend="use a series that starts before the injection; there is no baseline in this one",
        )


def _refuse_rise(log: Curve, seconds: Curve, noise: float, depth: float) -> None:
    """Stop where the signal steps up and stays, as it does in T1-weighted DCE."""
    frames = len(log)
    splits = np.arange(2, frames - 2)
    splits = splits[seconds[splits] - seconds[0] >= 8]
    if not len(splits):
        return
    running = np.cumsum(log)
    before = running[splits - 1] / splits
    after = (running[-1] - running[splits - 1]) / (frames - splits)
    best = int(np.argmax(np.abs(after - before) * np.sqrt(splits * (frames - splits))))
    split, rise = int(splits[best]), float(after[best] - before[best])
    step = np.where(np.arange(frames) < split, before[best], after[best])
    is_step = np.std(log - step) < _detrended_std(log)
    if is_step and rise > max(0.03, _NOISES * noise * np.sqrt(1 / split), depth):
        raise TimingError(
            Code.NOT_DSC,
            f"the signal rises by {100 * np.expm1(rise):.0f} % at {seconds[split]:.1f} s and "
            "stays there, where DSC falls and recovers",
            mend="process it as DCE, or give the T2*-weighted series",
        )


def _refuse_open_end(log: Curve, seconds: Curve, depth: float) -> None:
    """Stop where the signal falls by more than `depth` and the series ends before it recovers."""
    smooth = median_filter(log, 3, mode="nearest")
    bottom = int(np.argmin(smooth))
    if bottom < 2:
        return
    level = float(np.median(smooth[: max(bottom - 1, 1)]))
    fall = level - smooth[bottom]
    recovered = float(smooth[bottom:].max() - smooth[bottom])
    above = np.flatnonzero(smooth[:bottom] > level - 0.2 * fall)
    fast = len(above) > 0 and seconds[bottom] - seconds[above[-1]] <= 20
    if fall >= depth and recovered < 0.5 * fall and fast and seconds[-1] - seconds[bottom] <= 20:
        _raise_too_short(fall, recovered, seconds, bottom)


def _raise_too_short(fall: float, recovered: float, seconds: Curve, peak: int) -> None:
    raise TimingError(
        Code.SERIES_TOO_SHORT,
        f"the signal falls by {100 * fall:.1f} % at {seconds[peak]:.1f} s and has recovered "
        f"{100 * recovered / fall:.0f} % of it when the series ends at {seconds[-1]:.1f} s",
        mend="use a series that lasts until the first pass is over (30 s after the peak or more)",
    )


def _arrival(log: Curve, peak: int, noise: float) -> tuple[int, float]:
    """Return the first frame below the level before the bolus, and that level."""
    level = float(np.percentile(log[: peak + 1], 75))
    arrival = _walk_back(log, peak, level - 0.1 * (level - log[peak]))
    for _ in range(5):
        before = log[max(arrival - 15, 0) : max(arrival, 1)]
        level = float(np.median(before))
        spread = 1.4826 * float(np.median(np.abs(before - level)))
        depth = level - log[peak]
        limit = max(0.02 * depth, 3 * noise, min(2.5 * spread, 0.1 * depth))
        found = _walk_back(log, peak, level - limit)
        if found == arrival:
            break
        arrival = found
    return arrival, level


def _walk_back(log: Curve, peak: int, limit: float) -> int:
    above = np.flatnonzero(log[:peak] >= limit)
    return int(above[-1]) + 1 if len(above) else 0


def _steady(log: Curve, arrival: int, noise: float) -> int:
    """Return the first frame that agrees with those after it; drift is too slow to matter."""
    tolerance = max(4 * noise, 0.0025)
    for frame in range(arrival - 2):
        following = log[frame + 1 : min(frame + 6, arrival)]
        if abs(log[frame] - np.median(following)) <= tolerance:
            return frame
    return max(arrival - 2, 0)


def _require_baseline(frames: int, seconds: Curve, arrival: int, steady: int) -> None:
    if frames < _BASELINE_FRAMES:
        raise TimingError(
            Code.BOLUS_TOO_EARLY,
            f"the bolus arrives in frame {arrival} ({seconds[arrival]:.1f} s), {max(frames, 0)} "
            f"frames after the steady state (frame {steady}); {_BASELINE_FRAMES} are needed",
            mend="use a series with a longer baseline; without one ΔR2* has no zero",
        )


def _arrival_in_arteries(sample: Curves, before: slice, peak: int) -> int:
    """Return the arrival in the voxels that drop first, not later than in the brain mean."""
    if len(sample) < 50:
        return int(before.stop)
    level = sample[:, before].mean(axis=1)
    drop = 1 - sample[:, before.stop - 1 : before.stop + 2].mean(axis=1) / level
    first = np.argsort(-drop, kind="stable")[: max(10, int(_FIRST * len(sample)))]
    log = np.log((sample[first] / level[first, None]).mean(axis=0))
    bottom = before.stop + int(np.argmin(log[before.stop : peak + 1]))
    arrival, _ = _arrival(log, bottom, max(_noise(log), _detrended_std(log[before])))
    return min(arrival, int(before.stop))


def _first_pass_end(drop: Curve, peak: int, seconds: Curve, noise: float) -> int:
    """Return the first frame at which the recovery stops."""
    padded = np.pad(drop, 1, mode="edge")
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    top = drop[peak]
    for frame in range(peak + 1, len(drop)):
        ahead = (seconds > seconds[frame]) & (seconds <= seconds[frame] + 3.2)
        ahead[frame + 1 : frame + 3] = True
        fallen = smooth[frame] <= 0.5 * top or seconds[frame] - seconds[peak] >= 15
        if fallen and ahead.sum() >= 2:
            span_s = seconds[ahead][-1] - seconds[frame]
            if smooth[frame] - smooth[ahead].min() <= max(_STILL * top * span_s, noise):
                return frame
    if smooth[-1] > 0.4 * top:
        _raise_too_short(top, top - smooth[-1], seconds, peak)
    return len(drop)

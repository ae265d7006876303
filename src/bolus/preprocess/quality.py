"""How good a series is before anything is computed from it: a few numbers and what to look at."""

from dataclasses import dataclass

import numpy as np

from bolus.core import SIGNAL, Mask, PerfusionSeries

_CHUNK = 65536
_LOW_TSNR = 15.0
"""Below this a voxel's ΔR2* noise at TE 30 ms is over 2 1/s, as high as white matter's peak."""
_DRIFT_PERCENT_PER_MIN = 3.0
"""A drift of this size over a minute is as large as the late effect of leakage."""
_LOST_PERCENT = 1.0
_OUTLIER = 6.0
"""Robust standard deviations of the frame-to-frame change above its median."""
_PASSAGE = 20
"""Frames after the baseline in which first pass and recirculation change the signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuality:
    """What the report says of the series itself; `look_*` marks what deserves a second look."""

    baseline_tsnr: float
    """Median over the brain of mean / standard deviation before the bolus."""
    drift_percent_per_min: float
    """Slope of the brain mean before the bolus."""
    outlier_frames: tuple[int, ...]
    """Frames whose change from the one before stands out from the other frames' changes."""
    lost_percent: float
    """Share of brain voxels that hold a value that is not finite or do not vary."""

    @property
    def look_tsnr(self) -> bool:
        """Whether noise will rule single voxels."""
        return not self.baseline_tsnr >= _LOW_TSNR

    @property
    def look_drift(self) -> bool:
        """Whether drift may pass for leakage."""
        return abs(self.drift_percent_per_min) > _DRIFT_PERCENT_PER_MIN

    @property
    def look_lost(self) -> bool:
        """Whether too many voxels have no curve."""
        return self.lost_percent > _LOST_PERCENT


def measure_quality(series: PerfusionSeries, brain: Mask, baseline: slice) -> SeriesQuality:
    """Measure noise, drift, jumps and lost voxels of a series within the brain.

    Args:
        series: signal [a.u.], motion corrected.
        brain: where to measure.
        baseline: frames before the bolus, at least two.

    Returns:
        Temporal SNR [1], drift [%/min], frames that jump, and the share of voxels without a
        curve [%]. With fewer than three baseline frames the drift is 0: it cannot be told.

    Raises:
        QuantityError: the series is not a signal.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Before the bolus only noise and drift change the signal.

    Source:
        Temporal SNR: Triantafyllou et al., NeuroImage 2005;26:243-250. Frame changes: DVARS,
        Power et al., NeuroImage 2012;59:2142-2154, on the log signal with the mean change of the
        brain taken off, so that the bolus itself is no jump.
    """
    series.require(SIGNAL)
    kept = _sound_curves(series.values, brain.require_some().values)
    before = kept[:, baseline].astype(np.float64)
    noise = before.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tsnr = np.nanmedian(before.mean(axis=1) / noise) if len(before) else np.nan
    return SeriesQuality(
        baseline_tsnr=float(tsnr),
        drift_percent_per_min=_drift(before, series.time.seconds[baseline]),
        outlier_frames=_outliers(kept, baseline),
        lost_percent=100 * (brain.count - len(kept)) / brain.count,
    )


def _sound_curves(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the curves of a mask that are finite and vary, in C order."""
    kept = np.empty((np.count_nonzero(inside), values.shape[-1]), values.dtype)
    count = 0
    for slab, where in zip(values, inside, strict=True):
        curves = slab[where]
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(curves).all(axis=1) & (np.ptp(curves, axis=1) > 0)
        kept[count : count + np.count_nonzero(sound)] = curves[sound]
        count += int(np.count_nonzero(sound))
    return kept[:count]


def _drift(before: np.ndarray, seconds: np.ndarray) -> float:
    mean = before.mean(axis=0) if len(before) else np.array([])
    if len(mean) < 3 or not mean.mean() > 0:
        return 0.0
    return float(100 * 60 * np.polyfit(seconds, mean / mean.mean(), 1)[0])


def _outliers(curves: np.ndarray, baseline: slice) -> tuple[int, ...]:
    """Return frames whose spatially uneven change is far above that of most frames."""
    if len(curves) < 2:
        return ()
    level = np.maximum(curves[:, baseline].mean(axis=1, dtype=np.float64), 1e-9)
    total = np.zeros(curves.shape[1] - 1)
    for first in range(0, len(curves), _CHUNK):
        part = slice(first, first + _CHUNK)
        change = np.diff(curves[part].astype(np.float64) / level[part, None], axis=1)
        total += np.abs(change - np.median(change, axis=0)).sum(axis=0)
    unevenness = total / len(curves)
    middle = np.median(unevenness)
    spread = 1.4826 * np.median(np.abs(unevenness - middle))
    jumps = np.flatnonzero(unevenness > middle + _OUTLIER * spread) + 1
    # The bolus comes and goes unevenly by nature: only frames before it and well after it count.
    arrival = baseline.stop or 0
    return tuple(int(frame) for frame in jumps if not arrival <= frame < arrival + _PASSAGE)

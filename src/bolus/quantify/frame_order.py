"""Whether the frames of a DSC series are in the order in which they were taken, by shape alone."""

import warnings

import numpy as np
from scipy.ndimage import median_filter

from bolus.core import Curve, Curves
from bolus.errors import Code, QualityWarning, TimingError

_APPROACH = 4
"""Frames on the way to the steady state, which jump whatever their order."""
_RESTLESS = (6.0, 2.6)
"""Ways up and down over the range, of frames as they are and of medians of three; one passage
makes 2 of both, passage and spikes 10 and 2, two passages 4 of both, shuffled frames 8 and 3."""
_MEMORYLESS = 0.35
"""Correlation from frame to frame below which neighbours know nothing of each other."""
_SMALLEST_RANGE = 0.03
_SLOWEST_S = 4.0
"""Frame spacing above which a passage makes no neighbours alike."""
_LATE = 0.7
"""Share of the depth that is recovered where the sides of the passage are compared."""
_CERTAIN = (-0.3, 1.5)
"""Asymmetry below and lag [s] above which nothing but reversed frames is left."""
_FEWEST_VOXELS = 50
_FIRST = 0.02
_ARTERIES_NEAR = 3
"""Frames beside the peak of the brain in which arteries have theirs."""


def refuse_shuffled(log: Curve, seconds: Curve) -> None:
    """Stop where the brain mean goes up and down all the time, over a range that contrast has.

    Args:
        log: ln of the brain mean (t,).
        seconds: its times (t,).

    Raises:
        TimingError: TIME_INVALID the frames are in no order.

    Assumes:
        Contrast passes once or twice, over more than 3 % of the signal; less is not judged, nor
        are frames so far apart that a passage falls into one or two.

    Source:
        Ours; measured behaviour and limits: docs/science/bolus_detection.md.
    """
    steady = log[_APPROACH:]
    if len(steady) < 20 or float(np.median(np.diff(seconds))) > _SLOWEST_S:
        return
    smooth = median_filter(steady, 3, mode="nearest")
    spread, plain = float(np.ptp(smooth)), float(np.ptp(steady))
    if spread < _SMALLEST_RANGE:
        return
    ways = np.abs(np.diff(steady)).sum() / plain, np.abs(np.diff(smooth)).sum() / spread
    memory = float(np.corrcoef(steady[:-1], steady[1:])[0, 1])
    if ways[0] > _RESTLESS[0] and ways[1] > _RESTLESS[1] and memory < _MEMORYLESS:
        raise TimingError(
            Code.TIME_INVALID,
            f"the frames seem to be in no order: the brain mean goes up and down "
            f"{ways[0] / 2:.0f} times over {100 * spread:.0f} %, where one passage of contrast "
            "does so once",
            mend="convert the series again; check how its frames were sorted",
        )


def judge_direction(log: Curve, seconds: Curve, sample: Curves, peak: int) -> None:
    """Warn, or stop where it is certain, if the first pass looks as if time ran backwards.

    Contrast falls faster than it recovers, and comes and goes first in arteries: the voxels that
    drop most. Backwards both are the other way round.

    Args:
        log: ln of the brain mean (t,).
        seconds: its times (t,).
        sample: signal of voxels (v, t), positive.
        peak: frame of the strongest drop.

    Raises:
        TimingError: TIME_INVALID both signs are strong.

    Assumes:
        Arteries are among the voxels that drop most; fewer than 50 voxels are not judged.

    Source:
        Ours; measured behaviour and limits: docs/science/bolus_detection.md.
    """
    if len(sample) < _FEWEST_VOXELS:
        return
    smooth = median_filter(log, 3, mode="nearest")
    lowest = min(np.percentile(log[: peak + 1], 75), np.percentile(log[peak:], 75))
    share = smooth[peak] + _LATE * (lowest - smooth[peak])
    fall, recovery = (_width_s(smooth, seconds, peak, share, step) for step in (-1, 1))
    lag_s = _lag_of_arteries_s(log, seconds, sample, peak)
    if not (fall > 0 and recovery > 0 and np.log(recovery / fall) < 0 < lag_s):
        return
    asymmetry = float(np.log(recovery / fall))
    what = (
        f"the frames seem to be in reverse order: the signal falls over {fall:.1f} s and recovers "
        f"over {recovery:.1f} s, and the voxels that drop most come and go later than the brain "
        f"(by {lag_s / 2:.1f} s)"
    )
    if asymmetry < _CERTAIN[0] and lag_s > _CERTAIN[1]:
        raise TimingError(
            Code.TIME_INVALID, what, mend="turn the frames round, or convert the series again"
        )
    warnings.warn(QualityWarning(what), stacklevel=3)


def _width_s(log: Curve, seconds: Curve, peak: int, level: float, step: int) -> float:
    """Return how far from the peak a level is crossed on one side [s]; NaN if it is not."""
    last = len(log) if step > 0 else -1
    for frame in range(peak + step, last, step):
        if log[frame] >= level:
            before = frame - step
            part = (level - log[before]) / (log[frame] - log[before])
            crossed = seconds[before] + part * (seconds[frame] - seconds[before])
            return float(abs(crossed - seconds[peak]))
    return float("nan")


def _lag_of_arteries_s(log: Curve, seconds: Curve, sample: Curves, peak: int) -> float:
    """Return how much later the strongest drops begin and end, both together [s].

    Begin and end are where half of a curve's own depth is reached.
    """
    near = slice(max(peak - 1, 0), peak + 2)
    with np.errstate(divide="ignore"):
        drop = np.log(np.median(sample, axis=1) / sample[:, near].mean(axis=1))
    first = np.argsort(-drop, kind="stable")[: max(10, int(_FIRST * len(sample)))]
    arteries = np.log(sample[first].mean(axis=0))
    low = max(peak - _ARTERIES_NEAR, 0)
    own = low + int(np.argmin(arteries[low : peak + _ARTERIES_NEAR + 1]))
    lag = 0.0
    for step in (-1, 1):
        times = []
        for curve, bottom in ((arteries, own), (log, peak)):
            side = curve[bottom:] if step > 0 else curve[: bottom + 1]
            half = (float(np.percentile(side, 75)) + curve[bottom]) / 2
            width = _width_s(curve, seconds, bottom, half, step)
            times.append(seconds[bottom] + step * width)
        lag += times[0] - times[1]
    return float(lag)

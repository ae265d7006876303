"""When the agent arrives in a T1-weighted series: baseline, arrival, peak, found in the signal."""

from dataclasses import dataclass

import numpy as np

from bolus.core import SIGNAL, Curve, Curves, Mask, PerfusionSeries, read_only
from bolus.errors import Code, QuantityError, TimingError

_BRIGHTEST = 0.03
"""Share of the voxels that enhance most: vessels. They show the arrival first and most sharply."""
_FEWEST = 10
_NOISES = 6.0
_SMALLEST_RISE = 0.2
"""Vessels rise by 1 to 5 times their baseline; below a fifth nothing was injected."""
_LEADERS = 90.0
"""Percentile of the most enhancing curves that shows the first of them: arteries before veins."""
_SMALLEST_FALL = 0.03
_ONSET = 0.05
_BASELINE_FRAMES = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enhancement:
    """The frames that matter, and the curve of the leading vessels they were found in.

    `vessel_signal` is relative to its baseline (1 before the agent).
    """

    baseline: slice
    arrival: int
    """First frame in which any vessel shows agent."""
    peak: int
    vessel_signal: Curve
    contrast_to_noise: float

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "vessel_signal", read_only(np.asarray(self.vessel_signal, np.float64))
        )


def find_enhancement(series: PerfusionSeries, mask: Mask) -> Enhancement:
    """Find the baseline and the arrival of the agent in a T1-weighted series.

    The 3 % of the voxels that enhance most (relative to the lower of their first two frames) are
    searched; in every frame the 90th percentile of their curves stands for the first of them.
    Arrival is the frame from which that curve stays, up to its peak, above 5 % of its rise and
    above 6 standard deviations of its noise (20 % of the rise at most). The baseline is every
    frame before it.

    Args:
        series: signal [a.u.].
        mask: the head or brain; voxels with a sample that is not finite and positive are left out.

    Returns:
        Frames and curve.

    Raises:
        TimingError: NO_BOLUS nothing rises by 20 %, or the mean of the mask falls more than it
            rises (DSC); BOLUS_TOO_EARLY fewer than two frames before it.
        QuantityError: the values are no signal, or no voxel has a usable curve.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        One injection during the series; vessels are about a hundredth of the mask, or the
        tissue next to them enhances with them.

    Source:
        Ours: docs/science/dce_aif.md.

    Example:
        >>> from bolus.quantify.enhancement import find_enhancement
        >>> curve = np.array([50.0, 51, 50, 90, 140, 120, 110, 105])
        >>> series = PerfusionSeries(values=np.tile(curve, (2, 2, 3, 1)), quantity=SIGNAL,
        ...     grid=Grid(shape=(2, 2, 3), affine=np.eye(4)), provenance=Provenance(),
        ...     time=TimeAxis.regular(8, step_s=4.0), acquisition=Acquisition())
        >>> brain = Mask(values=np.ones((2, 2, 3), bool), grid=series.grid, name="brain")
        >>> found = find_enhancement(series, brain)
        >>> found.baseline, found.arrival, found.peak
        (slice(0, 3, None), 3, 4)
    """
    series.require(SIGNAL).grid.require_match(mask.require_some().grid, what=f"the {mask.name}")
    curve, mean = _vessel_curve(series, mask)
    peak = int(np.argmax(curve))
    noise = _noise(curve)
    floor = np.median(curve[: max(1, peak // 2)])
    rise = curve[peak] - floor
    fall = 1 - float(mean.min())
    falls = fall > max(_SMALLEST_FALL, float(mean.max()) - 1)
    if falls or not rise >= max(_SMALLEST_RISE * floor, _NOISES * noise):
        hint = f"; the mean of the mask falls by {fall:.0%}, as in DSC" if falls else ""
        raise TimingError(
            Code.NO_BOLUS,
            f"the voxels that enhance most rise by {rise / floor:.1%} (noise {noise / floor:.1%})"
            f"{hint}",
            mend="check that this is the T1-weighted series with the injection",
        )
    limit = floor + max(_ONSET * rise, min(_NOISES * noise, 0.2 * rise))
    below = np.flatnonzero(curve[:peak] < limit)
    arrival = int(below[-1]) + 1 if len(below) else 0
    if arrival < _BASELINE_FRAMES:
        raise TimingError(
            Code.BOLUS_TOO_EARLY,
            f"the agent arrives in frame {arrival}; {_BASELINE_FRAMES} frames before it are needed",
            mend="give the baseline of another series of the same gain, or use a T10 and M0 map",
        )
    level = curve[:arrival].mean()
    return Enhancement(
        baseline=slice(0, arrival),
        arrival=arrival,
        peak=peak,
        vessel_signal=curve / level,
        contrast_to_noise=float(rise / max(noise, 1e-12)),
    )


def half_rise_s(curves: Curves, seconds: Curve) -> np.ndarray:
    """Return when each curve last crosses half of its peak before it, linear between samples.

    Args:
        curves: baseline 0.
        seconds: times of the samples [s].

    Assumes:
        The peak is that of the first pass.

    Source:
        Ours: docs/science/dce_aif.md.

    Example:
        >>> from bolus.quantify.enhancement import half_rise_s
        >>> half_rise_s(np.array([[0.0, 0.0, 4.0, 8.0, 3.0]]), np.arange(5.0)).tolist()
        [2.0]
    """
    rows = np.arange(len(curves))
    peak = np.argmax(curves, axis=1)
    half = 0.5 * curves[rows, peak]
    before = (curves < half[:, None]) & (np.arange(curves.shape[1])[None] < peak[:, None])
    last = curves.shape[1] - 1 - np.argmax(before[:, ::-1], axis=1)
    last = np.where(before.any(axis=1), last, 0)
    after = np.minimum(last + 1, curves.shape[1] - 1)
    low, high = curves[rows, last], curves[rows, after]
    share = np.where(high > low, (half - low) / np.where(high > low, high - low, 1.0), 0.0)
    return np.asarray(seconds[last] + np.clip(share, 0, 1) * (seconds[after] - seconds[last]))


def _vessel_curve(series: PerfusionSeries, mask: Mask) -> tuple[Curve, Curve]:
    """Return the leading curve of the most enhancing voxels, and the mean; 1 at the start."""
    all_curves = np.empty((mask.count, len(series.time)), np.float32)
    rise, count = np.empty(mask.count, np.float32), 0
    for slab, inside in zip(series.values, mask.values, strict=True):
        curves = np.asarray(slab[inside], np.float32)
        curves = curves[np.isfinite(curves).all(axis=1) & (curves > 0).all(axis=1)]
        part = slice(count, count + len(curves))
        curves = curves / curves[:, :_BASELINE_FRAMES].min(axis=1, keepdims=True)
        # One bright frame is noise.
        rise[part] = np.minimum(curves[:, 1:], curves[:, :-1]).max(axis=1, initial=-np.inf)
        all_curves[part] = curves
        count = part.stop
    all_curves, rise = all_curves[:count], rise[:count]
    if not len(all_curves):
        raise QuantityError(
            Code.VALUES_INVALID,
            f"none of the {mask.count} voxels of the {mask.name} mask has a positive, finite "
            "signal in every frame",
            mend="check the series for empty frames, and the mask",
        )
    brightest = max(_FEWEST, int(_BRIGHTEST * count))
    best = np.argsort(-rise, kind="stable")[:brightest]
    leading = np.percentile(all_curves[best], _LEADERS, axis=0).astype(np.float64)
    mean = np.array([np.median(frame) for frame in all_curves.T], np.float64)
    return leading, mean


def _noise(curve: Curve) -> float:
    """Return the standard deviation of what changes from frame to frame; a bolus hardly counts."""
    second = np.diff(curve, n=2)
    return float(1.4826 * np.median(np.abs(second)) / np.sqrt(6.0)) if len(second) else 0.0

"""What a method that changes a series did to it: noise, mean signal, and curves of vessels."""

from dataclasses import dataclass

import numpy as np

from bolus.core import SIGNAL, Curve, Curves, Mask, PerfusionSeries, read_only
from bolus.errors import MetadataError
from bolus.quantify.aif_shape import AifBias, aif_bias

_VESSELS = 20
"""Voxels with the strongest passage that stand for vessels; fewer in a small brain."""
_SHARE = 0.02
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesChange:
    """Before and after, on one grid.

    `tsnr` is the median over the brain of mean over standard deviation before the bolus (before,
    after). `mean_percent` is the change of the mean signal of the brain. `vessels` are the voxels
    (x, y, z) with the strongest passage, `vessel_before` and `vessel_after` (t,) their mean
    contrast: -ln(S/S0) of DSC, S/S0 - 1 of DCE. `shape` is how the second differs from the first,
    None where one of them has no passage. A change is no error: the truth is not known.
    """

    tsnr: tuple[float, float]
    mean_percent: float
    vessels: np.ndarray
    vessel_before: Curve
    vessel_after: Curve
    shape: AifBias | None

    def __post_init__(self) -> None:
        for name in ("vessels", "vessel_before", "vessel_after"):
            object.__setattr__(self, name, read_only(np.asarray(getattr(self, name))))


def series_change(
    before: PerfusionSeries, after: PerfusionSeries, brain: Mask, *, baseline: slice, falls: bool
) -> SeriesChange:
    """Compare a series with what a method made of it.

    Vessels are the 2 % of the voxels, 20 at most, whose contrast is strongest over three frames
    about the highest point of the brain's second percentile curve.

    Args:
        before: signal [a.u.].
        after: signal on the same grid and times.
        brain: where both are compared.
        baseline: frames before the bolus, two or more.
        falls: whether contrast lowers the signal (DSC) or raises it (DCE).

    Returns:
        The figures; those of a brain without a usable curve are NaN.

    Raises:
        QuantityError: one of them is no signal.
        GeometryError: the grids differ, or the mask is empty.

    Assumes:
        Vessels are chosen on the series as it came, whose noise lifts them a little: a loss of
        height of a percent or two at a low signal-to-noise ratio is that choice.

    Source:
        Set by us.
    """
    inside = brain.require_some().values
    before.grid.require_match(after.grid, what="the changed series")
    first, second = (
        np.asarray(one.require(SIGNAL).values[inside], np.float64) for one in (before, after)
    )
    sound = (first > 0).all(axis=1) & np.isfinite(first).all(axis=1)
    contrasts = [_contrast(one[sound], baseline, falls) for one in (first, second)]
    count = max(1, min(_VESSELS, int(_SHARE * sound.sum())))
    leading = np.percentile(contrasts[0], 98, axis=0)
    peak = int(np.clip(np.argmax(leading), 1, len(leading) - 2))
    strength = contrasts[0][:, peak - 1 : peak + 2].mean(axis=1)
    chosen = np.argsort(-strength, kind="stable")[:count]
    vessels = np.zeros(inside.shape, bool)
    vessels[tuple(axis[sound][chosen] for axis in np.nonzero(inside))] = True
    curves = [one[chosen].mean(axis=0) for one in contrasts]
    return SeriesChange(
        tsnr=(_tsnr(first[sound], baseline), _tsnr(second[sound], baseline)),
        mean_percent=float(100 * (second[sound].mean() / first[sound].mean() - 1)),
        vessels=vessels,
        vessel_before=curves[0],
        vessel_after=curves[1],
        shape=_shape(curves[1], curves[0], before.time.seconds),
    )


def _contrast(signal: Curves, baseline: slice, falls: bool) -> Curves:
    level = signal[:, baseline].mean(axis=1, keepdims=True)
    ratio = np.maximum(signal / np.maximum(level, _FLOOR), _FLOOR)
    return np.asarray(-np.log(ratio) if falls else ratio - 1)


def _tsnr(signal: Curves, baseline: slice) -> float:
    own = signal[:, baseline]
    noise = own.std(axis=1, ddof=1)
    return float(np.median(own.mean(axis=1)[noise > 0] / noise[noise > 0]))


def _shape(after: Curve, before: Curve, seconds: Curve) -> AifBias | None:
    try:
        return aif_bias(after, before, seconds)
    except MetadataError:
        return None

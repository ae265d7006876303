"""What the artery picker sees of a series: curves about the bolus, on one axis, without places."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from bolus.core.arrays import Curve, Curves
from bolus.errors import Code, GeometryError, MetadataError, TimingError
from bolus.quantify.enhancement import half_rise_s

KINDS = ("dsc", "dce")
"""ΔR2* [1/s] of a DSC series, concentration [mM] of a DCE series."""
POINTS = 48
STEP_S = 1.5
BEFORE_S = 15.0
AXIS_S = STEP_S * np.arange(POINTS) - BEFORE_S
"""Seconds from the half rise of the brain."""
CHANNELS = 7
"""The voxel, its shape, its neighbours, the brain, what was measured, the kind, how tall."""
_QUIET_S = 5.0
"""Frames nearer to the half rise than this are no baseline: arteries are early."""
_LOOKED_S = 36.0
"""The first pass is over by then, also after a slow injection."""
_TOP = 99.5
_TALL = 0.15
"""Voxels less tall than this, from the brain's median to its tallest, hold no artery to speak of.
On simulated scans 0.25 loses a few of half an artery."""
_FEWEST = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArteryInput:
    """Features of the tall voxels of a brain, their places, and when the bolus came."""

    features: Float32[np.ndarray, "n channels points"]
    indices: Int[np.ndarray, "n 3"]
    arrival_s: float


def artery_input(
    values: Float[np.ndarray, "x y z t"],
    times_s: Curve,
    brain: Bool[np.ndarray, "x y z"],
    *,
    kind: str,
) -> ArteryInput:
    """Return what the network sees of every tall voxel.

    Heights are divided by the 99.5th percentile of the brain, times begin at the half rise of the
    brain's median curve: unit, dose and injection do not matter.

    Args:
        values: ΔR2* [1/s] or concentration [mM]; curves with NaN are passed over.
        times_s: of the frames [s], rising.
        brain: where to look.
        kind: of `KINDS`.

    Raises:
        MetadataError: the kind is not known; AIF_NOT_FOUND the brain does not rise.
        GeometryError: the mask does not fit, or is too small.
        TimingError: times do not fit, or there is no frame before the bolus.

    Assumes:
        One bolus, which most of the brain shows.

    Source:
        Ours.
    """
    _require(values, times_s, brain, kind)
    indices = np.argwhere(brain)
    curves = np.asarray(values[brain], np.float32)
    finite = np.isfinite(curves).all(axis=1)
    if int(finite.sum()) < _FEWEST:
        raise GeometryError(
            Code.MASK_EMPTY,
            f"{int(finite.sum())} voxels of the mask have finite curves, {_FEWEST} are needed",
            mend="give the mask of the brain",
        )
    indices, curves = indices[finite], curves[finite]
    middle = np.median(curves, axis=0).astype(np.float64)
    arrival_s, baseline = _arrival(middle, times_s)
    curves -= curves[:, baseline].mean(axis=1, keepdims=True)
    middle -= middle[baseline].mean()
    first_pass = (times_s >= arrival_s - BEFORE_S) & (times_s <= arrival_s + _LOOKED_S)
    height = curves[:, first_pass].max(axis=1).astype(np.float64)
    usual, top = (float(v) for v in np.percentile(height, (50, _TOP)))
    peak = float(middle[first_pass].max())
    chosen = np.flatnonzero(height >= usual + _TALL * (top - usual))
    around = _neighbours(curves, indices, chosen, values.shape[:3])
    onto, measured = _resampling(np.asarray(times_s, np.float64), arrival_s)
    own = curves[chosen] @ onto
    features = np.empty((len(chosen), CHANNELS, POINTS), np.float32)
    features[:, 0] = own / top
    features[:, 1] = own / np.maximum(height[chosen], 1e-6 * top)[:, None]
    features[:, 2] = around @ onto / top
    features[:, 3] = (middle @ onto) / peak
    features[:, 4] = measured
    features[:, 5] = KINDS.index(kind)
    features[:, 6] = np.log10(top / peak)
    return ArteryInput(features=features, indices=indices[chosen], arrival_s=arrival_s)


def _require(values: np.ndarray, times_s: Curve, brain: np.ndarray, kind: str) -> None:
    if kind not in KINDS:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"arteries of {kind!r} are not known",
            mend="give " + " or ".join(KINDS),
        )
    if values.ndim != 4 or brain.shape != values.shape[:3]:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"a mask of shape {brain.shape} for a series of shape {values.shape}",
            mend="give the mask on the grid of the series",
        )
    if len(times_s) != values.shape[3] or not (np.diff(times_s) > 0).all():
        raise TimingError(
            Code.TIME_INVALID,
            f"{len(times_s)} times for {values.shape[3]} frames, or they do not rise",
            mend="give one time for each frame",
        )


def _arrival(middle: Curve, times_s: Curve) -> tuple[float, np.ndarray]:
    """Return the half rise of the brain [s], and the frames of its baseline.

    Raises:
        MetadataError: the brain does not rise.
        TimingError: no frame is before it.
    """
    early = np.median(middle[: max(2, int(np.argmax(middle)) // 2)])
    if not (middle > early).any():
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            "the median curve of the mask does not rise",
            mend="check the series and the mask, or give the curve with --aif",
        )
    arrival_s = float(half_rise_s((middle - early)[None], np.asarray(times_s))[0])
    baseline = (times_s >= arrival_s - BEFORE_S) & (times_s <= arrival_s - _QUIET_S)
    if not baseline.any():
        raise TimingError(
            Code.BOLUS_TOO_EARLY,
            f"no frame lies {_QUIET_S:g} to {BEFORE_S:g} s before the bolus at {arrival_s:.3g} s",
            mend="give the whole series, with its baseline",
        )
    return arrival_s, np.asarray(baseline)


def _neighbours(
    curves: Float32[np.ndarray, "n t"],
    indices: np.ndarray,
    chosen: np.ndarray,
    shape: tuple[int, ...],
) -> Curves:
    """Return the mean of up to 26 neighbours with a curve; the voxel's own where it has none."""
    place = np.full(tuple(n + 2 for n in shape), -1)
    place[tuple((indices + 1).T)] = np.arange(len(indices))
    total = np.zeros((len(chosen), curves.shape[1]), np.float64)
    count = np.zeros(len(chosen))
    centre = indices[chosen] + 1
    for step in np.ndindex(3, 3, 3):
        if step == (1, 1, 1):
            continue
        near = place[tuple((centre + np.array(step) - 1).T)]
        seen = near >= 0
        total[seen] += curves[near[seen]]
        count[seen] += 1
    alone = count == 0
    total[alone] = curves[chosen[alone]]
    return np.asarray(total / np.maximum(count, 1)[:, None])


def _resampling(seconds: Curve, arrival_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (t, points) of straight lines between frames, and which points they reach."""
    asked = AXIS_S + arrival_s
    measured = (asked >= seconds[0]) & (asked <= seconds[-1])
    held = np.clip(asked, seconds[0], seconds[-1])
    right = np.clip(np.searchsorted(seconds, held, side="right"), 1, len(seconds) - 1)
    share = (held - seconds[right - 1]) / (seconds[right] - seconds[right - 1])
    onto = np.zeros((len(seconds), POINTS), np.float32)
    points = np.arange(POINTS)
    onto[right - 1, points] = 1 - share
    onto[right, points] += share
    return onto, measured.astype(np.float32)

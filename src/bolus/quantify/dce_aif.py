"""Arterial and venous curves of DCE, found in the concentration series and judged."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import (
    CONCENTRATION,
    ArterialInput,
    Curve,
    Curves,
    Mask,
    PerfusionSeries,
    Step,
    TimeAxis,
)
from bolus.errors import Code, MetadataError
from bolus.quantify.aif_score import combined, ramp
from bolus.quantify.enhancement import Enhancement, half_rise_s

_USABLE = 0.3
_SHORTLIST = 5
_TALL = 0.25
_ALIKE = 0.9
_ALIKE_VOXELS = 3
_SHOWN = 10
_LATE_S = 30.0
"""From this long after its peak a vessel holds what recirculates, no longer the first pass."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shape:
    """Of each curve: peak, when it is half risen, what is left later, noise and area."""

    height: Float[np.ndarray, " voxels"]
    half_s: Float[np.ndarray, " voxels"]
    left: Float[np.ndarray, " voxels"]
    noise: Float[np.ndarray, " voxels"]
    area: Float[np.ndarray, " voxels"]


def find_dce_aif(
    series: PerfusionSeries, mask: Mask, timing: Enhancement, *, voxels: int = 10
) -> ArterialInput:
    """Find the arterial curve in a concentration series.

    The tall voxels (a quarter of the way from the median peak to the 99.5th percentile, or taller)
    are scored by a weighted geometric mean of ramps from 0 to 1; U is the frame spacing or 4 s, the
    longer, and what is left is the mean from 30 s after the peak over the peak:

    - tall (weight 3): at the median peak 0, at the 99.5th percentile 1;
    - first (3): half risen U after the earliest tenth of the tall 0, 0.1 U after it 1;
    - narrowest (3): twice as much left as in the sharpest tenth 0, 1.15 times 1;
    - early (2): half risen with the median of the mask 0, U before it 1;
    - returns (1): 0.9 left 0, 0.5 left 1;
    - clean (1): peak 3 standard deviations of the baseline 0, 12 gives 1.

    Of the best, those that correlate less than 0.9 with their median are left out; where fewer than
    three are alike, their mean must be clean.

    Args:
        series: concentration [mM]; curves with NaN are passed over.
        mask: where to look; it may hold the vessels below the brain.
        timing: from `find_enhancement` on the signal of the same scan.
        voxels: how many are averaged; fewer where fewer are usable.

    Returns:
        Concentration in whole blood [mM], as measured: partial volume and inflow make it too low,
        `scale_to_vein` mends that. With voxels, score and the ten best candidates.

    Raises:
        MetadataError: AIF_NOT_FOUND no voxel scores 0.3.
        QuantityError: the series is no concentration.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Arteries are among the tall voxels, and sharper than what surrounds them. R10 in the vessel
        is that of the T1 map of the same scan: fresh blood brightens both, which mends part of it.

    Source:
        Criteria as in DSC (`score_aif`; Mouridsen et al., Magn Reson Med 2006;55:524-531), ramps
        ours: docs/science/dce_aif.md.

    Example:
        >>> find_dce_aif.__name__
        'find_dce_aif'
    """
    indices, curves, shape, middle, top = _tall(series, mask, timing)
    unit = _unit_s(series)
    mean = _measure(_mean_curve(series, mask)[None], series, timing)
    parts = {
        "tall": ramp(shape.height, zero=middle, one=top),
        "first": _first(shape, unit),
        "narrowest": _sharpest(shape),
        **_own_parts(shape, mean, unit),
    }
    rank = combined(parts)
    order = np.argsort(-rank, kind="stable")[: max(_SHORTLIST * voxels, _SHOWN)]
    order = order[rank[order] >= _USABLE]
    _require_some(len(order), rank, parts, kind="an artery", searched=mask.count)
    kept = _alike(curves[order], voxels)
    found = order[kept]
    average = curves[found[:voxels]].mean(axis=0)
    own = _own_parts(_measure(average[None], series, timing), mean, unit)
    alone = len(found) < min(_ALIKE_VOXELS, voxels) and own["clean"][0] < 1
    _require_some(0 if alone else 1, rank, parts, kind="an artery", searched=mask.count)
    score = float(combined(own)[0]) * _agreement(curves[found[:voxels]], average)
    return _input(
        series, average, "automatic", score, indices[found[:voxels]], curves[found[:_SHOWN]],
        parts={name: float(part[0]) for name, part in own.items()},
    )  # fmt: skip


def find_dce_vein(
    series: PerfusionSeries,
    mask: Mask,
    timing: Enhancement,
    artery: ArterialInput,
    *,
    voxels: int = 10,
) -> ArterialInput:
    """Find the venous curve (a large sinus) in a concentration series.

    Among the tall voxels: tall (weight 3, here of the area after the arrival), late (2; half risen
    as the artery gives 0, 0.4 U later 1), returns and clean as in `find_dce_aif`. A sinus fills its
    voxels, and its blood has met enough pulses: its area is that of blood, without partial volume
    and inflow.

    Args:
        series: concentration [mM], with the same R10 in blood as the artery's.
        mask: where to look; the large sinuses must be inside.
        timing: from `find_enhancement`.
        artery: from `find_dce_aif`.
        voxels: how many are averaged.

    Returns:
        Concentration in whole blood [mM], with voxels, score and candidates.

    Raises:
        MetadataError: AIF_NOT_FOUND no voxel scores 0.3.
        QuantityError: the series is no concentration.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Little agent stays in the brain.

    Source:
        Ours: docs/science/dce_aif.md; the use of a vein: `scale_to_vein`.

    Example:
        >>> find_dce_vein.__name__
        'find_dce_vein'
    """
    indices, curves, shape, _, _ = _tall(series, mask, timing)
    unit = _unit_s(series)
    arterial = _measure(artery.values[None], series, timing)
    large, small = np.percentile(shape.area, (99, 25))
    parts = {
        "tall": ramp(shape.area, zero=small, one=max(large, small + 1e-12)),
        "early": ramp(shape.half_s - arterial.half_s[0], zero=0.0, one=0.4 * unit),
        "returns": ramp(shape.left / shape.height, zero=1.0, one=0.8),
        "clean": ramp(shape.height / shape.noise, zero=3.0, one=12.0),
    }
    rank = combined(parts)
    order = np.argsort(-rank, kind="stable")[: max(_SHORTLIST * voxels, _SHOWN)]
    order = order[rank[order] >= _USABLE]
    _require_some(len(order), rank, parts, kind="a vein", searched=mask.count)
    found = order[_alike(curves[order], voxels)]
    average = curves[found[:voxels]].mean(axis=0)
    score = float(rank[found[:voxels]].mean()) * _agreement(curves[found[:voxels]], average)
    return _input(
        series, average, "automatic vein", score, indices[found[:voxels]], curves[found[:_SHOWN]],
        parts={name: float(part[found[:voxels]].mean()) for name, part in parts.items()},
    )  # fmt: skip


def dce_aif_from_region(
    series: PerfusionSeries, region: Mask, timing: Enhancement
) -> ArterialInput:
    """Average the arterial or venous curve over a drawn region.

    Args:
        series: concentration [mM].
        region: voxels of a vessel; every finite curve counts the same.
        timing: from `find_enhancement`.

    Returns:
        The mean curve [mM of whole blood], its voxels and candidates; the score has no part that
        compares it with the brain (returns and clean only).

    Raises:
        MetadataError: AIF_NOT_FOUND no curve of the region is finite.
        QuantityError: the series is no concentration.
        GeometryError: the region is empty or on another grid.

    Assumes:
        The region was drawn on this series.

    Source:
        docs/science/dce_aif.md.

    Example:
        >>> dce_aif_from_region.__name__
        'dce_aif_from_region'
    """
    indices, curves = _finite_curves(series, region)
    if not len(curves):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"none of the {region.count} curves of {region.name} is finite",
            mend="check T10 in the region; a signal above the limit has no concentration",
        )
    average = curves.mean(axis=0)
    shape = _measure(average[None], series, timing)
    own = {name: part for name, part in _own_parts(shape, shape, 1.0).items() if name != "early"}
    score = float(combined(own)[0]) * _agreement(curves, average)
    return _input(
        series, average, f"region {region.name}", score, indices, curves[:_SHOWN],
        parts={name: float(part[0]) for name, part in own.items()},
    )  # fmt: skip


def _tall(
    series: PerfusionSeries, mask: Mask, timing: Enhancement
) -> tuple[np.ndarray, Curves, _Shape, float, float]:
    """Return indices, curves and shapes of the tall voxels, and what tall means."""
    height = _heights(series, mask, timing)
    seen = height[np.isfinite(height)]
    if not len(seen) or seen.max() <= 0:
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"none of the {mask.count} voxels of the {mask.name} mask has a finite, rising curve",
            mend="check the T1 map, the relaxivity and the mask",
        )
    middle, top = (float(v) for v in np.percentile(seen, (50, 99.5)))
    top = max(top, middle + 1e-6 * abs(middle) + 1e-12)
    chosen = np.flatnonzero(height >= middle + _TALL * (top - middle))
    indices = np.argwhere(mask.values)[chosen]
    curves = np.asarray(series.values[tuple(indices.T)], np.float64)
    curves -= curves[:, timing.baseline].mean(axis=1, keepdims=True)
    return indices, curves, _measure(curves, series, timing), middle, top


def _heights(series: PerfusionSeries, mask: Mask, timing: Enhancement) -> np.ndarray:
    """Return how high each voxel of a mask rises, NaN where its curve is not finite."""
    series.require(CONCENTRATION).grid.require_match(mask.grid, what=f"the {mask.name} mask")
    heights = []
    for slab, inside in zip(series.values, mask.require_some().values, strict=True):
        curves = np.asarray(slab[inside], np.float64)
        level = curves[:, timing.baseline].mean(axis=1)
        height = curves[:, timing.arrival :].max(axis=1) - level
        heights.append(np.where(np.isfinite(curves).all(axis=1), height, np.nan))
    return np.concatenate(heights)


def _finite_curves(series: PerfusionSeries, mask: Mask) -> tuple[np.ndarray, Curves]:
    curves = series.require(CONCENTRATION).curves(mask.require_some())
    finite = np.isfinite(curves).all(axis=1)
    return np.argwhere(mask.values)[finite], curves[finite]


def _mean_curve(series: PerfusionSeries, mask: Mask) -> Curve:
    curves = series.curves(mask, dtype=np.float32)
    finite = np.isfinite(curves).all(axis=1)
    return np.array([np.median(frame[finite].astype(np.float64)) for frame in curves.T])


def _measure(curves: Curves, series: PerfusionSeries, timing: Enhancement) -> _Shape:
    seconds = series.time.seconds
    curves = curves - curves[:, timing.baseline].mean(axis=1, keepdims=True)
    peak = timing.arrival + np.argmax(curves[:, timing.arrival :], axis=1)
    height = np.maximum(curves[np.arange(len(curves)), peak], 1e-12)
    noise = curves[:, timing.baseline].std(axis=1, ddof=1)
    after = seconds[None, :] >= seconds[peak][:, None] + _LATE_S
    after[~after.any(axis=1), -1] = True
    left = np.where(after, curves, 0.0).sum(axis=1) / after.sum(axis=1)
    return _Shape(
        height=height,
        half_s=half_rise_s(curves, seconds),
        left=left,
        noise=np.maximum(noise, 1e-6 * height),
        area=np.trapezoid(curves[:, timing.arrival :], seconds[timing.arrival :], axis=1),
    )


def _unit_s(series: PerfusionSeries) -> float:
    return max(float(np.median(np.diff(series.time.seconds))), 4.0)


def _first(shape: _Shape, unit: float) -> np.ndarray:
    earliest = float(np.percentile(shape.half_s, 10))
    return ramp(shape.half_s, zero=earliest + unit, one=earliest + 0.1 * unit)


def _sharpest(shape: _Shape) -> np.ndarray:
    """Compare what is left after the first pass with that of the sharpest tenth."""
    share = shape.left / shape.height
    best = max(float(np.percentile(share, 10)), 0.05)
    return ramp(share, zero=2.0 * best, one=1.15 * best)


def _own_parts(shape: _Shape, mean: _Shape, unit: float) -> dict[str, np.ndarray]:
    """Return the components that one curve has without other vessels."""
    return {
        "early": ramp(shape.half_s - mean.half_s[0], zero=0.0, one=-unit),
        "returns": ramp(shape.left / shape.height, zero=0.9, one=0.5),
        "clean": ramp(shape.height / shape.noise, zero=3.0, one=12.0),
    }


def _alike(curves: Curves, wanted: int) -> np.ndarray:
    scaled = curves / curves.max(axis=1, keepdims=True)
    middle = np.median(scaled[: max(wanted, 3)], axis=0)
    alike = np.array([np.corrcoef(curve, middle)[0, 1] for curve in scaled])
    return np.flatnonzero(alike >= min(_ALIKE, alike.max()))


def _agreement(curves: Curves, mean: Curve) -> float:
    if len(curves) < 2:
        return 1.0
    return float(np.clip([np.corrcoef(curve, mean)[0, 1] for curve in curves], 0, 1).mean())


def _require_some(
    count: int, rank: np.ndarray, parts: Mapping[str, np.ndarray], *, kind: str, searched: int
) -> None:
    if count:
        return
    top = int(np.argmax(rank))
    told = ", ".join(f"{name} {part[top]:.2f}" for name, part in parts.items())
    raise MetadataError(
        Code.AIF_NOT_FOUND,
        f"the best of {searched} voxels scores {rank[top]:.2f} as {kind} ({told}); {_USABLE} is "
        "needed",
        mend="give the curve with --aif, draw a region, or use a population curve",
    )


def _input(
    series: PerfusionSeries,
    values: Curve,
    method: str,
    score: float,
    voxels: np.ndarray,
    candidates: Curves,
    *,
    parts: Mapping[str, float],
) -> ArterialInput:
    step = Step(
        "quantify.find_dce_aif",
        {
            "method": method,
            "voxels": len(voxels),
            "score": round(score, 4),
            **{name: round(part, 4) for name, part in parts.items()},
        },
        source="10.1002/mrm.20759",
    )
    return ArterialInput(
        values=values,
        time=TimeAxis(seconds=series.time.seconds),
        quantity=CONCENTRATION,
        method=method,
        provenance=series.provenance.then(step),
        voxels=voxels,
        score=score,
        candidates=candidates,
    )

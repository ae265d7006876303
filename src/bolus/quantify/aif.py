"""The arterial input function: found in the scan and judged, or taken from a region."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import binary_erosion

from bolus.core import DELTA_R2S, ArterialInput, Curve, Curves, Mask, PerfusionSeries, Step
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.quantify.aif_score import among_tall, artery_shape, combined, ramp, score_aif
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.first_pass import search_window, smoothed

__all__ = ["aif_from_region", "find_aif", "score_aif"]

_USABLE = 0.3
"""Below this no reader would take the curve for an artery."""
_SHORTLIST = 5
"""The consistency check looks at this many times the voxels that are wanted."""
_TALL = 0.25
"""Voxels this far from the median height to the 99.5th percentile, or further, are looked at."""
_ALIKE = 0.9
"""Correlation with the median candidate below which a candidate is something else."""
_SHOWN = 10
"""Candidates that are kept for the report."""
_EDGE = 0.8
"""Factor for a voxel on the border of the brain, where motion mixes tissue and background."""


def find_aif(
    series: PerfusionSeries, brain: Mask, bolus: BolusTiming, *, voxels: int = 10
) -> ArterialInput:
    """Find the arterial input function in the scan itself.

    The tall voxels (a quarter of the way from the brain's median peak to its 99.5th percentile,
    or taller) are scored as in `score_aif`, with four more components: tall (weight 3; the way
    from that median to that percentile), first and narrowest (3 each; compared with the first and
    the narrowest tenth of the tall voxels, see `among_tall`) and lit (1; the signal at the peak is
    above the noise floor, where the echo time is known, see `artery_shape`). Voxels on the border
    of the brain count 0.8. Of the best, those that correlate less than 0.9 with their median
    curve are left out; the mean of the `voxels` best that remain is the result.

    Args:
        series: ΔR2* [1/s].
        brain: where to look.
        bolus: from `find_bolus` on the signal of the same scan.
        voxels: how many voxels are averaged; fewer where fewer are usable.

    Returns:
        The mean curve, its voxels, its score (that of the mean curve times the mean correlation
        of its voxels with it), and the ten best candidates.

    Warns:
        QualityWarning: the signal at the peak is within 2 standard deviations of nothing.

    Raises:
        MetadataError: AIF_NOT_FOUND no voxel scores 0.3.
        QuantityError: `series` is not ΔR2*.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        An artery large enough to fill a voxel nearly; smaller ones give a lower, wider curve, and
        CBF and CBV that are too large by the same factor.

    Source:
        Mouridsen et al., Magn Reson Med 2006;55:524-531, doi:10.1002/mrm.20759. Measured:
        docs/science/aif.md.

    Example:
        >>> "the brain mean" in score_aif.__doc__
        True
    """
    search = _search(series.require(DELTA_R2S), brain.require_some(), bolus)
    best = np.argsort(-search.rank, kind="stable")[: max(_SHORTLIST * voxels, _SHOWN)]
    best = best[search.rank[best] >= _USABLE]
    if not len(best):
        top = int(np.argmax(search.rank))
        parts = ", ".join(f"{name} {part[top]:.2f}" for name, part in search.parts.items())
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the best of {brain.count} voxels scores {search.rank[top]:.2f} as an artery "
            f"({parts}); {_USABLE} is needed",
            mend="give the curve with --aif, or choose an artery with aif_from_region",
        )
    indices, curves = search.indices[best], search.curves[best]
    kept = _consistent(curves, voxels)
    chosen = kept[:voxels]
    _warn_where_dark(search.parts, best[chosen])
    return _arterial_input(
        series,
        bolus,
        method="automatic",
        indices=indices[chosen],
        curves=curves[chosen],
        candidates=curves[kept[:_SHOWN]],
        searched=brain.count,
    )


def aif_from_region(series: PerfusionSeries, region: Mask, bolus: BolusTiming) -> ArterialInput:
    """Average the arterial input function over a drawn region.

    Args:
        series: ΔR2* [1/s].
        region: voxels of an artery; every finite curve counts the same.
        bolus: from `find_bolus` on the signal of the same scan.

    Returns:
        The mean curve, its voxels and its score (low where the region is no artery; that is for
        the reader to judge), and up to ten of its curves, best first.

    Raises:
        MetadataError: AIF_NOT_FOUND no curve of the region is finite, or its mean shows no bolus.
        QuantityError: `series` is not ΔR2*.
        GeometryError: the region is empty or on another grid.

    Assumes:
        The region was drawn on this series.

    Source:
        docs/science/aif.md.

    Example:
        >>> aif_from_region.__name__
        'aif_from_region'
    """
    curves = series.require(DELTA_R2S).curves(region.require_some())
    finite = np.isfinite(curves).all(axis=1)
    curves = curves[finite]
    indices = np.argwhere(region.values)[finite]
    curves = curves - curves[:, bolus.baseline].mean(axis=1, keepdims=True)
    shape = artery_shape(curves, series.time.seconds, bolus, _echo_time(series))
    order = np.argsort(-combined(shape.parts), kind="stable")
    return _arterial_input(
        series,
        bolus,
        method=f"region {region.name}",
        indices=indices,
        curves=curves,
        candidates=curves[order[:_SHOWN]],
        searched=region.count,
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """Rank and components of the tall voxels, with their indices (n, 3) and curves (n, t)."""

    rank: Float[np.ndarray, " n"]
    parts: Mapping[str, Float[np.ndarray, " n"]]
    indices: np.ndarray
    curves: Curves


def _search(series: PerfusionSeries, brain: Mask, bolus: BolusTiming) -> _Search:
    """Rank the tall voxels of the brain."""
    height = _heights(series, brain, bolus)
    seen = height[np.isfinite(height)]
    middle, top = np.percentile(seen, (50, 99.5)) if len(seen) else (0.0, 1.0)
    top = max(top, middle + 1e-6 * abs(middle) + 1e-12)
    chosen = np.flatnonzero(height >= middle + _TALL * (top - middle))
    if not len(chosen):
        chosen = np.arange(1)  # the message needs a best one
    indices = np.argwhere(brain.values)[chosen]
    curves = np.asarray(series.values[tuple(indices.T)], np.float64)
    curves -= curves[:, bolus.baseline].mean(axis=1, keepdims=True)
    shape = artery_shape(curves, series.time.seconds, bolus, _echo_time(series))
    parts = dict(shape.parts)
    parts["tall"] = ramp(height[chosen], zero=middle, one=top)
    parts |= among_tall(shape)
    rank = combined(parts)
    inner = binary_erosion(brain.values, np.ones((3, 3, 1), bool), border_value=1)
    rank = np.where(inner[tuple(indices.T)], rank, _EDGE * rank)
    return _Search(rank, parts, indices, curves)


def _heights(series: PerfusionSeries, brain: Mask, bolus: BolusTiming) -> np.ndarray:
    """Return a quick peak height of every voxel, a slab at a time."""
    series.grid.require_match(brain.grid, what=f"the {brain.name} mask")
    window = search_window(series.time.seconds, bolus)
    heights = []
    for slab, inside in zip(series.values, brain.values, strict=True):
        curves = slab[inside]
        peak = smoothed(curves[:, window]).max(axis=1)
        heights.append(peak - curves[:, bolus.baseline].mean(axis=1, dtype=np.float64))
    return np.concatenate(heights)


def _consistent(curves: Curves, wanted: int) -> np.ndarray:
    """Return the candidates that look like the median of the best, in their order; at least one."""
    scaled = curves / curves.max(axis=1, keepdims=True)
    alike = _correlation(scaled, np.median(scaled[: max(wanted, 3)], axis=0))
    return np.flatnonzero(alike >= min(_ALIKE, alike.max()))


def _correlation(curves: Curves, reference: Curve) -> np.ndarray:
    centred = curves - curves.mean(axis=1, keepdims=True)
    target = reference - reference.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(target)
    return np.asarray(centred @ target / np.where(norms > 0, norms, 1.0))


def _warn_where_dark(parts: Mapping[str, np.ndarray], chosen: np.ndarray) -> None:
    """Tell where the tops of the arterial curves are lost in the noise floor."""
    if "lit" not in parts:
        return
    above = 1 + 3 * float(np.median(parts["lit"][chosen]))  # the ramp of `lit` runs from 1 to 4
    if above < 2:
        warnings.warn(
            f"at the peak of the arterial curve the signal is {above:.1f} standard deviations of "
            "noise or less: the top is cut off, so CBF and CBV come out too large",
            QualityWarning,
            stacklevel=3,
        )


def _echo_time(series: PerfusionSeries) -> float | None:
    known = series.acquisition.echo_time_s is not None
    return series.acquisition.require("echo_time_s") if known else None


def _arterial_input(
    series: PerfusionSeries,
    bolus: BolusTiming,
    *,
    method: str,
    indices: np.ndarray,
    curves: Curves,
    candidates: Curves,
    searched: int,
) -> ArterialInput:
    """Average, judge, and write down how the score came about."""
    mean = curves.mean(axis=0) if len(curves) else np.full(len(series.time), np.nan)
    shape = artery_shape(mean[None], series.time.seconds, bolus, _echo_time(series))
    if not np.isfinite(shape.height[0]):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the mean of {len(curves)} finite curves ({method}) shows no first pass above its "
            "noise",
            mend="draw the region within an artery of this series, or give the curve with --aif",
        )
    agreement = float(np.clip(_correlation(curves, mean), 0, 1).mean())
    score = float(combined(shape.parts)[0]) * agreement
    judged = {name: round(float(part[0]), 4) for name, part in shape.parts.items()}
    step = Step(
        "quantify.find_aif" if method == "automatic" else "quantify.aif_from_region",
        {
            "method": method,
            "voxels": len(curves),
            "searched": searched,
            "score": round(score, 4),
            "agreement": round(agreement, 4),
            **judged,
        },
        source="10.1002/mrm.20759" if method == "automatic" else "",
    )
    return ArterialInput(
        values=mean,
        time=series.time,
        quantity=DELTA_R2S,
        method=method,
        provenance=series.provenance.then(step),
        voxels=indices,
        score=score,
        candidates=candidates,
    )

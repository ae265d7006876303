"""The arterial input function: found in the scan and judged, or taken from a region."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from scipy.ndimage import binary_erosion

from bolus.core import DELTA_R2S, ArterialInput, Curve, Curves, Mask, PerfusionSeries, Step
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.first_pass import (
    CurveFeatures,
    curve_features,
    search_window,
    smoothed,
)

_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"tall": 3.0, "first": 3.0, "narrowest": 3.0, "early": 2.0, "narrow": 2.0, "returns": 1.0,
     "single": 1.0, "clean": 1.0, "lit": 1.0}
)  # fmt: skip
"""Weights of the components in the geometric mean. Tall and narrow, for partial volume makes an
artery low and wide; early, because veins are as tall."""
_LOWEST = 0.02
"""A component at zero pulls the score down, and leaves an order among the bad."""
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
_TAIL_S = 15.0
"""Length of the window after the first pass in which the leftover is measured."""


def score_aif(curve: Curve, seconds: Curve, bolus: BolusTiming) -> float:
    """Judge how much one curve looks like an artery, from 0 (not at all) to 1.

    The score is the weighted geometric mean of components, each a ramp from 0 to 1, that compare
    the curve with the brain mean (W is the full width at half maximum of the brain mean):

    - early (weight 2): arrival 0.15 W after the brain mean or later gives 0; 0.1 W before it, 1;
    - narrow (2): width 1.15 W or more gives 0; 0.75 W or less, 1;
    - returns (1): mean of the 15 s after the first pass 0.6 of the peak gives 0; 0.15, 1;
    - single (1): a notch of 0.3 of the height between two peaks gives 0; 0.05, 1;
    - clean (1): peak 5 standard deviations of noise high gives 0; 25, 1.

    Args:
        curve: ΔR2* [1/s] or any multiple of it, (t,).
        seconds: its times [s].
        bolus: from `find_bolus` on the signal of the same scan.

    Returns:
        0 where the curve has no peak above its noise, or is not finite.

    Assumes:
        The brain mean is later and wider than the arteries that feed it.

    Source:
        The properties are those of Mouridsen et al., Magn Reson Med 2006;55:524-531,
        doi:10.1002/mrm.20759, and Rempp et al., Radiology 1994;193:637-641; the ramps are ours,
        docs/science/aif.md.

    Example:
        >>> seconds = 1.0 * np.arange(60)
        >>> tissue = np.exp(-0.1 * np.exp(-((seconds - 25) / 5) ** 2))
        >>> timing = BolusTiming(steady=0, baseline=slice(0, 12), arrival=15, peak=25,
        ...     first_pass_end=38, mean_signal=tissue, contrast_to_noise=100.0)
        >>> artery, vein = (np.exp(-((seconds - m) / w) ** 2) for m, w in ((21, 3), (28, 5)))
        >>> score_aif(artery, seconds, timing) > 0.9 > 0.5 > score_aif(vein, seconds, timing)
        True
    """
    shape = _shape(np.asarray(curve, np.float64)[None], seconds, bolus, None)
    return float(_combined(shape.parts)[0])


def find_aif(
    series: PerfusionSeries, brain: Mask, bolus: BolusTiming, *, voxels: int = 10
) -> ArterialInput:
    """Find the arterial input function in the scan itself.

    Every voxel is scored as in `score_aif`, with two more components: tall (weight 3; its peak
    between the brain's median and its 99.5th percentile) and lit (weight 1; at its peak the
    signal is 1 to 4 standard deviations above nothing, where the echo time is known). Voxels on
    the border of the brain count 0.8. Of the best, those that correlate less than 0.9 with their
    median curve are left out; the mean of the `voxels` best that remain is the result.

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
    shape = _shape(curves, series.time.seconds, bolus, _echo_time(series))
    order = np.argsort(-_combined(shape.parts), kind="stable")
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
class _Shape:
    """Components 0..1 of each curve by their name, and what they were computed from.

    `late` is the arrival after the brain mean and `width` the full width at half maximum, both in
    units of the width of the brain mean.
    """

    parts: Mapping[str, Float[np.ndarray, " voxels"]]
    height: Float[np.ndarray, " voxels"]
    late: Float[np.ndarray, " voxels"]
    width: Float[np.ndarray, " voxels"]


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
    shape = _shape(curves, series.time.seconds, bolus, _echo_time(series))
    parts = dict(shape.parts)
    parts["tall"] = _ramp(height[chosen], zero=middle, one=top)
    parts |= _among_tall(shape)
    rank = _combined(parts)
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


def _among_tall(shape: _Shape) -> dict[str, np.ndarray]:
    """Compare arrival and width with those of the first and the narrowest tenth of tall voxels.

    Arteries and veins are tall; whatever the injection was, the arteries are the first of them.
    """
    seen = np.isfinite(shape.late) & np.isfinite(shape.width)
    if not seen.any():
        return {}
    first = np.percentile(shape.late[seen], 10)
    narrowest = np.percentile(shape.width[seen], 10)
    return {
        "first": _ramp(shape.late, zero=first + 0.25, one=first + 0.05),
        "narrowest": _ramp(shape.width, zero=1.6 * narrowest, one=1.15 * narrowest),
    }


def _shape(curves: Curves, seconds: Curve, bolus: BolusTiming, echo_time_s: float | None) -> _Shape:
    """Compare curves with the brain mean."""
    brain = curve_features(bolus.mean_drop[None], seconds=seconds, bolus=bolus)
    features = curve_features(curves, seconds=seconds, bolus=bolus)
    found = np.isfinite(features.height) & (features.height > 0)
    height = np.where(found, features.height, 1.0)
    noise = np.where(found & (features.noise > 0), features.noise, height * 1e-6)
    width = features.fwhm_s / brain.fwhm_s[0]
    safe = np.where(np.isfinite(curves), curves, 0.0)
    safe = safe - safe[:, bolus.baseline].mean(axis=1, keepdims=True)
    late = (features.arrival_s - brain.arrival_s[0]) / brain.fwhm_s[0]
    parts = {
        "early": _ramp(late, zero=0.15, one=-0.1),
        "narrow": _ramp(width, zero=1.15, one=0.75),
        "returns": _ramp(_leftover(safe, seconds, bolus) / height, zero=0.6, one=0.15),
        "single": _ramp(_notch(safe, features, seconds) / height, zero=0.3, one=0.05),
        "clean": _ramp(height / noise, zero=5.0, one=25.0),
    }
    if echo_time_s is not None:
        quiet = np.maximum(safe[:, bolus.baseline].std(axis=1, ddof=1), 1e-6 * height)
        at_peak = np.exp(-echo_time_s * height) / (echo_time_s * quiet)
        parts["lit"] = _ramp(at_peak, zero=1.0, one=4.0)
    parts = {name: np.where(found, part, 0.0) for name, part in parts.items()}
    return _Shape(parts, features.height, late, width)


def _ramp(values: np.ndarray, *, zero: float, one: float) -> np.ndarray:
    share = (values - zero) / (one - zero)
    return np.asarray(np.clip(np.where(np.isnan(share), 0.0, share), 0.0, 1.0))


def _combined(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the weighted geometric mean; 0 where every component is 0 (no first pass)."""
    weights = np.array([_WEIGHTS[name] for name in parts])
    columns = np.stack(list(parts.values()))
    mean = np.exp(weights @ np.log(np.maximum(columns, _LOWEST)) / weights.sum())
    return np.asarray(np.where(columns.any(axis=0), mean, 0.0))


def _leftover(curves: Curves, seconds: Curve, bolus: BolusTiming) -> np.ndarray:
    start = min(bolus.first_pass_end, len(seconds) - 1)
    tail = (seconds >= seconds[start]) & (seconds <= seconds[start] + _TAIL_S)
    return np.asarray(np.abs(curves[:, tail].mean(axis=1)))


def _notch(curves: Curves, features: CurveFeatures, seconds: Curve) -> np.ndarray:
    """Return how deep the deepest valley between two summits within the width is."""
    peak_s = np.where(np.isfinite(features.peak_s), features.peak_s, 0.0)
    half_s = np.where(np.isfinite(features.fwhm_s), features.fwhm_s, 0.0)
    within = np.abs(seconds - peak_s[:, None]) <= half_s[:, None]
    summit = np.where(within, curves, -np.inf)
    left = np.maximum.accumulate(summit, axis=1)
    right = np.maximum.accumulate(summit[:, ::-1], axis=1)[:, ::-1]
    valley = np.where(within, np.minimum(left, right) - curves, 0.0)
    return np.asarray(valley.max(axis=1))


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
    shape = _shape(mean[None], series.time.seconds, bolus, _echo_time(series))
    if not np.isfinite(shape.height[0]):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the mean of {len(curves)} finite curves ({method}) shows no first pass above its "
            "noise",
            mend="draw the region within an artery of this series, or give the curve with --aif",
        )
    agreement = float(np.clip(_correlation(curves, mean), 0, 1).mean())
    score = float(_combined(shape.parts)[0]) * agreement
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

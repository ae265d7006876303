"""How much a curve looks like an artery: components from 0 to 1, and their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.core import Curve, Curves
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.first_pass import curve_features

_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"tall": 3.0, "first": 3.0, "narrowest": 3.0, "early": 2.0, "narrow": 2.0, "returns": 1.0,
     "single": 1.0, "clean": 1.0, "lit": 1.0}
)  # fmt: skip
"""Weights of the components in the geometric mean. Tall and narrow, for partial volume makes an
artery low and wide; early, because veins are as tall."""
_LOWEST = 0.02
"""A component at zero pulls the score down, and leaves an order among the bad."""
_REACH = 0.75
"""Two summits closer than this to the peak, in widths of the brain mean, are one first pass with a
notch; recirculation comes later."""
_TAIL_S = 15.0
"""Length of the window after the first pass in which the leftover is measured."""


def score_aif(curve: Curve, seconds: Curve, bolus: BolusTiming) -> float:
    """Judge how much one curve looks like an artery, from 0 (not at all) to 1.

    The score is the weighted geometric mean of components, each a ramp from 0 to 1, that compare
    the curve with the brain mean (W is the full width at half maximum of the brain mean):

    - early (weight 2): arrival 0.15 W after the brain mean or later gives 0; 0.1 W before it, 1;
    - narrow (2): width 1.15 W or more gives 0; 0.75 W or less, 1;
    - returns (1): mean of the 15 s after the first pass 0.6 of the peak gives 0; 0.15, 1;
    - single (1): a notch of 0.3 of the height between two summits within 0.75 W gives 0; 0.05, 1;
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
    shape = artery_shape(np.asarray(curve, np.float64)[None], seconds, bolus, None)
    return float(combined(shape.parts)[0])


@dataclass(frozen=True, slots=True)
class ArteryShape:
    """Components 0..1 of each curve by their name, and what they were computed from.

    `late` is the arrival after the brain mean and `width` the full width at half maximum, both in
    units of the width of the brain mean.

    Assumes:
        As `artery_shape`.

    Source:
        docs/science/aif.md.

    Example:
        >>> ArteryShape({}, np.ones(2), np.zeros(2), np.ones(2)).height.tolist()
        [1.0, 1.0]
    """

    parts: Mapping[str, Float[np.ndarray, " voxels"]]
    height: Float[np.ndarray, " voxels"]
    late: Float[np.ndarray, " voxels"]
    width: Float[np.ndarray, " voxels"]


def among_tall(shape: ArteryShape) -> dict[str, np.ndarray]:
    """Compare arrival and width with those of the first and the narrowest tenth of tall voxels.

    Components: first (arrival 0.05 W after that of the first tenth gives 1; 0.25 W, 0), narrowest
    (1.15 times the width of the narrowest tenth gives 1; 1.6 times, 0).

    Args:
        shape: of the tall voxels only.

    Returns:
        The two components; none where no voxel has a first pass.

    Assumes:
        Arteries and veins are tall, and at least a tenth of the tall voxels are arteries; whatever
        the injection was, the arteries are the first of them.

    Source:
        docs/science/aif.md.

    Example:
        >>> late = np.linspace(-0.5, 0.5, 11)
        >>> parts = among_tall(ArteryShape({}, np.ones(11), late, np.ones(11)))
        >>> parts["first"][[0, -1]].tolist()
        [1.0, 0.0]
    """
    seen = np.isfinite(shape.late) & np.isfinite(shape.width)
    if not seen.any():
        return {}
    first = np.percentile(shape.late[seen], 10)
    narrowest = np.percentile(shape.width[seen], 10)
    return {
        "first": ramp(shape.late, zero=first + 0.25, one=first + 0.05),
        "narrowest": ramp(shape.width, zero=1.6 * narrowest, one=1.15 * narrowest),
    }


def artery_shape(
    curves: Curves, seconds: Curve, bolus: BolusTiming, echo_time_s: float | None
) -> ArteryShape:
    """Compare curves with the brain mean, as `score_aif` tells.

    Args:
        curves: (voxels, t) ΔR2* [1/s].
        seconds: times of the samples [s].
        bolus: from `find_bolus`.
        echo_time_s: adds the component lit: at its peak the signal is 1 (0) to 4 (1) standard
            deviations above nothing, exp(-TE H) / (TE s), with the peak height H and the standard
            deviation s of the baseline. None where it is not known.

    Returns:
        Components, and the numbers they came from; 0 where there is no first pass.

    Assumes:
        The noise of the signal is that of its baseline.

    Source:
        docs/science/aif.md.

    Example:
        >>> seconds = 1.0 * np.arange(60)
        >>> timing = BolusTiming(steady=0, baseline=slice(0, 12), arrival=15, peak=25,
        ...     first_pass_end=38, contrast_to_noise=100.0,
        ...     mean_signal=np.exp(-0.1 * np.exp(-((seconds - 25) / 5) ** 2)))
        >>> curve = 30 * np.exp(-((seconds - 21) / 3) ** 2)
        >>> shape = artery_shape(curve[None], seconds, timing, 0.03)
        >>> round(float(shape.width[0]), 1), float(shape.parts["narrow"][0])
        (0.6, 1.0)
    """
    brain = curve_features(bolus.mean_drop[None], seconds=seconds, bolus=bolus)
    features = curve_features(curves, seconds=seconds, bolus=bolus)
    unit_s = float(brain.fwhm_s[0])
    if not np.isfinite(unit_s):  # the brain mean never falls to half of its peak
        unit_s = float(seconds[bolus.first_pass_end - 1] - seconds[bolus.arrival])
    found = np.isfinite(features.height) & (features.height > 0)
    height = np.where(found, features.height, 1.0)
    noise = np.where(found & (features.noise > 0), features.noise, height * 1e-6)
    width = features.fwhm_s / unit_s
    safe = np.where(np.isfinite(curves), curves, 0.0)
    safe = safe - safe[:, bolus.baseline].mean(axis=1, keepdims=True)
    late = (features.arrival_s - brain.arrival_s[0]) / unit_s
    notch = _notch(safe, features.peak_s, seconds, _REACH * unit_s)
    parts = {
        "early": ramp(late, zero=0.15, one=-0.1),
        "narrow": ramp(width, zero=1.15, one=0.75),
        "returns": ramp(_leftover(safe, seconds, bolus) / height, zero=0.6, one=0.15),
        "single": ramp(notch / height, zero=0.3, one=0.05),
        "clean": ramp(height / noise, zero=5.0, one=25.0),
    }
    if echo_time_s is not None:
        quiet = np.maximum(safe[:, bolus.baseline].std(axis=1, ddof=1), 1e-6 * height)
        at_peak = np.exp(-echo_time_s * height) / (echo_time_s * quiet)
        parts["lit"] = ramp(at_peak, zero=1.0, one=4.0)
    parts = {name: np.where(found, part, 0.0) for name, part in parts.items()}
    return ArteryShape(parts, features.height, late, width)


def ramp(values: np.ndarray, *, zero: float, one: float) -> np.ndarray:
    """Map values linearly so that `zero` becomes 0 and `one` 1, and clip; NaN becomes 0.

    Assumes:
        `zero` and `one` differ; either may be the larger.

    Source:
        docs/science/aif.md.

    Example:
        >>> ramp(np.array([1.0, 2.0, 9.0, np.nan]), zero=3.0, one=1.0).tolist()
        [1.0, 0.5, 0.0, 0.0]
    """
    share = (values - zero) / (one - zero)
    return np.asarray(np.clip(np.where(np.isnan(share), 0.0, share), 0.0, 1.0))


def combined(parts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the weighted geometric mean; 0 where every component is 0 (no first pass).

    Args:
        parts: components 0..1, by the names of the weights; one at 0 counts as 0.02.

    Assumes:
        One bad property is not made good by the others, but need not rule a curve out alone.

    Source:
        docs/science/aif.md.

    Example:
        >>> combined({"early": np.array([1.0, 0.0]), "narrow": np.array([1.0, 0.0])}).tolist()
        [1.0, 0.0]
    """
    weights = np.array([_WEIGHTS[name] for name in parts])
    columns = np.stack(list(parts.values()))
    mean = np.exp(weights @ np.log(np.maximum(columns, _LOWEST)) / weights.sum())
    return np.asarray(np.where(columns.any(axis=0), mean, 0.0))


def _leftover(curves: Curves, seconds: Curve, bolus: BolusTiming) -> np.ndarray:
    start = min(bolus.first_pass_end, len(seconds) - 1)
    tail = (seconds >= seconds[start]) & (seconds <= seconds[start] + _TAIL_S)
    return np.asarray(np.abs(curves[:, tail].mean(axis=1)))


def _notch(curves: Curves, peak_s: np.ndarray, seconds: Curve, reach_s: float) -> np.ndarray:
    """Return how deep the deepest valley between two summits around the peak is."""
    centre_s = np.where(np.isfinite(peak_s), peak_s, seconds[0])
    within = np.abs(seconds - centre_s[:, None]) <= reach_s
    summit = np.where(within, curves, -np.inf)
    left = np.maximum.accumulate(summit, axis=1)
    right = np.maximum.accumulate(summit[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.where(within, np.minimum(left, right) - curves, 0.0).max(axis=1))

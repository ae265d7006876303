"""Curve descriptors that need no arterial input: arrival, time to peak, peak height, recovery."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from bolus.core import (
    DELTA_R2S,
    QUANTITIES,
    SIGNAL,
    Curve,
    Curves,
    FitStatus,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Step,
)
from bolus.errors import Code, TimingError
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.first_pass import CurveFeatures, curve_features, is_weak, sample_noise, smoothed

_RECOVERY_S = 30.0
"""Length of the window after the first pass in which the recovered signal is averaged."""
_ROUNDING_S = 1e-6
"""A frame that ends the window exactly belongs to it, whatever the clock began with."""


def descriptor_maps(
    series: PerfusionSeries,
    mask: Mask,
    bolus: BolusTiming,
    *,
    origin: Literal["first_frame", "arrival"] = "first_frame",
) -> MapSet:
    """Map arrival, time to peak and peak height, looking at every curve once.

    Args:
        series: ΔR2* [1/s].
        mask: voxels to map.
        bolus: from `find_bolus`.
        origin: of the time to peak, as in `time_to_peak_map`.

    Returns:
        The maps "bat", "ttp" and "ph" of `arrival_map`, `time_to_peak_map`, `peak_height_map`.

    Raises:
        QuantityError: `series` is not ΔR2*.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        As the three functions.

    Source:
        As the three functions. docs/science/curve_descriptors.md.

    Example:
        >>> [QUANTITIES[key].unit for key in ("bat", "ttp", "ph")]
        ['s', 's', '1/s']
    """
    features = _mapped_features(series, mask, bolus)
    maps = (
        _arrival(features, series, mask),
        _time_to_peak(features, series, mask, bolus, origin),
        _peak_height(features, series, mask, bolus),
    )
    return MapSet({item.quantity.key: item for item in maps})


def arrival_map(series: PerfusionSeries, mask: Mask, bolus: BolusTiming) -> ParameterMap:
    """Map the bolus arrival time, to a fraction of a frame.

    BAT = t25 - (t75 - t25) / 2 - t_first: the line through the crossings of 25 % and 75 % of the
    peak on the up-slope, followed down to zero.

    Args:
        series: ΔR2* [1/s].
        mask: voxels to map.
        bolus: from `find_bolus`.

    Returns:
        BAT [s] after the first frame of the series; see `curve_features` for the status.

    Raises:
        QuantityError: `series` is not ΔR2*.
        GeometryError: the mask is on another grid.

    Assumes:
        The up-slope is nearly straight between 25 % and 75 %: for a gamma-variate first pass BAT
        is then later than the first molecule, by about a tenth of the rise time, everywhere alike.

    Source:
        OSIPI CAPLEX Q.BA1.001. docs/science/curve_descriptors.md.

    Example:
        >>> QUANTITIES["bat"].unit
        's'
    """
    return _arrival(_mapped_features(series, mask, bolus), series, mask)


def time_to_peak_map(
    series: PerfusionSeries,
    mask: Mask,
    bolus: BolusTiming,
    *,
    origin: Literal["first_frame", "arrival"] = "first_frame",
) -> ParameterMap:
    """Map the time of the peak, to a fraction of a frame.

    The peak of a parabola through the highest smoothed sample and its two neighbours.

    Args:
        series: ΔR2* [1/s].
        mask: voxels to map.
        bolus: from `find_bolus`.
        origin: "first_frame": from the first frame of the series; "arrival": from the arrival in
            the brain mean (`bolus.arrival`), one zero for the whole map.

    Returns:
        TTP [s]; the origin stands in the last step of its history.

    Raises:
        QuantityError: `series` is not ΔR2*.
        GeometryError: the mask is on another grid.

    Assumes:
        At least three samples around the peak.

    Source:
        OSIPI CAPLEX Q.CD1.010. docs/science/curve_descriptors.md.

    Example:
        >>> QUANTITIES["ttp"].unit
        's'
    """
    return _time_to_peak(_mapped_features(series, mask, bolus), series, mask, bolus, origin)


def peak_height_map(series: PerfusionSeries, mask: Mask, bolus: BolusTiming) -> ParameterMap:
    """Map the peak height of ΔR2* above its baseline.

    Args:
        series: ΔR2* [1/s].
        mask: voxels to map.
        bolus: from `find_bolus`.

    Returns:
        PH [1/s] with its standard error from the noise; see `curve_features` for the status.

    Raises:
        QuantityError: `series` is not ΔR2*.
        GeometryError: the mask is on another grid.

    Assumes:
        The highest of three neighbouring samples is a little too high in noise: +0.5 standard
        deviations on a flat peak.

    Source:
        Cha et al., AJNR Am J Neuroradiol 2007;28:1078-1084 (there the depth of the signal).

    Example:
        >>> QUANTITIES["ph"].unit
        '1/s'
    """
    return _peak_height(_mapped_features(series, mask, bolus), series, mask, bolus)


def recovery_map(series: PerfusionSeries, mask: Mask, bolus: BolusTiming) -> ParameterMap:
    """Map the percentage of signal recovery after the first pass.

    PSR = 100 (S_post - S_min) / (S_0 - S_min), with S_0 the mean of the baseline, S_min the
    lowest sample of the first pass, and S_post the mean from `bolus.first_pass_end` until 30 s
    later (or the end of the series).

    Args:
        series: signal [a.u.], not ΔR2*.
        mask: voxels to map.
        bolus: from `find_bolus`.

    Returns:
        PSR [%] with its standard error; more than 100 where the signal overshoots (T1 leakage).
        NO_BOLUS where the drop is below 3.5 standard deviations, NO_SIGNAL where the baseline is
        not positive.

    Raises:
        QuantityError: `series` is not a signal.
        TimingError: fewer than two frames follow the first pass.
        GeometryError: the mask is on another grid.

    Assumes:
        The window: authors differ (end of the first pass, or all that was measured), and PSR
        depends on flip angle, echo time and dose; compare within one protocol.

    Source:
        Cha et al., AJNR Am J Neuroradiol 2007;28:1078-1084. Mangla et al., AJNR Am J Neuroradiol
        2011;32:1004-1010. Boxerman et al., doi:10.3174/ajnr.A3477.

    Example:
        >>> QUANTITIES["psr"].unit
        '%'
    """
    seconds = series.require(SIGNAL).time.seconds
    start = bolus.first_pass_end
    last_s = seconds[min(start, len(seconds) - 1)] + _RECOVERY_S - _ROUNDING_S
    stop = int(np.searchsorted(seconds, last_s)) + 1
    stop = min(stop, len(seconds))
    if stop - start < 2:
        raise TimingError(
            Code.SERIES_TOO_SHORT,
            f"{stop - start} frames follow the first pass, which ends in frame {start}; "
            "at least 2 are needed for the recovered signal",
            mend="leave signal recovery out, or use a longer series",
        )
    parts = [
        _recovery(chunk, seconds, bolus, slice(start, stop)) for chunk in _chunks(series, mask)
    ]
    values, std, status = (np.concatenate(column) for column in zip(*parts, strict=True))
    step = Step(
        "quantify.recovery_map",
        {"baseline": f"{bolus.baseline.start}:{bolus.baseline.stop}", "post": f"{start}:{stop}"},
        source="Cha 2007, AJNR 28:1078; Mangla 2011, AJNR 32:1004",
    )
    return ParameterMap.from_voxels(
        values,
        quantity=QUANTITIES["psr"],
        mask=mask,
        provenance=series.provenance.then(step),
        status=status,
        std=std,
    )


def _chunks(series: PerfusionSeries, mask: Mask) -> Iterator[Curves]:
    """Yield the curves of a mask slab by slab, in C order: float64 only a slab at a time."""
    series.grid.require_match(mask.require_some().grid, what=f"the {mask.name} mask")
    for slab, inside in zip(series.values, mask.values, strict=True):
        if inside.any():
            yield np.asarray(slab[inside], np.float64)


def _mapped_features(series: PerfusionSeries, mask: Mask, bolus: BolusTiming) -> CurveFeatures:
    seconds = series.require(DELTA_R2S).time.seconds
    parts = [curve_features(c, seconds=seconds, bolus=bolus) for c in _chunks(series, mask)]
    return CurveFeatures(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in _FIELDS}
    )


_FIELDS = ("arrival_s", "peak_s", "height", "fwhm_s", "noise", "status")


def _arrival(features: CurveFeatures, series: PerfusionSeries, mask: Mask) -> ParameterMap:
    step = Step(
        "quantify.arrival_map",
        {"origin": "first_frame", "method": "up-slope 25-75 %"},
        source="Q.BA1.001",
    )
    return _map("bat", features.arrival_s - series.time.seconds[0], features, series, mask, step)


def _time_to_peak(
    features: CurveFeatures, series: PerfusionSeries, mask: Mask, bolus: BolusTiming, origin: str
) -> ParameterMap:
    seconds = series.time.seconds
    if origin not in ("first_frame", "arrival"):
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"origin {origin!r} is not a zero of time to peak",
            mend='give "first_frame" or "arrival"',
        )
    zero_s = float(seconds[0] if origin == "first_frame" else seconds[bolus.arrival])
    step = Step(
        "quantify.time_to_peak_map", {"origin": origin, "origin_s": zero_s}, source="Q.CD1.010"
    )
    return _map("ttp", features.peak_s - zero_s, features, series, mask, step)


def _peak_height(
    features: CurveFeatures, series: PerfusionSeries, mask: Mask, bolus: BolusTiming
) -> ParameterMap:
    step = Step("quantify.peak_height_map", {"method": "parabola"}, source="Cha 2007, AJNR 28:1078")
    std = features.noise * np.sqrt(1 + 1 / bolus.baseline_frames)
    return _map("ph", features.height, features, series, mask, step, std)


def _map(
    key: str,
    values: np.ndarray,
    features: CurveFeatures,
    series: PerfusionSeries,
    mask: Mask,
    step: Step,
    std: np.ndarray | None = None,
) -> ParameterMap:
    return ParameterMap.from_voxels(
        values,
        quantity=QUANTITIES[key],
        mask=mask,
        provenance=series.provenance.then(step),
        status=features.status,
        std=std,
    )


def _recovery(
    curves: Curves, seconds: Curve, bolus: BolusTiming, post: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return PSR [%], its standard error and the status of (voxels, t) signal curves."""
    finite = np.isfinite(curves).all(axis=1)
    safe = np.where(finite[:, None], curves, 0.0)
    level = safe[:, bolus.baseline].mean(axis=1)
    noise = sample_noise(safe, bolus.baseline)
    window = slice(bolus.baseline.stop, min(bolus.first_pass_end + 1, len(seconds)))
    lowest = safe[:, window].min(axis=1)
    drop = level - lowest
    smooth_drop = level - smoothed(safe)[:, window].min(axis=1)
    status = np.full(len(safe), FitStatus.OK, np.uint8)
    weak = is_weak(smooth_drop, noise) | (drop <= 0)
    status[weak] = FitStatus.NO_BOLUS
    status[(level <= 0) | (np.ptp(safe, axis=1) == 0)] = FitStatus.NO_SIGNAL
    status[~finite] = FitStatus.NOT_FINITE
    found = status == FitStatus.OK
    divisor = np.where(found, drop, 1.0)
    ratio = (safe[:, post].mean(axis=1) - lowest) / divisor
    spread = 1 / (post.stop - post.start) + ratio**2 / bolus.baseline_frames + (1 - ratio) ** 2
    std = 100 * noise / divisor * np.sqrt(spread)
    return np.where(found, 100 * ratio, np.nan), np.where(found, std, np.nan), status

"""What makes a vessel's curve an arterial input: its scale, plasma, the times, and another scan."""

import warnings
from dataclasses import replace

import numpy as np

from bolus.core import (
    CONCENTRATION,
    DELTA_R2S,
    ArterialInput,
    Assumed,
    Curve,
    Step,
    TimeAxis,
)
from bolus.errors import Code, MetadataError, QualityWarning, QuantityError, TimingError
from bolus.quantify.enhancement import half_rise_s
from bolus.quantify.population_aif import plasma_from_blood

_SMALLEST_FACTOR = 0.9
_REACH_S = 10.0
_SHIFT_S = 0.25
"""How far from the meeting of half-rises, and how finely, the best shift is looked for."""


def scale_to_vein(artery: ArterialInput, vein: ArterialInput) -> tuple[ArterialInput, float]:
    """Scale an arterial curve so that its area is that of a vein: undo partial volume and inflow.

    Each area runs from where its curve is half risen, over the same time, so the delay of the
    vein does not count.

    Args:
        artery: concentration in whole blood [mM].
        vein: the same, on the same times.

    Returns:
        The scaled curve, and the factor.

    Warns:
        QualityWarning: the factor is below 0.9.

    Raises:
        MetadataError: AIF_NOT_FOUND an area is not positive.
        QuantityError: a curve is no concentration.

    Assumes:
        What enters the brain leaves it during the scan, except for a negligible part; the vein
        fills its voxels.

    Source:
        The venous output function as the scale of the artery: Foottit et al., Proc ISMRM
        2010;18:1719; limits of one factor: Hansen et al., Proc ISMRM 2009;17:1468.

    Example:
        >>> from bolus.quantify.dce_aif_scale import scale_to_vein
        >>> t = TimeAxis.regular(60, step_s=4.0)
        >>> def blood(scale, start):
        ...     late = np.maximum(t.seconds - start, 0.0)
        ...     return ArterialInput(values=scale * late / 6 * np.exp(1 - late / 6), time=t,
        ...         quantity=CONCENTRATION, method="", provenance=Provenance(),
        ...         voxels=np.empty((0, 3), int))
        >>> _, factor = scale_to_vein(blood(2.0, 20.0), blood(5.0, 26.0))
        >>> bool(abs(factor / 2.5 - 1) < 0.05)
        True
    """
    for given in (artery, vein):
        _require_concentration(given)
    seconds = artery.time.seconds
    starts = [half_rise_s(given.values[None], seconds)[0] for given in (artery, vein)]
    length = float(seconds[-1] - max(starts))
    areas = [
        _area(given.values, seconds, start, start + length)
        for given, start in zip((artery, vein), starts, strict=True)
    ]
    if not (np.isfinite(areas).all() and min(areas) > 0):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the areas of artery and vein are {areas[0]:.3g} and {areas[1]:.3g} mM s",
            mend="choose another vein, or use the artery as it is",
        )
    factor = float(areas[1] / areas[0])
    if factor < _SMALLEST_FACTOR:
        warnings.warn(
            f"the vein holds {factor:.2f} times the area of the artery: it is itself not filled, "
            "or no vein, and the scaled arterial curve is too low",
            QualityWarning,
            stacklevel=2,
        )
    step = Step("quantify.scale_to_vein", {"factor": round(factor, 6), "vein": vein.method})
    shown = None if artery.candidates is None else factor * artery.candidates
    return (
        replace(
            artery,
            values=factor * artery.values,
            provenance=artery.provenance.merged(vein.provenance).then(step),
            candidates=shown,
        ),
        factor,
    )


def aif_in_plasma(blood: ArterialInput, *, haematocrit: "float | Assumed") -> ArterialInput:
    """Return the curve in plasma, C_b / (1 - Hct), as the models need it.

    Args:
        blood: concentration in whole blood [mM].
        haematocrit: of large vessels.

    Raises:
        MetadataError: the haematocrit cannot be right, or the curve is no concentration.

    Assumes:
        The curve is of whole blood; nothing in it says so, its method does.

    Source:
        Tofts et al., J Magn Reson Imaging 1999;10:223-232.

    Example:
        >>> from bolus.quantify.dce_aif_scale import aif_in_plasma
        >>> blood = ArterialInput(values=np.array([0.0, 1.1]), time=TimeAxis.regular(2, step_s=1.0),
        ...     quantity=CONCENTRATION, method="", provenance=Provenance(),
        ...     voxels=np.empty((0, 3), int))
        >>> aif_in_plasma(blood, haematocrit=0.45).values.round(3).tolist()
        [0.0, 2.0]
    """
    _require_concentration(blood)
    number = haematocrit.value if isinstance(haematocrit, Assumed) else float(haematocrit)
    shown = blood.candidates
    return replace(
        blood,
        values=plasma_from_blood(blood.values, haematocrit=haematocrit),
        provenance=blood.provenance.then(
            Step(
                "quantify.aif_in_plasma", {"haematocrit": number}, source="10.1002/jmri.1880100302"
            )
        ),
        candidates=None if shown is None else shown / (1 - number),
    )


def aif_from_dsc(
    dsc: ArterialInput, artery: ArterialInput, *, vein: ArterialInput | None = None
) -> ArterialInput:
    """Make the arterial input of DCE from that of the same patient's DSC.

    The first pass of DSC is well sampled and not saturated; clock, scale and late part are those of
    DCE. (1) The DSC curve is shifted to where, averaged over the frames of DCE, it correlates best
    with the DCE artery (within 10 s of where both are half risen). (2) It is scaled so that its
    area equals that of the vein, each from its half rise and over the same time. (3) After the
    DSC scan the vein follows, earlier by what it is half risen later.

    Args:
        dsc: arterial ΔR2* [1/s], baseline near 0.
        artery: arterial concentration in DCE [mM]; only its clock is used where there is a vein.
        vein: venous concentration in DCE [mM] on the same frames; without it the artery, best
            `scale_to_vein`'s result, has its part.

    Returns:
        Concentration [mM] of the same medium as the DCE curves, on the samples of DSC (shifted,
        within the DCE scan) and those of DCE before and after it: its times are not the DCE frames
        (`average_over_frames` brings it there).

    Raises:
        QuantityError: not a ΔR2* curve and a concentration.
        TimingError: DSC ends before it is half risen, or does not overlap DCE.
        MetadataError: AIF_NOT_FOUND an area is not positive.

    Assumes:
        Both injections have the same shape (rate, volume, flush), only their doses may differ;
        ΔR2* of arterial blood is proportional to concentration; nothing is left of the other dose
        beyond its baseline.

    Source:
        The idea and its gain in reliability: You et al., Radiology 2018;286:981-991,
        doi:10.1148/radiol.2017170764 (n = 226; ICC of Ktrans 0.737 against 0.095). How they scaled
        it is not published; the steps here are ours: docs/science/dce_aif.md.

    Example:
        >>> from bolus.quantify.dce_aif_scale import aif_from_dsc
        >>> def curve(seconds, start, scale, quantity):
        ...     late = np.maximum(seconds - start, 0.0)
        ...     values = late * np.exp(1 - late / 4) + np.where(late > 0, np.exp(-late / 600), 0)
        ...     return ArterialInput(values=scale * values, time=TimeAxis(seconds=seconds),
        ...         quantity=quantity, method="", provenance=Provenance(),
        ...         voxels=np.empty((0, 3), int))
        >>> made = aif_from_dsc(curve(1.5 * np.arange(60), 20.0, 12.0, DELTA_R2S),
        ...                     curve(1.0 * np.arange(240), 30.0, 1.0, CONCENTRATION))
        >>> truth = curve(np.array(made.time.seconds), 30.0, 1.0, CONCENTRATION)
        >>> bool(np.abs(made.values - truth.values).max() < 0.25)
        True
    """
    reference = artery if vein is None else vein
    _require_concentration(artery)
    _require_concentration(reference)
    if dsc.quantity.key != DELTA_R2S.key:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"the DSC curve is {dsc.quantity.symbol} [{dsc.quantity.unit}] where "
            f"{DELTA_R2S.symbol} [{DELTA_R2S.unit}] is needed",
            mend="convert the signal to ΔR2* first",
        )
    frames = reference.time.seconds
    seconds, values = _shifted(dsc, artery)
    end = float(seconds[-1])
    start = float(half_rise_s(values[None], seconds)[0])
    lag = float(half_rise_s(reference.values[None], frames)[0]) - start
    length = min(end, float(frames[-1]) - lag) - start
    own = _area(values, seconds, start, start + length)
    wanted = _area(reference.values, frames, start + lag, start + lag + length)
    if not (np.isfinite([own, wanted]).all() and min(own, wanted, length) > 0):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"over {length:.3g} s the areas of the DSC and the DCE curve are {own:.3g} and "
            f"{wanted:.3g}",
            mend="choose another artery in either scan",
        )
    before, after = frames[frames < seconds[0]], frames[frames > end]
    late = np.interp(after + lag, frames, reference.values)
    times = np.concatenate([before, seconds, after])
    whole = np.concatenate([np.zeros(len(before)), values * (wanted / own), late])
    step = Step(
        "quantify.aif_from_dsc",
        {"mmolar_per_rate": wanted / own, "until_s": end, "scale": reference.method},
        source="10.1148/radiol.2017170764",
    )
    return ArterialInput(
        values=whole,
        time=TimeAxis(seconds=times),
        quantity=CONCENTRATION,
        method="from DSC",
        provenance=dsc.provenance.merged(artery.provenance).merged(reference.provenance).then(step),
        voxels=np.empty((0, 3), np.int64),
        score=dsc.score,
    )


def average_over_frames(given: ArterialInput, time: TimeAxis) -> ArterialInput:
    """Bring a curve onto other frames: its mean over each frame, so that the area is kept.

    A frame reaches half-way to its neighbours; the curve is linear between its samples and constant
    outside of them. Where the frames are finer than the samples this is nearly interpolation.

    Args:
        given: any quantity, on the clock of `time`.
        time: of the series.

    Raises:
        TimingError: the curve ends more than a frame before the series.

    Assumes:
        A frame shows the mean over its duration.

    Source:
        The trapezoid rule on the union of both time grids, exact for a piecewise linear curve.

    Example:
        >>> from bolus.quantify.dce_aif_scale import average_over_frames
        >>> fine = ArterialInput(values=np.array([0.0, 0, 4, 0, 0]), quantity=CONCENTRATION,
        ...     time=TimeAxis.regular(5, step_s=1.0), method="", provenance=Provenance(),
        ...     voxels=np.empty((0, 3), int))
        >>> average_over_frames(fine, TimeAxis.regular(3, step_s=2.0)).values.tolist()
        [0.0, 2.0, 0.0]
    """
    own, seconds = given.time.seconds, time.seconds
    slack = float(np.median(np.diff(seconds)))
    if own[-1] < seconds[-1] - slack:
        raise TimingError(
            Code.TIME_INVALID,
            f"the arterial curve ends at {own[-1]:.3g} s, the series at {seconds[-1]:.3g} s",
            mend="give the whole curve, with times in seconds on the clock of the series",
        )
    middles = (seconds[1:] + seconds[:-1]) / 2
    edges = np.concatenate(
        [[2 * seconds[0] - middles[0]], middles, [2 * seconds[-1] - middles[-1]]]
    )
    times = np.union1d(edges, own)
    values = np.interp(times, own, given.values)
    summed = np.concatenate([[0.0], np.cumsum(np.diff(times) * (values[1:] + values[:-1]) / 2)])
    means = np.diff(np.interp(edges, times, summed)) / np.diff(edges)
    step = Step("quantify.average_over_frames", {"frames": len(time)})
    return replace(
        given, values=means, time=time, provenance=given.provenance.then(step), candidates=None
    )


def _shifted(dsc: ArterialInput, dce: ArterialInput) -> tuple[Curve, Curve]:
    """Return DSC on the clock of DCE, within it, shifted to where both correlate best."""
    own, seconds = dsc.time.seconds, dce.time.seconds
    middle = half_rise_s(dce.values[None], seconds)[0] - half_rise_s(dsc.values[None], own)[0]
    widths = np.gradient(seconds)
    shifts = middle + np.arange(-_REACH_S, _REACH_S + _SHIFT_S / 2, _SHIFT_S)
    summed = np.concatenate(
        [[0.0], np.cumsum(np.diff(own) * (dsc.values[1:] + dsc.values[:-1]) / 2)]
    )
    best, shift = -np.inf, float(middle)
    for tried in shifts:
        seen = (seconds >= own[0] + tried) & (seconds + widths / 2 <= own[-1] + tried)
        if seen.sum() < 4:
            continue
        edges = [np.interp(seconds[seen] - tried + side * widths[seen] / 2, own, summed)
                 for side in (-1, 1)]  # fmt: skip
        alike = np.corrcoef((edges[1] - edges[0]) / widths[seen], dce.values[seen])[0, 1]
        if alike > best:
            best, shift = float(alike), float(tried)
    moved = own + shift
    inside = (moved >= seconds[0]) & (moved <= seconds[-1])
    if inside.sum() < 2 or not np.isfinite(best):
        raise TimingError(
            Code.TIME_INVALID,
            f"the DSC curve, shifted by {shift:.3g} s, has {int(inside.sum())} samples within the "
            "DCE scan",
            mend="check the times of both curves, in seconds from the first frame",
        )
    return moved[inside], dsc.values[inside]


def _area(values: Curve, seconds: Curve, start_s: float, end_s: float) -> float:
    inner = seconds[(seconds > start_s) & (seconds < end_s)]
    times = np.concatenate([[start_s], inner, [end_s]])
    return float(np.trapezoid(np.interp(times, seconds, values), times))


def _require_concentration(given: ArterialInput) -> None:
    if given.quantity.key != CONCENTRATION.key:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"the curve is {given.quantity.symbol} [{given.quantity.unit}] where "
            f"{CONCENTRATION.symbol} [{CONCENTRATION.unit}] is needed",
            mend="convert the signal to concentration first",
        )

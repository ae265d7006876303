"""Curves over time: the artery, the bolus, the tumour, and the head's motion."""

import numpy as np
from matplotlib.axes import Axes

from bolus.core import Mask, PerfusionSeries, TimeAxis
from bolus.report.figures import (
    AMBER,
    BLUE,
    FAINT,
    GREEN,
    INK,
    RED,
    WINDOW,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.findings import Bolus, DscFindings, Motion, first_pass_s, largest
from bolus.report.wording import number, significant, symbol_with_unit

_WIDE, _HALF, _HEIGHT = 1160, 570, 270


def artery_plot(findings: DscFindings) -> Picture:
    """Draw the arterial curve over the curves of its best candidates."""
    aif = findings.aif
    seconds = aif.time.seconds
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes((0.105, 0.165, 0.875, 0.80))
        _shade(axis, findings.bolus_window_s)
        if aif.candidates is not None and len(aif.candidates):
            lines = axis.plot(seconds, aif.candidates.T, color=FAINT, lw=0.7, alpha=0.75)
            lines[0].set_label(f"{len(aif.candidates)} best candidates")
        axis.plot(seconds, aif.values, color=RED, lw=1.9, label="arterial input")
        axis.axhline(0, color=FAINT, lw=0.6)
        dress(axis, symbol_with_unit(aif.quantity.key))
        axis.legend(loc="upper right")
        peak = significant(largest(aif.values))
        words = (
            f"Arterial input over {number(aif.time.duration_s, 0)} s; its peak is {peak} "
            f"{aif.quantity.unit}."
        )
        return as_picture(figure, alt=words, keys=(aif.quantity.key,))


def bolus_plot(findings: DscFindings) -> Picture:
    """Draw the brain's mean signal with what was taken as baseline and first pass."""
    seconds, bolus = findings.signal.time.seconds, findings.bolus
    last = len(seconds) - 1
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes((0.105, 0.165, 0.875, 0.80))
        mark_bolus(axis, findings.signal.time, bolus)
        axis.plot(seconds, bolus.mean_signal, color=INK, lw=1.6)
        axis.plot(
            seconds[bolus.peak], bolus.mean_signal[bolus.peak], "o", color=RED, ms=5, label="peak"
        )
        dress(axis, "mean brain signal [a.u.]")
        axis.legend(loc="best", ncols=2)
        words = (
            "Mean brain signal over time: baseline to "
            f"{number(float(seconds[min(bolus.baseline.stop, last)]), 0)} s, arrival at "
            f"{number(float(seconds[bolus.arrival]), 1)} s, peak at "
            f"{number(float(seconds[bolus.peak]), 1)} s."
        )
        return as_picture(figure, alt=words, keys=("signal",))


def tissue_plot(findings: DscFindings) -> Picture | None:
    """Draw tumour and white matter before and after the leakage correction, if both are known."""
    tumour, series = findings.tumour_mask, findings.delta_r2s
    if series is None:
        return None
    regions = [("tumour", tumour, RED), ("white matter", findings.white_matter, BLUE)]
    keys = (series.quantity.key,)
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes((0.105, 0.165, 0.875, 0.80))
        _shade(axis, findings.bolus_window_s)
        axis.axhline(0, color=FAINT, lw=0.6)
        drawn = [
            name
            for name, mask, colour in regions
            if mask is not None and _before_after(axis, findings, mask, name, colour)
        ]
        if not drawn:
            return None
        dress(axis, symbol_with_unit("delta_r2s"))
        axis.legend(loc="upper right")
        after = " before and after leakage correction" if findings.corrected is not None else ""
        words = f"Mean change of transverse relaxation rate of {' and '.join(drawn)}{after}."
        return as_picture(figure, alt=words, keys=keys)


def _before_after(axis: Axes, findings: DscFindings, mask: Mask, name: str, colour: str) -> bool:
    before = None if findings.delta_r2s is None else mean_curve(findings.delta_r2s, mask)
    if before is None:
        return False
    seconds = findings.signal.time.seconds
    after = None if findings.corrected is None else mean_curve(findings.corrected, mask)
    plain = name if after is None else f"{name}, measured"
    axis.plot(seconds, before, color=colour, lw=1.3, ls="-" if after is None else "--", label=plain)
    if after is not None:
        axis.plot(seconds, after, color=colour, lw=1.9, label=f"{name}, corrected")
    return True


def mean_curve(series: PerfusionSeries, mask: Mask) -> np.ndarray | None:
    """Return the mean curve of a mask, or None where no voxel has a whole curve."""
    if not mask.count:
        return None
    curve = series.mean_curve(mask)
    return curve if np.isfinite(curve).all() else None


def motion_plot(time: TimeAxis, motion: Motion, bolus: Bolus | None) -> Picture:
    """Draw translations, rotations and the mean displacement of the head."""
    seconds = time.seconds
    parameters = np.asarray(motion.parameters)
    with house_style():
        figure = blank(_WIDE, 200)
        columns = (
            ("translation [mm]", parameters[:, :3], ("right", "anterior", "superior")),
            ("rotation [°]", parameters[:, 3:], ("about R–L", "about A–P", "about S–I")),
            ("displacement [mm]", np.asarray(motion.displacement_mm)[:, None], ("mean",)),
        )
        for place, (label, values, names) in enumerate(columns):
            axis = figure.add_axes((0.06 + place * 0.335, 0.21, 0.26, 0.75))
            if bolus is not None:
                _shade(axis, first_pass_s(time, bolus))
            axis.axhline(0, color=FAINT, lw=0.6)
            for column, colour, name in zip(values.T, (BLUE, AMBER, GREEN), names, strict=False):
                only = values.shape[1] == 1
                axis.plot(seconds, column, color=INK if only else colour, lw=1.2, label=name)
            dress(axis, label)
            reach = np.nan_to_num(largest(np.abs(values)))
            floor = -0.03 if values.shape[1] == 1 else -1.0
            axis.set_ylim(floor * max(1.25 * reach, 0.2), max(1.45 * reach, 0.2))
            if values.shape[1] > 1:
                axis.legend(loc="upper left", ncols=3, columnspacing=1.0, handlelength=1.2)
        furthest = number(largest(np.asarray(motion.displacement_mm)), 2)
        words = f"Head motion over time; the largest mean displacement is {furthest} mm."
        return as_picture(figure, alt=words, keys=())


def mark_bolus(axis: Axes, time: TimeAxis, bolus: Bolus) -> None:
    """Shade first pass and baseline, and draw the arrival."""
    seconds = time.seconds
    _shade(axis, first_pass_s(time, bolus), label="first pass")
    start, stop = bolus.baseline.start or 0, min(bolus.baseline.stop, len(seconds) - 1)
    axis.axvspan(seconds[start], seconds[stop], color="#dfe8f2", lw=0, label="baseline")
    axis.axvline(seconds[bolus.arrival], color=AMBER, lw=1.2, label="arrival")


def _shade(axis: Axes, window_s: tuple[float, float], *, label: str | None = None) -> None:
    axis.axvspan(*window_s, color=WINDOW, alpha=0.55, lw=0, label=label)


def dress(axis: Axes, label: str) -> None:
    """Name the axes of a time plot."""
    axis.set_xlabel("time [s]", labelpad=2)
    axis.set_ylabel(label)
    axis.margins(x=0.01)
    axis.set_axisbelow(True)

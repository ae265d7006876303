"""Curves of a DCE exam: artery and vein, enhancement, fitted voxels, tissue, and T1 by region."""

import numpy as np
from matplotlib.axes import Axes

from bolus.core import QUANTITIES, Mask
from bolus.report.dce_findings import DceFindings, ExampleVoxel
from bolus.report.figures import (
    AMBER,
    BLUE,
    FAINT,
    GREEN,
    INK,
    RED,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.figures_curves import dress, mean_curve
from bolus.report.findings import largest
from bolus.report.wording import number, significant, symbol, symbol_with_unit, unit_text

_WIDE, _HALF, _HEIGHT = 1160, 570, 270
_PLACE = (0.105, 0.165, 0.875, 0.80)
_TISSUE_COLOURS = (RED, AMBER, GREEN, "#6b4fa0", INK, "#c2408f", "#0f8b8d", "#7a6a00")
_SHOWN_PERCENTILE = 99.5
_LEGEND_COLUMNS, _LEGEND_ROW = 3, 0.11
"""A row of the legend takes this share of the height of the curves; it lies above them."""


def plasma_plot(findings: DceFindings) -> Picture:
    """Draw the plasma curve that the model was given, and the blood that it was made from."""
    aif, measured, vein = findings.aif, findings.measured_aif, findings.vein
    keys = (aif.quantity.key,)
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes(_PLACE)
        candidates = None if measured is None else measured.candidates
        if measured is not None and candidates is not None and len(candidates):
            lines = axis.plot(measured.time.seconds, candidates.T, color=FAINT, lw=0.7, alpha=0.75)
            lines[0].set_label(f"{len(candidates)} candidates, blood")
        for curve, colour, name in (
            (measured, AMBER, "artery, blood"),
            (vein, BLUE, "vein, blood"),
        ):
            if curve is not None:
                axis.plot(curve.time.seconds, curve.values, color=colour, lw=1.4, label=name)
        axis.plot(aif.time.seconds, aif.values, color=RED, lw=1.9, label="plasma, as used")
        axis.axhline(0, color=FAINT, lw=0.6)
        dress(axis, symbol_with_unit(aif.quantity.key))
        axis.legend(loc="upper right")
        words = (
            f"Plasma concentration of the arterial input over {number(aif.time.duration_s, 0)} s; "
            f"its peak is {significant(largest(aif.values))} {aif.quantity.unit}."
        )
        return as_picture(figure, alt=words, keys=keys)


def enhancement_plot(findings: DceFindings) -> Picture:
    """Draw the signal of the leading vessels with the baseline and the arrival of the agent."""
    seconds, found = findings.signal.time.seconds, findings.enhancement
    start, stop = found.baseline.start or 0, min(found.baseline.stop, len(seconds) - 1)
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes(_PLACE)
        axis.axvspan(seconds[start], seconds[stop], color="#dfe8f2", lw=0, label="baseline")
        axis.axvline(seconds[found.arrival], color=AMBER, lw=1.2, label="arrival")
        axis.plot(seconds, found.vessel_signal, color=INK, lw=1.6)
        axis.plot(
            seconds[found.peak], found.vessel_signal[found.peak], "o", color=RED, ms=5, label="peak"
        )
        dress(axis, "signal / baseline of leading vessels")
        axis.legend(loc="best", ncols=3)
        words = (
            f"Signal of the leading vessels over their baseline: baseline to "
            f"{number(float(seconds[stop]), 0)} s, arrival at "
            f"{number(float(seconds[found.arrival]), 1)} s."
        )
        return as_picture(figure, alt=words, keys=("signal",))


def concentration_plot(findings: DceFindings) -> Picture | None:
    """Draw the mean concentration of the tumour's parts and of white matter, or else the brain."""
    regions: list[tuple[str, Mask]] = []
    if findings.tumour is not None:
        names = findings.tumour.names
        regions = [(names[k], findings.tumour.mask(names[k])) for k in sorted(names)]
    curves = [(name, mean_curve(findings.concentration, mask)) for name, mask in regions]
    lines = [
        (name, curve, _TISSUE_COLOURS[place % len(_TISSUE_COLOURS)])
        for place, (name, curve) in enumerate(curves)
        if curve is not None
    ]
    reference, name = findings.white_matter, "white matter"
    if reference is None or not reference.count:
        tumour = findings.tumour_mask
        reference = findings.brain if tumour is None else findings.brain.without(tumour)
        name = "brain" if tumour is None else "brain without the tumour"
    curve = mean_curve(findings.concentration, reference)
    if curve is not None:
        lines.append((name, curve, BLUE))
    if not lines:
        return None
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes(_PLACE)
        axis.axhline(0, color=FAINT, lw=0.6)
        axis.axvline(
            findings.signal.time.seconds[findings.enhancement.arrival], color=AMBER, lw=1.0, ls=":"
        )
        for name, values, colour in lines:
            axis.plot(
                findings.concentration.time.seconds, values, color=colour, lw=1.7, label=plain(name)
            )
        dress(axis, symbol_with_unit("conc"))
        low, high = axis.get_ylim()
        rows = -(-len(lines) // _LEGEND_COLUMNS)
        axis.set_ylim(low, high + _LEGEND_ROW * rows * (high - low))
        axis.legend(loc="upper right", ncols=_LEGEND_COLUMNS, columnspacing=1.2)
        words = "Mean concentration over time of " + ", ".join(name for name, *_ in lines) + "."
        return as_picture(figure, alt=words, keys=("conc",))


def example_plot(findings: DceFindings) -> Picture | None:
    """Draw the example voxels: measured points, fitted curve, and below them what is left over."""
    examples = findings.examples[:3]
    if not examples:
        return None
    seconds = findings.concentration.time.seconds
    with house_style():
        figure = blank(_WIDE, 330)
        for place, example in enumerate(examples):
            left = 0.07 + place * 0.322
            above = figure.add_axes((left, 0.40, 0.268, 0.52))
            below = figure.add_axes((left, 0.135, 0.268, 0.20), sharex=above)
            _fit(above, below, seconds, example)
            above.set_title(
                f"{plain(example.region)} · voxel {', '.join(map(str, example.index))}",
                loc="left", fontweight="bold", fontsize=8.5,
            )  # fmt: skip
            if place:
                above.set_ylabel("")
                below.set_ylabel("")
        words = (
            "Measured and fitted concentration of example voxels, residuals below: "
            + "; ".join(f"{e.region}, {parameter_words(e)}" for e in examples)
        )
        return as_picture(figure, alt=words + ".", keys=("conc",))


def _fit(above: Axes, below: Axes, seconds: np.ndarray, example: ExampleVoxel) -> None:
    measured, fitted = np.asarray(example.measured), np.asarray(example.fitted)
    above.plot(seconds, measured, ".", color=INK, ms=3.5, label="measured")
    above.plot(seconds, fitted, color=RED, lw=1.6, label="fitted")
    above.axhline(0, color=FAINT, lw=0.6)
    above.legend(loc="best", ncols=2, handlelength=1.2, columnspacing=1.0)
    above.set_ylabel(symbol_with_unit("conc"))
    above.tick_params(labelbottom=False)
    above.margins(x=0.01, y=0.16)
    below.axhline(0, color=FAINT, lw=0.6)
    below.vlines(seconds, 0, measured - fitted, color=INK, lw=0.9)
    dress(below, "residual [mM]")
    below.yaxis.label.set_fontsize(7.5)
    reach = largest(np.abs(measured - fitted))
    if np.isfinite(reach) and reach > 0:
        below.set_ylim(-1.15 * reach, 1.15 * reach)


def parameter_words(example: ExampleVoxel) -> str:
    """Return the parameters of an example voxel with their standard errors."""
    words = []
    for key, value, error in example.parameters:
        known = f" ± {significant(error, 2)}" if np.isfinite(error) else ""
        unit = unit_text(QUANTITIES[key].unit)
        words.append(f"{symbol(key)} {significant(value)}{known} {unit}".strip())
    return ", ".join(words)


def t1_plot(findings: DceFindings) -> Picture | None:
    """Draw how T1 is distributed in the brain, white matter and tumour; None where assumed."""
    item = findings.t10
    if item is None:
        return None
    regions = (
        ("brain", findings.brain, FAINT),
        ("white matter", findings.white_matter, BLUE),
        ("tumour", findings.tumour_mask, RED),
    )
    found = [(n, item.inside(m), c) for n, m, c in regions if m is not None and m.count]
    found = [entry for entry in found if entry[1].size]
    if not found:
        return None
    top = max(float(np.percentile(values, _SHOWN_PERCENTILE)) for _, values, _ in found)
    with house_style():
        figure = blank(_HALF, _HEIGHT)
        axis = figure.add_axes(_PLACE)
        for place, (name, values, colour) in enumerate(found):
            share = np.full(values.size, 100 / values.size)
            axis.hist(
                values, bins=60, range=(0, max(top, 0.1)), weights=share, color=colour,
                label=f"{name}, median {number(float(np.median(values)), 2)} s",
                histtype="stepfilled" if place == 0 else "step",
                alpha=0.45 if place == 0 else 1.0, lw=1.6,
            )  # fmt: skip
        axis.set_xlabel(symbol_with_unit("t10"), labelpad=2)
        axis.set_ylabel("share of the region [%]")
        axis.margins(x=0.01)
        axis.set_ylim(0, 1.45 * axis.get_ylim()[1])
        axis.legend(loc="upper left")
        words = "Distribution of T1 before the agent: " + ", ".join(
            f"{name} median {number(float(np.median(values)), 2)} s" for name, values, _ in found
        )
        return as_picture(figure, alt=words + ".", keys=("t10",))


def plain(text: str) -> str:
    """Return text from outside as matplotlib must take it: no mathematics, no hidden labels."""
    return text.replace("$", r"\$").lstrip("_") or "region"

"""The pictures of a certificate: what methods found, beside the line of no error."""

import numpy as np
from matplotlib.axes import Axes

from bolus.report.certificate_findings import Line, Panel, Plot
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

_WIDE, _HEIGHT = 1160, 300
_SIDE, _GAP, _BOTTOM, _TOP = 62, 22, 44, 52
"""Room around and between panels [px]."""
_PERFECT = "no error"
_COLOURS = (RED, AMBER, GREEN, "#7a5195", BLUE, INK)
_MARKERS = ("o", "s", "^", "v", "D", "P")


def draw_plot(plot: Plot) -> Picture:
    """Draw panels side by side, on common axes and with one legend.

    Args:
        plot: what to draw; a method has the same colour in all panels.
    """
    names = list(dict.fromkeys(line.name for panel in plot.panels for line in panel.lines))
    count = len(plot.panels)
    width = (_WIDE - _SIDE - 10 - (count - 1) * _GAP) / count
    with house_style():
        figure = blank(_WIDE, _HEIGHT)
        shared: Axes | None = None
        for place, panel in enumerate(plot.panels):
            left = _SIDE + place * (width + _GAP)
            box = (left / _WIDE, _BOTTOM / _HEIGHT, width / _WIDE,
                   (_HEIGHT - _BOTTOM - _TOP) / _HEIGHT)  # fmt: skip
            axis = figure.add_axes(box, sharex=shared, sharey=shared)
            shared = shared or axis
            _draw(axis, panel, names)
            axis.set_xlabel(plot.x_label)
            if place == 0:
                axis.set_ylabel(plot.y_label)
            else:
                axis.tick_params(labelleft=False)
        several = any(len(panel.lines) > 1 for panel in plot.panels)
        handles = {
            text: handle
            for axis in figure.axes
            for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
            if several or text == _PERFECT
        }
        figure.legend(
            handles.values(), handles.keys(), loc="upper center", ncols=len(handles),
            bbox_to_anchor=(0.5, 1.0), handlelength=1.8,
        )  # fmt: skip
        return as_picture(figure, alt=f"{plot.title}: {', '.join(names)}.", keys=plot.keys)


def _draw(axis: Axes, panel: Panel, names: list[str]) -> None:
    if panel.perfect == "zero":
        axis.axhline(0, color=FAINT, lw=0.9, label=_PERFECT)
    else:
        top = max(max(line.x) for line in panel.lines)
        axis.plot((0, top), (0, top), color=FAINT, lw=0.9, label=_PERFECT)
    step = _spacing(panel.lines)
    for line in panel.lines:
        place = names.index(line.name)
        colour, marker = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
        if not line.low:
            axis.plot(line.x, line.y, color=colour, marker=marker, ms=4, lw=1.4, label=line.name)
            continue
        # Bars of several methods at one place would hide each other.
        shift = 0.12 * step * (place - (len(names) - 1) / 2) if len(panel.lines) > 1 else 0.0
        beside = np.asarray(line.x) + shift
        reach = np.abs(np.stack([np.subtract(line.y, line.low), np.subtract(line.high, line.y)]))
        axis.errorbar(
            beside, line.y, yerr=reach, color=colour, marker=marker, ms=4, lw=0, elinewidth=1.3,
            label=line.name,
        )  # fmt: skip
    axis.set_title(panel.title, loc="left")


def _spacing(lines: tuple[Line, ...]) -> float:
    """Return the smallest distance between places on the x axis."""
    places = np.unique(np.concatenate([line.x for line in lines]))
    return float(np.diff(places).min()) if len(places) > 1 else 1.0

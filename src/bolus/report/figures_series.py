"""Pictures of any series: its curves over time, and where they come from."""

from dataclasses import dataclass

import numpy as np

from bolus.core import Mask
from bolus.report.figures import FAINT, Picture, as_picture, blank, house_style
from bolus.report.figures_curves import dress, mark_bolus
from bolus.report.figures_slices import SLICES, Panel, finish, grey_slice, panels_of, slice_words
from bolus.report.series_findings import SeriesFindings
from bolus.report.slices import AxialView
from bolus.report.wording import significant, symbol_with_unit

_WIDE, _HALF, _HEIGHT = 1160, 570, 300
_FEW_SLICES = 2
_LARGE_PANEL = 420
"""One or two slices leave room for larger images."""

BRAIN_COLOUR = "#2b8fd0"
REGION_COLOURS = (
    "#e5343d", "#e08a00", "#1aa260", "#a855d8", "#00a5b5", "#d9468f", "#8a7a00", "#5b6bf0",
)  # fmt: skip
"""Seen on white and on a dark image alike: a region has one colour on the whole page."""
_STYLES = ("solid", "dashed", "dotted")
"""Where there are more regions than colours, the strokes differ."""
_FEW_VOXELS = 4
"""So small a region in a slice gets a ring around it: its outline would not be seen."""
_RING = 8.0
_HEAD_LEVEL = 0.15
"""Share of the brain's bright signal above which a voxel is shown, brain or not."""
_SHOWN = 0.15
"""A slice shows a region if it holds this share of the region's largest slice."""
_MOST_POINTS = 100
"""Up to so many frames are marked one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """How one region is drawn everywhere on the page."""

    colour: str
    style: str


def stroke_of(place: int) -> Stroke:
    """Return the stroke of a curve by its place; the brain is the first."""
    if place == 0:
        return Stroke(colour=BRAIN_COLOUR, style=_STYLES[0])
    turn, colour = divmod(place - 1, len(REGION_COLOURS))
    return Stroke(colour=REGION_COLOURS[colour], style=_STYLES[turn % len(_STYLES)])


def curve_plots(findings: SeriesFindings) -> tuple[Picture, ...]:
    """Draw all curves as they are and, where the unit is arbitrary, against their start."""
    key = findings.curves_of.quantity.key
    if not findings.shows_change:
        return (_curve_plot(findings, symbol_with_unit(key), width=_WIDE, change=False),)
    return (
        _curve_plot(findings, "signal [a.u.]", width=_HALF, change=False),
        _curve_plot(findings, f"change from {findings.start_words} [%]", width=_HALF, change=True),
    )


def _curve_plot(findings: SeriesFindings, label: str, *, width: int, change: bool) -> Picture:
    time, key = findings.signal.time, findings.curves_of.quantity.key
    marker = "o" if len(time) <= _MOST_POINTS else ""
    with house_style():
        figure = blank(width, _HEIGHT)
        axis = figure.add_axes((64 / width, 0.15, 1 - 76 / width, 0.82))
        if findings.bolus is not None:
            mark_bolus(axis, time, findings.bolus)
        if change or not findings.shows_change:
            axis.axhline(0, color=FAINT, lw=0.6)
        for place, (_, values) in enumerate(findings.curves):
            stroke = stroke_of(place)
            drawn = findings.change_percent(values) if change else values
            axis.plot(
                time.seconds, drawn, color=stroke.colour, ls=stroke.style,
                lw=2.6 if place == 0 else 1.4, marker=marker, markersize=2.4, zorder=3,
            )  # fmt: skip
        dress(axis, label)
        if findings.bolus is not None:
            axis.legend(loc="best")
        names = ", ".join(name for name, _ in findings.curves)
        lasts = significant(float(time.seconds[-1]))
        return as_picture(figure, alt=f"{label} over {lasts} s of {names}.", keys=(key,))


def view_of(findings: SeriesFindings) -> AxialView:
    """Return slices that show every region if six can, else most of them; then the brain."""
    grid = findings.signal.grid
    through = AxialView.of(findings.brain, None, slices=SLICES)
    whole = AxialView.of(Mask(values=_head(findings), grid=grid, name="head"), None, slices=1)
    chosen = _cover([_by_slice(whole, mask) for mask in findings.regions])
    for _ in through.slices:
        free = [k for k in through.slices if k not in chosen]
        if not free or len(chosen) >= SLICES:
            break
        chosen.append(max(free, key=lambda k: min((abs(k - c) for c in chosen), default=0)))
    return whole.with_slices(tuple(sorted(chosen)), grid)


def hidden(findings: SeriesFindings, view: AxialView) -> tuple[str, ...]:
    """Return the names of regions that none of the slices shows."""
    return tuple(
        mask.name for mask in findings.regions if not _by_slice(view, mask)[list(view.slices)].any()
    )


def where_row(findings: SeriesFindings, view: AxialView) -> Picture:
    """Draw the outlines of the brain and of all regions on the first images."""
    few = len(view.slices) <= _FEW_SLICES
    width = min(_LARGE_PANEL, _HALF // len(view.slices) - 4) if few else 0
    # A core shares its border with the shell around it: the smaller one is drawn on top.
    largest_first = sorted(enumerate(findings.masks), key=lambda item: -item[1].count)
    with house_style():
        figure, panels = panels_of(view, width=width, bar=0)
        for panel, index in zip(panels, view.slices, strict=True):
            panel.show(grey_slice(findings.anatomy, findings.brain, view, index))
            for place, mask in largest_first:
                _outline(panel, view.plane(mask.values, index), stroke_of(place))
        words = f"Outlines of {', '.join(m.name for m in findings.masks)}; {slice_words(view)}."
        return finish(figure, alt=words, keys=("signal",))


def _outline(panel: Panel, plane: np.ndarray, stroke: Stroke) -> None:
    if not plane.any():
        return
    if np.count_nonzero(plane) > _FEW_VOXELS:
        panel.outline(plane, stroke.colour, 1.3, style=stroke.style)
        return
    x, y = panel.centres((plane.shape[0], plane.shape[1]))
    rows, columns = np.nonzero(plane)
    for colour, width in (("black", 2.8), (stroke.colour, 1.5)):
        panel.axes.plot(
            x[columns].mean(), y[rows].mean(), "o",
            markersize=_RING, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=width,
        )  # fmt: skip


def _head(findings: SeriesFindings) -> np.ndarray:
    """Return what the images must not cut off: all that is bright, the brain and the regions."""
    inside = findings.anatomy[findings.brain.values] if findings.brain.count else findings.anatomy
    bright = inside[np.isfinite(inside)]
    level = _HEAD_LEVEL * float(np.percentile(bright, 95)) if bright.size else np.inf
    head = np.nan_to_num(findings.anatomy, nan=-np.inf) > level
    for mask in findings.masks:
        head |= mask.values
    return np.asarray(head)


def _by_slice(view: AxialView, mask: Mask) -> np.ndarray:
    """Count the voxels of a region in every turned slice."""
    return np.bincount(view.places(np.argwhere(mask.values))[:, 2], minlength=view.shape[2])


def _cover(counts: list[np.ndarray]) -> list[int]:
    """Choose slices one by one, each showing as much as it can of what is not shown yet."""
    shares = [count / count.max() for count in counts if count.any()]
    chosen: list[int] = []
    while shares and len(chosen) < SLICES:
        best = int(np.argmax(np.sum(shares, axis=0)))
        chosen.append(best)
        shares = [share for share in shares if share[best] < _SHOWN]
    return chosen

"""Habitats on the patient's own images: the same slices at every visit, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from bolus.core import QUANTITIES, Grid, Mask, ParameterMap, SessionKey
from bolus.habitats import centres_of
from bolus.report.figures import INK, Picture, blank, house_style
from bolus.report.figures_maps import SCALES, Scale
from bolus.report.figures_slices import Panel, finish, grey_slice, panels_of, slice_words
from bolus.report.habitats_findings import HabitatPatientFindings, HabitatVisitPicture
from bolus.report.slices import AxialView
from bolus.report.wording import number, symbol, tick, unit_text

HABITAT_COLOURS = ("#e0483b", "#f2b92c", "#4f8fd0", "#8e6bbf", "#3fa66b", "#c9749c")
"""By place in the model: hypervascular, hypovascular, nonviable, and more if there are."""
OUTSIDE_COLOUR = "#c9d0d8"
_ADC_SCALE = Scale(colours="viridis", low=0.0005, high=0.0025)
_FACTORS = {"adc": (1e3, "10⁻³ mm²/s")}
"""Quantities that are drawn in a handier unit: factor and its name."""
_WIDTH = 1160
_BAR = 92
_SIDE = 26
"""Page pixels left of the panels for the name of a row."""
_GAP = 4
_SPACE = 14
"""Page pixels between slices, and between rows."""
_HEAD = 38
_COLUMNS = 6
_LARGEST = 250
_FIGURES = 2
_MARGIN_MM = 14.0
_TINT = 0.78
_FAINT = 0.62
"""The image steps back around a map."""
_BEHIND = 0.72
"""The image steps back behind habitats."""
_NO_ANSWER = 255
"""White: no habitat and no image has it."""


def habitat_colour(place: int) -> str:
    """Return the colour of the i-th habitat of a model, from 0."""
    return HABITAT_COLOURS[place % len(HABITAT_COLOURS)]


def habitat_name(name: str) -> str:
    """Return a habitat's name as it stands at the beginning of a line."""
    return name[:1].upper() + name[1:]


def visit_words(key: SessionKey, day: int) -> str:
    """Return the name of a visit as it heads a column."""
    return f"{key.session or 'visit'} · day {day}"


def drawn_unit(key: str) -> str:
    """Return the short name of a quantity with the unit it is drawn in."""
    factor = _FACTORS.get(key)
    unit = factor[1] if factor else _plain_unit(key)
    return f"{symbol(key)} [{unit}]"


def drawn_value(value: float, key: str) -> float:
    """Return a value in the unit it is drawn in."""
    return value * _FACTORS.get(key, (1.0, ""))[0]


def _plain_unit(key: str) -> str:
    return unit_text(QUANTITIES[key].unit) or "ratio"


def scale_of(findings: HabitatPatientFindings, key: str) -> Scale:
    """Return the colours of a quantity: fixed, so that visits and patients compare."""
    fixed = _ADC_SCALE if key == "adc" else SCALES.get(key)
    if fixed:
        return fixed
    values = np.concatenate(
        [
            visit.maps[key].values[visit.lesion.values & np.isfinite(visit.maps[key].values)]
            for visit in findings.visits
            if key in visit.maps
        ]
    )
    low, high = np.percentile(values, (2, 98)) if values.size else (0.0, 1.0)
    return Scale(colours="viridis", low=float(low), high=float(max(high, low + 1e-6)), chosen=True)


def where_row(findings: HabitatPatientFindings) -> Picture:
    """Draw the whole head of the first visit with its lesion, to see where the windows lie."""
    first = findings.visits[0]
    head = _head(findings)
    view = AxialView.of(head, findings.lesions, slices=_COLUMNS)
    window = _window(findings.lesions)
    with house_style():
        figure, panels = panels_of(view, bar=0)
        for panel, index in zip(panels, view.slices, strict=True):
            picture = grey_slice(_seen(first), head, view, index)
            panel.show(_painted(picture, view, index, first, findings))
            panel.outline(view.plane(window.values, index), "white", 0.9, style="dashed")
        words = f"Habitats of the first visit on the whole head: {slice_words(view)}."
        return finish(figure, alt=words, keys=("signal",))


def timelines(findings: HabitatPatientFindings) -> tuple[Picture, ...]:
    """Draw the visits side by side, slice by slice: image, every feature's map, habitats.

    All panels show one window around the lesion of all visits.
    """
    visits = len(findings.visits)
    each = max(1, _COLUMNS // visits)
    window, lesions = _window(findings.lesions), findings.lesions
    view = AxialView.of(window, lesions, slices=each * (_FIGURES if visits < 4 else 3))
    pictures = []
    for start in range(0, len(view.slices), each):
        part = view.with_slices(view.slices[start : start + each], lesions.grid)
        with house_style():
            pictures.append(_timeline(findings, part))
    return tuple(pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where panels lie: size, and the left and top edges by slice, visit and row [page px]."""

    width: int
    height: int
    lefts: tuple[tuple[float, ...], ...]
    tops: tuple[float, ...]

    @classmethod
    def of(cls, view: AxialView, visits: int, rows: int) -> "_Layout":
        slices = len(view.slices)
        room = _WIDTH - _SIDE - _BAR - (slices - 1) * _SPACE
        width = min(room // max(visits * slices, 3) - _GAP, _LARGEST)
        columns, lines = view.extent
        height = round(width * lines * view.aspect / columns)
        if height > 1.5 * width:
            width, height = round(1.5 * width * width / height), round(1.5 * width)
        block = visits * (width + _GAP) + _SPACE
        return cls(
            width=width,
            height=height,
            lefts=tuple(
                tuple(_SIDE + s * block + v * (width + _GAP) for v in range(visits))
                for s in range(slices)
            ),
            tops=tuple(_HEAD + row * (height + _GAP) for row in range(rows)),
        )

    @property
    def right(self) -> float:
        """Right edge of the last panel."""
        return self.lefts[-1][-1] + self.width


def _timeline(findings: HabitatPatientFindings, view: AxialView) -> Picture:
    keys = [k for k in findings.model.features if any(k in v.maps for v in findings.visits)]
    rows = ("image", *keys, "habitats")
    layout = _Layout.of(view, len(findings.visits), len(rows))
    height = round(layout.tops[-1] + layout.height + 2)
    figure = blank(round(layout.right + _BAR), height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for top, row in zip(layout.tops, rows, strict=True):
        label = {"image": "Image", "habitats": "Habitats"}.get(row) or symbol(row)
        axes.text(
            _SIDE / 2 - 2, top + layout.height / 2, label, rotation=90, ha="center", va="center",
            fontsize=9, fontweight="bold",
        )  # fmt: skip
        if row in keys:
            _bar(axes, layout, top, scale_of(findings, row), row)
    for lefts, index, level in zip(layout.lefts, view.slices, view.heights_mm, strict=True):
        _heads(axes, layout, lefts, index, level, findings)
        for left, visit in zip(lefts, findings.visits, strict=True):
            for top, row in zip(layout.tops, rows, strict=True):
                panel = Panel(
                    axes=axes, left=left, top=top, width=layout.width, height=layout.height
                )
                _fill(panel, row, visit, findings, view, index)
    words = (
        f"Visits side by side: {', '.join(rows)}; "
        f"{', '.join(visit_words(v.key, v.day) for v in findings.visits)}; {slice_words(view)}."
    )
    return finish(figure, alt=words, keys=("signal", *keys))


def _heads(
    axes: Axes,
    layout: _Layout,
    lefts: Sequence[float],
    index: int,
    level: float,
    findings: HabitatPatientFindings,
) -> None:
    """Write the slice over its block, and the visits over their columns."""
    middle = (lefts[0] + lefts[-1] + layout.width) / 2
    side = "S" if level >= 0 else "I"
    axes.text(middle, 12, f"slice {index + 1}   {side} {abs(level):.0f} mm", ha="center",
              va="baseline", fontsize=8.5, fontweight="bold")  # fmt: skip
    axes.plot([lefts[0], lefts[-1] + layout.width], [18, 18], color=INK, lw=0.8)
    for left, visit in zip(lefts, findings.visits, strict=True):
        axes.text(left + layout.width / 2, _HEAD - 6, visit_words(visit.key, visit.day),
                  ha="center", va="baseline", fontsize=8)  # fmt: skip


def _fill(
    panel: Panel,
    row: str,
    visit: HabitatVisitPicture,
    findings: HabitatPatientFindings,
    view: AxialView,
    index: int,
) -> None:
    """Draw one panel; a map that a visit lacks says so."""
    picture = grey_slice(_seen(visit), _seen_voxels(visit), view, index)
    lesion = view.plane(visit.lesion.values, index)
    if row == "habitats":
        panel.show(_painted(picture, view, index, visit, findings))
    elif row == "image":
        panel.show(picture)
        panel.outline(lesion, "black", 2.0)
        panel.outline(lesion, "white", 1.0)
    elif row in visit.maps:
        panel.show(_mapped(picture, view, index, visit.maps[row], scale_of(findings, row)))
        panel.outline(lesion, "black", 2.0)
        panel.outline(lesion, "white", 1.0)
    else:
        panel.axes.text(
            panel.left + panel.width / 2, panel.top + panel.height / 2, f"no {symbol(row)}",
            ha="center", va="center",
        )  # fmt: skip


def _painted(
    picture: np.ndarray,
    view: AxialView,
    index: int,
    visit: HabitatVisitPicture,
    findings: HabitatPatientFindings,
) -> np.ndarray:
    """Return a slice with the habitats in colour, and lesion without an answer in white."""
    mixed = _BEHIND * picture.astype(np.float64)
    labels = view.plane(visit.labels.values, index)
    lesion = view.plane(visit.lesion.values, index)
    mixed[lesion & (labels == 0)] = _NO_ANSWER
    for place in range(len(findings.model.names)):
        here = labels == place + 1
        tint = 255 * np.array(to_rgb(habitat_colour(place)))
        mixed[here] = (1 - _TINT) * mixed[here] + _TINT * tint
    return mixed.astype(np.uint8)


def _mapped(
    picture: np.ndarray, view: AxialView, index: int, item: ParameterMap, scale: Scale
) -> np.ndarray:
    """Return a slice of a map; where it has no answer, the image."""
    plane = view.plane(item.values, index)
    known = np.isfinite(plane)
    level = np.clip((plane - scale.low) / (scale.high - scale.low), 0, 1)
    mixed = (picture * _FAINT).astype(np.uint8)
    mixed[known] = matplotlib.colormaps[scale.colours](level[known], bytes=True)[:, :3]
    return mixed


def _bar(axes: Axes, layout: _Layout, top: float, scale: Scale, key: str) -> None:
    """Draw the colour bar of a row behind its last panel."""
    left, height = layout.right + 10, 0.84 * layout.height
    start = top + 0.08 * layout.height
    steps = matplotlib.colormaps[scale.colours](np.linspace(1, 0, 256), bytes=True)[:, None, :3]
    axes.imshow(
        steps, aspect="auto", interpolation="none", extent=(left, left + 10, start + height, start)
    )
    places = np.linspace(scale.low, scale.high, 5 if scale.high - scale.low < 3 else 4)
    step = drawn_value(float(places[1] - places[0]), key)
    for value in places:
        y = start + height * (scale.high - value) / (scale.high - scale.low)
        axes.plot([left + 10, left + 13], [y, y], color=INK, lw=0.6)
        words = tick(round(drawn_value(float(value), key), 6), round(step, 6))
        axes.text(left + 15, y, words, fontsize=7.5, va="center", ha="left")
    axes.text(left + 54, start + height / 2, drawn_unit(key), fontsize=8, rotation=90,
              va="center", ha="center")  # fmt: skip


def _seen(visit: HabitatVisitPicture) -> np.ndarray:
    return np.asarray(visit.background, np.float64)


def _seen_voxels(visit: HabitatVisitPicture) -> Mask:
    """Return the voxels that set the grey levels of a visit: those that are not air."""
    values = _seen(visit)
    known = np.isfinite(values)
    level = 0.1 * float(np.percentile(values[known], 99)) if known.any() else 0.0
    return Mask(values=known & (np.nan_to_num(values) > level), grid=visit.lesion.grid, name="head")


def _head(findings: HabitatPatientFindings) -> Mask:
    if findings.head is not None and findings.head.count:
        return findings.head
    return _seen_voxels(findings.visits[0])


def _window(lesions: Mask) -> Mask:
    """Return a box around the lesion of all visits, with a margin, near to square in plane."""
    grid: Grid = lesions.grid
    hit = np.argwhere(lesions.values)
    if not len(hit):
        return Mask(values=np.ones(grid.shape, bool), grid=grid, name="window")
    sizes = np.array(grid.voxel_sizes_mm)
    low, high = hit.min(axis=0) * sizes, (hit.max(axis=0) + 1) * sizes
    through = int(np.argmax(np.abs(grid.affine[2, :3]) / sizes))
    plane = [axis for axis in range(3) if axis != through]
    reach = float(max((high - low)[plane])) / 2 + _MARGIN_MM
    middle = (low + high) / 2
    box = []
    for axis in range(3):
        start = middle[axis] - reach if axis in plane else 0.0
        stop = middle[axis] + reach if axis in plane else grid.shape[axis] * sizes[axis]
        box.append(
            slice(
                max(int(start / sizes[axis]), 0),
                min(int(np.ceil(stop / sizes[axis])), grid.shape[axis]),
            )
        )
    values = np.zeros(grid.shape, bool)
    values[tuple(box)] = True
    return Mask(values=values, grid=grid, name="window")


def habitat_legend(findings: HabitatPatientFindings) -> list[tuple[str, str, str]]:
    """Return colour, name and the model's centre of every habitat."""
    centres = centres_of(findings.model)
    rows = []
    for place, name in enumerate(findings.model.names):
        told = ", ".join(
            f"{symbol(key)} {number(drawn_value(float(value), key), 2)}"
            for key, value in zip(findings.model.features, centres[place], strict=True)
        )
        rows.append((habitat_colour(place), habitat_name(name), told))
    return rows

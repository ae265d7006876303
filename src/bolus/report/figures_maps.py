"""Maps, masks and the artery on the patient's own images; one row of slices a picture."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb

from bolus.core import ArterialInput, LabelMap
from bolus.report.exam import Exam
from bolus.report.figures import INK, Picture, house_style
from bolus.report.figures_slices import (
    SLICES,
    Panel,
    finish,
    grey_slice,
    panels_of,
    slice_words,
)
from bolus.report.findings import DscFindings
from bolus.report.slices import AxialView
from bolus.report.wording import number, significant, symbol, symbol_with_unit, tick, unit_text

LABEL_COLOURS = ("#ff5c5c", "#ffd24a", "#5cc8ff", "#c792ff", "#7dffa1", "#ffa8e0", "#ff9a3c",
                 "#9fb4c7")  # fmt: skip
BRAIN_COLOUR, REFERENCE_COLOUR, WHITE_MATTER_COLOUR = "#56b4e9", "#26c99a", "#ffe14a"
ARTERY_COLOUR = "#ff4d4d"
_NO_ANSWER = 128
"""Grey level of brain voxels without an answer: no colour scale here has a neutral grey."""
_DIM = 0.35
"""What is outside the brain stays visible, but steps back behind the map."""
_BEHIND = 0.6
"""Brain without colour steps back less, yet no grey is as bright as the ends of the colours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Colours and range of a quantity, the same in every report."""

    colours: str
    low: float
    high: float
    chosen: bool = False
    """Whether the range was chosen for this exam."""


SCALES = {
    "ncbv": Scale(colours="inferno", low=0, high=6),
    "cbv": Scale(colours="inferno", low=0, high=12),
    "srcbv": Scale(colours="inferno", low=0, high=6),
    "cbf": Scale(colours="inferno", low=0, high=120),
    "ncbf": Scale(colours="inferno", low=0, high=6),
    "mtt": Scale(colours="viridis", low=0, high=12),
    "tmax": Scale(colours="viridis", low=0, high=10),
    "delay": Scale(colours="viridis", low=-2, high=8),
    "psr": Scale(colours="viridis", low=0, high=150),
    "k1": Scale(colours="inferno", low=0, high=4),
    "ktrans": Scale(colours="inferno", low=0, high=0.2),
    "ve": Scale(colours="viridis", low=0, high=60),
    "vp": Scale(colours="inferno", low=0, high=10),
    "kep": Scale(colours="viridis", low=0, high=2),
    "fp": Scale(colours="inferno", low=0, high=120),
    "ps": Scale(colours="inferno", low=0, high=20),
    "t10": Scale(colours="viridis", low=0, high=3),
    "r2": Scale(colours="viridis", low=0, high=1),
}
_STEPS = (1, 2, 5)
_LEAST_LEAKAGE = 1e-4
"""Range of K2 [1/s] below which there is only rounding to show."""
_EXCEEDED = 0.1
"""Share of the brain beyond a fixed range that calls for another one."""


def view_of(findings: Exam) -> AxialView:
    """Return the slices of this report: through the tumour, or through the brain."""
    return AxialView.of(findings.brain, findings.tumour_mask, slices=SLICES)


def scale_of(findings: Exam, key: str, *, shown: np.ndarray | None = None) -> Scale:
    """Return the fixed scale of a quantity, or a round range where there is none or it is too low.

    A fixed range that more than a tenth of the brain exceeds would show one colour only: then,
    and for leakage and times, the range is chosen for the exam, and the page says so. With `shown`
    (x, y, z), only its voxels count.
    """
    item = findings.maps[key]
    known = findings.brain.values & np.isfinite(item.values)
    values = item.values[known if shown is None else known & shown]
    fixed = SCALES.get(key)
    if fixed and not (values.size and np.mean(values > fixed.high) > _EXCEEDED):
        return fixed
    if not values.size:
        return Scale(colours="viridis", low=0, high=1)
    if key == "k2":
        tumour = findings.tumour_mask
        inside = item.inside(tumour) if tumour else values[:0]
        reach = [
            float(np.percentile(np.abs(v), p)) for v, p in ((values, 99), (inside, 98)) if v.size
        ]
        limit = _round_up(max(*reach, _LEAST_LEAKAGE))
        return Scale(colours="berlin", low=-limit, high=limit, chosen=True)
    low, high = (float(v) for v in np.percentile(values, [2, 98]))
    low = fixed.low if fixed else low
    step = _round_up(max(high - low, 0.01 * abs(high), 1e-6) / 6)
    floor = float(np.floor(low / step + 1e-9) * step)
    ceiling = float(np.ceil(high / step - 1e-9) * step)
    return Scale(
        colours=fixed.colours if fixed else "viridis",
        low=floor,
        high=max(ceiling, floor + step),
        chosen=True,
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** np.floor(np.log10(max(value, 1e-12)))
    return float(power * next(s for s in (*_STEPS, 10) if s * power >= value * (1 - 1e-9)))


def map_row(
    findings: Exam, view: AxialView, key: str, *, shown: np.ndarray | None = None
) -> Picture:
    """Draw one map, in the same slices and scale as all others; grey voxels have no answer.

    With `shown` (x, y, z), voxels outside of it are the baseline image instead.
    """
    scale = scale_of(findings, key, shown=shown)
    return painted_row(
        findings, view, findings.maps[key].values, scale, label=symbol_with_unit(key),
        alt=_map_words(findings, view, key, scale), keys=(key,), shown=shown,
    )  # fmt: skip


def painted_row(
    findings: Exam,
    view: AxialView,
    values: np.ndarray,
    scale: Scale,
    *,
    label: str,
    alt: str,
    keys: tuple[str, ...],
    shown: np.ndarray | None = None,
) -> Picture:
    """Draw numbers (x, y, z) of the brain in colours, with a bar named `label`."""
    inside = findings.brain.values & np.isfinite(values)
    seen = values[inside if shown is None else inside & shown]
    over = bool(seen.size and seen.max() > scale.high)
    under = bool(seen.size and seen.min() < scale.low)
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            panel.show(_coloured(findings, view, index, values, scale, shown))
            tumour_outline(panel, findings, view, index)
        _bar(panels[-1], scale, label, beyond=(under, over))
        return finish(figure, alt=alt, keys=keys)


def anatomy_row(findings: Exam, view: AxialView) -> Picture:
    """Draw the baseline image with the tumour's parts."""
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            panel.show(grey_slice(findings.anatomy, findings.brain, view, index))
            if findings.tumour is not None:
                _parts(panel, findings.tumour, view, index)
        parts = "" if findings.tumour_mask is None else " with the outlines of the tumour's parts"
        words = f"Baseline image{parts}: {slice_words(view)}."
        return finish(figure, alt=words, keys=("signal",))


def mask_row(findings: DscFindings, view: AxialView) -> Picture:
    """Draw the regions that the numbers rest on: brain, white matter, leakage reference."""
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            picture = grey_slice(findings.anatomy, findings.brain, view, index)
            for mask, colour, strength in (
                (findings.leakage_reference, REFERENCE_COLOUR, 0.35),
                (findings.white_matter, WHITE_MATTER_COLOUR, 0.8),
            ):
                picture = _tinted(picture, view.plane(mask.values, index), colour, strength)
            panel.show(picture)
            panel.outline(view.plane(findings.brain.values, index), BRAIN_COLOUR, 1.1)
            tumour_outline(panel, findings, view, index)
        words = (
            "Regions used, on the baseline image: brain outline, white-matter reference, leakage "
            f"reference and tumour outline; {slice_words(view)}."
        )
        return finish(figure, alt=words, keys=("signal",))


def artery_places(
    findings: Exam, view: AxialView, artery: ArterialInput | None = None
) -> Picture | None:
    """Draw where the artery's voxels lie; None for an artery that was given as a curve."""
    voxels = (findings.aif if artery is None else artery).voxels
    if not len(voxels):
        return None
    places = view.places(voxels)
    found, counts = np.unique(places[:, 2], return_counts=True)
    chosen = tuple(sorted(int(k) for k in found[np.argsort(-counts, kind="stable")][:3]))
    there = view.with_slices(chosen, findings.signal.grid)
    with house_style():
        figure, panels = panels_of(there, width=188, bar=0)
        for panel, index in zip(panels, there.slices, strict=True):
            panel.show(grey_slice(findings.anatomy, findings.brain, there, index))
            here = places[places[:, 2] == index]
            columns, rows = there.extent
            x, y = panel.centres((rows, columns))
            panel.axes.scatter(
                x[here[:, 0].clip(0, columns - 1)], y[here[:, 1].clip(0, rows - 1)],
                s=22, c=ARTERY_COLOUR, edgecolors="white", linewidths=0.7,
            )  # fmt: skip
        shown = int(np.isin(places[:, 2], chosen).sum())
        words = (
            f"Places of {shown} of {len(places)} voxels of the arterial input on the baseline "
            f"image: {slice_words(there)}."
        )
        return finish(figure, alt=words, keys=("signal",))


def part_colours(findings: Exam) -> list[tuple[str, str, str]]:
    """Return colour, name and volume of the tumour's parts, as drawn on the anatomy."""
    if findings.tumour is None:
        return []
    volume_ml = findings.tumour.grid.voxel_volume_ml
    rows = []
    for place, label in enumerate(sorted(findings.tumour.names)):
        count = int(np.count_nonzero(findings.tumour.values == label))
        colour = LABEL_COLOURS[place % len(LABEL_COLOURS)]
        if count:
            rows.append(
                (colour, findings.tumour.names[label], f"{number(count * volume_ml, 1)} mL")
            )
    return rows


def mask_colours(findings: DscFindings) -> list[tuple[str, str, str]]:
    """Return colour, name and volume of the regions that the numbers rest on."""
    rows = (
        (BRAIN_COLOUR, "brain (outline)", findings.brain),
        (WHITE_MATTER_COLOUR, "white-matter reference", findings.white_matter),
        (REFERENCE_COLOUR, "leakage reference", findings.leakage_reference),
    )
    return [(colour, name, f"{number(mask.volume_ml, 1)} mL") for colour, name, mask in rows]


def _coloured(
    findings: Exam,
    view: AxialView,
    index: int,
    values: np.ndarray,
    scale: Scale,
    shown: np.ndarray | None,
) -> np.ndarray:
    """Return one slice of a map as RGB bytes: dim anatomy around the brain, grey for no answer."""
    plain = grey_slice(findings.anatomy, findings.brain, view, index)
    picture = (plain * _DIM).astype(np.uint8)
    inside = view.plane(findings.brain.values, index)
    plane = view.plane(values, index)
    known = inside & np.isfinite(plane)
    level = np.clip((plane - scale.low) / (scale.high - scale.low), 0, 1)
    picture[inside] = _NO_ANSWER
    if shown is not None:
        known &= view.plane(shown, index)
        picture[inside] = (plain[inside] * _BEHIND).astype(np.uint8)
    picture[known] = matplotlib.colormaps[scale.colours](level[known], bytes=True)[:, :3]
    return picture


def tumour_outline(panel: Panel, findings: Exam, view: AxialView, index: int) -> None:
    """Draw the border of the whole tumour on one slice, legible on dark and on bright."""
    tumour = findings.tumour_mask
    if tumour is not None:
        plane = view.plane(tumour.values, index)
        panel.outline(plane, "black", 2.2)
        panel.outline(plane, "white", 1.0)


def _parts(panel: Panel, tumour: LabelMap, view: AxialView, index: int) -> None:
    for place, label in enumerate(sorted(tumour.names)):
        colour = LABEL_COLOURS[place % len(LABEL_COLOURS)]
        panel.outline(view.plane(tumour.values == label, index), colour, 1.2)


def _tinted(picture: np.ndarray, plane: np.ndarray, colour: str, strength: float) -> np.ndarray:
    """Return the picture with a colour laid over some of its voxels."""
    tint = 255 * np.array(to_rgb(colour))
    mixed = picture.astype(np.float64)
    mixed[plane] = (1 - strength) * mixed[plane] + strength * tint
    return mixed.astype(np.uint8)


def _bar(panel: Panel, scale: Scale, label: str, *, beyond: tuple[bool, bool]) -> None:
    """Draw the colour bar beside the last panel; its ends say so where values lie beyond them."""
    axes, left, width = panel.axes, panel.left + panel.width + 10, 11
    top, height = panel.top + 0.05 * panel.height, 0.9 * panel.height
    steps = matplotlib.colormaps[scale.colours](np.linspace(1, 0, 256), bytes=True)[:, None, :3]
    extent = (left, left + width, top + height, top)
    axes.imshow(steps, aspect="auto", interpolation="none", extent=extent)
    ticks = _ticks(scale)
    for place, value in enumerate(ticks):
        y = top + height * (scale.high - value) / (scale.high - scale.low)
        sign = {0: "≤" if beyond[0] else "", len(ticks) - 1: "≥" if beyond[1] else ""}
        words = sign.get(place, "") + tick(value, ticks[1] - ticks[0])
        axes.plot([left + width, left + width + 3], [y, y], color=INK, lw=0.6)
        axes.text(left + width + 5, y, words, fontsize=7.5, va="center", ha="left")
    axes.text(left + 60, top + height / 2, label, fontsize=8, rotation=90, va="center", ha="center")


def _ticks(scale: Scale) -> list[float]:
    """Part a range into round steps that end at its ends; a range about zero in four."""
    reach = scale.high - scale.low
    for parts in (4,) if scale.low == -scale.high else (6, 5, 4, 8, 7, 3):
        first = reach / parts / 10 ** np.floor(np.log10(reach / parts))
        if np.isclose([1.0, 2.0, 2.5, 5.0, 10.0], first).any():
            return [float(v) for v in np.linspace(scale.low, scale.high, parts + 1)]
    return [scale.low, (scale.low + scale.high) / 2, scale.high]


def _map_words(findings: Exam, view: AxialView, key: str, scale: Scale) -> str:
    item = findings.maps[key]
    values = item.values[findings.brain.values & np.isfinite(item.values)]
    unit = unit_text(item.quantity.unit)
    middle = significant(float(np.median(values))) if values.size else "no answer"
    return (
        f"{symbol(key)} map, {slice_words(view)}; colours from {significant(scale.low)} to "
        f"{significant(scale.high)} {unit}; median over the brain {middle} {unit}.".replace(
            " .", "."
        )
    )

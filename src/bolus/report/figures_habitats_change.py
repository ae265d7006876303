"""Habitats through time as charts: volumes with their noise, what became of what, the model."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from bolus.habitats import ANCHORS, HabitatModel, Transition, centres_of
from bolus.habitats.scaling import unscaled
from bolus.report.figures import FAINT, INK, Picture, as_picture, blank, house_style
from bolus.report.figures_habitats import (
    OUTSIDE_COLOUR,
    drawn_unit,
    drawn_value,
    habitat_colour,
    habitat_name,
    visit_words,
)
from bolus.report.habitats_findings import HabitatPatientFindings
from bolus.report.wording import number

_WIDE, _HALF = 1160, 560
_NOISE = "#d9dee4"
_CHI_95 = 2.4477
"""Root of the 95 % quantile of chi-squared with 2 degrees of freedom: the ellipse of 95 %."""
_BAR = 0.064
"""Width of a bar of the transition diagram, in widths of the diagram."""
_LEAST_FLOW = 0.004
"""Flows below this share of the tallest bar are not drawn."""


def volume_chart(findings: HabitatPatientFindings) -> Picture:
    """Draw the volume of every habitat against the day, with 95 % intervals.

    The grey wedge from a visit to the next holds what noise alone does in 95 % of repeats.
    """
    track = findings.track
    days = np.array([visit.day for visit in track.visits], float)
    noise = {(c.before, c.after, c.habitat): c.noise_ml for c in track.changes}
    count = len(track.names)
    with house_style():
        figure = blank(_WIDE, 270)
        left, gap = 0.05, 0.035
        width = (0.99 - left - gap * (count - 1)) / count
        for place, name in enumerate(track.names):
            axis = figure.add_axes((left + place * (width + gap), 0.17, width, 0.70))
            values = [visit.volumes_ml[name] for visit in track.visits]
            for n, (before, after) in enumerate(zip(track.visits, track.visits[1:], strict=False)):
                limit = noise.get((before.key, after.key, name))
                if limit is not None:
                    start = values[n].value
                    axis.fill_between(
                        days[n : n + 2], [start, start - limit], [start, start + limit],
                        color=_NOISE, lw=0,
                    )  # fmt: skip
            middle = np.array([v.value for v in values])
            reach = np.abs([[v.value - v.lower, v.upper - v.value] for v in values]).T
            axis.errorbar(
                days, middle, yerr=reach, color=habitat_colour(place), ecolor=INK, elinewidth=1.0,
                capsize=3, lw=2.0, marker="o", ms=5, mec=INK, mew=0.7,
            )  # fmt: skip
            axis.set_title(habitat_name(name), fontweight="bold")
            axis.set_xlabel("days since the first visit", labelpad=2)
            axis.set_xticks(days)
            top = max(axis.get_ylim()[1], 1.0)
            axis.set_ylim(min(0.0, -0.02 * top), 1.02 * top)
            axis.margins(x=0.06)
            axis.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
            axis.set_axisbelow(True)
            if place == 0:
                axis.set_ylabel("volume [mL]")
        words = "; ".join(
            f"{name}: "
            + ", ".join(
                f"day {v.day} {number(v.volumes_ml[name].value, 1)} mL" for v in track.visits
            )
            for name in track.names
        )
        return as_picture(figure, alt=f"Volumes of habitats through time. {words}.", keys=())


def chain(findings: HabitatPatientFindings) -> tuple[Transition, ...]:
    """Return the transitions from each visit to the next, as far as they are known in a row."""
    track = findings.track
    known = {(t.before, t.after): t for t in track.transitions}
    steps = []
    for before, after in zip(track.visits, track.visits[1:], strict=False):
        if (step := known.get((before.key, after.key))) is None:
            break
        steps.append(step)
    return tuple(steps)


def transition_diagram(findings: HabitatPatientFindings) -> Picture | None:
    """Draw what became of every habitat from visit to visit, as bands as broad as their volume."""
    steps = chain(findings)
    if not steps:
        return None
    names = steps[0].names
    heights = _heights(steps)
    gap, bar = 0.03 * float(heights.sum(axis=1).max() or 1.0), _BAR * len(steps)
    tops = _tops(heights, gap)
    with house_style():
        figure = blank(_WIDE, 340)
        axis = figure.add_axes((0.12, 0.02, 0.76, 0.90))
        axis.set_axis_off()
        for place, step in enumerate(steps):
            _flows(axis, place, step.volumes_ml, tops, heights, bar)
        for place in range(len(heights)):
            _bars(axis, place, heights[place], tops[place], gap, bar)
        for edge, side in ((0, -1), (len(heights) - 1, 1)):
            for n, name in enumerate(names):
                if heights[edge, n] > 0:
                    axis.text(
                        edge + side * 0.65 * bar, tops[edge, n] + heights[edge, n] / 2,
                        habitat_name(name), ha="right" if side < 0 else "left", va="center",
                        fontsize=9,
                    )  # fmt: skip
        for place, visit in enumerate(findings.track.visits[: len(heights)]):
            axis.text(place, -1.2 * gap, visit_words(visit.key, visit.day), ha="center",
                      va="bottom", fontsize=9, fontweight="bold")  # fmt: skip
        axis.set_xlim(-bar / 2, len(heights) - 1 + bar / 2)
        axis.set_ylim(float((tops + heights).max()) + gap / 2, -1.5 * gap)
        words = f"Transition diagram over {len(heights)} visits of {', '.join(names)}."
        return as_picture(figure, alt=words, keys=())


def _heights(steps: Sequence[Transition]) -> np.ndarray:
    """Return how tall every bar is (visits, names): the larger of what comes and what goes."""
    coming = [np.zeros(len(steps[0].names)), *(step.volumes_ml.sum(axis=0) for step in steps)]
    going = [*(step.volumes_ml.sum(axis=1) for step in steps), np.zeros(len(steps[0].names))]
    return np.asarray(np.maximum(coming, going))


def _tops(heights: np.ndarray, gap: float) -> np.ndarray:
    """Return where every bar begins; "outside" begins at the same place at all visits."""
    tops = np.zeros_like(heights)
    tops[:, 1:] = np.cumsum(heights[:, :-1] + gap, axis=1)
    tops[:, -1] = tops[:, -1].max() + gap
    return tops


def _flows(
    axis: Axes,
    place: int,
    volumes: np.ndarray,
    tops: np.ndarray,
    heights: np.ndarray,
    bar: float,
) -> None:
    """Draw the bands between two visits, in the colour of where they come from."""
    count = len(volumes)
    leave, arrive = tops[place].copy(), tops[place + 1].copy()
    least = _LEAST_FLOW * float(heights.sum(axis=1).max() or 1.0)
    for source in range(count):
        for target in range(count):
            volume = float(volumes[source, target])
            if volume > least:
                known = source < count - 1
                colour = habitat_colour(source) if known else OUTSIDE_COLOUR
                band = _band(place, (leave[source], arrive[target]), volume, bar)
                axis.add_patch(PathPatch(band, fc=colour, ec="none", alpha=0.5 if known else 0.7))
            leave[source] += volume
            arrive[target] += volume


def _band(place: int, tops: tuple[float, float], volume: float, bar: float) -> Path:
    start, end = place + bar / 2, place + 1 - bar / 2
    half = (start + end) / 2
    (a, b), (c, d) = tops, (tops[0] + volume, tops[1] + volume)
    points = [(start, a), (half, a), (half, b), (end, b), (end, d), (half, d), (half, c),
              (start, c), (start, a)]  # fmt: skip
    curve = Path.CURVE4
    return Path(
        points,
        [Path.MOVETO, curve, curve, curve, Path.LINETO, curve, curve, curve, Path.CLOSEPOLY],
    )


def _bars(
    axis: Axes, place: int, heights: np.ndarray, tops: np.ndarray, gap: float, bar: float
) -> None:
    for n, (height, top) in enumerate(zip(heights, tops, strict=True)):
        if height <= 0:
            continue
        colour = habitat_colour(n) if n < len(heights) - 1 else OUTSIDE_COLOUR
        axis.add_patch(Rectangle((place - bar / 2, top), bar, height, fc=colour, ec=INK, lw=0.6))
        if height > 1.4 * gap:
            axis.text(place, top + height / 2, f"{number(float(height), 1)} mL", ha="center",
                      va="center", fontsize=7.5)  # fmt: skip


def model_plane(model: HabitatModel) -> Picture | None:
    """Draw what each habitat is like: centre, the ellipse of 95 % of its voxels, its anchor."""
    if not {"ncbv", "adc"} <= set(model.features):
        return None
    pair = [model.features.index("ncbv"), model.features.index("adc")]
    centres = centres_of(model)
    with house_style():
        figure = blank(_HALF, 330)
        axis = figure.add_axes((0.10, 0.14, 0.87, 0.83))
        for place, name in enumerate(model.names):
            colour = habitat_colour(place)
            x, y = _ellipse(model, place, pair)
            axis.fill(x, y, color=colour, alpha=0.18, lw=0)
            axis.plot(x, y, color=colour, lw=1.2)
            axis.plot(
                centres[place, pair[0]], drawn_value(float(centres[place, pair[1]]), "adc"), "o",
                color=colour, mec=INK, ms=8, label=habitat_name(name),
            )  # fmt: skip
            if name in ANCHORS:
                anchor = ANCHORS[name]
                axis.plot(
                    anchor.ncbv, drawn_value(anchor.adc_mm2_per_s, "adc"), "+", color=INK, ms=10,
                    mew=1.6, label="anchor" if place == len(model.names) - 1 else None,
                )  # fmt: skip
        axis.set_xscale("log")
        axis.set_xlim(0.15, 30)
        ticks = [0.2, 0.5, 1, 2, 5, 10, 20]
        axis.set_xticks(ticks, [f"{value:g}" for value in ticks])
        axis.minorticks_off()
        axis.set_xlabel(drawn_unit("ncbv"), labelpad=2)
        axis.set_ylabel(drawn_unit("adc"))
        axis.grid(color=FAINT, alpha=0.25, lw=0.6)
        axis.legend(loc="upper right")
        words = "Centres of the habitats in nCBV and ADC, with 95 % ellipses and anchors."
        return as_picture(figure, alt=words, keys=("ncbv", "adc"))


def _ellipse(model: HabitatModel, place: int, pair: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the 95 % contour of a habitat's Gaussian in drawn units."""
    covariance = model.covariances[place][np.ix_(pair, pair)]
    values, vectors = np.linalg.eigh(covariance)
    angle = np.linspace(0, 2 * np.pi, 121)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    spread = vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)
    scaled = model.centres[place][list(pair)][:, None] + _CHI_95 * spread
    scales = tuple(model.scales[which] for which in pair)
    drawn = unscaled(scaled.T, scales).T
    return drawn[0], np.asarray(drawn_value(1.0, "adc") * drawn[1])

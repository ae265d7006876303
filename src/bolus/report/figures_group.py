"""Small multiples of a cohort: every session as one point, quantity by quantity."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from bolus.report.figures import (
    BLUE,
    FAINT,
    INK,
    RED,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.group_findings import GroupRegion
from bolus.report.wording import symbol_with_unit

WIDTH = 570
"""Two beside each other on the page."""
_ROW = 30
"""Height of one region [px]."""
_LEFT, _TOP, _BOTTOM = 158, 8, 44
_SPREAD = 0.30
"""Half of the height that points of one region are spread over, in rows."""


def draw_distribution(key: str, step: str, rows: Sequence[GroupRegion], *, far: float) -> Picture:
    """Draw one quantity: a row a region, a point a session, quartiles behind, outliers named.

    Args:
        key: registry key of the quantity.
        step: "dsc" or "dce".
        rows: of this quantity and step.
        far: the |z| from which a point is named.
    """
    regions = _regions(rows)
    height = _TOP + _BOTTOM + _ROW * len(regions)
    with house_style():
        figure = blank(WIDTH, height)
        box = (_LEFT / WIDTH, _BOTTOM / height, 1 - (_LEFT + 14) / WIDTH,
               1 - (_TOP + _BOTTOM) / height)  # fmt: skip
        axis = figure.add_axes(box)
        there = [row.mean for row in rows if np.isfinite(row.mean)]
        half = (min(there) + max(there)) / 2 if there else 0.0
        for place, region in enumerate(regions):
            own = [r for r in rows if r.region == region and np.isfinite(r.mean)]
            _draw(axis, place, sorted(own, key=lambda r: (r.mean, r.session)), far, half)
        axis.use_sticky_edges = False
        axis.margins(x=0.04)
        axis.set_ylim(len(regions) - 0.5, -0.5)
        axis.set_yticks(range(len(regions)), [_short(region) for region in regions])
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
        axis.set_xlabel(f"{symbol_with_unit(key)}, mean of the region")
        return as_picture(
            figure,
            alt=f"{symbol_with_unit(key)} of every session by region ({step.upper()})",
            keys=(key,),
        )


def _regions(rows: Sequence[GroupRegion]) -> list[str]:
    """Return the regions, those that most sessions have first."""
    names = list(dict.fromkeys(row.region for row in rows))
    counts = {name: sum(row.region == name for row in rows) for name in names}
    return sorted(names, key=lambda name: (-counts[name], names.index(name)))


def _draw(axis: Axes, place: int, rows: Sequence[GroupRegion], far: float, half: float) -> None:
    if not rows:
        return
    values = np.array([row.mean for row in rows])
    low, middle, high = np.percentile(values, (25, 50, 75))
    axis.barh(place, high - low, left=low, height=0.72, color=BLUE, alpha=0.14, linewidth=0)
    axis.plot([middle, middle], [place - 0.36, place + 0.36], color=BLUE, linewidth=1.6)
    # neighbours in value take turns above and below the line, so that points do not cover others
    turns = np.array([0.0, 1.0, -1.0, 0.5, -0.5])
    heights = place + _SPREAD * turns[np.arange(len(rows)) % len(turns)]
    out = np.array([row.is_outlier(far) for row in rows])
    axis.plot(values[~out], heights[~out], "o", color=INK, alpha=0.65, markersize=3.0,
              markeredgewidth=0)  # fmt: skip
    named = [row for row in rows if row.is_outlier(far)]
    for row, height in zip(named, _levels(place, len(named)), strict=True):
        axis.plot([row.mean], [height], "D", color=RED, markersize=3.6, markeredgewidth=0)
        beyond = row.mean > half
        axis.annotate(
            row.session, (row.mean, height), xytext=(-5 if beyond else 5, 0),
            textcoords="offset points", ha="right" if beyond else "left", va="center",
            fontsize=6, color=RED,
        )  # fmt: skip


def _levels(place: int, count: int) -> list[float]:
    """Return heights within a row at which so many names do not cover each other."""
    if count < 2:
        return [float(place)] * count
    return [float(h) for h in np.linspace(place - 0.38, place + 0.38, count)]


def _short(name: str) -> str:
    return name if len(name) <= 22 else f"{name[:21]}…"

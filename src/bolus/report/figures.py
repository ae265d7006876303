"""One look for every figure, and pictures as text that a page can carry inside itself."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1d2733"
FAINT = "#8a96a3"
RED = "#b3261e"
BLUE = "#1f5fa8"
GREEN = "#1b7f5c"
AMBER = "#a15c00"
WINDOW = "#f3d9a4"
"""Shading of the first pass: the same in every time plot."""

PIXELS_PER_INCH = 100
"""One inch of a figure is 100 pixels of the page."""

_SAFE = " /:;,=+()@!*$'?-_.~"
"""What may stand unescaped in a data URI inside a double-quoted attribute; images stay compact."""

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "bolus",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": INK,
    "path.simplify": True,
    "image.composite_image": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure as a data URI with its size on the page [px], its words, and what it shows.

    `keys` are the registry keys of the quantities drawn.
    """

    uri: str
    width: int
    height: int
    alt: str
    keys: tuple[str, ...]


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the look of the report; the caller's settings come back afterwards."""
    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def blank(width: int, height: int) -> Figure:
    """Return an empty figure of so many page pixels, outside of any global state."""
    figure = Figure(figsize=(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH))
    FigureCanvasAgg(figure)
    return figure


def as_picture(figure: Figure, *, alt: str, keys: tuple[str, ...]) -> Picture:
    """Return the figure as SVG: sharp at any size and on paper, the same bytes every time.

    Voxels are held once each, at the resolution they were measured in.
    """
    target = io.StringIO()
    # 72 dots per inch make one point one SVG unit; the figure's size sets its shape on the page.
    figure.savefig(
        target, format="svg", metadata={"Date": None, "Creator": None, "Format": None}, dpi=72
    )
    inches = figure.get_size_inches()
    text = target.getvalue()
    return Picture(
        uri="data:image/svg+xml," + quote(text[text.index("<svg") :], safe=_SAFE),
        width=round(inches[0] * PIXELS_PER_INCH),
        height=round(inches[1] * PIXELS_PER_INCH),
        alt=alt,
        keys=keys,
    )

"""One row of slices: where its panels lie, how an image and its outlines are drawn in them."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from bolus.core import Mask
from bolus.report.figures import PIXELS_PER_INCH, Picture, as_picture, blank
from bolus.report.slices import AxialView

SLICES = 6
_WIDTH = 1160
_BAR = 84
"""Page pixels kept for the colour bar, on every row, so that all rows align."""
_GAP = 4
_LARGEST_PANEL = 300
_HEAD = 17
_WINDOW = (1.0, 99.5)
"""Percentiles of the brain that the anatomy's grey levels span."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One slice's place in a row, in pixels of the page from the upper left."""

    axes: Axes
    left: float
    top: float
    width: float
    height: float

    def show(self, picture: np.ndarray) -> None:
        """Draw RGB bytes, one square of colour a voxel, and the two sides of the patient."""
        extent = (self.left, self.left + self.width, self.top + self.height, self.top)
        self.axes.imshow(picture, aspect="auto", interpolation="none", extent=extent)
        edge = [withStroke(linewidth=1.6, foreground="black")]
        for text, place, align in (("R", 4.0, "left"), ("L", self.width - 4.0, "right")):
            self.axes.text(
                self.left + place, self.top + 4, text, color="white", fontsize=8,
                fontweight="bold", ha=align, va="top", path_effects=edge,
            )  # fmt: skip

    def outline(
        self, plane: np.ndarray, colour: str, width: float, *, style: str = "solid"
    ) -> None:
        """Draw the border of a region, if it has one here."""
        if plane.any() and not plane.all() and min(plane.shape) > 1:
            x, y = self.centres(plane.shape)
            self.axes.contour(
                x, y, plane, levels=[0.5], colors=[colour], linewidths=width, linestyles=style
            )

    def centres(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return where the middles of columns and rows lie."""
        return (
            self.left + (np.arange(shape[1]) + 0.5) * self.width / shape[1],
            self.top + (np.arange(shape[0]) + 0.5) * self.height / shape[0],
        )


def panels_of(view: AxialView, *, width: int = 0, bar: int = _BAR) -> tuple[Figure, list[Panel]]:
    """Lay out one row: as many panels as slices, all of one size, with room for a colour bar."""
    count = len(view.slices)
    room = (_WIDTH - _BAR) // (SLICES if count > 3 else count) - _GAP
    columns, rows = view.extent
    width = width or min(room, _LARGEST_PANEL)
    height = round(width * rows * view.aspect / columns)
    if height > 1.6 * width:  # a coronal or sagittal acquisition: keep the row readable
        width, height = round(1.6 * width * width / height), round(1.6 * width)
    total = (width + _GAP) * count + bar, height + _HEAD
    figure = blank(*total)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    panels = []
    for place, (index, level) in enumerate(zip(view.slices, view.heights_mm, strict=True)):
        left = place * (width + _GAP)
        side = "S" if level >= 0 else "I"
        words = f"slice {index + 1}   {side} {abs(level):.0f} mm"
        axes.text(left + width / 2, _HEAD - 5, words, ha="center", va="baseline", fontsize=7.5)
        panels.append(Panel(axes=axes, left=left, top=_HEAD, width=width, height=height))
    return figure, panels


def finish(figure: Figure, *, alt: str, keys: tuple[str, ...]) -> Picture:
    """Fit the axes to the page pixels of the row, whatever was drawn, and return the picture."""
    width, height = figure.get_size_inches() * PIXELS_PER_INCH
    figure.axes[0].set_xlim(0, width)
    figure.axes[0].set_ylim(height, 0)
    return as_picture(figure, alt=alt, keys=keys)


def grey_slice(anatomy: np.ndarray, brain: Mask, view: AxialView, index: int) -> np.ndarray:
    """Return one slice of the anatomy as RGB bytes, windowed on the brain."""
    inside = brain.values if brain.count else np.ones_like(brain.values)
    values = anatomy[inside & np.isfinite(anatomy)]
    low, high = (
        (0.0, 1.0) if not values.size else (float(v) for v in np.percentile(values, _WINDOW))
    )
    low = min(low, 0.0)
    plane = np.nan_to_num(view.plane(anatomy, index).astype(np.float64), nan=low)
    level = np.clip((plane - low) / max(high - low, 1e-12), 0, 1)
    return np.repeat((255 * level).astype(np.uint8)[..., None], 3, axis=2)


def slice_words(view: AxialView) -> str:
    """Say which slices a picture shows."""
    first, last = view.slices[0] + 1, view.slices[-1] + 1
    which = (
        f"axial slice {first}"
        if first == last
        else (f"{len(view.slices)} axial slices from {first} to {last}")
    )
    return f"{which}, radiological convention"

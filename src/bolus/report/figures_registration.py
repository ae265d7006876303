"""Two visits laid over each other in three planes, so that a reader sees whether they fit."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from bolus.core import Grid, Mask, Volume
from bolus.report.figures import INK, RED, Picture, as_picture, blank, house_style
from bolus.report.slices import AxialView
from bolus.report.wording import number

_PANEL = 300
_GAP = 8
_LEFT = 78
_HEAD = 20
_TILE_MM = 22.0
_WINDOW = (1.0, 99.5)
_WARM = np.array([1.0, 0.88, 0.66])
"""Tint of the tiles of the later visit."""
_EDGE = 0.5
"""Share of the head's median at which outlines run: skull and fluid lie below it."""
_LINE = "#ffb000"
_ROWS = ("first visit,\nlater visit\n(warm tiles)", "outlines of\nfirst visit on\nlater visit")
_PLANES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """What the picture shows, all on the grid of the first visit.

    `first` and `later` are images [a.u.], the later one as registered (NaN where it shows
    nothing); `lesions` outlines of the first and the later visit, if known. `name` is what the
    later visit is called, `error_mm` how far the registration is likely to be wrong.
    """

    first: Volume
    later: Volume
    grid: Grid
    name: str
    error_mm: float
    lesions: tuple[Mask | None, Mask | None] = (None, None)


def registration_picture(overlay: Overlay) -> Picture:
    """Draw a checkerboard of both visits, and the first one's outlines upon the later one.

    Args:
        overlay: the two images and the lesions.

    Returns:
        Two rows (checkerboard, outlines) of an axial, a coronal and a sagittal plane, through the
        lesion where there is one.
    """
    view = _View.of(overlay)
    shades = _shade(overlay.first, view.head), _shade(overlay.later, view.head)
    sizes = [view.size_mm(plane) for plane in range(3)]
    scale = min(_PANEL / max(width for width, _ in sizes), _PANEL / max(h for _, h in sizes))
    widths = [round(scale * width) for width, _ in sizes]
    height = round(scale * max(high for _, high in sizes))
    total = _LEFT + sum(widths) + 2 * _GAP, _HEAD + 2 * height + _GAP
    with house_style():
        figure = blank(*total)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        left = _LEFT
        for plane, (width, size) in enumerate(zip(widths, sizes, strict=True)):
            high = round(scale * size[1])
            middle = _HEAD + (height - high) // 2
            axes.text(left + width / 2, _HEAD - 6, _PLANES[plane], ha="center", fontsize=8)
            frame = (left, left + width, middle + high, middle)
            tiles = _checkerboard(shades, view, plane)
            axes.imshow(tiles, aspect="auto", interpolation="none", extent=frame)
            below = (left, left + width, middle + high + height + _GAP, middle + height + _GAP)
            grey = _grey(view.plane(shades[1], plane))
            axes.imshow(grey, aspect="auto", interpolation="none", extent=below)
            _outlines(axes, overlay, view, plane, below)
            left += width + _GAP
        for row, words in enumerate(_ROWS):
            place = _HEAD + height / 2 + row * (height + _GAP)
            axes.text(0, place, words, ha="left", va="center", fontsize=8, color=INK)
        axes.set_xlim(0, total[0])
        axes.set_ylim(total[1], 0)
        return as_picture(figure, alt=_words(overlay), keys=())


def _words(overlay: Overlay) -> str:
    return (
        f"{overlay.name} registered to the first visit: checkerboard of both (above), and "
        f"outlines of the first visit on the later one (below), in an axial, a coronal and a "
        f"sagittal plane; likely error {number(overlay.error_mm, 2)} mm (median over the head)."
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """How voxels are turned to right, anterior, superior, and which three planes are shown."""

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    sizes_mm: tuple[float, float, float]
    box: tuple[slice, slice, slice]
    middle: tuple[int, int, int]
    head: np.ndarray

    @classmethod
    def of(cls, overlay: Overlay) -> "_View":
        seen = np.nan_to_num(np.asarray(overlay.first, np.float64))
        lit = seen[seen > 0]
        bright = seen > (0.2 * float(np.percentile(lit, 90)) if lit.size else -1.0)
        head = Mask(values=bright, grid=overlay.grid, name="head")
        axial = AxialView.of(head, None, slices=1)
        focus = next((m for m in overlay.lesions if m is not None and m.count), head)
        turned = _turned(focus.values, axial.order, axial.flips)
        whole = _turned(head.values, axial.order, axial.flips)
        x, y, z = (int(np.median(place)) for place in np.nonzero(turned))
        a, b, c = (_extent(whole, axis) for axis in range(3))
        sizes = [overlay.grid.voxel_sizes_mm[axis] for axis in axial.order]
        return cls(
            order=axial.order,
            flips=axial.flips,
            sizes_mm=(sizes[0], sizes[1], sizes[2]),
            box=(a, b, c),
            middle=(x, y, z),
            head=bright,
        )

    def axes(self, plane: int) -> tuple[int, int]:
        """Return the turned axes of columns and rows."""
        return ((0, 1), (0, 2), (1, 2))[plane]

    def size_mm(self, plane: int) -> tuple[float, float]:
        """Return width and height of a plane."""
        width, height = (
            (self.box[axis].stop - self.box[axis].start) * self.sizes_mm[axis]
            for axis in self.axes(plane)
        )
        return width, height

    def plane(self, values: np.ndarray, plane: int) -> np.ndarray:
        """Return one plane: patient's right or front on the left, front or top above."""
        turned = _turned(values, self.order, self.flips)
        across = 2 - plane
        flat = np.take(turned, self.middle[across], axis=across)
        first, second = (self.box[axis] for axis in self.axes(plane))
        return np.asarray(flat[first, second][::-1, ::-1].T)


def _turned(
    values: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> np.ndarray:
    turned = np.transpose(values, order)
    return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def _extent(inside: np.ndarray, axis: int) -> slice:
    hit = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
    return slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, inside.shape[axis])


def _shade(values: Volume, head: np.ndarray) -> np.ndarray:
    """Return an image from 0 to 1, windowed on the head."""
    seen = np.asarray(values, np.float64)
    inside = seen[head & np.isfinite(seen)]
    low, high = np.percentile(inside, _WINDOW) if inside.size else (0.0, 1.0)
    low = min(float(low), 0.0)
    return np.asarray(np.clip((np.nan_to_num(seen, nan=low) - low) / max(high - low, 1e-12), 0, 1))


def _grey(plane: np.ndarray) -> np.ndarray:
    return np.repeat((255 * plane).astype(np.uint8)[..., None], 3, axis=2)


def _checkerboard(shades: tuple[np.ndarray, np.ndarray], view: _View, plane: int) -> np.ndarray:
    """Return RGB bytes with tiles of one visit and of the other."""
    first, later = (view.plane(shade, plane) for shade in shades)
    columns, rows = (view.sizes_mm[axis] for axis in view.axes(plane))
    across = np.floor(np.arange(first.shape[1]) * columns / _TILE_MM).astype(int)
    down = np.floor(np.arange(first.shape[0]) * rows / _TILE_MM).astype(int)
    second = (across[None, :] + down[:, None]) % 2 == 1
    colour = np.where(second[..., None], later[..., None] * _WARM, first[..., None] * np.ones(3))
    return np.asarray(255 * colour, np.uint8)


def _outlines(
    axes: Axes, overlay: Overlay, view: _View, plane: int, frame: tuple[int, int, int, int]
) -> None:
    """Draw where the first visit's head and fluid end, and the lesions of both visits."""
    first = np.nan_to_num(np.asarray(overlay.first, np.float64))
    level = _EDGE * float(np.median(first[view.head])) if view.head.any() else 0.0
    _line(axes, view.plane(first, plane), level, frame, _LINE, "solid")
    for lesion, style in zip(overlay.lesions, ("solid", "dotted"), strict=True):
        if lesion is not None:
            _line(axes, view.plane(lesion.values.astype(float), plane), 0.5, frame, RED, style)


def _line(
    axes: Axes,
    flat: np.ndarray,
    level: float,
    frame: tuple[int, int, int, int],
    colour: str,
    style: str,
) -> None:
    left, right, bottom, top = frame
    if min(flat.shape) < 2 or not flat.min() < level < flat.max():
        return
    x = left + (np.arange(flat.shape[1]) + 0.5) * (right - left) / flat.shape[1]
    y = top + (np.arange(flat.shape[0]) + 0.5) * (bottom - top) / flat.shape[0]
    axes.contour(x, y, flat, levels=[level], colors=[colour], linewidths=1.0, linestyles=style)

"""Pictures of a map, one a frame, for viewers that show plain colour images and nothing else."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from bolus import RESEARCH_USE
from bolus.core import Mask, Quantity
from bolus.core.arrays import Volume
from bolus.io.dicom_out_frames import Frames
from bolus.report.figures import blank, house_style
from bolus.report.figures_maps import SCALES, Scale
from bolus.report.wording import symbol_with_unit

_WIDTH, _HEIGHT = 768, 820
_LEFT, _TOP, _PANEL = 34, 62, 616
"""The image's corner and the most it may measure [pixels]."""
_INK, _QUIET = "#f2f4f7", "#aeb8c4"
_NO_ANSWER = 0.42
"""Grey of voxels inside the brain without an answer; no colour scale here has such a grey."""
_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "H": "F", "F": "H"}
_SHOWN = {"H": "S", "F": "I"}
_NAMES = ("R", "A", "S"), ("L", "P", "I")


def scale_for(quantity: Quantity, values: Volume) -> Scale:
    """Return the colours and the range that the report gives a quantity, or one for this map.

    Args:
        quantity: of the map.
        values: (x, y, z); NaN where there is no answer.
    """
    if quantity.key in SCALES:
        return SCALES[quantity.key]
    finite = values[np.isfinite(values)]
    low, high = (float(v) for v in np.percentile(finite, [2, 98])) if finite.size else (0.0, 1.0)
    step = 10.0 ** np.floor(np.log10(max(high - low, 1e-9)))
    low, high = float(np.floor(low / step) * step), float(np.ceil(high / step) * step)
    return Scale(colours="viridis", low=low, high=max(high, low + step), chosen=True)


def draw_frames(
    values: Volume,
    quantity: Quantity,
    frames: Frames,
    *,
    brain: Mask | None,
    tumour: Mask | None,
) -> Iterator[np.ndarray]:
    """Draw every frame of a map with colour bar, unit, sides and the research-use sentence.

    Args:
        values: (x, y, z); NaN where there is no answer.
        quantity: of the map.
        frames: how the voxels become images.
        brain: what is shown in colour; everything if absent.
        tumour: what is outlined.

    Yields:
        RGB bytes (rows, columns, 3), in the order of the frames.
    """
    scale = scale_for(quantity, values)
    planes = frames.arrange(values)
    inside = np.ones(planes.shape, bool) if brain is None else frames.arrange(brain.values)
    outline = None if tumour is None else frames.arrange(tumour.values)
    with house_style():
        figure = blank(_WIDTH, _HEIGHT)
        axes = _panel(figure, frames, planes.shape[1:])
        image = axes.imshow(np.zeros((*planes.shape[1:], 3)), aspect="auto", interpolation="none")
        _colour_bar(figure, scale, symbol_with_unit(quantity.key))
        _words(figure, quantity, scale, outlined=outline is not None)
        _sides(axes, frames)
        place = figure.text(
            (_WIDTH - 18) / _WIDTH, 1 - 26 / _HEIGHT, "", color=_QUIET, fontsize=10, ha="right"
        )
        for number, plane in enumerate(planes):
            image.set_data(_coloured(plane, inside[number], scale))
            place.set_text(_place_words(frames, number))
            drawn = None if outline is None else _outline(axes, outline[number])
            yield _pixels(figure)
            if drawn is not None:
                drawn.remove()


def _panel(figure: Figure, frames: Frames, shape: tuple[int, ...]) -> Axes:
    """Return axes as large as a frame fits, with square millimetres, in the middle."""
    height = shape[0] * frames.between_rows_mm
    width = shape[1] * frames.between_columns_mm
    unit = _PANEL / max(height, width)
    wide, tall = width * unit, height * unit
    left, top = _LEFT + (_PANEL - wide) / 2, _TOP + (_PANEL - tall) / 2
    axes = figure.add_axes(
        (left / _WIDTH, 1 - (top + tall) / _HEIGHT, wide / _WIDTH, tall / _HEIGHT)
    )
    axes.set_axis_off()
    return axes


def _coloured(plane: np.ndarray, inside: np.ndarray, scale: Scale) -> np.ndarray:
    level = (plane - scale.low) / (scale.high - scale.low)
    picture = matplotlib.colormaps[scale.colours](np.clip(np.nan_to_num(level), 0, 1))[..., :3]
    picture[~np.isfinite(plane)] = _NO_ANSWER
    picture[~inside] = 0
    return np.asarray(picture)


def _colour_bar(figure: Figure, scale: Scale, label: str) -> None:
    axes = figure.add_axes((680 / _WIDTH, 1 - 620 / _HEIGHT, 20 / _WIDTH, 500 / _HEIGHT))
    norm = Normalize(scale.low, scale.high)
    mappable = matplotlib.cm.ScalarMappable(norm=norm, cmap=scale.colours)
    bar = figure.colorbar(mappable, cax=axes, extend="both" if scale.low else "max")
    bar.outline.set_edgecolor(_QUIET)
    bar.ax.tick_params(colors=_INK, labelsize=11)
    bar.set_label(label, color=_INK, fontsize=12)


def _words(figure: Figure, quantity: Quantity, scale: Scale, *, outlined: bool) -> None:
    figure.set_facecolor("black")
    title = symbol_with_unit(quantity.key)
    start = 18 / _WIDTH
    figure.text(start, 1 - 28 / _HEIGHT, title, color=_INK, fontsize=15, fontweight="bold")
    name = quantity.name[:1].upper() + quantity.name[1:]
    figure.text(start, 1 - 48 / _HEIGHT, name, color=_QUIET, fontsize=10)
    notes = ["Grey: no answer."]
    notes += ["White line: tumour as it was given."] if outlined else []
    notes += ["Range chosen for this scan."] if scale.chosen else ["Same range for every scan."]
    figure.text(start, 72 / _HEIGHT, "  ".join(notes), color=_QUIET, fontsize=10)
    figure.text(
        0.5, 28 / _HEIGHT, RESEARCH_USE, color="#ffd24a", fontsize=10.5, ha="center",
        fontweight="bold",
    )  # fmt: skip


def _sides(axes: Axes, frames: Frames) -> None:
    right, down = frames.letters()
    edge = [withStroke(linewidth=2.5, foreground="black")]
    for letter, x, y, across, along in (
        (right, 0.99, 0.5, "right", "center"),
        (_OPPOSITE[right], 0.01, 0.5, "left", "center"),
        (down, 0.5, 0.01, "center", "bottom"),
        (_OPPOSITE[down], 0.5, 0.99, "center", "top"),
    ):
        axes.text(
            x, y, _SHOWN.get(letter, letter), transform=axes.transAxes, color=_INK, fontsize=14,
            fontweight="bold", ha=across, va=along, path_effects=edge,
        )  # fmt: skip


def _place_words(frames: Frames, number: int) -> str:
    """Return which frame this is, and where it lies along the axis it is nearest to."""
    normal = np.cross(frames.row_cosines, frames.column_cosines)
    axis = int(np.argmax(np.abs(normal)))
    level = frames.positions_mm[number][axis] * (1 if axis == 2 else -1)
    side = _NAMES[0 if level >= 0 else 1][axis]
    return f"image {number + 1} of {len(frames.positions_mm)}    {side} {abs(level):.0f} mm"


def _outline(axes: Axes, plane: np.ndarray) -> Any:
    if not plane.any() or plane.all() or min(plane.shape) < 2:
        return None
    return axes.contour(plane, levels=[0.5], colors=["white"], linewidths=1.3)


def _pixels(figure: Figure) -> np.ndarray:
    canvas: Any = figure.canvas
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])

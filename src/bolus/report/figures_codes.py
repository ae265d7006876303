"""Codes on the patient's own images, and the curves that have them."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

from bolus.report.codes_findings import CodeCurve, CodeFindings
from bolus.report.figures import INK, Picture, as_picture, blank, house_style
from bolus.report.figures_curves import dress
from bolus.report.figures_slices import SLICES, finish, grey_slice, panels_of, slice_words
from bolus.report.slices import AxialView
from bolus.report.wording import number, thousands

CODE_COLOURS = ("#a50026", "#e34a33", "#fc8d59", "#fdcc6a", "#b7d7b0", "#7fb8da", "#4575b4",
                "#313695")  # fmt: skip
"""From the code that drops most to the one that hardly drops."""
_BEHIND = 0.7
"""The image steps back behind the codes."""
_WIDE, _ROW = 1160, 170
_COLUMNS = 4


def code_colour(place: int, count: int) -> str:
    """Return the colour of the i-th of so many codes, from 0: red drops most, blue least."""
    if count <= len(CODE_COLOURS):
        steps = np.linspace(0, len(CODE_COLOURS) - 1, max(count, 2))
        return CODE_COLOURS[round(float(steps[place]))]
    return str(to_hex(matplotlib.colormaps["RdYlBu"](place / (count - 1))))


def code_map(findings: CodeFindings) -> Picture:
    """Draw every voxel of the tumour in the colour of its code."""
    tumour = findings.tumour.foreground
    view = AxialView.of(findings.brain, tumour, slices=SLICES)
    count = len(findings.names)
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            grey = grey_slice(findings.anatomy, findings.brain, view, index)
            picture = (_BEHIND * grey).astype(np.uint8)
            plane = view.plane(findings.codes.values, index)
            for place, code in enumerate(sorted(findings.codes.names)):
                picture[plane == code] = np.round(255 * np.array(to_rgb(code_colour(place, count))))
            panel.show(picture)
            panel.outline(view.plane(tumour.values, index), "white", 0.9)
        words = f"The code of every voxel of the tumour on the baseline image: {slice_words(view)}."
        return finish(figure, alt=words, keys=("signal",))


def code_legend(findings: CodeFindings) -> list[tuple[str, str, str]]:
    """Return colour, name and volume of every code."""
    volumes = {row.code: row.volume_ml for row in findings.of_region(findings.regions[0])}
    count = len(findings.names)
    return [
        (code_colour(place, count), name, f"{number(volumes.get(name, 0.0), 1)} mL")
        for place, name in enumerate(findings.names)
    ]


def code_curves(findings: CodeFindings) -> Picture:
    """Draw the quartiles of the curves of every code, all on one scale."""
    rows = -(-len(findings.curves) // _COLUMNS)
    seconds = findings.signal.time.seconds
    with house_style():
        figure = blank(_WIDE, rows * _ROW + 24)
        bottom, step = 44 / (rows * _ROW + 24), _ROW / (rows * _ROW + 24)
        for place, curve in enumerate(findings.curves):
            row, column = divmod(place, _COLUMNS)
            left = 0.052 + column * 0.24
            low = bottom + (rows - 1 - row) * step
            axis = figure.add_axes((left, low, 0.205, step * 0.68))
            _panel(axis, seconds, curve, code_colour(place, len(findings.curves)))
            dress(axis, "signal" if column == 0 else "")
            if row < rows - 1:
                axis.set_xlabel("")
        drops = ", ".join(
            f"{c.code} to {number(float(np.nanmin(c.middle)), 2)}"
            for c in findings.curves
            if c.voxels
        )
        words = f"Median curve and quartiles of every code; the median signal falls: {drops}."
        return as_picture(figure, alt=words, keys=("signal",))


def _panel(axis: Axes, seconds: np.ndarray, curve: CodeCurve, colour: str) -> None:
    axis.set_title(
        f"{curve.code}  ·  {thousands(curve.voxels)} voxels", loc="left", fontsize=8.5, color=INK
    )
    axis.set_ylim(0, 1.12)
    axis.set_xlim(float(seconds[0]), float(seconds[-1]))
    if not curve.voxels:
        middle = float(seconds[0] + seconds[-1]) / 2
        axis.text(middle, 0.5, "no voxel", ha="center", va="center")
        return
    axis.fill_between(seconds, curve.low, curve.high, color=colour, alpha=0.35, lw=0)
    axis.plot(seconds, curve.middle, color=INK, lw=2.4)
    axis.plot(seconds, curve.middle, color=colour, lw=1.4)

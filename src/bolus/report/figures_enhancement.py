"""A series with and without a method, side by side: images, their difference, and curves."""

import numpy as np

from bolus.core import Mask
from bolus.report.enhancement_findings import EnhancementFindings
from bolus.report.figures import AMBER, BLUE, Picture, as_picture, blank, house_style
from bolus.report.figures_curves import dress
from bolus.report.figures_slices import SLICES, finish, grey_slice, panels_of, slice_words
from bolus.report.slices import AxialView

_WIDE, _HIGH = 1160, 250
_DIFFERENCE = 99.0
"""Percentile of the differences in the brain that the colours end at."""


def image_rows(findings: EnhancementFindings) -> tuple[tuple[str, Picture], ...]:
    """Draw the frame at the peak as it came, as it became, and the difference of both."""
    frame = findings.moment
    first, second = (
        np.asarray(one.values[..., frame], np.float64) for one in (findings.before, findings.after)
    )
    limit = float(np.percentile(np.abs(second - first)[findings.brain.values], _DIFFERENCE))
    view = AxialView.of(findings.brain, None, slices=SLICES)
    return (
        ("as it came", _row(findings, view, "as it came", first, 0.0)),
        ("after", _row(findings, view, "after", second, 0.0)),
        ("difference", _row(findings, view, "difference", second - first, limit)),
    )


def _row(
    findings: EnhancementFindings, view: AxialView, name: str, image: np.ndarray, limit: float
) -> Picture:
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            if limit:
                panel.show(_signed(view.plane(image, index), limit, view, findings.brain, index))
            else:
                panel.show(grey_slice(image, findings.brain, view, index))
        words = f"Frame {findings.moment + 1}, {name}: {slice_words(view)}."
        return finish(figure, alt=words, keys=("signal",))


def _signed(
    plane: np.ndarray, limit: float, view: AxialView, brain: Mask, index: int
) -> np.ndarray:
    """Return a slice of differences as RGB bytes: red more, blue less, white nothing."""
    share = np.clip(np.nan_to_num(plane) / max(limit, 1e-12), -1, 1)
    share = np.where(view.plane(brain.values, index), share, 0.0)[..., None]
    more, less = np.array((178, 24, 43)), np.array((33, 102, 172))
    colour = np.where(share > 0, more, less)
    return np.asarray(255 + np.abs(share) * (colour - 255.0), np.uint8)


def vessel_curves(findings: EnhancementFindings) -> Picture:
    """Draw the mean curve of vessels with and without the method."""
    seconds = findings.before.time.seconds
    change = findings.change
    with house_style():
        figure = blank(_WIDE, _HIGH)
        axis = figure.add_axes((0.06, 0.2, 0.92, 0.72))
        axis.plot(seconds, change.vessel_before, color=AMBER, linewidth=2.4, label="as it came")
        axis.plot(seconds, change.vessel_after, color=BLUE, linewidth=1.6, label="after")
        axis.legend(loc="upper right", frameon=False, fontsize=8)
        dress(axis, "contrast")
        count = int(change.vessels.sum())
        words = f"Mean contrast of {count} voxels of vessels over time, as it came and after."
        return as_picture(figure, alt=words, keys=("signal",))

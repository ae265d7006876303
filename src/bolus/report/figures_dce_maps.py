"""What only DCE maps need: where they mean something, how sure they are, and which model."""

import matplotlib
import numpy as np
from matplotlib.colors import to_hex

from bolus.quantify.dce_leak import INTERVAL_90, find_determined
from bolus.report.dce_findings import DceFindings
from bolus.report.figures import Picture, house_style
from bolus.report.figures_maps import Scale, painted_row, tumour_outline
from bolus.report.figures_slices import finish, grey_slice, panels_of, slice_words
from bolus.report.slices import AxialView
from bolus.report.wording import number, symbol

_PRECISION = Scale(colours="viridis_r", low=0, high=100)
_SIGNED = frozenset({"delay", "iauc60", "ssarea", "r2"})
"""Quantities whose negative values are answers, not noise about zero."""


def shown_voxels(findings: DceFindings, key: str) -> np.ndarray:
    """Return where (x, y, z) a map is drawn in colour.

    Negative answers of a quantity that cannot be negative stay in the numbers but have no colour.
    ve and kep are drawn only where they mean something: `quantify.find_determined`.
    """
    shown = find_determined(findings.maps, key)
    if key not in _SIGNED:
        shown = shown & (np.nan_to_num(findings.maps[key].values) >= 0)
    return shown


def hidden_count(findings: DceFindings, key: str) -> tuple[int, int]:
    """Return how many brain voxels with an answer have no colour, and how many have an answer."""
    known = findings.brain.values & np.isfinite(findings.maps[key].values)
    return int(np.count_nonzero(known & ~shown_voxels(findings, key))), int(known.sum())


def half_width_percent(findings: DceFindings, key: str) -> np.ndarray | None:
    """Return half of the 90 % interval over the value (x, y, z) [%]; None where no error is known.

    NaN where the value is not above zero or its error is not known.
    """
    item = findings.maps[key]
    if item.std is None:
        return None
    known = shown_voxels(findings, key) & (np.nan_to_num(item.values) > 0) & np.isfinite(item.std)
    share = np.full(item.values.shape, np.nan)
    share[known] = 100 * INTERVAL_90 * item.std[known] / item.values[known]
    return share if (known & findings.brain.values).any() else None


def precision_row(findings: DceFindings, view: AxialView, key: str) -> Picture | None:
    """Draw how wide the 90 % interval of a map is; None where no error is known."""
    share = half_width_percent(findings, key)
    if share is None:
        return None
    inside = share[findings.brain.values & np.isfinite(share)]
    words = (
        f"Precision of the {symbol(key)} map, {slice_words(view)}: half-width of the 90 % interval "
        f"in percent of the value; median over the brain voxels with a known error "
        f"{number(float(np.median(inside)), 0)} %."
    )
    return painted_row(
        findings, view, share, _PRECISION, label=f"± % of {symbol(key)}", alt=words, keys=(key,),
        shown=np.isfinite(share),
    )  # fmt: skip


def model_colours(findings: DceFindings) -> list[tuple[str, str, str]]:
    """Return colour, name and share of the brain of each model that was chosen."""
    chosen = findings.chosen
    if chosen is None or not findings.brain.count:
        return []
    inside = chosen.values[findings.brain.values]
    return [
        (to_hex(_colour(place)), chosen.names[label], f"{number(percent, 1)} %")
        for place, label in enumerate(sorted(chosen.names))
        if (percent := 100 * float(np.mean(inside == label))) > 0
    ]


def model_row(findings: DceFindings, view: AxialView) -> Picture | None:
    """Draw which model each voxel was given to; None where all have the same."""
    chosen = findings.chosen
    if chosen is None:
        return None
    with house_style():
        figure, panels = panels_of(view)
        for panel, index in zip(panels, view.slices, strict=True):
            picture = grey_slice(findings.anatomy, findings.brain, view, index)
            plane = view.plane(chosen.values, index)
            plane = np.where(view.plane(findings.brain.values, index), plane, -1)
            for place, label in enumerate(sorted(chosen.names)):
                tint = 255 * np.array(_colour(place))
                picture[plane == label] = tint.astype(np.uint8)
            panel.show(picture)
            tumour_outline(panel, findings, view, index)
        words = f"Model chosen in each voxel, {slice_words(view)}."
        return finish(figure, alt=words, keys=())


def _colour(place: int) -> tuple[float, float, float]:
    red, green, blue = matplotlib.colormaps["Set2"](place % 8)[:3]
    return red, green, blue

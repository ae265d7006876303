"""All pictures of a page, in one place."""

import numpy as np

from bolus.report import figures_curves, figures_maps, figures_series
from bolus.report.exam import Exam
from bolus.report.findings import DscFindings
from bolus.report.series_findings import SeriesFindings
from bolus.report.slices import AxialView
from bolus.report.wording import significant, symbol, thousands, unit_text

_MAIN_ROWS = ("ncbv", "cbf", "mtt", "tmax", "k2")


def draw(findings: DscFindings) -> dict[str, object]:
    """Return every picture of the page under the name that the template knows."""
    view = figures_maps.view_of(findings)
    keys = [key for key in _MAIN_ROWS if key in findings.maps]
    more = [key for key in findings.maps if key not in keys]
    motion = findings.motion
    return {
        "anatomy": figures_maps.anatomy_row(findings, view),
        "maps": [map_entry(findings, view, key) for key in keys],
        "more": [map_entry(findings, view, key) for key in more],
        "masks": figures_maps.mask_row(findings, view),
        "parts": figures_maps.part_colours(findings),
        "mask_parts": figures_maps.mask_colours(findings),
        "artery": figures_curves.artery_plot(findings),
        "artery_places": figures_maps.artery_places(findings, view),
        "bolus": figures_curves.bolus_plot(findings),
        "tissue": figures_curves.tissue_plot(findings),
        "motion": None
        if motion is None
        else figures_curves.motion_plot(findings.signal.time, motion, findings.bolus),
    }


def draw_series(findings: SeriesFindings) -> dict[str, object]:
    """Return every picture of the page of a series, and the strokes its regions are drawn with."""
    view = figures_series.view_of(findings)
    motion = findings.motion
    return {
        "curves": figures_series.curve_plots(findings),
        "strokes": [
            (figures_series.stroke_of(place), mask.name, f"{significant(mask.volume_ml)} mL")
            for place, mask in enumerate(findings.masks)
        ],
        "where": figures_series.where_row(findings, view),
        "hidden": figures_series.hidden(findings, view),
        "motion": None
        if motion is None
        else figures_curves.motion_plot(findings.signal.time, motion, findings.bolus),
    }


def map_entry(
    findings: Exam, view: AxialView, key: str, *, shown: np.ndarray | None = None
) -> dict[str, object]:
    """Return one map with the words around it; see `figures_maps.map_row` for `shown`."""
    item = findings.maps[key]
    scale = figures_maps.scale_of(findings, key, shown=shown)
    lost, _ = findings.lost_voxels(key)
    return {
        "key": key,
        "symbol": symbol(key),
        "name": item.quantity.name,
        "unit": unit_text(item.quantity.unit) or "ratio",
        "range_chosen": scale.chosen,
        "lost": thousands(lost) if lost else "",
        "picture": figures_maps.map_row(findings, view, key, shown=shown),
    }

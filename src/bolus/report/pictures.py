"""All pictures of a page, in one place."""

from bolus.report import figures_curves, figures_maps
from bolus.report.findings import DscFindings
from bolus.report.slices import AxialView
from bolus.report.wording import symbol, thousands, unit_text

_MAIN_ROWS = ("ncbv", "cbf", "mtt", "tmax", "k2")


def draw(findings: DscFindings) -> dict[str, object]:
    """Return every picture of the page under the name that the template knows."""
    view = figures_maps.view_of(findings)
    keys = [key for key in _MAIN_ROWS if key in findings.maps]
    more = [key for key in findings.maps if key not in keys]
    motion = findings.motion
    return {
        "anatomy": figures_maps.anatomy_row(findings, view),
        "maps": [_map(findings, view, key) for key in keys],
        "more": [_map(findings, view, key) for key in more],
        "masks": figures_maps.mask_row(findings, view),
        "parts": figures_maps.part_colours(findings),
        "mask_parts": figures_maps.mask_colours(findings),
        "artery": figures_curves.artery_plot(findings),
        "artery_places": figures_maps.artery_places(findings, view),
        "bolus": figures_curves.bolus_plot(findings),
        "tissue": figures_curves.tissue_plot(findings),
        "motion": None if motion is None else figures_curves.motion_plot(findings, motion),
    }


def _map(findings: DscFindings, view: AxialView, key: str) -> dict[str, object]:
    item = findings.maps[key]
    scale = figures_maps.scale_of(findings, key)
    lost, _ = findings.lost_voxels(key)
    return {
        "key": key,
        "symbol": symbol(key),
        "name": item.quantity.name,
        "unit": unit_text(item.quantity.unit) or "ratio",
        "range_chosen": scale.chosen,
        "lost": thousands(lost) if lost else "",
        "picture": figures_maps.map_row(findings, view, key),
    }

"""All pictures of a DCE page, in one place."""

from bolus.report import figures_curves, figures_dce, figures_dce_maps, figures_maps
from bolus.report.dce_findings import DceFindings
from bolus.report.pictures import map_entry
from bolus.report.slices import AxialView
from bolus.report.wording import symbol

_MAIN_ROWS = ("ktrans", "ve", "vp", "fp", "ps")
_PRECISION_ROWS = ("ktrans", "ve", "vp", "fp", "ps")


def draw_dce(findings: DceFindings) -> dict[str, object]:
    """Return every picture of the page under the name that the template knows."""
    view = figures_maps.view_of(findings)
    maps = findings.maps
    keys = [key for key in _MAIN_ROWS if key in maps]
    more = [key for key in maps if key not in keys and key not in ("t10", "r10")]
    motion = findings.motion
    return {
        "anatomy": figures_maps.anatomy_row(findings, view),
        "parts": figures_maps.part_colours(findings),
        "maps": [_map(findings, view, key) for key in keys],
        "more": [_map(findings, view, key) for key in more],
        "precision": _precision(findings, view),
        "model": figures_dce_maps.model_row(findings, view),
        "model_parts": figures_dce_maps.model_colours(findings),
        "artery": figures_dce.plasma_plot(findings),
        "artery_places": figures_maps.artery_places(findings, view, findings.measured_aif),
        "enhancement": figures_dce.enhancement_plot(findings),
        "tissue": figures_dce.concentration_plot(findings),
        "examples": figures_dce.example_plot(findings),
        "t10": None if findings.t10 is None else _map(findings, view, "t10"),
        "t10_values": figures_dce.t1_plot(findings),
        "motion": None
        if motion is None
        else figures_curves.motion_plot(findings.signal.time, motion, None),
    }


def _map(findings: DceFindings, view: AxialView, key: str) -> dict[str, object]:
    shown = figures_dce_maps.shown_voxels(findings, key)
    return map_entry(findings, view, key, shown=shown)


def _precision(findings: DceFindings, view: AxialView) -> list[dict[str, object]]:
    rows = []
    for key in _PRECISION_ROWS:
        picture = (
            figures_dce_maps.precision_row(findings, view, key) if key in findings.maps else None
        )
        if picture is not None:
            rows.append({"symbol": symbol(key), "picture": picture})
    return rows

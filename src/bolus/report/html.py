"""One page of HTML that holds everything it needs and loads nothing."""

import json
from importlib.resources import files

import jinja2
import numpy as np

from bolus import RESEARCH_USE
from bolus.report.findings import DscFindings, QualityLine
from bolus.report.glance import at_a_glance, main_map
from bolus.report.methods import write_methods
from bolus.report.protocol import CITATION, CITATION_DOI, check_protocol
from bolus.report.tables import interval_table, quantity_table, status_table
from bolus.report.wording import number, of_quantity, significant, symbol, thousands, unit_text

_TEMPLATE = "dsc.html.j2"


def render_dsc_report(findings: DscFindings) -> str:
    """Return the report of one DSC exam as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: what the exam gave.

    Returns:
        The page as text, to be written as UTF-8.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(_context(findings))


def _template(name: str) -> str:
    return (files("bolus.report") / "templates" / name).read_text(encoding="utf-8")


def _context(findings: DscFindings) -> dict[str, object]:
    protocol = check_protocol(
        findings.signal.acquisition,
        findings.signal.time,
        findings.bolus,
        leakage_corrected="k2" in findings.maps,
    )
    key = main_map(findings)
    from bolus.report.pictures import draw  # matplotlib loads only to draw

    return {
        "research_use": RESEARCH_USE,
        "findings": findings,
        "exam": _exam(findings),
        "tiles": at_a_glance(findings, protocol),
        "main": interval_table(findings.regions, key) if key else None,
        "quantities": quantity_table(findings.regions),
        "white_matter": _white_matter(findings),
        "burden": _burden(findings),
        "leakage": _leakage(findings),
        "ratios": _ratios(findings),
        "pictures": draw(findings),
        "status": status_table(findings),
        "quality": _quality(findings),
        "protocol": protocol,
        "citation": {"text": CITATION, "link": f"https://doi.org/{CITATION_DOI}"},
        "methods": write_methods(findings.provenance, version=findings.version),
        "settings": _settings(findings),
        "digest": findings.provenance.digest(),
    }


def _exam(findings: DscFindings) -> str:
    """Say in one line what was scanned."""
    grid, time = findings.signal.grid, findings.signal.time
    sizes = " × ".join(number(s, 1) for s in grid.voxel_sizes_mm)
    step_s = float(np.median(np.diff(time.seconds)))
    spacing = "" if time.is_uniform else "about "
    return (
        f"{' × '.join(map(str, grid.shape))} voxels of {sizes} mm, {len(time)} frames "
        f"{spacing}{number(step_s, 2)} s apart"
    )


def _white_matter(findings: DscFindings) -> dict[str, str]:
    mask = findings.white_matter
    found = {"voxels": thousands(mask.count), "volume": number(mask.volume_ml, 1)}
    for key in ("cbv", "cbf", "mtt"):
        if key in findings.maps and mask.count:
            values = findings.maps[key].inside(mask)
            if values.size:
                unit = unit_text(findings.maps[key].quantity.unit)
                found[key] = f"{of_quantity(float(values.mean()), key)} {unit}"
    return found


def _burden(findings: DscFindings) -> list[dict[str, object]]:
    burden = findings.burden
    if burden is None:
        return []
    low, high = number(burden.low, 2), number(burden.high, 2)
    parts = (
        (f"nCBV ≤ {low}", burden.low_percent, burden.low_interval),
        (f"{low} < nCBV ≤ {high}", burden.middle_percent, burden.middle_interval),
        (f"nCBV > {high}", burden.high_percent, burden.high_interval),
    )
    return [
        {
            "name": name,
            "percent": number(share, 1),
            "interval": f"{number(interval[0], 1)} to {number(interval[1], 1)}",
            "width": round(max(share, 0.0), 2),
        }
        for name, share, interval in parts
        if np.isfinite(share)
    ]


def _leakage(findings: DscFindings) -> dict[str, str] | None:
    leakage = findings.leakage
    if leakage is None:
        return None
    change = 100 * (leakage.corrected / leakage.uncorrected - 1) if leakage.uncorrected else np.nan
    sign = "+" if change > 0 else ""
    return {
        "corrected": number(leakage.corrected, 2),
        "uncorrected": number(leakage.uncorrected, 2),
        "change": f"{sign}{number(change, 0)} %",
    }


def _ratios(findings: DscFindings) -> list[dict[str, object]]:
    return [
        {
            "name": symbol(ratio.key),
            "value": number(ratio.value, 2),
            "expected": f"{number(ratio.low, 1)}–{number(ratio.high, 1)}",
            "look": not ratio.low <= ratio.value <= ratio.high,
        }
        for ratio in findings.ratios
    ]


def _quality(findings: DscFindings) -> list[dict[str, object]]:
    return [
        {
            "name": item.name,
            "value": f"{_figure(item)} {unit_text(item.unit)}".strip(),
            "look": item.look,
            "detail": item.detail,
        }
        for item in findings.quality
    ]


def _figure(item: QualityLine) -> str:
    """Return a whole number without a unit as a count, all others with three digits."""
    if not item.unit and float(item.value).is_integer():
        return thousands(int(item.value))
    return significant(item.value)


def _settings(findings: DscFindings) -> str:
    if not findings.settings:
        return ""
    return json.dumps(dict(findings.settings), indent=2, sort_keys=True, default=str)

"""The report of one DSC exam: what its template needs, in words and numbers."""

import numpy as np

from bolus.report.findings import DscFindings
from bolus.report.glance import at_a_glance, main_map
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.protocol import CITATION, CITATION_DOI, check_protocol
from bolus.report.tables import (
    interval_table,
    quality_rows,
    quantity_table,
    settings_text,
    status_table,
)
from bolus.report.wording import (
    exam_words,
    number,
    of_quantity,
    signed,
    symbol,
    thousands,
    unit_text,
)

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
    return render_page(_TEMPLATE, _context(findings))


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
        "findings": findings,
        "exam": exam_words(findings.signal.grid, findings.signal.time),
        "tiles": at_a_glance(findings, protocol),
        "main": interval_table(findings.regions, key) if key else None,
        "quantities": quantity_table(findings.regions),
        "white_matter": _white_matter(findings),
        "burden": _burden(findings),
        "leakage": _leakage(findings),
        "ratios": _ratios(findings),
        "pictures": draw(findings),
        "status": status_table(findings),
        "quality": quality_rows(findings.quality),
        "protocol": protocol,
        "citation": {"text": CITATION, "link": f"https://doi.org/{CITATION_DOI}"},
        "methods": write_methods(findings.provenance, version=findings.version),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


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
    return {
        "corrected": number(leakage.corrected, 2),
        "uncorrected": number(leakage.uncorrected, 2),
        "change": f"{signed(change, 0)} %",
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

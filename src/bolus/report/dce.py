"""The report of one DCE exam: what its template needs, in words and numbers."""

import numpy as np

from bolus.core import QUANTITIES
from bolus.quantify.dce_leak import leak_key
from bolus.report.dce_findings import DceFindings
from bolus.report.dce_glance import MODEL_NAMES, assumed_t1, dce_at_a_glance
from bolus.report.figures_dce_maps import hidden_count
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.protocol_dce import PROTOCOL_LINKS, check_dce_protocol
from bolus.report.tables import (
    WideTable,
    interval_table,
    quality_rows,
    quantity_table,
    settings_text,
    status_table,
)
from bolus.report.wording import ABSENT, exam_words, number, significant, symbol, thousands
from bolus.report.wording import unit_text as unit_words

_TEMPLATE = "dce.html.j2"
_MAIN_KEYS = ("ktrans", "ve", "vp", "fp", "ps")


def render_dce_report(findings: DceFindings) -> str:
    """Return the report of one DCE exam as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: what the exam gave.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: DceFindings) -> dict[str, object]:
    from bolus.report.pictures_dce import draw_dce  # matplotlib loads only to draw

    protocol = check_dce_protocol(findings)
    tables = (interval_table(findings.regions, key) for key in _MAIN_KEYS)
    return {
        "findings": findings,
        "exam": exam_words(findings.signal.grid, findings.signal.time),
        "tiles": dce_at_a_glance(findings, protocol),
        "mains": [table for table in tables if table is not None],
        "quantities": quantity_table(findings.regions),
        "model": MODEL_NAMES.get(findings.model, findings.model),
        "leak": symbol(leak_key(findings.maps)) if leak_key(findings.maps) else "",
        "without_leak": _without_leak(findings),
        "t1_assumed": _t1_words(findings),
        "examples": _example_table(findings),
        "network": _network_table(findings),
        "pictures": draw_dce(findings),
        "status": status_table(findings),
        "quality": quality_rows(findings.quality),
        "protocol": protocol,
        "citations": PROTOCOL_LINKS,
        "methods": write_methods(findings.provenance, version=findings.version),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


def _without_leak(findings: DceFindings) -> str:
    """Say in how many brain voxels with an answer ve (or kep) is not drawn, or ""."""
    key = next((key for key in ("ve", "kep") if key in findings.maps), "")
    if not key or not leak_key(findings.maps):
        return ""
    count, total = hidden_count(findings, key)
    if not count:
        return ""
    share = f"{thousands(count)} of {thousands(total)} ({number(100 * count / total, 0)} %)"
    return f"{share} brain voxels with {symbol(key)}"


def _t1_words(findings: DceFindings) -> str:
    assumed = assumed_t1(findings)
    if assumed is None:
        return "T1 was not measured; one value was assumed for all voxels."
    seconds, why = assumed
    reason = why.reason.rstrip(".")
    source = f" ({why.source})" if why.source else ""
    return f"T1 of {significant(seconds)} s was assumed for all voxels: {reason}{source}."


def _example_table(findings: DceFindings) -> WideTable | None:
    """Return the parameters of the example voxels, with their standard errors below them."""
    examples = findings.examples[:3]
    keys = [k for k in QUANTITIES if any(k == key for e in examples for key, *_ in e.parameters)]
    if not keys:
        return None
    heads = tuple((symbol(k), unit_words(QUANTITIES[k].unit) or "ratio") for k in keys)
    rows = []
    for example in examples:
        found = {key: (value, error) for key, value, error in example.parameters}
        cells = [_with_error(*found[k]) if k in found else (ABSENT, "") for k in keys]
        place = "voxel " + ", ".join(map(str, example.index))
        rows.append(((example.region, place), *cells))
    return WideTable(heads=(("", ""), *heads), rows=tuple(rows))


def _network_table(findings: DceFindings) -> WideTable | None:
    """Return what a network says of every region, beside the fit."""
    if findings.network is None:
        return None
    heads = (
        ("", ""), ("fit", "mean"), ("network", "mean of its medians"),
        ("90 % interval", "of a typical voxel"),
        ("fits inside", "their 90 % intervals"),
    )  # fmt: skip
    rows = []
    for row in findings.network.rows:
        unit = unit_words(QUANTITIES[row.key].unit)
        rows.append((
            (f"{symbol(row.key)}, {row.region}", unit), (significant(row.fit), ""),
            (significant(row.network), ""),
            (f"{significant(row.low)} to {significant(row.high)}", ""),
            (f"{number(100 * row.inside, 0)} %", ""),
        ))  # fmt: skip
    return WideTable(heads=heads, rows=tuple(rows))


def _with_error(value: float, error: float) -> tuple[str, str]:
    return significant(value), f"± {significant(error, 2)}" if np.isfinite(error) else "± not known"

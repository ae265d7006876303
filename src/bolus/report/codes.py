"""The page of the perfusion codes of one tumour: what its template needs, in words and numbers."""

import numpy as np

from bolus.report.codes_findings import CodeFindings, CodeShare
from bolus.report.glance import Glance
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.tables import WideTable, settings_text
from bolus.report.wording import ABSENT, exam_words, number, of_quantity, plural

_TEMPLATE = "codes.html.j2"
_LOST_PERCENT = 5.0
_UNLIKE_PERCENT = 10.0
_SHORT_DIGEST = 16


def render_codes_report(findings: CodeFindings) -> str:
    """Return the perfusion codes of one tumour as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: the codes, their shares and curves, and the network they are from.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: CodeFindings) -> dict[str, object]:
    from bolus.report import figures_codes  # matplotlib loads only to draw

    return {
        "findings": findings,
        "exam": exam_words(findings.signal.grid, findings.signal.time),
        "tiles": _tiles(findings),
        "bars": _bars(findings),
        "shares": _share_table(findings),
        "curves": _curve_table(findings),
        "pictures": {
            "map": figures_codes.code_map(findings),
            "legend": figures_codes.code_legend(findings),
            "curves": figures_codes.code_curves(findings),
        },
        "weights": findings.weights_digest[:_SHORT_DIGEST],
        "methods": write_methods(
            findings.provenance,
            version=findings.version,
            aim="Signal curves of the tumour were given codes",
        ),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


def _tiles(findings: CodeFindings) -> tuple[Glance, ...]:
    whole = findings.of_region(findings.regions[0])
    return (
        _first_tile(whole[0]),
        _used_tile(whole),
        _voxels_tile(findings, sum(row.voxels for row in whole)),
        _unlike_tile(findings),
        Glance(
            name="Network",
            look=findings.card.simulated,
            finding=f"{findings.card.name}, {plural(len(findings.names), 'code')}",
            detail="trained on simulated curves" if findings.card.simulated else "",
        ),
    )


def _first_tile(row: CodeShare) -> Glance:
    return Glance(
        name=row.code,
        look=False,
        judged=False,
        finding=f"{number(row.percent, 2)} % of the tumour",
        detail=f"{_interval(row)}; the code whose signal drops most",
    )


def _used_tile(whole: tuple[CodeShare, ...]) -> Glance:
    most = max(whole, key=lambda row: row.percent)
    there = sum(row.voxels > 0 for row in whole)
    return Glance(
        name="Codes",
        look=False,
        judged=False,
        finding=f"{there} of {len(whole)} occur",
        detail=f"most of all {most.code}: {number(most.percent, 0)} %",
    )


def _voxels_tile(findings: CodeFindings, coded: int) -> Glance:
    total = coded + findings.left_out
    lost = 100 * findings.left_out / total if total else float("nan")
    volume = coded * findings.signal.grid.voxel_volume_ml
    return Glance(
        name="Voxels",
        look=not lost <= _LOST_PERCENT,
        finding=f"{number(volume, 1)} mL in {plural(coded, 'voxel')}",
        detail=f"{number(lost, 1)} % of the tumour without a curve",
    )


def _unlike_tile(findings: CodeFindings) -> Glance:
    known = bool(np.isfinite(findings.unlike_percent))
    return Glance(
        name="Unlike the training",
        look=not findings.unlike_percent <= _UNLIKE_PERCENT,
        finding=f"{number(findings.unlike_percent, 1)} % of the curves" if known else "not known",
        detail="5 % would be by chance" if known else "the network does not say it",
    )


def _bars(findings: CodeFindings) -> list[dict[str, object]]:
    """Return of every region its name and, for every code, colour, name and width."""
    from bolus.report.figures_codes import code_colour

    count = len(findings.names)
    return [
        {
            "region": region,
            "parts": [
                {
                    "colour": code_colour(findings.names.index(row.code), count),
                    "name": row.code,
                    "percent": number(row.percent, 1),
                    "width": round(max(row.percent, 0.0), 2),
                }
                for row in findings.of_region(region)
                if np.isfinite(row.percent)
            ],
        }
        for region in findings.regions
    ]


def _share_table(findings: CodeFindings) -> WideTable:
    """Return the perfusion code ratio of every region, with intervals."""
    heads = (("Region", ""), ("volume", "mL"), *((name, "%") for name in findings.names))
    rows = []
    for region in findings.regions:
        shares = findings.of_region(region)
        volume = number(sum(row.volume_ml for row in shares), 1)
        cells = ((number(row.percent, 2), _interval(row)) for row in shares)
        rows.append(((region, ""), (volume, ""), *cells))
    return WideTable(heads=heads, rows=tuple(rows))


def _curve_table(findings: CodeFindings) -> WideTable:
    """Return what the curves of each code have in common, in terms that readers know."""
    heads = (("Code", ""), ("voxels", ""), ("lowest signal", "of its own highest"),
             ("last frame", "of its own highest"), ("nCBV", "median"))  # fmt: skip
    rows = []
    for curve in findings.curves:
        known = curve.voxels > 0
        rows.append(
            (
                (curve.code, ""),
                (str(curve.voxels), ""),
                (number(float(curve.middle.min()), 2) if known else ABSENT, ""),
                (number(float(curve.middle[-1]), 2) if known else ABSENT, ""),
                (of_quantity(curve.ncbv, "ncbv"), ""),
            )
        )
    return WideTable(heads=heads, rows=tuple(rows))


def _interval(row: CodeShare) -> str:
    if not (np.isfinite(row.low95) and np.isfinite(row.high95)):
        return ABSENT
    return f"{number(row.low95, 2)} to {number(row.high95, 2)}"

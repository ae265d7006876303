"""The page of any perfusion series: what it is, its curves, where they come from, motion."""

import numpy as np

from bolus.report.glance import Glance, bolus_tile, motion_tile
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.series_findings import SeriesFindings
from bolus.report.tables import WideTable, acquisition_rows
from bolus.report.wording import (
    ABSENT,
    exam_words,
    number,
    plural,
    signed,
    significant,
    size_words,
    step_words,
    symbol,
    thousands,
    unit_text,
)

_TEMPLATE = "series.html.j2"
_VOXEL_MM = (0.2, 20.0)
"""Sides of a voxel beyond which the header is more likely wrong than the scanner is special."""


def render_series_report(findings: SeriesFindings) -> str:
    """Return the page of one perfusion series as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: what was seen.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: SeriesFindings) -> dict[str, object]:
    from bolus.report.pictures import draw_series  # matplotlib loads only to draw

    return {
        "findings": findings,
        "exam": exam_words(findings.signal.grid, findings.signal.time),
        "verdict": findings.kind[:1].upper() + findings.kind[1:],
        "tiles": _tiles(findings),
        "quantity": _quantity(findings),
        "pictures": draw_series(findings),
        "numbers": _numbers(findings),
        "acquisition": acquisition_rows(findings.signal),
        "methods": write_methods(
            findings.provenance, version=findings.version, aim="Mean curves of regions were read"
        ),
        "digest": findings.provenance.digest(),
    }


def _quantity(findings: SeriesFindings) -> str:
    shown = findings.curves_of.quantity
    return f"{shown.name[:1].upper()}{shown.name[1:]} {symbol(shown.key)}"


def _tiles(findings: SeriesFindings) -> tuple[Glance, ...]:
    return (
        _bolus(findings),
        _sampling(findings),
        _brain(findings),
        motion_tile(findings.motion, findings.motion_skipped, findings.signal, findings.bolus),
        _warnings(findings),
    )


def _bolus(findings: SeriesFindings) -> Glance:
    if findings.bolus is not None:
        return bolus_tile(findings.bolus, findings.signal.time)
    return Glance(
        name="Bolus",
        look=False,
        finding="no single first pass to measure",
        detail=f"changes are shown against the {findings.start_words}",
        judged=False,
    )


def _sampling(findings: SeriesFindings) -> Glance:
    time = findings.signal.time
    return Glance(
        name="Sampling",
        look=not time.is_uniform,
        finding=f"{plural(len(time), 'frame')}, {step_words(time)}",
        detail=f"over {number(time.duration_s, 0)} s"
        + ("" if time.is_uniform else "; the interval is not constant"),
    )


def _brain(findings: SeriesFindings) -> Glance:
    brain, grid = findings.brain, findings.signal.grid
    low, high = _VOXEL_MM
    strange = not all(low <= side <= high for side in grid.voxel_sizes_mm)
    return Glance(
        name="Brain mask",
        look=strange or not brain.count,
        finding=f"{significant(brain.volume_ml)} mL in {plural(brain.count, 'voxel')}",
        detail=f"voxels of {size_words(grid)}: volumes are unsure" if strange else "",
        judged=False,
    )


def _warnings(findings: SeriesFindings) -> Glance:
    count = len(findings.warnings)
    return Glance(
        name="Warnings",
        look=bool(count),
        finding=plural(count, "warning") if count else "none",
        detail="listed below" if count else "",
    )


def _numbers(findings: SeriesFindings) -> WideTable:
    """Return of every curve where it starts, how high and low it gets, and where it ends."""
    unit = unit_text(findings.curves_of.quantity.unit)
    against = f"change from {findings.start_words}" if findings.shows_change else unit
    heads = (
        ("Curve", ""),
        ("voxels", "volume"),
        ("start", f"{unit}, {findings.start_words}"),
        ("highest", against),
        ("lowest", against),
        ("last frame", against),
    )
    rows = []
    for (name, values), mask in zip(findings.curves, findings.masks, strict=True):
        shown = findings.change_percent(values) if findings.shows_change else np.asarray(values)
        rows.append(
            (
                (name, ""),
                (thousands(mask.count), f"{significant(mask.volume_ml)} mL"),
                (significant(findings.level(values)), ""),
                _extreme(findings, shown, highest=True),
                _extreme(findings, shown, highest=False),
                (_said(findings, float(shown[-1])), ""),
            )
        )
    return WideTable(heads=heads, rows=tuple(rows))


def _extreme(findings: SeriesFindings, shown: np.ndarray, *, highest: bool) -> tuple[str, str]:
    if not np.isfinite(shown).any():
        return ABSENT, ""
    frame = int(np.nanargmax(shown) if highest else np.nanargmin(shown))
    at = f"at {number(float(findings.signal.time.seconds[frame]), 1)} s"
    return _said(findings, float(shown[frame])), at


def _said(findings: SeriesFindings, value: float) -> str:
    if not findings.shows_change:
        return significant(value)
    return f"{signed(value, 1)} %" if np.isfinite(value) else ABSENT

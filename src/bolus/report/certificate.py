"""The certificate as a page and as plain values: what was asked of the code, and what it did."""

import math
from collections.abc import Mapping, Sequence

from bolus import RESEARCH_USE
from bolus.report.certificate_findings import Certificate, Chapter, ErrorTable, Gate, Part
from bolus.report.glance import Glance
from bolus.report.page import render_page
from bolus.report.wording import ABSENT, number, plural, signed, significant

_TEMPLATE = "certificate.html.j2"
_SHADE_FULL = 50.0
"""Error [%] at which the shading of a cell is full."""


def certificate_record(certificate: Certificate) -> dict[str, object]:
    """Return the certificate as plain values for JSON; what is not a number is None.

    Args:
        certificate: from the gates.

    Returns:
        `gates`, one object each with chapter, part, name, what, object, method, value, unit, goal,
        low, high, passed, source and note; `errors`, one object for each number of the tables; and
        version, date, seed, profile, settings, inputs, counts and the sentence on use.
    """
    gates, errors = [], []
    for chapter in certificate.chapters:
        for part in chapter.parts:
            where = {"chapter": chapter.key, "part": part.title}
            gates += [where | _gate_record(gate) for gate in part.gates]
            errors += [where | row for table in part.tables for row in _error_records(table)]
    return {
        "gates": gates,
        "passed": certificate.passed,
        "counts": {v: certificate.count(v) for v in ("passed", "failed", "not run")},
        "version": certificate.version,
        "created": certificate.created,
        "seed": certificate.seed,
        "profile": certificate.profile,
        "settings": dict(certificate.settings),
        "inputs": dict(certificate.inputs),
        "errors": errors,
        "use": RESEARCH_USE,
    }


def _gate_record(gate: Gate) -> dict[str, object]:
    return {
        "name": gate.name,
        "what": gate.what,
        "object": gate.object,
        "method": gate.method,
        "value": _finite(gate.value),
        "unit": gate.unit,
        "goal": gate.goal,
        "low": _finite(gate.low),
        "high": _finite(gate.high),
        "passed": gate.passed,
        "source": gate.source,
        "note": gate.note,
    }


def _error_records(table: ErrorTable) -> list[dict[str, object]]:
    return [
        {
            "table": table.title,
            "what": table.what,
            "object": row.object,
            "method": row.method,
            "column": column,
            "value": _finite(error),
        }
        for row in table.rows
        for column, error in zip(table.columns, row.errors, strict=True)
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def render_certificate(certificate: Certificate) -> str:
    """Return the certificate as one self-contained HTML page, in the style of every report.

    The page has no scripts and loads nothing. The same certificate gives the same bytes.

    Args:
        certificate: from the gates.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(
        _TEMPLATE,
        {
            "findings": certificate,
            "exam": "; ".join(chapter.title for chapter in certificate.chapters),
            "verdict": _verdict(certificate),
            "tiles": _tiles(certificate),
            "chapters": [_chapter(chapter) for chapter in certificate.chapters],
        },
    )


def _verdict(certificate: Certificate) -> str:
    """Say in one line how it went."""
    run = certificate.count("passed") + certificate.count("failed")
    words = f"{certificate.count('passed')} of {plural(run, 'gate')} passed"
    if certificate.count("failed"):
        words += f"; {certificate.count('failed')} fell short"
    if certificate.count("not run"):
        words += f"; {certificate.count('not run')} not run"
    return f"{words}."


def _tiles(certificate: Certificate) -> tuple[Glance, ...]:
    """Return one tile for each part: how many of its gates passed."""
    return tuple(
        _tile(part) for chapter in certificate.chapters for part in chapter.parts if part.gates
    )


def _tile(part: Part) -> Glance:
    run = [gate for gate in part.gates if gate.passed is not None]
    short = [gate for gate in run if not gate.passed]
    skipped = len(part.gates) - len(run)
    details = [f"short: {', '.join(dict.fromkeys(g.name for g in short))}"] if short else []
    details += [f"{skipped} not run"] if skipped else []
    return Glance(
        name=part.title,
        look=bool(short),
        finding=f"{len(run) - len(short)} of {plural(len(run), 'gate')} passed"
        if run
        else "not run",
        detail="; ".join(details),
        judged=bool(run),
    )


def _chapter(chapter: Chapter) -> dict[str, object]:
    from bolus.report.figures_certificate import draw_plot  # matplotlib loads only to draw

    return {
        "title": chapter.title,
        "parts": [
            {
                "title": part.title,
                "text": part.text,
                "gates": _gate_rows(part.gates),
                "plots": [(plot, draw_plot(plot)) for plot in part.plots],
                "tables": [_table(table) for table in part.tables],
            }
            for part in chapter.parts
        ],
    }


def _gate_rows(gates: Sequence[Gate]) -> list[Mapping[str, object]]:
    """Return the rows of a table; a gate on several objects is named in its first row."""
    before = [None, *gates]
    return [
        {
            "verdict": gate.verdict,
            "named": last is None or (last.name, last.what) != (gate.name, gate.what),
            "name": gate.name,
            "what": gate.what,
            "object": gate.object,
            "method": gate.method,
            "value": value_text(gate),
            "goal": gate.goal.replace(">=", "≥").replace("<=", "≤"),
            "source": gate.source,
            "note": gate.note,
        }
        for last, gate in zip(before, gates, strict=False)
    ]


def value_text(gate: Gate) -> str:
    """Return the measured value as it is printed, with its unit; a dash where there is none.

    A value beyond its limit is never rounded onto it: digits are added until it reads as it is.
    """
    if gate.value is None or not math.isfinite(gate.value):
        return ABSENT
    digits = 3
    while digits < 12 and _hides(gate, significant(gate.value, digits)):
        digits += 1
    return f"{significant(gate.value, digits)} {gate.unit}".strip()


def _hides(gate: Gate, text: str) -> bool:
    """Whether a printed number would pass where the exact one fails, or the reverse."""
    shown = float(text.replace("−", "-"))
    inside = gate.low < shown < gate.high if gate.strict else gate.low <= shown <= gate.high
    return inside is not gate.passed


def _table(table: ErrorTable) -> dict[str, object]:
    signs = [column not in table.absolute for column in table.columns]
    rows, last = [], ""
    for row in table.rows:
        rows.append(
            {
                "object": "" if row.object == last else row.object,
                "method": row.method,
                "cells": [_cell(e, sign) for e, sign in zip(row.errors, signs, strict=True)],
            }
        )
        last = row.object
    heads = [_unit_kept(column) for column in table.columns]
    words = {"title": table.title, "text": table.text, "what": table.what}
    return {**words, "columns": heads, "rows": rows}


def _unit_kept(text: str) -> str:
    """Return a column head that does not break between a number and its unit."""
    first, _, last = text.rpartition(" ")
    return f"{first}\u00a0{last}" if first and len(last) <= 2 else text


def _cell(error: float, sign: bool) -> tuple[str, str]:
    """Return the text and background: blue for too little, amber for too much, grey unsigned."""
    if not math.isfinite(error):
        return ABSENT, "transparent"
    share = 0.55 * min(abs(error) / _SHADE_FULL, 1.0)
    if not sign:
        return number(error, 1), f"rgba(90,102,115,{number(share, 3)})"
    colour = "31,95,168" if error < 0 else "217,131,0"
    return signed(error, 1), f"rgba({colour},{number(share, 3)})"

"""The report of a whole cohort: what its template needs, in words and numbers."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from bolus.core import QUANTITIES
from bolus.report.glance import Glance
from bolus.report.group_findings import GroupFindings, GroupRegion, GroupStep
from bolus.report.page import render_page
from bolus.report.tables import WideTable
from bolus.report.wording import number, of_quantity, plural, significant, symbol, unit_text

_TEMPLATE = "group.html.j2"
_MAIN = ("ncbv", "cbv", "cbf", "mtt", "tmax", "ktrans", "ve", "vp", "kep", "fp", "ps")
"""Quantities that are drawn; the table has all."""
_MOST_ROWS = 40
_MOST_NAMES = 8
_LOOK: Mapping[str, str] = MappingProxyType(
    {
        "ncbv": "the outline of the normal-appearing white matter and of the tumour",
        "cbv": "the arterial curve and the leakage correction",
        "rcbv": "the outline of the tumour",
        "srcbv": "the outline of the tumour",
        "cbf": "the arterial curve: place, peak, partial volume",
        "mtt": "the arterial curve: width and delay",
        "tmax": "the arterial curve: time of arrival",
        "delay": "the arterial curve: time of arrival",
        "bat": "the time of the injection and the number of baseline frames",
        "ttp": "the time of the injection",
        "k1": "the curves of the tumour after the first pass",
        "k2": "the curves of the tumour after the first pass",
        "psr": "the curves of the tumour after the first pass, and drift",
        "ph": "the depth of the bolus",
        "ktrans": "the T1 map, the plasma curve and head motion",
        "kep": "the length of the series and the plasma curve",
        "ve": "the T1 map and the length of the series",
        "vp": "the sampling of the first pass and the plasma curve",
        "fp": "the sampling of the first pass",
        "ps": "the sampling of the first pass",
        "r10": "the flip-angle images and the B1 map",
        "t10": "the flip-angle images and the B1 map",
    }
)
"""Quantity -> what to look at first in the exam's own report."""
_LOOK_ELSE = "the exam's own report"


def render_group_report(findings: GroupFindings) -> str:
    """Return the report of a cohort as one self-contained HTML page.

    The page has no scripts and loads nothing; it links to the exams' own reports. The same
    findings give the same bytes. All text that came from outside is escaped.

    Args:
        findings: what the cohort gave.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: GroupFindings) -> dict[str, object]:
    from bolus.report.figures_group import draw_distribution  # matplotlib loads only to draw

    drawn = [
        (step, key, [r for r in findings.regions if (r.step, r.key) == (step, key)])
        for step in ("dsc", "dce")
        for key in _MAIN
    ]
    outliers = findings.outliers
    return {
        "findings": findings,
        "exam": plural(len(findings.sessions), "session"),
        "tiles": _tiles(findings),
        "missing": [step for step in findings.steps if step.state != "done"],
        "reasons": _reasons(findings),
        "pictures": [
            {
                "title": symbol(key),
                "name": QUANTITIES[key].name,
                "step": step.upper(),
                "picture": draw_distribution(key, step, rows, far=findings.far),
            }
            for step, key, rows in drawn
            if rows
        ],
        "summary": _summary(findings.regions),
        "outliers": [_outlier(row, findings) for row in outliers[:_MOST_ROWS]],
        "more_outliers": max(len(outliers) - _MOST_ROWS, 0),
        "protocols": [
            {"step": step.upper(), "values": _mix(findings, step)}
            for step in ("dsc", "dce")
            if any(item.step == step for item in findings.protocols)
        ],
        "quality": _quality(findings),
    }


def _tiles(findings: GroupFindings) -> tuple[Glance, ...]:
    done = _sessions(s for s in findings.steps if s.state == "done")
    missing = _sessions(s for s in findings.steps if s.state != "done")
    outliers = findings.outliers
    flags = [item for item in findings.quality if item.look]
    mixed = [
        name for step in ("dsc", "dce") for name, counts in _mix(findings, step) if len(counts) > 1
    ]
    return (
        Glance(
            name="Sessions",
            look=False,
            finding=f"{len(done)} of {len(findings.sessions)} have results",
            judged=False,
        ),
        Glance(
            name="Without a result",
            look=bool(missing),
            finding=plural(len(missing), "session") if missing else "none",
            detail="a step failed or was not run" if missing else "",
        ),
        Glance(
            name="Outliers",
            look=bool(outliers),
            finding=plural(len(outliers), "value") if outliers else "none",
            detail=f"in {plural(len({r.session for r in outliers}), 'session')}"
            if outliers
            else f"|z| ≤ {number(findings.far, 1)}",
        ),
        Glance(
            name="Protocols",
            look=bool(mixed),
            finding="mixed" if mixed else "the same in all",
            detail=", ".join(dict.fromkeys(mixed)),
        ),
        Glance(
            name="Quality",
            look=bool(flags),
            finding=plural(len(flags), "flag") if flags else "no flags",
            detail=f"in {plural(len({f.session for f in flags}), 'session')}" if flags else "",
        ),
    )


def _sessions(steps: Iterable[GroupStep]) -> list[str]:
    return list(dict.fromkeys(step.session for step in steps))


def _reasons(findings: GroupFindings) -> list[tuple[str, int]]:
    counts = Counter(s.reason for s in findings.steps if s.state != "done")
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _outlier(row: GroupRegion, findings: GroupFindings) -> dict[str, str]:
    group = [
        r.mean
        for r in findings.regions
        if (r.step, r.region, r.key) == (row.step, row.region, row.key) and np.isfinite(r.mean)
    ]
    page = {(s.session, s.step): s.page for s in findings.steps}
    return {
        "session": row.session,
        "page": page.get((row.session, row.step), ""),
        "step": row.step.upper(),
        "region": row.region,
        "quantity": symbol(row.key),
        "unit": unit_text(QUANTITIES[row.key].unit) or "ratio",
        "value": of_quantity(row.mean, row.key),
        "middle": of_quantity(float(np.median(group)), row.key),
        "z": number(row.z, 1),
        "look": _LOOK.get(row.key, _LOOK_ELSE),
    }


def _summary(rows: Sequence[GroupRegion]) -> WideTable:
    """Return median, quartiles and range of every quantity in every region over the sessions."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        if np.isfinite(row.mean):
            groups.setdefault((row.step, row.key, row.region), []).append(row.mean)
    order = list(QUANTITIES)
    cells = []
    for (step, key, region), values in sorted(
        groups.items(), key=lambda item: (item[0][0] != "dsc", order.index(item[0][1]))
    ):
        low, q1, middle, q3, high = np.percentile(values, (0, 25, 50, 75, 100))
        unit = unit_text(QUANTITIES[key].unit) or "ratio"
        cells.append(
            (
                (f"{step.upper()} {symbol(key)}", unit),
                (region, ""),
                (str(len(values)), ""),
                (of_quantity(middle, key), ""),
                (f"{of_quantity(q1, key)} to {of_quantity(q3, key)}", ""),
                (f"{of_quantity(low, key)} to {of_quantity(high, key)}", ""),
            )
        )
    heads = ("Quantity", "region", "sessions", "median", "quartiles", "range")
    return WideTable(heads=tuple((head, "") for head in heads), rows=tuple(cells))


def _mix(findings: GroupFindings, step: str) -> list[tuple[str, list[dict[str, object]]]]:
    """Return for every item of the protocol its values, with how many and which sessions."""
    own = [item for item in findings.protocols if item.step == step]
    items: dict[str, dict[str, list[str]]] = {}
    for protocol in own:
        for name, value in protocol.items:
            items.setdefault(name, {}).setdefault(value, []).append(protocol.session)
    return [
        (
            name,
            [
                {"value": value, "count": len(sessions), "sessions": _few(sessions, len(own))}
                for value, sessions in sorted(found.items(), key=lambda v: (-len(v[1]), v[0]))
            ],
        )
        for name, found in items.items()
    ]


def _few(sessions: Sequence[str], all_of_them: int) -> str:
    """Return names of sessions, or "" where all or most have the value."""
    if 2 * len(sessions) > all_of_them:
        return ""
    more = len(sessions) - _MOST_NAMES
    return ", ".join(sessions[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _quality(findings: GroupFindings) -> list[dict[str, object]]:
    """Return for every figure of quality its spread, and the sessions that ask for a look."""
    rows = []
    for step in ("dsc", "dce"):
        own = [item for item in findings.quality if item.step == step]
        for name in dict.fromkeys(item.name for item in own):
            same = [item for item in own if item.name == name]
            values = np.array([item.value for item in same])
            values = values[np.isfinite(values)]
            flagged = [item.session for item in same if item.look]
            low, middle, high = (
                np.percentile(values, (0, 50, 100)) if values.size else [float("nan")] * 3
            )
            rows.append(
                {
                    "step": step.upper(),
                    "name": name,
                    "unit": unit_text(same[0].unit),
                    "middle": significant(float(middle)),
                    "range": f"{significant(float(low))} to {significant(float(high))}",
                    "look": bool(flagged),
                    "flagged": f"{len(flagged)}: {', '.join(flagged[:_MOST_NAMES])}"
                    + (" and more" if len(flagged) > _MOST_NAMES else "")
                    if flagged
                    else "",
                }
            )
    return rows

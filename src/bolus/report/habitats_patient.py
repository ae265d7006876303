"""The report of one patient's habitats through time: what its template needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core import QUANTITIES, SessionKey
from bolus.habitats import (
    ANCHORS,
    HabitatChange,
    HabitatTrack,
    Interval,
    ProgressionSite,
    Transition,
    VisitVolumes,
    centres_of,
)
from bolus.metrics.multiplicity import holm
from bolus.report.glance import Glance
from bolus.report.habitats_findings import (
    HabitatPatientFindings,
    PatientScore,
    VisitRegistration,
)
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.tables import WideTable, round_ticks, settings_text
from bolus.report.wording import ABSENT, number, p_words, plural, signed, symbol, tick, unit_text

_TEMPLATE = "habitats_patient.html.j2"
_LOST_PERCENT = 5.0
_UNUSUAL_PERCENT = 10.0
INSIDE_NOISE, BEYOND_NOISE = "inside measurement noise", "beyond measurement noise"


def render_habitat_patient(findings: HabitatPatientFindings) -> str:
    """Return the habitats of one patient through time as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: the visits, what was followed, and how well they were brought together.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: HabitatPatientFindings) -> dict[str, object]:
    from bolus.report.pictures_habitats import draw_patient  # matplotlib loads only to draw

    track = findings.track
    return {
        "findings": findings,
        "exam": _exam_words(findings),
        "tiles": patient_tiles(findings),
        "changes": change_tables(findings),
        "volumes": volume_table(track, "volumes"),
        "fractions": volume_table(track, "fractions"),
        "transitions": [transition_matrix(findings, step) for step in track.transitions],
        "sites": site_rows(track, findings),
        "registration": [_registration(row, findings) for row in findings.registration],
        "score": None if findings.score is None else _score(findings.score, findings),
        "model": model_table(findings),
        "missing": [(key.prefix, why) for key, why in track.missing],
        "pictures": draw_patient(findings),
        "methods": write_methods(
            findings.provenance,
            version=findings.version,
            aim="Habitats of the lesion were followed from visit to visit",
        ),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


def _exam_words(findings: HabitatPatientFindings) -> str:
    visits = findings.track.visits
    return f"{plural(len(visits), 'visit')} over {plural(visits[-1].day - visits[0].day, 'day')}"


def patient_tiles(findings: HabitatPatientFindings) -> tuple[Glance, ...]:
    """Return the five tiles on top of the page."""
    track = findings.track
    missing = track.missing
    return (
        Glance(
            name="Visits",
            look=bool(missing),
            finding=f"{_exam_words(findings)} followed",
            detail=f"{plural(len(missing), 'visit')} could not be used" if missing else "",
        ),
        _changes_tile(track),
        _registration_tile(findings),
        _voxels_tile(findings),
        Glance(
            name="Model",
            look=findings.model.simulated,
            finding=f"{plural(len(findings.model.names), 'habitat')}, "
            f"{findings.model.method} of {plural(len(findings.model.fitted_on), 'patient')}",
            detail="simulated patients only" if findings.model.simulated else "",
        ),
    )


def _changes_tile(track: HabitatTrack) -> Glance:
    beyond = [change for change in track.changes if change.beyond_noise]
    newest = tuple(visit.key for visit in track.visits[-2:])
    last = [
        f"{change.habitat} {signed(change.change_ml.value, 1)} mL"
        for change in beyond
        if (change.before, change.after) == newest
    ]
    return Glance(
        name="Change",
        look=False,
        judged=False,
        finding=f"{len(beyond)} of {len(track.changes)} beyond noise",
        detail=f"at the last visit: {', '.join(last)}" if last else "none at the last visit",
    )


def _registration_tile(findings: HabitatPatientFindings) -> Glance:
    moved = [row for row in findings.registration if row.kind != "none"]
    errors = [row.error_p95_mm for row in moved]
    if not errors or not np.isfinite(errors).all():
        return Glance(name="Registration", look=bool(moved), finding="error not known")
    side = min(findings.visits[0].labels.grid.voxel_sizes_mm)
    return Glance(
        name="Registration",
        look=max(errors) > side,
        finding=f"likely error at most {number(max(errors), 1)} mm (95th percentile)",
        detail=f"smallest side of a voxel {number(side, 1)} mm",
    )


def _voxels_tile(findings: HabitatPatientFindings) -> Glance:
    lost = [100 * v.left_out_ml / v.lesion_ml for v in findings.track.visits if v.lesion_ml > 0]
    odd = [v.unusual_percent for v in findings.visits if np.isfinite(v.unusual_percent)]
    most, oddest = max(lost, default=float("nan")), max(odd, default=float("nan"))
    return Glance(
        name="Voxels",
        look=not most <= _LOST_PERCENT or oddest > _UNUSUAL_PERCENT,
        finding=f"at most {number(most, 1)} % of a lesion without a value",
        detail=f"at most {number(oddest, 1)} % unlike all that the model has seen" if odd else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One change in words, and where its marks lie on the common axis [%].

    `noise` are the two ends of what noise alone does, `marks` lower end, value and upper end.
    """

    habitat: str
    change: str
    interval: str
    noise_ml: str
    beyond: bool
    words: str
    noise: tuple[float, float]
    marks: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTable:
    """The changes between two visits on one axis, with its ticks as (place [%], text)."""

    title: str
    days: str
    rows: tuple[ChangeRow, ...]
    ticks: tuple[tuple[float, str], ...]


def change_tables(findings: HabitatPatientFindings) -> tuple[ChangeTable, ...]:
    """Return the changes, one table and one axis for each pair of visits."""
    changes = findings.track.changes
    pairs = dict.fromkeys((c.before, c.after) for c in changes)
    return tuple(
        _change_table(findings, pair, [c for c in changes if (c.before, c.after) == pair])
        for pair in pairs
    )


def _change_table(
    findings: HabitatPatientFindings,
    pair: tuple[SessionKey, SessionKey],
    changes: Sequence[HabitatChange],
) -> ChangeTable:
    ends = [v for c in changes for v in (c.change_ml.lower, c.change_ml.upper, c.change_ml.value)]
    ends += [side * c.noise_ml for c in changes for side in (-1, 1)]
    known = [v for v in ends if np.isfinite(v)] or [-1.0, 1.0]
    ticks = round_ticks(min(known), max(known))
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return round(float(np.clip(100 * (value - first) / (last - first), 0, 100)), 2)

    return ChangeTable(
        title=_between(findings, pair),
        days=plural(changes[0].days, "day"),
        rows=tuple(_change_row(change, place, last - first) for change in changes),
        ticks=tuple((place(v), tick(v, ticks[1] - ticks[0])) for v in ticks),
    )


def _change_row(change: HabitatChange, place: Callable[[float], float], limit: float) -> ChangeRow:
    value = change.change_ml
    noise = change.noise_ml if np.isfinite(change.noise_ml) else limit
    return ChangeRow(
        habitat=change.habitat,
        change=signed(value.value, 1),
        interval=f"{signed(value.lower, 1)} to {signed(value.upper, 1)}",
        noise_ml=f"± {number(change.noise_ml, 1)}",
        beyond=change.beyond_noise,
        words=BEYOND_NOISE if change.beyond_noise else INSIDE_NOISE,
        noise=(place(-noise), place(noise)),
        marks=(place(value.lower), place(value.value), place(value.upper)),
    )


def _between(findings: HabitatPatientFindings, pair: tuple[SessionKey, SessionKey]) -> str:
    return " to ".join(_visit(findings, key) for key in pair)


def _visit(findings: HabitatPatientFindings, key: SessionKey) -> str:
    day = findings.day_of(key)
    return f"{key.session or 'visit'} (day {ABSENT if day is None else day})"


def volume_table(track: HabitatTrack, kind: str) -> WideTable:
    """Return volumes [mL] or fractions [%] of every habitat at every visit.

    Args:
        track: the patient.
        kind: "volumes" or "fractions".
    """
    volumes = kind == "volumes"
    unit = "mL" if volumes else "% of the lesion"
    factor = 1.0 if volumes else 100.0

    def cell(visit: VisitVolumes, name: str) -> tuple[str, str]:
        found: Interval = (visit.volumes_ml if volumes else visit.fractions)[name]
        ends = (number(factor * found.lower, 1), number(factor * found.upper, 1))
        return number(factor * found.value, 1), f"{ends[0]} to {ends[1]}"

    rows = [((name, unit), *(cell(visit, name) for visit in track.visits)) for name in track.names]
    if volumes:
        rows.append((("whole lesion", "mL"), *((number(v.lesion_ml, 1), "") for v in track.visits)))
        rows.append(
            (
                ("without a value in some map", "mL"),
                *((number(v.left_out_ml, 1), "") for v in track.visits),
            )
        )
    return WideTable(
        heads=(
            ("Habitat", ""),
            *((v.key.session or "visit", f"day {v.day}") for v in track.visits),
        ),
        rows=tuple(rows),
    )


def transition_matrix(findings: HabitatPatientFindings, step: Transition) -> dict[str, object]:
    """Return what was what, and became what, in mL and in percent of what it was."""
    volumes = np.asarray(step.volumes_ml)
    totals = volumes.sum(axis=1)
    rows = []
    for i, name in enumerate(step.names):
        cells = []
        for j in range(len(step.names)):
            if i == j == len(step.names) - 1:
                cells.append((ABSENT, "", 0))
                continue
            share = 100 * volumes[i, j] / totals[i] if totals[i] else float("nan")
            words = "" if i == len(step.names) - 1 else f"{number(share, 0)} %"
            shade = 0 if not words or not np.isfinite(share) else round(share / 2)
            cells.append((number(float(volumes[i, j]), 1), words, shade))
        rows.append((name, cells, number(float(totals[i]), 1)))
    return {
        "title": _between(findings, (step.before, step.after)),
        "names": step.names,
        "rows": rows,
        "sums": [number(float(v), 1) for v in volumes.sum(axis=0)],
    }


def site_rows(track: HabitatTrack, findings: HabitatPatientFindings) -> list[dict[str, object]]:
    """Return whether growth lay where enhancement came, with p-values corrected after Holm."""
    corrected = holm([site.p_value for site in track.sites])
    return [_site(site, p, findings) for site, p in zip(track.sites, corrected, strict=True)]


def _site(
    site: ProgressionSite, corrected: float, findings: HabitatPatientFindings
) -> dict[str, object]:
    above = site.overlap > site.expected and corrected < 0.05
    return {
        "habitat": site.habitat,
        "grew": _between(findings, (site.grew_from, site.grew_to)),
        "grown": number(site.grown_ml, 1),
        "enhanced": _visit(findings, site.enhanced_at),
        "new": number(site.new_enhancement_ml, 1),
        "reach": number(site.reach_mm, 0),
        "overlap": f"{number(100 * site.overlap, 0)} %",
        "expected": f"{number(100 * site.expected, 0)} %",
        "p": p_words(site.p_value),
        "holm": p_words(corrected),
        "above": above,
        "words": "more than chance" if above else "not told from chance",
    }


def _registration(row: VisitRegistration, findings: HabitatPatientFindings) -> dict[str, object]:
    side = min(findings.visits[0].labels.grid.voxel_sizes_mm)
    day = findings.day_of(row.key)
    own = row.kind == "none"
    return {
        "visit": f"{row.key.session or 'visit'}",
        "day": ABSENT if day is None else day,
        "kind": "first visit, not moved" if own else row.kind,
        "error": ABSENT if own else number(row.error_mm, 2),
        "p95": ABSENT if own else number(row.error_p95_mm, 2),
        "consistency": ABSENT if own else number(row.consistency_mm, 2),
        "similarity": ABSENT if own else number(row.similarity, 2),
        "own": own,
        "look": not own and not row.error_p95_mm <= side,
        "picture": row.picture,
    }


def _score(score: PatientScore, findings: HabitatPatientFindings) -> dict[str, object]:
    low, high = round(score.count.lower), round(score.count.upper)
    count = round(score.count.value)
    hazard = score.hazard
    noise = score.hazard_noise
    inside = hazard is not None and np.isfinite(noise) and 1 / noise <= hazard.value <= noise
    return {
        "between": _between(findings, (score.before, score.after)),
        "count": f"{count} of {len(score.cut_offs_ml)}",
        "range": f"{low}" if low == high else f"{low} to {high}",
        "sure": low == high,
        "cut_offs": ", ".join(
            f"{name} by more than {number(value, 1)} mL"
            for name, value in score.cut_offs_ml.items()
        ),
        "hazard": None if hazard is None else number(hazard.value, 2),
        "interval": ""
        if hazard is None
        else f"{number(hazard.lower, 2)} to {number(hazard.upper, 2)}",
        "noise": number(noise, 2) if np.isfinite(noise) else "",
        "words": INSIDE_NOISE if inside else BEYOND_NOISE if np.isfinite(noise) else "",
        "inside": inside,
        "source": score.source,
        "simulated": score.simulated,
    }


_ANCHORED = {"ncbv": "ncbv", "adc": "adc_mm2_per_s"}
"""Features whose centres are named by anchors -> field of the anchor."""


def model_table(findings: HabitatPatientFindings) -> WideTable:
    """Return centre and anchor of every habitat, and its share of the cohort's lesions."""
    model = findings.model
    centres = centres_of(model)
    units = ["10⁻³ mm²/s" if k == "adc" else unit_text(QUANTITIES[k].unit) for k in model.features]
    heads = [
        (f"centre, {symbol(key)}", unit or "ratio")
        for key, unit in zip(model.features, units, strict=True)
    ]
    rows = []
    for place, name in enumerate(model.names):
        cells = [(name, f"label {place + 1}")]
        for column, key in enumerate(model.features):
            factor = 1e3 if key == "adc" else 1.0
            anchor = ""
            if key in _ANCHORED and name in ANCHORS:
                anchor = number(factor * getattr(ANCHORS[name], _ANCHORED[key]), 2)
            value = number(factor * float(centres[place, column]), 2)
            cells.append((value, f"anchor {anchor}" if anchor else ""))
        cells.append((f"{number(100 * float(model.weights[place]), 0)} %", ""))
        rows.append(tuple(cells))
    return WideTable(
        heads=(("Habitat", ""), *heads, ("share of a lesion", "in the cohort")), rows=tuple(rows)
    )

"""The report of a cohort's habitats against its outcomes: tables ready for a paper."""

from collections.abc import Mapping, Sequence

import numpy as np

from bolus.habitats.analyses import (
    CalibrationCurve,
    HazardRow,
    PartCount,
    PermutedControl,
    RecurrenceAnalysis,
    SurvivalAnalysis,
)
from bolus.habitats.track import Interval
from bolus.metrics.multiplicity import holm
from bolus.report.glance import Glance
from bolus.report.habitats_findings import HabitatCohortFindings
from bolus.report.habitats_patients_table import (
    covariate_name,
    is_yes_or_no,
    patients_table,
)
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.tables import WideTable, settings_text
from bolus.report.wording import ABSENT, number, p_words, plural, signed, significant

_TEMPLATE = "habitats_cohort.html.j2"
_CENTRE = 0.05
_FALSE_POSITIVES = 0.06
_FEW_EVENTS = 10
"""Fewer events in a part than this make every number of it shaky."""
_PER_SD = "1 SD"


def render_habitat_cohort(findings: HabitatCohortFindings) -> str:
    """Return a cohort's habitats against its outcomes as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: the patients and what the analyses gave.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: HabitatCohortFindings) -> dict[str, object]:
    from bolus.report.pictures_habitats import draw_cohort  # matplotlib loads only to draw

    survival, recurrence = findings.survival, findings.recurrence
    return {
        "findings": findings,
        "exam": plural(len(findings.cohort.rows), "patient"),
        "tiles": cohort_tiles(findings),
        "patients": patients_table(findings.cohort, findings.split),
        "classes": class_table(findings),
        "survival": None if survival is None else _survival(survival),
        "recurrence": None if recurrence is None else _recurrence(recurrence),
        "left_out": left_out_rows(findings),
        "pictures": draw_cohort(findings),
        "methods": write_methods(
            findings.provenance,
            version=findings.version,
            aim="Habitats of the lesion were related to what came after",
        ),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


def cohort_tiles(findings: HabitatCohortFindings) -> tuple[Glance, ...]:
    """Return the five tiles on top of the page."""
    cohort, survival, recurrence = findings.cohort, findings.survival, findings.recurrence
    scanners = {row.scanner for row in cohort.rows if row.scanner}
    return (
        Glance(
            name="Patients",
            look=bool(cohort.left_out),
            finding=f"{plural(len(cohort.rows), 'patient')} with two visits",
            detail="; ".join(
                part
                for part in (
                    plural(len(scanners), "scanner") if scanners else "",
                    f"{len(cohort.left_out)} left out" if cohort.left_out else "",
                )
                if part
            ),
        ),
        _events_tile(survival, recurrence),
        Glance(
            name="Survival",
            look=survival is None,
            judged=False,
            finding=f"C {_ci(survival.concordance[0].harrell)}" if survival else "not analysed",
            detail=f"{survival.concordance[0].name}, test part" if survival else "",
        ),
        Glance(
            name="Recurrence",
            look=recurrence is None,
            judged=False,
            finding=f"AUC {_ci(recurrence.rocs[0].auc)}" if recurrence else "not analysed",
            detail=f"{recurrence.rocs[0].name}, test part" if recurrence else "",
        ),
        _control_tile(survival, recurrence),
    )


def _events_tile(
    survival: SurvivalAnalysis | None, recurrence: RecurrenceAnalysis | None
) -> Glance:
    tests = []
    if survival:
        tests.append((_part(survival.counts, "test").events, survival.outcome))
    if recurrence:
        part = _part(recurrence.counts, "test")
        tests.append((min(part.events, part.patients - part.events), "rarer class of lesions"))
    fewest = min((count for count, _ in tests), default=0)
    return Glance(
        name="Events",
        look=fewest < _FEW_EVENTS,
        finding=", ".join(f"{name} {count}" for count, name in tests) or "none analysed",
        detail="in the test part",
    )


def _part(counts: Sequence[PartCount], name: str) -> PartCount:
    return next((c for c in counts if c.part == name), PartCount(part=name, patients=0, events=0))


def _control_tile(
    survival: SurvivalAnalysis | None, recurrence: RecurrenceAnalysis | None
) -> Glance:
    controls = [
        (name, analysis.permuted)
        for name, analysis in (("C", survival), ("AUC", recurrence))
        if analysis is not None and analysis.permuted is not None and analysis.permuted.runs
    ]
    if not controls:
        return Glance(name="Control", look=True, finding="not run", detail="exchanged outcomes")
    return Glance(
        name="Control",
        look=not all(_silent(control) for _, control in controls),
        finding=", ".join(f"{name} {number(control.centre, 2)}" for name, control in controls)
        + " with exchanged outcomes",
        detail="false positives "
        + ", ".join(f"{number(100 * control.false_positives, 1)} %" for _, control in controls),
    )


def _silent(control: PermutedControl) -> bool:
    """Whether exchanged outcomes gave nothing: near 0.5, and few findings."""
    near = abs(control.centre - 0.5) <= _CENTRE
    return near and control.false_positives <= _FALSE_POSITIVES


def class_table(findings: HabitatCohortFindings) -> WideTable:
    """Return n per class in every part: events and censored, recurrence and treatment effect."""
    parts = ("training", "validation", "test")
    rows = []
    for analysis, yes, no in (
        (findings.survival, "", "censored"),
        (findings.recurrence, "recurrence", "treatment effect"),
    ):
        if analysis is None:
            continue
        event = analysis.outcome if isinstance(analysis, SurvivalAnalysis) else yes
        counts = [_part(analysis.counts, part) for part in parts]
        for name, values in (
            (event, [c.events for c in counts]),
            (no, [c.patients - c.events for c in counts]),
        ):
            rows.append(((name, ""), *((str(v), "") for v in (*values, sum(values)))))
    heads = ("Class", *parts, "all")
    return WideTable(heads=tuple((head, "") for head in heads), rows=tuple(rows))


def left_out_rows(findings: HabitatCohortFindings) -> list[tuple[str, str, str]]:
    """Return analysis, reason and whom it concerns, the most frequent reasons first."""
    analyses = (("all", findings.cohort), ("survival", findings.survival),
                ("recurrence", findings.recurrence))  # fmt: skip
    groups: dict[tuple[str, str], list[str]] = {}
    everywhere = set(findings.cohort.left_out)
    for name, item in analyses:
        for subject, why in () if item is None else item.left_out:
            if name == "all" or (subject, why) not in everywhere:
                groups.setdefault((name, why), []).append(subject)
    return [
        (name, why, _few(subjects))
        for (name, why), subjects in sorted(groups.items(), key=lambda g: (g[0][0], -len(g[1])))
    ]


def _few(names: Sequence[str]) -> str:
    more = len(names) - 8
    return f"{len(names)}: {', '.join(names[:8])}" + (f" and {more} more" if more > 0 else "")


def _survival(found: SurvivalAnalysis) -> dict[str, object]:
    return {
        "outcome": found.outcome,
        "horizon": number(found.horizon_days, 0),
        "hazards": hazard_table(found),
        "rule": _rule_table(found),
        "strata": _strata_table(found),
        "logrank": p_words(found.logrank_p),
        "concordance": WideTable(
            heads=(("Score", ""), ("Harrell C", "95 % interval"), ("Uno C", "95 % interval")),
            rows=tuple(
                ((row.name, ""), _pair(row.harrell), _pair(row.uno)) for row in found.concordance
            ),
        ),
        "apparent": number(found.apparent_c, 3),
        "corrected": number(found.corrected_c, 3),
        "cut_offs": _by_habitat(found.cut_offs_ml),
        "limits": _by_habitat(found.limits_ml),
        "calibration": _calibration(found.calibration),
        "control": _control(found.permuted),
        "assumptions": found.assumptions,
    }


def hazard_table(found: SurvivalAnalysis) -> WideTable:
    """Return hazard ratios per unit and per standard deviation, adjusted and alone, with Holm."""
    names = list(dict.fromkeys(row.name for row in found.hazards))
    table = {(row.name, row.per.startswith(_PER_SD), row.adjusted): row for row in found.hazards}
    families = {
        adjusted: dict(zip(own, holm([table[name, True, adjusted].p_value for name in own]),
                           strict=True))
        for adjusted in (True, False)
        for own in [[name for name in names if (name, True, adjusted) in table]]
    }  # fmt: skip

    def ratio(name: str, per_sd: bool, adjusted: bool) -> tuple[str, str]:
        row = table.get((name, per_sd, adjusted))
        return (ABSENT, "") if row is None else (_ci(row.ratio), _per(row))

    def p_value(name: str, adjusted: bool) -> tuple[str, str]:
        row = table.get((name, True, adjusted))
        if row is None:
            return ABSENT, ""
        return p_words(row.p_value), f"Holm {p_words(families[adjusted][name])}"

    return WideTable(
        heads=(
            ("Covariate", ""), ("adjusted", "hazard ratio (95 % CI)"),
            ("adjusted, per SD", "hazard ratio (95 % CI)"), ("p", "Holm"),
            ("habitats alone, per SD", "hazard ratio (95 % CI)"), ("p", "Holm"),
            ("proportional hazards", "p of Schoenfeld's test"),
        ),
        rows=tuple(
            (
                (covariate_name(name), ""), ratio(name, False, True), ratio(name, True, True),
                p_value(name, True), ratio(name, True, False), p_value(name, False),
                (p_words(found.proportional.get(name, float("nan"))), ""),
            )
            for name in names
        ),
    )  # fmt: skip


def _per(row: HazardRow) -> str:
    return "yes against no" if row.per == "1" and is_yes_or_no(row.name) else f"per {row.per}"


def _rule_table(found: SurvivalAnalysis) -> WideTable | None:
    rows: Sequence[HazardRow] = found.rule_hazards
    if not rows:
        return None
    corrected = holm([row.p_value for row in rows])
    return WideTable(
        heads=(("Rule's score", ""), ("hazard ratio", "95 % CI"), ("p", ""), ("p", "Holm")),
        rows=tuple(
            ((row.name, row.per), _pair(row.ratio), (p_words(row.p_value), ""),
             (p_words(p), ""))
            for row, p in zip(rows, corrected, strict=True)
        ),
    )  # fmt: skip


def _strata_table(found: SurvivalAnalysis) -> WideTable:
    return WideTable(
        heads=(("Group", ""), ("patients", ""), ("events", ""), ("median", "days, 95 % CI")),
        rows=tuple(
            (
                (row.name, ""),
                (str(row.patients), ""),
                (str(row.events), ""),
                (
                    _day(row.median_days.value),
                    f"{_day(row.median_days.lower)} to {_day(row.median_days.upper)}",
                ),
            )
            for row in found.strata
        ),
    )


def _day(value: float) -> str:
    return number(value, 0) if np.isfinite(value) else "not reached"


def _recurrence(found: RecurrenceAnalysis) -> dict[str, object]:
    corrected = holm([row.p_value for row in found.comparisons])
    against = {row.against: (row, p) for row, p in zip(found.comparisons, corrected, strict=True)}
    rows = []
    for roc in found.rocs:
        cells = [(roc.name, ""), _pair(roc.auc)]
        if roc.name in against:
            row, p = against[roc.name]
            low, high = signed(row.difference.lower, 2), signed(row.difference.upper, 2)
            cells += [
                (signed(row.difference.value, 2), f"{low} to {high}"),
                (p_words(row.p_value), ""),
                (p_words(p), ""),
            ]
        else:
            cells += [("", "")] * 3
        rows.append(tuple(cells))
    return {
        "areas": WideTable(
            heads=(
                ("Score", ""), ("AUC", "95 % interval"),
                (f"{found.rocs[0].name} minus this", "95 % interval"), ("p", "DeLong"),
                ("p", "Holm"),
            ),
            rows=tuple(rows),
        ),
        "weights": [(covariate_name(name), signed(w, 2)) for name, w in found.weights.items()],
        "calibration": _calibration(found.calibration),
        "control": _control(found.permuted if found.permuted.runs else None),
        "assumptions": found.assumptions,
        "first": found.rocs[0].name,
    }  # fmt: skip


def _calibration(curve: CalibrationCurve) -> dict[str, str]:
    return {"slope": _ci(curve.slope), "brier": number(curve.brier, 3)}


def _control(control: PermutedControl | None) -> dict[str, object] | None:
    if control is None:
        return None
    return {
        "runs": control.runs,
        "centre": number(control.centre, 3),
        "spread": number(control.spread, 3),
        "false_positives": f"{number(100 * control.false_positives, 1)} %",
        "look": not _silent(control),
    }


def _by_habitat(values: Mapping[str, float]) -> str:

    return ", ".join(
        f"{name} {significant(value, 2)} mL" if np.isfinite(value) else f"{name} without a limit"
        for name, value in values.items()
    )


def _ci(value: Interval) -> str:
    return f"{number(value.value, 2)} ({number(value.lower, 2)} to {number(value.upper, 2)})"


def _pair(value: Interval) -> tuple[str, str]:
    return number(value.value, 2), f"{number(value.lower, 2)} to {number(value.upper, 2)}"

"""The analyses of a cohort's habitats as tables that can go into a paper."""

import math
from collections.abc import Mapping

from bolus import io
from bolus.core.learned import Split
from bolus.habitats import Interval
from bolus.habitats.analyses import RecurrenceAnalysis, SurvivalAnalysis
from bolus.habitats.cohort_table import HabitatCohort
from bolus.io.tables import Cell
from bolus.workflows.habitats_analyse import CohortScore
from bolus.workflows.habitats_gather import OUTCOMES

NOT_DONE_NAME = "not_done.tsv"


def score_tables(found: CohortScore) -> dict[str, str]:
    """Return every table of a cohort: name -> text.

    Args:
        found: the analyses.
    """
    tables = {
        "patients.tsv": _patients(found.gathered.cohort, found.split),
        "left_out.tsv": io.table_text(("name", "why"), found.gathered.cohort.left_out),
        NOT_DONE_NAME: io.table_text(("analysis", "why"), found.not_done),
    }
    if found.survival is not None:
        tables |= _survival(found.survival)
    if found.recurrence is not None:
        tables |= _recurrence(found.recurrence)
    return tables


def _patients(cohort: HabitatCohort, split: Split) -> str:
    names = cohort.habitats
    clinical = sorted({name for row in cohort.rows for name in row.clinical})
    columns = (
        "participant_id", "part", "scanner", "landmark_day",
        *(f"{name}_{when}_ml" for when in ("before", "after") for name in names),
        "ncbv_mean", "ncbv_p95", "burden", "low_burden", *clinical,
        *(f"{outcome}_{what}" for outcome in OUTCOMES for what in ("days", "event")),
        "recurrence",
    )  # fmt: skip
    rows: list[list[Cell]] = []
    for row in cohort.rows:
        part = "test" if row.subject in split.test else "training"
        part = "validation" if row.subject in split.validation else part
        blood = row.blood_after
        ends = [row.outcomes.get(outcome) for outcome in OUTCOMES]
        rows.append(
            [
                f"sub-{row.subject}", part, row.scanner or None, row.landmark_day,
                *(row.before_ml[name] for name in names),
                *(row.after_ml[name] for name in names),
                blood.mean, blood.p95, blood.burden, blood.low_burden,
                *(row.clinical.get(name) for name in clinical),
                *(cell for end in ends
                  for cell in ((None, None) if end is None else (end.days, end.event))),
                row.recurrence,
            ]
        )  # fmt: skip
    return io.table_text(columns, rows)


def _survival(found: SurvivalAnalysis) -> dict[str, str]:
    hazards = [
        (h.name, h.per, *_three(h.ratio), h.p_value, h.adjusted)
        for h in (*found.hazards, *found.rule_hazards)
    ]
    order = [(c.name, *_three(c.harrell), *_three(c.uno)) for c in found.concordance]
    limits: list[tuple[str, float | None, float | None]] = [
        (name, found.cut_offs_ml.get(name), _finite(found.limits_ml, name))
        for name in {**found.limits_ml, **found.cut_offs_ml}
    ]
    strata = [
        (s.name, s.patients, s.events, *_three(s.median_days)) for s in found.strata
    ]  # fmt: skip
    counts = [(c.part, c.patients, c.events) for c in found.counts]
    return {
        "survival_counts.tsv": io.table_text(("part", "patients", "events"), counts),
        "survival_hazards.tsv": io.table_text(
            ("covariate", "per", "hazard_ratio", "low95", "high95", "p_value", "adjusted"), hazards
        ),
        "survival_concordance.tsv": io.table_text(
            ("score", "harrell_c", "harrell_low95", "harrell_high95", "uno_c", "uno_low95",
             "uno_high95"), order,
        ),
        "survival_cut_offs.tsv": io.table_text(("habitat", "cut_off_ml", "limit_ml"), limits),
        "survival_strata.tsv": io.table_text(
            ("stratum", "patients", "events", "median_days", "low95", "high95"), strata
        ),
    }  # fmt: skip


def _recurrence(found: RecurrenceAnalysis) -> dict[str, str]:
    against = {c.against: c for c in found.comparisons}
    rows: list[list[Cell]] = []
    for roc in found.rocs:
        compared = against.get(roc.name)
        difference = (None, None, None) if compared is None else _three(compared.difference)
        p_value = None if compared is None else compared.p_value
        rows.append([roc.name, *_three(roc.auc), *difference, p_value])
    counts = [(c.part, c.patients, c.events) for c in found.counts]
    return {
        "recurrence_counts.tsv": io.table_text(("part", "patients", "recurrences"), counts),
        "recurrence_auc.tsv": io.table_text(
            ("score", "auc", "low95", "high95", "habitats_minus_score", "difference_low95",
             "difference_high95", "delong_p"), rows,
        ),
        "recurrence_test.tsv": io.table_text(
            ("participant_id", "probability", "recurrence"),
            [
                (f"sub-{subject}", float(probability), bool(truth))
                for subject, probability, truth in zip(
                    found.subjects, found.probability, found.recurrence, strict=True
                )
            ],
        ),
    }  # fmt: skip


def _finite(values: Mapping[str, float], name: str) -> float | None:
    value = values.get(name, math.inf)
    return value if math.isfinite(value) else None


def _three(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.lower, interval.upper

"""The first table of a paper: who was studied, part by part."""

from collections.abc import Callable, Sequence
from types import MappingProxyType

import numpy as np

from bolus.core.learned import Split
from bolus.habitats.cohort_table import HabitatCohort, HabitatRow
from bolus.report.tables import WideTable
from bolus.report.wording import ABSENT, number

_NAMES = MappingProxyType(
    {
        "age_years": "age [years]",
        "kps": "Karnofsky index",
        "mgmt_methylated": "MGMT promoter methylated",
        "extent_subtotal": "subtotal resection",
        "extent_biopsy": "biopsy only",
        "log_volume": "log volume of the lesion",
    }
)
_WHOLE = ("age_years", "kps")
"""Numbers that are printed without decimals."""
Rows = Sequence[HabitatRow]
Line = tuple[str, str, Callable[[Rows], str]]


def covariate_name(name: str) -> str:
    """Return a covariate as papers print it.

    Example:
        >>> covariate_name("kps"), covariate_name("ncbv_mean")
        ('Karnofsky index', 'ncbv mean')
    """
    return _NAMES.get(name, name.replace("_", " "))


def is_yes_or_no(name: str) -> bool:
    """Whether a clinical number is 1 for yes and 0 for no, by its name."""
    return name.startswith(("mgmt_", "extent_"))


def patients_table(cohort: HabitatCohort, split: Split) -> WideTable:
    """Return numbers of patients and medians with quartiles, for all and for every part.

    Args:
        cohort: one row a patient.
        split: of its subjects.
    """
    parts: tuple[Rows, ...] = (
        cohort.rows,
        *(
            [row for row in cohort.rows if row.subject in subjects]
            for subjects in (split.training, split.validation, split.test)
        ),
    )
    heads = [("", ""), *(
        (name, f"n = {len(rows)}")
        for name, rows in zip(("all", "training", "validation", "test"), parts, strict=True)
    )]  # fmt: skip
    lines: list[Line] = [
        ("scanners", "", lambda rows: str(len({r.scanner for r in rows if r.scanner}) or ABSENT)),
        ("days between the visits", "", _spread(lambda row: row.landmark_day, 0)),
        *_volumes(cohort),
        ("mean nCBV, second visit", "ratio", _spread(lambda row: row.blood_after.mean, 2)),
        *_clinical(cohort),
        *_outcomes(cohort),
    ]
    return WideTable(
        heads=tuple(heads),
        rows=tuple(
            ((name, unit), *((words(rows) if rows else ABSENT, "") for rows in parts))
            for name, unit, words in lines
        ),
    )


def _volumes(cohort: HabitatCohort) -> list[Line]:
    lines: list[Line] = []
    for name in cohort.habitats:
        lines += [
            (f"{name}, first visit", "mL", _spread(_before(name), 1)),
            (f"{name}, change", "mL", _spread(_increase(name), 1)),
        ]
    return lines


def _before(name: str) -> Callable[[HabitatRow], float]:
    return lambda row: row.before_ml[name]


def _increase(name: str) -> Callable[[HabitatRow], float]:
    return lambda row: row.increase_ml[name]


def _clinical(cohort: HabitatCohort) -> list[Line]:
    """Return yes-or-no numbers as counts, all others as medians; what is missing is said."""
    lines: list[Line] = []
    names = dict.fromkeys(name for row in cohort.rows for name in row.clinical)
    for name in names:
        known = [row.clinical[name] for row in cohort.rows if name in row.clinical]
        words = _share(name) if set(known) <= {0.0, 1.0} else _spread_of(name)
        lines.append((covariate_name(name), "", words))
    return lines


def _outcomes(cohort: HabitatCohort) -> list[Line]:
    outcomes = dict.fromkeys(name for row in cohort.rows for name in row.outcomes)
    lines: list[Line] = [(name, "events, of known", _events(name)) for name in outcomes]
    if any(row.recurrence is not None for row in cohort.rows):
        lines += [
            (words, "n", _truths(value))
            for words, value in (
                ("recurrence", True), ("treatment effect", False), ("neither or not known", None)
            )
        ]  # fmt: skip
    return lines


def _events(outcome: str) -> Callable[[Rows], str]:
    def words(rows: Rows) -> str:
        known = [row.outcomes[outcome] for row in rows if outcome in row.outcomes]
        return f"{sum(item.event for item in known)} of {len(known)}"

    return words


def _truths(value: bool | None) -> Callable[[Rows], str]:
    return lambda rows: str(sum(row.recurrence is value for row in rows))


def _share(name: str) -> Callable[[Rows], str]:
    def words(rows: Rows) -> str:
        known = [row.clinical[name] for row in rows if name in row.clinical]
        if not known:
            return ABSENT
        return f"{round(sum(known))} of {len(known)} ({number(100 * sum(known) / len(known), 0)} %)"

    return words


def _spread_of(name: str) -> Callable[[Rows], str]:
    def words(rows: Rows) -> str:
        values = [row.clinical[name] for row in rows if name in row.clinical]
        return _quartiles(values, 0 if name in _WHOLE else 2)

    return words


def _spread(value: Callable[[HabitatRow], float], decimals: int) -> Callable[[Rows], str]:
    return lambda rows: _quartiles([value(row) for row in rows], decimals)


def _quartiles(values: Sequence[float], decimals: int) -> str:
    if not values:
        return ABSENT
    low, middle, high = (number(float(v), decimals) for v in np.percentile(values, (25, 50, 75)))
    return f"{middle} ({low} to {high})"

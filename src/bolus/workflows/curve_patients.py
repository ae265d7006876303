"""What the tables of a dataset say of a patient, in the words that networks learn."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bolus.errors import Code, MetadataError
from bolus.io.visits import number_of

_AGE = ("age", "age_years", "age_at_scan_years", "age_at_mri")
_SEX = ("sex", "gender")
_SITE = ("site", "scanner", "centre", "center", "institution")
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "idh": ("idh", "idh1", "idh_status", "idh_mutation"),
    "codeleted": ("codeleted", "codeletion_1p19q", "1p19q", "1p_19q"),
    "grade": ("grade", "who_grade", "who_cns_grade"),
}
"""Labels, and the columns that tell them; the first that is there counts."""
_UNKNOWN = re.compile(r"unknown|indeterminate|not (available|tested|done)|nos|nec|n/?a|-?", re.I)
_WILDTYPE = re.compile(r"(idh[ -]?)?(wild[ -]?type|wt)|negative|no|false|0", re.I)
_MUTANT = re.compile(r"(idh[12]?[ -]?)?(mutant|mutated|mut)\b.*|idh[12] .*r(132|172).*|"
                     r"r(132|172).*|positive|yes|true|1", re.I)  # fmt: skip
_INTACT = re.compile(r"intact|non?[ -]?(co-?)?delet(ed|ion)|not (co-?)?deleted|no|false|0", re.I)
_CODELETED = re.compile(r"(co-?)?delet(ed|ion)|yes|true|1", re.I)
_GRADES = {"1": "1", "i": "1", "2": "2", "ii": "2", "3": "3", "iii": "3", "4": "4", "iv": "4"}
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePatient:
    """Site, age, sex and labels of one patient; NaN, "" or absent where they are not known."""

    site: str = ""
    age_years: float = float("nan")
    sex: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)


def curve_patient(row: Mapping[str, str], *, label: str = "idh") -> CurvePatient:
    """Read one row of the tables of patients.

    IDH becomes "mutant" or "wildtype", 1p/19q codeletion "yes" or "no", grade "1" to "4", sex
    "male" or "female". What a table says is unknown is absent.

    Args:
        row: column -> cell, as `io.visits.read_clinical` joins them.
        label: one more column that is a label, with its cells as they are.

    Raises:
        MetadataError: a cell is none of the words that are known.

    Example:
        >>> patient = curve_patient({"age": "61", "sex": "F", "idh": "Wild-type", "grade": "IV"})
        >>> patient.age_years, patient.sex, dict(patient.labels)
        (61.0, 'female', {'idh': 'wildtype', 'grade': '4'})
    """
    cells = {column.strip().lower(): cell.strip() for column, cell in row.items()}
    labels: dict[str, str] = {}
    for name, columns in _COLUMNS.items():
        column = next((c for c in columns if c in cells), "")
        if column and (value := _value(name, cells[column], column)):
            labels[name] = value
    if label not in _COLUMNS and cells.get(label) and not _UNKNOWN.fullmatch(cells[label]):
        labels[label] = cells[label]
    age = number_of(_first(cells, _AGE))
    return CurvePatient(
        site=_first(cells, _SITE),
        age_years=float("nan") if age is None else age,
        sex=_sex(_first(cells, _SEX)),
        labels=MappingProxyType(labels),
    )


def _value(name: str, cell: str, column: str) -> str:
    """Return a label in our words, "" where it is not known."""
    if _UNKNOWN.fullmatch(cell):
        return ""
    words = _WORDS[name]
    for word, pattern in words.items():
        if pattern.fullmatch(cell):
            return word
    if name == "grade":
        bare = cell.lower().removeprefix("who").removeprefix(" ").removeprefix("grade").strip()
        if bare in _GRADES:
            return _GRADES[bare]
    raise MetadataError(
        Code.TABLE_INVALID,
        f"{column} is '{cell[:40]}', expected {' or '.join(words or _GRADE_WORDS)}, or n/a",
        mend=f"write {' or '.join(words or _GRADE_WORDS)}, or n/a where it is not known",
    )


def _first(cells: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((cells[c] for c in columns if c in cells), "")


def _sex(cell: str) -> str:
    initial = cell[:1].lower()
    return {"m": "male", "f": "female"}.get(initial, "")


_GRADE_WORDS = ("2", "3", "4")
_WORDS: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "idh": {"mutant": _MUTANT, "wildtype": _WILDTYPE},
    "codeleted": {"yes": _CODELETED, "no": _INTACT},
    "grade": {},
}

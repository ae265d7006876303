"""Clinical tables of public datasets: columns under plain names, values as they were published."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bolus.errors import Code, FileError
from bolus.io.access import named, read_bytes
from bolus.io.spreadsheets import read_xlsx

_LIMIT_BYTES = 32 << 20
_MISSING = frozenset({"", "na", "n/a", "nan", "unknown", "not available"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """What a dataset calls its clinical table, the column of identifiers, and what to take.

    `name` is searched in file names. `subject` and `session` are columns of the table -> ours, of
    what belongs to a person and to a visit. A row is of a visit where `of_visits`.
    """

    name: re.Pattern[str]
    identifier: str
    subject: Mapping[str, str]
    session: Mapping[str, str] = field(default_factory=dict)
    of_visits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalTable:
    """Rows by the dataset's own identifier, under our column names."""

    shape: TableShape
    rows: Mapping[str, Mapping[str, str]]

    def row(self, identifier: str, *, digits: int = 0) -> Mapping[str, str]:
        """Return what is said of a subject or visit; nothing if it is not there.

        Args:
            identifier: as the files have it.
            digits: of the number in the files' identifiers; the table may write fewer.
        """
        found = self.rows.get(identifier)
        if found is None and digits:
            names = {padded(name, digits): name for name in self.rows}
            found = self.rows.get(names.get(identifier, ""))
        return found or {}


def read_clinical_table(root: Path, shape: TableShape) -> tuple[ClinicalTable | None, list[str]]:
    """Find and read a clinical table below or beside a dataset, and say what was not there.

    Args:
        root: folder of the dataset.
        shape: what to look for.

    Returns:
        The table, `None` if there is none as CSV or XLSX, and sentences for the user. CSV is
        taken before XLSX.

    Raises:
        FileError: the table has no column of identifiers, or is damaged.
        ResourceError: it is XLSX, and openpyxl is not installed.
    """
    files = sorted(p for p in root.rglob("*") if shape.name.search(p.name) and p.is_file())
    tables = [p for p in files if p.suffix.lower() in (".csv", ".tsv")]
    if not tables:
        tables = [p for p in files if p.suffix.lower() == ".xlsx"]
    if not tables:
        sheets = [p.name for p in files if p.suffix.lower() == ".xls"]
        if sheets:
            return None, [f"{sheets[0]} is an old spreadsheet and was not read: save it as CSV"]
        return None, ["no clinical table was found, so participants.tsv has identifiers only"]
    latest = max(tables, key=lambda p: p.name)
    columns, rows = _read(latest)
    by_name = {column.strip().lower(): place for place, column in enumerate(columns)}
    if shape.identifier.lower() not in by_name:
        raise FileError(
            Code.TABLE_INVALID,
            f"has no column '{shape.identifier}'",
            mend="save the table as it was published",
            where=str(latest),
        )
    wanted = {**shape.subject, **shape.session}
    lacking = [name for name in wanted if name.strip().lower() not in by_name]
    notes = [f"{latest.name} has no column '{name}'" for name in lacking]
    if len(tables) > 1:
        notes.append(f"of {len(tables)} clinical tables {latest.name} was read")
    there = {ours: by_name[name.strip().lower()] for name, ours in wanted.items()
             if name not in lacking}  # fmt: skip
    key = by_name[shape.identifier.lower()]
    return ClinicalTable(
        shape=shape,
        rows={
            row[key].strip(): {ours: known(row[place]) for ours, place in there.items()}
            for row in rows
            if row[key].strip()
        },
    ), notes


def padded(public_id: str, digits: int) -> str:
    """Return an identifier with its number in so many digits, 0 for as it is.

    Example:
        >>> padded("UCSF-PDGM-004", 4)
        'UCSF-PDGM-0004'
    """
    if not digits:
        return public_id
    return re.sub(r"-(\d+)(?=_|$)", lambda m: f"-{int(m[1]):0{digits}d}", public_id)


def known(text: str) -> str:
    """Return a published value as it is, "" where it says that there is none.

    Example:
        >>> known("unknown"), known(" 66 ")
        ('', '66')
    """
    plain = " ".join(text.split())
    return "" if plain.lower() in _MISSING else plain


def _read(path: Path) -> tuple[list[str], Sequence[list[str]]]:
    rows = read_xlsx(path) if path.suffix.lower() == ".xlsx" else _read_text(path)
    with named(path):
        if not rows:
            raise FileError(
                Code.TABLE_INVALID, "is empty", mend="download it again, or take it away"
            )
    width = len(rows[0])
    return rows[0], [(row + [""] * width)[:width] for row in rows[1:]]


def _read_text(path: Path) -> list[list[str]]:
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        first = text.split("\n", 1)[0]
        mark = max(",;\t", key=first.count)
        return [row for row in csv.reader(io.StringIO(text), delimiter=mark) if any(row)]

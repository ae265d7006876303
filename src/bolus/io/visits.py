"""When a patient was scanned, what was scanned then beside perfusion, and what became of it."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from bolus.core import SessionKey
from bolus.errors import Code, FileError, MetadataError
from bolus.io.access import NIFTI_SUFFIXES, stem_of
from bolus.io.tables import MISSING, read_table

_DAY = ("day", "days", "days_from_first_visit", "days_from_baseline")
_SURGERY = ("days_since_surgery", "days_from_surgery")
_RADIOTHERAPY = ("days_since_radiotherapy", "days_from_radiotherapy")
_SCANNER = ("scanner", "device", "station_name")
_LATEST = 40_000
_NOT_GIVEN = frozenset({"bolus", "truth"})
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("T1w after agent", re.compile(r"_ce-[^_]+(_[^/]*)?_T1w$|_T1ce$")),
    ("T1w", re.compile(r"_T1w$")),
    ("FLAIR", re.compile(r"_FLAIR$")),
    ("T2w", re.compile(r"_T2w$")),
)
"""Structural images in order of preference; the first pattern that fits says what one is."""
_ADC = re.compile(r"_(ADC|adc|ADCmap|desc-adc[^/]*_dwimap)$")
_DWI = re.compile(r"_dwi$")
CLINICAL = ("participants.tsv", "clinical.tsv", "outcomes.tsv")
"""Tables of a dataset that say something of each patient; they may share columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitDay:
    """When a session was, as the tables of its dataset say; None for what they do not.

    `day` counts from the first visit of the subject, the other two from treatment; those are
    negative before it. `repeat` marks a second scan of the same visit.
    """

    key: SessionKey
    day: int | None = None
    since_surgery: int | None = None
    since_radiotherapy: int | None = None
    scanner: str = ""
    repeat: bool = False

    @property
    def untreated(self) -> bool:
        """Whether the tables say that it was before surgery and radiotherapy."""
        known = [d for d in (self.since_surgery, self.since_radiotherapy) if d is not None]
        return bool(known) and max(known) < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitImages:
    """Images of one session beside perfusion; `adc` or `dwi` is None where there is none.

    `structural` are by kind, best for registration first. `unclear` says what is there twice.
    """

    adc: Path | None = None
    dwi: Path | None = None
    structural: Mapping[str, Path] = field(default_factory=dict)
    unclear: tuple[str, ...] = ()


def read_visit_days(root: Path, keys: Iterable[SessionKey]) -> tuple[VisitDay, ...]:
    """Return when sessions of one subject were, those without a day last.

    Days come from the column `day` of `sub-X_sessions.tsv`, else from its `acq_time`, else from
    `acq_time` in `sub-X[_ses-Y]_scans.tsv`, else from days since surgery. Dates may be shifted, as
    long as one shift is used for a subject. Day 0 is the first session given.

    Args:
        root: the dataset.
        keys: sessions of one subject.

    Raises:
        FileError: a table cannot be read.
        MetadataError: a cell is no number or date, or day and date contradict each other.
    """
    ordered = sorted(set(keys))
    rows = {key: _session_row(root, key) for key in ordered}
    dates = {key: _date(root, key, row) for key, row in rows.items()}
    days = {key: _number(root, key, row, _DAY) for key, row in rows.items()}
    since = {key: _number(root, key, row, _SURGERY) for key, row in rows.items()}
    _require_agreement(root, days, dates)
    known = _first_complete(days, _from_dates(dates), since)
    start = min((day for day in known.values() if day is not None), default=0)
    visits = [
        VisitDay(
            key=key,
            day=None if (day := known[key]) is None else day - start,
            since_surgery=since[key],
            since_radiotherapy=_number(root, key, rows[key], _RADIOTHERAPY),
            scanner=_text(rows[key], _SCANNER),
            repeat=rows[key].get("rescan", "").lower() in ("true", "yes", "1"),
        )
        for key in ordered
    ]
    last = _LATEST + 1
    return tuple(sorted(visits, key=lambda v: (last if v.day is None else v.day, v.key)))


def find_visit_images(root: Path, key: SessionKey) -> VisitImages:
    """Find diffusion and structural images of a session, raw or in `derivatives/*/`.

    ADC maps are `dwi/*_ADC` or `anat/*_ADC`, diffusion images `dwi/*_dwi`, structural ones the
    raw `anat/*_T1w` (with `ce-` after the agent), `*_FLAIR` and `*_T2w`.
    """
    raw = _images(root / key.folder)
    given = [
        path
        for base in sorted(root.glob("derivatives/*"))
        if base.name not in _NOT_GIVEN
        for path in _images(base / key.folder)
    ]
    unclear: list[str] = []

    def one(paths: list[Path], pattern: re.Pattern[str], what: str) -> Path | None:
        found = [path for path in paths if pattern.search(stem_of(path))]
        if len(found) > 1:
            unclear.append(f"{len(found)} {what} ({found[0].name}, {found[1].name})")
            return None
        return found[0] if found else None

    structural: dict[str, Path] = {}
    taken: set[Path] = set()
    for kind, pattern in _KINDS:
        fitting = [
            p for p in raw
            if p.parent.name == "anat" and p not in taken and pattern.search(stem_of(p))
        ]  # fmt: skip
        taken |= set(fitting)
        if fitting:
            structural[kind] = fitting[0]
    return VisitImages(
        adc=one([*raw, *given], _ADC, "ADC maps"),
        dwi=one([p for p in raw if p.parent.name == "dwi"], _DWI, "diffusion series"),
        structural=structural,
        unclear=tuple(unclear),
    )


def read_clinical(
    root: Path, extra: Path | None = None
) -> tuple[Mapping[str, Mapping[str, str]], tuple[Path, ...]]:
    """Join the tables of a dataset that have a row for each patient.

    Args:
        root: the dataset, with `participants.tsv`, `clinical.tsv` or `outcomes.tsv`.
        extra: one more table; its cells win.

    Returns:
        Subject label -> column -> cell, without what is missing; and the tables that were read.

    Raises:
        FileError: a table cannot be read, has no `participant_id`, or names a subject twice.
        MetadataError: two tables of the dataset contradict each other.
    """
    paths = [path for name in CLINICAL if (path := root / name).is_file()]
    joined: dict[str, dict[str, str]] = {}
    for path in [*paths, *([extra] if extra is not None else [])]:
        for subject, row in _clinical_rows(path).items():
            held = joined.setdefault(subject, {})
            for column, cell in row.items():
                if held.get(column, cell) != cell and path != extra:
                    raise MetadataError(
                        Code.METADATA_CONFLICT,
                        f"says {column} of sub-{subject} is '{cell[:40]}' where another table says "
                        f"'{held[column][:40]}'",
                        mend="correct one of the tables",
                        where=str(path),
                    )
                held[column] = cell
    read = (*paths, *([extra] if extra is not None else ()))
    return MappingProxyType(joined), read


def number_of(cell: str) -> float | None:
    """Return a cell as a number; None where it is empty, `n/a` or text.

    Example:
        >>> from bolus.io.visits import number_of
        >>> number_of("12.5"), number_of("n/a")
        (12.5, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _images(folder: Path) -> list[Path]:
    found = [*folder.glob("anat/*"), *folder.glob("dwi/*")]
    return sorted(path for path in found if path.name.endswith(NIFTI_SUFFIXES))


def _clinical_rows(path: Path) -> dict[str, dict[str, str]]:
    columns, cells = read_table(path)
    if "participant_id" not in columns:
        raise FileError(
            Code.TABLE_INVALID,
            f"has the columns {', '.join(columns)[:120]}; expected participant_id",
            mend="name the column of subjects participant_id",
            where=str(path),
        )
    rows: dict[str, dict[str, str]] = {}
    for line in cells:
        row = dict(zip(columns, line, strict=True))
        subject = row.pop("participant_id").removeprefix("sub-")
        if subject in rows:
            raise FileError(
                Code.TABLE_INVALID,
                f"has two rows of sub-{subject[:80]}",
                mend="keep one row for each participant",
                where=str(path),
            )
        rows[subject] = {name: cell for name, cell in row.items() if cell not in ("", MISSING)}
    return rows


def _session_row(root: Path, key: SessionKey) -> dict[str, str]:
    path = root / f"sub-{key.subject}" / f"sub-{key.subject}_sessions.tsv"
    if not path.is_file():
        return {}
    columns, cells = read_table(path)
    for line in cells:
        row = dict(zip(columns, line, strict=True))
        if row.get("session_id", "").removeprefix("ses-") == key.session:
            return {name: cell for name, cell in row.items() if cell not in ("", MISSING)}
    return {}


def _date(root: Path, key: SessionKey, row: Mapping[str, str]) -> datetime | None:
    if "acq_time" in row:
        return _moment(row["acq_time"], root, key)
    path = root / key.folder / f"{key.prefix}_scans.tsv"
    if not path.is_file():
        return None
    columns, cells = read_table(path)
    if "acq_time" not in columns:
        return None
    at = columns.index("acq_time")
    moments = [_moment(line[at], root, key) for line in cells if line[at] not in ("", MISSING)]
    return min(moments, default=None)


def _moment(cell: str, root: Path, key: SessionKey) -> datetime:
    try:
        return datetime.fromisoformat(cell.replace("Z", "")).replace(tzinfo=None)
    except ValueError:
        raise _wrong(
            root, key, f"acq_time '{cell[:40]}' is no date as 2024-05-31T09:00:00"
        ) from None


def _number(
    root: Path, key: SessionKey, row: Mapping[str, str], names: tuple[str, ...]
) -> int | None:
    name = next((name for name in names if name in row), "")
    if not name:
        return None
    value = number_of(row[name])
    if value is None or abs(value) > _LATEST:
        raise _wrong(root, key, f"{name} '{row[name][:40]}' is no number of days")
    return round(value)


def _wrong(root: Path, key: SessionKey, what: str) -> MetadataError:
    return MetadataError(
        Code.METADATA_IMPLAUSIBLE,
        f"{key.prefix}: {what}",
        mend="correct the table of sessions or scans",
        where=str(root / f"sub-{key.subject}"),
    )


def _text(row: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if name in row), "")


def _from_dates(dates: Mapping[SessionKey, datetime | None]) -> dict[SessionKey, int | None]:
    first = min((moment for moment in dates.values() if moment is not None), default=None)
    return {
        key: None if moment is None or first is None else (moment.date() - first.date()).days
        for key, moment in dates.items()
    }


def _first_complete(*sources: Mapping[SessionKey, int | None]) -> Mapping[SessionKey, int | None]:
    """Return the first source that knows all sessions, else the one that knows most."""
    return max(sources, key=lambda days: sum(day is not None for day in days.values()))


def _require_agreement(
    root: Path, days: Mapping[SessionKey, int | None], dates: Mapping[SessionKey, datetime | None]
) -> None:
    both = [
        (key, day, moment)
        for key, day in days.items()
        if day is not None and (moment := dates[key]) is not None
    ]
    for key, day, moment in both[1:]:
        first_day, first = both[0][1], both[0][2]
        by_date = (moment.date() - first.date()).days
        if abs(by_date - (day - first_day)) > 1:
            raise MetadataError(
                Code.METADATA_CONFLICT,
                f"{key.prefix} is {day - first_day} days after {both[0][0].prefix} by its day and "
                f"{by_date} by its date",
                mend="correct the table of sessions, or leave one of the two columns out",
                where=str(root / f"sub-{key.subject}"),
            )

"""Tab-separated tables: curves in and out, numbers out, in one fixed notation.

A decimal point whatever the locale, `n/a` for what is missing (as in BIDS), UTF-8, one header line.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bolus.core import QUANTITIES, ArterialInput, Provenance, Quantity, Step, TimeAxis
from bolus.errors import Code, FileError, TimingError
from bolus.io.access import named, read_bytes
from bolus.io.store import write_atomically

Cell = str | int | float | None

MISSING = "n/a"
_LIMIT_BYTES = 64 << 20
_MOST_ROWS = 1_000_000
_LONGEST_STEP_S = 60.0
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNIT_NAMES: Mapping[str, str] = MappingProxyType(
    {"1/s": "per_s", "mM": "mmol_per_l", "a.u.": "au"}
)
_CURVE_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        name: key
        for key in ("signal", "delta_r2s", "conc")
        for name in (key, f"{key}_{_UNIT_NAMES[QUANTITIES[key].unit]}")
    }
)
"""Column name -> registry key; written with the unit, read with or without it."""


def write_curve_tsv(path: Path | str, curve: ArterialInput, *, spread: bool = False) -> None:
    """Write a curve as `time_s` and one column named by quantity and unit.

    Numbers are written so that reading gives back exactly the same.

    Args:
        path: where to.
        curve: signal, ΔR2* or concentration.
        spread: also write the candidates as columns `candidate_1` and so on.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    key = curve.quantity.key
    columns = ["time_s", f"{key}_{_UNIT_NAMES[curve.quantity.unit]}"]
    rows: list[list[Cell]] = [
        [float(t), float(v)] for t, v in zip(curve.time.seconds, curve.values, strict=True)
    ]
    if spread and curve.candidates is not None:
        columns += [f"candidate_{n + 1}" for n in range(len(curve.candidates))]
        for row, values in zip(rows, curve.candidates.T, strict=True):
            row.extend(float(v) for v in values)
    write_table(path, columns, rows)


def read_curve_tsv(path: Path | str) -> ArterialInput:
    """Read a curve: columns `time_s` and one of `signal`, `delta_r2s`, `conc`.

    The unit may follow the name (`delta_r2s_per_s`, `conc_mmol_per_l`, `signal_au`); without it
    the registry's unit is meant. Other columns are left alone.

    Raises:
        FileError: missing, too large, other columns, or cells that are no numbers.
        TimingError: times that do not increase.
    """
    path = Path(path)
    columns, rows, digest = _read(path)
    with named(path):
        found = [name for name in columns if name in _CURVE_COLUMNS]
        if "time_s" not in columns or len(found) != 1:
            raise _invalid(
                f"has the columns {', '.join(columns)[:120]}; expected time_s and one of "
                "signal, delta_r2s, conc",
                "rename the columns; times are in seconds",
            )
        if len(rows) < 2:
            raise _invalid(f"has {len(rows)} rows of numbers, expected at least 2", "export again")
        seconds = _numbers(rows, columns, "time_s")
        _require_seconds(seconds)
        values = _numbers(rows, columns, found[0])
        quantity = _quantity(found[0])
        return ArterialInput(
            values=values,
            time=TimeAxis(seconds=seconds),
            quantity=quantity,
            method=f"file {path.name}",
            provenance=Provenance(
                steps=(Step("io.read_curve_tsv", {"column": found[0]}),),
                inputs=((path.name, digest),),
            ),
            voxels=np.empty((0, 3), np.int64),
        )


def _require_seconds(seconds: np.ndarray) -> None:
    step_s = float(np.median(np.diff(seconds)))
    if step_s > _LONGEST_STEP_S:
        raise TimingError(
            Code.TIME_INVALID,
            f"has rows {step_s:g} s apart, which looks like milliseconds: {step_s / 1000:.4g} s",
            mend="write time_s in seconds",
        )


def write_table(path: Path | str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    r"""Write a table with tabs, `n/a` for what is missing, and a decimal point.

    Text that a spreadsheet would take for a formula (it begins with `= + - @`) gets a quotation
    mark in front; tabs and line ends inside text become spaces.

    Raises:
        ResourceError: the disk is full, or may not be written.

    Example:
        >>> from bolus.io import table_text
        >>> table_text(["name", "ncbv"], [["=1+1", 2.5], ["core", None]]).splitlines()
        ['name\tncbv', "'=1+1\t2.5", 'core\tn/a']
    """
    write_atomically(path, table_text(columns, rows).encode())


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return the text of `write_table`."""
    lines = ["\t".join(cell_text(name) for name in columns)]
    for row in rows:
        if len(row) != len(columns):
            raise FileError(
                Code.ARGUMENT_INVALID,
                f"a row has {len(row)} cells for {len(columns)} columns",
                mend="give one cell per column",
            )
        lines.append("\t".join(cell_text(cell) for cell in row))
    return "\n".join(lines) + "\n"


def cell_text(cell: Cell) -> str:
    """Return one cell as the tables have it.

    Example:
        >>> from bolus.io.tables import cell_text
        >>> cell_text(float("nan")), cell_text(0.1), cell_text("@x"), cell_text(-3)
        ('n/a', '0.1', "'@x", '-3')
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return MISSING
    if isinstance(cell, str):
        text = " ".join(cell.split())
        guarded = cell.startswith(_FORMULA) or text.startswith(_FORMULA)
        return f"'{text}" if guarded else text or MISSING
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, int | np.integer):
        return str(int(cell))
    return repr(float(cell))


def read_label_names(path: Path) -> dict[int, str]:
    """Read the label names of a BIDS segmentation: columns `index` and `name`.

    Raises:
        FileError: missing, or without these columns.
    """
    columns, rows, _ = _read(path)
    with named(path):
        if not {"index", "name"} <= set(columns):
            raise _invalid(
                f"has the columns {', '.join(columns)[:120]}; expected index and name",
                "add them",
            )
        indices = _numbers(rows, columns, "index")
        if not (indices == np.round(indices)).all():
            raise _invalid("holds an index that is not a whole number", "renumber the labels")
        names = [row[columns.index("name")] for row in rows]
        return {int(n): name for n, name in zip(indices, names, strict=True)}


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the column names and the cells of a table with tabs, as text.

    Raises:
        FileError: missing, too large, or not such a table.
    """
    columns, rows, _digest = _read(path)
    return columns, rows


def _read(path: Path) -> tuple[list[str], list[list[str]], str]:
    """Return the column names, the cells and the SHA-256 of a table with tabs."""
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as failure:
            raise _invalid(
                f"is not UTF-8 text (byte {failure.start})", "save it as tab-separated UTF-8 text"
            ) from failure
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            raise _invalid("is empty", "give a table with a header line")
        if "\t" not in lines[0] and any(mark in lines[0] for mark in ",;"):
            raise _invalid(
                "is separated by commas or semicolons, expected tabs", "save it with tabs (.tsv)"
            )
        if len(lines) > _MOST_ROWS:
            raise _invalid(f"has {len(lines)} rows", "check that this is the right file")
        table = [[cell.strip() for cell in line.split("\t")] for line in lines]
        columns, rows = table[0], table[1:]
        if len(set(columns)) < len(columns):
            raise _invalid("has two columns of the same name", "rename one")
        for number, row in enumerate(rows, start=2):
            if len(row) != len(columns):
                raise _invalid(
                    f"line {number} has {len(row)} cells for {len(columns)} columns",
                    "fill the missing cells with n/a",
                )
        return columns, rows, hashlib.sha256(content).hexdigest()


def _numbers(rows: list[list[str]], columns: list[str], name: str) -> np.ndarray:
    at = columns.index(name)
    values = []
    for number, row in enumerate(rows, start=2):
        try:
            value = float(row[at])
        except ValueError as failure:
            comma = row[at].replace(",", ".", 1)
            meant = f"; a decimal comma? write {comma}" if _is_number(comma) else ""
            raise _invalid(
                f"line {number}, column {name}: '{row[at][:40]}' is not a number{meant}",
                "write numbers with a decimal point",
            ) from failure
        if not math.isfinite(value):
            raise _invalid(
                f"line {number}, column {name}: {row[at]} is not a finite number",
                "leave that time point out; times may be irregular",
            )
        values.append(value)
    return np.array(values)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _quantity(column: str) -> Quantity:
    return QUANTITIES[_CURVE_COLUMNS[column]]


def _invalid(what: str, mend: str) -> FileError:
    return FileError(Code.TABLE_INVALID, what, mend=mend)

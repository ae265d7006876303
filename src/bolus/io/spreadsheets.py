"""Tables of .xlsx workbooks as text: no formula is run, no link followed, no bomb unpacked."""

import io
import zipfile
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path

from bolus.errors import BolusError, Code, FileError, ResourceError
from bolus.io.access import named, read_bytes

_LIMIT_BYTES = 32 << 20
_UNPACKED_BYTES = 256 << 20
_MOST_RATIO = 200
_MOST_MEMBERS = 2000
_MOST_ROWS, _MOST_COLUMNS = 100_000, 1000
_SMALL_BYTES = 1 << 20
"""Empty sheets pack well: a ratio says nothing of so little."""


def read_xlsx(path: Path) -> list[list[str]]:
    """Return the rows of the first sheet of a workbook that has any, as text.

    Rows end with their last cell that holds anything; empty ones are left out. Whole numbers
    have no point, dates are ISO 8601; of a formula, the value that was stored.

    Args:
        path: the workbook.

    Raises:
        FileError: no workbook, too large, or it unpacks to far more than it should.
        ResourceError: openpyxl is not installed.
    """
    if find_spec("openpyxl") is None:
        raise ResourceError(
            Code.EXTRA_MISSING,
            "is a spreadsheet, and openpyxl is not installed",
            mend='install it with: pip install "bolus[tables]", or save the table as CSV',
            where=str(path),
        )
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        _require_harmless(content)
        try:
            return _rows(content)
        except BolusError:
            raise
        except Exception as failure:  # noqa: BLE001  # parsers raise what their input makes them
            raise _invalid(f"is no workbook that can be read ({type(failure).__name__})") from None


def _require_harmless(content: bytes) -> None:
    """Raise unless every part is an honest size, and no part declares entities."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            packed = sum(member.compress_size for member in members)
            if (
                len(members) > _MOST_MEMBERS
                or unpacked > _UNPACKED_BYTES
                or (unpacked > _SMALL_BYTES and unpacked > _MOST_RATIO * packed)
            ):
                raise FileError(
                    Code.FILE_BOMB,
                    f"unpacks from {packed} to {unpacked} bytes in {len(members)} parts",
                    mend="check where the file came from, or save the table as CSV",
                )
            for member in members:
                if member.filename.endswith((".xml", ".rels")):
                    _require_plain(archive, member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as failure:
        raise _invalid(f"is no workbook ({type(failure).__name__})") from None


def _require_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Read a part to its end, which checks its length, and refuse what workbooks never have."""
    seen, tail = 0, b""
    with archive.open(member) as stream:
        while block := stream.read(1 << 20):
            seen += len(block)
            if seen > member.file_size:
                raise _invalid("holds a part that is longer than it says")
            if b"<!DOCTYPE" in tail + block or b"<!ENTITY" in tail + block:
                raise _invalid("declares entities, which no workbook does")
            tail = block[-16:]


def _rows(content: bytes) -> list[list[str]]:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in book.worksheets:
            rows: list[list[str]] = []
            # what a sheet says of its own size need not be true
            for row in sheet.iter_rows(values_only=True, max_col=_MOST_COLUMNS):
                if len(rows) >= _MOST_ROWS:
                    raise _invalid(f"has more than {_MOST_ROWS} rows")
                cells = [_text(value) for value in row]
                filled = max((place for place, cell in enumerate(cells, 1) if cell), default=0)
                if filled:
                    rows.append(cells[:filled])
            if rows:
                return rows
    finally:
        book.close()
    return []


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        midnight = value.time() == datetime.min.time()
        return value.date().isoformat() if midnight else value.isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def _invalid(what: str) -> FileError:
    return FileError(Code.TABLE_INVALID, what, mend="download it again, or save the table as CSV")

"""Clinical tables as .xlsx: values as text, and nothing that a hostile file could do."""

import datetime
import importlib.util
import io
import zipfile

import openpyxl
import pytest

from bolus.errors import BolusError, Code
from bolus.io import spreadsheets
from bolus.io.spreadsheets import read_xlsx


def workbook(path, rows):
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("data")
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def changed(path, change):
    """Rewrite the parts of a workbook by name and content."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, change(member.filename, old.read(member)))
    path.write_bytes(made.getvalue())
    return path


def refused(path, code):
    with pytest.raises(BolusError) as caught:
        read_xlsx(path)
    assert caught.value.code is code
    return str(caught.value)


def test_the_first_sheet_with_rows_comes_as_text(tmp_path):
    day = datetime.datetime(2019, 3, 4)  # a date of a table has no time zone
    path = workbook(
        tmp_path / "a.xlsx",
        [["ID", "Age", "Day", "=1+1"], ["A-1", 61.25, day], [None] * 4, ["A-2", 62.0, "x", 0]],
    )

    assert read_xlsx(path) == [
        ["ID", "Age", "Day"], ["A-1", "61.25", "2019-03-04"], ["A-2", "62", "x", "0"],
    ]  # fmt: skip


def test_without_the_library_it_says_what_to_install(tmp_path, monkeypatch):
    path = workbook(tmp_path / "a.xlsx", [["ID"]])
    monkeypatch.setattr(spreadsheets, "find_spec", lambda _name: None)

    assert "bolus[tables]" in refused(path, Code.EXTRA_MISSING)
    assert importlib.util.find_spec("openpyxl") is not None


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (64 << 20))

    assert "unpacks from" in refused(path, Code.FILE_BOMB)


def test_entities_are_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["ID"]])
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha">]>'
    changed(path, lambda name, content: bomb + content if name.endswith("sheet2.xml") else content)

    assert "declares entities" in refused(path, Code.TABLE_INVALID)


def test_a_sheet_that_never_ends_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(spreadsheets, "_MOST_ROWS", 10)

    assert "more than 10 rows" in refused(
        workbook(tmp_path / "a.xlsx", [[n] for n in range(11)]), Code.TABLE_INVALID
    )


@pytest.mark.parametrize("content", [b"PK", b"", b"ID,Age\n", b"PK\3\4" + bytes(400)])
def test_what_is_no_workbook_is_refused(tmp_path, content):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)

    refused(path, Code.TABLE_INVALID)


def test_a_workbook_without_its_parts_is_refused(tmp_path):
    path = workbook(tmp_path / "a.xlsx", [["ID"]])
    changed(path, lambda name, content: b"<a" if name == "xl/workbook.xml" else content)

    refused(path, Code.TABLE_INVALID)

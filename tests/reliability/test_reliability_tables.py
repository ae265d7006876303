"""Text of users never becomes a formula, numbers never follow the country."""

import builtins
import csv
import locale

import pytest
from reliability_run import finished

from bolus.io import table_text

pytestmark = pytest.mark.reliability
FORMULAS = ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "=HYPERLINK(1)"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_is_quoted(text):
    cell = table_text(["name", "value"], [[text, -1.5]]).splitlines()[1].split("\t")

    assert cell[0][0] not in "=+-@\t\r "
    assert cell[1] == "-1.5"


def test_the_tables_of_a_result_hold_numbers_with_points():
    tables = sorted(finished()[0].rglob("*.tsv"))
    assert tables
    for path in tables:
        for row in csv.reader(path.read_text().splitlines(), delimiter="\t"):
            for cell in row:
                assert not cell.replace(",", "").isdigit() or "," not in cell
                assert not cell.startswith(("=", "+", "@"))


def test_a_country_with_a_decimal_comma_changes_nothing(monkeypatch):
    """German where it is installed; formatting by locale is an error in any case."""
    before = locale.setlocale(locale.LC_NUMERIC)
    plain = table_text(["a"], [[1234.5]])
    try:
        for name in ("de_DE.UTF-8", "de_DE.utf8", "German"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
                break
            except locale.Error:
                continue
        monkeypatch.setattr(locale, "format_string", builtins.NotImplemented)
        assert table_text(["a"], [[1234.5]]) == plain == "a\n1234.5\n"
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)

"""Every code that users can see is explained where they will look for it."""

import re
from pathlib import Path

import pytest

from bolus.errors import Code

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
ROW = re.compile(r"^\| `BOLUS-(\d{4})` \| `([A-Z0-9_]+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)


def rows() -> dict[int, tuple[str, str, str]]:
    return {int(number): rest for number, *rest in ROW.findall(PAGE.read_text())}


@pytest.mark.parametrize("code", Code, ids=lambda code: code.name)
def test_each_code_is_documented_with_its_meaning_and_a_mend(code):
    name, meaning, mend = rows()[code.number]

    assert name == code.name
    assert meaning == code.meaning
    assert len(mend) > 15


def test_nothing_is_documented_that_does_not_exist():
    assert set(rows()) == {code.number for code in Code}


def test_numbers_are_unique_and_rise_within_their_range():
    numbers = [code.number for code in Code]

    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)

"""Names that try to leave their folder: in labels, patterns, members, links and settings."""

import pytest

from bolus.core import SessionKey
from bolus.errors import BolusError, Code
from bolus.io import find_sessions, open_output, verify
from bolus.io.names import safe_join
from bolus.workflows.inputs import series_name

pytestmark = pytest.mark.reliability
HOSTILE = [
    "", ".", "..", "/", "../x", "a/../x", "a/../../x", "/etc/passwd", "a//b", "./a", "~/x",
    "~root", "a\\b", "..\\x", "C:\\x", "C:x", "\\\\host\\x", "a\0b", "a\nb", "a\tb", " a", "a ",
    "a*", "a?b", "a|b", "$(x)", "`x`", "a;b", "\u202egz.iin", "\u2024\u2024/x", "e\u0301",
    "%2e%2e/x", "-rf", "con", "NUL.txt", "a" * 300, "http://x", "file:///x", "${HOME}",
]  # fmt: skip
PATTERNS = ["../*", "sub-*/../../*", "/etc/*", "a/../../b*", "..", "/"]


def test_there_are_thirty():
    assert len(HOSTILE) >= 30
    assert len(set(HOSTILE)) == len(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_refused_as_member_and_as_label(name, tmp_path):
    with pytest.raises(BolusError) as caught:
        safe_join(tmp_path, name)
    assert caught.value.code is Code.NAME_UNSAFE
    assert "\n" not in str(caught.value)

    if name != "con":
        with pytest.raises(BolusError):
            SessionKey(subject=name, session="1")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_the_name_of_a_series_becomes_a_plain_one(name, tmp_path):
    if "\0" not in name:
        plain = series_name(tmp_path / f"x{name}.nii.gz")

        assert "/" not in plain
        assert ".." not in plain or safe_join(tmp_path, plain).parent == tmp_path
        assert plain.isascii()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_does_not_leave_the_dataset(pattern, tmp_path):
    (tmp_path / "data").mkdir()

    with pytest.raises(BolusError) as caught:
        find_sessions(tmp_path / "data", pattern=pattern)

    assert caught.value.code in {Code.NAME_UNSAFE, Code.DATASET_INVALID}


def test_links_inside_an_output_are_not_written_through(tmp_path):
    (tmp_path / "mine").mkdir()
    with open_output(tmp_path / "out", inputs={}, config_digest="", version="1") as output:
        output.write("a.txt", "x")
        (output.stage / "link").symlink_to(tmp_path / "mine")
        with pytest.raises(BolusError) as caught:
            output.write("link/b.txt", "x")
        (output.stage / "link").unlink()

    assert caught.value.code is Code.NAME_UNSAFE
    assert list((tmp_path / "mine").iterdir()) == []
    assert verify(tmp_path / "out") == ()

"""Tables and curves as text: exact, guarded, the same in every country."""

import locale

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolus.core import QUANTITIES, ArterialInput, Provenance, TimeAxis
from bolus.errors import BolusError, Code, FileError, TimingError
from bolus.io import read_curve_tsv, table_text, write_curve_tsv, write_table


def curve(values, seconds=None, key="delta_r2s", candidates=None) -> ArterialInput:
    values = np.asarray(values, float)
    seconds = 1.5 * np.arange(len(values)) if seconds is None else np.asarray(seconds, float)
    return ArterialInput(
        values=values,
        time=TimeAxis(seconds=seconds),
        quantity=QUANTITIES[key],
        method="test",
        provenance=Provenance(),
        voxels=np.empty((0, 3), int),
        candidates=candidates,
    )


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=30),
    key=st.sampled_from(["signal", "delta_r2s", "conc"]),
)
def test_a_curve_written_and_read_is_exactly_the_same(tmp_path, values, key):
    write_curve_tsv(tmp_path / "aif.tsv", curve(values, key=key))

    again = read_curve_tsv(tmp_path / "aif.tsv")

    np.testing.assert_array_equal(again.values, values)
    assert again.quantity.key == key
    assert again.method == "file aif.tsv"


def test_irregular_times_come_back_exactly(tmp_path):
    write_curve_tsv(tmp_path / "aif.tsv", curve([1, 2, 3], seconds=[0.1, 0.3, 7.77]))

    np.testing.assert_array_equal(
        read_curve_tsv(tmp_path / "aif.tsv").time.seconds, [0.1, 0.3, 7.77]
    )


def test_candidates_are_columns_of_their_own(tmp_path):
    item = curve([1, 2], candidates=np.array([[1.0, 2.0], [3.0, 4.0]]))
    write_curve_tsv(tmp_path / "aif.tsv", item, spread=True)

    text = (tmp_path / "aif.tsv").read_text()

    assert text.splitlines()[0] == "time_s\tdelta_r2s_per_s\tcandidate_1\tcandidate_2"
    assert read_curve_tsv(tmp_path / "aif.tsv").values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("time_s\tdelta_r2s\n", "0 rows"),
        ("time_s\tdelta_r2s\n0\t1\n", "1 rows"),
        ("time_s,delta_r2s\n0,1\n1,2\n", "expected tabs"),
        ("time\tdelta_r2s\n0\t1\n1\t2\n", "expected time_s"),
        ("time_s\tvalue\n0\t1\n1\t2\n", "expected time_s"),
        ("time_s\tsignal\tconc\n0\t1\t1\n1\t2\t2\n", "expected time_s"),
        ("time_s\ttime_s\n0\t1\n1\t2\n", "same name"),
        ("time_s\tdelta_r2s\n0\t1\n1\n", "1 cells"),
        ("time_s\tdelta_r2s\n0\t1\n1\tabc\n", "'abc' is not a number"),
        ("time_s\tdelta_r2s\n0\t1\n1,5\t2\n", "a decimal comma? write 1.5"),
        ("time_s\tdelta_r2s\n0\t1\n1\tn/a\n", "line 3"),
        ("time_s\tdelta_r2s\n0\t1\n1\tnan\n", "not a finite number"),
        ("time_s\tdelta_r2s\n0\t1\n1\tinf\n", "not a finite number"),
    ],
)
def test_a_bad_curve_says_what_is_wrong(tmp_path, text, words):
    path = tmp_path / "aif.tsv"
    path.write_text(text)

    with pytest.raises(FileError) as caught:
        read_curve_tsv(path)

    assert caught.value.code is Code.TABLE_INVALID
    assert words in str(caught.value)
    assert caught.value.where == str(path)


def test_times_that_go_back_are_refused_with_the_name_of_the_file(tmp_path):
    path = tmp_path / "aif.tsv"
    path.write_text("time_s\tsignal\n0\t1\n2\t1\n1\t1\n")

    with pytest.raises(TimingError) as caught:
        read_curve_tsv(path)

    assert caught.value.where == str(path)


def test_a_missing_curve_is_a_missing_file(tmp_path):
    with pytest.raises(BolusError) as caught:
        read_curve_tsv(tmp_path / "no.tsv")

    assert caught.value.code is Code.FILE_MISSING


@pytest.mark.parametrize("text", ["=1+1", "+1", "-cmd", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_text_that_a_spreadsheet_would_run_is_quoted(text):
    cell = table_text(["name"], [[text]]).splitlines()[1]

    assert cell.startswith("'")


def test_line_ends_and_tabs_in_text_cannot_break_a_row():
    assert table_text(["a", "b"], [["x\ty\nz", 1]]) == "a\tb\nx y z\t1\n"


def test_missing_numbers_and_kinds_of_numbers():
    row = [None, float("nan"), np.float32(0.5), np.int64(3), True, -1.25]

    assert table_text(list("abcdef"), [row]).splitlines()[1] == "n/a\tn/a\t0.5\t3\ttrue\t-1.25"


def test_a_row_of_another_length_is_refused():
    with pytest.raises(FileError):
        table_text(["a", "b"], [[1]])


def test_the_decimal_point_does_not_follow_the_locale(tmp_path):
    before = locale.setlocale(locale.LC_NUMERIC)
    try:
        for name in ("de_DE.UTF-8", "C"):
            try:
                locale.setlocale(locale.LC_NUMERIC, name)
                break
            except locale.Error:
                continue
        write_table(tmp_path / "t.tsv", ["a"], [[1.5]])
    finally:
        locale.setlocale(locale.LC_NUMERIC, before)

    assert (tmp_path / "t.tsv").read_bytes() == b"a\n1.5\n"

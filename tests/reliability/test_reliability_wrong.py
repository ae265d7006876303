"""Right files with the wrong meaning are stopped or flagged; nothing good is stopped."""

import signal

import exam_cases
import pytest
from reliability_run import count
from wrong_cases import STOPPED, coarser, corner, flipped, mirrored, with_mask

pytestmark = pytest.mark.reliability
GOOD = exam_cases.good_protocols()
SOME = range(len(GOOD)) if count(1, 0) else (5, 18)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """The command in this process: exit code, and what it told on standard error."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def run(*words):
        from bolus.cli import main

        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "-o", str(tmp_path / "out")])
        return ended.value.code, capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, before)


def test_the_goal_is_met_in_number():
    names = {case.name for case in STOPPED}

    assert len(names) == len(STOPPED) >= 15
    assert len(GOOD) == 50


@pytest.mark.parametrize("case", STOPPED, ids=lambda case: case.name.replace(" ", "_"))
def test_what_is_silently_wrong_is_stopped_with_the_right_guess(case, tmp_path, command):
    status, told = command(*case.make(tmp_path), "-q")

    line = next(text for text in told.splitlines() if text.startswith("error["))
    assert status == 2, told
    assert line.startswith(f"error[{case.code}]")
    assert case.says in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (corner, "of the tumour lies where the series has no signal"),
        (flipped, "the tumour may be mirrored in its file (left and right swapped)"),
        (mirrored, "the tumour may be mirrored in its file (left and right swapped)"),
        (coarser, "the tumour was drawn on another grid (18 x 20 x 6)"),
    ],
    ids=["in the air", "mirrored in its data", "mirrored about the middle", "on another grid"],
)
def test_a_tumour_of_doubtful_place_is_flagged(tmp_path, command, change, says):
    (tmp_path / "s.toml").write_text(exam_cases.FAST)
    words = with_mask("--tumour", change)(tmp_path)

    status, told = command(*words, "--config", tmp_path / "s.toml", "-q")

    assert status == 0, told
    assert says in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("number", SOME)
def test_nothing_good_is_stopped(number, tmp_path, command):
    (tmp_path / "s.toml").write_text(exam_cases.FAST)
    files = exam_cases.write(tmp_path / "in", GOOD[number])

    status, told = command(
        "dsc", files.series, "--tumour", files.tumour, "--config", tmp_path / "s.toml", "-q"
    )

    assert status == 0, told
    page = (tmp_path / "out/report.html").read_text()
    assert "mirrored in its file" not in page
    assert "in reverse order" not in page

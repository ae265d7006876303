"""Killed with SIGKILL at any moment, then run again: the tree is that of a run left alone."""

import random
import signal
import time

import exam_cases
import pytest
from reliability_run import AtStep, Tally, count, die, run, start, tree, warm

from bolus.io import verify

pytestmark = pytest.mark.reliability
KILLS = count(50, 2)


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    files = exam_cases.write(folder / "in", shape=(28, 30, 6), voxel_mm=(6.0, 6.0, 6.0))
    settings = folder / "fast.toml"
    settings.write_text(exam_cases.FAST)
    words = ["dsc", files.series, "--tumour", files.tumour, "--config", settings, "-q", "-o"]
    warm(*words, folder / "warm")
    steps, told = folder / "steps", folder / "told"
    began = time.monotonic()
    assert run(*words, folder / "whole" / "out", told=told, before=Tally(steps)) == 0, (
        told.read_text()
    )
    spent_s = time.monotonic() - began
    return words, tree(folder / "whole"), int(steps.read_text()), spent_s


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_run_goes_on_to_the_same_tree(exam, tmp_path, number):
    """Even numbers die at a step of the file system, odd ones at a time; seeds are fixed."""
    words, whole, steps, spent_s = exam
    draw = random.Random(1000 + number)
    told, output = tmp_path / "told", tmp_path / "work" / "out"
    if number % 2 == 0:
        at = 1 + round((number // 2 + draw.random()) / max((KILLS + 1) // 2, 1) * (steps - 1))
        code = run(*words, output, told=told, before=AtStep(min(at, steps), die))
        assert code == -signal.SIGKILL
    else:
        process = start(*words, output, told=told)
        time.sleep(draw.uniform(0.05, 1.0) * spent_s)
        process.kill()
        process.join()
        process.close()
    if output.exists():
        assert verify(output) == ()

    assert run(*words, output, told=told) == 0, told.read_text()

    assert tree(tmp_path / "work") == whole

"""Two runs and one output: the second is told who holds it; a dead holder blocks nobody."""

import os
import re
import signal
import time

import exam_cases
import pytest
from reliability_run import run, start, warm

from bolus.io import verify

pytestmark = pytest.mark.reliability


def test_the_second_run_is_told_and_a_dead_holder_heals(tmp_path):
    files = exam_cases.write(tmp_path / "in")
    settings, told, output = tmp_path / "s.toml", tmp_path / "told", tmp_path / "work" / "out"
    settings.write_text(exam_cases.FAST)
    words = ["dsc", files.series, "--config", settings, "-q", "-o"]
    warm(*words, tmp_path / "warm")
    first = start(*words, output, told=tmp_path / "first")
    while not list(output.parent.glob(".bolus-stage-*")):
        assert first.is_alive()
        time.sleep(0.005)
    first_id = first.pid
    os.kill(first_id, signal.SIGSTOP)  # held where it is, so that the second meets it

    assert run(*words, output, told=told) == 2
    line = told.read_text()
    assert line.startswith("error[BOLUS-6004]")
    assert re.search(rf"process {first_id} on \S+", line)
    assert not output.exists()

    first.kill()
    first.join()
    assert run(*words, output, told=told) == 0, told.read_text()
    assert verify(output) == ()

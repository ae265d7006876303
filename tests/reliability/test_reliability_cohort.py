"""Cohorts that survive: workers killed at random, a bad session, a poisonous one, a stopped run."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from tiny_cohort import cut_short, holders, run, start, tree, write_cohort

from bolus import io

pytestmark = [pytest.mark.slow, pytest.mark.reliability]

SESSIONS = KILLS = int(os.environ.get("BOLUS_COHORT_COUNT", "20"))
"""Sessions of the dataset and workers killed; the goal is 20, a smaller number is a quick look."""
BAD = f"{SESSIONS - 1:02d}"
DASK = ("--executor", "dask", "--workers", "2")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort") / "data", SESSIONS)


@pytest.fixture(scope="module")
def serial(dataset):
    output = dataset.with_name("serial")
    status, _, told = run("run", dataset, output, "participant", "-q")
    assert status == 0, told
    return tree(output)


def kill_at_random(process, output, *, kills, seed):
    """Kill workers that hold a session, none more than twice at the same one; return the hits."""
    draw = random.Random(seed)
    hits: dict[str, int] = {}
    while sum(hits.values()) < kills and process.poll() is None:
        time.sleep(draw.uniform(0.1, 2.0))
        able = [(p, s) for p, s in holders(output).items() if hits.get(s, 0) < 2]
        if able:
            pid, session = draw.choice(sorted(able))
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            hits[session] = hits.get(session, 0) + 1
    return hits


@pytest.mark.parametrize("executor", ["dask", "processes"])
def test_killed_workers_lose_nothing(dataset, serial, tmp_path, executor):
    output = tmp_path / "out"
    process = start(
        "run", dataset, output, "participant", "-q", "--executor", executor, "--workers", "2"
    )
    hits = kill_at_random(process, output, kills=KILLS, seed=7)
    _, told = process.communicate(timeout=900)

    assert process.returncode == 0, told
    assert sum(hits.values()) == KILLS
    assert tree(output) == serial
    assert io.verify(output) == ()


def test_a_session_that_kills_its_worker_each_time_is_a_row_and_not_the_end(dataset, tmp_path):
    output = tmp_path / "out"
    four = [w for n in range(1, 5) for w in ("--participant-label", f"{n:02d}")]
    process = start("run", dataset, output, "participant", "-q", *DASK, *four)
    killed = set()
    while process.poll() is None:
        time.sleep(0.02)
        for pid, session in holders(output).items():
            if session == "sub-03" and pid not in killed:
                killed.add(pid)
                os.kill(pid, signal.SIGKILL)
    _, told = process.communicate()

    assert process.returncode == 3, told
    assert len(killed) == 3
    failed = (output / "failed.tsv").read_text().splitlines()
    assert len(failed) == 2
    assert failed[1].split("\t")[:4] == ["03", "n/a", "dsc", "BOLUS-6006"]
    assert {p.parent.parent.name for p in output.glob("sub-*/dsc/receipt.json")} == {
        "sub-01", "sub-02", "sub-04",
    }  # fmt: skip


def test_one_bad_session_leaves_the_others_and_the_next_run_mends_it(dataset, serial, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for subject in sorted(dataset.glob("sub-*")):
        (copy / subject.name).symlink_to(subject)
    (copy / f"sub-{BAD}").unlink()
    bad = copy / f"sub-{BAD}" / "perf"
    bad.mkdir(parents=True)
    for file in (dataset / f"sub-{BAD}" / "perf").iterdir():
        (bad / file.name).write_bytes(file.read_bytes())
    cut_short(bad / f"sub-{BAD}_dsc.nii.gz")
    output = tmp_path / "out"

    status, _, told = run("run", copy, output, "participant", "-q", *DASK)
    rows = (output / "failed.tsv").read_text().splitlines()
    written = {p.parent.parent.name for p in output.glob("sub-*/dsc/receipt.json")}

    assert status == 3, told
    assert len(rows) == 2
    assert rows[1].split("\t")[0] == BAD
    assert "BOLUS-1003" in rows[1]
    assert len(written) == SESSIONS - 1
    assert not (output / f"sub-{BAD}").exists()

    before = {p: p.stat().st_mtime_ns for p in output.rglob("sub-*/dsc/*")}
    status, _, told = run("run", dataset, output, "participant", "-q", *DASK)

    assert status == 0, told
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert tree(output) == serial


@pytest.mark.parametrize(
    ("executor", "sent", "expected"),
    [
        ("dask", signal.SIGINT, 130), ("dask", signal.SIGTERM, 143),
        ("processes", signal.SIGINT, 130), ("serial", signal.SIGTERM, 143),
    ],
)  # fmt: skip
def test_a_stopped_run_leaves_whole_sessions_and_goes_on(
    dataset, serial, tmp_path, executor, sent, expected
):
    output = tmp_path / "out"
    words = ("run", dataset, output, "participant", "-q", "--executor", executor)
    words += ("--workers", "2") if executor != "serial" else ()
    words += tuple(w for n in range(1, 6) for w in ("--participant-label", f"{n:02d}"))
    process = start(*words)
    while not (list(output.glob("sub-*/dsc/receipt.json")) and holders(output)):
        assert process.poll() is None
        time.sleep(0.05)
    # Ctrl-C reaches the whole group of processes, `kill` only the one it names
    (os.killpg if sent is signal.SIGINT else os.kill)(process.pid, sent)
    _, told = process.communicate(timeout=120)
    left = [p for p in output.rglob(".bolus-*") if not p.name.startswith(".bolus-lock")]
    whole = list(output.glob("sub-*/dsc/receipt.json"))

    assert process.returncode == expected, told
    assert "nothing half-written was left" in told
    assert "Traceback" not in told
    assert left == []
    assert 1 <= len(whole) < 5
    assert io.verify(output) == ()

    status, _, told = run(*words)
    assert status == 0, told
    assert tree(output) == {
        name: content for name, content in serial.items()
        if not name.startswith("sub-") or name[4:6] < "06"
    }  # fmt: skip

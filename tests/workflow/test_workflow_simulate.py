"""A simulated trial through the command line: complete, reproducible, resumable, valid BIDS."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bolus import io

pytestmark = pytest.mark.slow

TINY = ("--scanners", "2", "--matrix", "24", "24", "4", "--quiet", "--json")
SHORT = ("--visits", "1", "--post-treatment", "--rescan")
TRUTH = "derivatives/truth"


def start(output, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "bolus", "simulate", str(output), *words, *TINY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def simulate(output, *words):
    process = start(output, *words)
    told, failed = process.communicate(timeout=600)
    return process.returncode, told, failed


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    output = tmp_path_factory.mktemp("trial") / "data"
    status, told, failed = simulate(output, "--patients", "2", *SHORT)
    assert status == 0, failed
    return output, json.loads(told)


def table(path: Path) -> list[dict[str, str]]:
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_every_visit_that_took_place_has_its_images(trial):
    output, told = trial
    sessions = io.find_sessions(output)
    planned = table(output / TRUTH / "visits.tsv")
    came = [row for row in planned if row["attended"] == "true"]

    # both patients' first visits were scanned twice
    assert len(planned) == len(came) == 2
    assert told["sessions"] == told["simulated"] == len(sessions) == 4
    for session in sessions:
        start = output / session.key.folder
        for ending in (
            "perf/*_dsc.nii.gz", "perf/*_dce.nii.gz", "dwi/*_dwi.bval",
            "anat/*_ce-gadolinium_T1w.json",
            "anat/*_FLAIR.nii.gz", "anat/*_flip-1_VFA.nii.gz",
        ):  # fmt: skip
            assert len(list(start.glob(ending))) == 1, ending


def test_tables_name_the_same_patients_and_sessions(trial):
    output, _ = trial
    patients = {row["participant_id"] for row in table(output / "participants.tsv")}
    scanners = {row["scanner"] for row in table(output / "scanners.tsv")}

    assert patients == {"sub-0001", "sub-0002"}
    assert {row["participant_id"] for row in table(output / "outcomes.tsv")} == patients
    for patient in patients:
        rows = table(output / patient / f"{patient}_sessions.tsv")
        folders = {p.name for p in (output / patient).glob("ses-*")}
        assert {row["session_id"] for row in rows} == folders
        assert {row["scanner"] for row in rows} <= scanners


def test_a_series_reads_as_its_scanner_is_described(trial):
    output, _ = trial
    scanners = {row["scanner"]: row for row in table(output / "scanners.tsv")}
    for found in io.find_sessions(output):
        series = io.read_series(found.series)
        values = json.loads(Path(io.find_sidecar(found.series)).read_text())
        scanner = scanners[values["DeviceSerialNumber"]]

        assert series.acquisition.echo_time_s == float(scanner["echo_time_s"])
        assert series.time.uniform_step_s() == float(scanner["repetition_time_s"])
        assert len(series.time) == int(scanner["frames"])
        np.testing.assert_array_equal(series.values, np.rint(series.values))


def test_the_truth_lies_on_the_series_and_its_white_matter_is_one(trial):
    output, _ = trial
    for found in io.find_sessions(output):
        grid = io.read_series(found.series).grid
        folder = output / TRUTH / found.key.folder
        ncbv, own = io.read_image(next(folder.glob("perf/*_space-dsc_desc-truth_ncbv.nii.gz")))
        white = io.read_mask(
            next(folder.glob("anat/*_label-whitematter_mask.nii.gz")), name="white", grid=grid
        )

        grid.require_match(own, what="truth")
        assert np.nanmean(ncbv[white.values]) == pytest.approx(1.0, abs=0.02)
        for name in ("cbv", "cbf", "mtt", "delay", "ktrans", "ve", "adc"):
            assert list(folder.glob(f"perf/*_space-dsc_desc-truth_{name}.nii.gz"))
        for name in ("ktrans", "ve", "vp", "r10", "b1"):
            assert list(folder.glob(f"perf/*_space-dce_desc-truth_{name}.nii.gz"))


def test_a_reader_finds_the_tumour_but_not_the_true_artery(trial):
    output, _ = trial
    for found in io.find_sessions(output):
        assert found.tumour is not None
        assert found.aif is None


def test_a_repeated_scan_is_of_the_same_day_and_scanner_with_other_noise(trial):
    output, _ = trial
    for patient in ("sub-0001", "sub-0002"):
        rows = table(output / patient / f"{patient}_sessions.tsv")
        assert [row["rescan"] for row in rows] == ["false", "true"]
        for name in ("day", "scanner", "acq_time"):
            assert rows[0][name] == rows[1][name]
        one, two = (
            io.read_series(next((output / patient / row["session_id"]).glob("perf/*_dsc.nii.gz")))
            for row in rows
        )

        assert one.grid.shape == two.grid.shape
        assert (one.values != two.values).mean() > 0.5


def test_the_official_validator_finds_no_error(trial):
    output, _ = trial
    program = Path(sys.executable).with_name("bids-validator-deno")
    for root in (output, output / TRUTH):
        done = subprocess.run(
            [str(program), "--format", "json", str(root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [i for i in issues if i["severity"] == "error"] == []


def test_two_workers_write_the_same_bytes_as_one(trial, tmp_path):
    output, _ = trial
    status, _, failed = simulate(tmp_path / "data", "--patients", "2", *SHORT, "--workers", "2")

    assert status == 0, failed
    assert tree(tmp_path / "data") == tree(output)


def test_patients_can_be_added_and_only_what_is_missing_is_simulated(trial, tmp_path):
    output, _ = trial
    assert simulate(tmp_path / "data", "--patients", "1", *SHORT)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "data" / "sub-0001").glob("ses-*/*/*")}
    damaged = tmp_path / "data" / TRUTH / "sub-0001" / "ses-01rescan" / "receipt.json"
    damaged.unlink()
    again = damaged.with_name("perf")
    for file in sorted(again.parent.rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()

    status, told, failed = simulate(tmp_path / "data", "--patients", "2", *SHORT)
    kept = {p: t for p, t in before.items() if "rescan" not in p.name}

    assert status == 0, failed
    assert json.loads(told)["skipped"] == 1
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert tree(tmp_path / "data") == tree(output)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_only_complete_sessions_and_the_next_run_goes_on(trial, tmp_path, workers):
    output, _ = trial
    words = ("--patients", "1", *SHORT, "--workers", workers)
    folder = tmp_path / "data"
    process = start(folder, *words)
    while not list(folder.glob("sub-*/.bolus-stage-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the run
    _, failed = process.communicate(timeout=120)

    assert process.returncode == 130, failed
    assert failed.strip().count("\n") == 0
    assert list(folder.rglob(".bolus-stage-*")) == []
    assert all((p / "receipt.json").exists() for p in folder.glob("sub-*/ses-*"))
    assert simulate(folder, *words)[0] == 0
    done = {name: content for name, content in tree(output).items() if "sub-0001/" in name}
    assert {n: content for n, content in tree(folder).items() if "sub-0001/" in n} == done


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--patients", "0"), "BOLUS-5004"),
        (("--visits", "0"), "BOLUS-5004"),
        (("--workers", "0"), "BOLUS-5004"),
        (("--seed", "-1"), "BOLUS-5004"),
        (("--size", "huge"), "BOLUS-5004"),
        (("--matrix", "2", "2", "2"), "BOLUS-4005"),
        (("--visits", "3", "--preoperative"), "BOLUS-4005"),
    ],
)
def test_what_cannot_be_simulated_is_one_line_and_nothing_is_written(tmp_path, words, code):
    done = subprocess.run(
        [sys.executable, "-m", "bolus", "simulate", str(tmp_path / "data"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert done.stderr.startswith(f"error[{code}]")
    assert done.stderr.strip().count("\n") == 0
    assert not (tmp_path / "data").exists()


def test_a_folder_of_something_else_is_left_alone(trial, tmp_path):
    output, _ = trial
    (tmp_path / "notes.txt").write_text("mine")
    for place, words in (
        (tmp_path, ("--patients", "1")),
        (tmp_path / "notes.txt", ("--patients", "1")),
        (output, ("--patients", "2", *SHORT, "--seed", "2")),
        (output, ("--patients", "1", *SHORT)),
    ):
        status, _, failed = simulate(place, *words)
        assert status == 2
        assert json.loads(failed)["code"] in ("BOLUS-1012", "BOLUS-1013")
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]

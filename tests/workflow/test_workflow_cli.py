"""The commands as a user types them, in a process of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_exam import write_exam

from bolus import RESEARCH_USE, io


def bolus(*words, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "bolus", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return write_exam(tmp_path_factory.mktemp("exam"))


@pytest.fixture(scope="module")
def done(exam, tmp_path_factory):
    output = tmp_path_factory.mktemp("done") / "maps"
    result = bolus(
        "dsc", exam.series, "--tumour", exam.tumour, "--output", output, "--quiet",
        env={"SOURCE_DATE_EPOCH": "0"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return output, result


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_series_becomes_maps_tables_and_a_report(done):
    output, result = done
    names = sorted(tree(output))

    for key in (
        "ncbv",
        "cbv",
        "cbf",
        "mtt",
        "tmax",
        "ttp",
        "bat",
        "k1",
        "k2",
        "psr",
        "ph",
        "srcbv",
    ):
        assert [n for n in names if n.endswith(f"_{key}.nii.gz")], key
    assert "report.html" in names
    assert RESEARCH_USE in result.stdout
    assert str(output / "report.html") in result.stdout


def test_the_tumour_has_the_ncbv_that_was_put_in(done, exam):
    output, _ = done
    values, grid = io.read_image(next(output.glob("*_ncbv.nii.gz")))
    tumour = io.read_mask(exam.tumour, name="tumour", grid=grid)

    # 5 %: the goal for the simulated patient, kept on this plainer object too
    assert np.nanmean(values[tumour.values]) == pytest.approx(exam.true_ncbv, rel=0.05)


def test_what_was_written_verifies_and_a_change_is_found(done, tmp_path):
    output, _ = done
    assert bolus("verify", output).returncode == 0

    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(output), str(copy)], check=True)
    changed = next(copy.glob("*_ncbv.nii.gz"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    result = bolus("verify", copy)

    assert result.returncode == 2
    assert f"changed  {changed.name}" in result.stdout


def test_the_same_input_gives_the_same_bytes(done, exam, tmp_path):
    output, _ = done
    again = bolus(
        "dsc", exam.series, "--tumour", exam.tumour, "--output", tmp_path / "maps", "-q",
        env={"SOURCE_DATE_EPOCH": "0", "NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
    )  # fmt: skip

    assert again.returncode == 0
    assert tree(tmp_path / "maps") == tree(output)


def test_a_complete_result_is_not_computed_again(done, exam):
    output, _ = done
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*")}

    result = bolus("dsc", exam.series, "--tumour", exam.tumour, "--output", output)

    assert "Already complete" in result.stdout
    assert {p: p.stat().st_mtime_ns for p in output.rglob("*")} == before


def test_masks_of_the_user_are_used(exam, tmp_path):
    result = bolus(
        "--json", "dsc", exam.series, "--mask", exam.brain, "--reference-mask", exam.reference,
        "--tumour", exam.tumour, "--output", tmp_path / "maps",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr

    brain, _ = io.read_image(next((tmp_path / "maps").glob("*_label-brain_mask.nii.gz")))
    ncbv, _ = io.read_image(next((tmp_path / "maps").glob("*_ncbv.nii.gz")))
    reference = io.read_mask(exam.reference, name="reference")
    assert np.array_equal(brain > 0, io.read_mask(exam.brain, name="brain").values)
    assert np.nanmean(ncbv[reference.values]) == pytest.approx(1.0, abs=0.02)
    assert json.loads(result.stdout)["skipped"] is False


def test_an_exported_artery_gives_the_same_maps(done, exam, tmp_path):
    output, _ = done
    artery = next(output.glob("*_aif.tsv"))

    result = bolus(
        "dsc", exam.series, "--tumour", exam.tumour, "--aif", artery, "-o", tmp_path / "maps", "-q"
    )

    assert result.returncode == 0, result.stderr
    for key in ("cbv", "cbf"):
        first, _ = io.read_image(next(output.glob(f"*_{key}.nii.gz")))
        second, _ = io.read_image(next((tmp_path / "maps").glob(f"*_{key}.nii.gz")))
        np.testing.assert_allclose(second, first, rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["dsc", "nowhere.nii.gz", "-o", "out"], "BOLUS-1001"),
        (["dsc", "SERIES", "-o", "out", "--echo-time", "30"], "BOLUS-4002"),
        (["dsc", "SERIES", "-o", "out", "--aif", "SERIES"], "BOLUS-1008"),
        (["dsc", "SERIES", "-o", "out", "--mask", "SERIES"], "BOLUS-1014"),
        (["dsc", "SERIES", "-o", "out", "--config", "nowhere.toml"], "BOLUS-1001"),
        (["dsc", "SERIES"], "BOLUS-5004"),
        (["dcs", "SERIES"], "BOLUS-5004"),
        (["run", "nowhere", "out", "participant"], "BOLUS-1001"),
        (["run", ".", "out", "everyone"], "BOLUS-5004"),
        (["curves", "SERIES", "-o", "out", "--voxel", "1,2"], "BOLUS-5004"),
        (["curves", "SERIES", "-o", "out", "--voxel", "400,2,2"], "BOLUS-4005"),
        (["verify", "nowhere"], "BOLUS-1001"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(exam, tmp_path, words, code):
    words = [str(exam.series) if w == "SERIES" else w for w in words]

    result = bolus(*words, cwd=tmp_path)

    assert result.returncode == 2
    assert result.stderr.strip().splitlines()[-1].startswith(f"error[{code}]")
    assert "Traceback" not in result.stderr
    assert tree(tmp_path) == {}


def test_errors_come_as_json_when_asked(tmp_path):
    result = bolus("dsc", "nowhere.nii.gz", "-o", "out", "--json", cwd=tmp_path)

    assert json.loads(result.stderr.splitlines()[-1])["code"] == "BOLUS-1001"


def test_an_unknown_setting_is_refused_with_a_hint(exam, tmp_path):
    settings = tmp_path / "s.toml"
    settings.write_text("[dsc]\nleakage_corection = 'bsw'\n")

    result = bolus("dsc", exam.series, "-o", tmp_path / "out", "--config", settings)

    assert result.returncode == 2
    assert "did you mean dsc.leakage_correction?" in result.stderr


def test_ctrl_c_leaves_nothing_behind(exam, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "bolus", "dsc", str(exam.series), "-o", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".bolus-stage-*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)

    assert process.returncode == 130, rest
    assert [p for p in tree(tmp_path) if not p.startswith(".bolus-lock-")] == []


def test_a_dataset_with_one_bad_session_finishes_the_others(tmp_path):
    dataset = tmp_path / "data"
    for subject in ("01", "02"):
        folder = dataset / f"sub-{subject}" / "perf"
        folder.mkdir(parents=True)
        write_exam(folder, name=f"sub-{subject}_dsc")
        for extra in folder.glob("*-*-*"):
            extra.unlink()
    bad = dataset / "sub-02" / "perf" / "sub-02_dsc.nii.gz"
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2])

    result = bolus("run", dataset, tmp_path / "out", "participant", "-q")

    assert result.returncode == 3
    assert (tmp_path / "out" / "sub-01" / "dsc" / "report.html").exists()
    assert not (tmp_path / "out" / "sub-02").exists()
    assert "BOLUS-1003" in (tmp_path / "out" / "failed.tsv").read_text()


def test_version_states_the_use():
    assert RESEARCH_USE in bolus("--version").stdout

"""DSC and DCE of a session as steps of their own: each stands, fails and is skipped alone."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_dce
import tiny_exam

from bolus import io
from bolus.core import LabelMap
from bolus.workflows.cohort import FAILED_NAME, run_cohort
from bolus.workflows.config import config_with, parse_config
from bolus.workflows.demo import run_demo

FOLDER = "sub-01/ses-pre"
NAME = "sub-01_ses-pre"
QUICK = parse_config(
    """
    dsc.motion_correction = false
    dsc.flow_method = "osvd"
    dsc.leakage_correction = "none"
    dce.motion_correction = false
    dce.delay = "none"
    """
)
"""These tests are about files and steps; how good the maps are is tested elsewhere."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """One visit with DSC of five slices, DCE of six, flip angles, and labels on the DSC grid."""
    root, source = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("source")
    dsc, dce = tiny_exam.write_exam(source), tiny_dce.write_exam(source)
    for folder in ("perf", "anat"):
        (root / FOLDER / folder).mkdir(parents=True)
    for image in (dce.series, *dce.vfa):
        place = "perf" if image == dce.series else "anat"
        target = root / FOLDER / place / image.name.replace("exam", NAME)
        shutil.copy(image, target)
        shutil.copy(io.find_sidecar(image), sidecar_of(target))
    series = io.read_series(dsc.series)
    grid = replace(series.grid, shape=(*series.grid.shape[:2], 5))
    target = root / FOLDER / "perf" / f"{NAME}_dsc.nii.gz"
    io.write_volume(target, series.values[:, :, :5], grid, frame_step_s=tiny_exam.STEP_S)
    shutil.copy(io.find_sidecar(dsc.series), sidecar_of(target))
    drawn = io.read_mask(dsc.tumour, name="tumour").values[:, :, :5]
    labels = LabelMap(values=drawn.astype("int16"), grid=grid, names={1: "core"})
    names = io.OutputNames(key=io.session_key(target.relative_to(root)), folder=FOLDER)
    with io.open_output(
        root / "derivatives" / "drawn", inputs={}, config_digest="", version="0"
    ) as output:
        io.write_labels(output, names.segmentation("tumour"), labels, sources=["x"])
    return root


def sidecar_of(image: Path) -> Path:
    return image.with_name(image.name.replace(".nii.gz", ".json"))


@pytest.fixture(scope="module")
def done(dataset, tmp_path_factory):
    output = tmp_path_factory.mktemp("out")
    return output, run_cohort(dataset, output, QUICK)


def copied(done, dataset, tmp_path):
    """Return the dataset and its complete output, to be changed."""
    shutil.copytree(dataset, tmp_path / "data")
    shutil.copytree(done[0], tmp_path / "out")
    return tmp_path / "data", tmp_path / "out"


def steps(outcome):
    return {
        s.step: "failed" if s.error else "kept" if s.skipped else "done" for s in outcome.sessions
    }


def test_each_step_has_its_folder_report_and_receipt(done):
    output, outcome = done

    assert steps(outcome) == {"dsc": "done", "dce": "done"}
    for step, key in (("dsc", "ncbv"), ("dce", "ktrans")):
        folder = output / FOLDER / step
        assert (folder / "report.html").is_file()
        assert io.verify(folder) == ()
        assert len(list(folder.glob(f"perf/{NAME}_space-{step}_desc-*_{key}.nii.gz"))) == 1
    assert not (output / FAILED_NAME).exists()


def test_dce_is_given_the_artery_that_dsc_wrote(done):
    output, _ = done
    artery = output / FOLDER / "dsc" / "perf" / f"{NAME}_aif.tsv"
    inputs = io.read_receipt(output / FOLDER / "dce" / "receipt.json").inputs

    assert inputs[artery.name] == io.file_digest(artery)


def test_labels_drawn_on_dsc_are_brought_to_the_grid_of_dce(done):
    output, _ = done
    path = output / FOLDER / "dce" / "anat" / f"{NAME}_space-dce_seg-tumour_dseg.nii.gz"
    labels = io.read_labels(path)

    assert labels.grid.shape == tiny_dce.SHAPE
    assert labels.names == {1: "core"}
    assert "resampled to that of the series" in (path.parents[1] / "report.html").read_text()


@pytest.mark.slow
def test_what_is_complete_is_kept_step_by_step(done, dataset, tmp_path):
    data, output = copied(done, dataset, tmp_path)
    assert steps(run_cohort(data, output, QUICK)) == {"dsc": "kept", "dce": "kept"}

    patlak = config_with(QUICK, "dce", {"model": "patlak"})
    assert steps(run_cohort(data, output, patlak)) == {"dsc": "kept", "dce": "done"}

    shutil.rmtree(output / FOLDER / "dsc")
    assert steps(run_cohort(data, output, patlak)) == {"dsc": "done", "dce": "kept"}


def _cut(data):
    path = data / FOLDER / "perf" / f"{NAME}_dce.nii.gz"
    path.write_bytes(path.read_bytes()[:5000])


def _without_t1(data):
    for path in data.glob(f"{FOLDER}/anat/*_VFA.*"):
        path.unlink()


@pytest.mark.parametrize(("harm", "code"), [(_cut, "BOLUS-1004"), (_without_t1, "BOLUS-4001")])
def test_dsc_stands_where_dce_fails(done, dataset, tmp_path, harm, code):
    data, output = copied(done, dataset, tmp_path)
    shutil.rmtree(output / FOLDER / "dce")
    harm(data)

    assert steps(run_cohort(data, output, QUICK)) == {"dsc": "kept", "dce": "failed"}
    header, row = (output / FAILED_NAME).read_text().splitlines()
    failed = dict(zip(header.split("\t"), row.split("\t"), strict=True))
    assert (failed["step"], failed["code"]) == ("dce", code)
    assert failed["mend"]
    assert sorted(p.name for p in (output / FOLDER).iterdir() if p.is_dir()) == ["dsc"]
    assert io.verify(output / FOLDER / "dsc") == ()


@pytest.mark.slow
def test_a_broken_dsc_does_not_stop_dce_and_a_t1_map_wins_over_flip_angles(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "data")
    flat, grid = io.read_image(next(dataset.glob(f"{FOLDER}/anat/*_VFA.nii.gz")))
    t1_map = tmp_path / "data" / FOLDER / "anat" / f"{NAME}_T1map.nii.gz"
    io.write_volume(t1_map, np.where(flat > 0, 1.0, 0.0).astype(np.float32), grid)
    path = tmp_path / "data" / FOLDER / "perf" / f"{NAME}_dsc.nii.gz"
    path.write_bytes(path.read_bytes()[:5000])

    outcome = run_cohort(tmp_path / "data", tmp_path / "out", QUICK)

    assert steps(outcome) == {"dsc": "failed", "dce": "done"}
    inputs = io.read_receipt(tmp_path / "out" / FOLDER / "dce" / "receipt.json").inputs
    assert t1_map.name in inputs
    assert not [name for name in inputs if "VFA" in name or "aif" in name]


@pytest.mark.slow
def test_ctrl_c_in_dce_keeps_dsc_and_the_next_run_goes_on(done, dataset, tmp_path):
    data, output = copied(done, dataset, tmp_path)
    before = io.read_receipt(output / FOLDER / "dce" / "receipt.json").outputs
    shutil.rmtree(output / FOLDER / "dce")

    def stop(stage, *_):
        if stage.endswith("Model"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cohort(data, output, QUICK, progress=stop)
    assert {p.name for p in (output / FOLDER).iterdir() if p.is_dir()} == {"dsc"}

    assert steps(run_cohort(data, output, QUICK)) == {"dsc": "kept", "dce": "done"}
    again = io.read_receipt(output / FOLDER / "dce" / "receipt.json").outputs
    assert {k: v for k, v in again.items() if k != "report.html"} == {
        k: v for k, v in before.items() if k != "report.html"
    }


def test_the_official_validator_finds_nothing(done):
    program = Path(sys.executable).with_name("bids-validator-deno")
    found = subprocess.run(
        [str(program), "--format", "json", str(done[0])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert json.loads(found.stdout)["issues"]["issues"] == []


@pytest.mark.slow
def test_the_demo_runs_both_steps_and_comes_near_the_truth(tmp_path):
    outcome = run_demo(tmp_path, seed=1)

    assert sorted(outcome.reports) == ["dce", "dsc"]
    assert all(path.is_file() for path in outcome.reports.values())
    off = {(row.quantity, row.region): row.error_percent for row in outcome.checks}
    assert off["ncbv", "whole tumour"] == pytest.approx(0, abs=5)
    assert off["ktrans", "whole tumour"] == pytest.approx(0, abs=10)
    assert off["ktrans", "brain outside the tumour"] is None  # there is none to be off of
    assert {quantity for quantity, _ in off} == {"ncbv", "ktrans", "vp", "ve"}

"""Codes as a step of a session: its files, its refusals, and what habitats can make of it."""

import json
import shutil

import numpy as np
import pytest
import tiny_codes
from tiny_codes import FOLDER, NAME

from bolus import io
from bolus.core import ProtocolRange
from bolus.errors import Code
from bolus.io.tables import read_table
from bolus.workflows import networks
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import config_with, parse_config
from bolus.workflows.visits import find_patients, read_visit

QUICK = parse_config(
    """
    dsc.flow_method = "osvd"
    dsc.leakage_correction = "none"
    codes.enabled = true
    """
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A dataset whose DSC is finished; codes are not."""
    root = tiny_codes.write_dataset(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("s"))
    out = root / "derivatives" / "bolus"
    run_cohort(root, out, config_with(QUICK, "codes", {"enabled": False}))
    return root


@pytest.fixture
def dataset(done, tmp_path):
    return shutil.copytree(done, tmp_path / "data")


def run(dataset, config=QUICK):
    outcome = run_cohort(dataset, dataset / "derivatives" / "bolus", config)
    return {step.step: step for step in outcome.sessions}


def codes_folder(dataset):
    return dataset / "derivatives" / "bolus" / FOLDER / "codes"


def test_a_session_gets_codes_shares_and_a_page(dataset, monkeypatch):
    tiny_codes.stand_in(monkeypatch)

    steps = run(dataset)

    assert [steps[n].error for n in ("dsc", "codes")] == [None, None]
    assert steps["dsc"].skipped
    folder = codes_folder(dataset)
    assert io.verify(folder) == ()
    codes = io.read_labels(folder / "anat" / f"{NAME}_space-dsc_seg-codes_dseg.nii.gz")
    drawn = folder.parent / "dsc" / "anat" / f"{NAME}_space-dsc_seg-tumour_dseg.nii.gz"
    tumour = io.read_labels(drawn).foreground
    assert codes.names == {n: f"H{n}" for n in range(1, 9)}
    assert np.array_equal(codes.values > 0, tumour.values)
    columns, rows = read_table(folder / "perf" / f"{NAME}_codes.tsv")
    shares = [dict(zip(columns, row, strict=True)) for row in rows]
    assert {row["region"] for row in shares} == {"whole tumour", "enhancing tumour", "oedema"}
    whole = [float(row["percent"]) for row in shares if row["region"] == "whole tumour"]
    assert sum(whole) == pytest.approx(100)
    for row in shares:
        assert float(row["low95"]) <= float(row["percent"]) <= float(row["high95"])
    page = (folder / "report.html").read_text()
    assert "trained on simulated curves" in page
    assert "Research use only" in page


def test_a_second_run_does_nothing(dataset, monkeypatch):
    tiny_codes.stand_in(monkeypatch)
    run(dataset)

    assert run(dataset)["codes"].skipped

    tiny_codes.stand_in(monkeypatch, tiny_codes.weights(limits="Other."))
    assert run(dataset)["codes"].skipped  # the card's words decide nothing


def test_coordinates_are_features_of_habitats(dataset, monkeypatch):
    tiny_codes.stand_in(monkeypatch)
    run(dataset)
    features = ("ncbv", "latent1", "latent6", "codedistance")

    ((visit,),) = find_patients(dataset, dataset / "derivatives" / "bolus", features).values()
    table = read_visit(visit, features).table(features)

    assert table.count > 50
    assert table.column("latent1").min() > 0
    assert np.allclose(table.column("latent1"), table.column("latent6"))


def test_a_protocol_the_network_was_not_trained_for_is_refused(dataset, monkeypatch):
    narrow = ProtocolRange(limits={"interval_s": (2.0, 3.0), "echo_time_s": (0.02, 0.04)})
    tiny_codes.stand_in(monkeypatch, tiny_codes.weights(protocol=narrow))

    error = run(dataset)["codes"].error

    assert error.code is Code.PROTOCOL_OUTSIDE
    assert "interval_s is 1.5, trained for 2 to 3" in str(error)
    assert "echo_time_s" not in str(error)
    assert not codes_folder(dataset).exists()


def test_without_finished_dsc_there_are_no_codes(dataset, monkeypatch):
    tiny_codes.stand_in(monkeypatch)
    motion = codes_folder(dataset).parent / "dsc" / "perf" / f"{NAME}_motion.tsv"
    motion.unlink()
    monkeypatch.setattr("bolus.workflows.session._dsc", None)
    series = next((dataset / FOLDER / "perf").glob("*_dsc.nii.gz"))
    series.write_bytes(b"no image")

    steps = run(dataset)

    assert steps["codes"].error.code is Code.RECEIPT_MISMATCH
    assert steps["dsc"].error is not None


def test_without_the_libraries_the_step_says_what_to_install(dataset, monkeypatch):
    monkeypatch.setattr(networks, "find_spec", lambda _name: None)

    error = run(dataset)["codes"].error

    assert error.code is Code.EXTRA_MISSING
    assert 'pip install "bolus[dl]"' in error.mend


def test_settings_of_codes_do_not_repeat_dsc(dataset, monkeypatch):
    tiny_codes.stand_in(monkeypatch)

    run(dataset)
    facts = json.loads((codes_folder(dataset) / "perf" / f"{NAME}_codes.json").read_text())

    assert facts["TrainedOnSimulatedCurves"] is True
    assert facts["VoxelsWithoutCurve"] == 0
    assert run(dataset)["dsc"].skipped

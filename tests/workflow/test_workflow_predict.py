"""A prediction of one session through the command line's workflow: its files and its refusals."""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import tiny_codes
from tiny_codes import FOLDER

from bolus import io
from bolus.cli import main
from bolus.core import ProtocolRange
from bolus.core.exam_curves import CURVE_REGIONS
from bolus.errors import BolusError, Code
from bolus.workflows import networks
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import Config, parse_config
from bolus.workflows.predict import PredictRequest, predict_session

QUICK = parse_config(
    'dsc.flow_method = "osvd"\ndsc.leakage_correction = "none"\ndsc.motion_correction = false'
)
SETTINGS = {"label": "idh", "positive": "mutant"}
LIKE = {"unlike_p99": 3.0}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    root = tiny_codes.write_dataset(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("s"))
    run_cohort(root, root / "derivatives" / "bolus", QUICK)
    return root


@pytest.fixture
def session(done, tmp_path):
    root = shutil.copytree(done, tmp_path / "data")
    return root / "derivatives" / "bolus" / FOLDER


def predict_sequence(cohort, weights):
    """Say what a network could, of the curves that came."""
    (exam,) = cohort.exams
    there = dict(zip(CURVE_REGIONS, np.isfinite(exam.regions).all(axis=1), strict=True))
    assert there == {
        "enhancing": True, "nonenhancing": False, "oedema": True, "whole": True, "aif": True
    }  # fmt: skip
    assert weights.card.kind == "curve-sequence"
    members = np.array([[0.7, 0.8, 0.9]])
    return types.SimpleNamespace(
        probability=members.mean(axis=1), lower=np.array([0.66]), upper=np.array([0.92]),
        members=members, out_of_distribution=np.array([1.5]),
        attention=np.ones((1, 15)) / 15, time_s=np.arange(15) * 6.0, start_s=np.array([3.0]),
    )  # fmt: skip


def stand_in(monkeypatch, **changes):
    network = types.ModuleType("bolus.nets.sequence_fit")
    network.predict_sequence = predict_sequence
    monkeypatch.setitem(sys.modules, "bolus.nets.sequence_fit", network)
    facts = {"name": "curve-sequence", "kind": "curve-sequence", "settings": SETTINGS,
             "measured": LIKE}  # fmt: skip
    made = tiny_codes.weights(**{**facts, **changes})
    monkeypatch.setattr("bolus.workflows.predict.chosen_weights", lambda _path, kind: made)


def test_a_session_gets_a_number_with_its_interval_and_what_it_is_not(session, monkeypatch):
    stand_in(monkeypatch)

    outcome = predict_session(PredictRequest(session=session), Config())

    assert not outcome.skipped
    assert outcome.report == session / "prediction" / "report.html"
    assert io.verify(session / "prediction") == ()
    assert outcome.facts["probability"] == pytest.approx(0.8)
    assert outcome.facts["lower"] < outcome.facts["probability"] < outcome.facts["upper"]
    assert outcome.facts["is_unlike"] is False
    assert outcome.facts["protocol"]["interval_s"] == [1.5, 1.0, 3.0]
    page = outcome.report.read_text()
    for said in ("IDH-mutant", "0.80", "0.66 to 0.92", "no diagnosis", "simulated curves",
                 "Research use only"):  # fmt: skip
        assert said in page
    assert predict_session(PredictRequest(session=session), Config()).skipped


def test_an_exam_unlike_the_training_is_flagged(session, monkeypatch):
    stand_in(monkeypatch, measured={"unlike_p99": 1.0})

    outcome = predict_session(PredictRequest(session=session), Config())

    assert outcome.facts["is_unlike"] is True
    assert "do not use the number" in outcome.report.read_text()


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"protocol": ProtocolRange(limits={"interval_s": (2.0, 3.0)})},
         Code.PROTOCOL_OUTSIDE, "interval_s is 1.5, trained for 2 to 3"),
        ({"fitted_on": frozenset({"01"})}, Code.SPLIT_LEAKS, "was fitted on"),
    ],
)  # fmt: skip
def test_what_a_network_must_not_be_asked_is_refused(session, monkeypatch, changes, code, said):
    stand_in(monkeypatch, **changes)

    with pytest.raises(BolusError, match=said) as caught:
        predict_session(PredictRequest(session=session), Config())

    assert caught.value.code is code
    assert not (session / "prediction").exists()


def test_what_is_no_session_is_refused(session, monkeypatch):
    stand_in(monkeypatch)

    for folder in (session / "dsc", session.parents[1], session / "nowhere", session.parent):
        with pytest.raises(BolusError) as caught:
            predict_session(PredictRequest(session=folder), Config())
        assert caught.value.code in (Code.DATASET_INVALID, Code.FILE_MISSING)


def test_a_session_outside_of_derivatives_needs_its_dataset(session, monkeypatch, tmp_path):
    stand_in(monkeypatch)
    root = session.parents[3]
    moved = shutil.move(session.parents[1], tmp_path / "maps")

    with pytest.raises(BolusError, match="--data"):
        predict_session(PredictRequest(session=moved / FOLDER), Config())

    asked = PredictRequest(session=moved / FOLDER, data=root)
    assert predict_session(asked, Config()).facts["session"] == "sub-01_ses-pre"


def test_the_command_prints_the_number_and_what_it_is_not(session, monkeypatch, capsys):
    stand_in(monkeypatch)

    with pytest.raises(SystemExit) as left:
        main(["predict", str(session), "--quiet"])
    printed = capsys.readouterr().out

    assert left.value.code == 0
    assert "P(IDH-mutant)  0.80  (0.66 to 0.92)" in printed
    assert "No diagnosis" in printed
    assert "simulated curves" in printed
    with pytest.raises(SystemExit):
        main(["--json", "predict", str(session), "--quiet"])
    assert json.loads(capsys.readouterr().out)["skipped"] is True


def test_the_networks_that_come_with_bolus_answer(session):
    found = predict_session(PredictRequest(session=session), Config()).facts

    assert found["positive"] == "IDH-mutant"
    assert found["trained_on_simulated_curves"] is True
    assert 0 <= found["lower"] <= found["probability"] <= found["upper"] <= 1
    assert len(found["members"]) >= 2


def test_without_the_libraries_one_line_says_what_to_install(session, monkeypatch, capsys):
    monkeypatch.setattr(networks, "find_spec", lambda _name: None)

    with pytest.raises(SystemExit) as left:
        main(["predict", str(session)])
    (line,) = capsys.readouterr().err.splitlines()

    assert left.value.code == 2
    assert line.startswith("error[BOLUS-7102]")
    assert 'pip install "bolus[dl]"' in line

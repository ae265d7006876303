"""An evaluation from the command line: what it writes, what it refuses, and its control."""

import dataclasses
import json

import pytest

from bolus import io
from bolus.cli import main
from bolus.errors import Code, ConfigError, FileError, LeakageError
from bolus.io.looks import read_looks
from bolus.io.tables import read_table
from bolus.workflows import evaluate as workflow
from bolus.workflows.config import parse_config
from bolus.workflows.evaluate import LOOKS, EvaluateRequest, evaluate

CHEAP = ("site", "clinic", "ncbv")
QUICK = parse_config("train.seeds = 2")
WHOLE = workflow.simulate_curve_cohort(60, seed=1, voxels=50)


@pytest.fixture(autouse=True, scope="module")
def small():
    """Simulate each patient once for all tests, with few voxels."""

    def patients(count, *, seed, scanners=4):
        if seed == 1 and count <= len(WHOLE.exams):
            return WHOLE.of(WHOLE.subjects[:count])
        return simulated(count, seed=seed, scanners=scanners, voxels=50)

    simulated = workflow.simulate_curve_cohort
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workflow, "simulate_curve_cohort", patients)
        yield


def request(folder, **changes):
    asked = {"output": folder / "out", "predictors": CHEAP, "simulated": 60, "device": "cpu"}
    return EvaluateRequest(**{**asked, **changes})


@pytest.fixture(scope="module")
def done(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    return evaluate(request(folder, controls=3), QUICK), folder / "out"


def test_tables_and_page_are_written(done):
    outcome, folder = done

    assert io.verify(folder) == ()
    assert {p.name for p in folder.iterdir()} == {
        "evaluation.tsv", "comparisons.tsv", "probabilities.tsv", "net_benefit.tsv", "sites.tsv",
        "report.html", "receipt.json",
    }  # fmt: skip
    columns, rows = read_table(folder / "evaluation.tsv")
    assert [row[0] for row in rows] == ["site only", "age + sex", "nCBV"]
    assert float(rows[2][columns.index("auc")]) == outcome.judgement.rows[2].test.auc.value
    assert {row[columns.index("dealt_fits")] for row in rows} == {"3"}
    page = outcome.report.read_text()
    assert "Simulated patients" in page
    assert "Research use only" in page


def test_every_test_patient_has_a_row_with_the_truth(done):
    outcome, folder = done
    columns, rows = read_table(folder / "probabilities.tsv")

    assert len(rows) == outcome.judgement.patients["test"]
    present = sum(row[columns.index("present")] == "1" for row in rows)
    assert present == outcome.judgement.patients["test positive"]


def test_the_same_again_is_skipped_and_gives_the_same_elsewhere(done):
    _, folder = done
    assert evaluate(request(folder.parent, controls=3), QUICK).judgement is None

    elsewhere = folder.parent / "elsewhere"
    again = evaluate(request(folder.parent, output=elsewhere, controls=3), QUICK)
    first, second = (place / "evaluation.tsv" for place in (folder, elsewhere))
    assert again.judgement is not None
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("changes", [
    {"predictors": ("clinic", "ncbv")}, {"simulated": 56},
], ids=["other predictors", "other patients beside the same"])  # fmt: skip
def test_a_second_question_to_the_test_patients_is_refused(done, changes):
    folder = done[1].parent
    with pytest.raises(LeakageError, match="looked at before") as caught:
        evaluate(request(folder, output=folder / "other", **changes), QUICK)

    assert caught.value.code is Code.TEST_LOCKED
    assert not (folder / "other").exists()


def test_other_settings_are_another_question(done):
    folder = done[1].parent
    with pytest.raises(LeakageError, match="with other settings"):
        evaluate(request(folder, output=folder / "other"), parse_config("train.seeds = 3"))


def test_a_record_that_was_changed_is_refused(done, tmp_path):
    record = next((done[1].parent / LOOKS).glob("look-*.json"))
    content = json.loads(record.read_text())
    (tmp_path / record.name).write_text(json.dumps(content | {"patients": []}))

    with pytest.raises(FileError, match="was changed") as caught:
        read_looks(tmp_path)
    assert caught.value.code is Code.TEST_LOCKED


def test_dealt_labels_are_no_look_and_say_so(tmp_path):
    outcome = evaluate(request(tmp_path, permuted=5), QUICK)

    assert not (tmp_path / LOOKS).exists()
    assert "labels were dealt at random" in outcome.report.read_text()
    _, rows = read_table(tmp_path / "out" / "probabilities.tsv")
    plain = evaluate(request(tmp_path, output=tmp_path / "plain"), QUICK)
    _, others = read_table(plain.report.parent / "probabilities.tsv")
    assert [row[0] for row in rows] == [row[0] for row in others]
    assert [row[3] for row in rows] != [row[3] for row in others]


def test_a_scanner_is_held_out(tmp_path):
    outcome = evaluate(request(tmp_path, held_out=True), QUICK)

    assert [tuple(row.test.by_site) for row in outcome.judgement.rows] == [
        ("scanner-held-out",)
    ] * 3
    assert outcome.judgement.rows[0].test.auc.value == 0.5  # the site is all it knows


@pytest.mark.parametrize(("changes", "said"), [
    ({"predictors": ("magic",)}, "'magic' is not a predictor"),
    ({"data": "x"}, "dataset or from simulated"),
    ({"simulated": None}, "dataset or from simulated"),
    ({"simulated": 10}, "10 patients are too few"),
    ({"predictors": ("sequence",)}, "beside no baseline"),
], ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_what_cannot_be_asked_is_said(tmp_path, changes, said):
    with pytest.raises(ConfigError, match=said):
        evaluate(request(tmp_path, **changes), QUICK)

    assert list(tmp_path.iterdir()) == []


def test_a_planted_patient_stops_the_run(tmp_path, monkeypatch):
    def planted(*asked, **more):
        parts = simulated(*asked, **more)
        return dataclasses.replace(parts, test=parts.development)

    simulated = workflow.simulated_parts
    monkeypatch.setattr(workflow, "simulated_parts", planted)

    with pytest.raises(LeakageError, match="fitted on and tested on"):
        evaluate(request(tmp_path), QUICK)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / LOOKS).exists()


def test_the_command_prints_areas(tmp_path, capsys):
    line = [
        "evaluate",
        "--simulated",
        "60",
        "--predictor",
        "clinic",
        "--output",
        str(tmp_path / "o"),
    ]

    with pytest.raises(SystemExit) as ended:
        main(line)

    assert ended.value.code == 0
    assert "age + sex" in capsys.readouterr().out

"""A training from the command line: what it writes, what it refuses, and how it goes on."""

import json
import signal
import time

import pytest
import tiny_codes
import tiny_cohort

from bolus import io
from bolus.cli import main
from bolus.errors import BolusError, Code, LeakageError
from bolus.io.tables import read_table
from bolus.io.weights import read_weights
from bolus.workflows import networks, train
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import parse_config
from bolus.workflows.predict import PredictRequest, predict_session
from bolus.workflows.train import MARK, UNFINISHED, TrainRequest, train_model
from bolus.workflows.train_sequence import evaluated_in

QUICK = parse_config("train.epochs = 2\ntrain.batch_size = 4096")
PATIENTS = 24


def codes(output, **changes):
    asked = {"model": "codes", "output": output, "simulated": PATIENTS, "device": "cpu"}
    return TrainRequest(**{**asked, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    told = []
    folder = tmp_path_factory.mktemp("train") / "my-codes"
    outcome = train_model(codes(folder), QUICK, progress=lambda *step: told.append(step))
    return outcome, folder, told


def test_a_training_writes_weights_card_curves_results_and_page(trained):
    outcome, folder, told = trained

    assert io.verify(folder) == ()
    assert {p.name for p in folder.iterdir()} == {
        "curve-codes.safetensors", "curve-codes.json", "curve-codes.md", "learning_curves.tsv",
        "results.tsv", "report.html", "receipt.json",
    }  # fmt: skip
    columns, rows = read_table(folder / "learning_curves.tsv")
    assert [row[columns.index("epoch")] for row in rows] == ["0", "1"]
    assert {"training_loss", "validation_loss"} <= set(columns)
    page = outcome.report.read_text()
    assert "Trained on simulated curves" in page
    assert "Research use only" in page
    assert ("Training", 2, 2) in told
    assert not folder.with_name(folder.name + UNFINISHED).exists()


def test_the_card_says_whose_curves_it_saw_and_the_test_part_is_not_among_them(trained):
    outcome, _, _ = trained
    card = outcome.card

    assert card.simulated
    assert len(card.fitted_on) == 16  # of each of four scanners 0.4 of 6 are kept for the test
    assert {"test_error", "test_codes_used", "distance_p95"} <= set(card.measured)
    with pytest.raises(LeakageError):
        card.require_unseen(sorted(card.fitted_on)[:1])


@pytest.mark.slow
def test_codes_that_were_learned_are_given_to_a_session(trained, tmp_path):
    _, folder, _ = trained
    root = tiny_codes.write_dataset(tmp_path / "data", tmp_path)
    settings = parse_config(
        f"""
        dsc.flow_method = "osvd"
        dsc.motion_correction = false
        codes.enabled = true
        codes.weights = "{folder}"
        """
    )

    outcome = run_cohort(root, tmp_path / "maps", settings)

    assert [step.error for step in outcome.sessions] == [None, None]
    place = tmp_path / "maps" / tiny_codes.FOLDER / "codes" / "perf"
    facts = json.loads((place / f"{tiny_codes.NAME}_codes.json").read_text())
    assert facts["VoxelsWithoutCurve"] == 0
    assert facts["Weights"] == read_weights(folder / "curve-codes.json").digest()


def test_what_is_complete_is_not_done_again(trained):
    _, folder, _ = trained

    assert train_model(codes(folder), QUICK).skipped


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(trained, tmp_path):
    _, folder, _ = trained

    train_model(codes(tmp_path / "again"), QUICK)
    train_model(codes(tmp_path / "other"), parse_config("train.epochs=2\ntrain.seed=2"))

    names = ("curve-codes.safetensors", "curve-codes.json", "learning_curves.tsv", "results.tsv")
    for name in names:
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert (tmp_path / "other" / names[0]).read_bytes() != (folder / names[0]).read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "dreams"}, "expected codes"),
        ({"device": "abacus"}, "expected auto, cpu, gpu"),
        ({"simulated": None}, "from a dataset or from simulated"),
        ({"simulated": 3}, "too few"),
        ({"model": "leakage", "simulated": None, "data": "x"}, "simulated patients only"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(tmp_path, changes, said):
    with pytest.raises(BolusError, match=said):
        train_model(codes(tmp_path / "out", **changes), QUICK)

    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_is_not_there_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(BolusError, match="GPU asked for"):
        train_model(codes(tmp_path / "out", device="gpu"), QUICK)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_not_removed(trained, tmp_path):
    other = tmp_path / f"out{UNFINISHED}"
    other.mkdir()
    (other / "thesis.txt").write_text("do not lose")

    train._forget(other)

    assert (other / "thesis.txt").is_file()
    (other / MARK).write_text("x")
    train._forget(other)
    assert not other.exists()


def test_without_the_libraries_one_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(networks, "find_spec", lambda _name: None)

    with pytest.raises(SystemExit) as left:
        main(["train", "codes", "--simulated", "40", "--output", str(tmp_path / "out")])
    (line,) = capsys.readouterr().err.splitlines()

    assert left.value.code == 2
    assert line.startswith("error[BOLUS-7102]")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_stopped_training_goes_on_and_ends_with_the_same_bytes(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text("train.epochs = 12\ntrain.batch_size = 512\n")

    def words(name):
        return ("train", "codes", "--simulated", PATIENTS, "--config", settings, "--device", "cpu",
                "--output", tmp_path / name)  # fmt: skip

    assert tiny_cohort.run(*words("whole"))[0] == 0
    process = tiny_cohort.start(*words("stopped"))
    kept = tmp_path / f"stopped{UNFINISHED}" / "last.ckpt"
    _await(kept.is_file, process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "stopped" in told
    assert kept.is_file()
    assert not (tmp_path / "stopped").exists()
    code, printed, _ = tiny_cohort.run("--json", *words("stopped"))
    assert code == 0
    assert json.loads(printed)["simulated"] is True
    assert not kept.exists()
    whole, gone_on = (read_weights(tmp_path / n / "curve-codes.json") for n in ("whole", "stopped"))
    assert whole.digest() == gone_on.digest()
    tables = [(tmp_path / n / "results.tsv").read_bytes() for n in ("whole", "stopped")]
    assert tables[0] == tables[1]


def _await(there, process, seconds=120.0):
    until = time.monotonic() + seconds
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_other_settings_do_not_go_on_from_what_was_stopped(tmp_path):
    kept = tmp_path / f"out{UNFINISHED}"

    def stop(stage, done, _total):
        if stage == "Training" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(codes(tmp_path / "out"), parse_config("train.epochs = 3"), progress=stop)
    assert (kept / MARK).is_file()
    assert (kept / "last.ckpt").is_file()
    assert not (tmp_path / "out").exists()
    with pytest.raises(BolusError) as caught:
        train_model(codes(tmp_path / "out"), parse_config("train.epochs = 5"))

    assert caught.value.code is Code.TRAINING_MISMATCH


@pytest.mark.slow
def test_a_map_of_leakage_is_learned_and_held_against_true_ktrans(tmp_path):
    folder = tmp_path / "my-leakage"

    outcome = train_model(codes(folder, model="leakage"), QUICK)

    assert io.verify(folder) == ()
    assert -1 <= outcome.card.measured["test_correlation_with_ktrans"] <= 1
    columns, rows = read_table(folder / "results.tsv")
    assert [row[columns.index("row")] for row in rows] == ["rank correlation"] * 3


@pytest.mark.slow
def test_a_sequence_is_learned_and_predicts_a_session(tmp_path):
    settings = parse_config("train.epochs = 2\ntrain.members = 2\ntrain.seed = 6")
    folder = tmp_path / "my-sequence"
    request = codes(folder, model="sequence", simulated=40, evaluate=False)

    outcome = train_model(request, settings)

    assert io.verify(folder) == ()
    assert outcome.card.settings["label"] == "idh"
    assert outcome.card.simulated
    columns, rows = read_table(folder / "learning_curves.tsv")
    networks_told = [row[columns.index("network")] for row in rows]
    assert networks_told == ["network 1"] * 2 + ["network 2"] * 2
    root = tiny_codes.write_dataset(tmp_path / "data", tmp_path)
    maps = root / "derivatives" / "bolus"
    run_cohort(root, maps, parse_config('dsc.flow_method = "osvd"\ndsc.motion_correction = false'))
    session = maps / tiny_codes.FOLDER
    found = predict_session(PredictRequest(session=session, weights=folder), settings).facts
    assert 0 <= found["lower"] <= found["probability"] <= found["upper"] <= 1
    assert len(found["members"]) == 2
    assert isinstance(found["is_unlike"], bool)


def test_an_evaluation_becomes_a_table_and_figures_of_the_card(tmp_path):
    parts = ("auc", "pr_auc", "sensitivity", "specificity", "calibration_slope")
    names = ["predictor", "baseline", "positive", "negative", "brier"]
    names += [f"{part}{end}" for part in parts for end in ("", "_low95", "_high95")]
    rows = [["age + sex", "true", 8, 9, 0.2, *[0.7, 0.6, 0.8] * 5],
            ["network", "false", 8, 9, 0.1, *[0.8, 0.7, 0.9] * 5]]  # fmt: skip
    io.write_table(tmp_path / "evaluation.tsv", names, rows)

    found = evaluated_in(tmp_path)

    assert found.figures == {
        "evaluation_auc": 0.8, "evaluation_auc_low95": 0.7, "evaluation_auc_high95": 0.9
    }  # fmt: skip
    assert found.table.rows[1][:3] == ("network", "8 / 9", "0.80 (0.70 to 0.90)")

"""A cohort whose growth decides when it progresses, from followed patients to the report."""

import json
import re

import numpy as np
import pytest

from bolus import io
from bolus.cli.app import main
from bolus.core import SessionKey
from bolus.core.randomness import stream
from bolus.errors import FileError, LeakageError
from bolus.habitats import HabitatChange, HabitatTrack, Interval, VisitVolumes
from bolus.io.habitat_score import read_habitat_score
from bolus.io.tables import read_table
from bolus.workflows.config import parse_config
from bolus.workflows.habitat_outputs import track_tables
from bolus.workflows.habitats_analyse import split_of
from bolus.workflows.habitats_gather import gather
from bolus.workflows.habitats_score import ScoreRequest, score_cohort

NAMES = ("hypervascular", "hypovascular", "nonviable")
PATIENTS = 70
QUICK = parse_config("habitats.resamples = 20")


def volumes(key, day, sizes):
    total = sum(sizes)
    return VisitVolumes(
        key=key,
        day=day,
        volumes_ml={n: Interval(v, 0.9 * v, 1.1 * v) for n, v in zip(NAMES, sizes, strict=True)},
        fractions={n: Interval(v / total, 0, 1) for n, v in zip(NAMES, sizes, strict=True)},
        lesion_ml=total,
        left_out_ml=0.0,
    )


def write_patient(out, subject, growth, random, *, model="m", fitted_on=("other",)):
    before = random.uniform(0.5, 2.0, 3)
    first, second = (SessionKey(subject, name) for name in "ab")
    visits = (volumes(first, 0, before), volumes(second, 90, before + growth))
    changes = tuple(
        HabitatChange(before=first, after=second, days=90, habitat=name,
                      change_ml=Interval(size, size - 0.1, size + 0.1), noise_ml=0.05)
        for name, size in zip(NAMES, growth, strict=True)
    )  # fmt: skip
    track = HabitatTrack(subject=subject, names=NAMES, visits=visits, changes=changes,
                         transitions=(), sites=())  # fmt: skip
    blood = [1.5 + 0.2 * random.normal(), 3.0 + 0.4 * random.normal(), 0.3, 0.6]
    lesions = [(key.prefix, day, "s1", 50, *blood) for key, day in ((first, 0), (second, 90))]
    columns = (
        "visit", "day", "scanner", "voxels", "ncbv_mean", "ncbv_p95", "burden", "low_burden",
    )  # fmt: skip
    folder = out / f"sub-{subject}" / "habitats"
    with io.open_output(folder, inputs={}, config_digest="", version="0") as output:
        for name in ("volumes", "changes"):  # all that is read again; the others cost time
            output.write(f"sub-{subject}_{name}.tsv", track_tables(track)[name])
        output.write(f"sub-{subject}_lesions.tsv", io.table_text(columns, lesions))
        summary = {"Model": model, "ModelSimulated": True, "FittedOn": list(fitted_on)}
        output.write(f"sub-{subject}_habitats.json", io.json_text(summary))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    out = root / "derivatives" / "bolus"
    random = stream(5, "cohort")
    rows = []
    for number in range(1, PATIENTS + 1):
        subject = f"{number:03d}"
        growth = random.normal((0.1, 0.3, 0.2), (0.2, 0.6, 0.3))
        write_patient(out, subject, growth, random)
        wait = 100 + random.exponential(400 * np.exp(-1.5 * max(growth[1], 0)))
        recurrence = growth[1] + 0.3 * random.normal() > 0.3
        rows.append((f"sub-{subject}", 60 + number % 7, 80, wait, "true", bool(recurrence)))
    columns = ("participant_id", "age", "kps", "progression_days", "progressed", "recurrence")
    io.write_table(root / "participants.tsv", columns, rows)
    return root, out


@pytest.mark.slow
def test_a_cohort_becomes_tables_a_report_and_a_score(cohort):
    root, out = cohort
    found = score_cohort(ScoreRequest(bids_dir=root, out_dir=out), QUICK)
    folder = out / "group_habitats"

    assert (found.patients, found.left_out, found.not_done) == (PATIENTS, (), ())
    assert {"C-index, habitats and clinic", "AUC, habitats"} <= dict(found.numbers).keys()
    _, rows = read_table(folder / "patients.tsv")
    assert len(rows) == PATIENTS
    assert {row[1] for row in rows} == {"training", "validation", "test"}
    assert io.verify(folder) == ()
    assert "Research use only" in found.report.read_text()
    frozen = read_habitat_score(folder / "score.json")
    assert frozen.log_hazard_ratios[frozen.habitats.index("hypovascular")] > 0.5
    test = {row[0].removeprefix("sub-") for row in rows if row[1] == "test"}
    assert not frozen.fitted_on & test

    again = score_cohort(ScoreRequest(bids_dir=root, out_dir=out), QUICK)
    assert again.skipped
    assert not found.skipped


def test_a_cohort_that_is_too_small_is_told_so_and_reported(cohort, tmp_path, capsys):
    root, out = tmp_path / "data", tmp_path / "out"
    root.mkdir()
    for number in range(1, 5):
        write_patient(out, f"{number:03d}", np.ones(3), stream(number, "few"))
    (root / "participants.tsv").write_text((cohort[0] / "participants.tsv").read_text())
    with pytest.raises(SystemExit) as stop:
        main(["habitats", "score", str(root), str(out), "--json"])
    told = json.loads(capsys.readouterr().out)

    assert stop.value.code == 0
    assert set(told["not_done"]) == {"time to progression", "recurrence or treatment effect"}
    assert "4 patients make parts of" in told["not_done"]["time to progression"]
    assert (out / "group_habitats" / "report.html").is_file()


def test_whom_the_habitats_were_fitted_on_trains(tmp_path):
    fitted = [f"{n:03d}" for n in range(1, 7)]
    for number in range(1, 21):
        write_patient(tmp_path, f"{number:03d}", np.ones(3), stream(number, "x"), fitted_on=fitted)
    table = "".join(f"sub-{n:03d}\t60\n" for n in range(1, 21))
    (tmp_path / "participants.tsv").write_text("participant_id\tage\n" + table)
    found = split_of(gather(tmp_path, tmp_path), seed=1)

    assert set(fitted) <= found.training
    assert len(found.test) == 8
    assert len(found.training | found.validation | found.test) == 20


def test_a_cohort_that_was_fitted_on_as_a_whole_cannot_test_itself(tmp_path):
    fitted = [f"{n:03d}" for n in range(1, 9)]
    for subject in fitted:
        write_patient(tmp_path, subject, np.ones(3), stream(1, subject), fitted_on=fitted)
    table = "".join(f"{subject}\t60\n" for subject in fitted)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\n" + table)

    with pytest.raises(LeakageError, match=r"8 of 8 patients .* leaves 0 to test"):
        split_of(gather(tmp_path, tmp_path), seed=1)


def test_patients_of_two_models_do_not_mix(tmp_path):
    write_patient(tmp_path, "1", np.ones(3), stream(1, "a"), model="m1")
    write_patient(tmp_path, "2", np.ones(3), stream(1, "b"), model="m2")

    with pytest.raises(FileError, match="sub-1 and sub-2 were followed with different models"):
        gather(tmp_path, tmp_path)


def test_an_altered_table_is_refused(tmp_path):
    write_patient(tmp_path, "1", np.ones(3), stream(1, "a"))
    path = tmp_path / "sub-1/habitats/sub-1_volumes.tsv"
    path.write_text(path.read_text().replace("hypovascular", "hypervascular"))

    with pytest.raises(FileError, match=re.escape("sub-1_volumes.tsv is not as its receipt says")):
        gather(tmp_path, tmp_path)

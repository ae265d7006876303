"""Habitats from files to files: found, followed, skipped when complete, refused by name."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_habitats

from bolus import io
from bolus.cli.app import main
from bolus.core import LabelMap, SessionKey
from bolus.errors import FileError, MetadataError
from bolus.io.tables import read_table
from bolus.workflows.config import parse_config
from bolus.workflows.habitats_assign import CohortRequest, assign_cohort
from bolus.workflows.habitats_gather import gather
from bolus.workflows.habitats_track import track_cohort
from bolus.workflows.visits import find_patients, lesion_of, read_visit

CONFIG = parse_config('habitats.registration = "rigid"\nhabitats.resamples = 20')
FEATURES = ("ncbv", "adc")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    return root, tiny_habitats.write(root)


@pytest.fixture(scope="module")
def done(dataset):
    """Every visit assigned and one patient followed."""
    root, out = dataset
    request = CohortRequest(bids_dir=root, out_dir=out)
    found = assign_cohort(request, CONFIG)
    only = CohortRequest(bids_dir=root, out_dir=out, participants=("01",))
    return root, out, found, track_cohort(only, CONFIG)


def copied(dataset, tmp_path):
    """Return the dataset and its maps, without habitats."""
    root = tmp_path / "data"
    shutil.copytree(dataset[0], root, ignore=shutil.ignore_patterns("habitats"))
    return root, root / "derivatives" / "bolus"


def rows(path):
    columns, cells = read_table(path)
    return [dict(zip(columns, line, strict=True)) for line in cells]


def test_a_visit_is_read_as_it_was_made(dataset):
    patients = find_patients(*dataset, FEATURES)
    visit = read_visit(patients["01"][1], FEATURES)

    assert [v.when.day for v in patients["01"]] == [0, 90]
    assert visit.reference_error == 0.02
    inside = visit.lesion.values
    assert inside.sum() == sum(where.sum() for where in tiny_habitats.zones("b").values())
    truth = tiny_habitats.values(1, "b")[inside]
    assert np.allclose(visit.maps["adc"].values[inside], truth, rtol=1e-4)


def test_habitats_lie_where_they_were_put(done):
    _, out, found, _ = done
    folder = out / "sub-01/ses-b/habitats"
    labels = io.read_labels(folder / "anat/sub-01_ses-b_space-dsc_seg-habitats_dseg.nii.gz")

    assert [step.words for step in found.steps] == ["done"] * 4
    for name, where in tiny_habitats.zones("b").items():
        assert np.mean(labels.mask(name).values[where]) > 0.95
    table = {row["habitat"]: row for row in rows(folder / "perf/sub-01_ses-b_habitats.tsv")}
    voxels = labels.mask("nonviable").count
    assert float(table["nonviable"]["volume_ml"]) == pytest.approx(voxels * 0.2)
    assert float(table["nonviable"]["adc"]) == pytest.approx(1.9e-3, rel=0.03)
    assert io.verify(folder) == ()


def test_one_model_adapted_before_treatment_serves_all_visits_of_a_patient(done):
    out = done[1]

    def models(subject, visit):
        names = io.OutputNames(key=SessionKey(subject, visit))
        path = out / names.key.folder / "habitats" / names.table("habitats")
        found = json.loads(path.with_suffix(".json").read_text())
        return found["Model"], found["ModelOfPatient"]

    summary = json.loads((out / "sub-01/habitats/sub-01_habitats.json").read_text())
    followed = summary["Model"], summary["ModelOfPatient"]
    assert models("01", "a") == models("01", "b") == followed
    assert followed[0] != followed[1]
    treated = models("02", "a")
    assert models("02", "b") == treated == (followed[0], followed[0])


def test_a_model_of_ones_own_finds_the_habitats_again(dataset, tmp_path, capsys):
    root, out = copied(dataset, tmp_path)
    model = tmp_path / "m"

    for command in (
        ("fit", str(root), str(out), "-o", str(model), "--habitats", "2"),
        ("assign", str(root), str(out), "--model", str(model)),
    ):
        with pytest.raises(SystemExit) as end:
            main(["habitats", *command, "-q"])
        assert not end.value.code
    printed = re.search(r"hypovascular +[\d.]+ +([\d.]+) +([\d.]+)", capsys.readouterr().out)
    assert [float(value) for value in printed.groups()] == pytest.approx([1.5, 1.2e-3], rel=0.05)
    labels = io.read_labels(
        out / "sub-02/ses-a/habitats/anat/sub-02_ses-a_space-dsc_seg-habitats_dseg.nii.gz"
    )
    for name, where in tiny_habitats.zones("a").items():
        assert np.mean(labels.mask(name).values[where]) > 0.95
    assert rows(tmp_path / "m/number.tsv") == []  # two patients are too few to say
    used = {row["visit"] for row in rows(tmp_path / "m/visits.tsv")}
    assert used == {f"sub-{s}_ses-{v}" for s in tiny_habitats.SUBJECTS for v in "ab"}
    assert io.verify(tmp_path / "m") == ()


def test_memberships_sum_to_one_in_the_lesion(done):
    folder = done[1] / "sub-01/ses-a/habitats/anat"
    parts = [io.read_image(path)[0] for path in sorted(folder.glob("*probseg.nii.gz"))]
    total = np.sum(parts, axis=0)

    assert len(parts) == 3
    assert np.allclose(total[tiny_habitats.zones("a")["nonviable"]], 1)
    assert total[0, 0, 0] == 0


def test_growth_is_found_where_it_is_and_beyond_noise(done):
    _, out, _, found = done
    folder = out / "sub-01/habitats"
    changes = {row["habitat"]: row for row in rows(folder / "sub-01_changes.tsv")}
    grown = (
        tiny_habitats.zones("b")["hypovascular"].sum()
        - tiny_habitats.zones("a")["hypovascular"].sum()
    ) * 0.2

    assert [step.words for step in found.steps] == ["done"]
    assert found.steps[0].place.is_file()
    assert float(changes["hypovascular"]["change_ml"]) == pytest.approx(grown, rel=0.15)
    assert changes["hypovascular"]["beyond_noise"] == "true"
    assert changes["nonviable"]["beyond_noise"] == "false"
    summary = json.loads((folder / "sub-01_habitats.json").read_text())
    assert summary["Visits"]["sub-01_ses-b"]["LikelyErrorMm"] < 2


def test_what_is_complete_is_skipped_and_another_setting_is_not(done):
    root, out, *_ = done
    request = CohortRequest(bids_dir=root, out_dir=out, participants=("01",))

    assert [s.skipped for s in assign_cohort(request, CONFIG).steps] == [True, True]
    assert [s.skipped for s in track_cohort(request, CONFIG).steps] == [True]
    other = parse_config("habitats.seed = 2")
    assert [s.skipped for s in assign_cohort(request, other).steps] == [False, False]
    assign_cohort(request, CONFIG)


def test_two_processes_write_the_same_bytes(dataset, done, tmp_path):
    root, out = copied(dataset, tmp_path)
    found = assign_cohort(CohortRequest(bids_dir=root, out_dir=out, workers=2), CONFIG)
    receipts = [
        [io.read_receipt(path).outputs for path in sorted(base.rglob("habitats/receipt.json"))]
        for base in (out, done[1])
    ]

    assert len(found.done) == 4
    assert receipts[0] == [r for r in receipts[1] if "report.html" not in r]


def test_the_official_validator_finds_nothing(done):
    program = Path(sys.executable).with_name("bids-validator-deno")
    found = subprocess.run(
        [str(program), "--format", "json", str(done[1])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert json.loads(found.stdout)["issues"]["issues"] == []


def test_a_followed_patient_becomes_a_row_with_its_clinic(done):
    found = gather(done[0], done[1])
    row = found.cohort.rows[0]

    assert [r.subject for r in found.cohort.rows] == ["01"]
    assert row.landmark_day == 90
    assert row.clinical["kps"] == 80
    assert row.outcomes["progression"].days == 200
    assert "death" not in row.outcomes
    assert row.increase_ml["hypovascular"] > 3
    assert found.noise_ml["hypovascular"] > 0


def test_what_a_visit_lacks_is_said_and_the_others_go_on(dataset, tmp_path):
    root, out = copied(dataset, tmp_path)
    shutil.rmtree(root / "sub-01/ses-a/dwi")
    shutil.rmtree(root / "derivatives/drawn/sub-01/ses-b")
    shutil.rmtree(out / "sub-02/ses-a/dsc")
    found = assign_cohort(CohortRequest(bids_dir=root, out_dir=out), CONFIG)

    words = {step.name: step.words for step in found.steps}
    assert words["sub-01_ses-a"] == "left out: no ADC map and no diffusion"
    assert words["sub-01_ses-b"] == "left out: no lesion (tumour segmentation)"
    assert words["sub-02_ses-a"] == "left out: no ncbv map"
    assert words["sub-02_ses-b"] == "done"
    assert found.failed == ()
    only = CohortRequest(bids_dir=root, out_dir=out, participants=("02",))
    with pytest.raises(FileError, match=r"holds no patient .*1 visits can be used where two"):
        track_cohort(only, CONFIG)


def test_an_altered_map_is_not_used(dataset, tmp_path):
    root, out = copied(dataset, tmp_path)
    changed = next((out / "sub-01/ses-a/dsc/perf").glob("*_ncbv.nii.gz"))
    changed.write_bytes(changed.read_bytes() + b"\0")
    found = find_patients(root, out, FEATURES)

    assert found["01"][0].missing == ("a ncbv map that is not as its receipt says",)


def test_a_damaged_image_fails_alone_and_leaves_nothing(dataset, tmp_path, capsys):
    root, out = copied(dataset, tmp_path)
    (root / "sub-01/ses-a/dwi/sub-01_ses-a_dwi.bval").write_text("0 1000 2000\n")
    with pytest.raises(SystemExit) as stop:
        main(["habitats", "assign", str(root), str(out), "-q"])

    assert stop.value.code == 3
    assert "3 b-values for 2 images" in capsys.readouterr().out
    assert not (out / "sub-01/ses-a/habitats").exists()
    assert (out / "sub-02/ses-a/habitats/receipt.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("assign", "DATA", "nowhere"), "nowhere: does not exist - run it first: bolus run"),
        (("assign", "nowhere", "OUT"), "nowhere: does not exist"),
        (("assign", "DATA", "OUT", "--model", "no.json"), "no.json: does not exist"),
        (("track", "DATA", "OUT", "--score", "no.json"), "no.json: does not exist"),
        (("track", "DATA", "OUT", "--session-label", "x"), "no session x"),
        (("score", "DATA", "DATA/derivatives/drawn"), "holds no patient whose habitats were"),
        (("score", "DATA", "OUT", "--outcome", "x"), "--outcome is 'x', expected progression or"),
        (("score", "DATA", "OUT", "--clinical", "no.tsv"), "no.tsv: does not exist"),
        (("fit", "DATA", "OUT", "-o", "m", "--habitats", "7"), "--habitats is 7, expected 2 or 3"),
        (("fit", "DATA", "OUT", "-o", "m", "--share", "0"), "--share is 0, expected above 0"),
        (("fit", "DATA", "OUT", "-o", "m"), "BOLUS-8002|BOLUS-8003"),
        (("find",), "No such command 'find'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    done, words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    places = {"DATA": str(done[0]), "OUT": str(done[1])}
    line = [
        word.replace("DATA", places["DATA"]) if word.startswith("DATA") else places.get(word, word)
        for word in words
    ]
    with pytest.raises(SystemExit) as stop:
        main(["habitats", *line])
    told = capsys.readouterr().err

    assert stop.value.code == 2
    assert told.count("\n") == 1
    assert re.search(message, told)
    assert list(tmp_path.iterdir()) == []


def test_the_lesion_is_the_part_that_enhances():
    grid, values = tiny_habitats.GRID, np.zeros(tiny_habitats.SHAPE, np.int16)
    values[0], values[1], values[2] = 1, 2, 3

    def chosen(names, wanted=()):
        labels = LabelMap(values=values, grid=grid, names=names)
        return set(np.unique(values[lesion_of(labels, wanted).values]).tolist())

    assert chosen({1: "necrotic core", 2: "oedema", 3: "enhancing tumour"}) == {3}
    assert chosen({1: "nonenhancing", 2: "non-enhancing", 3: "Enhancing"}) == {3}
    assert chosen({1: "hypervascular", 2: "radiation", 3: "cavity"}) == {1, 2}
    assert chosen({1: "a", 2: "b", 3: "c"}, ("a", "c")) == {1, 3}
    with pytest.raises(FileError, match=r"labels a, b, c, and none says that it enhances"):
        chosen({1: "a", 2: "b", 3: "c"})


def test_a_cell_that_means_nothing_is_refused_with_its_patient(done, tmp_path):
    table = tmp_path / "more.tsv"
    table.write_text("participant_id\tkps\nsub-01\tgood\n")

    with pytest.raises(MetadataError, match=r"sub-01: kps is 'good', expected a number"):
        gather(done[0], done[1], clinical=table)

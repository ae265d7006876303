"""`bolus import`: a folder as a scanner leaves it, to a dataset that the other commands read."""

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset

from bolus import io
from bolus.cli import main
from bolus.errors import BolusError, Code
from bolus.workflows.import_answers import ImportAnswers, read_answers
from bolus.workflows.import_dicom import ImportRequest, import_dicom

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))
import scanner_series as scanner

GIVEN = {"ContrastBolusAgent": "Gadovist", "ContrastBolusTotalDose": 7.5, "PatientWeight": 75.0}
SPGR = {"echo_ms": 1.8, "repetition_ms": 4.5, "sequence": ("GR",)}
FIRST = scanner.PHANTOM[..., :1]


def whole_exam(folder: Path) -> Path:
    """Write what a scanner sends of one visit: perfusion, anatomy, maps, pictures, a report."""

    def series(number, make, values=scanner.PHANTOM, **changes):
        look = scanner.look_of("canon", series=number, **changes)
        scanner.write(folder / f"{number:02d}", make(look, values))

    series(1, scanner.canon, FIRST, description="localizer", echo_ms=5.0)
    series(2, scanner.canon, FIRST, description="t1 mprage", echo_ms=2.5, repetition_ms=1900.0,
           sequence=("GR", "IR"), more={"InversionTime": 900.0})  # fmt: skip
    for number, flip in enumerate((12.0, 2.0, 5.0)):
        series(3 + number, scanner.canon, FIRST, flip_deg=flip, description="vfa", **SPGR)
    series(6, scanner.canon, flip_deg=15.0, description="dce", step_s=4.2, more=GIVEN, **SPGR)
    series(7, scanner.siemens, description="perf", echo_ms=12.0, more=GIVEN)
    series(8, scanner.siemens, scanner.PHANTOM - 90, description="perf", echo_ms=35.0, more=GIVEN)
    series(9, scanner.canon, FIRST, description="t1 post", echo_ms=2.5, repetition_ms=1900.0,
           sequence=("GR", "IR"), more={"InversionTime": 900.0, **GIVEN})  # fmt: skip
    series(10, scanner.canon, FIRST, description="cbv", image_type=("DERIVED", "SECONDARY"))
    series(11, scanner.canon, FIRST, description="flair", echo_ms=120.0, repetition_ms=9000.0,
           sequence=("SE", "IR"), more={"InversionTime": 2500.0})  # fmt: skip
    series(12, scanner.canon, FIRST, description="t2", echo_ms=100.0, repetition_ms=4000.0,
           sequence=("SE",))  # fmt: skip
    for number, name in enumerate(
        ("1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.11.1")
    ):
        other: Dataset = scanner.blank(scanner.look_of("canon", series=20 + number), sop=name)
        scanner.write(folder / "other", [other], names=[f"object{number}"])
    (folder / "notes.txt").write_text("not an image")
    return folder


def run(source: Path, target: Path, **changes):
    answers = changes.pop("answers", ImportAnswers())
    return import_dicom(ImportRequest(source=source, dataset=target, answers=answers, **changes))


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.nii.gz"))


def test_a_whole_exam_becomes_a_session(tmp_path):
    outcome = run(whole_exam(tmp_path / "in"), tmp_path / "out")

    start = "sub-001/ses-01"
    assert names(tmp_path / "out") == [
        f"{start}/anat/sub-001_ses-01_FLAIR.nii.gz",
        f"{start}/anat/sub-001_ses-01_T1w.nii.gz",
        f"{start}/anat/sub-001_ses-01_T2w.nii.gz",
        f"{start}/anat/sub-001_ses-01_ce-gadolinium_T1w.nii.gz",
        *(f"{start}/anat/sub-001_ses-01_flip-{n}_VFA.nii.gz" for n in (1, 2, 3)),
        f"{start}/perf/sub-001_ses-01_dce.nii.gz",
        f"{start}/perf/sub-001_ses-01_echo-1_dsc.nii.gz",
        f"{start}/perf/sub-001_ses-01_echo-2_dsc.nii.gz",
    ]
    assert [kind for _, kind, _ in outcome.series] == [
        "skip", "T1w", "vfa", "vfa", "vfa", "dce", "dsc", "dsc", "T1ce", "skip", "FLAIR", "T2w",
    ]  # fmt: skip
    assert sum(outcome.others.values()) == 2
    assert outcome.foreign == 1
    assert io.verify(tmp_path / "out") == ()
    ((key, there),) = outcome.sessions.items()
    assert (key.prefix, there) == ("sub-001_ses-01", False)


def test_what_was_imported_is_found_and_read(tmp_path):
    run(whole_exam(tmp_path / "in"), tmp_path / "out")

    (session,) = io.find_sessions(tmp_path / "out")
    first, second = io.read_series(session.series), io.read_series(session.second_echo)

    assert np.array_equal(first.values, scanner.PHANTOM)
    assert np.array_equal(second.values, scanner.PHANTOM - 90)
    assert (first.acquisition.echo_time_s, second.acquisition.echo_time_s) == (0.012, 0.035)
    assert first.acquisition.contrast_agent == "gadobutrol"
    assert first.acquisition.contrast_dose_mmol_per_kg == 0.1
    assert nib.load(session.series).get_data_dtype() == np.int16
    flips = [
        json.loads((session.series.parents[1] / f"anat/{session.key.prefix}_flip-{n}_VFA.json")
                   .read_text())["FlipAngle"]
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert flips == [2.0, 5.0, 12.0]
    dce = io.read_series(session.series.with_name("sub-001_ses-01_dce.nii.gz"), excited=True)
    assert dce.time.uniform_step_s() == pytest.approx(4.2)
    assert dce.acquisition.repetition_time_s == 0.0045


def test_the_same_scan_again_is_skipped_and_another_patient_is_added(tmp_path):
    one = scanner.write(tmp_path / "one", scanner.ge(scanner.look_of("ge")))
    two = scanner.write(tmp_path / "two", scanner.ge(scanner.look_of("ge", study=2, patient="B")))
    run(one, tmp_path / "out")

    again, other = run(one, tmp_path / "out"), run(two, tmp_path / "out")

    assert list(again.sessions.values()) == [True]
    assert [key.prefix for key in other.sessions] == ["sub-002_ses-01"]
    table = (tmp_path / "out/participants.tsv").read_text()
    assert table == "participant_id\nsub-001\nsub-002\n"


def test_visits_are_numbered_by_date_and_patients_by_first_visit(tmp_path):
    for study, patient in ((3, "A"), (1, "A"), (2, "B")):
        look = scanner.look_of("ge", study=study, patient=patient, description=f"perf {study}")
        scanner.write(tmp_path / f"in/{study}", scanner.ge(look, scanner.PHANTOM + study))

    run(tmp_path / "in", tmp_path / "out")

    found = {n.split("/")[-1]: nib.load(tmp_path / "out" / n) for n in names(tmp_path / "out")}
    offsets = {n: int(np.asarray(i.dataobj)[0, 0, 0, 0]) - 400 for n, i in found.items()}
    assert offsets == {
        "sub-001_ses-01_dsc.nii.gz": 1,
        "sub-001_ses-02_dsc.nii.gz": 3,
        "sub-002_ses-01_dsc.nii.gz": 2,
    }


def test_labels_are_taken_and_never_replace_another_scan(tmp_path):
    one = scanner.write(tmp_path / "one", scanner.ge(scanner.look_of("ge")))
    two = scanner.write(tmp_path / "two", scanner.ge(scanner.look_of("ge", study=2)))
    labels = ImportAnswers(subject="P7", session="pre")
    run(one, tmp_path / "out", answers=labels)
    before = names(tmp_path / "out")

    with pytest.raises(BolusError) as caught:
        run(two, tmp_path / "out", answers=labels)

    assert before == ["sub-P7/ses-pre/perf/sub-P7_ses-pre_dsc.nii.gz"]
    assert caught.value.code is Code.OUTPUT_OCCUPIED
    assert names(tmp_path / "out") == before
    later = run(two, tmp_path / "out", answers=ImportAnswers(subject="P7", session="post"))
    assert [key.prefix for key in later.sessions] == ["sub-P7_ses-post"]


def test_series_that_come_later_complete_a_session_and_none_is_lost(tmp_path):
    source = whole_exam(tmp_path / "in")
    run(source, tmp_path / "out", answers=ImportAnswers(series={"6": "skip"}))

    whole = run(source, tmp_path / "out")

    assert [(key.prefix, there) for key, there in whole.sessions.items()] == [
        ("sub-001_ses-01", False)
    ]
    assert any("dce" in name for name in names(tmp_path / "out"))
    with pytest.raises(BolusError, match="not imported now"):
        run(source, tmp_path / "out", answers=ImportAnswers(series={"6": "skip"}))
    assert any("dce" in name for name in names(tmp_path / "out"))


def test_one_bad_series_stops_all_unless_it_is_left_out(tmp_path):
    source = whole_exam(tmp_path / "in")
    sorted((source / "06").iterdir())[9].unlink()

    with pytest.raises(BolusError, match="series 6"):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()

    run(source, tmp_path / "out", answers=ImportAnswers(series={"6": "skip"}))
    assert not any("dce" in name for name in names(tmp_path / "out"))


def test_answers_fill_what_the_header_does_not_state(tmp_path):
    source = scanner.write(tmp_path / "in", scanner.ge(scanner.look_of("ge")))
    said = tmp_path / "answers.toml"
    said.write_text(
        'contrast_agent = "gadoterate"\ncontrast_dose_mmol_per_kg = 0.1\nhaematocrit = 0.42\n'
        'preload_dose_mmol_per_kg = 0\n[series]\n1 = "dsc"\n'
    )

    first = run(source, tmp_path / "plain")
    second = run(source, tmp_path / "out", answers=read_answers(said))

    assert first.images[0].not_stated == (
        "contrast_agent", "contrast_dose_mmol_per_kg", "preload_dose_mmol_per_kg",
        "injection_rate_ml_per_s",
    )  # fmt: skip
    assert second.images[0].not_stated == ("injection_rate_ml_per_s",)
    values = json.loads((tmp_path / "out/sub-001/ses-01/perf/sub-001_ses-01_dsc.json").read_text())
    assert values["ContrastAgentName"] == "gadoterate"
    assert values["PreloadDose"] == 0
    assert values["Hematocrit"] == 0.42
    assert values["ValueSources"]["ContrastDose"] == {"Source": "user"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("dose = 0.1", Code.CONFIG_UNKNOWN_KEY),
        ("subject = 1", Code.CONFIG_INVALID),
        ("haematocrit = 'x'", Code.CONFIG_INVALID),
        ("haematocrit = 42", Code.METADATA_IMPLAUSIBLE),
        ("not toml", Code.CONFIG_UNREADABLE),
        ("[series]\n1 = 'cbv'", Code.USAGE),
    ],
)
def test_wrong_answers_are_refused(text, code, tmp_path):
    path = tmp_path / "answers.toml"
    path.write_text(text)

    with pytest.raises(BolusError) as caught:
        read_answers(path)

    assert caught.value.code is code


def test_a_dry_run_writes_nothing(tmp_path, capsys):
    source = whole_exam(tmp_path / "in")

    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(tmp_path / "out"), "--dry-run", "-q"])

    said = capsys.readouterr().out
    assert caught.value.code == 0
    assert "skip   localiser" in said
    assert "planned" in said
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    source = scanner.write(tmp_path / "in", scanner.ge(scanner.look_of("ge")))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").write_text("")

    with pytest.raises(BolusError) as caught:
        run(source, tmp_path / "out")

    assert caught.value.code is Code.OUTPUT_OCCUPIED
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.doc"]


def converted(folder: Path, target: Path) -> tuple[nib.Nifti1Image, dict]:
    """Return what dcm2niix makes of a folder."""
    dcm2niix = pytest.importorskip("dcm2niix", reason="dcm2niix is not installed")
    target.mkdir()
    subprocess.run(
        [dcm2niix.bin, "-b", "y", "-z", "n", "-f", "x", "-o", str(target), str(folder)],
        check=False, capture_output=True,
    )  # fmt: skip
    (path,) = target.glob("*.nii")
    return nib.load(path), json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("vendor", ["ge", "philips", "canon", "enhanced", "mosaic"])
@pytest.mark.parametrize("name", ["axial", "oblique", "sagittal"])
def test_dcm2niix_gives_the_same_but_for_flipped_rows(vendor, name, tmp_path):
    look = scanner.look_of(vendor, orientation=scanner.ORIENTATIONS[name])
    make = scanner.VENDORS.get(vendor, scanner.mosaic)
    source = scanner.write(tmp_path / "in", make(look))
    theirs, said = converted(source, tmp_path / "other")
    run(source, tmp_path / "out")

    ours = nib.load(tmp_path / "out/sub-001/ses-01/perf/sub-001_ses-01_dsc.nii.gz")

    flip = np.diag([1.0, -1.0, 1.0, 1.0])
    flip[1, 3] = ours.shape[1] - 1
    assert np.array_equal(np.asarray(theirs.dataobj)[:, ::-1], np.asarray(ours.dataobj))
    assert np.abs(theirs.affine @ flip - ours.affine).max() < 1e-4
    assert said["RepetitionTime"] == pytest.approx(1.5)
    assert said["EchoTime"] == pytest.approx(0.03)


def test_dcm2niix_follows_instance_numbers_that_interleave_slices(tmp_path):
    """Why its arrays differ from ours there: it trusts the numbers, and warns."""
    source = scanner.write(tmp_path / "in", scanner.siemens(scanner.look_of("siemens")))
    theirs, _ = converted(source, tmp_path / "other")

    values = np.asarray(theirs.dataobj)[:, ::-1]

    assert values.shape == scanner.PHANTOM.shape
    assert not np.array_equal(values, scanner.PHANTOM)


def test_dcm2niix_reads_what_is_refused_as_unsupported(tmp_path):
    images = scanner.ge(scanner.look_of("ge"))
    for data in images:
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype("<u4").tobytes()
        data.BitsAllocated, data.BitsStored, data.HighBit = 32, 32, 31
    source = scanner.write(tmp_path / "in", images)

    with pytest.raises(BolusError) as caught:
        run(source, tmp_path / "out")
    assert caught.value.code is Code.DICOM_UNSUPPORTED

    pytest.importorskip("dcm2niix", reason="dcm2niix is not installed")
    outcome = run(source, tmp_path / "out", with_dcm2niix=True)
    (image,) = outcome.images
    series = io.read_series(tmp_path / "out" / image.name)
    assert np.array_equal(series.values[:, ::-1], scanner.PHANTOM)
    assert "dcm2niix" in image.notes[0]


def test_dcm2niix_never_reads_what_is_inconsistent(tmp_path):
    images = scanner.siemens(scanner.look_of("siemens"))
    source = scanner.write(tmp_path / "in", images[:-1])

    with pytest.raises(BolusError) as caught:
        run(source, tmp_path / "out", with_dcm2niix=True)

    assert caught.value.code is Code.DICOM_INCOMPLETE

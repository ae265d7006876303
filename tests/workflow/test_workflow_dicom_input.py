"""`bolus dsc` and `bolus dce` of a DICOM folder or file, as an impatient user gives it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_exam import ECHO_S, STEP_S, write_exam

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))
import scanner_series as scanner

from bolus import io
from bolus.cli import main
from bolus.errors import BolusError, Code, ResourceError
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce_inputs import DcePaths, read_dce_scan
from bolus.workflows.dicom_input import input_entry
from bolus.workflows.exam_size import exam_bytes
from bolus.workflows.inputs import DscPaths, read_scan, series_name

SPGR = {"echo_ms": 1.8, "repetition_ms": 4.5, "sequence": ("GR",), "flip_deg": 15.0}


def dsc_folder(folder: Path) -> Path:
    return scanner.write(folder, scanner.siemens(scanner.look_of("siemens")))


def dce_folder(folder: Path) -> Path:
    look = scanner.look_of("canon", description="dce", step_s=4.2, **SPGR)
    return scanner.write(folder, scanner.canon(look))


def one_file(folder: Path) -> Path:
    return scanner.write(folder, scanner.enhanced(scanner.look_of("siemens"))) / "IM00000.dcm"


def with_t10(config=None):
    return config_with(config or Config(), "dce", {"t10_s": 1.4})


@pytest.mark.parametrize("make", [dsc_folder, one_file])
def test_a_dsc_series_is_read_as_the_import_reads_it(tmp_path, make):
    scan = read_scan(DscPaths(series=make(tmp_path / "MILLER^ANNA")), Config())

    assert scan.signal.values.shape == scanner.SHAPE
    assert sorted(np.unique(scan.signal.values)) == sorted(np.unique(scanner.PHANTOM))
    assert scan.signal.acquisition.echo_time_s == pytest.approx(0.03)
    assert np.allclose(np.diff(scan.signal.time.seconds), scanner.STEP_S)
    assert scan.label == "series"


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (dsc_folder, lambda path: read_scan(DscPaths(series=path), Config())),
        (one_file, lambda path: read_scan(DscPaths(series=path), Config())),
        (dce_folder, lambda path: read_dce_scan(DcePaths(series=path), with_t10())),
    ],
    ids=["dsc", "one file", "dce"],
)
def test_memory_of_the_exam_is_asked_for_before_pixels_are_read(tmp_path, monkeypatch, make, read):
    path = make(tmp_path / "in")
    asked = []

    def ask(wanted, *, purpose):
        asked.append(wanted)
        if wanted > exam_bytes(0):
            raise ResourceError(Code.MEMORY, purpose, mend="-")

    def never(*_args, **_more):
        pytest.fail("pixels were read")

    monkeypatch.setattr(io, "require_memory", ask)
    monkeypatch.setattr("bolus.io.dicom_series.read_image_of", never)

    with pytest.raises(BolusError, match="this exam") as caught:
        read(path)

    assert caught.value.code is Code.MEMORY
    assert asked[-1] == exam_bytes(4 * int(np.prod(scanner.SHAPE)))


def test_the_command_line_wins_over_the_header(tmp_path):
    config = config_with(Config(), "acquisition", {"echo_time_s": 0.035})

    scan = read_scan(DscPaths(series=dsc_folder(tmp_path / "in")), config)

    assert scan.signal.acquisition.echo_time_s == pytest.approx(0.035)
    assert dict(scan.signal.acquisition.sources)["echo_time_s"] == "user"


def test_a_dce_series_has_its_own_times_and_angle(tmp_path):
    scan = read_dce_scan(DcePaths(series=dce_folder(tmp_path / "in")), with_t10())

    assert scan.signal.acquisition.flip_angle_deg == pytest.approx(15.0)
    assert scan.signal.acquisition.repetition_time_s == pytest.approx(0.0045)
    assert np.allclose(np.diff(scan.signal.time.seconds), 4.2)


def test_frame_time_of_the_command_line_wins(tmp_path):
    config = config_with(with_t10(), "dce", {"frame_time_s": 5.0})

    scan = read_dce_scan(DcePaths(series=dce_folder(tmp_path / "in")), config)

    assert np.allclose(np.diff(scan.signal.time.seconds), 5.0)
    assert dict(scan.signal.acquisition.sources)["time"] == "user"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: folder, Code.DICOM_NOTHING),
        (dce_folder, Code.DICOM_NOTHING),
        (lambda folder: folder / "absent.nii.gz", Code.FILE_MISSING),
    ],
)
def test_what_is_no_dsc_series_is_refused(tmp_path, make, code):
    with pytest.raises(BolusError) as caught:
        read_scan(DscPaths(series=make(tmp_path)), Config())

    assert caught.value.code is code


def test_two_series_are_not_guessed(tmp_path):
    for number in (1, 2):
        look = scanner.look_of("canon", series=number)
        scanner.write(tmp_path / str(number), scanner.canon(look))

    with pytest.raises(BolusError, match="holds 2 dsc series") as caught:
        read_scan(DscPaths(series=tmp_path), Config())

    assert "bolus import" in caught.value.mend


def test_the_digest_covers_every_file_and_no_name(tmp_path):
    first = input_entry(dsc_folder(tmp_path / "one"))
    scanner.write(tmp_path / "two" / "below", scanner.siemens(scanner.look_of("siemens")))
    assert input_entry(tmp_path / "two") == first
    assert first[0] == "dicom"

    with (tmp_path / "one" / "IM00003.dcm").open("ab") as file:
        file.write(b"\0\0")

    assert input_entry(tmp_path / "one") != first


def test_names_of_folders_do_not_reach_the_results(tmp_path):
    assert series_name(dsc_folder(tmp_path / "MILLER ANNA")) == "series"
    assert series_name(Path("exam_dsc.nii.gz")) == "exam_dsc"


@pytest.mark.slow
def test_the_command_quantifies_a_dicom_file(tmp_path):
    exam = write_exam(tmp_path / "nifti")
    series = io.read_series(exam.series)
    values = np.rint(series.values).astype(np.int16)
    look = scanner.look_of("siemens", step_s=STEP_S, echo_ms=ECHO_S * 1e3)
    folder = scanner.write(tmp_path / "MILLER^ANNA", scanner.enhanced(look, values))
    words = ["dsc", str(folder), "-o", str(tmp_path / "out"), "-q"]

    with pytest.raises(SystemExit) as left:
        main(words)
    out = tmp_path / "out"
    first = (out / "report.html").stat().st_mtime_ns
    with pytest.raises(SystemExit):
        main(words)

    assert left.value.code == 0
    assert (out / "report.html").stat().st_mtime_ns == first
    assert (out / "report.html").is_file()
    assert list(io.read_receipt(out / "receipt.json").inputs) == ["dicom"]
    texts = [p for p in out.rglob("*") if p.suffix in (".html", ".json", ".tsv")]
    assert not any("MILLER" in p.read_text() for p in texts)
    assert not any("MILLER" in p.name for p in out.rglob("*"))
    assert not io.verify(out)


def test_a_folder_without_dicom_is_one_line(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("not an image")

    with pytest.raises(SystemExit) as left:
        main(["dsc", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-q"])

    said = capsys.readouterr().err.strip()
    assert left.value.code == 2
    assert "BOLUS-7009" in said
    assert not (tmp_path / "out").exists()

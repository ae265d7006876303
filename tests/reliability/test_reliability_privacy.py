"""What DICOM tells of a patient is found nowhere after an import: not in files, not in messages."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import scanner_series as scanner
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from bolus.cli import main

pytestmark = pytest.mark.reliability

TAGS = {
    "PatientName": "Canary01^Name",
    "PatientID": "CANARY02",
    "PatientBirthDate": "19031103",
    "AccessionNumber": "CANARY04",
    "ReferringPhysicianName": "Canary05^Physician",
    "InstitutionName": "Canary06 Hospital",
    "InstitutionAddress": "Canary07 Street",
    "DeviceSerialNumber": "CANARY08",
    "StationName": "CANARY09",
    "PatientComments": "Canary10 comment",
    "ImageComments": "Canary11 comment",
    "StudyDescription": "Canary12 study",
    "SeriesDescription": "Canary13 perf DSC",
    "ProtocolName": "Canary14 perf",
    "OperatorsName": "Canary15^Operator",
    "PatientAddress": "Canary16 Avenue",
    "OtherPatientIDs": "CANARY17",
    "StudyID": "CANARY18",
    "ContrastBolusAgent": "Canary19 given by hand",
    "StudyDate": "19041204",
    "ContentDate": "19041205",
    "AcquisitionDate": "19041206",
    "SequenceName": "CANARY20",
    "Manufacturer": "Canary21 SIEMENS",
    "MilitaryRank": "CANARY22",
}
UIDS = {"StudyInstanceUID": "1.2.7777777.1", "SeriesInstanceUID": "1.2.7777777.2",
        "FrameOfReferenceUID": "1.2.7777777.3"}  # fmt: skip
WORDS = [
    *(f"canary{n:02d}" for n in range(1, 31)), "7777777", "19031103",
    "19041204", "19041205", "19041206", "1904-12", "1903-11",
]  # fmt: skip


def marked() -> list[Dataset]:
    """Return a DSC series that tells everything about a patient who never was."""
    images = scanner.siemens(scanner.look_of("siemens"))
    for number, data in enumerate(images):
        for name, value in {**TAGS, **UIDS}.items():
            setattr(data, name, value)
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.7777777.4.{number}"
        data.ScanningSequence = ["EP", "GR", "CANARY23"]
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "CANARY24"]
        block = data.private_block(0x0009, "CANARY25 CREATOR", create=True)
        block.add_new(0x01, "LO", "Canary26 private")
        request = Dataset()
        request.RequestedProcedureDescription = "Canary27 request"
        data.RequestAttributesSequence = Sequence([request])
        data.add_new(0x60000022, "LO", "Canary28 overlay")
        data.preamble = b"CANARY29".ljust(128, b"\0")
        pixels = np.frombuffer(data.PixelData, "<u2") | np.uint16(0x8000 * (number % 2))
        data.PixelData = pixels.tobytes()  # an overlay in the high bits, as it once was usual
    return images


def folder_of(place: Path) -> Path:
    names = [f"Canary30 Folder/CANARY30_{n:03d}.dcm" for n in range(40)]
    return scanner.write(place / "in", marked(), names=names)


def found_in(text: str) -> list[str]:
    return [word for word in WORDS if word in text.lower()]


def everything(folder: Path) -> str:
    """Names and content of all files, unpacked."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)))
        if path.is_file():
            content = path.read_bytes()
            parts.append(content.decode("latin-1"))
            if path.suffix == ".gz":
                parts.append(gzip.decompress(content).decode("latin-1"))
    return "\n".join(parts)


def test_there_are_more_than_18_canaries_and_they_sit_in_the_files(tmp_path):
    source = folder_of(tmp_path)

    found = found_in(everything(source))

    assert set(found) >= {f"canary{n:02d}" for n in range(1, 31) if n != 3} - {"canary03"}
    assert {"7777777", "19031103", "19041204"} <= set(found)


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_no_canary_in_the_dataset_or_in_what_is_printed(extra, tmp_path):
    source = folder_of(tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "bolus", "import", str(source), str(tmp_path / "out"), *extra],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert found_in(done.stdout + done.stderr) == []
    assert found_in(everything(tmp_path / "out")) == []
    assert "PatientName" in done.stdout
    values = _values(tmp_path / "out")
    assert np.array_equal(values, scanner.PHANTOM)  # without the overlay's bits


def _values(dataset: Path) -> np.ndarray:
    from bolus.io import read_series

    return read_series(dataset / "sub-001/ses-01/perf/sub-001_ses-01_dsc.nii.gz").values


def cut(source: Path) -> None:
    path = sorted(source.rglob("*.dcm"))[3]
    path.write_bytes(path.read_bytes()[:-40])


def drop(source: Path) -> None:
    sorted(source.rglob("*.dcm"))[7].unlink()


def garble(source: Path) -> None:
    path = sorted(source.rglob("*.dcm"))[2]
    path.write_bytes(path.read_bytes()[:700] + b"Canary01^Name" * 30)


def burn(source: Path) -> None:
    for path in source.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        data.BurnedInAnnotation = "YES"
        data.save_as(path)


@pytest.mark.parametrize("harm", [cut, drop, garble, burn], ids=lambda f: f.__name__)
def test_no_canary_in_an_error(harm, tmp_path, capsys):
    source = folder_of(tmp_path)
    harm(source)

    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(tmp_path / "out"), "-q"])

    said = capsys.readouterr()
    assert caught.value.code == 2
    assert found_in(said.out + said.err) == []
    assert not (tmp_path / "out").exists()


def test_no_canary_in_a_crash_file(tmp_path, monkeypatch, capsys):
    source = folder_of(tmp_path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def broken(folder):
        raise ValueError(f"a bug with {folder.files[0].whose} in {folder.files[0].path}")

    monkeypatch.setattr("bolus.workflows.import_dicom.list_series", broken)
    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(tmp_path / "out"), "-q"])

    said = capsys.readouterr()
    assert caught.value.code == 1
    assert found_in(said.out + said.err) == []
    crash = everything(tmp_path / "here")
    assert "bolus-crash" in crash
    assert found_in(crash) == []


def test_paths_are_named_only_where_asked(tmp_path, capsys):
    source = folder_of(tmp_path)
    cut(source)

    with pytest.raises(SystemExit):
        main(["import", str(source), str(tmp_path / "out"), "-q", "--show-names"])

    assert "CANARY30_003.dcm" in capsys.readouterr().err


def test_the_key_file_alone_says_who_it_was(tmp_path, capsys):
    source, key = folder_of(tmp_path), tmp_path / "key.tsv"

    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(tmp_path / "out"), "-q", "--key-file", str(key)])

    assert caught.value.code == 0
    assert "CANARY02" in key.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    assert found_in(everything(tmp_path / "out") + capsys.readouterr().out) == []


def test_a_key_file_inside_the_dataset_is_refused(tmp_path, capsys):
    source = folder_of(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(tmp_path / "out"), "-q",
              "--key-file", str(tmp_path / "out" / "key.tsv")])  # fmt: skip

    assert caught.value.code == 2
    assert "inside the dataset" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""Every kind of bad DICOM: one line, exit 2, nothing written; and what must not matter does not.

The cases are made in code, see `dicom_cases.py` and `scanner_series.py`.
"""

import hashlib
import os
import re
import resource
import time
from pathlib import Path

import dicom_cases
import numpy as np
import pydicom
import pytest
import scanner_series as scanner
from dicom_cases import BOMBS, CASES, Case

from bolus.cli import main
from bolus.errors import BolusError, Code
from bolus.io import read_series
from bolus.io.dicom_scan import scan_dicom
from bolus.workflows.import_answers import ImportAnswers
from bolus.workflows.import_dicom import ImportRequest, import_dicom

pytestmark = pytest.mark.reliability


def name_of(case: Case) -> str:
    return case.name.replace(" ", "_")


def tree(folder: Path) -> dict[str, str]:
    """Names and content of everything below a folder."""
    return {
        str(p.relative_to(folder)): _digest(p) if p.is_file() else "folder"
        for p in sorted(folder.rglob("*"))
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:  # one case is a sparse file of three gigabytes
        return hashlib.sha256(file.read(1 << 27)).hexdigest() + str(path.stat().st_size)


def imported(source: Path, target: Path, **answers) -> dict[str, str]:
    import_dicom(ImportRequest(source=source, dataset=target, answers=ImportAnswers(**answers)))
    return tree(target)


def test_there_are_forty_kinds_and_no_two_share_a_name():
    names = [case.name for case in CASES]

    assert len(names) >= 40
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_bad_dicom_is_refused_in_one_line_and_nothing_is_written(case, tmp_path, capsys):
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    case.make(source)
    before = tree(tmp_path)

    with pytest.raises(SystemExit) as caught:
        main(["import", str(source), str(target), "-q"])

    said = capsys.readouterr()
    assert caught.value.code == 2
    assert said.out == ""
    assert said.err.startswith(f"error[{case.code}] ")
    assert case.says in said.err
    assert " - " in said.err
    assert said.err.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize("case", BOMBS, ids=name_of)
def test_bombs_cost_less_than_two_seconds_and_300_mb(case, tmp_path):
    case.make(tmp_path)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.monotonic()

    with pytest.raises(BolusError) as caught:
        scan_dicom(tmp_path)

    assert caught.value.code is Code.DICOM_BOMB
    assert (
        time.monotonic() - began < 2 + 2
    )  # two for the work, two to start Python on a busy machine
    assert max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - used, 0) < 300_000


@pytest.mark.parametrize("vendor", scanner.VENDORS)
def test_names_and_instance_numbers_change_no_byte(vendor, tmp_path):
    make = scanner.VENDORS[vendor]
    scanner.write(tmp_path / "plain", make(scanner.look_of(vendor)))
    expected = imported(tmp_path / "plain", tmp_path / "first")

    for seed in range(3):
        listed, names = scanner.shuffled(make(scanner.look_of(vendor)), seed)
        source = scanner.write(tmp_path / f"shuffled-{seed}", listed, names=names)

        assert imported(source, tmp_path / f"again-{seed}") == expected


@pytest.mark.parametrize("vendor", scanner.VENDORS)
def test_folders_and_copies_change_no_byte(vendor, tmp_path):
    make = scanner.VENDORS[vendor]
    listed = make(scanner.look_of(vendor))
    scanner.write(tmp_path / "plain", listed)
    names = [f"{'ab'[n % 2]}/{n:04d}" for n in range(len(listed))]
    deep = scanner.write(tmp_path / "deep", listed, names=names)
    scanner.write(deep / "copies", listed[:7])

    found = imported(deep, tmp_path / "second")

    expected = imported(tmp_path / "plain", tmp_path / "first")
    changed = {name for name in expected if found.get(name) != expected[name]}
    assert set(found) == set(expected)
    assert changed == {"code/import_sub-001_ses-01.json"}  # it counts the tags of the copies too


@pytest.mark.parametrize("vendor", scanner.VENDORS)
@pytest.mark.parametrize("name", scanner.ORIENTATIONS)
def test_every_voxel_is_where_the_scanner_says(vendor, name, tmp_path):
    look = scanner.look_of(vendor, orientation=scanner.ORIENTATIONS[name])
    scanner.write(tmp_path / "in", scanner.VENDORS[vendor](look))

    imported(tmp_path / "in", tmp_path / "out")

    path = tmp_path / "out/sub-001/ses-01/perf/sub-001_ses-01_dsc.nii.gz"
    series = read_series(path)
    assert np.array_equal(series.values, scanner.expected(vendor))
    assert np.abs(series.grid.affine - scanner.affine_ras(look)).max() < 1e-5
    assert series.time.uniform_step_s() == pytest.approx(scanner.STEP_S, abs=1e-9)
    assert series.acquisition.require("echo_time_s") == 0.03


HOSTILE = ["../../etc", "/etc/passwd", "..", "a/b", "CON", "a\0b", "-rf", "$(id)", "sub-1;ls", "é"]
LABELS = ["../x", "a/b", "..", "", "a b", "x\n", "-1", "ses_1", "a.b", "é" * 3]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("tag", ["PatientID", "SeriesInstanceUID"])
def test_hostile_identifiers_name_nothing(tag, name, tmp_path):
    images = dicom_cases.images()
    for data in images:
        data[tag] = pydicom.DataElement(
            tag, pydicom.datadict.dictionary_VR(tag), name, validation_mode=pydicom.config.IGNORE
        )
    source = scanner.write(tmp_path / "in", images)

    found = imported(source, tmp_path / "out")

    assert all(re.fullmatch(r"[A-Za-z0-9_./-]+", path) for path in found)
    assert "sub-001/ses-01/perf/sub-001_ses-01_dsc.nii.gz" in found
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("label", LABELS)
def test_hostile_labels_are_refused(label, tmp_path):
    source = dicom_cases.good(tmp_path / "in")

    for names in ({"subject": label}, {"subject": "01", "session": label}):
        if names == {"subject": ""} or names.get("session") == "":
            continue
        with pytest.raises(BolusError) as caught:
            imported(source, tmp_path / "out", **names)
        assert caught.value.code is Code.NAME_UNSAFE
    assert not (tmp_path / "out").exists()


def test_links_are_not_followed(tmp_path):
    source = dicom_cases.good(tmp_path / "in")
    outside = dicom_cases.good(tmp_path / "elsewhere")
    (source / "loop").symlink_to(source)
    (source / "out").symlink_to(outside)
    (source / "file.dcm").symlink_to(sorted(outside.iterdir())[0])
    os.mkfifo(source / "pipe.dcm")

    folder = scan_dicom(source)

    assert len(folder.files) == dicom_cases.SLICES * dicom_cases.TIMES
    assert folder.links == 4

"""Memory of an exam: asked for before it begins, and what is let go on the way."""

import gzip
import os
from dataclasses import replace

import numpy as np
import pytest
from tiny_exam import write_exam

from bolus import io, quantify
from bolus.core import Grid
from bolus.errors import BolusError, Code
from bolus.workflows.config import Config
from bolus.workflows.curves import CurvesRequest, export_curves
from bolus.workflows.dsc import quantify_dsc
from bolus.workflows.exam import run_exam
from bolus.workflows.exam_size import BASE_BYTES, SERIES_FACTOR
from bolus.workflows.inputs import DscPaths, read_scan
from bolus.workflows.memory import require_exam_memory
from bolus.workflows.outputs import FlatNames


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return write_exam(tmp_path_factory.mktemp("exam"))


def test_too_little_memory_for_the_exam_is_said_before_anything_is_read(
    exam, tmp_path, monkeypatch
):
    monkeypatch.setattr("bolus.io.access.available_memory_bytes", lambda: 100 << 20)

    with pytest.raises(BolusError, match=r"this exam needs 0\.\d\d GiB") as caught:
        run_exam(
            DscPaths(series=exam.series), Config(), tmp_path / "out",
            names=FlatNames("x"), label="x",
        )  # fmt: skip

    assert caught.value.code is Code.MEMORY
    assert caught.value.where == str(exam.series)
    assert not (tmp_path / "out").exists()


def test_curves_convert_no_voxel_that_is_not_asked_for(exam, tmp_path, monkeypatch):
    asked = []
    convert = quantify.signal_to_delta_r2s

    def watched(series, **more):
        asked.append(more["mask"])
        return convert(series, **more)

    monkeypatch.setattr(quantify, "signal_to_delta_r2s", watched)
    request = CurvesRequest(
        series=exam.series, regions=(exam.tumour,), voxels=((1, 1, 1),), quantity="delta_r2s",
        motion=False,
    )  # fmt: skip

    outcome = export_curves(request, Config(), tmp_path / "out")

    (mask,) = asked
    brain = io.read_mask(next((tmp_path / "out").glob("*brain_mask.nii.gz")), name="brain")
    tumour = io.read_mask(exam.tumour, name="tumour")
    wanted = brain.values | tumour.values
    wanted[1, 1, 1] = True
    assert np.array_equal(mask.values, wanted)
    assert mask.count < mask.values.size / 1.5
    assert outcome.table.read_text().startswith("time_s\tbrain\tvoxel_1,1,1")


def test_the_need_follows_from_the_headers_of_both_echoes(tmp_path, monkeypatch):
    grid = Grid(shape=(10, 10, 10), affine=np.eye(4))
    path = tmp_path / "s.nii.gz"
    io.write_volume(path, np.ones((10, 10, 10, 7), np.int16), grid)
    asked = []

    def ask(wanted, *, purpose):
        asked.append(wanted)

    monkeypatch.setattr(io, "require_memory", ask)

    require_exam_memory(path, None)
    require_exam_memory(path, path)

    assert io.series_bytes(path) == 4 * 7000
    assert asked == [BASE_BYTES + int(SERIES_FACTOR * 28000 * echoes) for echoes in (1, 2)]


def test_a_file_that_cannot_be_read_is_left_to_the_reader(tmp_path):
    (tmp_path / "s.nii.gz").write_bytes(b"no image")

    assert io.series_bytes(tmp_path / "s.nii.gz") == 0
    assert io.series_bytes(tmp_path / "absent.nii.gz") == 0
    os.mkfifo(tmp_path / "pipe.nii.gz")
    assert io.series_bytes(tmp_path / "pipe.nii.gz") == 0


def test_a_scan_that_somebody_else_holds_stays_as_it_was(exam):
    scan = read_scan(DscPaths(series=exam.series), Config())
    before = scan.signal.values.copy()

    assert scan.own
    first = quantify_dsc(own(scan, False), Config(), created="")

    np.testing.assert_array_equal(scan.signal.values, before)
    again = quantify_dsc(own(scan, True), Config(), created="")
    for key, item in first.maps.items():
        np.testing.assert_array_equal(item.values, again.maps[key].values)


def own(scan, yes):
    return replace(scan, own=yes)


def test_findings_hold_the_curves_that_are_shown_and_no_others(exam):
    paths = DscPaths(series=exam.series, tumour=exam.tumour)
    findings = quantify_dsc(read_scan(paths, Config()), Config(), created="")

    shown = findings.white_matter.values | findings.tumour_mask.values
    for series in (findings.delta_r2s, findings.corrected):
        assert series.values[shown].any(axis=-1).all()
        assert not series.values[~shown].any()


def test_a_packed_series_is_the_same_bytes_written_in_parts(tmp_path):
    grid = Grid(shape=(30, 20, 10), affine=np.eye(4))
    values = np.arange(30 * 20 * 10 * 5, dtype=np.int32).reshape(30, 20, 10, 5) % 900
    for name in ("a.nii", "a.nii.gz"):
        io.write_volume(tmp_path / name, values.astype(np.int16), grid, frame_step_s=2.0)

    plain, packed = ((tmp_path / name).read_bytes() for name in ("a.nii", "a.nii.gz"))

    assert gzip.decompress(packed) == plain
    assert packed[4:8] == bytes(4)  # no time

"""Every kind of bad NIfTI, sidecar or mask: one line that says what and what to do, nothing left.

The cases are made in code, see `nifti_cases.py`.
"""

import dataclasses
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import nibabel as nib
import nifti_cases
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_cases import MASK_CASES, SERIES_CASES, Case

from bolus.core import Grid
from bolus.errors import BolusError, Code, QualityWarning
from bolus.io import read_mask, read_series
from bolus.io.sidecar import FIELD_KEYS

pytestmark = pytest.mark.reliability
GRID = Grid(shape=nifti_cases.SHAPE[:3], affine=nifti_cases.AFFINE)


def name_of(case: Case) -> str:
    return case.name.replace(" ", "_")


def require_one_line(text: str, case: Case) -> None:
    assert text.startswith(f"error[{case.code}] ")
    assert case.says in text
    assert " - " in text
    assert "\n" not in text.strip()


def tree(folder: Path) -> dict[str, str]:
    """Names and content of everything below a folder."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        if p.is_file()
        else "folder"
        for p in sorted(folder.rglob("*"))
    }


def test_there_are_forty_kinds_and_no_two_share_a_name():
    names = [case.name for case in SERIES_CASES + MASK_CASES]

    assert len(names) >= 40
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", SERIES_CASES, ids=name_of)
def test_bad_series_are_refused_in_one_line_with_the_mend(case, tmp_path):
    path = case.make(tmp_path)

    with pytest.raises(BolusError) as caught:
        read_series(path)

    assert caught.value.code is case.code
    require_one_line(str(caught.value), case)
    assert path.name.split(".")[0] in caught.value.where


@pytest.mark.parametrize("case", MASK_CASES, ids=name_of)
def test_bad_masks_are_refused_in_one_line_with_the_mend(case, tmp_path):
    path = case.make(tmp_path)

    with pytest.raises(BolusError) as caught:
        read_mask(path, name="tumour", grid=GRID)

    assert caught.value.code is case.code
    require_one_line(str(caught.value), case)


BOMBS = [c for c in SERIES_CASES + MASK_CASES if c.code is Code.FILE_BOMB]


@pytest.mark.parametrize("case", BOMBS, ids=name_of)
def test_bombs_cost_less_than_two_seconds_and_300_mb(case, tmp_path):
    path = case.make(tmp_path)
    tracemalloc.start()
    began = time.process_time()

    with pytest.raises(BolusError):
        (read_mask(path, name="m") if case in MASK_CASES else read_series(path))

    spent_s = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert spent_s < 2
    assert peak < 300e6


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch):
    path = nifti_cases.good(tmp_path)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so modes do not serve
    with pytest.raises(BolusError) as caught:
        read_series(path)

    assert caught.value.code is Code.PERMISSION
    assert caught.value.where == str(path)


def test_too_little_memory_is_said_before_reading(tmp_path, monkeypatch):
    path = nifti_cases.good(tmp_path)
    monkeypatch.setattr("bolus.io.access.available_memory_bytes", lambda: 1000)

    with pytest.raises(BolusError) as caught:
        read_series(path)

    assert caught.value.code is Code.MEMORY


GOOD = {
    "plain": nifti_cases.good,
    "not compressed": lambda f: nifti_cases.good(f, name="dsc.nii"),
    "float64": lambda f: nifti_cases.good(f, frames=nifti_cases.values().astype(np.float64)),
    "zero slope means none": nifti_cases.patched(scl_slope=0, scl_inter=0),
    "header in ms": nifti_cases.untimed(step=1500, units=18),
    "header in us": nifti_cases.untimed(step=1.5e6, units=26),
    "irregular times": nifti_cases.sidecar(RepetitionTime=None, VolumeTiming=[*range(11), 12.5]),
    "one NaN voxel": lambda f: nifti_cases.good(f, frames=with_a_hole()),
    "excitation and frame spacing": nifti_cases.sidecar(RepetitionTimeExcitation=0.04),
    "low flip angle": nifti_cases.sidecar(FlipAngle=10),
    "low field": nifti_cases.sidecar(MagneticFieldStrength=0.55),
    "ultra-high field": nifti_cases.sidecar(MagneticFieldStrength=7),
    "slow frames": lambda f: nifti_cases.good(f, sidecar={"RepetitionTime": 15.4}, step_s=15.4),
    "fast frames": lambda f: nifti_cases.good(f, sidecar={"RepetitionTime": 0.4}, step_s=0.4),
    "more keys": nifti_cases.sidecar(Manufacturer="none", SliceTiming=[0, 1]),
    "gzip under a plain name": lambda f: renamed(f, "dsc.nii.gz", "dsc.nii"),
    "plain under a gzip name": lambda f: renamed(f, "dsc.nii", "dsc.nii.gz"),
    "padded with zeros": nifti_cases.spoiled(lambda c: c + bytes(512)),
    "byte order mark": nifti_cases.sidecar_text("\ufeff" + json.dumps(nifti_cases.SIDECAR)),
}


def with_a_hole() -> np.ndarray:
    frames = nifti_cases.values().astype(np.float32)
    frames[1, 1, 1] = np.nan
    return frames


def renamed(folder: Path, first: str, second: str) -> Path:
    return nifti_cases.good(folder, name=first).rename(folder / second)


@pytest.mark.parametrize("name", GOOD)
def test_good_series_are_not_stopped(name, tmp_path):
    path = GOOD[name](tmp_path)

    series = read_series(path)

    assert series.values.shape == nifti_cases.SHAPE
    assert series.values.dtype == np.float32


def test_a_header_in_milliseconds_is_converted(tmp_path):
    series = read_series(nifti_cases.untimed(step=1500, units=18)(tmp_path))

    assert series.time.uniform_step_s() == pytest.approx(1.5)
    assert series.acquisition.repetition_time_s == pytest.approx(1.5)
    assert dict(series.acquisition.sources)["repetition_time_s"] == "header"


def test_both_byte_orders_give_the_same_values(tmp_path):
    swapped = nib.Nifti1Image(
        nifti_cases.values(), nifti_cases.AFFINE, nib.Nifti1Header(endianness=">")
    )
    nib.save(swapped, tmp_path / "swapped.nii")
    (tmp_path / "swapped.json").write_text(json.dumps(nifti_cases.SIDECAR))

    series = read_series(tmp_path / "swapped.nii")

    np.testing.assert_array_equal(series.values, nifti_cases.values())
    np.testing.assert_allclose(series.grid.affine, nifti_cases.AFFINE)


FUZZ = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KEYS = [key for keys in FIELD_KEYS.values() for key in keys]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)


def line_of_refusal(path: Path) -> str:
    """The line a reader refuses with, or nothing; anything but our errors ends the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        try:
            read_series(path)
        except BolusError as error:
            return str(error)
    return ""


@settings(FUZZ, max_examples=100)
@given(at=st.integers(0, 355), value=st.integers(0, 255), more=st.integers(0, 355))
def test_a_spoiled_header_gives_an_answer_or_our_error(tmp_path, at, value, more):
    path = nifti_cases.good(tmp_path, name="dsc.nii")
    content = bytearray(path.read_bytes())
    content[at] = value
    content[more] ^= 0x80
    path.write_bytes(content)

    assert re.fullmatch(r"(error\[BOLUS-\d{4}\] .+ - .+)?", line_of_refusal(path))


@settings(FUZZ, max_examples=60)
@given(values=st.dictionaries(st.sampled_from([*KEYS, "VolumeTiming", "ValueSources"]), ANY_JSON))
def test_any_sidecar_gives_an_answer_or_our_error(tmp_path, values):
    path = nifti_cases.good(tmp_path, sidecar=values)

    assert re.fullmatch(r"(error\[BOLUS-\d{4}\] .+ - .+)?", line_of_refusal(path))


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """The command in this process: its exit code and what it wrote to standard error."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: object) -> tuple[int, str]:
        from bolus.cli import main

        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in arguments])
        return ended.value.code, capsys.readouterr().err

    yield run
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("case", SERIES_CASES, ids=name_of)
def test_the_command_ends_with_code_2_and_leaves_nothing(case, tmp_path, command):
    (tmp_path / "in").mkdir()
    path = case.make(tmp_path / "in")
    if path.is_dir():  # the command takes folders of DICOM
        case = dataclasses.replace(case, code=Code.DICOM_NOTHING)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")

    status, line = command("dsc", path, "--output", tmp_path / "out" / "result")

    assert status == 2
    require_one_line(line, case)
    assert line.count("\n") == 1
    assert tree(tmp_path / "out") == tree_of_notes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def tree_of_notes() -> dict[str, str]:
    return {"notes.txt": hashlib.sha256(b"mine").hexdigest()}


@pytest.mark.parametrize("case", MASK_CASES, ids=name_of)
def test_the_command_refuses_bad_masks(case, tmp_path, command):
    for name in ("series", "mask"):
        (tmp_path / name).mkdir()
    series = nifti_cases.good(tmp_path / "series")
    mask = case.make(tmp_path / "mask")

    status, line = command("dsc", series, "--mask", mask, "--output", tmp_path / "result")

    assert status == 2
    require_one_line(line, case)
    assert not (tmp_path / "result").exists()


def test_the_program_itself_gives_one_line_and_code_2(tmp_path):
    (tmp_path / "in").mkdir()
    case = next(c for c in SERIES_CASES if c.name == "TR in ms")
    words = ["dsc", str(case.make(tmp_path / "in")), "--output", str(tmp_path / "result")]

    done = subprocess.run(
        [sys.executable, "-m", "bolus", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
    )

    assert done.returncode == 2
    require_one_line(done.stderr, case)
    assert done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in"]

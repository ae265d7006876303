"""Voxels without numbers, with infinite ones, or that never change: NaN, and why."""

import json

import exam_cases
import nibabel as nib
import numpy as np
import pytest

from bolus import io
from bolus.core import FitStatus
from bolus.workflows.config import parse_config
from bolus.workflows.exam import run_exam
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import FlatNames

pytestmark = pytest.mark.reliability
SPOILED = {
    "one NaN": (lambda curve: np.where(np.arange(curve.size) == 30, np.nan, curve), "NOT_FINITE"),
    "all NaN": (lambda curve: np.full_like(curve, np.nan), "NOT_FINITE"),
    "infinite": (lambda curve: np.where(np.arange(curve.size) == 5, np.inf, curve), "NOT_FINITE"),
    "minus infinite": (
        lambda curve: np.where(np.arange(curve.size) == 50, -np.inf, curve), "NOT_FINITE",
    ),
    "zero": (np.zeros_like, "NO_SIGNAL"),
    "constant": (lambda curve: np.full_like(curve, 700), "NO_SIGNAL"),
}  # fmt: skip
KEYS = ("cbv", "cbf", "mtt", "tmax", "ncbv", "ttp", "psr")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voxels")
    files = exam_cases.write(folder / "in")
    image = nib.load(files.series)
    values = np.asarray(image.dataobj).copy()
    candidates = np.argwhere(files.regions["white"])
    places = {}
    for n, (name, (spoil, _)) in enumerate(SPOILED.items()):
        places[name] = [tuple(candidates[200 + 12 * n + k]) for k in range(4)]
        for place in places[name]:
            values[place] = spoil(values[place])
    nib.save(nib.Nifti1Image(values, image.affine, image.header), files.series)
    out = folder / "out"
    run_exam(
        DscPaths(series=files.series, tumour=files.tumour, mask=files.brain),
        parse_config(exam_cases.FAST), out, names=FlatNames("exam"), label="exam",
    )  # fmt: skip
    maps = {key: io.read_image(next(out.glob(f"*_{key}.nii.gz")))[0] for key in KEYS}
    states = {key: io.read_image(next(out.glob(f"*_{key}status.nii.gz")))[0] for key in KEYS}
    return out, files, places, maps, states


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_voxel_is_nan_with_its_reason(result, name):
    _, _, places, maps, states = result
    reasons = {FitStatus[SPOILED[name][1]], FitStatus.NOT_FINITE}  # ln(0) is not finite either

    for key in KEYS:
        for place in places[name]:
            assert np.isnan(maps[key][place]), key
            assert FitStatus(int(states[key][place])) in reasons, key


@pytest.mark.parametrize("key", KEYS)
def test_all_others_are_finite(result, key):
    _, files, places, maps, states = result
    spoiled = np.zeros_like(files.regions["brain"])
    for place in (p for group in places.values() for p in group):
        spoiled[place] = True
    white = files.regions["white"] & ~spoiled

    assert np.isfinite(maps[key][white]).mean() > 0.95
    assert np.array_equal(np.isfinite(maps[key]), states[key] == FitStatus.OK)


def test_their_numbers_are_in_the_report(result):
    out, _, places, _, states = result
    page = (out / "report.html").read_text()
    count = int(np.sum(states["cbv"] == FitStatus.NOT_FINITE))

    assert count >= sum(len(places[n]) for n in SPOILED if SPOILED[n][1] == "NOT_FINITE")
    assert str(count) in page
    levels = json.loads(next(out.glob("*_cbvstatus.json")).read_text())["Levels"]
    assert levels[str(int(FitStatus.NOT_FINITE))] == "NOT_FINITE"

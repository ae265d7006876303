"""Diffusion images with b-values, ADC maps in any unit, and maps back from their files."""

import json
import warnings

import numpy as np
import pytest

from bolus import io
from bolus.core import QUANTITIES, Grid, Mask, ParameterMap, Provenance, SessionKey, Step
from bolus.errors import AssumptionWarning, BolusError, FileError, QuantityError
from bolus.io.diffusion import read_adc, read_diffusion

GRID = Grid(shape=(3, 2, 2), affine=np.diag([2.0, 2, 5, 1]))
VALUES = np.linspace(0.7e-3, 1.6e-3, 12).reshape(GRID.shape)


def written(tmp_path, factor, unit=None, values=VALUES):
    path = tmp_path / "sub-01_ADC.nii.gz"
    io.write_volume(path, values / factor, GRID)
    if unit is not None:
        path.with_name("sub-01_ADC.json").write_text(json.dumps({"Units": unit}))
    return path


@pytest.mark.parametrize(
    ("factor", "unit"),
    [(1.0, "mm2/s"), (1e-3, "um2/ms"), (1e-6, "1e-6 mm2/s"), (1e-6, "10^-6 mm^2/s")],
)
def test_the_stated_unit_of_an_adc_map_counts(tmp_path, factor, unit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_adc(written(tmp_path, factor, unit))

    assert np.allclose(found.values, VALUES, rtol=1e-6)


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e-6])
def test_without_a_unit_the_numbers_say_it_and_a_warning_says_so(tmp_path, factor):
    with pytest.warns(AssumptionWarning, match="states no unit"):
        found = read_adc(written(tmp_path, factor))

    assert np.allclose(found.values, VALUES, rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "unit", "words"),
    [
        (1.0, "furlongs", "no known unit"),
        (1e-5, None, "median of"),
        (1.0, "1e-6 mm2/s", "expected 0.0002 to 0.004"),
    ],
)
def test_numbers_that_no_adc_has_are_refused(tmp_path, factor, unit, words):
    with pytest.raises(QuantityError, match=words):
        read_adc(written(tmp_path, factor, unit))


def test_zeros_of_a_scanner_are_no_values(tmp_path):
    values = VALUES.copy()
    values[0] = 0

    assert read_adc(written(tmp_path, 1.0, "mm2/s", values)).counts() == {
        "OK": 8, "OUTSIDE_MASK": 4,
    }  # fmt: skip


def diffusion(tmp_path, text):
    path = tmp_path / "sub-01_dwi.nii.gz"
    io.write_volume(path, np.ones((*GRID.shape, 2)), GRID)
    (tmp_path / "sub-01_dwi.bval").write_text(text)
    return path


def test_images_come_with_their_b_values(tmp_path):
    found = read_diffusion(diffusion(tmp_path, "0 1000\n"))

    assert found.b_s_per_mm2.tolist() == [0, 1000]
    assert found.values.shape == (3, 2, 2, 2)
    assert [name for name, _ in found.provenance.inputs] == ["sub-01_dwi.nii.gz", "sub-01_dwi.bval"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 1000 2000", "3 b-values for 2 images"),
        ("0 much", "something else than numbers"),
        ("0 -1", "below 0"),
        ("0 nan", "below 0|no b-values"),
        ("0 1e9", "looks like s/m2: 1000"),
        ("", "no b-values"),
    ],
)
def test_b_values_that_cannot_be_right_are_refused(tmp_path, text, words):
    with pytest.raises(BolusError, match=words):
        read_diffusion(diffusion(tmp_path, text))


def test_without_a_bval_file_the_missing_name_is_told(tmp_path):
    path = diffusion(tmp_path, "0 1000")
    (tmp_path / "sub-01_dwi.bval").unlink()

    with pytest.raises(FileError, match=r"sub-01_dwi\.bval: does not exist"):
        read_diffusion(path)


def test_a_map_comes_back_as_it_was_written(tmp_path):
    some = VALUES > 0.8e-3
    mask = Mask(values=some, grid=GRID, name="some")
    values = VALUES[some].copy()
    values[0] = np.nan
    step = Step("quantify.x", {"a": 1.5, "b": "text", "c": None}, source="10.1000/x")
    made = ParameterMap.from_voxels(
        values, quantity=QUANTITIES["adc"], mask=mask, std=values / 10,
        provenance=Provenance(steps=(step,)),
    )  # fmt: skip
    stem = io.OutputNames(key=SessionKey("01")).map("adc", method="x")
    with io.open_output(tmp_path / "out", inputs={}, config_digest="", version="0") as output:
        name = io.write_map(output, stem, made, sources=["s"], algorithm="a", reference="r")
    found = io.read_map(tmp_path / "out" / name)

    assert found.quantity is QUANTITIES["adc"]
    assert np.allclose(found.values, made.values, equal_nan=True, rtol=1e-6)
    assert np.allclose(found.std, made.std, equal_nan=True, rtol=1e-6)
    assert (found.status == made.status).all()
    assert found.provenance.steps == (step,)


def test_what_bolus_did_not_write_is_no_map_of_it(tmp_path):
    with pytest.raises(FileError, match='has no "Bolus" block'):
        io.read_map(written(tmp_path, 1.0, "mm2/s"))

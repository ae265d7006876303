"""Labels that were drawn on another image of the same space, for DSC and DCE alike."""

import nibabel as nib
import numpy as np
import pytest
from tiny_dce import write_exam as write_dce
from tiny_exam import write_exam

from bolus.core import Grid
from bolus.errors import BolusError, Code
from bolus.workflows.config import Config
from bolus.workflows.dce_inputs import DcePaths, read_dce_scan
from bolus.workflows.inputs import DscPaths, read_scan


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    return {
        "dsc": write_exam(tmp_path_factory.mktemp("dsc")),
        "dce": write_dce(tmp_path_factory.mktemp("dce")),
    }


@pytest.fixture(params=["dsc", "dce"])
def read(request, exams):
    """How a step reads its exam with other labels, and the labels that belong to it."""
    exam = exams[request.param]

    def scan(tumour):
        if request.param == "dsc":
            return read_scan(DscPaths(series=exam.series, tumour=tumour), Config())
        config = Config(dce={"t10_s": 1.4})
        return read_dce_scan(DcePaths(series=exam.series, tumour=tumour), config)

    return scan, exam.tumour


def saved(path, values, affine):
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def drawn(path):
    image = nib.load(path)
    return np.asarray(image.dataobj).astype(np.uint8), image.affine


def test_labels_of_a_finer_grid_are_resampled_and_that_is_said(read, tmp_path):
    scan, given = read
    values, affine = drawn(given)
    fine = values.repeat(2, axis=0).repeat(2, axis=1)
    shifted = affine @ np.diag([0.5, 0.5, 1, 1])
    shifted[:3, 3] -= affine[:3, :2].sum(axis=1) / 4

    found = scan(saved(tmp_path / "fine.nii.gz", fine, shifted))

    assert np.array_equal(found.tumour.foreground.values, values > 0)
    (notice,) = [text for text in found.notices if "another grid" in text]
    assert "nearest neighbour" in notice
    assert "mL became" in notice


def test_labels_counted_from_the_other_side_are_the_same_labels(read, tmp_path):
    scan, given = read
    values, affine = drawn(given)
    back = affine @ np.diag([-1.0, 1, 1, 1])
    back[:3, 3] = affine[:3, 3] + affine[:3, 0] * (values.shape[0] - 1)

    found = scan(saved(tmp_path / "back.nii.gz", values[::-1], back))

    assert np.array_equal(found.tumour.foreground.values, values > 0)


def test_labels_with_left_and_right_swapped_are_refused(read, tmp_path):
    scan, given = read
    values, affine = drawn(given)
    affine[0] *= -1

    with pytest.raises(BolusError, match="left and right were swapped") as caught:
        scan(saved(tmp_path / "mirrored.nii.gz", values, affine))

    assert caught.value.code is Code.GRID_MISMATCH


def test_labels_that_lie_elsewhere_are_refused(read, tmp_path):
    scan, given = read
    values, affine = drawn(given)
    affine[2, 3] += 400

    with pytest.raises(BolusError, match="no label lies within the series") as caught:
        scan(saved(tmp_path / "far.nii.gz", values, affine))

    assert caught.value.code is Code.MASK_EMPTY


def test_the_grid_tells_a_mirror_image_from_another_order():
    grid = Grid(shape=(40, 44, 6), affine=np.diag([3.0, 3, 5, 1]))
    swapped = Grid(shape=grid.shape, affine=np.diag([-3.0, 3, 5, 1]))

    assert swapped.mirrors(grid)
    assert not grid.mirrors(grid)

"""Radiological convention, for every way a scanner can store its voxels."""

from itertools import permutations, product

import numpy as np
import pytest

from bolus.core import Grid, Mask
from bolus.report.slices import AxialView

SHAPE = (10, 12, 6)
SIZES = (2.0, 3.0, 5.0)


def stored(order, flips):
    """Return an affine and volume of one right-anterior-superior voxel, stored in some order."""
    truth = np.zeros(SHAPE, bool)
    truth[8, 9, 4] = True  # patient's right, front, top
    values = np.transpose(truth, order)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(SIZES)[:, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            values = np.flip(values, axis)
            affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
            affine[:3, axis] *= -1
    grid = Grid(shape=values.shape, affine=affine)
    return Mask(values=values, grid=grid, name="spot"), Mask(
        values=np.ones(values.shape, bool), grid=grid, name="all"
    )


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product([False, True], repeat=3)))
def test_the_patients_right_is_on_the_left_and_anterior_is_up(order, flips):
    spot, whole = stored(order, flips)
    view = AxialView.of(whole, spot, slices=1)
    plane = view.plane(spot.values, view.slices[0])
    row, column = np.argwhere(plane)[0]

    assert (row, column) == (SHAPE[1] - 1 - 9, SHAPE[0] - 1 - 8)
    assert view.slices == (4,)
    assert view.heights_mm == pytest.approx((4 * SIZES[2],))
    assert view.aspect == pytest.approx(SIZES[1] / SIZES[0])
    assert view.places(np.argwhere(spot.values)).tolist() == [[column, row, 4]]


def test_slices_run_through_the_focus_from_below_to_above():
    grid = Grid(shape=(8, 8, 30), affine=np.eye(4))
    whole = Mask(values=np.ones(grid.shape, bool), grid=grid, name="all")
    focus = np.zeros(grid.shape, bool)
    focus[3:5, 3:5, 8:24] = True

    view = AxialView.of(whole, Mask(values=focus, grid=grid, name="tumour"), slices=6)

    assert view.slices == (8, 11, 14, 17, 20, 23)


def test_a_small_focus_is_shown_with_the_slices_around_it():
    grid = Grid(shape=(8, 8, 30), affine=np.eye(4))
    whole = Mask(values=np.ones(grid.shape, bool), grid=grid, name="all")
    focus = np.zeros(grid.shape, bool)
    focus[3, 3, 28] = True

    view = AxialView.of(whole, Mask(values=focus, grid=grid, name="tumour"), slices=6)

    assert len(view.slices) == 6
    assert 28 in view.slices

"""Maps, labels and masks of another visit on the first one's grid, with one interpolation."""

from dataclasses import replace

import numpy as np
import pytest

from bolus.core import QUANTITIES, FitStatus, Grid, LabelMap, Mask, ParameterMap, Provenance
from bolus.preprocess import (
    Alignment,
    VisitImage,
    resample_image_through,
    resample_labels_through,
    resample_map_through,
    resample_mask_through,
)

GRID = Grid(shape=(8, 7, 5), affine=np.diag([2.0, 2.0, 4.0, 1.0]))


def a_map(hole=(3, 3, 2)) -> ParameterMap:
    values = np.random.default_rng(1).normal(2.0, 1.0, GRID.shape)
    status = np.zeros(GRID.shape, np.uint8)
    status[hole] = FitStatus.NO_BOLUS
    values[hole] = np.nan
    std = np.where(status == 0, 0.1 + 0.01 * np.arange(values.size).reshape(GRID.shape), np.nan)
    return ParameterMap(
        quantity=QUANTITIES["ncbv"], values=values, status=status, grid=GRID,
        provenance=Provenance(), std=std,
    )  # fmt: skip


def shifted(x=0.0, y=0.0, z=0.0, *, dense=False) -> Alignment:
    """Everything lies so many mm further at the other visit."""
    still = Alignment.of_itself(GRID)
    matrix = np.eye(4)
    matrix[:3, 3] = (x, y, z)
    if not dense:
        return replace(still, kind="rigid", matrix=matrix)
    moved = np.broadcast_to(np.array([x, y, z]), (*GRID.shape, 3))
    return replace(still, kind="deformable", displacement=moved)


@pytest.mark.parametrize("dense", [False, True])
def test_a_visit_that_lies_alike_keeps_its_bytes(dense):
    item, alignment = a_map(), shifted(dense=dense)
    moved = resample_map_through(item, alignment, GRID)
    for name in ("values", "status", "std"):
        assert getattr(moved, name).tobytes() == getattr(item, name).tobytes()


@pytest.mark.parametrize("dense", [False, True])
def test_a_whole_voxel_is_fetched_from_where_it_lies(dense):
    item, alignment = a_map(), shifted(x=2.0, dense=dense)
    moved = resample_map_through(item, alignment, GRID)
    np.testing.assert_array_equal(moved.values[:-1], item.values[1:])
    np.testing.assert_array_equal(moved.std[:-1], item.std[1:])
    assert (moved.status[-1] == FitStatus.OUTSIDE_MASK).all()
    assert moved.status[2, 3, 2] == FitStatus.NO_BOLUS
    labels = LabelMap(values=item.status, grid=GRID, names={4: "hole"})
    assert resample_labels_through(labels, alignment, GRID).values[2, 3, 2] == FitStatus.NO_BOLUS
    mask = Mask(values=item.status > 0, grid=GRID, name="hole")
    found = resample_mask_through(mask, alignment, GRID)
    assert np.argwhere(found.values).tolist() == [[2, 3, 2]]
    assert found.name == "hole"


def test_both_ways_of_moving_interpolate_alike():
    item = a_map()
    one = resample_map_through(item, shifted(0.7, -0.6, 1.1), GRID)
    other = resample_map_through(item, shifted(0.7, -0.6, 1.1, dense=True), GRID)
    np.testing.assert_array_equal(one.status, other.status)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-9)
    np.testing.assert_allclose(one.std, other.std, rtol=1e-9)
    steps = [step.function for step in one.provenance.steps]
    assert steps == ["preprocess.resample_map_through"]


def test_a_finer_grid_of_the_first_visit_is_filled_with_one_interpolation():
    ramp = np.broadcast_to(np.arange(8.0)[:, None, None], GRID.shape).copy()
    item = replace(a_map(), values=ramp, status=np.zeros(GRID.shape, np.uint8), std=None)
    fine = Grid(shape=(15, 7, 5), affine=np.diag([1.0, 2.0, 4.0, 1.0]))
    moved = resample_map_through(item, shifted(x=0.5), fine)
    expected = (np.arange(14) + 0.5) / 2
    np.testing.assert_allclose(moved.values[:14, 3, 2], expected, atol=1e-12)
    assert moved.std is None


def test_an_image_is_shown_where_it_shows_something():
    image = VisitImage(values=np.ones(GRID.shape), grid=GRID)
    shown = resample_image_through(image, shifted(x=4.0), GRID)
    assert np.isnan(shown[-2:]).all()
    assert (shown[:-2] == 1).all()


def test_a_visit_is_its_own_place():
    itself = Alignment.of_itself(GRID)
    assert (itself.kind, itself.error_mm, itself.error_p95_mm) == ("none", 0.0, 0.0)
    assert (itself.consistency_median_mm, itself.consistency_p95_mm) == (0.0, 0.0)

"""Grids and times change; places and numbers do not."""

import numpy as np
import pytest
from synthetic_head import oblique_grid

from bolus.core import (
    DELTA_R2S,
    QUANTITIES,
    Acquisition,
    FitStatus,
    Grid,
    LabelMap,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    TimeAxis,
)
from bolus.errors import Code, TimingError
from bolus.preprocess import (
    resample_labels,
    resample_map,
    resample_mask,
    resample_series,
    resample_time,
)

RNG = np.random.default_rng(3)


def reordered(grid: Grid, axes=(2, 0, 1), flips=(False, True, True)):
    """The same points in another order of axes, and how to reorder an array likewise."""
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for new, (old, flip) in enumerate(zip(axes, flips, strict=True)):
        matrix[old, new] = -1 if flip else 1
        matrix[old, 3] = grid.shape[old] - 1 if flip else 0
    shape = tuple(grid.shape[old] for old in axes)

    def turn(values):
        turned = np.transpose(values, (*axes, *range(3, values.ndim)))
        return np.flip(turned, [axis for axis, flip in enumerate(flips) if flip])

    return Grid(shape=shape, affine=grid.affine @ matrix), turn


def map_on(grid, values, std=None):
    volume = np.asarray(values, float)
    status = np.where(np.isfinite(volume), FitStatus.OK, FitStatus.NO_SIGNAL).astype(np.uint8)
    return ParameterMap(
        quantity=QUANTITIES["cbv"],
        values=volume,
        status=status,
        grid=grid,
        provenance=Provenance(),
        std=std,
    )


def series_on(grid, values, seconds=None):
    time = TimeAxis(seconds=np.arange(values.shape[-1]) * 1.5 if seconds is None else seconds)
    return PerfusionSeries(
        values=values,
        quantity=DELTA_R2S,
        grid=grid,
        time=time,
        acquisition=Acquisition(echo_time_s=0.03),
        provenance=Provenance(),
    )


def test_the_same_points_in_another_order_keep_every_value_bit_for_bit():
    grid = oblique_grid(shape=(7, 6, 5))
    other, turn = reordered(grid)
    values = RNG.normal(size=grid.shape)
    values[2, 3, 1] = np.nan
    frames = RNG.normal(size=(*grid.shape, 3)).astype(np.float32)
    labels = RNG.integers(0, 4, grid.shape).astype(np.uint8)

    map_there = resample_map(map_on(grid, values, std=abs(values)), other)
    series_there = resample_series(series_on(grid, frames), other)
    labels_there = resample_labels(LabelMap(values=labels, grid=grid, names={1: "core"}), other)
    mask_there = resample_mask(Mask(values=labels == 2, grid=grid, name="oedema"), other)

    np.testing.assert_array_equal(map_there.values, turn(values))
    np.testing.assert_array_equal(map_there.std, turn(abs(values)))
    np.testing.assert_array_equal(series_there.values, turn(frames))
    assert series_there.values.dtype == np.float32
    np.testing.assert_array_equal(labels_there.values, turn(labels))
    assert labels_there.values.dtype == np.uint8
    assert dict(labels_there.names) == {1: "core"}
    np.testing.assert_array_equal(mask_there.values, turn(labels == 2))
    assert mask_there.name == "oedema"
    assert map_there.provenance.steps[-1].arguments["interpolation"].startswith("none")


def test_header_rounding_does_not_start_interpolation():
    grid = oblique_grid(shape=(7, 6, 5))
    rounded = Grid(shape=grid.shape, affine=grid.affine.astype(np.float32).astype(float) + 1e-4)
    values = RNG.normal(size=grid.shape)

    np.testing.assert_array_equal(resample_map(map_on(grid, values), rounded).values, values)


def test_a_grid_cut_out_of_another_gets_its_part_and_nothing_beyond():
    grid = oblique_grid(shape=(7, 6, 5))
    shifted = grid.affine.copy()
    shifted[:3, 3] = grid.centres_mm(np.array([[2, -1, 0]]))[0]
    part = Grid(shape=(3, 4, 5), affine=shifted)
    values = RNG.normal(size=grid.shape)

    there = resample_map(map_on(grid, values), part)

    np.testing.assert_array_equal(there.values[:, 1:], values[2:5, 0:3])
    assert (there.status[:, 0] == FitStatus.OUTSIDE_MASK).all()
    assert (
        not resample_mask(Mask(values=np.ones(grid.shape, bool), grid=grid, name="all"), part)
        .values[:, 0]
        .any()
    )


def test_a_field_that_is_linear_in_place_stays_exact_on_an_oblique_grid():
    grid = oblique_grid(shape=(20, 20, 10), sizes_mm=(3, 3, 5))
    target = oblique_grid(shape=(8, 9, 5), sizes_mm=(2, 3, 4), turn_deg=(-20, 10, 30))

    def field(at):
        x, y, z = at.centres_mm(np.moveaxis(np.indices(at.shape), 0, -1).reshape(-1, 3)).T
        return (2 + 0.1 * x - 0.03 * y + 0.2 * z).reshape(at.shape)

    there = resample_map(map_on(grid, field(grid)), target)

    np.testing.assert_allclose(there.values, field(target), atol=1e-9)


def test_a_hole_keeps_its_place_and_reason_and_does_not_spread():
    grid = Grid(shape=(9, 9, 3), affine=np.diag([2.0, 2.0, 4.0, 1.0]))
    affine = grid.affine.copy()
    affine[0, 3] = 0.6
    values = np.full(grid.shape, 3.0)
    values[4, 4, 1] = np.nan

    there = resample_map(map_on(grid, values), Grid(shape=grid.shape, affine=affine))

    assert there.counts() == {"OK": 9 * 9 * 3 - 1, "NO_SIGNAL": 1}
    assert there.status[4, 4, 1] == FitStatus.NO_SIGNAL
    np.testing.assert_allclose(there.values[there.status == FitStatus.OK], 3.0, rtol=1e-14)


def test_the_standard_error_is_interpolated_like_the_value():
    grid = Grid(shape=(4, 3, 3), affine=np.eye(4))
    affine = np.eye(4)
    affine[0, 3] = 0.25
    std = np.arange(4.0)[:, None, None] * np.ones(grid.shape)

    there = resample_map(
        map_on(grid, np.ones(grid.shape), std), Grid(shape=(3, 3, 3), affine=affine)
    )

    np.testing.assert_allclose(there.std[:, 1, 1], [0.25, 1.25, 2.25])


def test_a_single_slice_is_as_thick_as_its_voxels():
    grid = Grid(shape=(8, 8, 1), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    affine = np.diag([2.0, 2.0, 1.0, 1.0])
    affine[2, 3] = -4.0
    fine = Grid(shape=(8, 8, 9), affine=affine)
    values = RNG.normal(size=grid.shape)

    there = resample_map(map_on(grid, values), fine)

    held = np.isfinite(there.values).all(axis=(0, 1))
    assert held.tolist() == [False, False, True, True, True, True, True, False, False]
    np.testing.assert_array_equal(there.values[..., 4], values[..., 0])


def test_volume_of_a_region_survives_an_oblique_change_of_grid():
    grid = oblique_grid(shape=(40, 40, 30), sizes_mm=(2, 2, 2))
    target = oblique_grid(shape=(30, 30, 16), sizes_mm=(3, 3, 5), turn_deg=(20, 0, -15))
    places = grid.centres_mm(np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))
    ball = (np.linalg.norm(places, axis=1) < 20).reshape(grid.shape)
    mask = Mask(values=ball, grid=grid, name="ball")

    # 33.5 mL of 45 mm3 voxels: nearest neighbour keeps the volume to about a percent.
    assert resample_mask(mask, target).volume_ml == pytest.approx(mask.volume_ml, rel=0.03)


def test_a_series_loses_only_the_frame_that_is_missing():
    grid = Grid(shape=(6, 6, 4), affine=np.eye(4))
    affine = np.eye(4)
    affine[1, 3] = 0.3
    frames = np.ones((*grid.shape, 3))
    frames[2, 2, 2, 1] = np.nan

    there = resample_series(series_on(grid, frames), Grid(shape=grid.shape, affine=affine))

    assert np.argwhere(np.isnan(there.values)).tolist() == [[2, 2, 2, 1]]
    assert there.acquisition.echo_time_s == 0.03
    assert there.provenance.steps[-1].function == "preprocess.resample_series"


def test_times_become_uniform_and_straight_pieces_stay_exact():
    grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
    seconds = np.array([1.0, 2.0, 2.5, 4.0, 7.0])
    curve = np.array([0.0, 2.0, -1.0, 5.0, 5.0])
    values = np.stack([curve, 3 * curve])[:, None, None, :]

    there = resample_time(series_on(grid, values, seconds), step_s=0.5)

    assert there.time.is_uniform
    assert there.time.seconds[[0, -1]].tolist() == [1.0, 7.0]
    np.testing.assert_allclose(
        there.values[1, 0, 0], 3 * np.interp(there.time.seconds, seconds, curve), atol=1e-12
    )
    assert there.provenance.steps[-1].arguments["step_s"] == 0.5


def test_times_that_are_there_already_keep_their_bits():
    grid = oblique_grid(shape=(3, 3, 2))
    values = RNG.normal(size=(*grid.shape, 50)).astype(np.float32)

    there = resample_time(series_on(grid, values, 0.1 * np.arange(50)), step_s=0.1)

    np.testing.assert_array_equal(there.values, values)
    assert there.values.dtype == np.float32


def test_a_missing_sample_spoils_only_the_times_beside_it():
    grid = Grid(shape=(1, 1, 1), affine=np.eye(4))
    values = np.array([0.0, 1.0, np.nan, 3.0, 4.0])[None, None, None, :]

    there = resample_time(series_on(grid, values, np.arange(5.0)), step_s=0.5)

    assert np.flatnonzero(np.isnan(there.values[0, 0, 0])).tolist() == [3, 4, 5]


@pytest.mark.parametrize("step_s", [0.0, -1.0, np.nan, np.inf, 7.0])
def test_an_interval_that_cannot_be_is_refused(step_s):
    series = series_on(Grid(shape=(1, 1, 1), affine=np.eye(4)), np.ones((1, 1, 1, 5)))

    with pytest.raises(TimingError) as caught:
        resample_time(series, step_s=step_s)

    assert caught.value.code is Code.ARGUMENT_INVALID

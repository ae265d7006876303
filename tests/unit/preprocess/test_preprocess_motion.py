"""Known motion is found and undone; a still head is left alone."""

import numpy as np
import pytest
from synthetic_head import (
    brain_at,
    head_at,
    oblique_grid,
    rigid_matrix,
    series_of,
)

from bolus.core import DELTA_R2S, Grid, Step
from bolus.errors import GeometryError, QualityWarning, QuantityError
from bolus.preprocess import apply_motion, correct_motion, reapply_motion

MOTION = (
    ((0, 0, 0), (0, 0, 0)),
    ((0, 0, 0), (0, 0, 0)),
    ((0, 0, 0), (0, 0, 0)),
    ((1.5, -1.0, 0.8), (1.0, -1.5, 2.0)),
    ((-2.0, 1.0, -1.5), (-2.0, 0.5, -1.0)),
    ((0.3, 0.4, 2.0), (0.0, 1.5, 1.0)),
)


def residual_mm(found, truth, grid):
    """Mean distance over the brain between where tissue was put and where it was found."""
    places = grid.centres_mm(np.argwhere(brain_at(grid)))
    gap = places @ (found - truth)[:3, :3].T + (found - truth)[:3, 3]
    return np.linalg.norm(gap, axis=1).mean()


def bolus_drop(head, frame):
    """Signal that falls most where it is brightest, as vessels and cortex do."""
    return head * (1 - (0.0, 0.0, 0.0, 0.1, 0.45, 0.2)[frame] * np.clip(head / 1000, 0, 1))


@pytest.fixture(scope="module")
def moved():
    grid = oblique_grid()
    matrices = [rigid_matrix(*motion) for motion in MOTION]
    frames = [bolus_drop(head_at(grid, m), f) for f, m in enumerate(matrices)]
    series = series_of(frames, grid, noise=12)
    return series, np.array(matrices), correct_motion(series)


def test_known_motion_is_recovered_on_an_oblique_grid_with_thick_slices(moved):
    series, truth, found = moved

    residual = [residual_mm(m, t, series.grid) for m, t in zip(found.matrices, truth, strict=True)]

    assert np.mean(residual) <= 0.3
    assert np.max(residual) <= 0.6
    assert found.skipped == ""


def test_displacement_is_that_of_the_head(moved):
    series, truth, found = moved
    expected = [residual_mm(t, np.eye(4), series.grid) for t in truth]

    assert found.displacement_mm == pytest.approx(expected, abs=0.6)
    assert found.resampled == (3, 4, 5)


def test_corrected_frames_look_like_the_head_at_rest(moved):
    series, _, found = moved
    rest = head_at(series.grid)
    inside = brain_at(series.grid)
    inside[:, :, [0, 1, -2, -1]] = False  # slices that motion brought in from outside

    for frame in found.resampled:
        want = bolus_drop(rest, frame)[inside]
        before = np.abs(series.values[..., frame][inside] - want).mean()
        after = np.abs(found.series.values[..., frame][inside] - want).mean()
        assert after < 0.5 * before


def test_the_history_tells_what_was_done(moved):
    step = moved[2].series.provenance.steps[-1]

    assert step.function == "preprocess.correct_motion"
    assert step.arguments["frames_resampled"] == 3


def test_a_still_series_with_a_bolus_is_given_back_bit_for_bit():
    grid = oblique_grid(shape=(64, 64, 10))
    rest = head_at(grid)
    series = series_of([bolus_drop(rest, f) for f in range(6)], grid, noise=12)

    found = correct_motion(series)

    assert found.resampled == ()
    np.testing.assert_array_equal(found.series.values, series.values)
    assert found.displacement_mm.max() < 0.15


def test_parameters_say_where_the_head_went_in_scanner_coordinates():
    affine = np.diag([-3.0, 3.0, 6.0, 1.0])  # the first axis runs from right to left
    affine[:3, 3] = (94.5, -94.5, -33.0)
    grid = Grid(shape=(64, 64, 12), affine=affine)
    head = head_at(grid)
    there = np.roll(np.roll(head, 2, axis=0), -1, axis=1)  # two voxels left, one back

    found = correct_motion(series_of([head, head, head, there], grid, noise=5))

    assert found.reference_frame in (0, 1, 2)
    assert found.parameters[3] == pytest.approx([-6, -3, 0, 0, 0, 0], abs=0.25)
    assert found.parameters[found.reference_frame].tolist() == [0] * 6


def test_a_rotation_has_the_sign_of_the_right_hand():
    grid = oblique_grid(turn_deg=(0, 0, 0))
    frames = [head_at(grid)] * 2 + [head_at(grid, rigid_matrix((0, 0, 0), (0, 0, 3.0)))]

    found = correct_motion(series_of(frames, grid, noise=5))

    assert found.parameters[2] == pytest.approx([0, 0, 0, 0, 0, 3.0], abs=0.25)


def test_a_second_echo_gets_the_same_transforms(moved):
    series, _, found = moved

    again = apply_motion(series, found)

    np.testing.assert_array_equal(again.values, found.series.values)
    assert again.provenance.steps[-1].function == "preprocess.apply_motion"


def test_a_second_echo_of_other_frames_or_place_is_refused(moved):
    series, _, found = moved
    shorter = series_of(np.moveaxis(series.values[..., :4], -1, 0), series.grid)
    elsewhere = series_of(np.moveaxis(series.values, -1, 0), oblique_grid(turn_deg=(0, 0, 0)))

    for wrong in (shorter, elsewhere):
        with pytest.raises(GeometryError, match="BOLUS-2001"):
            apply_motion(wrong, found)


def test_a_single_slice_is_registered_in_its_plane():
    grid = oblique_grid(shape=(64, 64, 1), turn_deg=(0, 0, 0))
    truth = rigid_matrix((2.0, -1.5, 0), (0, 0, 2.0))
    series = series_of([head_at(grid)] * 3 + [head_at(grid, truth)], grid, noise=8)

    found = correct_motion(series)

    assert residual_mm(found.matrices[3], truth, grid) < 0.3
    assert found.parameters[3][2:5] == pytest.approx([0, 0, 0], abs=1e-9)


def test_three_thick_slices_are_enough():
    grid = oblique_grid(shape=(64, 64, 3), turn_deg=(0, 0, 0))
    truth = rigid_matrix((2.0, -1.5, 0))
    series = series_of([head_at(grid)] * 3 + [head_at(grid, truth)], grid, noise=8)

    assert residual_mm(correct_motion(series).matrices[3], truth, grid) < 0.5


@pytest.mark.parametrize("shape", [(500, 4, 1), (10, 10, 10), (15, 64, 1)])
def test_images_without_a_shape_are_left_alone_and_it_is_said_why(shape):
    grid = Grid(shape=shape, affine=np.eye(4))
    series = series_of([np.ones(shape)] * 4, grid)

    found = correct_motion(series)

    assert found.series is series
    assert " x ".join(map(str, shape)) in found.skipped
    assert not found.parameters.any()
    assert apply_motion(series, found) is series


def test_it_can_be_switched_off():
    series = series_of([head_at(oblique_grid())] * 2, oblique_grid())

    found = correct_motion(series, enabled=False)

    assert found.series is series
    assert "switched off" in found.skipped


def test_a_missing_voxel_moves_with_the_head_and_spoils_nothing_else():
    grid = oblique_grid(turn_deg=(0, 0, 0), sizes_mm=(3.0, 3.0, 8.0))
    head = head_at(grid)
    there = np.roll(head, 2, axis=0)
    there[34, 30, 6] = np.nan

    found = correct_motion(series_of([head, head, head, there], grid, noise=5))

    lost = np.argwhere(np.isnan(found.series.values))
    assert lost.tolist() == [[32, 30, 6, 3]]
    moved_back = found.series.values[10:54, 10:54, 3:9, 3]
    gap = np.abs(moved_back - head[10:54, 10:54, 3:9])
    assert np.nanmean(gap) < 15  # noise 5, interpolation, and an estimate off by 0.1 mm


def test_an_empty_frame_is_named_and_costs_no_other_frame():
    grid = oblique_grid(shape=(64, 64, 8))
    head = head_at(grid)
    series = series_of([head, head, np.zeros(grid.shape), head], grid)

    with pytest.warns(QualityWarning, match=r"1 of 4 frames .*first: frame 2"):
        found = correct_motion(series)

    assert found.resampled == ()
    np.testing.assert_array_equal(found.series.values, series.values)


def test_progress_counts_the_frames():
    grid = oblique_grid(shape=(32, 32, 4), sizes_mm=(6.4, 6.8, 20.0))
    seen = []

    correct_motion(
        series_of([head_at(grid)] * 4, grid, noise=5),
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_the_same_series_gives_the_same_numbers(moved):
    series, _, found = moved
    again = correct_motion(series)

    np.testing.assert_array_equal(again.matrices, found.matrices)


def test_only_signals_are_moved():
    grid = oblique_grid(shape=(16, 16, 2))
    series = series_of([np.ones(grid.shape)] * 2, grid)

    with pytest.raises(QuantityError):
        correct_motion(series.derive(series.values, DELTA_R2S, Step("test", {})))


def test_overwriting_gives_the_same_frames_in_the_memory_of_the_series(moved):
    series, _, found = moved
    own = series.derive(series.values.astype(np.float32), series.quantity, Step("read", {}))
    apart = correct_motion(own)
    untouched = np.array_equal(own.values, series.values.astype(np.float32))

    reused = correct_motion(own, overwrite=True)

    assert untouched
    assert reused.resampled == found.resampled
    np.testing.assert_array_equal(reused.series.values, apart.series.values)
    assert np.shares_memory(reused.series.values, own.values)
    assert not np.shares_memory(apart.series.values, own.values)


def test_whole_numbers_are_not_overwritten(moved):
    series, _, _ = moved
    stored = series.derive(np.rint(series.values).astype(np.int16), series.quantity, Step("a", {}))

    assert correct_motion(stored, overwrite=True).series.values.dtype == np.float32
    assert not np.shares_memory(correct_motion(stored, overwrite=True).series.values, stored.values)


def test_motion_that_was_written_down_moves_the_series_again(moved):
    series, _, found = moved

    again = reapply_motion(series, found.parameters, found.displacement_mm)

    np.testing.assert_allclose(again.values, found.series.values, rtol=1e-5, atol=1e-3)
    assert again.provenance.steps[-1].function == "preprocess.reapply_motion"
    with pytest.raises(GeometryError, match="frames"):
        reapply_motion(series, found.parameters[:-1], found.displacement_mm)

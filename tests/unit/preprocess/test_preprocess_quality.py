"""Numbers of quality against noise, drift, jumps and losses that were put in."""

import numpy as np
import pytest

from bolus.core import SIGNAL, Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis
from bolus.errors import GeometryError
from bolus.preprocess import baseline_image, measure_quality

SHAPE = (20, 20, 10)
FRAMES = 60
BASELINE = slice(2, 22)


def quality_of(values, baseline=BASELINE, step_s=1.5):
    grid = Grid(shape=values.shape[:3], affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    series = PerfusionSeries(
        values=values.astype(np.float32),
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(values.shape[-1], step_s=step_s),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )
    brain = Mask(values=np.ones(grid.shape, bool), grid=grid, name="brain")
    return measure_quality(series, brain, baseline)


def noisy(std=10.0, shape=SHAPE, frames=FRAMES):
    rng = np.random.default_rng(11)
    level = rng.uniform(800, 1200, shape)[..., None]
    return level + rng.normal(0, std, (*shape, frames))


def with_bolus(values):
    """A dip from frame 24 on whose depth differs from voxel to voxel."""
    rng = np.random.default_rng(5)
    depth = rng.uniform(0.05, 0.6, values.shape[:3])[..., None]
    since = np.maximum(np.arange(values.shape[-1]) - 23, 0)
    return values * (1 - depth * (since / 4) ** 2 * np.exp(2 - since / 2))


def test_a_quiet_series_has_the_signal_to_noise_that_was_put_in():
    quality = quality_of(with_bolus(noisy(std=10.0)))

    # The median of 1 / (sample standard deviation of 20) is 1.8 % above 1 / sigma.
    assert quality.baseline_tsnr == pytest.approx(100, rel=0.04)
    assert abs(quality.drift_percent_per_min) < 0.1
    assert quality.outlier_frames == ()
    assert quality.lost_percent == 0
    assert not quality.look_tsnr
    assert not quality.look_drift
    assert not quality.look_lost


def test_noise_drift_and_losses_are_marked_for_a_second_look():
    values = noisy(std=100.0)
    values *= 1 + 0.05 * 1.5 * np.arange(FRAMES) / 60
    values[:, :, 0, 30] = np.nan

    quality = quality_of(values)

    assert quality.baseline_tsnr == pytest.approx(10, rel=0.06)
    assert quality.drift_percent_per_min == pytest.approx(5, abs=0.4)
    assert quality.lost_percent == pytest.approx(10)
    assert quality.look_tsnr
    assert quality.look_drift
    assert quality.look_lost


@pytest.mark.parametrize("frame", [10, 50])
def test_a_jump_before_or_well_after_the_bolus_is_an_outlier(frame):
    values = with_bolus(noisy())
    values[..., frame:] = np.roll(values[..., frame:], 1, axis=0)

    assert quality_of(values).outlier_frames == (frame,)


def test_a_single_bad_frame_counts_when_it_comes_and_when_it_goes():
    values = with_bolus(noisy())
    values[::2, ..., 50] *= 0.8

    assert quality_of(values).outlier_frames == (50, 51)


def test_a_voxel_that_does_not_vary_has_no_curve():
    values = noisy()
    values[0, 0, 0] = 0

    quality = quality_of(values)

    assert quality.lost_percent == pytest.approx(100 / np.prod(SHAPE))
    assert np.isfinite(quality.baseline_tsnr)


def test_a_short_baseline_tells_no_drift():
    assert quality_of(noisy(), baseline=slice(0, 2)).drift_percent_per_min == 0.0


def test_a_brain_without_any_curve_is_reported_not_raised():
    quality = quality_of(np.full((3, 3, 3, 30), np.nan))

    assert np.isnan(quality.baseline_tsnr)
    assert quality.lost_percent == 100
    assert quality.look_tsnr


def test_an_empty_brain_is_refused():
    grid = Grid(shape=(3, 3, 3), affine=np.eye(4))
    series = PerfusionSeries(
        values=np.ones((3, 3, 3, 5)),
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(5, step_s=1.5),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )

    with pytest.raises(GeometryError, match="BOLUS-2003"):
        measure_quality(
            series, Mask(values=np.zeros((3, 3, 3)), grid=grid, name="brain"), slice(0, 3)
        )


def test_the_baseline_image_is_the_mean_of_its_frames():
    grid = Grid(shape=(1, 1, 2), affine=np.eye(4))
    series = PerfusionSeries(
        values=np.array([[[[9.0, 1.0, 3.0, 0.0], [9.0, np.nan, 3.0, 0.0]]]]),
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(4, step_s=1.5),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )

    image = baseline_image(series, slice(1, 3))

    assert image[0, 0, 0] == 2.0
    assert np.isnan(image[0, 0, 1])

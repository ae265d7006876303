"""Scans with less of k-space, more noise and fewer frames."""

import numpy as np
import pytest

from bolus.core import Acquisition, Grid, PerfusionSeries, Provenance, TimeAxis, stream
from bolus.core.quantities import SIGNAL
from bolus.errors import GeometryError, TimingError
from bolus.simulate.degrade import (
    coarser_grid,
    fewer_frames,
    g_factor,
    truncate_kspace,
    with_rician_noise,
)


def series(values):
    return PerfusionSeries(
        values=np.asarray(values, np.float32), quantity=SIGNAL,
        grid=Grid(shape=values.shape[:3], affine=np.diag([2.0, 2.0, 5.0, 1.0])),
        time=TimeAxis.regular(values.shape[3], step_s=1.5), acquisition=Acquisition(),
        provenance=Provenance(),
    )  # fmt: skip


def waves(shape, order):
    """A pattern of few cycles, at the middles of voxels of a field of view from 0 to 1."""
    x, y, z = np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij")
    pattern = np.cos(2 * np.pi * order * x) + np.sin(2 * np.pi * y) + np.cos(2 * np.pi * z)
    return (10 + pattern)[..., None] * np.array([1.0, 0.7])


@pytest.mark.parametrize("shape", [(16, 16, 8), (20, 15, 8), (32, 30, 4), (21, 13, 7)])
def test_what_a_coarse_grid_can_hold_is_kept_where_it_is(shape):
    """Also for ratios that are no integers: the outer edges of both images are the same."""
    coarse = truncate_kspace(series(waves((32, 30, 8), 3)), shape)

    np.testing.assert_allclose(coarse.values, waves(shape, 3), atol=2e-4)
    assert coarse.grid.shape == shape


def test_what_it_cannot_hold_does_not_come_back_as_something_else():
    coarse = truncate_kspace(series(waves((32, 30, 8), 11)), (16, 16, 8))

    wave = np.cos(2 * np.pi * 11 * (np.arange(16) + 0.5) / 16)[:, None, None, None]
    without = waves((16, 16, 8), 11) - wave * [1.0, 0.7]
    np.testing.assert_allclose(coarse.values, without, atol=2e-4)


def test_the_field_of_view_stays():
    grid = Grid(shape=(32, 30, 8), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    coarse = coarser_grid(grid, (20, 15, 8))

    for own, corner in ((grid, 0), (coarse, 0), (grid, 1), (coarse, 1)):
        edge = np.array(own.shape) * corner - 0.5
        where = own.affine @ [*edge, 1]
        np.testing.assert_allclose(where[:3], [64 * corner - 1, 60 * corner - 1, 40 * corner - 2.5])
    with pytest.raises(GeometryError):
        coarser_grid(grid, (33, 15, 8))


def test_noise_has_the_size_that_g_says():
    g = g_factor((24, 24, 6), most=2.0, seed=3)
    flat = series(np.full((24, 24, 6, 400), 200.0))
    noisy = with_rician_noise(flat, sigma=2.0, g=g, seed=4)

    np.testing.assert_allclose(noisy.values.std(axis=3) / (2.0 * g), 1.0, atol=0.2)
    assert (noisy.values.std(axis=3) / (2.0 * g)).mean() == pytest.approx(1.0, abs=0.01)
    assert g[0, 0, 0] == pytest.approx(1.0)
    again = with_rician_noise(flat, sigma=2.0, g=g, seed=4)
    assert (again.values == noisy.values).all()


def test_fewer_frames_keep_their_times():
    values = stream(1, "frames").uniform(1, 2, (2, 2, 2, 9))
    few = fewer_frames(series(values), 3, first=1)

    np.testing.assert_allclose(few.time.seconds, [1.5, 6.0, 10.5])
    np.testing.assert_array_equal(few.values, values[..., 1::3].astype(np.float32))
    with pytest.raises(TimingError):
        fewer_frames(series(values), 9)

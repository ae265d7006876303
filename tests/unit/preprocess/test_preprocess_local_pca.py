"""Local components: noise of known size goes, and what many voxels share stays."""

import numpy as np
import pytest

from bolus.core import Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis, stream
from bolus.core.quantities import SIGNAL
from bolus.errors import GeometryError
from bolus.preprocess.local_pca import denoise_local_pca

SHAPE = (24, 20, 8)
SECONDS = 1.5 * np.arange(60)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 5.0, 1.0]))
EVERYWHERE = Mask(values=np.ones(SHAPE, bool), grid=GRID, name="all")


def truth():
    """Three tissues that differ smoothly in depth and arrival."""
    x, y, z = np.meshgrid(*(np.linspace(0, 1, n) for n in SHAPE), indexing="ij")
    depth = (0.1 + 0.4 * x * y)[..., None]
    arrival = (20 + 4 * z)[..., None]
    dip = depth * np.exp(-(((SECONDS - arrival - 6) / 5) ** 2))
    return 500 * (1 + 0.2 * y[..., None]) * np.exp(-dip)


def series(values):
    return PerfusionSeries(
        values=values.astype(np.float32), quantity=SIGNAL, grid=GRID,
        time=TimeAxis(seconds=SECONDS), acquisition=Acquisition(), provenance=Provenance(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def cleaned():
    noisy = truth() + stream(1, "noise").normal(0, 10, (*SHAPE, 60))
    return noisy, denoise_local_pca(series(noisy), EVERYWHERE)


def test_most_of_the_noise_goes_and_its_size_is_known(cleaned):
    noisy, found = cleaned
    before, after = ((one - truth()).std() for one in (noisy, found.series.values))

    assert before == pytest.approx(10, rel=0.01)
    assert after < 3.0
    assert np.nanmedian(found.sigma) == pytest.approx(10, rel=0.03)
    assert 0 < np.nanmedian(found.components) < 4


def test_the_passage_keeps_its_depth(cleaned):
    _, found = cleaned
    deep = truth()[:, :, :, 10] / truth().min(axis=3)
    mean = found.series.values.astype(float)
    ratio = mean[..., 10] / mean.min(axis=3)
    strong = deep > 1.3

    assert (ratio[strong] / deep[strong]).mean() == pytest.approx(1, abs=0.01)


def test_without_noise_nothing_changes():
    found = denoise_local_pca(series(truth()), EVERYWHERE)

    np.testing.assert_allclose(found.series.values, truth(), rtol=2e-3)


def test_gain_cancels(cleaned):
    noisy, found = cleaned
    twice = denoise_local_pca(series(2 * noisy), EVERYWHERE)

    np.testing.assert_allclose(twice.series.values, 2 * found.series.values, rtol=1e-4)


def test_outside_of_the_mask_nothing_changes_nor_counts(cleaned):
    noisy, _ = cleaned
    inside = np.zeros(SHAPE, bool)
    inside[5:20, 4:15, 2:7] = True
    mask = Mask(values=inside, grid=GRID, name="brain")
    other = noisy.copy()
    other[~inside] = 1e4

    found, spoiled = (denoise_local_pca(series(one), mask) for one in (noisy, other))

    np.testing.assert_array_equal(found.series.values[~inside], noisy[~inside].astype(np.float32))
    np.testing.assert_array_equal(found.series.values[inside], spoiled.series.values[inside])
    assert np.isnan(found.sigma[~inside]).all()
    assert np.isfinite(found.sigma[inside]).all()


def test_blocks_that_do_not_fit_are_refused():
    with pytest.raises(GeometryError, match="blocks"):
        denoise_local_pca(series(truth()), EVERYWHERE, window=(5, 5, 9))

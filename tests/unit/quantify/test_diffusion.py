"""ADC from b-values: exact without noise, and sure of itself as it should be with noise."""

import numpy as np
import pytest

from bolus.core import FitStatus, Grid, Mask, Provenance, stream
from bolus.errors import GeometryError, MetadataError
from bolus.quantify import apparent_diffusion, noise_of_air

GRID = Grid(shape=(20, 20, 10), affine=np.eye(4))
ALL = Mask(values=np.ones(GRID.shape, bool), grid=GRID, name="head")


def fitted(images, b, **more):
    return apparent_diffusion(images, np.array(b, float), mask=ALL, provenance=Provenance(), **more)


def decaying(adc, b, s0=1000.0):
    return s0 * np.exp(-np.multiply.outer(adc, np.array(b, float)))


@pytest.mark.parametrize(
    "b", [(0, 1000), (0, 500, 1000), (1000, 0, 1000), (0, 5, 1000, 1005, 2500)]
)
def test_a_pure_exponential_gives_its_rate(b):
    adc = stream(1, "adc").uniform(3e-4, 3e-3, GRID.shape)

    assert np.allclose(fitted(decaying(adc, b), b).values, adc, rtol=2e-6 if 5 in b else 1e-12)


def test_directions_are_averaged_so_that_the_mean_diffusivity_comes_out():
    rates = np.array([0.4e-3, 0.9e-3, 1.9e-3])
    images = np.empty((*GRID.shape, 4))
    images[..., 0] = 1000
    images[..., 1:] = 1000 * np.exp(-1000 * rates)

    assert np.allclose(fitted(images, (0, 1000, 1000, 1000)).values, rates.mean())


def test_the_standard_error_is_the_spread_of_repeats():
    adc = np.full(GRID.shape, 1e-3)
    noise = stream(2, "noise").normal(0, 10.0, (*GRID.shape, 3))
    found = fitted(decaying(adc, (0, 500, 1000)) + noise, (0, 500, 1000), noise=10.0)

    assert np.std(found.values) == pytest.approx(np.median(found.std), rel=0.05)
    assert np.mean(found.values) == pytest.approx(1e-3, rel=0.01)


def test_noise_is_read_from_the_corners_and_not_from_blanked_ones():
    shape = (60, 60, 12, 2)
    noisy = np.abs(stream(3, "a").normal(0, 7, shape) + 1j * stream(3, "b").normal(0, 7, shape))
    noisy[10:50, 10:50] = 1000

    assert noise_of_air(noisy) == pytest.approx(7, rel=0.05)
    assert noise_of_air(np.where(noisy < 999, 0, noisy)) is None


def test_a_dark_voxel_costs_itself_only():
    images = decaying(np.full(GRID.shape, 1e-3), (0, 1000))
    images[0, 0, 0, 1] = 0
    images[1, 0, 0, 0] = np.nan
    found = fitted(images, (0, 1000))

    assert found.counts() == {"OK": 3998, "NO_SIGNAL": 2}
    assert found.status[0, 0, 0] == FitStatus.NO_SIGNAL


@pytest.mark.parametrize("b", [(0, 0), (0, 100), (2000, 3000), (800, 1000)])
def test_b_values_that_give_no_adc_are_refused(b):
    with pytest.raises(MetadataError, match="s/mm2 do not give an ADC"):
        fitted(np.ones((*GRID.shape, 2)), b)


def test_images_of_another_grid_are_refused():
    with pytest.raises(GeometryError):
        fitted(np.ones((2, 2, 2, 2)), (0, 1000))

"""Figures of images against their definitions."""

import numpy as np
import pytest

from bolus.core import stream
from bolus.errors import GeometryError
from bolus.metrics.image_fidelity import image_fidelity, series_fidelity

RANDOM = stream(1, "images")
TRUTH = 5 + np.cumsum(RANDOM.normal(0, 1, (24, 20, 9)), axis=0)
INSIDE = np.zeros(TRUTH.shape, bool)
INSIDE[4:20, 4:16, 1:8] = True


def test_equal_images_are_equal():
    found = image_fidelity(TRUTH, TRUTH, INSIDE)

    assert (found.psnr, found.ssim, found.nmse, found.bias) == (np.inf, 1.0, 0.0, 0.0)


def test_an_error_of_known_size():
    found = image_fidelity(TRUTH + 0.5, TRUTH, INSIDE, peak=10.0)

    assert found.psnr == pytest.approx(20 * np.log10(10 / 0.5))
    assert found.nmse == pytest.approx(0.25 * INSIDE.sum() / (TRUTH[INSIDE] ** 2).sum())
    assert found.bias == pytest.approx(0.5 / TRUTH[INSIDE].mean())


@pytest.mark.parametrize("slices", [3, 9])
def test_more_noise_is_less_alike_in_blocks_and_slices(slices):
    truth, inside = TRUTH[..., :slices], INSIDE[..., :slices]
    noise = RANDOM.normal(0, 1, truth.shape)
    alike = [image_fidelity(truth + size * noise, truth, inside).ssim for size in (0.1, 1.0, 4.0)]

    assert 1 > alike[0] > alike[1] > alike[2]


def test_what_is_outside_does_not_count():
    other = np.where(INSIDE, TRUTH + 0.1, 1e6)

    assert image_fidelity(other, TRUTH, INSIDE) == image_fidelity(TRUTH + 0.1, TRUTH, INSIDE)


def test_a_series_has_one_peak_for_all_frames():
    truth = np.stack([TRUTH, 0.1 * TRUTH], axis=3)
    found = series_fidelity(truth + 0.5, truth, INSIDE)

    peak = np.percentile(np.abs(truth[INSIDE]), 99)
    assert found.psnr == pytest.approx(20 * np.log10(peak / 0.5))


def test_shapes_that_differ_are_refused():
    with pytest.raises(GeometryError):
        image_fidelity(TRUTH, TRUTH[1:], INSIDE)

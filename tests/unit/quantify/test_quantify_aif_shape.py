"""Shapes of arterial curves against curves whose shape is known."""

import numpy as np
import pytest
from scipy.stats import gamma

from bolus.errors import MetadataError
from bolus.quantify.aif_shape import aif_bias, aif_shape

SECONDS = np.arange(0, 90, 1.0)


def curve(seconds=SECONDS, *, height=5.0, centre=30.3, spread=4.0):
    return height * np.exp(-(((seconds - centre) / spread) ** 2))


@pytest.mark.parametrize("step_s", [0.5, 1.0, 2.0])
def test_a_bell_has_its_own_numbers(step_s):
    seconds = np.arange(0, 90, step_s)
    shape = aif_shape(curve(seconds), seconds)

    assert shape.peak == pytest.approx(5.0, rel=0.01)
    assert shape.time_to_peak_s == pytest.approx(30.3, abs=0.1)
    assert shape.fwhm_s == pytest.approx(2 * 4.0 * np.sqrt(np.log(2)), rel=0.02)
    assert shape.area == pytest.approx(5.0 * 4.0 * np.sqrt(np.pi), rel=1e-3)
    assert shape.wash_in == pytest.approx(5 / 4 * np.sqrt(2 / np.e), rel=0.06)


def test_spacing_may_be_uneven():
    seconds = np.concatenate([np.arange(0, 50, 1.0), np.arange(50, 200, 8.0)])
    bolus = 20 * gamma.pdf(seconds - 12, 4, scale=3.0)

    assert aif_shape(bolus, seconds).time_to_peak_s == pytest.approx(12 + 9, abs=0.1)


def test_biases_are_those_that_were_made():
    bias = aif_bias(curve(height=4.5, centre=31.3, spread=4.4), curve(), SECONDS)

    assert bias.peak == pytest.approx(-0.1, abs=0.005)
    assert bias.fwhm == pytest.approx(0.1, abs=0.01)
    assert bias.time_to_peak_s == pytest.approx(1.0, abs=0.03)
    assert bias.area == pytest.approx(-0.01, abs=0.002)
    assert bias.largest == pytest.approx(0.1, abs=0.01)


def test_a_curve_that_stays_up_has_no_width():
    assert aif_shape(np.linspace(0, 3, 20), np.arange(20.0)).fwhm_s == np.inf


def test_an_empty_curve_is_refused():
    with pytest.raises(MetadataError, match="none of them above 0"):
        aif_shape(np.zeros(20), np.arange(20.0))
    with pytest.raises(MetadataError, match="2 samples"):
        aif_shape(np.ones(2), np.arange(2.0))

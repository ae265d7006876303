"""Convolutions against formulas that are known, and against brute force on a fine grid."""

import numpy as np
import pytest

from bolus.errors import InputError, TimingError
from bolus.quantify.convolution import (
    convolve_exponential,
    convolve_exponential_with_slope,
    convolve_residue,
)

IRREGULAR = np.array([0.0, 0.7, 2.0, 2.3, 5.0, 6.0, 9.5, 13.0])
VALUES = np.array([0.0, 1.0, 3.0, -0.5, 2.0, 1.5, 0.2, 0.4])
RATES = np.array([0.0, 1e-9, 1e-3, 0.1, 0.3, 1.0, 20.0])


def _fine(times, values, weigh, lag_step=1e-3):
    """The integral by the trapezoidal rule on a fine grid: an independent, slow truth."""
    result = []
    for t in times:
        s = np.arange(0, t + lag_step / 2, lag_step) if t > 0 else np.zeros(1)
        result.append(np.trapezoid(np.interp(t - s, times, values) * weigh(s), s))
    return np.array(result)


@pytest.mark.parametrize("rate", RATES)
def test_an_exponential_matches_a_fine_sum_on_an_irregular_grid(rate):
    measured = convolve_exponential(VALUES, seconds=IRREGULAR, rates_per_s=np.array([rate]))[0]

    expected = _fine(IRREGULAR, VALUES, lambda s: np.exp(-rate * s))
    assert measured == pytest.approx(expected, rel=1e-4, abs=1e-4)  # error of the fine sum


def test_rate_zero_is_the_running_integral():
    measured = convolve_exponential(VALUES, seconds=IRREGULAR, rates_per_s=np.zeros(1))[0]

    steps = np.diff(IRREGULAR) * (VALUES[1:] + VALUES[:-1]) / 2
    assert measured == pytest.approx(np.concatenate([[0], np.cumsum(steps)]), rel=1e-12)


def test_a_ramp_convolved_with_an_exponential_is_known():
    t = np.linspace(0, 20, 11)

    measured = convolve_exponential(t, seconds=t, rates_per_s=np.array([0.4]))[0]

    assert measured == pytest.approx((0.4 * t - 1 + np.exp(-0.4 * t)) / 0.16, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("product", [0.499999, 0.5, 0.500001])
def test_series_and_closed_form_meet_without_a_step(product):
    t = np.arange(5.0)

    near, _ = convolve_exponential_with_slope(
        VALUES[:5], seconds=t, rates_per_s=np.array([product])
    )
    middle, slope = convolve_exponential_with_slope(
        VALUES[:5], seconds=t, rates_per_s=np.array([0.5])
    )

    assert near[0] == pytest.approx((middle + slope * (product - 0.5))[0], rel=1e-10)


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.1, 0.3, 1.0, 5.0])
def test_the_slope_is_the_derivative_by_the_rate(rate):
    step = 1e-5
    centre = rate + step  # rates below zero are refused

    _, slope = convolve_exponential_with_slope(
        VALUES, seconds=IRREGULAR, rates_per_s=np.array([centre])
    )

    both = convolve_exponential(
        VALUES, seconds=IRREGULAR, rates_per_s=np.array([centre - step, centre + step])
    )
    assert slope[0] == pytest.approx((both[1] - both[0]) / (2 * step), rel=1e-5, abs=1e-7)


def test_slope_and_plain_routine_agree():
    plain = convolve_exponential(VALUES, seconds=IRREGULAR, rates_per_s=RATES)

    with_slope, _ = convolve_exponential_with_slope(VALUES, seconds=IRREGULAR, rates_per_s=RATES)

    assert np.array_equal(plain, with_slope)


def test_a_residue_given_on_lags_matches_the_exponential():
    lags = np.arange(0, 60, 0.01)

    measured = convolve_residue(
        VALUES, seconds=IRREGULAR, residue=np.exp(-0.3 * lags), lag_step_s=0.01
    )

    expected = convolve_exponential(VALUES, seconds=IRREGULAR, rates_per_s=np.array([0.3]))[0]
    assert measured == pytest.approx(expected, rel=1e-5, abs=1e-5)  # chords of the residue


def test_a_delay_shifts_the_result():
    t = np.arange(0, 40, 0.5)
    values = np.exp(-((t - 10) ** 2) / 8)
    values[0] = 0.0
    residue = np.exp(-np.arange(0, 40, 0.1) / 4)

    now = convolve_residue(values, seconds=t, residue=residue, lag_step_s=0.1)
    late = convolve_residue(values, seconds=t, residue=residue, lag_step_s=0.1, delay_s=3.0)
    early = convolve_residue(values, seconds=t, residue=residue, lag_step_s=0.1, delay_s=-3.0)

    assert late[6:] == pytest.approx(now[:-6], rel=1e-9, abs=1e-9)
    assert early[:-6] == pytest.approx(now[6:], rel=1e-9, abs=1e-9)


def test_a_result_is_exact_whatever_the_distance_of_lags_for_a_linear_residue():
    coarse = convolve_residue(
        VALUES, seconds=IRREGULAR, residue=np.array([1.0, 0.5, 0.0]), lag_step_s=4.0
    )
    fine = convolve_residue(
        VALUES, seconds=IRREGULAR, residue=np.linspace(1, 0, 65), lag_step_s=0.125
    )

    assert coarse == pytest.approx(fine, rel=1e-12)


def test_area_is_conserved():
    """The area of the tissue is the area of the input times the mean transit time."""
    t = np.arange(0, 400, 2.0)
    values = np.where((t > 4) & (t < 30), 1.0, 0.0)

    tissue = convolve_exponential(values, seconds=t, rates_per_s=np.array([0.2]))[0]

    assert np.trapezoid(tissue, t) == pytest.approx(np.trapezoid(values, t) / 0.2, rel=0.01)


def test_one_missing_sample_spoils_only_what_follows():
    values = VALUES.copy()
    values[4] = np.nan

    measured = convolve_exponential(values, seconds=IRREGULAR, rates_per_s=np.array([0.1]))[0]

    assert np.isfinite(measured[:4]).all()
    assert np.isnan(measured[4:]).all()


def test_wrong_times_are_refused():
    with pytest.raises(TimingError, match="6 values but 8 times"):
        convolve_exponential(VALUES[:6], seconds=IRREGULAR, rates_per_s=RATES)
    with pytest.raises(TimingError, match="do not increase"):
        convolve_exponential(VALUES, seconds=IRREGULAR[::-1], rates_per_s=RATES)


def test_a_negative_rate_grows():
    """exp(+t/60) convolved with 1 is 60 (exp(t/60) - 1)."""
    t = np.arange(40) * 1.5

    found = convolve_exponential(np.ones(40), seconds=t, rates_per_s=np.array([-1 / 60]))[0]

    np.testing.assert_allclose(found, 60 * np.expm1(t / 60), rtol=1e-12)


def test_wrong_rates_and_lags_are_refused():
    with pytest.raises(InputError, match="-1"):
        convolve_exponential(VALUES, seconds=IRREGULAR, rates_per_s=np.array([-1.0]))
    with pytest.raises(TimingError, match="lag step is 0 s"):
        convolve_residue(VALUES, seconds=IRREGULAR, residue=np.ones(3), lag_step_s=0.0)
    with pytest.raises(InputError, match="1 lags"):
        convolve_residue(VALUES, seconds=IRREGULAR, residue=np.ones(1), lag_step_s=1.0)

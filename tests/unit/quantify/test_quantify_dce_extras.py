"""Linear Tofts, areas under the curve, and the choice of a model."""

import numpy as np
import pytest

from bolus.core import FitStatus, stream
from bolus.errors import InputError, TimingError
from bolus.quantify.dce_areas import area_between, initial_area, steady_state_area
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_linear import LinearTofts, kep_per_min
from bolus.quantify.dce_models import ExtendedTofts, Patlak, Tofts
from bolus.quantify.dce_selection import choose_model

SECONDS = np.arange(150) * 2.0


def artery(t):
    x = np.maximum(t - 20, 0)
    return 6 * (x / 6) ** 2 * np.exp(2 - x / 3) + 1.4 * (1 - np.exp(-x / 12)) * np.exp(-x / 500)


AIF = artery(SECONDS)


def tissue(name, **parameters):
    return dce_curves(
        name, {k: np.atleast_1d(v) for k, v in parameters.items()}, AIF, seconds=SECONDS
    )


def test_the_linear_solution_is_that_of_the_model():
    seconds = np.arange(0, 300, 0.2)  # the trapezoidal rule for the tissue is then exact enough
    curves = dce_curves(
        "extended_tofts",
        {"ktrans": np.array([0.05, 0.2]), "ve": np.array([15.0, 40.0]), "vp": np.array([2.0, 6.0])},
        artery(seconds),
        seconds=seconds,
    )
    fit = LinearTofts()(curves, artery(seconds), seconds=seconds)

    np.testing.assert_allclose(fit["ktrans"], [0.05, 0.2], rtol=1e-3)
    np.testing.assert_allclose(fit["ve"], [15.0, 40.0], rtol=1e-3)
    np.testing.assert_allclose(fit["vp"], [2.0, 6.0], rtol=1e-3)


def test_the_linear_solution_keeps_signs_and_claims_no_errors():
    fit = LinearTofts()(-tissue("extended_tofts", ktrans=0.1, ve=20.0, vp=3.0), AIF,
                        seconds=SECONDS)  # fmt: skip

    assert fit["ktrans"][0] == pytest.approx(-0.1, rel=0.02)
    assert np.isnan(fit.std("ktrans")[0])


def test_the_linear_solution_loses_only_the_voxel_with_the_hole():
    curves = np.repeat(tissue("tofts", ktrans=0.1, ve=20.0), 3, axis=0)
    curves[1, 4] = np.nan
    curves[2] = 0.0
    fit = LinearTofts(plasma=False)(curves, AIF, seconds=SECONDS)

    expected = [FitStatus.OK, FitStatus.NOT_FINITE, FitStatus.NO_SIGNAL]
    assert fit.status.tolist() == [int(s) for s in expected]
    assert fit["ve"][0] == pytest.approx(20.0, rel=0.01)


def test_kep_carries_the_covariance_of_transfer_and_volume():
    clean = tissue("tofts", ktrans=0.1, ve=20.0)
    noisy = clean + 0.003 * stream(0, "kep").standard_normal((3000, len(SECONDS)))
    kep, error = kep_per_min(Tofts()(noisy, AIF, seconds=SECONDS))

    assert np.median(kep) == pytest.approx(0.5, rel=0.01)
    assert np.median(error) == pytest.approx(kep.std(), rel=0.05)


def test_an_area_between_samples_is_that_of_the_polygon():
    seconds = np.array([0.0, 1.0, 4.0, 5.0, 9.0])
    values = stream(1, "areas").standard_normal((6, 5))
    begin, end = np.linspace(0.2, 3.0, 6), np.linspace(3.5, 9.0, 6)
    fine = np.linspace(0, 1, 200_001)

    for v, area in enumerate(area_between(values, seconds=seconds, from_s=begin, until_s=end)):
        at = begin[v] + fine * (end[v] - begin[v])
        expected = np.trapezoid(np.interp(at, seconds, values[v]), at)
        assert area == pytest.approx(expected, abs=1e-6)


def test_the_initial_area_is_proportional_and_ends_with_the_scan():
    curves = tissue("tofts", ktrans=0.1, ve=20.0)
    area = initial_area(curves, seconds=SECONDS, arrival_s=20.0, duration_s=60.0)

    assert area[0] > 0
    np.testing.assert_allclose(
        initial_area(-2 * curves, seconds=SECONDS, arrival_s=20.0, duration_s=60.0), -2 * area
    )
    late = initial_area(curves, seconds=SECONDS, arrival_s=290.0, duration_s=60.0)
    assert np.isnan(late).all()


def test_the_steady_state_does_not_depend_on_the_receiver_gain():
    signal = 100 * (1 + tissue("tofts", ktrans=0.1, ve=20.0))
    both = [
        steady_state_area(gain * signal, seconds=SECONDS, baseline=slice(0, 8), from_s=150.0,
                          until_s=280.0)
        for gain in (1.0, 7.0)
    ]  # fmt: skip

    np.testing.assert_allclose(both[0], both[1])
    inside = (SECONDS >= 150) & (SECONDS <= 280)
    assert both[0][0] == pytest.approx((signal[0, inside] / 100 - 1).mean(), rel=0.01)


def test_areas_refuse_what_cannot_be_right():
    with pytest.raises(TimingError):
        area_between(np.ones((1, 3)), seconds=np.array([0.0, 2.0, 1.0]), from_s=0, until_s=1)
    with pytest.raises(InputError):
        steady_state_area(np.ones((1, 3)), seconds=np.arange(3.0), baseline=slice(0, 0),
                          from_s=0.0, until_s=1.0)  # fmt: skip


def test_the_model_that_made_the_curve_is_chosen():
    draw = stream(2, "choice")
    one = {"ktrans": np.full(300, 0.01), "vp": np.full(300, 3.0)}
    two = {"ktrans": np.full(300, 0.15), "ve": np.full(300, 20.0)}
    three = {**two, "vp": np.full(300, 4.0)}
    curves = np.concatenate(
        [tissue("patlak", **one), tissue("tofts", **two), tissue("extended_tofts", **three)]
    )
    curves = curves + 0.005 * draw.standard_normal(curves.shape)
    models = {"patlak": Patlak(), "tofts": Tofts(), "extended_tofts": ExtendedTofts()}
    fits = {name: model(curves, AIF, seconds=SECONDS) for name, model in models.items()}
    choice = choose_model(fits)

    right = [(choice.chosen[300 * i : 300 * (i + 1)] == i).mean() for i in range(3)]
    assert min(right) > 0.8  # AICc takes one parameter too many in up to 16 % of cases
    assert right[2] == 1.0
    np.testing.assert_allclose(choice.weights.sum(axis=1), 1.0)
    chosen_ve = choice.pick(fits, "ve")
    assert np.isnan(chosen_ve[choice.chosen == 0]).all()
    assert np.nanmedian(chosen_ve[600:]) == pytest.approx(20.0, rel=0.02)


def test_a_voxel_without_any_answer_has_no_choice():
    curves = np.full((1, len(SECONDS)), np.nan)
    fits = {"patlak": Patlak()(curves, AIF, seconds=SECONDS)}
    choice = choose_model(fits)

    assert choice.status[0] == FitStatus.NOT_FINITE
    assert np.isnan(choice.pick(fits, "vp")[0])


def test_fits_of_unlike_curves_are_not_compared():
    curves = tissue("tofts", ktrans=0.1, ve=20.0)
    fits = {
        "tofts": Tofts()(curves, AIF, seconds=SECONDS),
        "patlak": Patlak()(curves[:, :100], AIF[:100], seconds=SECONDS[:100]),
    }

    with pytest.raises(InputError):
        choose_model(fits)


def test_the_curve_of_a_fit_without_ve_is_still_its_curve():
    noisy = 0.04 * AIF + 0.002 * stream(3, "no leak").standard_normal((200, len(SECONDS)))
    fit = ExtendedTofts()(noisy, AIF, seconds=SECONDS)
    drawn = dce_curves("extended_tofts", {n: fit[n] for n in fit.names}, AIF, seconds=SECONDS)
    unknown = np.isnan(fit["ve"]) & (fit.status == FitStatus.OK)

    assert unknown.any()
    left = ((noisy - drawn) ** 2).sum(axis=1)
    np.testing.assert_allclose(left[unknown], fit.sum_of_squares[unknown], rtol=1e-3)


def test_the_convolution_is_that_of_the_polygon_between_the_samples_of_the_artery():
    from bolus.quantify.dce_tables import arterial_curves, exchange_curves

    own = np.array([0.0, 3.0, 7.0, 11.0, 20.0, 31.0, 50.0])
    plasma = np.array([0.5, 1.0, 6.0, 3.0, 2.0, 1.5, 1.0])
    seconds = np.array([1.3, 5.9, 8.2, 26.0, 33.3, 48.0])
    rates, delays = np.array([0.0, 0.2, 0.7]), np.array([-2.4, 0.0, 3.6])

    found = exchange_curves(
        plasma, seconds=seconds, arterial_seconds=own, rates_per_s=rates, delays_s=delays
    )
    late = arterial_curves(plasma, seconds=seconds, arterial_seconds=own, delays_s=delays)

    for row, (rate, delay) in enumerate(zip(rates, delays, strict=True)):
        for column, t in enumerate(seconds):
            assert late[row, column] == pytest.approx(
                np.interp(t - delay, own, plasma, left=0.0), abs=1e-12
            )
            if t <= delay:
                assert found[row, column] == 0.0
                continue
            u = np.linspace(delay, t, 400_001)
            inside = np.interp(u - delay, own, plasma) * np.exp(-rate * (t - u))
            assert found[row, column] == pytest.approx(np.trapezoid(inside, u), rel=1e-7)

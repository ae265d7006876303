"""Arterial curves, residues and what capillaries and tissue hold, against closed forms."""

import numpy as np
import pytest

from bolus.simulate.curves import (
    RESIDUES,
    ArterialBolus,
    PlasmaWashout,
    capillary_concentration,
    extravascular_concentration,
    gamma_variate,
    residue,
    shifted,
)

FINE = np.arange(0, 200, 0.01)
BOLUS = ArterialBolus(
    dose_mmol_per_kg=0.1,
    weight_kg=70,
    cardiac_output_l_per_min=6.0,
    haematocrit=0.45,
    arrival_s=15.0,
    width_s=9.0,
)


@pytest.mark.parametrize("shape", [1.5, 2.0, 3.0, 6.0])
def test_a_gamma_variate_has_unit_area_and_the_width_it_was_asked_for(shape):
    curve = gamma_variate(FINE, width_s=8.0, shape=shape)
    width_s = np.ptp(FINE[curve > curve.max() / 2])

    assert curve.sum() * 0.01 == pytest.approx(1.0, rel=1e-4)
    assert width_s == pytest.approx(8.0, rel=0.03)


@pytest.mark.parametrize("family", RESIDUES)
def test_a_residue_begins_at_one_and_has_the_mean_transit_time_as_its_area(family):
    curve = residue(FINE, family=family, mtt_s=4.5)

    assert curve[0] == 1.0
    assert np.trapezoid(curve, FINE) == pytest.approx(4.5, rel=2e-3)


@pytest.mark.parametrize("family", RESIDUES)
def test_the_integral_of_a_residue_is_its_integral(family):
    measured = RESIDUES[family](FINE, mtt_s=np.array(4.5), shape=3.0)
    curve = residue(FINE, family=family, mtt_s=4.5)
    expected = np.concatenate([[0.0], np.cumsum(0.005 * (curve[1:] + curve[:-1]))])

    np.testing.assert_allclose(measured, expected, atol=6e-3)


def test_a_gamma_residue_of_shape_one_is_the_exponential():
    np.testing.assert_allclose(
        residue(FINE, family="gamma", mtt_s=3.0, shape=1.0),
        residue(FINE, family="exponential", mtt_s=3.0),
        atol=1e-12,
    )


def test_capillaries_fill_exponentially_behind_a_step():
    measured = capillary_concentration(
        np.ones(400), step_s=0.1, mtt_s=np.array([4.0]), family="exponential"
    )[0]
    expected = 1 - np.exp(-0.1 * np.arange(1, 401) / 4.0)

    np.testing.assert_allclose(measured, expected, atol=1e-9)


@pytest.mark.parametrize("family", RESIDUES)
def test_capillaries_hold_the_artery_s_area(family):
    pulse = gamma_variate(np.arange(0, 120, 0.1) - 10, width_s=8.0, shape=3.0)
    curve = capillary_concentration(pulse, step_s=0.1, mtt_s=np.array([2.0, 8.0]), family=family)

    np.testing.assert_allclose(curve.sum(axis=1) * 0.1, [1.0, 1.0], rtol=1e-3)


@pytest.mark.parametrize("family", RESIDUES)
def test_convolution_agrees_with_brute_force_on_a_tenfold_finer_grid(family):
    coarse, fine = np.arange(0, 60, 0.1), np.arange(0, 60, 0.01)
    measured = capillary_concentration(
        BOLUS(coarse), step_s=0.1, mtt_s=np.array([4.0]), family=family
    )[0]
    kernel = residue(fine + 0.005, family=family, mtt_s=4.0)
    brute = np.convolve(BOLUS(fine), kernel)[: len(fine)] * 0.01 / 4.0

    np.testing.assert_allclose(measured, brute[::10], atol=0.003 * brute.max())


def test_a_delay_moves_a_curve_and_nothing_else():
    curve = gamma_variate(FINE - 10, width_s=8.0, shape=3.0)
    later = shifted(curve, step_s=0.01, delay_s=2.005)

    assert FINE[later.argmax()] - FINE[curve.argmax()] == pytest.approx(2.005, abs=0.011)
    assert later.sum() == pytest.approx(curve.sum(), rel=1e-5)


def test_the_extravascular_space_fills_as_the_closed_form_says():
    measured = extravascular_concentration(
        np.ones(1000), step_s=0.1, ktrans_per_s=0.01, ve=0.2, start_mmolar=0.3
    )
    expected = 1 - 0.7 * np.exp(-0.05 * 0.1 * np.arange(1000))

    np.testing.assert_allclose(measured, expected, rtol=1e-9)


def test_nothing_leaks_without_permeability():
    assert extravascular_concentration(np.ones(9), step_s=1, ktrans_per_s=0, ve=0.2).max() == 0


def test_the_first_pass_has_stewart_and_hamilton_s_area():
    no_tail = ArterialBolus(
        dose_mmol_per_kg=0.1,
        weight_kg=70,
        cardiac_output_l_per_min=6.0,
        haematocrit=0.45,
        arrival_s=15.0,
        width_s=9.0,
        recirculation=0.0,
        washout=PlasmaWashout(amplitudes_kg_per_l=(0.0, 0.0, 0.0)),
    )

    # 7 mmol through 6 L/min of blood of which 55 % is plasma
    assert no_tail(FINE).sum() * 0.01 == pytest.approx(7 / (0.1 * 0.55), rel=1e-3)


def test_the_washout_begins_with_all_agent_in_a_human_plasma_volume():
    start = PlasmaWashout()(np.array([0.0]), dose_mmol_per_kg=0.1)[0]

    # plasma volume 40 to 50 mL/kg
    assert 0.1 / 0.050 < start < 0.1 / 0.040

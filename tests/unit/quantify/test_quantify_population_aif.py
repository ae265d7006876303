"""Population curves: what their sources print, and what all of them share."""

import numpy as np
import pytest

from bolus.core import CONCENTRATION, Assumed, TimeAxis
from bolus.errors import InputError, MetadataError
from bolus.quantify.population_aif import (
    POPULATION_AIFS,
    georgiou_aif,
    mcgrath_aif,
    orton_cosine_aif,
    orton_exponential_aif,
    parker_aif,
    plasma_from_blood,
    population_input,
    weinmann_aif,
)

SECONDS = np.arange(0.0, 900.0, 0.5)
ALL = {**POPULATION_AIFS, "mcgrath": mcgrath_aif}


@pytest.mark.parametrize("aif", ALL.values(), ids=ALL.keys())
def test_a_later_arrival_moves_the_whole_curve(aif):
    early = aif(SECONDS, arrival_s=0.0)

    late = aif(SECONDS + 33.3, arrival_s=33.3)

    np.testing.assert_allclose(late, early, atol=1e-9)
    assert not aif(SECONDS[:60], arrival_s=40.0).any()


@pytest.mark.parametrize("aif", ALL.values(), ids=ALL.keys())
def test_a_curve_is_finite_positive_and_washes_out(aif):
    seconds = np.arange(0.0, 6 * 3600.0, 10.0)  # recirculation adds hundreds of terms

    curve = aif(seconds, arrival_s=5.0)

    assert np.isfinite(curve).all()
    assert (curve >= 0).all()
    assert (np.diff(curve[seconds > 300]) < 0).all()


@pytest.mark.parametrize("aif", ALL.values(), ids=ALL.keys())
def test_times_need_not_be_regular_or_in_order(aif):
    some = np.array([200.0, 12.0, 0.3, 47.0])

    np.testing.assert_allclose(
        aif(some, arrival_s=0.1), [aif(np.array([s]), arrival_s=0.1)[0] for s in some], rtol=1e-12
    )


def test_parkers_curve_has_the_peak_and_the_tail_of_its_figure():
    """Parker 2006, Fig. 2: first pass near 6 mM after 10 s, recirculation near 22 s."""
    curve = parker_aif(SECONDS, arrival_s=0.0)

    assert curve.max() == pytest.approx(6.07, abs=0.01)
    assert SECONDS[curve.argmax()] == pytest.approx(10.5, abs=0.5)
    np.testing.assert_allclose(curve[SECONDS == 600], 1.05 * np.exp(-0.1685 * 10), rtol=1e-12)


def test_georgious_numbers_round_to_those_printed():
    """Table 3 of the paper, entered directly, differs from the tabulated curve by up to 3.5 %."""
    t = SECONDS[1:600] / 60
    held = 0.37 * np.exp(-0.11 * t) + 0.33 * np.exp(-1.17 * t) + 10.06 * np.exp(-16.02 * t)
    tail = t > 2
    ratio = georgiou_aif(60 * t, arrival_s=0.0)[tail] / held[tail]

    assert ratio == pytest.approx(3.0, rel=0.08)  # passages overlap to a constant


def test_weinmanns_curve_begins_at_dose_over_distribution_volume():
    plasma = weinmann_aif(np.array([0.0, 3600.0]), arrival_s=0.0, dose_mmol_per_kg=0.1)

    assert plasma[0] == pytest.approx(0.1 * (3.99 + 4.78))
    assert plasma[1] == pytest.approx(0.1 * 4.78 * np.exp(-0.0111 * 60), rel=2e-3)


@pytest.mark.parametrize("aif", [orton_exponential_aif, orton_cosine_aif])
def test_ortons_curves_follow_parkers(aif):
    """They were fitted to it: areas over five minutes within 5 %, late parts within 15 %."""
    seconds = SECONDS[:600]
    parker, orton = parker_aif(seconds, arrival_s=0.0), aif(seconds, arrival_s=0.0)

    areas = np.trapezoid(orton, seconds) / np.trapezoid(parker, seconds)
    assert areas == pytest.approx(1.0, abs=0.05)
    late = seconds > 90
    np.testing.assert_allclose(orton[late], parker[late], rtol=0.15)


def test_ortons_cosine_is_smooth_where_the_bolus_ends():
    end_s = 60 * 2 * np.pi / 22.8
    around = orton_cosine_aif(end_s + np.array([-1e-3, 0.0, 1e-3]), arrival_s=0.0)

    assert np.ptp(around) < 1e-4


def test_an_input_is_in_plasma_and_says_where_it_is_from():
    guess = Assumed(value=0.45, reason="not drawn", source="population mean")

    made = population_input(
        "parker", TimeAxis.regular(75, step_s=4.0), arrival_s=20.0, haematocrit=guess
    )

    blood = parker_aif(4.0 * np.arange(75), arrival_s=20.0)
    np.testing.assert_allclose(made.values, blood / 0.55, rtol=1e-12)
    assert made.quantity is CONCENTRATION
    assert np.isnan(made.score)
    assert made.provenance.steps[-1].source == "10.1002/mrm.21066"


def test_unknown_names_and_percentages_are_refused():
    time = TimeAxis.regular(10, step_s=1.0)

    with pytest.raises(InputError, match="known are parker, georgiou"):
        population_input("tofts", time, arrival_s=0.0, haematocrit=0.45)
    with pytest.raises(MetadataError, match=r"percentage: 0\.45"):
        plasma_from_blood(np.ones(3), haematocrit=45.0)
    with pytest.raises(MetadataError, match=r"expected 0\.1 to 0\.7"):
        plasma_from_blood(np.ones(3), haematocrit=0.0)

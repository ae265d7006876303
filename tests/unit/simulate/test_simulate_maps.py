"""Maps without a series: noise of the stated size, a gain that cancels, one place."""

import dataclasses

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.course import plan_visits
from bolus.simulate.fast_maps import MapNoise, simulate_maps
from bolus.simulate.phantom import scan_grid
from bolus.simulate.profile import draw_profile

GRID = scan_grid(shape=(40, 40, 8), voxel_mm=(5.5, 5.5, 16.0), orientation="LAS")
PROFILE = draw_profile(1, 0)
VISITS = plan_visits(PROFILE, visits=2, post_treatment=True)
NONE = MapNoise(
    cbv_relative=0.0, cbv_ml_per_100ml=0.0, adc_relative=0.0, adc_mm2_per_s=0.0,
    ktrans_relative=0.0, ktrans_per_min=0.0, reference=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def noisy():
    return simulate_maps(PROFILE, VISITS[0], grid=GRID)


def test_without_noise_the_maps_are_the_truth():
    maps = simulate_maps(PROFILE, VISITS[0], grid=GRID, noise=NONE)

    for key in ("ncbv", "adc", "ktrans"):
        np.testing.assert_allclose(
            maps.measured[key].values, maps.truth[key].values, rtol=1e-5, atol=1e-12
        )


def test_noise_has_the_stated_size(noisy):
    known = np.isfinite(noisy.truth["cbv"].values)
    stated = MapNoise()
    for key, measured, relative, absolute in (
        ("cbv", "rcbv", stated.cbv_relative, stated.cbv_ml_per_100ml),
        ("adc", "adc", stated.adc_relative, stated.adc_mm2_per_s),
        ("ktrans", "ktrans", stated.ktrans_relative, stated.ktrans_per_min),
    ):
        truth = noisy.truth[key].values[known]
        error = noisy.measured[measured].values[known] - truth
        scaled = error / np.hypot(relative * truth, absolute)
        assert scaled.std() == pytest.approx(1.0, abs=0.05)
        assert abs(scaled.mean()) < 0.08


def test_a_scanner_s_gain_is_in_rcbv_and_not_in_ncbv(noisy):
    twice = simulate_maps(PROFILE, VISITS[0], grid=GRID, gain=2.0)

    np.testing.assert_allclose(
        twice.measured["rcbv"].values, 2 * noisy.measured["rcbv"].values, rtol=1e-6
    )
    np.testing.assert_allclose(
        twice.measured["ncbv"].values, noisy.measured["ncbv"].values, rtol=1e-6
    )


def test_another_scan_has_other_noise_of_the_same_truth(noisy):
    again = simulate_maps(PROFILE, VISITS[0], grid=GRID, scan=1)

    np.testing.assert_array_equal(again.truth["ncbv"].values, noisy.truth["ncbv"].values)
    known = np.isfinite(noisy.truth["adc"].values)
    one, two = (
        m.measured["adc"].values[known] - m.truth["adc"].values[known] for m in (noisy, again)
    )
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1


def test_all_visits_of_a_patient_lie_in_one_place(noisy):
    later = simulate_maps(PROFILE, VISITS[1], grid=GRID)

    np.testing.assert_array_equal(later.brain.values, noisy.brain.values)


def test_the_habitats_are_told_apart_by_their_blood_volume():
    visit = dataclasses.replace(VISITS[0], glioma=PROFILE.glioma, tissues=PROFILE.tissues)
    maps = simulate_maps(PROFILE, visit, grid=GRID)
    means = [
        np.nanmean(maps.measured["ncbv"].values[maps.habitats.mask(name).values])
        for name in ("hypervascular", "hypovascular", "nonviable")
    ]

    assert means == sorted(means, reverse=True)


@pytest.mark.filterwarnings("ignore:.*empty slice", "ignore:invalid value")
def test_a_gain_of_zero_and_a_grid_too_coarse_are_refused():
    with pytest.raises(MetadataError, match="gain"):
        simulate_maps(PROFILE, VISITS[0], grid=GRID, gain=0.0)
    coarse = scan_grid(shape=(3, 3, 2), voxel_mm=(80.0, 80.0, 80.0), orientation="LAS")
    with pytest.raises(MetadataError, match="white matter"):
        simulate_maps(PROFILE, VISITS[0], grid=coarse)

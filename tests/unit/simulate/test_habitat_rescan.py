"""A lesion scanned again in another head position."""

import numpy as np
import pytest

from bolus.simulate.course import plan_visits
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.habitat_lesion import box_edge
from bolus.simulate.habitat_rescan import rescan_lesion
from bolus.simulate.profile import draw_profile

QUIET = MapNoise(
    cbv_relative=0, cbv_ml_per_100ml=0, adc_relative=0, adc_mm2_per_s=0, reference=0
)  # fmt: skip


@pytest.fixture(scope="module")
def visit():
    number = 0
    while True:
        found = plan_visits(draw_profile(3, number), visits=1, post_treatment=True)[0]
        if 2.0 < found.glioma.volume_ml < 8.0:
            return found
        number += 1


def scan(visit, number, *, gain=1.0, noise=QUIET):
    return rescan_lesion(
        visit,
        seed=4,
        edge=box_edge(visit.glioma.volume_ml),
        scan=number,
        gain=gain,
        noise=noise,
    )


def test_another_scan_lies_elsewhere_and_shows_the_same_lesion(visit):
    one, other = scan(visit, 0), scan(visit, 1)

    assert not np.allclose(one.pose, other.pose)
    for found in (one, other):
        assert found.lesion.volume_ml == pytest.approx(visit.glioma.volume_ml, rel=0.15)
    means = [found.maps["ncbv"].inside(found.lesion).mean() for found in (one, other)]
    assert means[0] == pytest.approx(means[1], rel=0.1)


def test_the_gain_of_a_scanner_cancels(visit):
    one, other = scan(visit, 0), scan(visit, 0, gain=3.0)

    assert np.allclose(
        one.maps["ncbv"].values, other.maps["ncbv"].values, equal_nan=True, rtol=1e-12
    )


def test_errors_are_as_large_as_is_said(visit):
    quiet, noisy = scan(visit, 0), scan(visit, 0, noise=MapNoise(reference=0.0))
    for key in ("ncbv", "adc"):
        error = noisy.maps[key].values - quiet.maps[key].values
        scores = error / noisy.maps[key].std
        assert np.nanstd(scores) == pytest.approx(1.0, abs=0.05)


def test_the_same_numbers_give_the_same_bytes(visit):
    one, other = scan(visit, 1, noise=MapNoise()), scan(visit, 1, noise=MapNoise())

    assert one.maps["adc"].values.tobytes() == other.maps["adc"].values.tobytes()

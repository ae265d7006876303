"""Lesions that came or went are counted, and limits are held."""

import numpy as np
import pytest

from bolus.core import stream
from bolus.errors import GeometryError
from bolus.metrics.perfusion_bias import LIMITS, judge_bias, lesion_test

SHAPE = (40, 40, 8)
INSIDE = np.zeros(SHAPE, bool)
INSIDE[3:37, 3:37] = True
DRAWN = np.zeros(SHAPE, int)
for number, (x, y) in enumerate([(8, 8), (8, 28), (28, 8), (28, 28)], start=1):
    DRAWN[x : x + 3, y : y + 3, 3:5] = number
TRUTH = np.where(DRAWN > 0, 3.0, 1.0)
NOISE = 0.1 * stream(1, "maps").normal(size=SHAPE)


def test_noise_alone_loses_and_invents_nothing():
    found = lesion_test(TRUTH + NOISE, TRUTH, DRAWN, INSIDE)

    assert (found.lesions, found.lost, found.invented) == (4, 0, 0)
    assert found.contrast == pytest.approx(1, abs=0.05)


def test_a_lesion_that_is_smoothed_away_is_lost():
    flat = np.where(DRAWN == 2, 1.5, TRUTH)

    found = lesion_test(flat + NOISE, TRUTH, DRAWN, INSIDE)

    assert (found.lost, found.invented) == (1, 0)
    assert found.contrast == pytest.approx((3 + 0.25) / 4, abs=0.05)


@pytest.mark.parametrize("height", [2.5, -0.5])
def test_a_lesion_that_was_never_there_is_invented(height):
    more = TRUTH.copy()
    more[18:21, 18:21, 3:5] = height

    assert lesion_test(more + NOISE, TRUTH, DRAWN, INSIDE).invented == 1


def test_a_single_voxel_is_no_lesion():
    more = TRUTH.copy()
    more[19, 19, 3] = 9

    assert lesion_test(more, TRUTH, DRAWN, INSIDE).invented == 0


def test_no_lesion_is_no_test():
    with pytest.raises(GeometryError, match="0 lesions"):
        lesion_test(TRUTH, TRUTH, 0 * DRAWN, INSIDE)


def test_limits_are_held_and_what_was_not_measured_is_a_reason():
    good = dict.fromkeys(LIMITS, 0.0)

    assert judge_bias(good).allowed
    assert not judge_bias(good | {"aif_peak": -0.051}).allowed
    assert judge_bias(good | {"invented": 1.0}).reasons == ("invented is 1, at most 0 allowed",)
    assert "map was not measured" in judge_bias({}).reasons
    assert not judge_bias(good | {"map": float("nan")}).allowed

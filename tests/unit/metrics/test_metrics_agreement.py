"""Agreement coefficients against published examples, hand calculation and simulation."""

import numpy as np
import pytest

from bolus.core import stream
from bolus.errors import MetadataError
from bolus.metrics import bland_altman, concordance, deming, icc_2_1, within_subject_cv

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)
"""Table 2 of Shrout and Fleiss 1979: six targets, four judges."""


def test_icc_is_that_of_the_published_table():
    found = icc_2_1(SHROUT_FLEISS)

    assert found.value == pytest.approx(0.2898, abs=5e-5)  # Shrout and Fleiss 1979, 0.29


def test_icc_interval_is_that_of_the_published_table():
    found = icc_2_1(SHROUT_FLEISS)

    # R package psych, ICC(), same table: 0.019 to 0.76
    assert (found.low, found.high) == pytest.approx((0.0188, 0.7611), abs=2e-3)


def test_icc_counts_a_constant_offset_as_disagreement():
    truth = np.arange(10.0)

    same = icc_2_1(np.column_stack([truth, truth]))
    shifted = icc_2_1(np.column_stack([truth, truth + 3]))

    assert same.value == pytest.approx(1.0)
    # MSR = 2 x 55/6, MSC = 45, MSE = 0: 18.333 / (18.333 + 2 x 45 / 10)
    assert shifted.value == pytest.approx(18.3333 / (18.3333 + 9), rel=1e-4)


def test_icc_interval_holds_the_truth_as_often_as_it_says():
    rng = stream(3, "icc")
    truth = 4 / (4 + 1 + 1)  # variances of subjects, raters, error
    held = []
    for _ in range(400):
        raters = rng.normal(size=8)
        subjects = 2 * rng.normal(size=(30, 1))
        found = icc_2_1(subjects + raters + rng.normal(size=(30, 8)))
        held.append(found.low <= truth <= found.high)

    assert np.mean(held) == pytest.approx(0.95, abs=0.04)  # binomial error of 400 is 0.011


def test_equal_ratings_agree_fully_whatever_rounding_leaves():
    column = np.array([0.1, 0.2, 0.7, 1 / 3])

    assert icc_2_1(np.stack([column, column], axis=1)).value == pytest.approx(1.0)


def test_icc_leaves_incomplete_subjects_out():
    with_gap = np.vstack([SHROUT_FLEISS, [np.nan, 1, 2, 3]])

    assert icc_2_1(with_gap) == icc_2_1(SHROUT_FLEISS)


def test_concordance_is_what_its_definition_gives():
    x, y = np.array([1.0, 2, 3]), np.array([2.0, 3, 4])

    # covariance 2/3, variances 2/3, shift 1: 2 x 2/3 / (4/3 + 1)
    assert concordance(x, y).value == pytest.approx(4 / 7)


def test_concordance_is_less_than_correlation_under_a_scale():
    x = np.arange(1.0, 20)

    found = concordance(x, 2 * x)

    assert found.value < 0.75
    assert concordance(x, x).value == pytest.approx(1.0)


def test_concordance_interval_holds_the_truth_as_often_as_it_says():
    rng = stream(4, "ccc")
    truth = 2 * 1 / (1 + 1.25 + 0.3**2)
    held = []
    for _ in range(500):
        x = rng.normal(size=60)
        found = concordance(x, x + 0.3 + 0.5 * rng.normal(size=60))
        held.append(found.low <= truth <= found.high)

    assert np.mean(held) == pytest.approx(0.95, abs=0.035)  # binomial error of 500 is 0.010


def test_limits_of_agreement_are_bias_and_spread():
    first, second = np.array([10.0, 12, 14, 16]), np.array([9.0, 12, 12, 15])
    found = bland_altman(first, second)

    # differences 1 0 2 1: mean 1, standard deviation √(2/3)
    assert found.bias == pytest.approx(1.0)
    assert found.upper == pytest.approx(1 + 1.959964 * np.sqrt(2 / 3), rel=1e-6)
    # t(3) = 3.182446
    assert found.bias_interval[1] == pytest.approx(1 + 3.182446 * np.sqrt(2 / 3) / 2, rel=1e-6)
    of_limit = 3.182446 * np.sqrt(2 / 3) * np.sqrt(1 / 4 + 1.959964**2 / 6)
    assert found.upper_interval[1] - found.upper == pytest.approx(of_limit, rel=1e-6)


def test_repeatability_of_pairs_is_their_difference():
    found = within_subject_cv(np.array([[1.0, 1.2], [2.0, 1.8]]))

    assert found.within_std == pytest.approx(0.2 / np.sqrt(2))
    assert found.coefficient == pytest.approx(1.959964 * 0.2)
    assert found.within_cv == pytest.approx(np.sqrt((0.02 / 1.21 + 0.02 / 3.61) / 2))


def test_interval_of_the_within_subject_cv_holds_the_truth():
    rng = stream(5, "cv")
    held = []
    for _ in range(400):
        truth = rng.uniform(1, 5, (20, 1))
        found = within_subject_cv(truth * (1 + 0.1 * rng.normal(size=(20, 2))))
        held.append(found.within_cv_interval[0] <= 0.1 <= found.within_cv_interval[1])

    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(
    "call",
    [
        lambda: concordance(np.ones(3), np.ones(4)),
        lambda: bland_altman(np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        lambda: icc_2_1(np.ones((5, 1))),
        lambda: within_subject_cv(np.full((4, 2), np.nan)),
    ],
)
def test_too_little_is_said(call):
    with pytest.raises(MetadataError, match=r"at least 2|2 raters"):
        call()


def test_agreement_of_constants_is_undefined():
    assert np.isnan(concordance(np.ones(5), np.ones(5)).value)
    assert np.isnan(icc_2_1(np.ones((5, 2))).value)


def test_deming_finds_the_line_that_noise_in_both_flattens():
    draw = stream(7, "deming")
    truth = draw.uniform(0, 10, 4000)
    x, y = truth + draw.normal(0, 2, 4000), 0.5 + truth + draw.normal(0, 2, 4000)

    slope, intercept = deming(x, y)

    assert slope == pytest.approx(1.0, abs=0.05)
    assert intercept == pytest.approx(0.5, abs=0.25)
    assert np.polyfit(x, y, 1)[0] < 0.75
    assert deming(y, x)[0] == pytest.approx(1 / slope)
    assert np.isnan(deming(np.ones(5), np.arange(5.0))).all()

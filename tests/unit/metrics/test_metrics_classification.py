"""AUC, DeLong, calibration and net benefit against other libraries, by hand, and by laws."""

import sys
import time
import warnings
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bolus.errors import Code, MetadataError
from bolus.metrics import (
    auc_with_interval,
    brier,
    calibration_slope,
    delong_test,
    net_benefit,
    permuted_labels_auc,
)


def oracle(name):
    if name not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip(name)
    return import_module(name)


def draw(seed=0, count=200, shift=1.0, shared=0.5):
    """Return two scores that share some of their noise, and labels."""
    random = np.random.default_rng(seed)
    label = random.random(count) < 0.4
    common = random.normal(size=count)
    own = random.normal(size=(2, count)) * np.sqrt(1 - shared**2) + shared * common
    return own[0] + shift * label, own[1] + 0.5 * shift * label, label


def rounded(values):
    return np.round(values, 1)  # with ties


def test_auc_is_that_of_scikit_learn_and_of_counting():
    score, _, label = draw()
    score = rounded(score)
    ones, zeros = score[label][:, None], score[~label]

    counted = np.mean((ones > zeros) + 0.5 * (ones == zeros))

    assert auc_with_interval(score, label).value == pytest.approx(counted, abs=1e-12)
    assert counted == pytest.approx(oracle("sklearn.metrics").roc_auc_score(label, score))


@pytest.mark.parametrize("ties", [False, True])
def test_delong_is_that_of_mlstatkit(ties):
    first, second, label = draw()
    if ties:
        first, second = rounded(first), rounded(second)
    theirs = oracle("MLstatkit").Delong_test(label.astype(int), first, second)

    ours = delong_test(first, second, label)

    assert abs(ours.difference / ours.std) == pytest.approx(abs(theirs[0]), rel=1e-9)
    assert ours.p_value == pytest.approx(theirs[1], rel=1e-9)
    intervals = [auc_with_interval(s, label) for s in (first, second)]
    assert [(a.low, a.high) for a in intervals] == [
        pytest.approx(tuple(bounds), abs=1e-9) for bounds in theirs[2:4]
    ]


def test_the_variance_is_that_of_all_pairs():
    """DeLong, DeLong and Clarke-Pearson 1988, with the kernel of every pair written out."""
    first, second, label = draw(count=60)
    kernel = np.stack([
        (s[label][:, None] > s[~label]) + 0.5 * (s[label][:, None] == s[~label])
        for s in (rounded(first), rounded(second))
    ])  # fmt: skip
    ones, zeros = kernel.mean(axis=2), kernel.mean(axis=1)
    covariance = np.cov(ones) / ones.shape[1] + np.cov(zeros) / zeros.shape[1]
    contrast = np.array([1.0, -1.0])

    found = delong_test(rounded(first), rounded(second), label)

    assert found.std == pytest.approx(np.sqrt(contrast @ covariance @ contrast), rel=1e-12)


def test_intervals_hold_the_true_auc_and_the_test_keeps_its_level():
    truth = 0.7602499389065233  # Phi(1 / sqrt 2)
    held, found = [], []
    for seed in range(400):
        first, _, label = draw(seed=seed, count=120)
        _, again, _ = draw(seed=seed, count=120, shift=2.0)
        agreement = auc_with_interval(first, label)
        held.append(agreement.low <= truth <= agreement.high)
        found.append(delong_test(first, again, label).p_value < 0.05)

    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert np.mean(found) == pytest.approx(0.05, abs=0.03)


@given(scale=some.floats(0.01, 100), offset=some.floats(-10, 10))
def test_only_the_order_counts(scale, offset):
    first, second, label = draw(count=50)

    found = delong_test(np.arctan(first) * scale + offset, second, label)

    assert found.p_value == pytest.approx(delong_test(first, second, label).p_value)


def test_numbers_that_order_alike_do_not_differ():
    first, _, label = draw()

    same = delong_test(first, 3 * first, label)

    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_one_hundred_thousand_subjects_take_less_than_a_second():
    first, second, label = draw(count=100_000)

    begun = time.process_time()
    delong_test(first, second, label)

    assert time.process_time() - begun < 1.0  # every pair would be 2.4e9 comparisons


def test_too_few_of_a_class_have_no_interval():
    found = auc_with_interval(np.array([1.0, 2.0, 3.0]), np.array([False, False, True]))

    assert found.value == 1.0
    assert np.isnan(found.low)


def test_the_calibration_slope_is_that_of_statsmodels():
    score, _, label = draw(count=400)
    chance = 1 / (1 + np.exp(-(1.8 * score - 1.2)))
    odds = np.log(chance / (1 - chance))
    models = oracle("statsmodels.api")

    found = calibration_slope(chance, label)
    slope = models.GLM(label * 1.0, models.add_constant(odds), models.families.Binomial()).fit()
    large = models.GLM(
        label * 1.0, np.ones(400), models.families.Binomial(), offset=odds
    ).fit()  # fmt: skip

    assert found.slope == pytest.approx(slope.params[1], rel=1e-6)
    assert found.slope_interval == pytest.approx(tuple(slope.conf_int()[1]), rel=1e-6)
    assert found.in_the_large == pytest.approx(large.params[0], rel=1e-5)
    assert found.in_the_large_interval == pytest.approx(tuple(large.conf_int()[0]), rel=1e-5)


def test_true_probabilities_have_slope_one_and_doubled_log_odds_one_half():
    random = np.random.default_rng(1)
    odds = random.normal(size=20_000)
    label = random.random(20_000) < 1 / (1 + np.exp(-odds))

    good, bad = (calibration_slope(1 / (1 + np.exp(-k * odds)), label) for k in (1, 2))

    assert good.slope == pytest.approx(1, abs=0.05)
    assert good.in_the_large == pytest.approx(0, abs=0.05)
    assert bad.slope == pytest.approx(good.slope / 2, rel=1e-6)


def test_separated_labels_have_no_slope():
    found = calibration_slope(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))

    assert np.isnan(found.slope)


def test_brier_is_that_of_scikit_learn():
    score, _, label = draw()
    chance = 1 / (1 + np.exp(-score))

    found = brier(chance, label)

    assert found.value == pytest.approx(oracle("sklearn.metrics").brier_score_loss(label, chance))
    assert brier(np.full(200, label.mean()), label).scaled == pytest.approx(0)


def test_permuted_labels_give_one_half():
    score, _, label = draw()

    found = permuted_labels_auc(score, label, permutations=500, seed=1)

    assert found.null_mean == pytest.approx(0.5, abs=0.01)
    assert found.value == pytest.approx(auc_with_interval(score, label).value)
    assert found.p_value == pytest.approx(1 / 501)
    assert found == permuted_labels_auc(score, label, permutations=500, seed=1)


def test_net_benefit_is_that_of_dcurves():
    dcurves, pandas = oracle("dcurves"), oracle("pandas")
    score, _, label = draw()
    chance = 1 / (1 + np.exp(-score))
    thresholds = np.array([0.05, 0.2, 0.5, 0.8])
    frame = pandas.DataFrame({"label": label * 1, "chance": chance})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dcurves.dca(frame, "label", ["chance"], thresholds=thresholds)

    for model, ours in (("chance", chance), ("all", np.ones(200))):
        expected = theirs[theirs.model == model].net_benefit.to_numpy()
        np.testing.assert_allclose(net_benefit(ours, label, thresholds), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("score", "label", "code"),
    [
        ([1.0, 2.0], [True], Code.ARGUMENT_INVALID),
        ([1.0, np.nan], [True, False], Code.ARGUMENT_INVALID),
        ([1.0, 2.0], [True, True], Code.OUTCOMES_TOO_FEW),
        ([1.0, 2.0, 3.0], [0, 1, 2], Code.OUTCOMES_TOO_FEW),
    ],
)
def test_numbers_and_labels_that_do_not_fit_are_refused(score, label, code):
    with pytest.raises(MetadataError) as refused:
        auc_with_interval(np.array(score), np.array(label))

    assert refused.value.code is code


def test_probabilities_out_of_range_are_refused():
    wrong, label = np.array([0.5, 1.5]), np.array([False, True])

    for call in (
        lambda: brier(wrong, label),
        lambda: calibration_slope(wrong, label),
        lambda: net_benefit(wrong, label, np.array([0.5])),
        lambda: net_benefit(np.array([0.5, 0.6]), label, np.array([1.0])),
    ):
        with pytest.raises(MetadataError) as refused:
            call()
        assert refused.value.code is Code.ARGUMENT_INVALID

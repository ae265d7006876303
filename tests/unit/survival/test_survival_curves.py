"""Kaplan-Meier, log-rank, landmark and the target itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from survival_cohort import draw, oracle, target_of

from bolus.errors import Code, MetadataError, ResourceError
from bolus.survival import SurvivalTarget, kaplan_meier, landmark, logrank
from bolus.survival.product_limit import survival_curves


def test_the_curve_of_six_patients_is_that_by_hand():
    curve = kaplan_meier(target_of([1, 2, 2, 3, 4, 5], [1, 1, 0, 1, 0, 1]))

    assert curve.at(np.array([0.5, 1, 2, 3, 4.5, 5])) == pytest.approx(
        [1, 5 / 6, 4 / 6, 4 / 9, 4 / 9, 0]
    )
    assert curve.median_days == 3
    assert curve.at_risk(np.array([0.0, 2.0, 2.5, 5.0])).tolist() == [6, 5, 3, 1]


def test_greenwood_on_the_scale_of_ln_minus_ln_is_that_by_hand():
    """Klein and Moeschberger, equation 4.3.2, for the first step of ten patients."""
    curve = kaplan_meier(target_of(np.arange(1, 11), [1] + 9 * [0]))
    share = 0.9
    error = np.sqrt(1 / (10 * 9)) / abs(np.log(share))

    expected = [share ** np.exp(side * 1.959964 * error) for side in (1, -1)]

    assert (curve.lower[1], curve.upper[1]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("late", [False, True])
def test_the_curve_and_its_median_are_those_of_statsmodels(late):
    _, target = draw(late=late)
    survfunc = oracle("statsmodels.duration.survfunc")

    ours = kaplan_meier(target)
    theirs = survfunc.SurvfuncRight(target.days, target.event, entry=target.entry if late else None)

    np.testing.assert_allclose(ours.at(theirs.surv_times), theirs.surv_prob, atol=1e-12)
    np.testing.assert_allclose(
        survival_curves(target).on(theirs.surv_times)[0], theirs.surv_prob, atol=1e-12
    )
    assert ours.median_days == theirs.quantile(0.5)
    low, high = theirs.quantile_ci(0.5, method="cloglog")
    assert (ours.median_low, ours.median_high) == pytest.approx((low, high))


def test_a_median_that_is_not_reached_is_infinite():
    curve = kaplan_meier(target_of([10, 20, 30], [1, 0, 0]))

    assert curve.median_days == np.inf
    assert np.isnan(curve.at(np.array([31.0]))[0])


def test_before_anybody_entered_all_are_without_the_event():
    curve = kaplan_meier(target_of([10, 20, 30], [1, 1, 0], entry=[4, 5, 6]))

    assert curve.at(np.array([0.0, 3.0, 10.0])) == pytest.approx([1, 1, 2 / 3])
    assert curve.at_risk(np.array([3.0, 4.5, 10.0, 15.0])).tolist() == [0, 1, 3, 2]


def test_the_interval_holds_the_true_share():
    held = []
    for seed in range(60):
        random = np.random.default_rng(seed)
        event, end = random.exponential(300, 80), random.uniform(100, 900, 80)
        curve = kaplan_meier(target_of(np.minimum(event, end), event <= end))
        place = np.searchsorted(curve.days, 200.0, side="right") - 1
        held.append(curve.lower[place] <= np.exp(-200 / 300) <= curve.upper[place])

    assert np.mean(held) > 0.87


@pytest.mark.parametrize("groups", [2, 3])
def test_logrank_is_that_of_lifelines(groups):
    table, target = draw()
    member = np.digitize(table[:, 1], [60.0, 66.0][: groups - 1])
    statistics = oracle("lifelines.statistics")

    ours = logrank([target.select(member == k) for k in range(groups)])
    theirs = statistics.multivariate_logrank_test(target.days, member, target.event)

    assert ours.statistic == pytest.approx(theirs.test_statistic)
    assert ours.p_value == pytest.approx(theirs.p_value)
    assert ours.degrees == groups - 1
    assert sum(ours.observed) == pytest.approx(sum(ours.expected))


def test_logrank_is_right_five_times_in_a_hundred_when_nothing_is_there_with_late_entry():
    found = []
    for seed in range(150):
        _, target = draw(seed=seed, subjects=60, late=True, effects=np.zeros(4))
        half = np.arange(target.count) < 30
        found.append(logrank([target.select(half), target.select(~half)]).p_value < 0.05)

    assert np.mean(found) == pytest.approx(0.05, abs=0.045)  # 2.5 standard errors


def test_a_group_alone_has_nothing_to_differ_from():
    _, target = draw(subjects=20)

    with pytest.raises(MetadataError) as refused:
        logrank([target])

    assert refused.value.code is Code.OUTCOMES_TOO_FEW


def test_a_landmark_per_patient_counts_from_each():
    target = target_of([100, 200, 300], [1, 1, 0])

    later, kept = landmark(target, np.array([150.0, 150.0, 50.0]))
    same_clock, _ = landmark(target, np.array([150.0, 150.0, 50.0]), clock="origin")

    assert kept.tolist() == [False, True, True]
    assert later.days.tolist() == [50.0, 250.0]
    assert later.entry.tolist() == [0.0, 0.0]
    assert same_clock.days.tolist() == [200.0, 300.0]
    assert same_clock.entry.tolist() == [150.0, 50.0]


def test_who_enters_after_the_landmark_is_at_risk_from_then():
    later, _ = landmark(target_of([100, 200], [1, 1], entry=[0, 90]), 50.0)

    assert later.entry.tolist() == [0.0, 40.0]


def test_a_landmark_after_all_follow_up_is_refused():
    _, target = draw(subjects=20)

    with pytest.raises(MetadataError) as refused:
        landmark(target, 1e6)
    with pytest.raises(MetadataError):
        landmark(target, np.array([1.0, 2.0]))

    assert refused.value.code is Code.OUTCOMES_TOO_FEW


@given(seed=some.integers(0, 10_000))
def test_permuted_outcomes_are_the_same_outcomes(seed):
    _, target = draw(subjects=25, late=True)

    dealt = target.permuted(seed=seed)

    assert dealt.subjects == target.subjects
    assert sorted(zip(dealt.days, dealt.event, dealt.entry, strict=True)) == sorted(
        zip(target.days, target.event, target.entry, strict=True)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": np.array([1.0])},
        {"days": np.array([1.0, np.nan])},
        {"days": np.array([1.0, 0.0])},
        {"subjects": ("1", "1")},
        {"event": np.array([0, 2])},
        {"entry_days": np.array([0.0, 2.0])},
        {"entry_days": np.array([-1.0, 0.0])},
        {"subjects": ()},
    ],
)
def test_outcomes_that_cannot_be_are_refused(wrong):
    right = {"subjects": ("1", "2"), "days": np.array([1.0, 2.0]), "event": np.array([True, False])}

    with pytest.raises(MetadataError) as refused:
        SurvivalTarget(**{**right, **wrong})

    assert refused.value.code is Code.ARGUMENT_INVALID


def test_a_target_cannot_be_changed():
    _, target = draw(subjects=5)

    with pytest.raises(ValueError, match="read-only"):
        target.days[0] = 3.0


def test_without_lifelines_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("bolus.survival.libraries.find_spec", lambda name: None)

    with pytest.raises(ResourceError, match=r"bolus\[stats\]"):
        kaplan_meier(target_of([1, 2], [1, 0]))

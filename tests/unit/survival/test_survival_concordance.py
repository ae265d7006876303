"""C-indices and AUC at a day against other libraries, by hand, and by laws."""

import time

import numpy as np
import pytest
from survival_cohort import draw, oracle, target_of

from bolus.errors import Code, MetadataError
from bolus.survival import (
    concordance_difference,
    concordance_interval,
    harrell_c,
    time_dependent_auc,
    uno_c,
)
from bolus.survival.product_limit import censoring_curves, survival_curves


def by_hand(score, target):
    """Count the pairs one by one."""
    agreeing = comparable = 0.0
    for i in np.flatnonzero(target.event):
        for j in range(target.count):
            outlived = target.days[j] > target.days[i] or (
                target.days[j] == target.days[i] and not target.event[j]
            )
            if outlived and target.entry[j] < target.days[i]:
                comparable += 1
                agreeing += (score[i] > score[j]) + 0.5 * (score[i] == score[j])
    return agreeing / comparable


def sksurv_outcome(target):
    return oracle("sksurv.util").Surv.from_arrays(target.event, target.days)


def tied_score(table):
    return np.round(table[:, 0], 1)


@pytest.mark.parametrize("tied", [False, True])
def test_harrell_is_that_of_lifelines_and_scikit_survival(tied):
    table, target = draw(tied=tied)
    score = tied_score(table)

    ours = harrell_c(score, target)

    lifelines = oracle("lifelines.utils").concordance_index(target.days, -score, target.event)
    scikit = oracle("sksurv.metrics").concordance_index_censored(target.event, target.days, score)
    assert ours == pytest.approx(lifelines, abs=1e-12)
    assert ours == pytest.approx(scikit[0], abs=1e-12)


def test_harrell_with_late_entry_is_the_count_of_pairs():
    table, target = draw(subjects=90, late=True)
    score = tied_score(table)
    as_if_early = target_of(target.days, target.event)

    assert harrell_c(score, target) == pytest.approx(by_hand(score, target), abs=1e-12)
    assert harrell_c(score, target) != harrell_c(score, as_if_early)


@pytest.mark.parametrize("until", [None, 400.0])
def test_uno_is_that_of_scikit_survival(until):
    table, target = draw(tied=False)
    known = sksurv_outcome(target)

    theirs = oracle("sksurv.metrics").concordance_index_ipcw(
        known, known, tied_score(table), tau=until
    )

    assert uno_c(tied_score(table), target, until_day=until) == pytest.approx(theirs[0], abs=1e-12)


def test_uno_sees_through_censoring_where_an_effect_fades():
    """Harrell's counts early pairs more when censoring is heavy; Uno's does not."""
    random = np.random.default_rng(4)
    score = random.normal(size=4000)
    early = random.exponential(150 * np.exp(-1.5 * score))
    days = np.where(early < 60, early, 60 + random.exponential(200, 4000)) + 0.01
    end = random.exponential(150, 4000) + 0.01
    everything = target_of(days, np.ones(4000))
    seen = target_of(np.minimum(days, end), days <= end)

    truth = uno_c(score, everything, until_day=300.0)

    assert uno_c(score, seen, until_day=300.0) == pytest.approx(truth, abs=0.012)
    assert harrell_c(score, seen) > truth + 0.03


def test_a_perfect_score_has_one_its_reverse_none_and_a_constant_half():
    target = target_of([1, 2, 3, 4], [1, 1, 0, 1])
    score = np.array([4.0, 3.0, 2.0, 1.0])

    for index in (harrell_c, uno_c):
        assert [index(s, target) for s in (score, -score, 0 * score)] == [1.0, 0.0, 0.5]


def test_an_interval_is_that_of_drawing_subjects_one_by_one():
    table, target = draw(subjects=60)
    score, random = table[:, 0], np.random.default_rng(1)
    drawn = []
    for _ in range(3000):
        rows = random.integers(0, 60, 60)
        drawn.append(harrell_c(score[rows], target_of(target.days[rows], target.event[rows])))

    found = concordance_interval(score, target, resamples=6000, seed=2)

    assert found.std == pytest.approx(np.std(drawn), rel=0.06)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


@pytest.mark.parametrize("kind", ["harrell", "uno"])
def test_intervals_hold_the_true_index(kind):
    table, large = draw(seed=50, subjects=6000)
    score = table[:, 0]
    index = {"harrell": harrell_c, "uno": uno_c}[kind]
    truth = index(score, large)  # up to 0.004
    held = []
    for part in np.array_split(np.arange(6000), 60):
        kept = np.isin(np.arange(6000), part)
        found = concordance_interval(score[kept], large.select(kept), kind=kind,
                                     resamples=300, seed=1)  # fmt: skip
        held.append(found.low <= truth <= found.high)

    assert np.mean(held) > 0.85


def test_the_same_seed_gives_the_same_interval_and_another_does_not():
    table, target = draw(subjects=60)

    first, again, other = (
        concordance_interval(table[:, 0], target, resamples=50, seed=s) for s in (1, 1, 2)
    )

    assert first == again
    assert first.low != other.low


def test_a_score_differs_from_noise_and_not_from_itself():
    table, target = draw()
    score, noise = table[:, 0], np.random.default_rng(0).normal(size=target.count)

    better = concordance_difference(score, noise, target, resamples=400, seed=1)
    same = concordance_difference(score, 2 * score + 1, target, resamples=400, seed=1)

    assert better.low > 0
    assert better.p_value < 0.02
    assert (same.value, same.p_value) == (0.0, 1.0)


def test_two_hundred_resamples_of_five_hundred_patients_are_cheap():
    table, target = draw(subjects=500)
    concordance_interval(table[:, 0], target, resamples=200, seed=1)

    begun = time.process_time()
    concordance_interval(table[:, 0], target, resamples=200, seed=1)

    assert time.process_time() - begun < 0.25  # the goal; lifelines needs 0.4 and more


def test_auc_at_days_is_that_of_scikit_survival():
    table, target = draw(tied=False)
    score, days = tied_score(table), np.array([100.0, 250.0, 500.0])
    known = sksurv_outcome(target)

    ours = time_dependent_auc(score, target, days)
    theirs = oracle("sksurv.metrics").cumulative_dynamic_auc(known, known, score, days)

    np.testing.assert_allclose(ours.auc, theirs[0], atol=1e-12)
    assert ours.integrated == pytest.approx(theirs[1], abs=1e-12)


def test_auc_without_censoring_is_the_common_auc():
    table, _ = draw()
    random = np.random.default_rng(2)
    days = random.exponential(np.exp(-table[:, 0]) * 100) + 0.1
    target = target_of(days, np.ones(300))

    found = time_dependent_auc(table[:, 0], target, np.array([80.0]), resamples=200, seed=1)

    late = table[days > 80, 0]
    expected = np.mean(table[days <= 80, 0][:, None] > late)
    assert found.auc[0] == pytest.approx(expected)
    assert found.low[0] < expected < found.high[0]
    assert found.integrated == pytest.approx(expected)


def test_a_day_without_case_or_control_and_late_entry_are_refused():
    table, target = draw(subjects=50)
    late_table, late = draw(subjects=50, late=True)

    for days in ([0.5], [1e5], [300.0, 200.0]):
        with pytest.raises(MetadataError) as refused:
            time_dependent_auc(table[:, 0], target, np.array(days))
        assert refused.value.code is Code.OUTCOMES_TOO_FEW
    with pytest.raises(MetadataError, match="landmark"):
        time_dependent_auc(late_table[:, 0], late, np.array([300.0]))


def test_a_score_without_a_number_for_everybody_is_refused():
    _, target = draw(subjects=20)

    for score in (np.zeros(19), np.full(20, np.nan)):
        with pytest.raises(MetadataError) as refused:
            harrell_c(score, target)
        assert refused.value.code is Code.ARGUMENT_INVALID


def test_without_a_comparable_pair_there_is_no_index():
    with pytest.raises(MetadataError) as refused:
        harrell_c(np.arange(3.0), target_of([1, 2, 3], [0, 0, 1]))

    assert refused.value.code is Code.OUTCOMES_TOO_FEW


def test_follow_up_of_others_must_reach_the_last_event():
    table, target = draw(subjects=50)
    short = target_of([5, 6, 7], [0, 0, 0])

    with pytest.raises(MetadataError, match="follow-up"):
        uno_c(table[:, 0], target, followed=short)


def test_event_and_censoring_curves_multiply_to_the_share_left():
    """Without late entry, S(t) G(t) is the share under observation after day t, whole days too."""
    _, target = draw()
    days = np.array([50.0, 200.0, 400.0])

    product = survival_curves(target).on(days) * censoring_curves(target).on(days)

    np.testing.assert_allclose(product[0], [(target.days > day).mean() for day in days])


def test_weights_are_repeats():
    _, target = draw(subjects=30, late=True)
    counts = np.random.default_rng(5).integers(0, 4, target.count)
    rows = np.repeat(np.arange(target.count), counts)
    repeated = target_of(target.days[rows], target.event[rows], target.entry[rows])
    days = np.array([60.0, 150.0, 400.0])

    for curves in (survival_curves, censoring_curves):
        np.testing.assert_allclose(
            curves(target, weights=counts[None].astype(float)).on(days), curves(repeated).on(days)
        )

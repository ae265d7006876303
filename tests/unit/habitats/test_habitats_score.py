"""Score, rule and their analysis on patients whose hazard is written down."""

import dataclasses

import numpy as np
import pytest
from habitat_rows import LIMITS_ML, RATIO_PER_ML, habitat_rows

from bolus.core.learned import Split, split_subjects
from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.cohort_table import HabitatCohort
from bolus.habitats.rule import given_rule, learn_rule, trend_statistic
from bolus.habitats.score import choose_limits, fit_score
from bolus.habitats.survival_analysis import analyse_survival
from bolus.habitats.survival_study import fit_survival, permuted_survival
from bolus.survival import SurvivalTarget, logrank


@pytest.fixture(scope="module")
def cohort():
    return habitat_rows(400, seed=3)


@pytest.fixture(scope="module")
def split(cohort):
    return split_subjects(cohort.subjects, seed=1, strata=[r.scanner for r in cohort.rows])


@pytest.fixture(scope="module")
def analysis(cohort, split):
    return analyse_survival(cohort, split, seed=1, limits_ml=LIMITS_ML, resamples=30)


def _ratios(score):
    return {row.name: row for row in score.model.hazard_ratios()}


def test_the_score_finds_the_written_hazard_ratios(cohort):
    score = fit_score(*cohort.at_risk("progression"), outcome="progression", limits_ml=LIMITS_ML)

    for name, truth in RATIO_PER_ML.items():
        assert _ratios(score)[name].low < truth < _ratios(score)[name].high
        assert _ratios(score)[name].p_value < 0.01


def test_who_had_the_event_before_the_second_visit_is_left_out(cohort):
    patients, target = cohort.at_risk("progression")

    early = [r for r in cohort.rows if r.outcomes["progression"].days <= r.landmark_day]
    assert early
    assert len(patients.rows) == len(cohort.rows) - len(early)
    assert np.array_equal(target.entry, [row.landmark_day for row in patients.rows])


def test_shrinkage_and_growth_beyond_the_limit_add_no_hazard(cohort):
    score = fit_score(*cohort.at_risk("progression"), outcome="progression", limits_ml=LIMITS_ML)
    row = cohort.rows[0]

    def with_growth(ml):
        after = {name: row.before_ml[name] + ml for name in row.before_ml}
        return HabitatCohort((dataclasses.replace(row, after_ml=after),))

    parts = [float(score.habitat_part(with_growth(ml))[0]) for ml in (-1.0, 0.0, 1.0, 10.0, 20.0)]
    assert parts[0] == parts[1] == 0.0
    assert 0 < parts[2] < parts[3]
    assert parts[3] == parts[4]


def test_a_habitat_that_grew_in_few_patients_has_a_finite_ratio(cohort):
    def rare(number, row):
        after = dict(row.after_ml) | {"hypervascular": row.before_ml["hypervascular"]}
        if number % 50 == 0:
            after["hypervascular"] += 1.0
        return dataclasses.replace(row, after_ml=after)

    rows = tuple(rare(number, row) for number, row in enumerate(cohort.rows))
    score = fit_score(*HabitatCohort(rows).at_risk("progression"), outcome="progression")

    assert np.isfinite(_ratios(score)["hypervascular"].high)


def test_a_habitat_that_grew_in_nobody_is_left_out(cohort):
    rows = tuple(
        dataclasses.replace(
            row, after_ml=dict(row.after_ml) | {"hypervascular": row.before_ml["hypervascular"]}
        )
        for row in cohort.rows
    )
    score = fit_score(*HabitatCohort(rows).at_risk("progression"), outcome="progression")

    assert tuple(score.limits_ml) == ("hypovascular",)


def test_a_clinical_number_that_is_missing_somewhere_or_the_same_everywhere_is_not_used(cohort):
    first = cohort.rows[0]
    without = dataclasses.replace(first, clinical={"kps": 80.0})
    rows = (without, *cohort.rows[1:])

    score = fit_score(*HabitatCohort(rows).at_risk("progression"), outcome="progression")

    assert score.adjust == ()


def test_limits_are_those_that_validation_patients_find_likeliest(cohort, split):
    patients = cohort.select(np.ones(len(cohort.rows), bool))
    training = patients.part(split.training).at_risk("progression")
    validation = patients.part(split.validation | split.test).at_risk("progression")

    limits = choose_limits(training, validation, outcome="progression")

    assert limits["hypovascular"] in (2.0, 4.0, 8.0)
    assert set(limits) == {"hypervascular", "hypovascular"}


def test_the_rule_counts_habitats_that_grew_by_more_than_their_cut_off(cohort):
    rule = given_rule({"hypervascular": 0.5, "hypovascular": 1.0}, source="set by us")
    increase = cohort.increase_ml(("hypervascular", "hypovascular"))

    expected = (increase[:, 0] > 0.5).astype(int) + (increase[:, 1] > 1.0)
    assert np.array_equal(rule.score(cohort), expected)


def test_learnt_cut_offs_split_growth_from_noise_and_obey_the_noise_limit(cohort):
    patients, target = cohort.at_risk("progression")

    rule = learn_rule(patients, target)
    bounded = learn_rule(patients, target, least_ml={"hypovascular": 2.5})

    assert 0.2 < rule.cut_offs_ml["hypovascular"] < 6.0
    assert bounded.cut_offs_ml["hypovascular"] >= 2.5
    assert trend_statistic(rule.score(patients), target) > 4.0
    with pytest.raises(LeakageError):
        rule.require_unseen(patients.subjects[:3])


@pytest.mark.parametrize("cut_offs", [{}, {"hypovascular": -1.0}, {"hypovascular": np.nan}])
def test_cut_offs_that_are_no_volumes_are_refused(cut_offs):
    with pytest.raises(MetadataError):
        given_rule(cut_offs, source="a mistake")


def test_the_trend_of_two_groups_is_the_log_rank_test():
    random = np.random.default_rng(4)
    days = random.permutation(np.arange(1.0, 61.0))
    group = np.arange(60) % 2
    target = SurvivalTarget(
        subjects=tuple(map(str, range(60))), days=days, event=random.random(60) < 0.8
    )

    found = trend_statistic(group, target) ** 2

    parts = [target.select(group == value) for value in (0, 1)]
    assert found == pytest.approx(logrank(parts).statistic, rel=1e-6)


def test_a_subject_in_two_parts_is_refused():
    with pytest.raises(LeakageError) as caught:
        Split(training=frozenset({"01"}), validation=frozenset({"02"}), test=frozenset({"01"}))
    assert caught.value.code is Code.SPLIT_LEAKS


def test_every_scanner_is_split_alike(cohort, split):
    home = {row.subject: row.scanner for row in cohort.rows}
    for scanner in set(home.values()):
        own = {s for s, of in home.items() if of == scanner}
        assert abs(len(own & split.test) / len(own) - 0.4) < 0.02


def test_nobody_of_the_test_part_is_in_a_fit_or_a_cut_off(cohort, split):
    study = fit_survival(cohort, split, limits_ml=LIMITS_ML)

    for fitted in (study.score.model, study.plain.model, study.unadjusted.model, study.rule):
        assert not fitted.fitted_on & split.test
        fitted.require_unseen(tuple(split.test))


@pytest.mark.slow
def test_other_outcomes_of_test_patients_change_no_fit(cohort, split):
    def later(row):
        if row.subject not in split.test:
            return row
        followed = {k: dataclasses.replace(v, days=v.days + 50) for k, v in row.outcomes.items()}
        return dataclasses.replace(row, outcomes=followed)

    one = fit_survival(cohort, split)
    two = fit_survival(HabitatCohort(tuple(later(row) for row in cohort.rows)), split)

    assert np.array_equal(one.score.model.log_hazard_ratios, two.score.model.log_hazard_ratios)
    assert dict(one.score.limits_ml) == dict(two.score.limits_ml)
    assert dict(one.rule.cut_offs_ml) == dict(two.rule.cut_offs_ml)


def test_the_analysis_orders_test_patients_better_with_habitats_than_without(analysis):
    order = {row.name: row.harrell.value for row in analysis.concordance}

    assert order["habitats and clinic"] > order["clinic alone"] + 0.03
    assert order["habitats and clinic"] > 0.65
    assert analysis.logrank_p < 0.001


def test_the_analysis_is_honest_about_itself(analysis, cohort):
    assert analysis.corrected_c == pytest.approx(analysis.apparent_c, abs=0.03)
    assert analysis.calibration.slope.lower < 1 < analysis.calibration.slope.upper
    assert sum(c.patients for c in analysis.counts) + len(analysis.left_out) == len(cohort.rows)
    assert analysis.proportional["all"] > 0.001
    medians = [s.median_days.value for s in analysis.strata]
    assert medians[0] > medians[-1]
    treat = analysis.decision.net_benefit
    best = np.fmax(treat["all"], treat["none"])
    assert np.nanmax(treat["habitats and clinic"] - best) > 0.02


def test_hazard_ratios_per_deviation_belong_to_those_per_ml(analysis):
    rows = {(r.name, r.per.split(" (")[0]): r for r in analysis.hazards if r.adjusted}
    per_ml, per_sd = rows["hypovascular", "1 mL"], rows["hypovascular", "1 SD"]

    spread = float(per_sd.per.split("(")[1].split(" ")[0])
    assert np.log(per_sd.ratio.value) == pytest.approx(
        spread * np.log(per_ml.ratio.value), rel=0.01
    )


def test_exchanged_outcomes_hold_nothing(cohort, split):
    study = fit_survival(cohort, split, limits_ml=LIMITS_ML)

    control = permuted_survival(study, runs=20, seed=2)

    assert abs(control.centre - 0.5) < 0.05
    assert control.false_positives <= 0.2


def test_too_few_patients_are_refused_with_their_own_code(split):
    few = habitat_rows(6, seed=1)
    with pytest.raises(MetadataError) as caught:
        fit_score(*few.at_risk("progression"), outcome="progression", penalty=0.0)
    assert caught.value.code is Code.OUTCOMES_TOO_FEW

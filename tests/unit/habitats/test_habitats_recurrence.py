"""The classifier of recurrence on patients whose recurrence is written down."""

import dataclasses

import numpy as np
import pytest
from habitat_rows import habitat_rows

from bolus.core.learned import split_subjects
from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.cohort_table import HabitatCohort, blood_measures
from bolus.habitats.recurrence import FEATURE_SETS, fit_recurrence, habitat_features
from bolus.habitats.recurrence_analysis import analyse_recurrence, permuted_recurrence


@pytest.fixture(scope="module")
def cohort():
    return habitat_rows(240, seed=7)


@pytest.fixture(scope="module")
def split(cohort):
    return split_subjects(cohort.subjects, seed=1)


@pytest.fixture(scope="module")
def analysis(cohort, split):
    return analyse_recurrence(cohort, split, seed=1, permutations=0)


def test_growth_tells_recurrence_and_beats_blood_volume(analysis):
    areas = {row.name: row.auc for row in analysis.rocs}
    tests = {row.against: row for row in analysis.comparisons}

    assert areas["habitats"].value > 0.9
    assert areas["habitats"].lower <= areas["habitats"].value <= areas["habitats"].upper
    assert tests["fractional tumour burden"].p_value < 0.05
    assert tests["fractional tumour burden"].difference.lower > 0


def test_curves_end_in_both_corners_and_hold_their_area(analysis):
    for row in analysis.rocs:
        x, y = row.false_positives, row.true_positives
        assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(y, x) == pytest.approx(row.auc.value, abs=1e-9)


def test_probabilities_are_calibrated_and_worth_acting_on(analysis):
    assert analysis.calibration.slope.lower < 1 < analysis.calibration.slope.upper
    benefit = analysis.decision.net_benefit
    assert np.max(benefit["habitats"] - np.fmax(benefit["all"], benefit["none"])) > 0.05


def test_the_classifier_saw_nobody_of_the_test_part(cohort, split):
    model = fit_recurrence(cohort, split, seed=1)

    model.require_unseen(split.test)
    with pytest.raises(LeakageError):
        model.require_unseen(split.training)


def test_other_labels_of_test_patients_change_no_fit(cohort, split):
    turned = HabitatCohort(
        tuple(
            dataclasses.replace(row, recurrence=not row.recurrence)
            if row.subject in split.test
            else row
            for row in cohort.rows
        )
    )

    one, two = (fit_recurrence(c, split, seed=1) for c in (cohort, turned))

    assert np.array_equal(one.weights, two.weights)
    assert (one.kind, one.slope, one.shift) == (two.kind, two.slope, two.shift)


def test_exchanged_labels_hold_nothing(cohort, split):
    control = permuted_recurrence(cohort, split, runs=40, seed=3)

    assert abs(control.centre - 0.5) < 0.05
    assert control.false_positives <= 0.15


def test_patients_whose_recurrence_is_not_known_are_left_out_by_name(cohort, split):
    rows = (dataclasses.replace(cohort.rows[0], recurrence=None), *cohort.rows[1:])

    analysis = analyse_recurrence(HabitatCohort(rows), split, seed=1, permutations=0)

    assert [subject for subject, _ in analysis.left_out] == [cohort.rows[0].subject]


def test_too_few_of_a_kind_are_refused(cohort, split):
    rows = tuple(dataclasses.replace(row, recurrence=True) for row in cohort.rows)

    with pytest.raises(MetadataError) as caught:
        fit_recurrence(HabitatCohort(rows), split, seed=1)
    assert caught.value.code is Code.OUTCOMES_TOO_FEW


@pytest.mark.parametrize("kind", FEATURE_SETS)
def test_features_are_finite_where_a_habitat_is_empty(cohort, kind):
    row = cohort.rows[0]
    empty = dict.fromkeys(row.before_ml, 0.0)
    table, names = habitat_features(
        HabitatCohort((dataclasses.replace(row, before_ml=empty, after_ml=empty),)), kind
    )

    assert np.isfinite(table).all()
    assert table.shape == (1, len(names))


def test_burden_is_the_share_of_voxels_above_its_limit():
    found = blood_measures(np.array([0.9, 1.0, 1.1, 1.75, 1.8]))

    assert (found.burden, found.low_burden) == (0.2, 0.6)
    assert blood_measures(np.array([])).burden == 0.0

"""The gates of score and recurrence: they pass where they should, and can fail."""

import dataclasses

import numpy as np
import pytest

from bolus.habitats.analyses import PermutedControl
from bolus.habitats.track import Interval
from bolus.simulate.habitat_cohort import other_outcome
from bolus.workflows.gates_habitats_score import (
    PATIENTS,
    SCANNERS,
    concordance,
    measure,
    recurrence_part,
    score_part,
    true_ratios,
)
from bolus.workflows.gates_request import PROFILES, GateRequest
from bolus.workflows.simulated_habitats import with_outcomes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured():
    return measure(GateRequest(seed=31, profile=PROFILES["quick"], reference=None), patients=160)


def _gates(part):
    return {gate.name: gate for gate in part.gates}


def test_the_cohort_is_as_large_as_asked():
    assert PATIENTS >= 150
    assert SCANNERS >= 3


def test_every_gate_was_run(measured):
    for part in (score_part(measured), recurrence_part(measured)):
        assert [gate.name for gate in part.gates if gate.value is None] == []


def test_little_concordance_is_lost_over_many_fates(measured):
    assert _gates(score_part(measured))["concordance lost, over fates"].passed


def test_exchanged_outcomes_find_nothing(measured):
    for part in (score_part(measured), recurrence_part(measured)):
        null = [gate for gate in part.gates if "exchanged" in gate.name]
        assert len(null) == 2
        assert [gate.name for gate in null if not gate.passed] == []


def test_the_classifier_beats_fractional_tumour_burden(measured):
    assert _gates(recurrence_part(measured))["DeLong against fractional tumour burden"].passed


def test_an_interval_without_the_truth_fails(measured):
    wrong = tuple(
        dataclasses.replace(row, ratio=Interval(3.0, 2.5, 3.5)) for row in measured.survival.hazards
    )
    part = score_part(
        dataclasses.replace(
            measured, survival=dataclasses.replace(measured.survival, hazards=wrong)
        )
    )
    assert [_gates(part)[f"true hazard ratio, {name}"].passed for name in true_ratios()] == [
        False,
        False,
    ]


def test_findings_where_nothing_is_fail(measured):
    finds = PermutedControl(runs=100, centre=0.58, spread=0.05, false_positives=0.2)
    survival = dataclasses.replace(measured.survival, permuted=finds)
    part = score_part(dataclasses.replace(measured, survival=survival))

    assert [gate.passed for gate in part.gates if "exchanged" in gate.name] == [False, False]


def test_a_rival_that_is_better_fails(measured):
    recurrence = measured.recurrence
    worse = tuple(
        dataclasses.replace(row, difference=Interval(-0.2, -0.3, -0.1), p_value=0.001)
        for row in recurrence.comparisons
    )
    part = recurrence_part(
        dataclasses.replace(measured, recurrence=dataclasses.replace(recurrence, comparisons=worse))
    )
    assert not any(g.passed for g in part.gates if g.name.startswith("DeLong"))


def test_the_oracle_knows_more_than_the_score_on_average(measured):
    assert measured.fates[:, 0].mean() > -0.005
    assert 0.5 < concordance(measured.oracle) < 0.9


def test_habitats_are_fitted_on_training_patients_alone(measured):
    study = measured.study

    study.model.require_unseen(study.split.test | study.split.validation)
    assert study.model.simulated


def test_a_patient_who_missed_the_second_visit_is_left_out_by_name(measured):
    reasons = dict(measured.study.measured.left_out)

    assert "missed the second visit" in reasons.values()
    assert not set(reasons) & set(measured.study.measured.subjects)


def test_other_fates_keep_the_volumes(measured):
    study = measured.study

    later = with_outcomes(study.measured, [other_outcome(p, seed=1) for p in study.patients])

    assert np.array_equal(later.after_ml, study.measured.after_ml)
    assert later.rows[0].outcomes != study.measured.rows[0].outcomes

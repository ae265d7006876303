"""The cohort of lesions: volumes as planned, noise as stated, outcomes by the written hazard."""

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.course import habitat_volumes_ml, plan_visits
from bolus.simulate.habitat_cohort import (
    other_outcome,
    scan_before_treatment,
    simulate_habitat_cohort,
)
from bolus.simulate.habitat_lesion import box_edge, lay_lesion, measure_lesion, noise_at
from bolus.simulate.tissues import HABITAT_LABELS, TISSUES


@pytest.fixture(scope="module")
def cohort():
    return simulate_habitat_cohort(24, seed=5)


def _scans(cohort):
    return [scan for patient in cohort for scan in patient.visits]


def test_labels_hold_the_volumes_that_were_planned(cohort):
    for scan in _scans(cohort):
        voxel = scan.lesion.grid.voxel_volume_ml
        for label, name in list(HABITAT_LABELS.items())[:3]:
            laid = float((scan.habitat == label).sum()) * voxel
            assert laid == pytest.approx(scan.volumes_ml[name], rel=0.1, abs=0.3)


def test_more_patients_change_none_of_the_first(cohort):
    few = simulate_habitat_cohort(3, seed=5)

    for one, other in zip(few, cohort, strict=False):
        assert one.outcome == other.outcome
        assert np.array_equal(one.visits[0].values, other.visits[0].values)


def test_visits_of_a_patient_share_a_grid_and_grow_into_each_other(cohort):
    pairs = [patient.visits[:2] for patient in cohort if len(patient.visits) > 1]
    for first, second in pairs:
        small, large = sorted((first, second), key=lambda scan: scan.lesion.count)
        assert small.lesion.grid.shape == large.lesion.grid.shape
        assert not (small.lesion.values & ~large.lesion.values).any()


def test_all_scanners_are_used_and_all_patients_are_wildtype(cohort):
    assert len({scan.scanner for scan in _scans(cohort)}) == 3
    assert {patient.profile.genotype.idh for patient in cohort} == {"wildtype"}


def test_treatment_adds_no_living_tumour(cohort):
    for patient in cohort:
        plain = plan_visits(patient.profile, visits=2, post_treatment=True)
        for visit, before in zip(patient.planned, plain, strict=True):
            now, then = habitat_volumes_ml(visit.glioma), habitat_volumes_ml(before.glioma)
            for name in ("hypervascular", "hypovascular"):
                assert now[name] == pytest.approx(then[name], abs=1e-6)
            assert now["nonviable"] >= then["nonviable"] - 1e-6


def test_measured_values_scatter_by_their_standard_errors():
    visit = plan_visits(simulate_habitat_cohort(1, seed=5)[0].profile, visits=1,
                        post_treatment=False)[0]  # fmt: skip
    truth = lay_lesion(visit.glioma, TISSUES, seed=1, edge=box_edge(visit.glioma.volume_ml))
    noise = noise_at(60.0)
    seen = [
        measure_lesion(truth, white_cbv=1.9, noise=noise, seed=1, names=(str(n),)) for n in range(6)
    ]

    for column in (0, 1):
        values = np.stack([value[:, column] for value, _ in seen])
        errors = np.stack([error[:, column] for _, error in seen])
        middle = np.median(values, axis=1, keepdims=True)  # the error of the reference is shared
        scatter = (values / middle).std(axis=0, ddof=1) / (errors / middle).mean(axis=0)
        assert np.sqrt(np.mean(scatter**2)) == pytest.approx(1.0, abs=0.05)


def test_another_fate_is_another_outcome_of_the_same_scans(cohort):
    patient = cohort[0]

    fates = {other_outcome(patient, seed=n).progression_days for n in range(8)}

    assert len(fates) > 2
    assert other_outcome(patient, seed=3) == other_outcome(patient, seed=3)


def test_the_untreated_mass_has_all_habitats(cohort):
    scan = scan_before_treatment(cohort[0], seed=5)

    assert scan.visit.course == "preoperative"
    assert set(np.unique(scan.habitat)) == {1, 2, 3}


def test_no_patients_are_refused():
    with pytest.raises(MetadataError):
        simulate_habitat_cohort(0, seed=1)

"""Outcomes: survival as in published cohorts, and hazards that do what is written."""

import csv
import dataclasses

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.course import plan_visits
from bolus.simulate.effects import effect
from bolus.simulate.growth import Glioma
from bolus.simulate.outcomes import draw_outcome, habitat_log_hazard_ratio, log_hazard_ratio
from bolus.simulate.profile import draw_profile


@pytest.fixture(scope="module")
def patients():
    return [draw_profile(41, number) for number in range(2000)]


@pytest.fixture(scope="module")
def outcomes(patients):
    return [draw_outcome(p, plan_visits(p, visits=1, post_treatment=False)) for p in patients]


@pytest.fixture(scope="module")
def treated(patients):
    visits = [plan_visits(p, visits=3, post_treatment=True) for p in patients[:1000]]
    return [
        (patient, planned, draw_outcome(patient, planned))
        for patient, planned in zip(patients, visits, strict=False)
    ]


def _kaplan_meier(days, events):
    """Return the days on which the estimate changes, and the estimate."""
    days, events = np.asarray(days), np.asarray(events, bool)
    when = np.unique(days[events])
    steps = [1 - (events & (days == day)).sum() / (days >= day).sum() for day in when]
    return when, np.cumprod(steps)


def _median(days, events):
    when, alive = _kaplan_meier(days, events)
    return float(when[alive <= 0.5][0]) if (alive <= 0.5).any() else np.inf


def _survival(patients, outcomes, keep):
    chosen = [outcome for p, outcome in zip(patients, outcomes, strict=True) if keep(p)]
    return [o.survival_days for o in chosen], [o.died for o in chosen]


def _wildtype(patient):
    return patient.genotype.idh == "wildtype"


def test_wildtype_patients_live_as_long_as_at_ucsf(patients, outcomes):
    # 539 d at UCSF
    assert 450 < _median(*_survival(patients, outcomes, _wildtype)) < 630


@pytest.mark.reference
def test_quartiles_of_wildtype_survival_are_those_of_ucsf(patients, outcomes, reference_data):
    name = "data/ucsf_pdgm_metadata/UCSF-PDGM-metadata_v5.csv"
    with (reference_data / name).open(encoding="utf-8-sig") as file:
        rows = [r for r in csv.DictReader(file) if r["IDH"] == "wildtype" and r["OS"].isdigit()]
    when, alive = _kaplan_meier(
        [int(row["OS"]) for row in rows], [row["1-dead 0-alive"] == "1" for row in rows]
    )
    drawn_when, drawn = _kaplan_meier(*_survival(patients, outcomes, _wildtype))

    for level in (0.75, 0.5, 0.25):
        published = when[alive <= level][0]
        assert drawn_when[drawn <= level][0] == pytest.approx(published, rel=0.2)


def test_the_median_of_mutants_is_not_reached_in_three_years(patients, outcomes):
    days, died = _survival(patients, outcomes, lambda p: not _wildtype(p))
    when, alive = _kaplan_meier(days, died)

    assert _median(days, died) > 1095
    assert 0.75 < alive[when <= 1095][-1] < 0.95


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (lambda p: p.genotype.mgmt_methylated, lambda p: not p.genotype.mgmt_methylated),
        (lambda p: p.extent == "gross total", lambda p: p.extent == "biopsy"),
        (lambda p: p.age_years < 55, lambda p: p.age_years > 65),
        (lambda p: p.kps >= 90, lambda p: p.kps <= 70),
    ],
    ids=["methylated", "resected", "young", "well"],
)
def test_known_factors_lengthen_survival_of_the_wildtype(patients, outcomes, better, worse):
    longer = _median(*_survival(patients, outcomes, lambda p: _wildtype(p) and better(p)))
    shorter = _median(*_survival(patients, outcomes, lambda p: _wildtype(p) and worse(p)))

    assert longer > 1.05 * shorter


def test_hazards_are_proportional_with_the_stated_baseline(patients, outcomes):
    # residuals of Cox and Snell: exp(x) (T / scale)^shape is exponential with mean 1, censored
    shape, scale_d = effect("baseline", "death shape"), effect("baseline", "death scale")
    residual = np.array([
        np.exp(log_hazard_ratio(patient)) * (outcome.survival_days / scale_d) ** shape
        for patient, outcome in zip(patients, outcomes, strict=True)
    ])  # fmt: skip
    died = np.array([outcome.died for outcome in outcomes])
    wild = np.array([_wildtype(patient) for patient in patients])

    for group in (wild, ~wild, residual >= 0):
        rate = died[group].sum() / residual[group].sum()
        assert rate == pytest.approx(1, abs=3.5 / np.sqrt(died[group].sum()))


def test_the_hazard_of_death_is_that_of_the_published_model():
    patient = draw_profile(41, 0)
    older = dataclasses.replace(patient, age_years=patient.age_years + 10)

    assert log_hazard_ratio(older) - log_hazard_ratio(patient) == pytest.approx(
        10 * np.log(1.031), rel=1e-9
    )


def test_progression_never_comes_after_the_end(outcomes, treated):
    for outcome in (*outcomes, *(outcome for _, _, outcome in treated)):
        assert 0 < outcome.progression_days <= outcome.survival_days
        if not outcome.progressed:
            assert outcome.progression_days == outcome.survival_days


def test_progression_of_the_wildtype_comes_after_about_seven_months(patients, outcomes):
    # 6.9 months with chemoradiotherapy, Stupp et al., NEJM 2005;352:987
    chosen = [o for p, o in zip(patients, outcomes, strict=True) if _wildtype(p)]
    median = _median([o.progression_days for o in chosen], [o.progressed or o.died for o in chosen])

    assert 150 < median < 260


def test_patients_were_alive_at_every_visit_they_attended(treated):
    for _, visits, outcome in treated:
        assert outcome.survival_days > max(v.day for v in visits if v.attended)


def test_no_one_progressed_before_a_scan_that_found_none(treated):
    for _, visits, outcome in treated:
        quiet = [v.day for v in visits if v.attended and v.course in ("stable", "treatment effect")]
        assert outcome.progression_days > max(quiet, default=0)


def test_growing_habitats_bring_progression_and_death_forward(treated):
    grown, still = [], []
    for patient, visits, outcome in treated:
        if _wildtype(patient) and visits[1].attended:
            change = habitat_log_hazard_ratio(visits[0].glioma, visits[1].glioma)
            (grown if change > np.log(2) else still).append(outcome)

    assert len(grown) > 40
    for days, event in (("progression_days", "progressed"), ("survival_days", "died")):
        early, late = (
            _median([getattr(o, days) for o in group], [getattr(o, event) for o in group])
            for group in (grown, still)
        )
        assert early < 0.9 * late


def test_the_ratio_of_habitats_is_capped_where_the_prospective_score_is():
    # score 2: 10.02; hypovascular alone: 4.14 (Moon et al., 2024)
    first = Glioma(volume_ml=0.1, necrosis=0.0, nonviable=0.0, hypervascular=0.0)
    cells = dataclasses.replace(first, volume_ml=50.0)
    both = dataclasses.replace(cells, hypervascular=0.5)

    assert np.exp(habitat_log_hazard_ratio(first, cells)) == pytest.approx(4.14, rel=0.01)
    assert np.exp(habitat_log_hazard_ratio(first, both)) == pytest.approx(10.02, rel=0.01)
    assert habitat_log_hazard_ratio(both, first) == 0


def test_nonviable_growth_alone_brings_no_hazard():
    first = Glioma(volume_ml=4.0, necrosis=0.0, nonviable=0.5, hypervascular=0.0)
    swollen = dataclasses.replace(first, volume_ml=8.0, nonviable=0.25, radiation=0.5)

    assert habitat_log_hazard_ratio(first, swollen) == pytest.approx(0, abs=1e-12)


def test_a_follow_up_without_visits_is_refused(patients):
    with pytest.raises(MetadataError, match="no visit"):
        draw_outcome(patients[0], ())


def test_the_same_patient_has_the_same_outcome(patients, outcomes):
    visits = plan_visits(patients[7], visits=1, post_treatment=False)

    assert draw_outcome(patients[7], visits) == outcomes[7]

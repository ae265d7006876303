"""The cohort that networks train on: who, where, what is missing, and what is measured."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from bolus.core import CURVE_REGIONS, CurveCohort
from bolus.errors import MetadataError
from bolus.metrics import auc_with_interval
from bolus.simulate import Glioma, draw_profile, held_out_scanner, simulate_curve_cohort
from bolus.simulate.curve_cohort import _SHAPE
from bolus.simulate.curve_effects import cohort_effects, effects_markdown, kinds_of
from bolus.simulate.curve_voxels import tumour_volumes_ml
from bolus.simulate.fleet import draw_scanners
from bolus.simulate.profile import mean_tumour_cbv
from bolus.simulate.tissues import TISSUE_LABELS

_SEED = 5


@lru_cache(maxsize=1)
def _cohort() -> CurveCohort:
    return simulate_curve_cohort(100, seed=_SEED, scanners=4, voxels=200)


def test_a_patient_is_the_same_whatever_the_count():
    few = simulate_curve_cohort(3, seed=_SEED, scanners=4, voxels=200)
    for one, other in zip(few.exams, _cohort().exams, strict=False):
        assert one.key == other.key
        np.testing.assert_array_equal(one.voxels, other.voxels)
        np.testing.assert_array_equal(one.regions, other.regions)
        assert (one.ncbv, one.labels) == (other.ncbv, other.labels)


def test_another_seed_has_other_subjects_and_other_curves():
    other = simulate_curve_cohort(1, seed=_SEED + 1, voxels=60).exams[0]
    assert other.key.subject not in _cohort().subjects


def test_patients_are_dealt_to_scanners_with_protocols_of_their_own():
    cohort = _cohort()
    counts = {site: cohort.sites.count(site) for site in set(cohort.sites)}
    assert len(counts) == 4
    assert set(counts.values()) == {25}
    clocks = {(len(e.time), e.time.seconds[1], e.acquisition.echo_time_s) for e in cohort.exams}
    assert len(clocks) == 4


def test_the_whole_is_the_mean_of_its_voxels_and_of_its_parts():
    exam = simulate_curve_cohort(1, seed=_SEED, voxels=200, missing=0.0).exams[0]
    whole = exam.regions[CURVE_REGIONS.index("whole")]
    np.testing.assert_allclose(whole, exam.voxels.mean(axis=0), rtol=1e-5)
    parts = exam.regions[:3]
    inside = parts[np.isfinite(parts[:, 0])]
    assert (whole >= inside.min(axis=0) * 0.999).all()
    assert (whole <= inside.max(axis=0) * 1.001).all()


def test_arteries_fall_more_than_white_matter():
    for exam in _cohort().exams[:20]:
        aif = exam.regions[CURVE_REGIONS.index("aif")]
        if np.isfinite(aif).all():
            late = slice(5, None)  # the first frames are not in the steady state
            assert aif[late].min() / aif[5] < exam.reference[late].min() / exam.reference[5] - 0.05


def test_about_the_share_asked_for_is_missing():
    exams = simulate_curve_cohort(60, seed=2, voxels=50, missing=0.3).exams
    lost = [
        np.isnan(e.regions[CURVE_REGIONS.index(n), 0]) for e in exams for n in ("oedema", "aif")
    ]
    unknown = [name not in e.labels for e in exams for name in ("idh", "codeleted", "grade")]
    assert 0.2 < np.mean(lost + unknown) < 0.4  # 300 draws: four standard errors around 0.3
    assert all(np.isfinite(e.regions[CURVE_REGIONS.index("whole")]).all() for e in exams)
    assert all(np.isfinite(e.ncbv) and np.isfinite(e.reference).all() for e in exams)


def test_nothing_is_lost_on_request_but_regions_that_are_not_there():
    exams = simulate_curve_cohort(20, seed=_SEED, voxels=100, missing=0.0).exams
    assert all(len(e.labels) == 3 for e in exams)
    assert all(np.isfinite(e.regions[CURVE_REGIONS.index("aif")]).all() for e in exams)


def test_labels_age_and_sex_are_those_of_the_profile():
    for number, exam in enumerate(_cohort().exams[:20]):
        profile = draw_profile(_SEED, number)
        assert exam.labels.get("idh", profile.genotype.idh) == profile.genotype.idh
        assert exam.labels.get("grade", str(profile.genotype.grade)) == str(profile.genotype.grade)
        assert (exam.age_years, exam.sex) == (profile.age_years, profile.sex)
        assert set(np.unique(exam.tissue)) <= set(TISSUE_LABELS)


def test_grade_2_rarely_enhances_and_wildtype_does():
    def share(idh: str, grade: str) -> float:
        exams = [e for e in _cohort().exams if (e.labels.get("idh"), e.labels.get("grade")) ==
                 (idh, grade)]  # fmt: skip
        return float(np.mean([np.isfinite(e.regions[0, 0]) for e in exams]))

    assert share("mutant", "2") < 0.5
    assert share("wildtype", "4") > 0.85


def test_measured_ncbv_follows_the_truth_and_tells_idh_as_published():
    exams = _cohort().exams
    profiles = [draw_profile(_SEED, n) for n in range(len(exams))]
    truth = [mean_tumour_cbv(p.glioma, p.tissues) / p.tissues["wm"].cbv for p in profiles]
    measured = np.array([exam.ncbv for exam in exams])
    assert np.corrcoef(np.log(truth), np.log(measured))[0, 1] > 0.85
    wildtype = np.array([p.genotype.idh == "wildtype" for p in profiles])
    found = auc_with_interval(measured, wildtype)
    assert found.low < 0.85 < found.high + 0.02  # published: about 0.85


def test_ncbv_does_not_depend_on_the_gain():
    first = draw_scanners(1, seed=1, shape=_SHAPE)[0]
    louder = replace(first, gain=7.0 * first.gain)
    one, other = (
        simulate_curve_cohort(1, seed=3, scanners=[scanner], voxels=80).exams[0]
        for scanner in (first, louder)
    )
    np.testing.assert_allclose(other.voxels, 7.0 * one.voxels, rtol=1e-3)
    assert other.ncbv == pytest.approx(one.ncbv, rel=1e-3)


def test_the_held_out_scanner_is_outside_every_fleet():
    held_out, fleet = held_out_scanner(), draw_scanners(60, seed=1, shape=_SHAPE)
    echoes = [scanner.dsc.echo_times_s[0] for scanner in fleet]
    intervals = [scanner.dsc.repetition_time_s for scanner in fleet]
    assert held_out.dsc.echo_times_s[0] < min(echoes)
    assert held_out.dsc.repetition_time_s > max(intervals)
    at_3t = [s.disturbances.snr for s in fleet if s.dsc.field_strength_t == 3.0]
    assert held_out.disturbances.snr < min(at_3t)
    assert held_out.dsc.flip_angle_deg not in {s.dsc.flip_angle_deg for s in fleet}


def test_volumes_sum_to_the_mass_and_what_lies_around_it():
    glioma = Glioma(volume_ml=20.0, necrosis=0.2, nonviable=0.1, oedema_ml=30.0)
    volumes = tumour_volumes_ml(glioma)
    mass = sum(volumes[name] for name in ("necrosis", "nonviable", "hypovascular", "hypervascular"))
    assert mass == pytest.approx(20.0)
    assert volumes["oedema"] == 30.0
    wider = tumour_volumes_ml(replace(glioma, infiltration_mm=2 * glioma.infiltration_mm))
    assert wider["infiltrated"] > 2 * volumes["infiltrated"]


@pytest.mark.parametrize(
    "asked",
    [{"patients": 0}, {"voxels": 10}, {"missing": 1.5}, {"scanners": []}, {"scanners": 0}],
)
def test_what_cannot_be_simulated_is_refused(asked):
    with pytest.raises(MetadataError):
        simulate_curve_cohort(**({"patients": 1, "seed": 1} | asked))


def test_effects_are_measured_on_the_exams_and_permuted_labels_show_none():
    cohort = _cohort()
    effects = {row.measure: row for row in cohort_effects(cohort)}
    assert effects["age and sex"].agrees
    mixed = np.random.default_rng(1).permutation([e.labels.get("idh", "") for e in cohort.exams])
    shuffled = CurveCohort(
        exams=tuple(
            replace(exam, labels={"idh": str(label)} if label else {})
            for exam, label in zip(cohort.exams, mixed, strict=True)
        )
    )
    for row in cohort_effects(shuffled):
        assert row.simulated.low < 0.58
    kinds = kinds_of(cohort)
    assert sum(kind.count for kind in kinds) <= len(cohort.exams)
    assert len(effects_markdown(tuple(effects.values()), kinds).splitlines()) == 10 + len(kinds)

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.dce_curves import simulate_dce_curves


@pytest.fixture(scope="module")
def exams():
    return simulate_dce_curves(2, seed=2, scanners=2, tumour=40, normal=60)


def test_leaking_voxels_keep_enhancing_and_normal_ones_do_not(exams):
    for exam in exams:
        start = exam.signal[:, :4].mean(axis=1)
        late = exam.signal[:, -10:].mean(axis=1) / start - 1
        plain = exam.normal & ~exam.artery
        assert (exam.ktrans_per_min[plain] == 0).all()
        assert np.isnan(exam.ktrans_per_min[exam.artery]).all()
        leaky = np.nan_to_num(exam.ktrans_per_min) > 0.02
        assert leaky.any()
        assert late[leaky].mean() > 2 * late[plain].mean() > 0


def test_arteries_enhance_most_and_the_plasma_curve_is_empty_before_the_bolus(exams):
    for exam in exams:
        rise = exam.signal.max(axis=1) / exam.signal[:, :4].mean(axis=1) - 1
        assert rise[exam.artery].mean() > 1.5 * rise[exam.normal & ~exam.artery].mean()
        assert (exam.plasma[:4] == 0).all()
        assert 3 < exam.plasma.max() < 30


def test_the_first_patients_are_the_same_whatever_the_count(exams):
    alone = simulate_dce_curves(1, seed=2, scanners=2, tumour=40, normal=60)[0]
    np.testing.assert_array_equal(alone.signal, exams[0].signal)
    np.testing.assert_array_equal(alone.vfa, exams[0].vfa)
    assert alone.subject == exams[0].subject != exams[1].subject


def test_a_cohort_that_cannot_be_is_refused():
    for wrong in ({"patients": 0}, {"scanners": ()}, {"tumour": 2}, {"scanners": 0}):
        with pytest.raises(MetadataError):
            simulate_dce_curves(**({"patients": 1, "seed": 1} | wrong))

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.metrics.calibration_of_intervals import conformal_reach
from bolus.metrics.coverage import LEVELS, interval_coverage


def test_intervals_of_a_wrong_width_hold_their_share_after_calibration():
    random = np.random.default_rng(1)
    truth = random.standard_t(3, 40000)
    std = np.full(20000, 0.3)
    reach = conformal_reach(truth[:20000], np.zeros(20000), std, levels=LEVELS)
    for level, far in zip(LEVELS, reach, strict=True):
        ends = far * std
        held = interval_coverage(truth[20000:], -ends, ends, level=level)
        assert held.covered == pytest.approx(level, abs=0.01)


def test_what_is_right_reaches_as_far_as_a_normal_distribution():
    random = np.random.default_rng(2)
    truth = random.standard_normal(20000)
    reach = conformal_reach(truth, np.zeros(20000), np.ones(20000), levels=(0.5, 0.9))
    np.testing.assert_allclose(reach, [0.674, 1.645], atol=0.03)


def test_what_is_not_finite_is_left_out():
    truth = np.append(np.arange(1.0, 20.0), [np.nan, 99.0])
    std = np.append(np.ones(20), np.nan)
    assert conformal_reach(truth, np.zeros(21), std, levels=(0.9,)).tolist() == [18.0]


@pytest.mark.parametrize(("count", "level"), [(9, 0.95), (100, 0.0), (100, 1.0)])
def test_too_few_or_no_share_are_refused(count, level):
    with pytest.raises(MetadataError):
        conformal_reach(np.ones(count), np.zeros(count), np.ones(count), levels=(level,))

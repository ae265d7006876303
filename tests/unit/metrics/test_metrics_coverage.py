"""Uncertainty against error: what must come out where the distribution is known."""

import numpy as np
import pytest
from scipy import integrate, stats

from bolus.core import stream
from bolus.errors import MetadataError
from bolus.metrics.coverage import (
    calibration_error,
    crps_normal,
    interval_coverage,
    nll_normal,
    normal_coverage,
    sparsification,
)

RANDOM = stream(3, "coverage")
SPREAD = RANDOM.uniform(0.2, 2.0, 20_000)
TRUTH = RANDOM.normal(0, 1, 20_000)
MEAN = TRUTH + SPREAD * RANDOM.normal(0, 1, 20_000)


def test_a_true_distribution_covers_what_it_claims():
    rows = normal_coverage(TRUTH, MEAN, SPREAD)

    assert [row.covered for row in rows] == pytest.approx([0.5, 0.8, 0.9, 0.95], abs=0.01)
    assert all(row.low95 < row.level < row.high95 for row in rows)
    assert calibration_error(rows) < 0.006


def test_half_the_spread_covers_less_and_its_error_is_seen():
    rows = normal_coverage(TRUTH, MEAN, SPREAD / 2)

    assert rows[2].covered == pytest.approx(2 * stats.norm.cdf(1.645 / 2) - 1, abs=0.01)
    assert calibration_error(rows) > 0.2


def test_the_score_is_the_integral_that_defines_it():
    def squared(y):
        return (stats.norm.cdf(y, loc=0.3, scale=0.7) - (y >= 1.1)) ** 2

    expected = sum(integrate.quad(squared, *ends)[0] for ends in ((-9, 1.1), (1.1, 9)))

    many = np.ones(10)
    assert crps_normal(1.1 * many, 0.3 * many, 0.7 * many) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("score", [crps_normal, nll_normal])
def test_the_true_spread_scores_best(score):
    own = score(TRUTH, MEAN, SPREAD)

    assert own < score(TRUTH, MEAN, 0.6 * SPREAD)
    assert own < score(TRUTH, MEAN, 1.7 * SPREAD)


def test_an_order_that_is_known_is_between_perfect_and_random():
    error = MEAN - TRUTH

    perfect = sparsification(error, np.abs(error))
    told = sparsification(error, SPREAD)
    blind = sparsification(error, RANDOM.uniform(size=len(error)))

    assert perfect.area == pytest.approx(0, abs=1e-12)
    assert perfect.area < told.area < 0.8 * blind.area
    assert blind.area == pytest.approx(blind.random, rel=0.05)
    assert perfect.spearman == pytest.approx(1)
    assert told.spearman > 0.3
    assert abs(blind.spearman) < 0.03


def test_voxels_without_an_answer_are_left_out():
    hole = SPREAD.copy()
    hole[:5000] = np.nan

    assert interval_coverage(TRUTH, MEAN - hole, MEAN + hole, level=0.68).count == 15_000
    assert crps_normal(TRUTH, MEAN, hole) == crps_normal(TRUTH[5000:], MEAN[5000:], SPREAD[5000:])


def test_too_few_voxels_are_refused():
    with pytest.raises(MetadataError, match="9 voxels"):
        interval_coverage(np.zeros(9), np.zeros(9), np.ones(9), level=0.9)

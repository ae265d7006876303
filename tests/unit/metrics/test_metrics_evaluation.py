"""Figures of a probability, held against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from bolus.core import stream
from bolus.errors import MetadataError
from bolus.metrics.evaluation import average_precision, best_threshold, performance, wilson

RANDOM = stream(1, "evaluation")
TRUTH = RANDOM.random(120) < 0.3
CHANCE = np.clip(0.3 + 0.25 * TRUTH + 0.15 * RANDOM.standard_normal(120), 0.01, 0.99)
SITES = [f"s{n % 2}" for n in range(120)]


def found(**more):
    return performance("x", CHANCE, TRUTH, **({"threshold": 0.4, "sites": SITES, "seed": 1} | more))


def test_areas_equal_scikit_learns():
    assert found().auc.value == pytest.approx(roc_auc_score(TRUTH, CHANCE))
    assert found().pr_auc.value == pytest.approx(average_precision_score(TRUTH, CHANCE))


def test_sensitivity_and_specificity_are_counts():
    called = CHANCE >= 0.4

    assert found().sensitivity.value == (called & TRUTH).sum() / TRUTH.sum()
    assert found().specificity.value == (~called & ~TRUTH).sum() / (~TRUTH).sum()


def test_sites_are_told_apart():
    own = np.array(SITES) == "s1"

    assert set(found().by_site) == {"s0", "s1"}
    assert found().by_site["s1"].value == pytest.approx(roc_auc_score(TRUTH[own], CHANCE[own]))


def test_a_site_of_one_class_has_no_area():
    sites = ["odd" if one else "rest" for one in (np.arange(120) < 5) & ~TRUTH]

    assert "odd" not in found(sites=sites).by_site


def test_the_threshold_separates_best():
    grid = np.linspace(0.01, 0.99, 500)
    index = [(CHANCE[TRUTH] >= t).mean() + (CHANCE[~TRUTH] < t).mean() for t in grid]
    own = best_threshold(CHANCE, TRUTH)

    assert (CHANCE[TRUTH] >= own).mean() + (CHANCE[~TRUTH] < own).mean() >= max(index) - 1e-12


def test_a_constant_probability_has_a_threshold():
    assert best_threshold(np.full(4, 0.3), np.array([True, False, True, False])) == 0.3


def test_the_bootstrap_is_of_the_seed():
    one, again, other = (average_precision(CHANCE, TRUTH, seed=s) for s in (1, 1, 2))

    assert (one.low, one.high) == (again.low, again.high)
    assert one.low != other.low
    assert one.low < one.value < one.high


def test_wilsons_interval_is_the_published_one():
    """Newcombe, Stat Med 1998;17:857, table I: 81 of 263 gives 0.2553 to 0.3662."""
    share = wilson(81, 263)

    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)


def test_lengths_must_fit():
    with pytest.raises(MetadataError, match="sites"):
        found(sites=["a"])

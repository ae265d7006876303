"""Holm's correction against another implementation and by its promise."""

import numpy as np
import pytest

from bolus.metrics.multiplicity import holm


def test_it_agrees_with_statsmodels():
    from statsmodels.stats.multitest import multipletests

    values = np.random.default_rng(1).random(20) ** 3
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])


def test_a_test_without_an_answer_is_not_counted():
    corrected = holm([0.02, float("nan"), 0.04])
    assert corrected[0] == pytest.approx(0.04)
    assert np.isnan(corrected[1])
    assert corrected[2] == pytest.approx(0.04)


def test_no_tests_give_nothing():
    assert holm([]) == ()

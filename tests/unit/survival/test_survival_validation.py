"""Optimism, calibration, Brier score and net benefit: other libraries, and cohorts with a truth."""

import warnings

import numpy as np
import pytest
from survival_cohort import LOG_RATIOS, NAMES, draw, oracle, target_of

from bolus.errors import Code, MetadataError
from bolus.survival import (
    brier_at,
    calibration_at,
    fit_cox,
    harrell_c,
    net_benefit_at,
    optimism_corrected_c,
)


def noisy(seed, subjects, columns=12):
    """Return covariates of which only the first matters."""
    random = np.random.default_rng(seed)
    table = random.normal(size=(subjects, columns))
    event = random.exponential(300 * np.exp(-0.7 * table[:, 0]))
    end = random.uniform(200, 900, subjects)
    return table, target_of(np.minimum(event, end) + 0.01, event <= end)


def test_the_corrected_index_is_that_of_new_patients():
    new_table, new_target = noisy(999, 3000)
    names = [f"x{i}" for i in range(12)]
    apparent, corrected, new = [], [], []
    for seed in range(8):
        table, target = noisy(seed, 80)
        found = optimism_corrected_c(table, names, target, resamples=25, seed=seed)
        model = fit_cox(table, names, target, solver="newton")
        apparent.append(found.apparent)
        corrected.append(found.corrected)
        new.append(harrell_c(model.score(new_table), new_target))

    assert np.mean(apparent) > np.mean(new) + 0.04
    assert np.mean(corrected) == pytest.approx(np.mean(new), abs=0.02)


def test_the_correction_has_an_interval_and_says_what_it_did():
    table, target = draw()

    found = optimism_corrected_c(table, NAMES, target, resamples=60, seed=3)

    assert found.low < found.corrected < found.high
    assert found.corrected == pytest.approx(found.apparent - found.optimism)
    assert (found.resamples, found.failed) == (60, 0)
    assert found == optimism_corrected_c(table, NAMES, target, resamples=60, seed=3)


@pytest.mark.parametrize("penalty", [0.2, "firth"])
def test_a_rare_habitat_fails_in_many_resamples_without_a_penalty(penalty):
    rare = np.zeros((40, 1))
    rare[[0, 2, 5]] = 1.0
    target = target_of(np.arange(1.0, 41), np.arange(40) % 2 == 0)

    with pytest.raises(MetadataError) as refused:
        optimism_corrected_c(rare[:, [0, 0]], ["a", "b"], target, resamples=20, seed=1)
    found = optimism_corrected_c(rare, ["rare"], target, resamples=20, seed=1, penalty=penalty)

    assert refused.value.code is Code.OUTCOMES_TOO_FEW
    assert found.failed < 5


def true_survival(table, days):
    """Return the chance by which `draw` makes its patients."""
    hazard = np.exp((table - [0.0, 60.0, 40.0, 0.4]) @ LOG_RATIOS) / 400
    return np.exp(-hazard * days)


def test_the_true_chance_is_calibrated_and_a_doubled_effect_is_not():
    table, target = draw(seed=8, subjects=3000)
    truth = true_survival(table, 300.0)
    too_sure = np.exp(-np.exp(2 * np.log(-np.log(truth)) - np.log(-np.log(truth)).mean()))

    good, bad = (calibration_at(s, target, 300.0) for s in (truth, too_sure))

    assert good.slope_low < 1 < good.slope_high
    assert good.ratio == pytest.approx(1, abs=0.05)
    assert sum(g.low <= g.predicted <= g.high for g in good.groups) >= 4
    assert bad.slope == pytest.approx(0.5, abs=0.05)
    assert sum(g.count for g in good.groups) == 3000


def test_brier_is_that_of_scikit_survival():
    table, target = draw(tied=False)
    days = np.array([100.0, 250.0, 500.0])
    chance = np.stack([true_survival(table, day) for day in days], axis=1)
    known = oracle("sksurv.util").Surv.from_arrays(target.event, target.days)

    theirs = oracle("sksurv.metrics").brier_score(known, known, chance, days)[1]
    ours = [brier_at(chance[:, i], target, day) for i, day in enumerate(days)]

    assert [found.value for found in ours] == pytest.approx(list(theirs), abs=1e-12)
    assert all(found.scaled > 0.05 for found in ours)


def test_the_brier_score_of_the_curve_itself_is_the_reference():
    _, target = draw()
    share = 1 - np.mean(target.days < 0)  # one for everybody
    same = brier_at(np.full(target.count, share), target, 250.0)

    assert same.scaled < 0
    assert brier_at(np.zeros(target.count), target_of(target.days, np.ones(300)), 2000).value == 0


def test_net_benefit_is_that_of_dcurves():
    dcurves, pandas = oracle("dcurves"), oracle("pandas")
    table, target = draw()
    risk = 1 - true_survival(table, 250.0)
    thresholds = np.array([0.1, 0.25, 0.4, 0.6])
    frame = pandas.DataFrame({"days": target.days, "event": target.event * 1, "risk": risk})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = dcurves.dca(
            frame, "event", ["risk"], thresholds=thresholds, time=250.0,
            time_to_outcome_col="days",
        )  # fmt: skip

    for model, ours in (("risk", risk), ("all", np.ones(300))):
        expected = theirs[theirs.model == model].net_benefit.to_numpy()
        np.testing.assert_allclose(
            net_benefit_at(ours, target, 250.0, thresholds), expected, atol=1e-6
        )


def test_nobody_above_a_threshold_is_worth_nothing_and_nobody_followed_is_unknown():
    target = target_of([100, 200, 300, 400], [0, 1, 0, 1])
    risk = np.array([0.9, 0.2, 0.2, 0.2])

    found = net_benefit_at(risk, target, 150.0, np.array([0.1, 0.5, 0.95]))

    assert found[2] == 0
    assert np.isnan(found[1])  # the only one above was followed to day 100
    assert np.isfinite(found[0])


def test_chances_out_of_range_are_refused():
    _, target = draw(subjects=20)

    for call in (
        lambda: brier_at(np.full(20, 1.2), target, 100.0),
        lambda: calibration_at(np.full(20, -0.1), target, 100.0),
        lambda: net_benefit_at(np.full(20, 1.2), target, 100.0, np.array([0.5])),
        lambda: net_benefit_at(np.full(20, 0.2), target, 100.0, np.array([1.0])),
    ):
        with pytest.raises(MetadataError) as refused:
            call()
        assert refused.value.code is Code.ARGUMENT_INVALID


def test_calibration_after_all_follow_up_is_refused():
    _, target = draw(subjects=40)

    with pytest.raises(MetadataError) as refused:
        calibration_at(np.linspace(0.1, 0.9, 40), target, 5000.0)

    assert refused.value.code is Code.OUTCOMES_TOO_FEW

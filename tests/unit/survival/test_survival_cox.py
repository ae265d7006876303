"""Cox's model against two other libraries, by hand, and by laws."""

import warnings

import numpy as np
import pytest
from survival_cohort import LOG_RATIOS, NAMES, draw, oracle, target_of

from bolus.errors import Code, LeakageError, MetadataError, ResourceError
from bolus.survival import fit_cox, landmark, proportional_hazards
from bolus.survival.risk_sets import RiskSets


def standardised(table):
    return (table - table.mean(axis=0)) / table.std(axis=0, ddof=1)


@pytest.mark.parametrize(("solver", "within"), [("lifelines", 1e-4), ("newton", 1e-9)])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("by_sex", [False, True])
def test_coefficients_and_errors_are_those_of_statsmodels(late, by_sex, solver, within):
    table, target = draw(late=late)
    strata = np.array(["f", "m"])[np.arange(target.count) % 2] if by_sex else None
    hazard_regression = oracle("statsmodels.duration.hazard_regression")

    model = fit_cox(table, NAMES, target, strata=strata, solver=solver)
    theirs = hazard_regression.PHReg(
        target.days, table, status=target.event, ties="efron", strata=strata,
        entry=target.entry if late else None,
    ).fit(disp=0)  # fmt: skip

    errors = np.sqrt(np.diag(model.covariance))
    assert (np.abs(model.log_hazard_ratios - theirs.params) < within * errors).all()
    np.testing.assert_allclose(errors, theirs.bse, rtol=within)
    assert model.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)


def test_both_solvers_agree_with_a_penalty():
    table, target = draw(late=True)

    reported, fast = (
        fit_cox(table, NAMES, target, penalty=0.1, solver=s) for s in ("lifelines", "newton")
    )

    errors = np.sqrt(np.diag(fast.covariance))
    assert (np.abs(fast.log_hazard_ratios - reported.log_hazard_ratios) < 1e-3 * errors).all()


def test_the_slope_of_the_likelihood_is_its_difference():
    table, target = draw(late=True, subjects=80)
    sets = RiskSets(standardised(table), target.days, target.event, target.entry)
    at, step = np.array([0.3, -0.2, 0.1, 0.4]), 1e-5

    numeric = [
        (sets.at(at + step * unit).value - sets.at(at - step * unit).value) / (2 * step)
        for unit in np.eye(4)
    ]
    curved = [
        (sets.at(at - step * unit).score - sets.at(at + step * unit).score) / (2 * step)
        for unit in np.eye(4)
    ]

    np.testing.assert_allclose(sets.at(at).score, numeric, atol=1e-5)
    np.testing.assert_allclose(sets.at(at).information, curved, atol=1e-4)


def test_survival_is_that_of_lifelines_on_days_of_events():
    lifelines = oracle("lifelines")
    pandas = oracle("pandas")
    table, target = draw()
    frame = pandas.DataFrame(table, columns=list(NAMES)).assign(
        days=target.days, event=target.event
    )
    model = fit_cox(table, NAMES, target)
    asked = model.baseline_days[[3, 40, -1]]

    theirs = lifelines.CoxPHFitter().fit(frame, "days", "event")

    expected = theirs.predict_survival_function(frame.iloc[:20], times=asked).to_numpy().T
    np.testing.assert_allclose(model.survival(table[:20], asked), expected, atol=1e-5)


def test_the_baseline_of_late_entries_counts_who_was_there():
    """By hand, without effect of the covariate: 1/2 on day 5 (two there), then 1/3, 1/2, 1."""
    target = target_of([5, 6, 8, 9, 9.5], [1, 0, 1, 1, 1], entry=[0, 0, 5, 5.5, 5.5])
    model = fit_cox(np.array([[0.0], [1], [0], [1], [0.5]]), ["x"], target, penalty=1e6)

    np.testing.assert_allclose(
        model.baseline_cumulative_hazard[0], np.cumsum([1 / 2, 1 / 3, 1 / 2, 1]), rtol=1e-4
    )


def test_survival_starts_at_one_and_is_unknown_after_follow_up():
    table, target = draw()
    model = fit_cox(table, NAMES, target)

    chance = model.survival(table[:5], np.array([0.0, 200.0, 5000.0]))

    assert (chance[:, 0] == 1).all()
    assert ((chance[:, 1] > 0) & (chance[:, 1] < 1)).all()
    assert np.isnan(chance[:, 2]).all()


def test_true_hazard_ratios_lie_in_their_intervals():
    inside = []
    for seed in range(150):
        table, target = draw(seed=100 + seed, subjects=400, late=True)
        rows = fit_cox(table, NAMES, target, solver="newton").hazard_ratios()
        inside += [
            r.low <= np.exp(beta) <= r.high for r, beta in zip(rows, LOG_RATIOS, strict=True)
        ]

    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)  # 600 intervals: 2.2 standard errors


def test_a_hazard_ratio_per_ten_years_is_the_tenth_power():
    table, target = draw()
    model = fit_cox(table, NAMES, target)

    one, ten = model.hazard_ratios()[1], model.hazard_ratios(per={"age": 10.0})[1]

    assert ten.value == pytest.approx(one.value**10)
    assert (ten.low, ten.high) == pytest.approx((one.low**10, one.high**10))
    assert ten.p_value == one.p_value
    assert ten.per == 10.0


def test_units_of_a_covariate_change_only_its_coefficient():
    table, target = draw()
    metres = table * [1.0, 1.0, 0.001, 1.0]

    model, scaled = fit_cox(table, NAMES, target), fit_cox(metres, NAMES, target)

    assert scaled.log_hazard_ratios[2] == pytest.approx(1000 * model.log_hazard_ratios[2], rel=1e-5)
    np.testing.assert_allclose(scaled.score(metres), model.score(table), atol=1e-6)


def test_a_penalty_shrinks_and_firth_tames_a_habitat_that_separates_events():
    days, event = np.arange(1.0, 41), np.arange(40) % 2 == 0
    rare = np.zeros((40, 1))
    rare[[0, 2]] = 1.0  # the first two events, and nobody else
    target = target_of(days, event)

    with pytest.raises(MetadataError) as refused:
        fit_cox(rare, ["rare"], target)
    firth = fit_cox(rare, ["rare"], target, penalty="firth")
    little, much = (fit_cox(rare, ["rare"], target, penalty=p) for p in (0.01, 1.0))

    assert refused.value.code is Code.OUTCOMES_TOO_FEW
    assert 1.5 < firth.log_hazard_ratios[0] < 8
    assert 0 < much.log_hazard_ratios[0] < little.log_hazard_ratios[0]


def test_firth_is_the_largest_penalised_likelihood_on_a_grid():
    table, target = draw(subjects=60)
    column = standardised(table[:, :1])
    sets = RiskSets(column, target.days, target.event, target.entry)
    grid = np.linspace(-0.5, 2, 25_001)
    coarse = np.linspace(-0.5, 2, 251)

    def height(beta):
        found = sets.at(np.array([beta]))
        return found.value + 0.5 * np.log(found.information[0, 0])

    best = coarse[np.argmax([height(b) for b in coarse])]
    near = grid[np.abs(grid - best) < 0.02]
    best = near[np.argmax([height(b) for b in near])]
    model = fit_cox(table[:, :1], ["habitat"], target, penalty="firth")

    assert model.log_hazard_ratios[0] * model.spreads[0] == pytest.approx(best, abs=3e-4)


@pytest.mark.parametrize("clock", ["day", "rank"])
def test_schoenfeld_is_that_of_lifelines(clock):
    statistics, lifelines = oracle("lifelines.statistics"), oracle("lifelines")
    pandas = oracle("pandas")
    table, target = draw(tied=clock == "day")
    frame = pandas.DataFrame(table, columns=list(NAMES)).assign(
        days=target.days, event=target.event
    )
    model = fit_cox(table, NAMES, target)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = statistics.proportional_hazard_test(
            lifelines.CoxPHFitter().fit(frame, "days", "event"), frame,
            time_transform={"day": "identity", "rank": "rank"}[clock],
        )  # fmt: skip
    ours = proportional_hazards(model, table, target, clock=clock)

    assert [row.statistic for row in ours[:4]] == pytest.approx(theirs.test_statistic, rel=1e-3)
    assert ours[-1].name == "all"


def test_an_effect_that_fades_is_found_and_a_constant_one_is_not():
    random = np.random.default_rng(1)
    group = np.repeat([0.0, 1.0], 300)
    early = random.exponential(np.where(group == 1, 100.0, 400.0))
    fading = np.where(early < 100, early, 100 + random.exponential(400.0, 600))
    constant = random.exponential(np.where(group == 1, 200.0, 400.0))
    p_values = []
    for days in (fading, constant):
        target = target_of(days + 0.01, np.ones(600))
        model = fit_cox(group[:, None], ["group"], target)
        p_values.append(proportional_hazards(model, group[:, None], target)[0].p_value)

    assert p_values[0] < 1e-4
    assert p_values[1] > 0.05


def test_a_change_known_at_a_visit_does_not_protect_at_its_landmark():
    """Counted from the first visit, living long enough to show a change looks protective."""
    random = np.random.default_rng(3)
    days = random.exponential(300.0, 2000) + 0.01
    visit = random.uniform(50, 400, 2000)
    changed = ((days > visit) & (random.random(2000) < 0.5)).astype(float)
    target = target_of(days, np.ones(2000))

    naive = fit_cox(changed[:, None], ["changed"], target).hazard_ratios()[0]
    later, kept = landmark(target, visit)
    honest = fit_cox(changed[kept, None], ["changed"], later).hazard_ratios()[0]
    truncated, _ = landmark(target, visit, clock="origin")
    entered = fit_cox(changed[kept, None], ["changed"], truncated).hazard_ratios()[0]

    assert naive.high < 0.8
    assert honest.low < 1 < honest.high
    assert entered.low < 1 < entered.high


def test_a_model_refuses_subjects_that_it_was_fitted_on():
    table, target = draw(subjects=50)
    model = fit_cox(table, NAMES, target)

    model.require_unseen(("other",))
    with pytest.raises(LeakageError) as refused:
        model.require_unseen(("other", "0003"))

    assert refused.value.code is Code.SPLIT_LEAKS


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: t[:-1], Code.ARGUMENT_INVALID),
        (lambda t: t[:, :3], Code.ARGUMENT_INVALID),
        (lambda t: np.where(t > 85, np.nan, t), Code.ARGUMENT_INVALID),
        (lambda t: t * [1, 1, 1, 0], Code.OUTCOMES_TOO_FEW),
        (lambda t: t[:, [0, 1, 2, 2]], Code.OUTCOMES_TOO_FEW),
    ],
)
def test_a_table_that_cannot_be_fitted_is_refused(change, code):
    table, target = draw()

    with pytest.raises(MetadataError) as refused:
        fit_cox(change(table), NAMES, target)

    assert refused.value.code is code


def test_fewer_events_than_covariates_are_refused_unless_penalised():
    table, target = draw(subjects=12)
    few = target_of(target.days, np.arange(12) < 3)

    with pytest.raises(MetadataError) as refused:
        fit_cox(table, NAMES, few)

    assert refused.value.code is Code.OUTCOMES_TOO_FEW
    assert fit_cox(table, NAMES, few, penalty=0.5).events == 3


def test_a_negative_penalty_is_refused():
    table, target = draw(subjects=50)

    with pytest.raises(MetadataError) as refused:
        fit_cox(table, NAMES, target, penalty=-0.1)

    assert refused.value.code is Code.ARGUMENT_INVALID


def test_an_unknown_stratum_or_covariate_is_refused():
    table, target = draw()
    model = fit_cox(table, NAMES, target, strata=["a", "b"] * 150)

    with pytest.raises(MetadataError, match="not in the model"):
        model.survival(table[:1], np.array([10.0]), strata=["c"])
    with pytest.raises(MetadataError, match="none of the covariates"):
        model.hazard_ratios(per={"height": 2.0})


def test_without_lifelines_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("bolus.survival.libraries.find_spec", lambda name: None)
    table, target = draw(subjects=50)

    with pytest.raises(ResourceError, match=r"bolus\[stats\]"):
        fit_cox(table, NAMES, target)

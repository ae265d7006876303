"""Survival code on the outcomes of 501 patients with glioma.

UCSF-PDGM v5, doi 10.7937/tcia.bdgf-8v37, CC BY 4.0. Each number is found three times: by the
package, by a product limit or partial likelihood written out here, and by another library.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from bolus.survival import (
    SurvivalTarget,
    concordance_interval,
    fit_cox,
    harrell_c,
    kaplan_meier,
    logrank,
    optimism_corrected_c,
    proportional_hazards,
)

pytestmark = pytest.mark.reference
NAMES = ("IDH wildtype", "age", "grade 4")


@pytest.fixture(scope="module")
def patients(reference_data):
    path = reference_data / "data" / "ucsf_pdgm_metadata" / "UCSF-PDGM-metadata_v5.csv"
    if not path.is_file():
        pytest.skip("UCSF-PDGM metadata absent: see docs/how-to/reference_data.md")
    return read(path)


@cache
def read(path: Path):
    """Return the target and covariates of who has an outcome."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["OS"] not in ("", "unknown")]
    target = SurvivalTarget(
        subjects=tuple(row["ID"] for row in rows),
        days=np.array([float(row["OS"]) for row in rows]),
        event=np.array([row["1-dead 0-alive"] == "1" for row in rows]),
    )
    table = np.array(
        [
            (row["IDH"] == "wildtype", float(row["Age at MRI"]), row["WHO CNS Grade"] == "4")
            for row in rows
        ],
        float,
    )
    return target, table


def product_limit_median(days, event):
    """Go through the days one by one: first day on which half or fewer are alive."""
    share = 1.0
    for day in np.unique(days[event]):
        share *= 1 - np.sum((days == day) & event) / np.sum(days >= day)
        if share <= 0.5:
            return day
    return np.inf


def breslow_loss(beta, table, days, event):
    """Minus the log partial likelihood, each death against all at risk: ties as Breslow."""
    linear = table @ beta
    at_risk = days[:, None] <= days[None]
    return -(linear - np.log(at_risk @ np.exp(linear)))[event].sum()


def test_the_groups_are_those_described(patients):
    target, table = patients
    wildtype = table[:, 0] == 1

    assert (target.count, target.events) == (500, 250)
    assert (int(wildtype.sum()), target.select(wildtype).events) == (397, 239)
    assert (int((~wildtype).sum()), target.select(~wildtype).events) == (103, 11)


def test_median_survival_of_wildtype_is_539_days_and_of_mutant_not_reached(patients):
    target, table = patients
    wildtype = table[:, 0] == 1
    curves = [kaplan_meier(target.select(kept)) for kept in (wildtype, ~wildtype)]

    by_hand = [product_limit_median(target.days[k], target.event[k]) for k in (wildtype, ~wildtype)]
    survfunc = pytest.importorskip("statsmodels.duration.survfunc")
    theirs = survfunc.SurvfuncRight(target.days[wildtype], target.event[wildtype])

    assert [curve.median_days for curve in curves] == by_hand == [539.0, np.inf]
    assert theirs.quantile(0.5) == 539.0
    assert (curves[0].median_low, curves[0].median_high) == theirs.quantile_ci(
        0.5, method="cloglog"
    )
    np.testing.assert_allclose(curves[0].at(theirs.surv_times), theirs.surv_prob, atol=1e-12)


def test_wildtype_and_mutant_differ(patients):
    target, table = patients
    wildtype = table[:, 0] == 1

    found = logrank([target.select(wildtype), target.select(~wildtype)])

    assert 1e-24 < found.p_value < 1e-21


@pytest.mark.parametrize("solver", ["lifelines", "newton"])
def test_hazard_ratios_of_idh_age_and_grade(patients, solver):
    target, table = patients
    hazard_regression = pytest.importorskip("statsmodels.duration.hazard_regression")

    model = fit_cox(table, NAMES, target, solver=solver)

    theirs = hazard_regression.PHReg(target.days, table, status=target.event, ties="efron")
    fitted = theirs.fit(disp=0)
    by_hand = minimize(breslow_loss, np.zeros(3), (table, target.days, target.event))
    errors = np.sqrt(np.diag(model.covariance))
    wildtype, age, grade = (row.value for row in model.hazard_ratios())
    assert (round(wildtype, 2), round(age, 3), round(grade, 2)) == (4.39, 1.031, 1.84)
    assert (np.abs(model.log_hazard_ratios - fitted.params) < 1e-4 * errors).all()
    np.testing.assert_allclose(errors, fitted.bse, rtol=1e-4)
    assert (np.abs(model.log_hazard_ratios - by_hand.x) < 0.02 * errors).all()  # ties differ


def test_concordance_is_072_and_hardly_optimistic(patients):
    target, table = patients
    score = fit_cox(table, NAMES, target, solver="newton").score(table)

    found = concordance_interval(score, target, resamples=400, seed=1)
    corrected = optimism_corrected_c(table, NAMES, target, resamples=60, seed=1)

    dead = np.flatnonzero(target.event)
    later = (target.days > target.days[dead, None]) | (
        (target.days == target.days[dead, None]) & ~target.event
    )
    ahead = (score[dead, None] > score) + 0.5 * (score[dead, None] == score)
    assert found.value == pytest.approx(np.sum(later * ahead) / np.sum(later), abs=1e-12)
    assert found.value == pytest.approx(0.723, abs=1e-3)
    assert found.value == harrell_c(score, target) == corrected.apparent
    assert corrected.corrected == pytest.approx(found.value, abs=0.005)
    assert found.low < 0.70
    assert found.high > 0.74


def test_which_hazards_are_proportional_is_what_lifelines_finds(patients):
    target, table = patients
    lifelines = pytest.importorskip("lifelines")
    statistics = pytest.importorskip("lifelines.statistics")
    pandas = pytest.importorskip("pandas")
    columns = ["idh", "age", "grade"]
    frame = pandas.DataFrame(table, columns=columns).assign(days=target.days, event=target.event)
    fitter = lifelines.CoxPHFitter().fit(frame, "days", "event")

    theirs = statistics.proportional_hazard_test(fitter, frame, time_transform="identity")
    model = fit_cox(table, NAMES, target, solver="newton")
    ours = proportional_hazards(model, table, target, clock="day")

    assert [row.p_value for row in ours[:3]] == pytest.approx(list(theirs.p_value), rel=1e-3)

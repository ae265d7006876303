"""The page of an evaluation: what a probability is worth, said as a paper has to say it."""

import numpy as np

from bolus.habitats.judge import Judged, Judgement
from bolus.metrics.agreement import Agreement
from bolus.report.glance import Glance
from bolus.report.learning_findings import LearningFindings
from bolus.report.page import render_page
from bolus.report.tables import WideTable, settings_text
from bolus.report.wording import ABSENT, number, p_words, plural, signed

_TEMPLATE = "learning.html.j2"
_FEW = 50
"""Patients of the rarer class below which intervals are too wide to choose by."""
_CENTRE = 0.05
_ENOUGH = 20
"""Controls below which their mean says little."""

_NAMES = {"idh": "IDH"}

Cell = tuple[str, str]


def render_learning(findings: LearningFindings) -> str:
    """Return what predictors are worth as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: the judgement and its curves.

    Returns:
        The page as text, to be written as UTF-8.
    """
    judgement, main = findings.judgement, findings.main
    patients = judgement.patients
    return render_page(
        _TEMPLATE,
        {
            "findings": findings,
            "exam": f"{outcome_words(judgement)}, {plural(patients['test'], 'test patient')}",
            "outcome": outcome_words(judgement),
            "tiles": learning_tiles(findings),
            "verdict": _verdict(findings),
            "main": main.name,
            "areas": area_table(judgement),
            "called": called_table(judgement),
            "comparisons": comparison_table(judgement),
            "calibration": calibration_table(judgement),
            "sites": site_table(judgement),
            "seeds": seed_table(judgement),
            "control": control_table(judgement),
            "pictures": _pictures(findings),
            "settings": settings_text(findings.settings),
            "digest": findings.provenance.digest(),
        },
    )


def _pictures(findings: LearningFindings) -> dict[str, object]:
    from bolus.report import figures_habitats_cohort as plots  # matplotlib loads only to draw
    from bolus.report.figures_learning import area_plot, site_plot

    judgement, main = findings.judgement, findings.main
    best = judgement.best_baseline
    return {
        "areas": area_plot(judgement.rows),
        "roc": plots.roc_plot(findings.rocs),
        "calibration": plots.calibration_plot(findings.calibration, what=outcome_words(judgement)),
        "decision": plots.decision_plot(findings.decision),
        "sites": site_plot([main] if main is best else [main, best]),
    }


def learning_tiles(findings: LearningFindings) -> tuple[Glance, ...]:
    """Return the tiles on top of the page.

    Args:
        findings: of the page.
    """
    judgement, main = findings.judgement, findings.main
    best, patients = judgement.best_baseline, judgement.patients
    positive = patients["test positive"]
    rarer = min(positive, patients["test"] - positive)
    against = next(
        (c for c in judgement.comparisons if (c.predictor, c.baseline) == (main.name, best.name)),
        None,
    )
    claims = [claim.auc for row in judgement.rows for claim in row.permuted]
    return (
        Glance(
            name="Patients",
            look=rarer < _FEW,
            finding=f"{patients['test']} in the test part",
            detail=f"{positive} {outcome_words(judgement)}; {patients['development']} fitted on",
        ),
        Glance(
            name="Best baseline",
            look=False,
            judged=False,
            finding=f"AUC {_interval(best.test.auc)}",
            detail=best.name,
        ),
        Glance(
            name="Predictor",
            look=against is not None and against.test.low < 0,
            judged=against is not None,
            finding=f"AUC {_interval(main.test.auc)}",
            detail=f"{main.name}; only baselines were judged"
            if against is None
            else f"{main.name}; {signed(against.test.difference, 2)} to the best baseline "
            f"({signed(against.test.low, 2)} to {signed(against.test.high, 2)})",
        ),
        Glance(
            name="Calibration",
            look=not main.test.calibration.slope_interval[0]
            <= 1
            <= main.test.calibration.slope_interval[1],
            finding=f"slope {number(main.test.calibration.slope, 2)}",
            detail=f"of {main.name}; 1 is perfect, below 1 is overconfident",
        ),
        Glance(
            name="Control",
            look=len(claims) < _ENOUGH or abs(float(np.mean(claims)) - 0.5) > _CENTRE,
            finding=f"AUC {number(float(np.mean(claims)), 2)}" if claims else "not run",
            detail=f"labels dealt at random, {plural(len(claims), 'fit')}",
        ),
    )


def outcome_words(judgement: Judgement) -> str:
    """Return the outcome as it is printed.

    Args:
        judgement: of all predictors.
    """
    return " ".join(_NAMES.get(word, word) for word in judgement.outcome.split())


def _verdict(findings: LearningFindings) -> str:
    """Say first what a reader must not overlook."""
    said = []
    if findings.permuted:
        said.append(
            "Control: labels were dealt at random before anything was done. Every number below is "
            "that of chance."
        )
    if findings.simulated:
        said.append(
            "Simulated patients: the order of predictors here shows that the machinery works. What "
            "any of them is worth in patients is not known."
        )
    return " ".join(said)


def area_table(judgement: Judgement) -> WideTable:
    """Return how well each predictor tells the classes apart, best area first within its kind.

    Args:
        judgement: of all predictors.
    """
    heads = (("Predictor", ""), ("AUC", "95 % interval"), ("PR-AUC", "95 % interval"),
             ("AUC", "out of fold"), ("n", "present / absent"))  # fmt: skip
    rows = tuple(
        (
            _named(row),
            _with_range(row.test.auc),
            _with_range(row.test.pr_auc),
            (number(row.development.auc.value, 3), ""),
            (f"{row.test.positives} / {row.test.negatives}", ""),
        )
        for row in judgement.rows
    )
    return WideTable(heads=heads, rows=rows)


def called_table(judgement: Judgement) -> WideTable:
    """Return errors of each predictor at the threshold that the development part fixed.

    Args:
        judgement: of all predictors.
    """
    heads = (("Predictor", ""), ("threshold", "fixed out of fold"),
             ("sensitivity", "95 % interval"), ("specificity", "95 % interval"))  # fmt: skip
    rows = tuple(
        (
            _named(row),
            (number(row.test.threshold, 3), ""),
            _with_range(row.test.sensitivity, 2),
            _with_range(row.test.specificity, 2),
        )
        for row in judgement.rows
    )
    return WideTable(heads=heads, rows=rows)


def comparison_table(judgement: Judgement) -> WideTable | None:
    """Return each predictor against each baseline; None where there is nothing to compare.

    Args:
        judgement: of all predictors.
    """
    if not judgement.comparisons:
        return None
    heads = (("Predictor", ""), ("baseline", ""), ("difference of AUC", "95 % interval"),
             ("p", "DeLong"), ("p", "Holm"))  # fmt: skip
    rows = tuple(
        (
            (one.predictor, ""),
            (one.baseline, ""),
            (
                signed(one.test.difference, 3),
                f"{signed(one.test.low, 3)} to {signed(one.test.high, 3)}",
            ),
            (p_words(one.test.p_value), ""),
            (p_words(one.p_holm), ""),
        )
        for one in judgement.comparisons
    )
    return WideTable(heads=heads, rows=rows)


def calibration_table(judgement: Judgement) -> WideTable:
    """Return whether each probability can be taken at its word.

    Args:
        judgement: of all predictors.
    """
    heads = (("Predictor", ""), ("slope", "1 is perfect"), ("in the large", "0 is perfect"),
             ("Brier", "0 is perfect"), ("Brier, scaled", "0 is the prevalence"))  # fmt: skip
    rows = []
    for row in judgement.rows:
        found = row.test.calibration
        low, high = found.slope_interval
        under, over = found.in_the_large_interval
        rows.append(
            (
                _named(row),
                (number(found.slope, 2), _range(low, high)),
                (signed_or_dash(found.in_the_large), _range(under, over)),
                (number(row.test.brier.value, 3), ""),
                (number(row.test.brier.scaled, 2), ""),
            )
        )
    return WideTable(heads=heads, rows=tuple(rows))


def site_table(judgement: Judgement) -> WideTable:
    """Return the area of each predictor at each site.

    Args:
        judgement: of all predictors.
    """
    sites = sorted({site for row in judgement.rows for site in row.test.by_site})
    heads = (("Predictor", ""), *((site, "") for site in sites))
    rows = tuple(
        (
            _named(row),
            *(
                _with_range(found, 2) if (found := row.test.by_site.get(site)) else (ABSENT, "")
                for site in sites
            ),
        )
        for row in judgement.rows
    )
    return WideTable(heads=heads, rows=rows)


def seed_table(judgement: Judgement) -> WideTable | None:
    """Return how predictors vary with the seed of their fit; None where none draws.

    Args:
        judgement: of all predictors.
    """
    rows = tuple(
        (
            _named(row),
            (str(len(row.seed_aucs)), ""),
            (number(float(np.mean(row.seed_aucs)), 3), ""),
            (number(float(np.std(row.seed_aucs, ddof=1)), 3), ""),
            (f"{number(min(row.seed_aucs), 3)} to {number(max(row.seed_aucs), 3)}", ""),
            (number(row.test.auc.value, 3), ""),
        )
        for row in judgement.rows
        if len(row.seed_aucs) > 1
    )
    heads = (("Predictor", ""), ("seeds", ""), ("mean AUC", ""), ("standard deviation", ""),
             ("range", ""), ("AUC of the mean", "used above"))  # fmt: skip
    return WideTable(heads=heads, rows=rows) if rows else None


def control_table(judgement: Judgement) -> WideTable | None:
    """Return what each predictor finds where labels are dealt at random; None if it was not run.

    Args:
        judgement: of all predictors.
    """
    rows = tuple(
        (
            _named(row),
            (str(len(row.permuted)), ""),
            (number(float(np.mean([claim.auc for claim in row.permuted])), 3), ""),
            (f"{sum(claim.p_value < 0.05 for claim in row.permuted)} of {len(row.permuted)}", ""),
        )
        for row in judgement.rows
        if row.permuted
    )
    heads = (("Predictor", ""), ("fits", ""), ("mean AUC", "0.50 is right"),
             ("found something", "p < 0.05"))  # fmt: skip
    return WideTable(heads=heads, rows=rows) if rows else None


def signed_or_dash(value: float) -> str:
    """Return a number with its sign, or a dash where there is none."""
    return signed(value, 2) if np.isfinite(value) else ABSENT


def _range(low: float, high: float) -> str:
    return f"{number(low, 2)} to {number(high, 2)}" if np.isfinite(low) else ""


def _named(row: Judged) -> Cell:
    return row.name, "baseline" if row.baseline else ""


def _with_range(found: Agreement, decimals: int = 3) -> Cell:
    return (
        number(found.value, decimals),
        f"{number(found.low, decimals)} to {number(found.high, decimals)}",
    )


def _interval(found: Agreement) -> str:
    return f"{number(found.value, 2)} ({number(found.low, 2)} to {number(found.high, 2)})"

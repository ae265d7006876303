"""Tables of an evaluation: one row a predictor, a comparison, a patient, a threshold."""

from collections.abc import Sequence

import numpy as np

from bolus import io
from bolus.core import CurveCohort
from bolus.habitats.judge import Judged, Judgement
from bolus.io.tables import Cell
from bolus.metrics.agreement import Agreement

RESULTS_NAME = "evaluation.tsv"
COMPARISONS_NAME = "comparisons.tsv"
PATIENTS_NAME = "probabilities.tsv"
BENEFIT_NAME = "net_benefit.tsv"
SITES_NAME = "sites.tsv"


def evaluation_tables(
    judgement: Judgement, test: CurveCohort, truth: Sequence[bool]
) -> dict[str, str]:
    """Return the text of every table by its file name.

    Args:
        judgement: of all predictors.
        test: the exams of the test part.
        truth: whether the outcome is present, an exam each.
    """
    return {
        RESULTS_NAME: _results(judgement),
        COMPARISONS_NAME: _comparisons(judgement),
        PATIENTS_NAME: _patients(judgement, test, truth),
        BENEFIT_NAME: _benefit(judgement),
        SITES_NAME: _sites(judgement),
    }


def _results(judgement: Judgement) -> str:
    rows = [_result(row) for row in judgement.rows]
    return io.table_text(list(rows[0]), [list(row.values()) for row in rows])


def _result(row: Judged) -> dict[str, Cell]:
    """Return every number of one predictor by the name of its column."""
    test, many = row.test, len(row.seed_aucs) > 1
    calibration = test.calibration
    dealt = [claim.auc for claim in row.permuted]
    return {
        "predictor": row.name,
        "baseline": str(row.baseline).lower(),
        "positive": test.positives,
        "negative": test.negatives,
        **_numbers("auc", test.auc),
        **_numbers("pr_auc", test.pr_auc),
        "prevalence": test.prevalence,
        "threshold": test.threshold,
        **_numbers("sensitivity", test.sensitivity),
        **_numbers("specificity", test.specificity),
        "calibration_slope": calibration.slope,
        "calibration_slope_low95": calibration.slope_interval[0],
        "calibration_slope_high95": calibration.slope_interval[1],
        "calibration_in_the_large": calibration.in_the_large,
        "brier": test.brier.value,
        "brier_scaled": test.brier.scaled,
        "auc_out_of_fold": row.development.auc.value,
        "seeds": len(row.seed_aucs),
        "seed_auc_mean": float(np.mean(row.seed_aucs)),
        "seed_auc_std": float(np.std(row.seed_aucs, ddof=1)) if many else None,
        "dealt_fits": len(dealt),
        "dealt_auc_mean": float(np.mean(dealt)) if dealt else None,
        "dealt_significant": sum(claim.p_value < 0.05 for claim in row.permuted),
    }


def _numbers(name: str, found: Agreement) -> dict[str, Cell]:
    return {name: found.value, f"{name}_low95": found.low, f"{name}_high95": found.high}


def _comparisons(judgement: Judgement) -> str:
    columns = ["predictor", "baseline", "difference", "low95", "high95", "p", "p_holm"]
    rows: list[list[Cell]] = [
        [
            one.predictor, one.baseline, one.test.difference, one.test.low, one.test.high,
            one.test.p_value, one.p_holm,
        ]
        for one in judgement.comparisons
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _patients(judgement: Judgement, test: CurveCohort, truth: Sequence[bool]) -> str:
    columns = ["subject", "session", "site", "present", *(row.name for row in judgement.rows)]
    rows: list[list[Cell]] = [
        [
            exam.key.subject,
            exam.key.session or None,
            exam.site,
            int(present),
            *(float(row.test_probability[place]) for row in judgement.rows),
        ]
        for place, (exam, present) in enumerate(zip(test.exams, truth, strict=True))
    ]
    return io.table_text(columns, rows)


def _benefit(judgement: Judgement) -> str:
    thresholds = judgement.rows[0].test.thresholds
    rows: list[list[Cell]] = [
        [float(one), *(float(row.test.net_benefit[place]) for row in judgement.rows)]
        for place, one in enumerate(thresholds)
    ]
    return io.table_text(["threshold", *(row.name for row in judgement.rows)], rows)


def _sites(judgement: Judgement) -> str:
    rows: list[list[Cell]] = [
        [row.name, site, found.count, found.value, found.low, found.high]
        for row in judgement.rows
        for site, found in row.test.by_site.items()
    ]
    return io.table_text(["predictor", "site", "patients", "auc", "low95", "high95"], rows)

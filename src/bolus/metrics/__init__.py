"""Two arrays become a number: agreement, intervals, overlap. No images, no files."""

from bolus.metrics.agreement import (
    Agreement,
    BlandAltman,
    Repeatability,
    bland_altman,
    concordance,
    deming,
    icc_2_1,
    within_subject_cv,
)
from bolus.metrics.classification import (
    Brier,
    Calibration,
    DelongTest,
    PermutedAuc,
    auc_with_interval,
    brier,
    calibration_slope,
    delong_test,
    permuted_labels_auc,
)
from bolus.metrics.decision import net_benefit

__all__ = [
    "Agreement",
    "BlandAltman",
    "Brier",
    "Calibration",
    "DelongTest",
    "PermutedAuc",
    "Repeatability",
    "auc_with_interval",
    "bland_altman",
    "brier",
    "calibration_slope",
    "concordance",
    "delong_test",
    "deming",
    "icc_2_1",
    "net_benefit",
    "permuted_labels_auc",
    "within_subject_cv",
]

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

__all__ = [
    "Agreement",
    "BlandAltman",
    "Repeatability",
    "bland_altman",
    "concordance",
    "deming",
    "icc_2_1",
    "within_subject_cv",
]

"""Time to an event: hazard models, curves, and how well a score orders patients."""

from bolus.survival.concordance import (
    Concordance,
    ConcordanceDifference,
    concordance_difference,
    concordance_interval,
    harrell_c,
    uno_c,
)
from bolus.survival.cox import CoxModel, HazardRatio, fit_cox
from bolus.survival.decision import net_benefit_at
from bolus.survival.kaplan_meier import KaplanMeier, LogRank, kaplan_meier, logrank
from bolus.survival.landmark import landmark
from bolus.survival.proportional import Proportionality, proportional_hazards
from bolus.survival.target import SurvivalTarget
from bolus.survival.time_auc import TimeAuc, time_dependent_auc
from bolus.survival.validation import (
    BrierAt,
    CalibrationAt,
    CalibrationGroup,
    OptimismCorrected,
    brier_at,
    calibration_at,
    optimism_corrected_c,
)

__all__ = [
    "BrierAt",
    "CalibrationAt",
    "CalibrationGroup",
    "Concordance",
    "ConcordanceDifference",
    "CoxModel",
    "HazardRatio",
    "KaplanMeier",
    "LogRank",
    "OptimismCorrected",
    "Proportionality",
    "SurvivalTarget",
    "TimeAuc",
    "brier_at",
    "calibration_at",
    "concordance_difference",
    "concordance_interval",
    "fit_cox",
    "harrell_c",
    "kaplan_meier",
    "landmark",
    "logrank",
    "net_benefit_at",
    "optimism_corrected_c",
    "proportional_hazards",
    "time_dependent_auc",
    "uno_c",
]

"""What a page draws of a probability against the truth: ROC curve, calibration, net benefit."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from bolus.habitats.analyses import CalibrationCurve, DecisionCurves, RocRow
from bolus.habitats.track import Interval
from bolus.metrics import auc_with_interval, brier, calibration_slope, net_benefit

THRESHOLDS = np.linspace(0.05, 0.95, 19)

Labels = Bool[np.ndarray, " patients"]
Scores = Float[np.ndarray, " patients"]


def roc_row(name: str, score: Scores, label: Labels) -> RocRow:
    """Return the ROC curve of a score, with its area.

    Args:
        name: of the score.
        score: (n,) higher means positive.
        label: (n,) True for positive.

    Raises:
        MetadataError: lengths differ, a score is not finite, or a class is absent.

    Assumes:
        Patients are independent.

    Source:
        Area: DeLong et al., Biometrics 1988;44:837.

    Example:
        >>> found = roc_row("x", np.array([0.1, 0.9]), np.array([False, True]))
        >>> found.auc.value, found.true_positives.tolist()
        (1.0, [0.0, 1.0, 1.0])
    """
    from sklearn.metrics import roc_curve

    area = auc_with_interval(score, label)
    false_positives, true_positives, _ = roc_curve(label, score, drop_intermediate=False)
    return RocRow(
        name=name,
        auc=Interval(area.value, area.low, area.high),
        false_positives=np.asarray(false_positives),
        true_positives=np.asarray(true_positives),
    )


def calibration_groups(probability: Scores, label: Labels, *, groups: int = 4) -> CalibrationCurve:
    """Compare predicted with observed shares in groups of like size (Wilson's interval).

    Args:
        probability: (n,) from 0 to 1.
        label: (n,) True for positive.
        groups: how many.

    Raises:
        MetadataError: lengths differ, a number is out of range, or a class is absent.

    Assumes:
        Patients are independent.

    Source:
        Van Calster et al., BMC Med 2019;17:230; Wilson, J Am Stat Assoc 1927;22:209.
    """
    from scipy.stats import binomtest

    parts = np.array_split(np.argsort(probability, kind="stable"), groups)
    tests = [binomtest(int(label[part].sum()), len(part)) for part in parts]
    bounds = [test.proportion_ci(method="wilson") for test in tests]
    slope = calibration_slope(probability, label)
    return CalibrationCurve(
        predicted=np.array([probability[part].mean() for part in parts]),
        observed=np.array([label[part].mean() for part in parts]),
        lower=np.array([bound.low for bound in bounds]),
        upper=np.array([bound.high for bound in bounds]),
        slope=Interval(slope.slope, *slope.slope_interval),
        brier=brier(probability, label).value,
    )


def decision_curves(probabilities: Mapping[str, Scores], label: Labels) -> DecisionCurves:
    """Return the net benefit of acting on each probability, on all patients, and on none.

    Args:
        probabilities: (n,) each, by name.
        label: (n,) True for positive.

    Raises:
        MetadataError: lengths differ, a number is out of range, or a class is absent.

    Assumes:
        As `net_benefit`.

    Source:
        Vickers and Elkin, Med Decis Making 2006;26:565.
    """
    return DecisionCurves(
        thresholds=THRESHOLDS,
        net_benefit={
            **{name: net_benefit(one, label, THRESHOLDS) for name, one in probabilities.items()},
            "all": net_benefit(np.ones(len(label)), label, THRESHOLDS),
            "none": np.zeros(len(THRESHOLDS)),
        },
    )

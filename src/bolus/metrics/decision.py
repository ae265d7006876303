"""What acting on a predicted probability is worth."""

import numpy as np
from jaxtyping import Bool, Float

from bolus.errors import Code, MetadataError
from bolus.metrics.classification import require_labels

Thresholds = Float[np.ndarray, " thresholds"]


def net_benefit(
    probability: Float[np.ndarray, " n"], label: Bool[np.ndarray, " n"], thresholds: Thresholds
) -> Thresholds:
    """Compute the net benefit of acting on those whose probability is high.

    At a threshold p: (true positives - false positives p / (1 - p)) / n. Acting on all is a
    probability of 1 for everybody; acting on none is zero.

    Args:
        probability: (n,) between 0 and 1, calibrated.
        label: (n,) True where the condition is present.
        thresholds: (m,) from 0 to below 1.

    Returns:
        Net benefit per subject, in true positives.

    Raises:
        MetadataError: lengths differ, a class is absent, or numbers are out of range.

    Assumes:
        The threshold is the probability at which a false positive is as bad as a missed case is
        good to find, weighed by its odds. Subjects have the prevalence of those it is used on.

    Source:
        Vickers and Elkin, Med Decis Making 2006;26:565-574, doi 10.1177/0272989X06295361. For
        survival: `survival.net_benefit_at`.

    Example:
        >>> chance, truth = np.array([0.9, 0.6, 0.4, 0.1]), np.array([True, False, True, False])
        >>> net_benefit(chance, truth, np.array([0.2, 0.5])).tolist()
        [0.4375, 0.0]
    """
    chance, present = require_labels(probability, label)
    asked = np.asarray(thresholds, np.float64)
    if chance.min() < 0 or chance.max() > 1 or asked.min() < 0 or asked.max() >= 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"probabilities from {chance.min():g} to {chance.max():g} at thresholds from "
            f"{asked.min():g} to {asked.max():g}",
            mend="give probabilities between 0 and 1 and thresholds from 0 to below 1",
        )
    high = chance >= asked[:, None]
    return np.asarray(
        (high & present).mean(axis=1) - (high & ~present).mean(axis=1) * asked / (1 - asked)
    )

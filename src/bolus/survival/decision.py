"""What acting on a predicted risk of an event by a day is worth."""

import numpy as np
from jaxtyping import Float

from bolus.errors import Code, MetadataError
from bolus.survival.product_limit import survival_curves
from bolus.survival.target import Scores, SurvivalTarget, require_scores

Thresholds = Float[np.ndarray, " thresholds"]


def net_benefit_at(
    risk: Scores, target: SurvivalTarget, day: float, thresholds: Thresholds
) -> Thresholds:
    """Compute the net benefit of treating those whose risk of the event by a day is high.

    With a share f of patients at or above the threshold p, of whom q have the event by the day
    (1 - Kaplan-Meier among them), the net benefit is f q - f (1 - q) p / (1 - p). Treating all is
    a risk of 1 for everybody; treating none is zero.

    Args:
        risk: (n,) predicted chance of the event by the day, between 0 and 1.
        target: what happened to the same patients.
        day: since the target's origin.
        thresholds: (m,) of risk, from 0 to below 1.

    Returns:
        Net benefit per patient; NaN where those at or above a threshold were not followed so far.

    Raises:
        MetadataError: risks or thresholds do not fit.

    Assumes:
        Censoring tells nothing about the hazard among those above a threshold.

    Source:
        Vickers et al., BMC Med Inform Decis Mak 2008;8:53, doi 10.1186/1472-6947-8-53.
    """
    predicted = require_scores(risk, target)
    asked = np.asarray(thresholds, np.float64)
    if predicted.min() < 0 or predicted.max() > 1 or asked.min() < 0 or asked.max() >= 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"risks from {predicted.min():g} to {predicted.max():g} at thresholds from "
            f"{asked.min():g} to {asked.max():g}",
            mend="give risks between 0 and 1 and thresholds from 0 to below 1",
        )
    benefit = np.zeros(len(asked))
    for place, threshold in enumerate(asked):
        high = predicted >= threshold
        if high.any():
            share = _risk(target.select(high), day)
            odds = threshold / (1 - threshold)
            benefit[place] = float(high.mean()) * (share - (1 - share) * odds)
    return benefit


def _risk(target: SurvivalTarget, day: float) -> float:
    """Return the observed chance of the event by a day; NaN if nobody was followed so far."""
    if target.days.max() < day:
        return np.nan
    return 1 - float(survival_curves(target).on(np.array([day]))[0, 0])

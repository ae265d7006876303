"""What a probability is worth on patients that nothing was fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.metrics.agreement import Agreement
from bolus.metrics.classification import (
    Brier,
    Calibration,
    auc_with_interval,
    brier,
    calibration_slope,
    require_labels,
)
from bolus.metrics.decision import net_benefit

_RESAMPLES = 1000
_LEAST_OF_A_CLASS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Performance:
    """One predictor on one set of patients.

    `auc` with DeLong's interval, `pr_auc` (average precision) with a bootstrap interval and
    `prevalence`, which is what chance reaches there. `sensitivity` and `specificity` [ratio] with
    Wilson's intervals at `threshold`, which was fixed on other patients. `net_benefit` at
    `thresholds`. `by_site` has the AUC of each site that has both classes.
    """

    name: str
    positives: int
    negatives: int
    auc: Agreement
    pr_auc: Agreement
    prevalence: float
    threshold: float
    sensitivity: Agreement
    specificity: Agreement
    calibration: Calibration
    brier: Brier
    thresholds: Float[np.ndarray, " m"]
    net_benefit: Float[np.ndarray, " m"]
    by_site: Mapping[str, Agreement]


def performance(
    name: str,
    probability: Float[np.ndarray, " n"],
    label: Bool[np.ndarray, " n"],
    *,
    threshold: float,
    sites: Sequence[str],
    seed: int,
) -> Performance:
    """Measure a probability against the truth.

    Args:
        name: of the predictor.
        probability: (n,) from 0 to 1.
        label: (n,) True where the condition is present.
        threshold: probability from which a patient is called positive, fixed on other patients.
        sites: (n,) where each patient was scanned.
        seed: of the bootstrap.

    Raises:
        MetadataError: lengths differ, a class is absent, or a number is out of range.

    Assumes:
        One row a patient, and nothing of it in what the predictor or the threshold was fitted on.

    Source:
        DeLong et al., Biometrics 1988;44:837; Wilson, J Am Stat Assoc 1927;22:209; precision and
        recall: Davis and Goadrich, ICML 2006. TRIPOD+AI items on discrimination, calibration and
        benefit: Collins et al., BMJ 2024;385:e078378.

    Example:
        >>> chance = np.array([0.9, 0.7, 0.6, 0.4, 0.3, 0.2])
        >>> truth = np.array([True, True, False, True, False, False])
        >>> found = performance("x", chance, truth, threshold=0.5, sites=["a"] * 6, seed=1)
        >>> round(found.auc.value, 3), found.sensitivity.value, found.specificity.value
        (0.889, 0.6666666666666666, 0.6666666666666666)
    """
    chance, present = require_labels(probability, label)
    if len(sites) != len(present):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(sites)} sites of {len(present)} patients",
            mend="name one site a patient",
        )
    called = chance >= threshold
    asked = np.linspace(0.05, 0.95, 19)
    return Performance(
        name=name,
        positives=int(present.sum()),
        negatives=int((~present).sum()),
        auc=auc_with_interval(chance, present),
        pr_auc=average_precision(chance, present, seed=seed),
        prevalence=float(present.mean()),
        threshold=threshold,
        sensitivity=wilson(int((called & present).sum()), int(present.sum())),
        specificity=wilson(int((~called & ~present).sum()), int((~present).sum())),
        calibration=calibration_slope(chance, present),
        brier=brier(chance, present),
        thresholds=asked,
        net_benefit=net_benefit(chance, present, asked),
        by_site=_by_site(chance, present, sites),
    )


def average_precision(
    score: Float[np.ndarray, " n"], label: Bool[np.ndarray, " n"], *, seed: int
) -> Agreement:
    """Return the area under precision against recall, with a 95 % bootstrap interval.

    Args:
        score: (n,) larger where the condition is likelier.
        label: (n,) True where it is present.
        seed: of the bootstrap, which keeps the size of both classes.

    Raises:
        MetadataError: lengths differ, a number is not finite, or a class is absent.

    Assumes:
        Rows are independent.

    Source:
        Davis and Goadrich, ICML 2006; percentile bootstrap within classes.

    Example:
        >>> truth = np.array([True, False, True, False])
        >>> average_precision(np.array([0.9, 0.1, 0.8, 0.2]), truth, seed=1).value
        1.0
    """
    value, present = require_labels(score, label)
    random = stream(seed, "average precision")
    weights = np.zeros((_RESAMPLES, len(present)))
    for own in (np.flatnonzero(present), np.flatnonzero(~present)):
        weights[:, own] = random.multinomial(len(own), np.full(len(own), 1 / len(own)), _RESAMPLES)
    low, high = np.quantile(_weighted_precision(value, present, weights), [0.025, 0.975])
    whole = _weighted_precision(value, present, np.ones((1, len(present))))
    return Agreement(value=float(whole[0]), low=float(low), high=float(high), count=len(present))


def _weighted_precision(
    score: np.ndarray, present: np.ndarray, weights: np.ndarray
) -> Float[np.ndarray, " resamples"]:
    """Return the average precision of each row of weights (resamples, n)."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    held = weights[:, order]
    hits = np.cumsum(held * present[order], axis=1)[:, ends]
    called = np.cumsum(held, axis=1)[:, ends]
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    recalled = np.diff(hits, axis=1, prepend=0.0) / hits[:, -1:]
    return np.asarray((recalled * precision).sum(axis=1))


def best_threshold(probability: Float[np.ndarray, " n"], label: Bool[np.ndarray, " n"]) -> float:
    """Return the probability at which sensitivity plus specificity is largest.

    Args:
        probability: (n,) out of fold, of the patients that are fitted on.
        label: (n,).

    Returns:
        The middle between the two neighbouring probabilities.

    Raises:
        MetadataError: lengths differ, a number is not finite, or a class is absent.

    Assumes:
        Both errors are as bad.

    Source:
        Youden, Cancer 1950;3:32.

    Example:
        >>> best_threshold(np.array([0.1, 0.3, 0.7, 0.9]), np.array([False, False, True, True]))
        0.5
    """
    chance, present = require_labels(probability, label)
    values = np.unique(chance)
    if len(values) == 1:
        return float(values[0])
    middles = 0.5 * (values[1:] + values[:-1])
    called = chance >= middles[:, None]
    index = (called & present).sum(1) / present.sum() + (~called & ~present).sum(1) / (
        ~present
    ).sum()
    return float(middles[int(np.argmax(index))])


def wilson(hits: int, count: int) -> Agreement:
    """Return a share with Wilson's 95 % interval.

    Args:
        hits: how many.
        count: of how many, at least 1.

    Assumes:
        Independent trials.

    Source:
        Wilson, J Am Stat Assoc 1927;22:209.

    Example:
        >>> found = wilson(8, 10)
        >>> round(found.low, 3), round(found.high, 3)
        (0.49, 0.943)
    """
    from scipy.stats import binomtest

    low, high = binomtest(hits, count).proportion_ci(0.95, method="wilson")
    return Agreement(value=hits / count, low=float(low), high=float(high), count=count)


def _by_site(chance: np.ndarray, present: np.ndarray, sites: Sequence[str]) -> dict[str, Agreement]:
    """Return the AUC of every site that has at least two patients of each class."""
    names = np.array(sites)
    found = {}
    for site in sorted(set(sites)):
        own = names == site
        if min(present[own].sum(), (~present[own]).sum()) >= _LEAST_OF_A_CLASS:
            found[site] = auc_with_interval(chance[own], present[own])
    return found

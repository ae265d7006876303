"""How unlike an exam is to those that networks were trained on."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from bolus.core import CURVE_REGIONS
from bolus.nets.physical_axis import AXIS
from bolus.nets.sequence_input import SequenceInput

WINDOWS = 10
SUMMARIES = len(CURVE_REGIONS) * WINDOWS + 1
"""Means of each region in ten windows of time, and the noise."""
_SHRINK = 0.1
_FEWEST = 30
_LEAST = 0.05
_ANY = 1e3
"""Standard deviation of what is hardly ever known: nothing is unlike it."""


def summaries(inputs: Sequence[SequenceInput]) -> Float[np.ndarray, "n s"]:
    """Return what exams are compared by; NaN where less than half of a window was measured.

    Args:
        inputs: exams as networks see them.
    """
    found = np.full((len(inputs), SUMMARIES), np.nan)
    for row, item in zip(found, inputs, strict=True):
        known = item.known.reshape(len(CURVE_REGIONS), WINDOWS, -1).sum(axis=2)
        total = item.values.reshape(len(CURVE_REGIONS), WINDOWS, -1).sum(axis=2)
        enough = known >= AXIS.points / WINDOWS / 2
        row[:-1] = np.where(enough, total / np.maximum(known, 1), np.nan).ravel()
        row[-1] = item.noise
    return found


def usual_of(
    found: Float[np.ndarray, "n s"],
) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, "s s"]]:
    """Return mean and covariance of summaries, what is not known left out.

    Correlations are drawn towards 0, those of few exams to 0, and no direction is left in which
    exams hardly differ: otherwise a trifle would count as much as a tumour.

    Args:
        found: of `summaries`.

    Assumes:
        What is missing is missing at random.
    """
    known = np.isfinite(found)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, found, 0).sum(axis=0) / count
    centred = np.where(known, found - mean, 0.0)
    size = np.sqrt((centred**2).sum(axis=0) / count)
    size[(size <= 0) | (known.sum(axis=0) < _FEWEST)] = np.inf
    pairs = known.T.astype(float) @ known
    alike = (centred / size).T @ (centred / size) / np.maximum(pairs, 1)
    alike[pairs < _FEWEST] = 0.0
    alike *= 1 - _SHRINK
    np.fill_diagonal(alike, 1.0)
    values, vectors = np.linalg.eigh(alike)
    alike = (vectors * np.maximum(values, _LEAST)) @ vectors.T
    size[~np.isfinite(size)] = _ANY
    return mean, np.asarray(alike * np.outer(size, size))


def unlike_scores(
    found: Float[np.ndarray, "n s"],
    usual: Float[np.ndarray, " s"],
    spread: Float[np.ndarray, "s s"],
) -> Float[np.ndarray, " n"]:
    """Return the distance of exams from the mean in standard deviations, about 1 where usual.

    The squared distance is that of Mahalanobis among what is known of an exam, over its number.

    Args:
        found: of `summaries`.
        usual: of `usual_of`.
        spread: of `usual_of`.

    Returns:
        Scores; NaN for an exam of which nothing is known.

    Source:
        As a score of unlikeness: Lee et al., NeurIPS 2018 (arXiv 1807.03888).
    """
    scores = np.full(len(found), np.nan)
    for number, row in enumerate(found):
        known = np.isfinite(row)
        if known.any():
            off = row[known] - usual[known]
            held = spread[np.ix_(known, known)]
            scores[number] = np.sqrt(off @ np.linalg.solve(held, off) / known.sum())
    return scores

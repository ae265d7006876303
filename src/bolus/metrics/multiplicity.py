"""Several tests at once: p-values that stay honest."""

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected for that there are several, in their order.

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one before it in that order, nor larger than 1.

    Args:
        p_values: of one family of tests; NaN for a test that gave none, which is not counted.

    Returns:
        Corrected p-values; at most a share of p of such families has a false finding.

    Assumes:
        Nothing of how the tests depend on each other.

    Source:
        Holm, Scand J Stat 1979;6:65.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        (0.03, 0.06, 0.06)
    """
    values = np.asarray(p_values, np.float64)
    corrected = np.full(len(values), np.nan)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1.0)
    return tuple(float(value) for value in corrected)

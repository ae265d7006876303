"""Which numbers of a group lie far from the others, by a measure that they cannot bend."""

import numpy as np

MAD_TO_STD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
FAR = 3.5
"""The |z| from which a value is called an outlier (Iglewicz and Hoaglin 1993)."""
FEWEST = 5
"""Values below which nothing can be said of outliers."""


def robust_z(values: np.ndarray) -> np.ndarray:
    """Return how far each value lies from the median, in robust standard deviations.

    Args:
        values: (n,) of one quantity; NaN where there is none.

    Returns:
        (n,) z; NaN where there is no value, and everywhere where fewer than `FEWEST` values are
        there or more than half of them are equal.

    Assumes:
        Most values come from one distribution, nearly symmetric.

    Source:
        Iglewicz and Hoaglin, How to detect and handle outliers, ASQC Quality Press 1993.

    Example:
        >>> robust_z(np.array([1.0, 1.1, 0.9, 1.05, 0.95, 3.0])).round(1).tolist()
        [-0.2, 0.7, -1.1, 0.2, -0.7, 17.8]
    """
    values = np.asarray(values, float)
    there = values[np.isfinite(values)]
    if there.size < FEWEST:
        return np.full(values.shape, np.nan)
    middle = np.median(there)
    spread = MAD_TO_STD * np.median(np.abs(there - middle))
    if spread <= 0:
        return np.full(values.shape, np.nan)
    return np.asarray((values - middle) / spread)

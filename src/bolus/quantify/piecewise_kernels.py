"""Compiled weights of one piece of a curve: a step of exponential decay, a span of cubic splines.

Numba does not notice that a file of these was edited: touch the `*_kernels.py` that import it.
"""

import numpy as np
from numba import njit

_TERMS = 16
"""Terms of the series below; at x = 0.5 the first one left out is under 1e-20."""


@njit(cache=True)
def step_weights(x: float) -> tuple[float, float, float, float, float]:
    """Return e, p, q, dp/dx, dq/dx of one step of unit length with decay e = exp(-x).

    With s = (1 - e) / x: q = (1 - s) / x and p = s - q. For small x both are differences of nearly
    equal numbers, so their power series are summed instead.
    """
    e = np.exp(-x)
    if x >= 0.5:
        s = (1.0 - e) / x
        q = (1.0 - s) / x
        ds = (e - s) / x
        dq = -(ds + q) / x
    else:
        s, q, ds, dq = 0.0, 0.0, 0.0, 0.0
        power, factorial = 1.0, 1.0  # (-x)^n and (n + 1)!
        before = 0.0  # (-x)^(n-1)
        for n in range(_TERMS):
            s += power / factorial
            q += power / (factorial * (n + 2))
            ds -= n * before / factorial
            dq -= n * before / (factorial * (n + 2))
            before = power
            power *= -x
            factorial *= n + 2
    return e, s - q, q, ds - dq, dq


@njit(cache=True, fastmath=True, inline="always")
def spline_weights(position: float, nodes: int, weight: np.ndarray) -> int:
    """Fill values and slopes (two rows) of the splines over a position; return the first."""
    first = min(int(position), nodes - 2)
    f = position - first
    g = 1.0 - f
    weight[0, 0] = g * g * g / 6.0
    weight[0, 1] = (3.0 * f * f * f - 6.0 * f * f + 4.0) / 6.0
    weight[0, 2] = (3.0 * g * g * g - 6.0 * g * g + 4.0) / 6.0
    weight[0, 3] = f * f * f / 6.0
    weight[1, 0] = -0.5 * g * g
    weight[1, 1] = 1.5 * f * f - 2.0 * f
    weight[1, 2] = 2.0 * g - 1.5 * g * g
    weight[1, 3] = 0.5 * f * f
    return first

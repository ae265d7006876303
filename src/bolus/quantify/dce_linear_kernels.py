"""Compiled normal equations of the linear Tofts model; `dce_linear` says what they solve."""

import numpy as np
from numba import njit

OK, NOT_FINITE, NO_SIGNAL, AT_BOUND = 0, 2, 3, 6
"""Values of `FitStatus`."""


@njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def _sums(
    curve: np.ndarray, steps: np.ndarray, area: np.ndarray, plasma: np.ndarray
) -> tuple[float, float, float, float, float, float, float, float]:
    """Return the products of the curve and of its running integral with everything."""
    total, before = 0.0, float(curve[0])
    y1, y2, y3 = before * area[0], 0.0, before * plasma[0]
    s12, s22, s23 = 0.0, 0.0, 0.0
    power, mean = before * before, before
    for i in range(1, curve.shape[0]):
        y = float(curve[i])
        total += 0.5 * steps[i - 1] * (before + y)
        before = y
        y1 += y * area[i]
        y2 += y * total
        y3 += y * plasma[i]
        s12 += total * area[i]
        s22 += total * total
        s23 += total * plasma[i]
        power += y * y
        mean += y
    return y1, y2, y3, s12, s22, s23, power, mean


@njit(cache=True, error_model="numpy")
def linear_tofts(
    tissue: np.ndarray,
    steps: np.ndarray,
    area: np.ndarray,
    plasma: np.ndarray,
    values: np.ndarray,
    numbers: np.ndarray,
    status: np.ndarray,
) -> None:
    """Fill `values` (n, 2 or 3): Ktrans [1/min], ve and vp [mL/100mL], or without vp.

    `numbers` (3, n): residual standard deviation of the linear equation, R2, sum of squares.
    """
    frames = tissue.shape[1]
    count = values.shape[1]
    s11, s13, s33 = np.dot(area, area), np.dot(area, plasma), np.dot(plasma, plasma)
    for v in range(len(tissue)):
        y1, y2, y3, s12, s22, s23, power, mean = _sums(tissue[v], steps, area, plasma)
        values[v] = np.nan
        numbers[:, v] = np.nan
        if not np.isfinite(power):
            status[v] = NOT_FINITE
            continue
        variance = power - mean * mean / frames
        if not variance > 1e-12 * power:
            status[v] = NO_SIGNAL
            continue
        if count == 2:  # eliminate nothing: two equations
            a11, a12, a22, b1, b2 = s11, s12, s22, y1, y2
        else:  # plasma eliminated
            a11, a12, a22 = s11 - s13 * s13 / s33, s12 - s13 * s23 / s33, s22 - s23 * s23 / s33
            b1, b2 = y1 - s13 * y3 / s33, y2 - s23 * y3 / s33
        determinant = a11 * a22 - a12 * a12
        if not determinant > 1e-12 * s11 * s22:
            status[v] = AT_BOUND
            continue
        inflow = (a22 * b1 - a12 * b2) / determinant
        kep = -(a11 * b2 - a12 * b1) / determinant
        vessels = 0.0 if count == 2 else (y3 - inflow * s13 + kep * s23) / s33
        transfer = inflow - kep * vessels
        values[v, 0] = 60.0 * transfer
        values[v, 1] = 100.0 * transfer / kep if kep > 0.0 else np.nan
        if count == 3:
            values[v, 2] = 100.0 * vessels
        left = max(power - inflow * y1 + kep * y2 - vessels * y3, 0.0)
        numbers[0, v] = np.sqrt(left / (frames - count))
        numbers[1, v] = 1.0 - left / variance
        numbers[2, v] = left
        status[v] = OK

"""Compiled loops of exact convolutions; `convolution` says what they compute."""

import numpy as np
from numba import njit

from bolus.quantify.piecewise_kernels import step_weights


@njit(cache=True)
def exponential_convolution(
    seconds: np.ndarray, values: np.ndarray, rates: np.ndarray, result: np.ndarray
) -> None:
    """Fill `result` (rates, t) with the convolution of piecewise linear values with exp(-k t)."""
    for r in range(len(rates)):
        k = rates[r]
        known = -1.0
        e = p = q = 0.0
        total = 0.0
        result[r, 0] = 0.0
        for i in range(1, len(seconds)):
            h = seconds[i] - seconds[i - 1]
            if h != known:
                e, p, q, _, _ = step_weights(k * h)
                known = h
            total = e * total + h * (values[i - 1] * p + values[i] * q)
            result[r, i] = total


@njit(cache=True)
def exponential_convolution_slope(
    seconds: np.ndarray,
    values: np.ndarray,
    rates: np.ndarray,
    result: np.ndarray,
    slope: np.ndarray,
) -> None:
    """Fill `result` as above and `slope` (rates, t) with its derivative by k."""
    for r in range(len(rates)):
        k = rates[r]
        known = -1.0
        e = p = q = dp = dq = 0.0
        total = 0.0
        change = 0.0
        result[r, 0] = 0.0
        slope[r, 0] = 0.0
        for i in range(1, len(seconds)):
            h = seconds[i] - seconds[i - 1]
            if h != known:
                e, p, q, dp, dq = step_weights(k * h)
                known = h
            change = e * (change - h * total) + h * h * (values[i - 1] * dp + values[i] * dq)
            total = e * total + h * (values[i - 1] * p + values[i] * q)
            result[r, i] = total
            slope[r, i] = change


@njit(cache=True)
def residue_convolution(
    seconds: np.ndarray,
    values: np.ndarray,
    residue: np.ndarray,
    lag_step: float,
    delay: float,
    result: np.ndarray,
) -> None:
    """Fill `result` (t,) with the convolution of piecewise linear values and residue.

    The input is a sum of ramps that begin at its samples, so the result is a sum of twice
    integrated residues, which are known exactly: cubic between two lags, linear after the last.
    """
    lags = len(residue)
    once = np.zeros(lags)
    twice = np.zeros(lags)
    for j in range(1, lags):
        a, b = residue[j - 1], residue[j]
        once[j] = once[j - 1] + lag_step * (a + b) / 2
        twice[j] = twice[j - 1] + lag_step * (once[j - 1] + lag_step * (2 * a + b) / 6)
    frames = len(seconds)
    bends = np.zeros(frames)
    before = 0.0
    for j in range(frames - 1):
        after = (values[j + 1] - values[j]) / (seconds[j + 1] - seconds[j])
        bends[j] = after - before
        before = after
    bends[frames - 1] = -before
    for i in range(frames):
        total = 0.0
        for j in range(frames):
            x = seconds[i] - seconds[j] - delay
            if x <= 0.0:
                break
            n = int(x / lag_step)
            if n >= lags - 1:
                first = once[lags - 1]
                second = twice[lags - 1] + first * (x - lag_step * (lags - 1))
            else:
                u = x - n * lag_step
                a = residue[n]
                rise = (residue[n + 1] - a) / lag_step
                first = once[n] + u * (a + u * rise / 2)
                second = twice[n] + u * (once[n] + u * (a / 2 + u * rise / 6))
            total += bends[j] * second
            if j == 0:
                total += values[0] * first
        result[i] = total

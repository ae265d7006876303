"""Exact convolution of a sampled input with a residue function, on any time grid.

The input is taken as piecewise linear between its samples and as zero before the first one. Under
that assumption every integral here is exact: there is no rectangle rule and no resampling.
"""

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve
from bolus.errors import Code, InputError, TimingError
from bolus.quantify.convolution_kernels import (
    exponential_convolution,
    exponential_convolution_slope,
    residue_convolution,
)

_MOST_GROWTH = 1.0
"""Largest growth exponent within one step: the series of the kernel is exact to 1e-13 there."""


def convolve_exponential(
    values: Curve, *, seconds: Curve, rates_per_s: Float[np.ndarray, " rates"]
) -> Float[np.ndarray, "rates t"]:
    """Convolve an input with exp(-k t) for several rates k.

    I(t) = ∫₀ᵗ c(τ) exp(-k (t - τ)) dτ, by the exact recursion over the samples
    I_i = e I_{i-1} + c_{i-1} p + c_i q, where e, p and q depend on k and on the step only.

    Args:
        values: the input at the samples, any unit.
        seconds: times of the samples [s], increasing, any spacing.
        rates_per_s: rates k [1/s]: positive, zero (the running integral), or negative down to
            one over the longest step (an input that grows, as the shape of a model).

    Returns:
        I [unit of `values` times s], one row a rate; 0 at the first sample.

    Raises:
        TimingError: times do not increase or do not match the values.
        InputError: a rate is not finite, or grows by more than a factor e within a step.

    Assumes:
        The input is linear between samples and 0 before the first.

    Source:
        Integration by parts of a linear segment; the same recursion in Flouri, Lesnic and Sourbron,
        Magn Reson Med 2016;76:998-1006.

    Example:
        >>> t = np.linspace(0.0, 10.0, 6)
        >>> from bolus.quantify.convolution import convolve_exponential
        >>> step = convolve_exponential(np.ones(6), seconds=t, rates_per_s=np.array([0.5]))
        >>> bool(np.allclose(step[0], (1 - np.exp(-0.5 * t)) / 0.5))
        True
    """
    times, curve, rates = _checked(values, seconds, rates_per_s)
    result = np.empty((len(rates), len(times)))
    exponential_convolution(times, curve, rates, result)
    return result


def convolve_exponential_with_slope(
    values: Curve, *, seconds: Curve, rates_per_s: Float[np.ndarray, " rates"]
) -> tuple[Float[np.ndarray, "rates t"], Float[np.ndarray, "rates t"]]:
    """Convolve an input with exp(-k t), and differentiate the result by k.

    Args:
        values: the input at the samples, any unit.
        seconds: times of the samples [s], increasing, any spacing.
        rates_per_s: rates k [1/s], zero or positive.

    Returns:
        I [unit of `values` times s] and dI/dk [unit of `values` times s²], one row a rate.

    Raises:
        TimingError: times do not increase or do not match the values.
        InputError: a rate is not finite, or grows by more than a factor e within a step.

    Assumes:
        The input is linear between samples and 0 before the first.

    Source:
        The recursion of `convolve_exponential`, differentiated term by term.

    Example:
        >>> t = np.linspace(0.0, 10.0, 6)
        >>> from bolus.quantify.convolution import convolve_exponential_with_slope
        >>> _, slope = convolve_exponential_with_slope(
        ...     np.ones(6), seconds=t, rates_per_s=np.array([0.0]))
        >>> bool(np.allclose(slope[0], -t**2 / 2))
        True
    """
    times, curve, rates = _checked(values, seconds, rates_per_s)
    result = np.empty((len(rates), len(times)))
    slope = np.empty_like(result)
    exponential_convolution_slope(times, curve, rates, result, slope)
    return result, slope


def convolve_residue(
    values: Curve,
    *,
    seconds: Curve,
    residue: Float[np.ndarray, " lags"],
    lag_step_s: float,
    delay_s: float = 0.0,
) -> Curve:
    """Convolve an input with a residue function given on a fine grid of lags.

    C(t) = ∫ c(t - delay - s) R(s) ds, with R linear between its lags, 0 before lag 0 (where it may
    jump) and 0 after the last lag.

    Args:
        values: the input at the samples, any unit.
        seconds: times of the samples [s], increasing, any spacing.
        residue: R at the lags 0, `lag_step_s`, 2 `lag_step_s` and so on.
        lag_step_s: distance of two lags [s].
        delay_s: how much later [s] the result begins; may be negative.

    Returns:
        C at `seconds` [unit of `values` times unit of R times s].

    Raises:
        TimingError: times do not increase or do not match the values, or the lag step is not
            positive.
        InputError: the residue has fewer than two lags.

    Assumes:
        The input is linear between samples, 0 before the first and constant after the last.

    Source:
        A piecewise linear input is a sum of ramps; a ramp convolved with R is R integrated twice.

    Example:
        >>> t = np.linspace(0.0, 10.0, 6)
        >>> from bolus.quantify.convolution import convolve_residue
        >>> boxcar = convolve_residue(np.ones(6), seconds=t, residue=np.ones(5), lag_step_s=1.0)
        >>> boxcar.tolist()
        [0.0, 2.0, 4.0, 4.0, 4.0, 4.0]
    """
    times, curve, _ = _checked(values, seconds, np.zeros(1))
    lags = np.asarray(residue, np.float64)
    if lag_step_s <= 0 or not np.isfinite(lag_step_s):
        raise TimingError(
            Code.TIME_INVALID,
            f"the lag step is {lag_step_s:.3g} s where a positive one is needed",
            mend="give the distance of two lags in seconds",
        )
    if lags.ndim != 1 or len(lags) < 2:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"the residue has {lags.size} lags where at least two are needed",
            mend="give the residue on a grid of lags that begins at 0",
        )
    result = np.empty(len(times))
    residue_convolution(times, curve, lags, float(lag_step_s), float(delay_s), result)
    return result


def _checked(
    values: np.ndarray, seconds: np.ndarray, rates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    times = np.ascontiguousarray(seconds, np.float64)
    curve = np.ascontiguousarray(values, np.float64)
    speeds = np.ascontiguousarray(np.atleast_1d(rates), np.float64)
    if times.ndim != 1 or len(times) < 2 or times.shape != curve.shape:
        raise TimingError(
            Code.TIME_INVALID,
            f"{curve.size} values but {times.size} times; two or more of each are needed",
            mend="give one time per value",
        )
    if not (np.diff(times) > 0).all():
        raise TimingError(
            Code.TIME_INVALID,
            f"times do not increase (smallest step {np.diff(times).min():.3g} s)",
            mend="sort the frames by acquisition time",
        )
    lowest = -_MOST_GROWTH / np.diff(times).max()
    if not (np.isfinite(speeds) & (speeds >= lowest)).all():
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"rates from {speeds.min():.3g} to {speeds.max():.3g} 1/s where finite ones of at "
            f"least {lowest:.3g} are needed",
            mend="give rates in 1/s; one below zero grows and may do so by a factor e a step",
        )
    return times, curve, speeds

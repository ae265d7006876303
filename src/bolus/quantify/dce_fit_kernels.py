"""Compiled variable-projection Gauss-Newton of the DCE models, with covariance and units.

The parameters of the fit are two amplitudes, the positions of two rates and of the delay. The
amplitudes are solved for at every step; the others move by Gauss-Newton with the amplitudes
eliminated. What comes out is kinetic: see `dce_models`.
"""

import numpy as np
from numba import njit

from bolus.quantify.dce_kernels import (
    CONVERGED,
    EMPTY,
    EXCHANGE,
    NONE,
    NOT_CONVERGED,
    UPTAKE,
    amplitudes,
    evaluate,
    invert,
    normal_equations,
)

_SMALL = 1e-4
"""A step this small, as a share of the longest, that does not help ends the search."""
_LONGEST = 1.0
"""A step changes log rate by at most this, and the delay by at most this many seconds."""


@njit(cache=True, error_model="numpy")
def _set_active(
    kinds: np.ndarray,
    amplitude: np.ndarray,
    limits: np.ndarray,
    moving: np.ndarray,
    active: np.ndarray,
) -> None:
    """Say which parameters are free: inside their limits, and with an effect."""
    for c in range(2):
        a = amplitude[c]
        active[c] = kinds[c] != NONE and limits[c, 0] < a < limits[c, 1]
        active[2 + c] = moving[c] and a != 0.0
    active[4] = moving[2] and (amplitude[0] != 0.0 or amplitude[1] != 0.0)


@njit(cache=True, error_model="numpy")
def _hold(x: np.ndarray, ends: np.ndarray, gradient: np.ndarray, active: np.ndarray) -> None:
    """Free no longer those positions that stand at an end and press against it."""
    for p in range(3):
        below = x[p] <= ends[p, 0] and gradient[2 + p] < 0.0
        above = x[p] >= ends[p, 1] and gradient[2 + p] > 0.0
        if active[2 + p] and (below or above):
            active[2 + p] = False


@njit(cache=True, error_model="numpy")
def _propose(
    x: np.ndarray,
    ends: np.ndarray,
    reach: np.ndarray,
    inverse: np.ndarray,
    gradient: np.ndarray,
    active: np.ndarray,
    y: np.ndarray,
) -> tuple[float, float]:
    """Write the next positions; return the longest move and the squares it should remove."""
    moved, gain = 0.0, 0.0
    for p in range(3):
        y[p] = x[p]
        if active[2 + p]:
            step = 0.0
            for q in range(5):
                if active[q]:
                    step += inverse[2 + p, q] * gradient[q]
            gain += step * gradient[2 + p]
            step = min(max(step, -reach[p]), reach[p])
            y[p] = min(max(x[p] + step, ends[p, 0]), ends[p, 1])
            moved = max(moved, abs(y[p] - x[p]) / reach[p])
    return moved, gain


@njit(cache=True, error_model="numpy")
def fit_voxels(
    data: np.ndarray,
    outside: np.ndarray,
    position: np.ndarray,
    kinds: np.ndarray,
    exchange: np.ndarray,
    artery: np.ndarray,
    axis: np.ndarray,
    limits: np.ndarray,
    ends: np.ndarray,
    moving: np.ndarray,
    steps: int,
    frames: int,
    found: np.ndarray,
    spread: np.ndarray,
    squares: np.ndarray,
    outcome: np.ndarray,
) -> None:
    """Fit every voxel from its start in `position` (n, 3), which it overwrites.

    `data` (n, rank) are the curves on the basis and `outside` (n,) their squares off it. Writes
    `found` (n, 2) amplitudes, `spread` (n, 5, 5) the covariance of amplitudes and positions with
    NaN on the diagonal of what is not free, `squares` (n, 2) the sum of squares left and the
    degrees of freedom, and `outcome` (n,).
    """
    size = data.shape[1]
    rows, trial = np.zeros((6, size)), np.zeros((6, size))
    rest, rest_trial = np.zeros(size), np.zeros(size)
    weight, surface, slopes = np.zeros((2, 2, 4)), np.zeros((3, size)), np.zeros((5, size))
    hessian, inverse, gradient = np.zeros((5, 5)), np.zeros((5, 5)), np.zeros(5)
    work = np.zeros((7, 5))
    active, y, trial_amplitude = np.zeros(5, np.bool_), np.zeros(3), np.zeros(2)
    reach = np.array([_LONGEST / axis[0], _LONGEST / axis[0], _LONGEST / axis[2]])
    for v in range(len(data)):
        z, x, amplitude = data[v], position[v], found[v]
        evaluate(kinds, exchange, artery, axis, x, weight, surface, rows)
        cost = amplitudes(z, rows, limits, amplitude, rest)
        damping = 1e-4
        outcome[v] = NOT_CONVERGED
        for _ in range(steps):
            _set_active(kinds, amplitude, limits, moving, active)
            normal_equations(rows, rest, amplitude, active, slopes, hessian, gradient)
            _hold(x, ends, gradient, active)
            if not (active[2] or active[3] or active[4]):
                outcome[v] = CONVERGED
                break
            if not invert(hessian, active, damping, work, inverse):
                damping = max(10.0 * damping, 1e-6)
                continue
            moved, gain = _propose(x, ends, reach, inverse, gradient, active, y)
            if moved < 1e-6 or gain < 1e-5 * (cost + outside[v]) / frames:
                outcome[v] = CONVERGED
                break
            evaluate(kinds, exchange, artery, axis, y, weight, surface, trial)
            left = amplitudes(z, trial, limits, trial_amplitude, rest_trial)
            if left <= cost:
                settled = cost - left < 1e-6 * (left + outside[v]) / frames
                cost = left
                x[:] = y
                amplitude[:] = trial_amplitude
                rows, trial = trial, rows
                rest, rest_trial = rest_trial, rest
                damping *= 0.1
            else:
                settled = moved < _SMALL
                damping = max(10.0 * damping, 1e-3)
            if settled or (moved < _SMALL and damping > 1e-2):  # at a kink of the artery
                outcome[v] = CONVERGED
                break
        if amplitude[0] == 0.0 and amplitude[1] == 0.0:
            outcome[v] = EMPTY
        _set_active(kinds, amplitude, limits, moving, active)
        for p in range(3):
            active[2 + p] = active[2 + p] and ends[p, 0] < x[p] < ends[p, 1]
        normal_equations(rows, rest, amplitude, active, slopes, hessian, gradient)
        squares[v, 0], squares[v, 1] = cost + outside[v], frames - active.sum()
        _covariance(hessian, inverse, active, squares[v], work, spread[v])


@njit(cache=True, error_model="numpy")
def _covariance(
    hessian: np.ndarray,
    inverse: np.ndarray,
    active: np.ndarray,
    squares: np.ndarray,
    work: np.ndarray,
    spread: np.ndarray,
) -> None:
    """Write the covariance; zero between what is held and the rest, NaN where there is none."""
    noise = squares[0] / max(squares[1], 1.0)
    exists = invert(hessian, active, 0.0, work, inverse)
    for p in range(5):
        for q in range(5):
            spread[p, q] = noise * inverse[p, q] if exists else np.nan
        if not active[p]:
            spread[p, p] = np.nan


@njit(cache=True, error_model="numpy")
def _kinetic(
    kinds: np.ndarray, a: np.ndarray, k: np.ndarray, value: np.ndarray, slope: np.ndarray
) -> int:
    """Fill values [fractions, 1/s] and their slopes by the two amplitudes and two rates.

    Returns their number. One exchange column: Ktrans, ve (and vp); an uptake column beside the
    artery: Ktrans, vp; two pools: Fp, PS, (ve,) vp.
    """
    slope[:] = 0.0
    if kinds[0] == UPTAKE:
        value[0], value[1] = a[0], a[1]
        slope[0, 0] = slope[1, 1] = 1.0
        return 2
    if kinds[1] != EXCHANGE and kinds[1] != UPTAKE:
        value[0], value[1], value[2] = a[0] * k[0], a[0], a[1]
        slope[0, 0], slope[0, 2] = k[0], a[0]
        slope[1, 0] = slope[2, 1] = 1.0
        return 2 if kinds[1] == NONE else 3
    trapped = kinds[1] == UPTAKE
    fast = a[0] * k[0]
    slow = a[1] if trapped else a[1] * k[1]
    flow = fast + slow
    speed = fast * k[0] + (0.0 if trapped else slow * k[1])  # Fp^2 / vp
    plasma = flow * flow / speed
    value[0], value[2] = flow, plasma
    last = 2 if trapped else 3
    value[last] = plasma
    cells = 0.0 if trapped else a[0] + a[1] - plasma
    exchange = flow * slow / fast if trapped else k[0] * k[1] * plasma * cells / flow
    value[1] = exchange
    if not trapped:
        value[2] = cells
    for p in range(4):
        dfast = k[0] if p == 0 else (a[0] if p == 2 else 0.0)
        if trapped:
            dslow = 1.0 if p == 1 else 0.0
            dspeed = k[0] * dfast + (fast if p == 2 else 0.0)
        else:
            dslow = k[1] if p == 1 else (a[1] if p == 3 else 0.0)
            dspeed = k[0] * dfast + k[1] * dslow
            dspeed += fast if p == 2 else (slow if p == 3 else 0.0)
        dflow = dfast + dslow
        dplasma = plasma * (2.0 * dflow / flow - dspeed / speed)
        slope[0, p], slope[last, p] = dflow, dplasma
        if trapped:
            slope[1, p] = (dflow * slow + flow * dslow - exchange * dfast) / fast
        else:
            dcells = (1.0 if p < 2 else 0.0) - dplasma
            slope[2, p] = dcells
            slope[1, p] = k[0] * k[1] / flow * (plasma * dcells + cells * dplasma)
            slope[1, p] -= exchange * dflow / flow
            if p >= 2:
                slope[1, p] += exchange / k[p - 2]
    return last + 1


@njit(cache=True, error_model="numpy")
def _propagate(
    units: np.ndarray,
    slope: np.ndarray,
    spread: np.ndarray,
    turned: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """Carry the covariance of what is free through the slopes."""
    for p in range(len(units)):
        for s in range(5):
            turned[p, s] = 0.0
            for q in range(5):
                if not (np.isnan(spread[q, q]) or np.isnan(spread[s, s])):
                    turned[p, s] += units[p] * slope[p, q] * spread[q, s]
    for p in range(len(units)):
        for o in range(len(units)):
            total = 0.0
            for q in range(5):
                total += turned[p, q] * units[o] * slope[o, q]
            covariance[p, o] = total


@njit(cache=True, error_model="numpy")
def to_kinetic(
    kinds: np.ndarray,
    axis: np.ndarray,
    units: np.ndarray,
    found: np.ndarray,
    position: np.ndarray,
    spread: np.ndarray,
    values: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """Turn amplitudes and positions into kinetic parameters [units], covariance included.

    `axis`: step and scale of the rates, step and origin of the delay. `units` (p,): factor of
    each parameter; one more than the model has means that the delay is among them. A parameter
    that depends on nothing free has variance NaN.
    """
    value, slope, k, turned = np.zeros(5), np.zeros((5, 5)), np.zeros(2), np.zeros((5, 5))
    count = len(units)
    for v in range(len(found)):
        for c in range(2):
            k[c] = axis[1] * (np.exp(axis[0] * position[v, c]) - 1.0)
        kinetic = _kinetic(kinds, found[v], k, value, slope)
        for c in range(2):
            for p in range(kinetic):
                slope[p, 2 + c] *= axis[0] * (k[c] + axis[1])
        if count > kinetic:
            value[kinetic] = axis[3] + axis[2] * position[v, 2]
            slope[kinetic, 4] = axis[2]
        for p in range(count):
            values[v, p] = units[p] * value[p]
        _propagate(units, slope, spread[v], turned, covariance[v])
        for p in range(count):
            if not covariance[v, p, p] > 0.0:
                covariance[v, p, :] = np.nan
                covariance[v, :, p] = np.nan

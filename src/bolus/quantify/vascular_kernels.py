"""Compiled inner loops of the vascular model: spline tables and damped Gauss-Newton.

A template is a point on a three-dimensional table of cubic B-spline coefficients; positions on
it are in nodes (0 is the first node of an axis). Axis 0 is MTT, 1 shape, 2 delay.
"""

import numpy as np
from numba import njit

from bolus.quantify.piecewise_kernels import spline_weights

CONVERGED = 0
NOT_CONVERGED = 1
NO_AMPLITUDE = 2


@njit(cache=True, fastmath=True)
def template(
    coefficients: np.ndarray, position: np.ndarray, weight: np.ndarray, out: np.ndarray
) -> None:
    """Write a template (row 0) and its slopes along the three axes (rows 1-3) into `out`."""
    size = coefficients.shape[3]
    i = spline_weights(position[0], coefficients.shape[0] - 2, weight[0])
    j = spline_weights(position[1], coefficients.shape[1] - 2, weight[1])
    k = spline_weights(position[2], coefficients.shape[2] - 2, weight[2])
    v0, v1, v2, v3 = weight[2, 0]
    s0, s1, s2, s3 = weight[2, 1]
    value, slope_i, slope_j, slope_k = out[0], out[1], out[2], out[3]
    out[:] = 0.0
    for a in range(4):
        for b in range(4):
            row_0 = coefficients[i + a, j + b, k]  # rows: the compiler needs unit strides
            row_1 = coefficients[i + a, j + b, k + 1]
            row_2 = coefficients[i + a, j + b, k + 2]
            row_3 = coefficients[i + a, j + b, k + 3]
            both = weight[0, 0, a] * weight[1, 0, b]
            along_i = weight[0, 1, a] * weight[1, 0, b]
            along_j = weight[0, 0, a] * weight[1, 1, b]
            for r in range(size):
                c0, c1, c2, c3 = row_0[r], row_1[r], row_2[r], row_3[r]
                here = v0 * c0 + v1 * c1 + v2 * c2 + v3 * c3
                value[r] += both * here
                slope_i[r] += along_i * here
                slope_j[r] += along_j * here
                slope_k[r] += both * (s0 * c0 + s1 * c1 + s2 * c2 + s3 * c3)


@njit(cache=True, fastmath=True)
def _products(data: np.ndarray, model: np.ndarray, gram: np.ndarray) -> None:
    """Fill inner products: gram[p, q] of template rows, and with the data in column 4."""
    size = data.shape[0]
    for p in range(4):
        for q in range(p, 4):
            total = 0.0
            for r in range(size):
                total += model[p, r] * model[q, r]
            gram[p, q] = total
            gram[q, p] = total
        total = 0.0
        for r in range(size):
            total += model[p, r] * data[r]
        gram[p, 4] = total


@njit(cache=True, fastmath=True)
def _inverse(h: np.ndarray, out: np.ndarray) -> bool:
    """Invert a symmetric 3 x 3 matrix; return whether it is positive definite."""
    c00 = h[1, 1] * h[2, 2] - h[1, 2] * h[1, 2]
    c01 = h[0, 2] * h[1, 2] - h[0, 1] * h[2, 2]
    c02 = h[0, 1] * h[1, 2] - h[0, 2] * h[1, 1]
    determinant = h[0, 0] * c00 + h[0, 1] * c01 + h[0, 2] * c02
    if not determinant > 1e-12 * h[0, 0] * h[1, 1] * h[2, 2]:
        return False
    out[0, 0] = c00 / determinant
    out[0, 1] = out[1, 0] = c01 / determinant
    out[0, 2] = out[2, 0] = c02 / determinant
    out[1, 1] = (h[0, 0] * h[2, 2] - h[0, 2] * h[0, 2]) / determinant
    out[1, 2] = out[2, 1] = (h[0, 1] * h[0, 2] - h[0, 0] * h[1, 2]) / determinant
    out[2, 2] = (h[0, 0] * h[1, 1] - h[0, 1] * h[0, 1]) / determinant
    return True


@njit(cache=True, fastmath=True)
def _reduced(
    gram: np.ndarray, noise: float, pull: np.ndarray, hessian: np.ndarray, slope: np.ndarray
) -> None:
    """Fill normal matrix and right-hand side with the amplitude eliminated (Schur complement).

    `pull` is (precision, distance to the centre) of the prior on the shape, in nodes.
    """
    amplitude = gram[0, 4] / gram[0, 0]
    for p in range(3):
        for q in range(3):
            projected = gram[0, p + 1] * gram[0, q + 1] / gram[0, 0]
            hessian[p, q] = amplitude * amplitude * (gram[p + 1, q + 1] - projected)
        slope[p] = amplitude * (gram[p + 1, 4] - amplitude * gram[0, p + 1])
    hessian[1, 1] += noise * pull[0]
    slope[1] -= noise * pull[0] * pull[1]


@njit(cache=True, fastmath=True)
def _step(
    hessian: np.ndarray, slope: np.ndarray, damping: float, held: np.ndarray, work: np.ndarray
) -> bool:
    """Write the damped step into slope's place in `work[3]`; return whether it exists."""
    damped = work[:3]
    inverse = work[4:7]
    for p in range(3):
        for q in range(3):
            damped[p, q] = 0.0 if held[p] or held[q] else hessian[p, q]
        damped[p, p] = 1.0 if held[p] else hessian[p, p] * (1.0 + damping) + 1e-300
    if not _inverse(damped, inverse):
        return False
    for p in range(3):
        total = 0.0
        for q in range(3):
            total += 0.0 if held[q] else inverse[p, q] * slope[q]
        work[3, p] = 0.0 if held[p] else total
    return True


@njit(cache=True, fastmath=True)
def refine(  # noqa: PLR0915 - one loop, which numba compiles as a whole
    projected: np.ndarray,
    outside: np.ndarray,
    position: np.ndarray,
    coefficients: np.ndarray,
    prior: np.ndarray,
    freedom: float,
    steps: int,
    order: np.ndarray,
    result: np.ndarray,
    outcome: np.ndarray,
) -> None:
    """Fit every voxel from its start; write amplitude, noise variance and covariances.

    Minimises |z - a T(x)|^2 + noise * ((x1 - centre) / width)^2 over amplitude and position.

    `projected` (voxels, rank) are the data on the basis, `outside` (voxels,) the squared norm off
    it, `position` (voxels, 3) start and answer in nodes, `prior` (centre and precision
    in nodes, share of a curve's sum of squares that counts as noise beside the residual),
    `order` (voxels,) visits voxels of like starts together, so that table rows stay in cache,
    `result` (voxels, 12): amplitude, noise variance, variance of the amplitude, covariances of
    the amplitude with the three positions, their 3 x 3 covariance's upper triangle.
    """
    size = projected.shape[1]
    model, trial = np.zeros((4, size)), np.zeros((4, size))
    gram, gram_trial = np.zeros((4, 5)), np.zeros((4, 5))
    weight = np.zeros((3, 2, 4))
    hessian, slope, work = np.zeros((3, 3)), np.zeros(3), np.zeros((7, 3))
    held, x, y, pull = np.zeros(3, np.bool_), np.zeros(3), np.zeros(3), np.zeros(2)
    pull[0] = prior[1]
    for v in order:
        z = projected[v]
        power = 0.0
        for r in range(size):
            power += z[r] * z[r]
        x[:] = position[v]
        template(coefficients, x, weight, model)
        _products(z, model, gram)
        outcome[v] = NOT_CONVERGED
        damping = 1e-3
        for _ in range(steps):
            if not gram[0, 4] > 0.0:
                outcome[v] = NO_AMPLITUDE
                break
            rest = max(power - gram[0, 4] * gram[0, 4] / gram[0, 0], 0.0)
            noise = (outside[v] + rest) / freedom + prior[2] * (power + outside[v])
            pull[1] = x[1] - prior[0]
            cost = rest + noise * pull[0] * pull[1] * pull[1]
            _reduced(gram, noise, pull, hessian, slope)
            for p in range(3):
                top = coefficients.shape[p] - 3.0
                held[p] = (x[p] <= 0.0 and slope[p] < 0.0) or (x[p] >= top and slope[p] > 0.0)
            if not _step(hessian, slope, damping, held, work):
                damping = max(10.0 * damping, 1e-3)
                continue
            moved = 0.0
            for p in range(3):
                top = coefficients.shape[p] - 3.0
                y[p] = min(max(x[p] + min(max(work[3, p], -2.0), 2.0), 0.0), top)
                moved = max(moved, abs(y[p] - x[p]))
            template(coefficients, y, weight, trial)
            _products(z, trial, gram_trial)
            away = y[1] - prior[0]
            rest = max(power - gram_trial[0, 4] * gram_trial[0, 4] / gram_trial[0, 0], 0.0)
            if gram_trial[0, 4] > 0.0 and rest + noise * pull[0] * away * away <= cost:
                settled = cost - rest - noise * pull[0] * away * away < 1e-4 * noise
                x[:] = y
                model[:] = trial
                gram[:] = gram_trial
                damping *= 0.1
                if moved < 0.03 or settled:
                    outcome[v] = CONVERGED
                    break
            elif moved < 0.01:
                outcome[v] = CONVERGED
                break
            else:
                damping = max(10.0 * damping, 1e-2)
        position[v] = x
        _finish(gram, power, outside[v], freedom, pull, hessian, slope, work, result[v])


@njit(cache=True, fastmath=True)
def _finish(
    gram: np.ndarray,
    power: float,
    outside: float,
    freedom: float,
    pull: np.ndarray,
    hessian: np.ndarray,
    slope: np.ndarray,
    work: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write amplitude, noise variance and the covariance with the amplitude put back in."""
    amplitude = gram[0, 4] / gram[0, 0]
    noise = (outside + max(power - gram[0, 4] * amplitude, 0.0)) / freedom
    result[0], result[1] = amplitude, noise
    _reduced(gram, noise, pull, hessian, slope)
    inverse = work[4:7]
    if not _inverse(hessian, inverse):
        result[2:] = np.nan
        return
    variance = noise / gram[0, 0]
    for p in range(3):
        along = 0.0
        for q in range(3):
            along += noise * inverse[p, q] * amplitude * gram[0, q + 1] / gram[0, 0]
        result[3 + p] = -along
        variance += along * amplitude * gram[0, p + 1] / gram[0, 0]
    result[2] = variance
    place = 6
    for p in range(3):
        for q in range(p, 3):
            result[place] = noise * inverse[p, q]
            place += 1

"""Compiled loops of the DCE models: convolution with a delayed artery, and the fit of one voxel.

A model is a sum of one or two columns, each an amplitude times a curve that depends on a rate
and on the delay. All columns come from two tables on an orthonormal basis of the frames (see
`dce_tables`), so an inner product costs a few dozen numbers whatever the number of frames.
"""

import numpy as np
from numba import njit

from bolus.quantify.piecewise_kernels import spline_weights, step_weights

NONE, ARTERY, UPTAKE, EXCHANGE = 0, 1, 2, 3
"""What a column is: nothing, a(t - d), its integral, or k times its convolution with exp(-k t)."""

CONVERGED, NOT_CONVERGED, EMPTY = 0, 1, 2
"""How the fit of a voxel ended; EMPTY: no column has an amplitude other than zero."""

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # NaN and infinity keep their meaning
_SINGULAR = 1e-11
"""Columns whose squared sine is below this are one column."""


@njit(cache=True, error_model="numpy")
def delayed_convolution(
    seconds: np.ndarray,
    arterial_seconds: np.ndarray,
    arterial: np.ndarray,
    rates: np.ndarray,
    delays: np.ndarray,
    result: np.ndarray,
) -> None:
    """Fill `result` (n, t) with the convolution of a(t - delay) with exp(-rate t), exactly.

    One rate and one delay a row. The artery is linear between its samples, 0 before the first
    and constant after the last; its samples need not be those of the tissue.
    """
    last = len(arterial) - 1
    for v in range(len(rates)):
        k, delay = rates[v], delays[v]
        now, value, total, j = arterial_seconds[0] + delay, arterial[0], 0.0, 0
        known, e, p, q = -1.0, 0.0, 0.0, 0.0
        for i in range(len(seconds)):
            if seconds[i] < arterial_seconds[0] + delay:
                result[v, i] = 0.0
                continue
            reached = False
            while not reached:
                if j < last and arterial_seconds[j + 1] + delay <= seconds[i]:
                    j += 1
                    until, after = arterial_seconds[j] + delay, arterial[j]
                else:
                    reached = True
                    until = seconds[i]
                    after = arterial[j]
                    if j < last:
                        width = arterial_seconds[j + 1] - arterial_seconds[j]
                        share = (until - delay - arterial_seconds[j]) / width
                        after += share * (arterial[j + 1] - arterial[j])
                h = until - now
                if h > 0.0:
                    if h != known:
                        e, p, q, _, _ = step_weights(k * h)
                        known = h
                    total = e * total + h * (value * p + after * q)
                now, value = until, after
            result[v, i] = total


@njit(cache=True, error_model="numpy")
def delayed_samples(
    seconds: np.ndarray,
    arterial_seconds: np.ndarray,
    arterial: np.ndarray,
    delays: np.ndarray,
    result: np.ndarray,
) -> None:
    """Fill `result` (n, t) with a(t - delay), linear between samples, one delay a row."""
    last = len(arterial) - 1
    for v in range(len(delays)):
        j = 0
        for i in range(len(seconds)):
            at = seconds[i] - delays[v]
            while j < last and arterial_seconds[j + 1] <= at:
                j += 1
            if at < arterial_seconds[0]:
                result[v, i] = 0.0
            elif j == last:
                result[v, i] = arterial[last]
            else:
                width = arterial_seconds[j + 1] - arterial_seconds[j]
                share = (at - arterial_seconds[j]) / width
                result[v, i] = arterial[j] + share * (arterial[j + 1] - arterial[j])


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def _surface(
    table: np.ndarray, x: float, y: float, weight: np.ndarray, out: np.ndarray, slopes: bool
) -> None:
    """Write a spline surface at (x, y), and its slopes along both, into three rows of `out`."""
    size = table.shape[2]
    i = spline_weights(x, table.shape[0] - 2, weight[0]) if table.shape[0] > 1 else 0
    if table.shape[1] == 1:
        w0, w1, w2, w3 = weight[0, 0, 0], weight[0, 0, 1], weight[0, 0, 2], weight[0, 0, 3]
        s0, s1, s2, s3 = weight[0, 1, 0], weight[0, 1, 1], weight[0, 1, 2], weight[0, 1, 3]
        for r in range(size):
            r0, r1 = table[i, 0, r], table[i + 1, 0, r]
            r2, r3 = table[i + 2, 0, r], table[i + 3, 0, r]
            out[0, r] = w0 * r0 + w1 * r1 + w2 * r2 + w3 * r3
            out[1, r] = s0 * r0 + s1 * r1 + s2 * r2 + s3 * r3
        return
    j = spline_weights(y, table.shape[1] - 2, weight[1])
    w0, w1, w2, w3 = weight[1, 0, 0], weight[1, 0, 1], weight[1, 0, 2], weight[1, 0, 3]
    s0, s1, s2, s3 = weight[1, 1, 0], weight[1, 1, 1], weight[1, 1, 2], weight[1, 1, 3]
    out[:] = 0.0
    for a in range(4 if table.shape[0] > 1 else 1):
        along = weight[0, 0, a] if table.shape[0] > 1 else 1.0
        across = weight[0, 1, a] if table.shape[0] > 1 and slopes else 0.0
        for r in range(size):
            r0, r1 = table[i + a, j, r], table[i + a, j + 1, r]
            r2, r3 = table[i + a, j + 2, r], table[i + a, j + 3, r]
            here = w0 * r0 + w1 * r1 + w2 * r2 + w3 * r3
            out[0, r] += along * here
            out[1, r] += across * here
            out[2, r] += along * (s0 * r0 + s1 * r1 + s2 * r2 + s3 * r3)


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def evaluate(
    kinds: np.ndarray,
    exchange: np.ndarray,
    artery: np.ndarray,
    axis: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    surface: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Fill rows 0-1 with the columns, 2-3 with their slopes by rate, 4-5 by delay.

    `x` holds the positions of the two rates and of the delay, in nodes; `axis` (step, scale) of
    the rates: k = scale * (exp(step * position) - 1).
    """
    size = rows.shape[1]
    moved = artery.shape[1] > 1
    for c in range(2):
        if kinds[c] == NONE:
            continue
        if kinds[c] == ARTERY:
            if moved:
                _surface(artery, 0.0, x[2], weight, surface, False)
            for r in range(size):
                rows[c, r] = surface[0, r] if moved else artery[0, 0, r]
                rows[4 + c, r] = surface[2, r] if moved else 0.0
            continue
        uptake = kinds[c] == UPTAKE
        _surface(exchange, 0.0 if uptake else x[c], x[2], weight, surface, not uptake)
        k, dk = 1.0, 0.0
        if not uptake:
            grown = np.exp(axis[0] * x[c])
            k, dk = axis[1] * (grown - 1.0), axis[1] * axis[0] * grown
        for r in range(size):
            rows[c, r] = k * surface[0, r]
            rows[2 + c, r] = dk * surface[0, r] + k * surface[1, r]
        if moved:
            for r in range(size):
                rows[4 + c, r] = k * surface[2, r]


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def box_fit(
    g00: float,
    g01: float,
    g11: float,
    y0: float,
    y1: float,
    limits: np.ndarray,
) -> tuple[float, float, float]:
    """Return the two amplitudes within their limits that fit best, and the squares they explain.

    Least squares on a box: the free minimum, or else the best of the four edges.
    """
    determinant = g00 * g11 - g01 * g01
    if determinant > _SINGULAR * g00 * g11:
        a0 = (g11 * y0 - g01 * y1) / determinant
        a1 = (g00 * y1 - g01 * y0) / determinant
        if limits[0, 0] <= a0 <= limits[0, 1] and limits[1, 0] <= a1 <= limits[1, 1]:
            return a0, a1, a0 * y0 + a1 * y1
    best0, best1, most = 0.0, 0.0, -np.inf
    for side in range(2):
        a0 = limits[0, side]
        if np.isfinite(a0):
            a1 = (y1 - a0 * g01) / g11 if g11 > 0.0 else 0.0
            a1 = min(max(a1, limits[1, 0]), limits[1, 1])
            gain = a0 * (2 * y0 - a0 * g00) + a1 * (2 * (y1 - a0 * g01) - a1 * g11)
            if gain > most:
                best0, best1, most = a0, a1, gain
        a1 = limits[1, side]
        if np.isfinite(a1):
            a0 = (y0 - a1 * g01) / g00 if g00 > 0.0 else 0.0
            a0 = min(max(a0, limits[0, 0]), limits[0, 1])
            gain = a0 * (2 * y0 - a0 * g00) + a1 * (2 * (y1 - a0 * g01) - a1 * g11)
            if gain > most:
                best0, best1, most = a0, a1, gain
    return best0, best1, most


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def search(
    products: np.ndarray,
    partners: np.ndarray,
    squares: np.ndarray,
    partner_squares: np.ndarray,
    cross: np.ndarray,
    limits: np.ndarray,
    triangular: bool,
    known_delay: np.ndarray,
    best: np.ndarray,
) -> None:
    """Write the best (rate, partner, delay) of a grid for every voxel, as indices.

    `products` (n, d, i) and `partners` (n, d, j) are the data times the two columns, `squares`
    (d, i), `partner_squares` (d, j) and `cross` (d, i, j) the columns' own products. `triangular`:
    only partners slower than the first; else the rate is refined to the vertex of the parabola
    through the best and its neighbours. `known_delay`: index of the delay, -1 to try them all.
    """
    last = squares.shape[1] - 1
    for v in range(len(products)):
        most, i0, j0, d0 = -np.inf, 0, 0, 0
        for d in range(squares.shape[0]):
            if known_delay[v] >= 0 and d != known_delay[v]:
                continue
            for i in range(squares.shape[1]):
                for j in range(i if triangular else partner_squares.shape[1]):
                    _, _, gain = box_fit(
                        squares[d, i], cross[d, i, j], partner_squares[d, j],
                        products[v, d, i], partners[v, d, j], limits,
                    )  # fmt: skip
                    if gain > most:
                        most, i0, j0, d0 = gain, i, j, d
        shift = 0.0
        if not triangular and 0 < i0 < last:
            _, _, below = box_fit(
                squares[d0, i0 - 1], cross[d0, i0 - 1, j0], partner_squares[d0, j0],
                products[v, d0, i0 - 1], partners[v, d0, j0], limits,
            )  # fmt: skip
            _, _, above = box_fit(
                squares[d0, i0 + 1], cross[d0, i0 + 1, j0], partner_squares[d0, j0],
                products[v, d0, i0 + 1], partners[v, d0, j0], limits,
            )  # fmt: skip
            bend = 2.0 * most - below - above
            if bend > 0.0:
                shift = 0.5 * (above - below) / bend
        best[v, 0], best[v, 1], best[v, 2] = i0 + shift, j0, d0


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def amplitudes(
    data: np.ndarray, rows: np.ndarray, limits: np.ndarray, amplitude: np.ndarray, rest: np.ndarray
) -> float:
    """Solve for the amplitudes, write what is left of the data, return its sum of squares."""
    g00 = g01 = g11 = y0 = y1 = 0.0
    for r in range(data.shape[0]):
        b0, b1, z = rows[0, r], rows[1, r], data[r]
        g00 += b0 * b0
        g01 += b0 * b1
        g11 += b1 * b1
        y0 += b0 * z
        y1 += b1 * z
    a0, a1, _ = box_fit(g00, g01, g11, y0, y1, limits)
    amplitude[0], amplitude[1] = a0, a1
    total = 0.0
    for r in range(data.shape[0]):
        left = data[r] - a0 * rows[0, r] - a1 * rows[1, r]
        rest[r] = left
        total += left * left
    return total


@njit(cache=True, fastmath=_FAST, error_model="numpy")
def normal_equations(
    rows: np.ndarray,
    rest: np.ndarray,
    amplitude: np.ndarray,
    active: np.ndarray,
    slopes: np.ndarray,
    hessian: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Fill J'J and J'rest of the five parameters (two amplitudes, two rates, delay) in `active`."""
    a0, a1 = amplitude[0], amplitude[1]
    for r in range(rows.shape[1]):
        slopes[0, r] = rows[0, r]
        slopes[1, r] = rows[1, r]
        slopes[2, r] = a0 * rows[2, r]
        slopes[3, r] = a1 * rows[3, r]
        slopes[4, r] = a0 * rows[4, r] + a1 * rows[5, r]
    for p in range(5):
        if not active[p]:
            continue
        total = 0.0
        for r in range(rows.shape[1]):
            total += slopes[p, r] * rest[r]
        gradient[p] = total
        for q in range(p + 1):
            if active[q]:
                total = 0.0
                for r in range(rows.shape[1]):
                    total += slopes[p, r] * slopes[q, r]
                hessian[p, q] = hessian[q, p] = total


@njit(cache=True, error_model="numpy")
def _gauss_jordan(work: np.ndarray, count: int) -> bool:
    """Invert the leading block in place: the inverse grows where the matrix is used up."""
    for a in range(count):
        pivot = work[a, a]
        if not pivot > 1e-13:
            return False
        work[a, a] = 1.0
        for b in range(count):
            work[a, b] /= pivot
        for c in range(count):
            if c != a:
                factor = work[c, a]
                work[c, a] = 0.0
                for b in range(count):
                    work[c, b] -= factor * work[a, b]
    return True


@njit(cache=True, error_model="numpy")
def invert(
    hessian: np.ndarray, active: np.ndarray, damping: float, work: np.ndarray, out: np.ndarray
) -> bool:
    """Invert the active part of a symmetric 5 x 5 matrix; rates and delay are damped.

    Gauss-Jordan on the matrix scaled to a unit diagonal, held parameters left out; pivots need
    no search because it is positive definite, or it is given up. `work` (7, 5) is scratch.
    """
    count = 0
    for p in range(5):
        for q in range(5):
            out[p, q] = 0.0
        if active[p]:
            if not hessian[p, p] > 0.0:
                return False
            work[5, count] = 1.0 / np.sqrt(hessian[p, p])
            work[6, count] = p
            count += 1
    for a in range(count):
        for b in range(a):
            value = hessian[int(work[6, a]), int(work[6, b])] * work[5, a] * work[5, b]
            work[a, b] = work[b, a] = value
        work[a, a] = 1.0 + (damping if work[6, a] >= 2.0 else 0.0)
    if not _gauss_jordan(work, count):
        return False
    for a in range(count):
        for b in range(count):
            out[int(work[6, a]), int(work[6, b])] = work[a, b] * work[5, a] * work[5, b]
    return True

"""Compiled search for the vascular and the leakage term that explain a curve best."""

import numba
import numpy as np

_SIGNIFICANT = 11.3
"""99 % point of chi-squared with 3 degrees of freedom: transit, delay and washout."""
OK, NOT_FINITE, NO_SIGNAL = 0, 2, 3
"""The numbers of `FitStatus`; compiled code knows no enumerations."""


@numba.njit(cache=True, error_model="numpy")
def search_pairs(  # type: ignore[no-untyped-def]
    products,
    guides,
    gram,
    scale_vascular,
    scale_leakage,
    area_leakage,
    errors,
    degrees,
    numbers,
    choice,
):
    """Fill `numbers` and `choice` with the best pair of terms of every voxel.

    Args:
        products: (voxels, v + l + 2) curve times unit vascular terms, unit leakage terms,
            quadrature weights, and itself.
        guides: like `products`, of smoother curves whose terms are preferred wherever the own
            curve does not speak against them; no rows for none.
        gram: (v, l) inner products of the unit terms.
        scale_vascular: (v,) 1 / norm of the vascular terms.
        scale_leakage: (l,) 1 / norm of the leakage terms.
        area_leakage: (l,) integral of the leakage terms.
        errors: (2, v, l) standard error of K2 and of the area for unit noise.
        degrees: degrees of freedom of the residual.
        numbers: (6, voxels) out: K1, K2, area, standard errors of K2 and area, residual.
        choice: (3, voxels) out: vascular term, leakage term, status.
    """
    v, l = gram.shape  # noqa: E741
    inverse = 1.0 / np.maximum(1.0 - gram * gram, 1e-12)
    for row in range(len(products)):
        square = products[row, v + l + 1]
        if not np.isfinite(square) or square <= 0.0:
            numbers[:, row] = np.nan
            choice[:2, row] = 0
            choice[2, row] = NO_SIGNAL if square == 0.0 else NOT_FINITE
            continue
        best, at, by = _best(products[row], gram, inverse)
        if guides.shape[0] > 0:
            _, there, then = _best(guides[row], gram, inverse)
            lost = best - _gain(products[row], gram, inverse, there, then)
            if lost * degrees <= _SIGNIFICANT * max(square - best, 0.0):
                at, by = there, then
        p = products[row, at]
        rest = products[row, v + by] - gram[at, by] * p
        q = rest * inverse[at, by]
        k2 = -q * scale_leakage[by]
        residual = np.sqrt(max(square - p * p - rest * q, 0.0) / degrees)
        numbers[0, row] = (p - gram[at, by] * q) * scale_vascular[at]
        numbers[1, row] = k2
        numbers[2, row] = products[row, v + l] + k2 * area_leakage[by]
        numbers[3, row] = errors[0, at, by] * residual
        numbers[4, row] = errors[1, at, by] * residual
        numbers[5, row] = residual
        choice[0, row], choice[1, row], choice[2, row] = at, by, OK


@numba.njit(cache=True, error_model="numpy")
def _gain(products, gram, inverse, i, j):  # type: ignore[no-untyped-def]
    """Return the sum of squares that a pair of terms explains; 0 for a negative blood volume."""
    v = len(gram)
    p = products[i]
    rest = products[v + j] - gram[i, j] * p
    if v > 1 and p <= gram[i, j] * rest * inverse[i, j]:
        return 0.0
    return p * p + rest * rest * inverse[i, j]


@numba.njit(cache=True, error_model="numpy")
def _best(products, gram, inverse):  # type: ignore[no-untyped-def]
    """Return the largest explained sum of squares, and the two terms that explain it."""
    best, at, by = -1.0, 0, 0
    for i in range(gram.shape[0]):
        for j in range(gram.shape[1]):
            gain = _gain(products, gram, inverse, i, j)
            if gain > best:
                best, at, by = gain, i, j
    return best, at, by


@numba.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
def project(curves, terms, first, products):  # type: ignore[no-untyped-def]
    """Fill `products` with curve times each term, and with itself.

    A GEMM this narrow is bound by memory, and the sum of squares would read the curves once more:
    here a curve is read once and stays in the first cache for all terms, four at a time. Sums may
    be reordered (SIMD); NaN and infinity stay what they are.

    Args:
        curves: (voxels, t).
        terms: (m, t - first), of the same type.
        first: frames before this one are not used.
        products: (voxels, m + 1) out, of the same type.
    """
    m, n = terms.shape
    zero = curves.dtype.type(0)
    for row in range(len(curves)):
        curve = curves[row, first:]
        e = zero
        for i in range(n):
            e += curve[i] * curve[i]
        products[row, m] = e
        k = 0
        while k + 4 <= m:
            p, q, r, s = terms[k], terms[k + 1], terms[k + 2], terms[k + 3]
            a = b = c = d = zero
            for i in range(n):
                a += curve[i] * p[i]
                b += curve[i] * q[i]
                c += curve[i] * r[i]
                d += curve[i] * s[i]
            products[row, k], products[row, k + 1] = a, b
            products[row, k + 2], products[row, k + 3] = c, d
            k += 4
        while k < m:
            p = terms[k]
            a = zero
            for i in range(n):
                a += curve[i] * p[i]
            products[row, k] = a
            k += 1

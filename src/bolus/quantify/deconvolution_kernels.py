"""Compiled loops of the deconvolution; `circulant` says what they compute."""

import numpy as np
from numba import njit


@njit(cache=True, fastmath={"reassoc", "nnan", "nsz", "contract"})
def _oscillation(residues: np.ndarray, v: int) -> float:
    """Return the sum of absolute second differences of row v.

    No numbers stand in the loop: they would make the arithmetic of float32 curves double.
    """
    total = residues[v, 0] - residues[v, 0]
    for i in range(residues.shape[1] - 2):
        left = residues[v, i] - residues[v, i + 1]
        total += abs(left - (residues[v, i + 1] - residues[v, i + 2]))
    return float(total)


@njit(cache=True, fastmath={"reassoc", "nnan", "nsz", "contract"})
def _highest(residues: np.ndarray, v: int) -> float:
    """Return the maximum of row v, by four chains: one is held up by its own latency."""
    lags = residues.shape[1]
    a = b = c = d = residues[v, 0]
    for i in range(0, lags - 3, 4):
        a = max(a, residues[v, i])
        b = max(b, residues[v, i + 1])
        c = max(c, residues[v, i + 2])
        d = max(d, residues[v, i + 3])
    for i in range(lags - lags % 4, lags):
        a = max(a, residues[v, i])
    return float(max(a, b, c, d))


@njit(cache=True, fastmath={"reassoc", "nnan", "nsz", "contract"})
def _remove(residues: np.ndarray, v: int, waves: np.ndarray, w: int, a: float, b: float) -> None:
    for i in range(residues.shape[1]):
        residues[v, i] -= a * waves[w, i] + b * waves[w + 1, i]


@njit(cache=True)
def drop_until_smooth(
    residues: np.ndarray, weights: np.ndarray, waves: np.ndarray, limit: float
) -> np.ndarray:
    """Drop one frequency after the other from every residue until it oscillates little enough.

    `residues` (voxels, lags) hold every frequency on entry, and the smooth curve on return.
    `weights` (voxels, 2 m) are the amplitudes of the pairs of `waves` (2 m, lags), the pair to go
    first in front; the last pair is never dropped. Returns how many pairs are gone; a curve that
    is not finite keeps all of them.

    The maximum is slow to find, so a bound on it is kept and it is sought only when that passes.
    """
    voxels, lags = residues.shape
    pairs = waves.shape[0] // 2
    allowed = limit * lags
    amplitude = float(np.abs(waves).max())
    gone = np.zeros(voxels, np.int64)
    for v in range(voxels):
        total = _oscillation(residues, v)
        if not np.isfinite(total):
            continue
        bound = np.inf
        k = 0
        while k < pairs - 1:
            if total <= allowed * bound:
                bound = _highest(residues, v)
                if total <= allowed * bound:
                    break
            a, b = weights[v, 2 * k], weights[v, 2 * k + 1]
            _remove(residues, v, waves, 2 * k, a, b)
            bound += amplitude * (abs(a) + abs(b))
            total = _oscillation(residues, v)
            k += 1
        gone[v] = k
    return gone


@njit(cache=True, fastmath={"reassoc", "nnan", "nsz", "contract"})
def _product(values: np.ndarray, weights: np.ndarray) -> float:
    total = values[0] - values[0]
    for i in range(len(values)):
        total += values[i] * weights[i]
    return float(total)


@njit(cache=True)
def half_way(
    values: np.ndarray, index: np.ndarray, kernel: np.ndarray, before: np.ndarray, after: np.ndarray
) -> None:
    """Fill in the value of periodic curves half a sample before and after their `index`.

    `kernel` (2 lags - 1,) is the trigonometric interpolation half a sample after its middle.
    """
    lags = values.shape[1]
    for v in range(len(values)):
        here = lags - 1 - index[v]
        after[v] = _product(values[v], kernel[here : here + lags])
        there = lags - 1 - (index[v] - 1 if index[v] > 0 else lags - 1)
        before[v] = _product(values[v], kernel[there : there + lags])

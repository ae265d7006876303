"""Compiled loop of the signal equation with the T2* effect; `concentration` says what it solves."""

import numpy as np
from numba import njit

_MOST_STEPS = 50
_CLOSE = 1e-12
_LARGEST_EXPONENT = 50.0
"""Far beyond the summit of any signal: only keeps numbers finite."""


@njit(cache=True, error_model="numpy")
def solve_with_decay(  # type: ignore[no-untyped-def]
    conc, held, native, cosine, interval, r1, decay_per_mmolar
):
    """Replace `conc` by the root C of M(R10 + r1 C) exp(-k C) = held, NaN where there is none.

    Up to its maximum the left side rises and is concave, and the start (no decay) lies below the
    root of an enhanced sample: Newton's steps approach it from the left and never pass it.

    Args:
        conc: (voxels, t) in: C without decay; out: C.
        held: (voxels, t) M/M0 of the samples, times exp(-k C).
        native: (voxels,) R10 [1/s].
        cosine: (voxels,) of the flip angle; 0 for a saturation recovery.
        interval: TR or recovery time [s].
        r1: relaxivity [1/s per mM].
        decay_per_mmolar: k = TE r2* [1/mM].
    """
    for row in range(len(conc)):
        share = cosine[row]
        for i in range(conc.shape[1]):
            c = conc[row, i]
            if not np.isfinite(c):
                continue
            found = False
            for _ in range(_MOST_STEPS):
                e = np.exp(-interval * (native[row] + r1 * c))
                below = 1.0 - e * share
                m = (1.0 - e) / below
                slope = r1 * interval * e * (1.0 - share) / (below * below) - decay_per_mmolar * m
                if not slope > 0.0:
                    break
                grown = np.exp(min(decay_per_mmolar * c, _LARGEST_EXPONENT))
                step = (held[row, i] * grown - m) / slope
                c += step
                if abs(step) <= _CLOSE * (1.0 + abs(c)):
                    found = True
                    break
            conc[row, i] = c if found else np.nan

"""The curves every benchmark of the DCE models runs on: known parameters, numpy only.

A Parker-like plasma curve from 20 s on; 100 frames at 3 s; parameters over the range of tumours;
white noise. The truth is summed on a 0.05 s grid, without any code of the package.
"""

from dataclasses import dataclass

import numpy as np

STEP_S = 3.0
FINE_S = 0.05
NOISE_MM = 0.01


@dataclass(frozen=True, slots=True)
class Curves:
    tissue: np.ndarray
    plasma: np.ndarray
    seconds: np.ndarray
    truth: dict[str, np.ndarray]


def plasma(t):
    """Plasma concentration [mM]."""
    x = np.maximum(t - 20, 0)
    return 6 * (x / 6) ** 2 * np.exp(2 - x / 3) + 1.4 * (1 - np.exp(-x / 12)) * np.exp(-x / 500)


def make(model="extended_tofts", *, distinct=400, voxels=20_000, frames=100, seed=0):
    """Return noisy copies of `distinct` parameter sets of "extended_tofts" or "exchange"."""
    draw = np.random.default_rng(seed)
    fine = np.arange(0, frames * STEP_S, FINE_S)
    inside = plasma(fine)
    size = 2 ** int(np.ceil(np.log2(2 * len(fine))))
    p = {
        "ktrans": np.exp(draw.uniform(np.log(0.02), np.log(0.4), distinct)),
        "ve": draw.uniform(10, 50, distinct),
        "vp": draw.uniform(1, 8, distinct),
        "fp": draw.uniform(10, 80, distinct),
        "ps": draw.uniform(1, 20, distinct),
    }
    if model == "extended_tofts":
        names = ("ktrans", "ve", "vp")
        rate = p["ktrans"] / 60
        response = rate[:, None] * np.exp(-(rate / p["ve"] * 100)[:, None] * fine)
    else:
        names = ("fp", "ps", "ve", "vp")
        response = np.array(
            [_two_pools(fine, *row) for row in zip(*(p[n] for n in names), strict=True)]
        )
    response[:, 0] /= 2  # trapezoidal rule at the jump
    full = np.fft.irfft(np.fft.rfft(response, size) * np.fft.rfft(inside, size), size)
    every = round(STEP_S / FINE_S)
    clean = FINE_S * full[:, : len(fine) : every]
    seconds = STEP_S * np.arange(frames)
    if model == "extended_tofts":
        clean = clean + p["vp"][:, None] / 100 * plasma(seconds)
    which = np.arange(voxels) % distinct
    tissue = clean[which] + NOISE_MM * draw.standard_normal((voxels, frames))
    return Curves(
        tissue=tissue.astype(np.float32),
        plasma=plasma(seconds),
        seconds=seconds,
        truth={name: p[name][which] for name in names},
    )


def _two_pools(t, fp, ps, ve, vp):
    """Impulse response of plasma and extravascular space, from their differential equations."""
    flow, leak, back = fp / 6000, ps / 6000, ps / 60 / ve
    system = np.array([[-(flow + leak) / vp * 100, back], [leak / vp * 100, -back]])
    rates, modes = np.linalg.eig(system)
    start = np.linalg.solve(modes, [flow, 0.0])
    return np.exp(np.outer(t, rates)) @ (modes.sum(axis=0) * start)


def errors_percent(truth, found):
    """Return median error and median absolute error [%] of every parameter."""
    return {
        name: (
            round(float(100 * np.nanmedian(found[name] / value - 1)), 2),
            round(float(100 * np.nanmedian(np.abs(found[name] / value - 1))), 2),
        )
        for name, value in truth.items()
    }

"""Compiled loops of the fast path: one pass from concentrations to signal, and noise by number."""

import math

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0


@njit(cache=True)
def add_signals(
    total: np.ndarray,
    plasma: np.ndarray,
    area: np.ndarray,
    rows: np.ndarray,
    voxels: np.ndarray,
    clock: np.ndarray,
    physics: np.ndarray,
    dummies: int,
) -> None:
    """Add the signal of pure tissues, times their share, to their curves.

    `total` (curves, frames) is added to. `plasma` and `area` (transit times, fine steps) hold C_p
    [mM] and its running integral [mM s]. `rows` says which curve each of n tissues belongs to.
    `voxels` (n, 12): position in the table, delay [fine steps], kep [1/s], C_e at the start [mM],
    vp, ve, R10 [1/s], density, share, r_e, R2*0 [1/s], r_v. `clock`: fine step, frame interval
    [s]. `physics`: cosine and sine of the flip angle, echo time [s], r1, native field [mM], share
    of the plasma's and of the leaked agent in R1, share of the leaked agent in R2*.

    With I = ∫ C_p and k = kep, the leaked agent is C_e = e^(-kt) C_e(0) + k (I - k Z), where
    dZ/dt = I - k Z. I is much smoother than C_p: one step per frame is enough, exact for an
    integral linear between frames, with the next term of Euler and Maclaurin from C_p itself.
    """
    frames = total.shape[1]
    step_s, frame_s = clock[0], clock[1]
    cosine, sine, echo_s, r1 = physics[0], physics[1], physics[2], physics[3]
    native, in_plasma, in_cells, seen = physics[4], physics[5], physics[6], physics[7]
    for n in range(len(rows)):
        low = min(int(voxels[n, 0]), plasma.shape[0] - 2)
        part = voxels[n, 0] - low
        delay, kep, vp, ve = voxels[n, 1], voxels[n, 2], voxels[n, 4], voxels[n, 5]
        held, decay, early, late, bend = voxels[n, 3], 1.0, 0.0, 0.0, 0.0
        if kep > 0.0:
            decay = math.exp(-kep * frame_s)
            late = (1.0 - (1.0 - decay) / (kep * frame_s)) / kep
            early = (1.0 - decay) / kep - late
            bend = frame_s * frame_s / 12.0 * (1.0 - 0.5 * kep * frame_s)
        share, rate0, cells = voxels[n, 8], voxels[n, 6], voxels[n, 9]
        tissue_r2s, vascular = voxels[n, 10], voxels[n, 11]
        scale = share * voxels[n, 7] * sine
        before_c, before_i = _both(plasma, area, low, part, -delay, step_s)
        start_i, twice = before_i, 0.0
        ahead, now_c, leaked, before_rate = 1.0, before_c, held, rate0
        steady = math.exp(-frame_s * rate0)
        follow = kep > 0.0 or in_plasma > 0.0
        for frame in range(frames):
            if frame > 0:
                now_c, now_i = _both(
                    plasma, area, low, part, frame * frame_s / step_s - delay, step_s
                )
                if kep > 0.0:
                    twice = decay * twice + early * (before_i - start_i)
                    twice += late * (now_i - start_i) + bend * (before_c - now_c)
                    held = decay * held
                    leaked = held + kep * (now_i - start_i - kep * twice)
                before_c, before_i = now_c, now_i
            rate = rate0 + r1 * (in_plasma * vp * now_c + in_cells * ve * leaked)
            if frame > 0:
                fall = math.exp(-frame_s * 0.5 * (before_rate + rate)) if follow else steady
                ahead = 1.0 - (1.0 - ahead * cosine) * fall
            else:
                for _ in range(dummies):
                    ahead = 1.0 - (1.0 - ahead * cosine) * math.exp(-frame_s * rate)
            before_rate = rate
            inside = seen * leaked
            change = vascular * vp * (abs(now_c - inside + native) - native) + cells * ve * inside
            total[rows[n], frame] += scale * ahead * math.exp(-echo_s * (tissue_r2s + change))


@njit(cache=True)
def _both(plasma, area, low, part, step, step_s):  # type: ignore[no-untyped-def]
    """Return C_p and its integral between two rows and two fine steps; constant C_p before 0."""
    if step <= 0.0:
        first = plasma[low, 0] + part * (plasma[low + 1, 0] - plasma[low, 0])
        return first, first * step * step_s
    left = min(int(step), plasma.shape[1] - 2)
    right = min(step - left, 1.0)
    one = plasma[low, left] + right * (plasma[low, left + 1] - plasma[low, left])
    two = plasma[low + 1, left] + right * (plasma[low + 1, left + 1] - plasma[low + 1, left])
    here = area[low, left] + right * (area[low, left + 1] - area[low, left])
    next_ = area[low + 1, left] + right * (area[low + 1, left + 1] - area[low + 1, left])
    return one + part * (two - one), here + part * (next_ - here)


@njit(cache=True)
def add_rician(signal: np.ndarray, sigma: np.ndarray, first: int, seed: int) -> None:
    """Make every curve the magnitude after complex noise of its own `sigma` (n,).

    The numbers depend on the seed and the number of the curve, `first` onwards, and on nothing
    else: splitmix64 of a counter, and Box and Muller's transform, whose two values are the two
    channels.
    """
    for n in range(len(signal)):
        state = _mixed(np.uint64(seed) + _GAMMA * np.uint64(first + n + 1))
        for frame in range(signal.shape[1]):
            state += _GAMMA
            radius = (np.float64(_mixed(state) >> _S11) + 0.5) * _UNIT
            state += _GAMMA
            turn = 2.0 * math.pi * np.float64(_mixed(state) >> _S11) * _UNIT
            length = sigma[n] * math.sqrt(-2.0 * math.log(radius))
            real = signal[n, frame] + length * math.cos(turn)
            imaginary = length * math.sin(turn)
            signal[n, frame] = math.sqrt(real * real + imaginary * imaginary)


@njit(cache=True)
def _mixed(state):  # type: ignore[no-untyped-def]
    """Return the mixed bits of splitmix64."""
    state = (state ^ (state >> _S30)) * _FIRST
    state = (state ^ (state >> _S27)) * _SECOND
    return state ^ (state >> _S31)

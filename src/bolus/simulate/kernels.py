"""Compiled loops of the simulator: local plasma and leaked concentrations at the frames."""

import math

import numpy as np
from numba import njit


@njit(cache=True)
def local_concentrations(
    table: np.ndarray,
    position: np.ndarray,
    delay_steps: np.ndarray,
    ktrans_per_s: np.ndarray,
    ve: np.ndarray,
    start: np.ndarray,
    frames: np.ndarray,
    step_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return C_p and C_e [mM] of every voxel at the frames, (voxels, frames) each.

    `table` (transit times, fine steps) holds capillary curves [mM]; `position` is the row, with
    its fraction; `delay_steps` and `frames` are fine steps with their fraction; `start` is C_e at
    the beginning. ve dC_e/dt = Ktrans (C_p - C_e) is solved exactly for C_p linear between steps.
    """
    voxels = len(position)
    plasma = np.zeros((voxels, len(frames)), np.float32)
    leaked = np.zeros((voxels, len(frames)), np.float32)
    for v in range(voxels):
        low = min(int(position[v]), table.shape[0] - 2)
        share = position[v] - low
        if ktrans_per_s[v] <= 0.0 or ve[v] <= 0.0:
            for f in range(len(frames)):
                plasma[v, f] = _at(table, low, share, frames[f] - delay_steps[v])
            continue
        kep_step = ktrans_per_s[v] / ve[v] * step_s
        decay = math.exp(-kep_step)
        late = 1.0 - (1.0 - decay) / kep_step
        early = (1.0 - decay) / kep_step - decay
        before = _at(table, low, share, -delay_steps[v])
        held = start[v]
        f = 0
        for step in range(int(frames[-1]) + 2):
            now = _at(table, low, share, step + 1 - delay_steps[v])
            following = decay * held + early * before + late * now
            while f < len(frames) and frames[f] < step + 1:
                part = frames[f] - step
                plasma[v, f] = before + part * (now - before)
                leaked[v, f] = held + part * (following - held)
                f += 1
            before = now
            held = following
    return plasma, leaked


@njit(cache=True)
def _at(table, low, share, step):  # type: ignore[no-untyped-def]
    """Return the table between two rows and two fine steps; its first value before it begins."""
    if step <= 0.0:
        return (1.0 - share) * table[low, 0] + share * table[low + 1, 0]
    left = min(int(step), table.shape[1] - 2)
    part = min(step - left, 1.0)
    first = table[low, left] + part * (table[low, left + 1] - table[low, left])
    second = table[low + 1, left] + part * (table[low + 1, left + 1] - table[low + 1, left])
    return (1.0 - share) * first + share * second


@njit(cache=True)
def resample_cubic(volume: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Return volume(matrix @ index + offset) by cubic convolution (Keys), edges repeated."""
    nx, ny, nz = volume.shape
    moved = np.empty_like(volume)
    wx, wy, wz = np.empty(4), np.empty(4), np.empty(4)
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                x = matrix[0, 0] * i + matrix[0, 1] * j + matrix[0, 2] * k + offset[0]
                y = matrix[1, 0] * i + matrix[1, 1] * j + matrix[1, 2] * k + offset[1]
                z = matrix[2, 0] * i + matrix[2, 1] * j + matrix[2, 2] * k + offset[2]
                ix, iy, iz = math.floor(x), math.floor(y), math.floor(z)
                _weights(x - ix, wx)
                _weights(y - iy, wy)
                _weights(z - iz, wz)
                total = 0.0
                for a in range(4):
                    p = min(max(ix + a - 1, 0), nx - 1)
                    for b in range(4):
                        q = min(max(iy + b - 1, 0), ny - 1)
                        line = 0.0
                        for c in range(4):
                            line += wz[c] * volume[p, q, min(max(iz + c - 1, 0), nz - 1)]
                        total += wx[a] * wy[b] * line
                moved[i, j, k] = max(total, 0.0)
    return moved


@njit(cache=True)
def _weights(part: float, weights: np.ndarray) -> None:
    """Set the four weights of cubic convolution (a = -1/2) at a fraction of a voxel."""
    weights[0] = ((-0.5 * part + 1.0) * part - 0.5) * part
    weights[1] = (1.5 * part - 2.5) * part * part + 1.0
    weights[2] = ((-1.5 * part + 2.0) * part + 0.5) * part
    weights[3] = (0.5 * part - 0.5) * part * part

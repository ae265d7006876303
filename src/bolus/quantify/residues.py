"""What a deconvolution returns: F·R over its lags, and the flow and delay read from it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from bolus.quantify.deconvolution_kernels import half_way


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residues:
    """F·R(t) [1/s] of every voxel (voxels, lags) and its lags [s], which may be negative."""

    values: Float[np.ndarray, "voxels lags"]
    lags_s: Float[np.ndarray, " lags"]

    @property
    def flow_per_s(self) -> Float[np.ndarray, " voxels"]:
        """Maximum over the lags [1/s], between lags; NaN for a curve with NaN."""
        return peaks(self.values, periodic=self._periodic)[0]

    @property
    def delay_s(self) -> Float[np.ndarray, " voxels"]:
        """Lag of the maximum (Tmax) [s], between lags; NaN for a curve with NaN."""
        height, index, offset = peaks(self.values, periodic=self._periodic)
        lag = self.lags_s[index] + offset * (self.lags_s[1] - self.lags_s[0])
        return np.where(np.isfinite(height), lag, np.nan)

    @property
    def _periodic(self) -> bool:
        """Block-circulant results close on themselves, and only they have negative lags."""
        return bool(self.lags_s[0] < 0)


def peaks(
    values: Float[np.ndarray, "voxels lags"], *, periodic: bool
) -> tuple[Float[np.ndarray, " voxels"], Int[np.ndarray, " voxels"], Float[np.ndarray, " voxels"]]:
    """Find the maximum of every row, between samples.

    A regularised residue is band-limited, so its maximum does not depend on where the samples lie;
    its highest sample does, by up to a tenth. Periodic rows are interpolated exactly half a sample
    before and after the highest one, and a parabola goes through the best of these points and its
    neighbours; other rows have the parabola through the samples. A maximum at an end of a row that
    is not periodic stays at its sample.

    Args:
        values: one curve a row, an even number of lags where periodic.
        periodic: whether the last lag is followed by the first.

    Returns:
        Height, index of the highest sample, and the offset from it in samples.

    Assumes:
        Periodic rows hold all their frequencies below half the sampling rate.

    Source:
        Trigonometric interpolation; the vertex of the interpolating parabola.

    Example:
        >>> from bolus.quantify.residues import peaks
        >>> wave = np.cos(2 * np.pi * (np.arange(20.0) - 7.3) / 20)
        >>> height, index, offset = peaks(wave[None], periodic=True)
        >>> round(float(height[0]), 4), int(index[0]), round(float(offset[0]), 3)
        (1.0, 7, 0.3)
    """
    index = values.argmax(axis=1)
    lags = values.shape[1]
    rows = np.arange(len(values))
    middle = values[rows, index].astype(np.float64)
    if not periodic:
        left = values[rows, np.maximum(index - 1, 0)].astype(np.float64)
        right = values[rows, np.minimum(index + 1, lags - 1)].astype(np.float64)
        rise, shift = _vertex(left, middle, right)
        inside = (index > 0) & (index < lags - 1)
        return middle + np.where(inside, rise, 0.0), index, np.where(inside, shift, 0.0)
    before, after = (
        np.empty_like(values, shape=len(values)),
        np.empty_like(values, shape=len(values)),
    )
    half_way(values, index, _half_sample(lags).astype(values.dtype), before, after)
    points = np.stack(
        [
            values[rows, (index - 1) % lags],
            before,
            middle,
            after,
            values[rows, (index + 1) % lags],
        ]
    ).astype(np.float64)
    best = 1 + points[1:4].argmax(axis=0)
    rise, shift = _vertex(points[best - 1, rows], points[best, rows], points[best + 1, rows])
    return points[best, rows] + rise, index, (best - 2 + shift) / 2


def _vertex(
    left: Float[np.ndarray, " voxels"],
    middle: Float[np.ndarray, " voxels"],
    right: Float[np.ndarray, " voxels"],
) -> tuple[Float[np.ndarray, " voxels"], Float[np.ndarray, " voxels"]]:
    """Return height above the middle and place (-0.5 to 0.5) of the vertex of a parabola."""
    bend = 2 * middle - left - right
    safe = np.where(bend > 0, bend, 1.0)
    lean = np.where(bend > 0, right - left, 0.0)
    return lean**2 / (8 * safe), lean / (2 * safe)


def _half_sample(lags: int) -> Float[np.ndarray, " weights"]:
    """Return the weights of samples -lags+1 to lags-1 for the value half a sample after 0."""
    turn = np.pi * (np.arange(1 - lags, lags) - 0.5)
    return np.asarray(np.sin(turn) / np.tan(turn / lags) / lags)

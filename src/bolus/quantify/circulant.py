"""The convolution with an AIF as a matrix, causal or block-circulant, and its inverses.

A circulant matrix is diagonal in Fourier space: its singular values are the moduli of the Fourier
coefficients of its first column. So no matrix is decomposed here. Every inverse is applied to many
curves at once by matrix products, and knows how much noise it passes on to every lag.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from bolus.core.arrays import Curve, Curves
from bolus.quantify.deconvolution_kernels import drop_until_smooth

_NEGLIGIBLE = 1e-6
"""Fourier coefficients below this fraction of the largest hold rounding errors only."""


class Inverse(Protocol):
    """A way back from tissue curves to F·R for one AIF.

    `lags_s` are the lags [s] of the result; `noise_gain` (settings, lags) is the standard deviation
    of the result [1/s] for tissue noise of standard deviation 1, for each of the settings (a
    truncation, a weight) that the inverse may choose from.
    """

    @property
    def lags_s(self) -> Float[np.ndarray, " lags"]:
        """Lags of the result [s]."""
        ...

    @property
    def noise_gain(self) -> Float[np.ndarray, "settings lags"]:
        """Noise of the result [1/s] for unit noise of the tissue."""
        ...

    def apply(
        self, tissue: Curves
    ) -> tuple[Float[np.ndarray, "voxels lags"], Int[np.ndarray, " voxels"]]:
        """Return F·R [1/s] of the curves, in their precision, and the setting of each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """One AIF's circulant system, frequency by frequency, weakest singular value first.

    `analysis` (t, 2 m): a tissue curve times this gives the real and imaginary weights of the m
    frequencies of F·R, without any regularisation. `waves` (2 m, lags): weights times this give
    F·R at the lags. `modulus` (m,): the singular values as fractions of the largest of the AIF
    padded with zeros.
    """

    analysis: Float[np.ndarray, "t 2m"]
    waves: Float[np.ndarray, "2m lags"]
    modulus: Float[np.ndarray, " m"]
    lags_s: Float[np.ndarray, " lags"]

    def matrix(self, keep: Float[np.ndarray, " m"]) -> Float[np.ndarray, "t lags"]:
        """Return the inverse that weighs every frequency with `keep` (0 to 1)."""
        return np.asarray((self.analysis * np.repeat(keep, 2)) @ self.waves)


def spectrum(aif: Curve, *, step_s: float) -> Spectrum:
    """Decompose the block-circulant convolution matrix of an AIF.

    The curves are continued to twice their length: by their own last level, which is let down to
    zero with half a cosine over half of their length, and then by zeros. The same is done to the
    AIF, so tissue that follows the recirculating AIF still does so. Padding with zeros alone breaks
    off both curves, and the break comes back as oscillation and as a dependence on delay.

    Args:
        aif: the arterial curve, first frame first.
        step_s: sampling interval [s].

    Returns:
        The system; lags from -T + 1 to T steps, in order.

    Assumes:
        AIF and residue are linear between samples; what follows the last frame changes slowly.

    Source:
        Wu et al., Magn Reson Med 2003;50:164-174, doi:10.1002/mrm.10522 (block-circulant matrix);
        Ostergaard et al., Magn Reson Med 1996;36:715-725 (linear interpolation of the AIF).
    """
    frames = len(aif)
    size = 2 * frames
    extend = _continuation(frames)
    first_column = extend @ aif
    lowpass = (2 + np.cos(2 * np.pi * np.arange(frames + 1) / size)) / 3  # (1, 4, 1) / 6
    transfer = step_s * lowpass * np.fft.rfft(first_column)
    measured = np.abs(step_s * lowpass * np.fft.rfft(aif, size)).max()
    modulus = np.abs(transfer) / measured
    order = np.argsort(modulus, kind="stable")
    order = order[modulus[order] > _NEGLIGIBLE]
    weights = (np.fft.rfft(extend, axis=0) / np.where(modulus > 0, transfer, 1)[:, None])[order]
    lags = np.arange(1 - frames, frames + 1)
    share = np.where((order == 0) | (order == frames), 1, 2) / size
    phase = 2 * np.pi * np.outer(order, lags) / size
    waves = np.stack([np.cos(phase), -np.sin(phase)], axis=1) * share[:, None, None]
    return Spectrum(
        analysis=np.stack([weights.real, weights.imag], axis=1).reshape(-1, frames).T,
        waves=waves.reshape(-1, size),
        modulus=modulus[order],
        lags_s=step_s * lags,
    )


def _continuation(frames: int) -> Float[np.ndarray, "size t"]:
    """Return the matrix that continues a curve to twice its length."""
    fall = frames // 2
    last = min(frames, max(3, frames // 16))  # enough samples that noise is not continued
    extend = np.zeros((2 * frames, frames))
    extend[:frames] = np.eye(frames)
    ramp = (1 + np.cos(np.pi * np.arange(1, fall + 1) / (fall + 1))) / 2
    extend[frames : frames + fall, frames - last :] = ramp[:, None] / last
    return extend


def causal_matrix(aif: Curve) -> Float[np.ndarray, "t t"]:
    """Return the causal convolution matrix of an AIF, for a unit step.

    C(t_i) = ∫ AIF(t_i - s) R(s) ds = Σ_j A_ij R_j, exact where both are linear between samples.

    Args:
        aif: the arterial curve, first frame first.

    Returns:
        A; its first row is 0, as nothing has passed at the first frame.

    Assumes:
        The AIF is 0 before its first frame.

    Source:
        Ostergaard et al., Magn Reson Med 1996;36:715-725.

    Example:
        >>> from bolus.quantify.circulant import causal_matrix
        >>> causal_matrix(np.array([0.0, 6.0, 6.0, 6.0])).sum(axis=1).tolist()
        [0.0, 3.0, 9.0, 15.0]
    """
    frames = len(aif)
    before = np.concatenate([[0.0], aif[:-1]])
    after = np.concatenate([aif[1:], [0.0]])
    inner = (before + 4 * aif + after) / 6
    lag = np.subtract.outer(np.arange(frames), np.arange(frames))
    matrix = np.where(lag > 0, inner[lag], 0.0)
    # At its two ends the residue has one neighbour only: half a hat.
    np.fill_diagonal(matrix, (2 * aif[0] + aif[1]) / 6)
    matrix[:, 0] = (2 * aif + before) / 6
    matrix[0] = 0.0
    return matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixedInverse:
    """One matrix for every voxel: sSVD and cSVD."""

    matrix: Float[np.ndarray, "t lags"]
    lags_s: Float[np.ndarray, " lags"]

    @property
    def noise_gain(self) -> Float[np.ndarray, "settings lags"]:
        """Norm of each column of the matrix."""
        return np.asarray(np.linalg.norm(self.matrix, axis=0)[None])

    def apply(
        self, tissue: Curves
    ) -> tuple[Float[np.ndarray, "voxels lags"], Int[np.ndarray, " voxels"]]:
        """Return F·R [1/s]; the setting is 0 throughout."""
        return tissue @ self.matrix.astype(tissue.dtype), np.zeros(len(tissue), np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OscillationInverse:
    """The weakest truncation of each voxel whose residue is smooth enough: oSVD.

    Frequencies are taken away one after the other, the weakest singular value first, so every
    distinct truncation is visited, and each costs two waves a voxel.
    """

    system: Spectrum
    limit: float
    first: int
    """Pairs of waves that no voxel keeps."""

    @property
    def lags_s(self) -> Float[np.ndarray, " lags"]:
        """Lags of the system [s]."""
        return self.system.lags_s

    @property
    def noise_gain(self) -> Float[np.ndarray, "settings lags"]:
        """One row for each number of dropped frequencies."""
        pairs = len(self.system.modulus)
        gains = np.zeros((pairs, len(self.lags_s)))
        matrix = np.zeros((len(self.system.analysis), len(self.lags_s)))
        for k in range(pairs - 1, self.first - 1, -1):
            both = slice(2 * k, 2 * k + 2)
            matrix += self.system.analysis[:, both] @ self.system.waves[both]
            gains[k] = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
        return gains

    def apply(
        self, tissue: Curves
    ) -> tuple[Float[np.ndarray, "voxels lags"], Int[np.ndarray, " voxels"]]:
        """Return F·R [1/s] and the number of frequencies that were dropped."""
        kept = slice(2 * self.first, None)
        analysis, waves = self.system.analysis[:, kept], self.system.waves[kept]
        weights = tissue @ analysis.astype(tissue.dtype)
        residues = tissue @ (analysis @ waves).astype(tissue.dtype)
        gone = drop_until_smooth(residues, weights, waves.astype(tissue.dtype), self.limit)
        return residues, gone + self.first


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CrossValidatedInverse:
    """The smooth weighting of each voxel that predicts left-out samples best: Tikhonov."""

    system: Spectrum
    keep: Float[np.ndarray, "settings m"]
    """Weight of every frequency, one row a regularisation."""

    @property
    def lags_s(self) -> Float[np.ndarray, " lags"]:
        """Lags of the system [s]."""
        return self.system.lags_s

    @property
    def noise_gain(self) -> Float[np.ndarray, "settings lags"]:
        """One row for each regularisation."""
        return np.stack([np.linalg.norm(self.system.matrix(row), axis=0) for row in self.keep])

    def apply(
        self, tissue: Curves
    ) -> tuple[Float[np.ndarray, "voxels lags"], Int[np.ndarray, " voxels"]]:
        """Return F·R [1/s] and the row of `keep` with the lowest generalised cross-validation."""
        kind = tissue.dtype
        weights = tissue @ self.system.analysis.astype(kind)
        lost = 1 - self.keep
        # Residual of a frequency: what is lost of its tissue amplitude, weight x singular value.
        misfit = np.repeat((lost * self.system.modulus) ** 2, 2, axis=1).T
        score = (weights * weights) @ misfit.astype(kind) / (lost.sum(axis=1) ** 2).astype(kind)
        choice = np.argmin(score, axis=1)
        weights *= np.repeat(self.keep, 2, axis=1).astype(kind)[choice]
        return weights @ self.system.waves.astype(kind), choice


def noise_basis(aif: Curve, *, fraction: float = 0.25) -> Float[np.ndarray, "t n"]:
    """Return the directions of a tissue curve that this AIF can hardly reach.

    What a tissue curve has along them is noise, whatever its residue is.

    Args:
        aif: the arterial curve.
        fraction: how many directions, as a fraction of the number of frames.

    Returns:
        Orthonormal columns.

    Assumes:
        The AIF is smoother than the noise, so its smallest singular values hold no signal.

    Source:
        The left singular vectors of the convolution matrix with the smallest singular values.

    Example:
        >>> t = np.arange(40.0)
        >>> from bolus.quantify.circulant import noise_basis
        >>> noise_basis(t**3 * np.exp(-t / 1.5)).shape
        (40, 10)
    """
    frames = len(aif)
    products = np.fft.irfft(np.abs(np.fft.rfft(aif, 2 * frames)) ** 2)[:frames]
    gram = products[np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))]
    _, vectors = np.linalg.eigh(gram)
    return np.asarray(vectors[:, : max(2, int(fraction * frames))])

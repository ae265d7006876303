"""Blood flow by deconvolution: truncated singular values and Tikhonov, for one AIF and many voxels.

All methods solve C(t) = ∫ AIF(t - s) F·R(s) ds for F·R and take its maximum for the flow. All of
them smooth F·R, and so underestimate flow; docs/science/cbf.md says by how much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core.arrays import Curve, Curves
from bolus.core.maps import FitStatus
from bolus.errors import Code, InputError, TimingError
from bolus.quantify.circulant import (
    CrossValidatedInverse,
    FixedInverse,
    Inverse,
    OscillationInverse,
    causal_matrix,
    noise_basis,
    spectrum,
)
from bolus.quantify.residues import Residues, peaks

_CHUNK = 2048
"""Voxels of one matrix product: their curves and residues stay in the processor's cache."""


@runtime_checkable
class Deconvolver(Protocol):
    """Estimate F·R(t) [1/s] from tissue curves and one AIF in the same unit."""

    def __call__(self, tissue: Curves, aif: Curve, *, step_s: float) -> Residues:
        """Return F·R of every curve."""
        ...

    def inverse(self, aif: Curve, *, step_s: float) -> Inverse:
        """Return the way back for one AIF, which `flow` applies chunk by chunk."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssvd:
    """Truncate the singular values of the causal convolution matrix.

    F·R = V diag(1/s if s > threshold · s_max, else 0) Uᵀ C, with the lower triangular matrix that
    is exact for an AIF and a residue that are linear between samples.
    It sees no tissue in front of the AIF, and its flow falls with delay: use it to compare with
    older work, not to measure.

    Assumes:
        Tissue does not lead the AIF. Constant sampling interval. Contrast is 0 before the first
        frame.

    Source:
        Ostergaard et al., Magn Reson Med 1996;36:715-725.

    Example:
        >>> t = np.arange(40.0)
        >>> aif = t**3 * np.exp(-t / 1.5)
        >>> from bolus.quantify.deconvolution import Ssvd
        >>> Ssvd()(0.01 * aif[None], aif, step_s=1.0).lags_s[:3].tolist()
        [0.0, 1.0, 2.0]
    """

    threshold: float = 0.2
    """Singular values below this fraction of the largest are dropped."""

    def __post_init__(self) -> None:
        _require_fraction(self.threshold)

    def __call__(self, tissue: Curves, aif: Curve, *, step_s: float) -> Residues:
        """Return F·R at lags 0 to T - 1 steps."""
        return _residues(self, tissue, aif, step_s)

    def inverse(self, aif: Curve, *, step_s: float) -> FixedInverse:
        """Return the truncated pseudo-inverse."""
        curve = _checked_aif(aif, step_s)
        left, singular, right = np.linalg.svd(step_s * causal_matrix(curve))
        keep = singular > self.threshold * singular[0]
        return FixedInverse(
            matrix=(left[:, keep] / singular[keep]) @ right[keep],
            lags_s=step_s * np.arange(len(curve)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Csvd:
    """Truncate the singular values of the block-circulant convolution matrix.

    The curves are continued to twice their length, so that the circle does not close on them, and
    tissue may come before or after the AIF: the lags run from -T to T, and the flow is the maximum
    over all of them.

    Assumes:
        Constant sampling interval. What follows the last frame changes slowly.

    Source:
        Wu et al., Magn Reson Med 2003;50:164-174, doi:10.1002/mrm.10522.

    Example:
        >>> t = np.arange(40.0)
        >>> aif = t**3 * np.exp(-t / 1.5)
        >>> late = np.roll(aif, 3)
        >>> from bolus.quantify.deconvolution import Csvd
        >>> round(float(Csvd()(0.01 * late[None], aif, step_s=1.0).delay_s[0]), 2)
        3.0
    """

    threshold: float = 0.1
    """Singular values below this fraction of the largest are dropped."""

    def __post_init__(self) -> None:
        _require_fraction(self.threshold)

    def __call__(self, tissue: Curves, aif: Curve, *, step_s: float) -> Residues:
        """Return F·R at lags -T + 1 to T steps."""
        return _residues(self, tissue, aif, step_s)

    def inverse(self, aif: Curve, *, step_s: float) -> FixedInverse:
        """Return the truncated inverse as one matrix."""
        system = spectrum(_checked_aif(aif, step_s), step_s=step_s)
        keep = (system.modulus > self.threshold).astype(np.float64)
        return FixedInverse(matrix=system.matrix(keep), lags_s=system.lags_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Osvd:
    """Truncate each voxel's block-circulant deconvolution as little as its smoothness allows.

    Singular values are dropped one after the other, the smallest first, until the oscillation index
    OI = Σ |r_k - 2 r_{k-1} + r_{k-2}| / (L max r) is no larger than the limit. The first truncation
    that passes is taken (the smallest index of all would be the strongest smoothing there is).

    Assumes:
        Constant sampling interval. What follows the last frame changes slowly.

    Source:
        Wu et al., Magn Reson Med 2003;50:164-174, doi:10.1002/mrm.10522.

    Example:
        >>> t = np.arange(40.0)
        >>> aif = t**3 * np.exp(-t / 1.5)
        >>> from bolus.quantify.deconvolution import Osvd
        >>> Osvd()(0.01 * aif[None], aif, step_s=1.0).values.shape
        (1, 80)
    """

    limit: float = 0.055
    """Largest oscillation index; 0.035 smooths more, 0.095 less, passing on more noise."""
    smallest_threshold: float = 0.02
    """Singular values below this fraction of the largest are dropped in every voxel."""

    def __post_init__(self) -> None:
        _require_fraction(self.smallest_threshold)
        if not 0 < self.limit < 1:
            raise InputError(
                Code.ARGUMENT_INVALID,
                f"the oscillation index limit is {self.limit:.3g} where one between 0 and 1 is "
                "needed",
                mend="use a limit from 0.035 to 0.095",
            )

    def __call__(self, tissue: Curves, aif: Curve, *, step_s: float) -> Residues:
        """Return F·R at lags -T + 1 to T steps."""
        return _residues(self, tissue, aif, step_s)

    def inverse(self, aif: Curve, *, step_s: float) -> OscillationInverse:
        """Return the inverse that chooses a truncation for every voxel."""
        system = spectrum(_checked_aif(aif, step_s), step_s=step_s)
        first = int(np.count_nonzero(system.modulus <= self.smallest_threshold))
        return OscillationInverse(
            system=system, limit=self.limit, first=min(first, len(system.modulus) - 1)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tikhonov:
    """Damp the weak singular values of the block-circulant matrix, as far as each voxel needs.

    F·R minimises |C - A F·R|² + λ² |F·R|²; every Fourier coefficient is damped by s² / (s² + λ²).
    λ is chosen in every voxel from a geometric grid by generalised cross-validation, so that no
    voxel depends on its neighbours.

    Assumes:
        White noise. Constant sampling interval. What follows the last frame changes slowly.

    Source:
        Golub, Heath and Wahba, Technometrics 1979;21:215-223 (generalised cross-validation);
        Gall et al., Magn Reson Mater Phy 2010;23:187-195, doi:10.1007/s10334-010-0217-8 (Tikhonov
        filter in Fourier space).

    Example:
        >>> t = np.arange(40.0)
        >>> aif = t**3 * np.exp(-t / 1.5)
        >>> from bolus.quantify.deconvolution import Tikhonov
        >>> Tikhonov()(0.01 * aif[None], aif, step_s=1.0).values.shape
        (1, 80)
    """

    weakest: float = 0.01
    """Smallest λ, as a fraction of the largest singular value."""
    strongest: float = 0.5
    """Largest λ, as a fraction of the largest singular value."""
    steps: int = 24
    """Number of λ between them."""

    def __post_init__(self) -> None:
        _require_fraction(self.weakest)
        _require_fraction(self.strongest)
        if self.steps < 1 or self.weakest > self.strongest:
            raise InputError(
                Code.ARGUMENT_INVALID,
                f"{self.steps} weights from {self.weakest:.3g} to {self.strongest:.3g} are no grid",
                mend="give at least one step, and the weakest no larger than the strongest",
            )

    def __call__(self, tissue: Curves, aif: Curve, *, step_s: float) -> Residues:
        """Return F·R at lags -T + 1 to T steps."""
        return _residues(self, tissue, aif, step_s)

    def inverse(self, aif: Curve, *, step_s: float) -> CrossValidatedInverse:
        """Return the inverse that chooses λ for every voxel."""
        system = spectrum(_checked_aif(aif, step_s), step_s=step_s)
        weights = np.geomspace(self.weakest, self.strongest, self.steps)[:, None]
        return CrossValidatedInverse(
            system=system, keep=system.modulus**2 / (system.modulus**2 + weights**2)
        )


DECONVOLVERS: Mapping[str, type[Deconvolver]] = MappingProxyType(
    {"ssvd": Ssvd, "csvd": Csvd, "osvd": Osvd, "tikhonov": Tikhonov}
)
"""The methods by the names that configuration files use."""


def flow(
    tissue: Curves,
    aif: Curve,
    *,
    step_s: float,
    method: Deconvolver,
    noise_std: Float[np.ndarray, " voxels"] | None = None,
) -> tuple[
    Float[np.ndarray, " voxels"],
    Float[np.ndarray, " voxels"],
    Float[np.ndarray, " voxels"],
    UInt8[np.ndarray, " voxels"],
]:
    """Estimate flow, delay and the standard error of flow, without keeping the residues.

    Flow is the maximum of F·R over the lags, delay its lag. The standard error is that of the lag
    of the maximum: the norm of its row of the inverse, times the noise of the curve.

    Args:
        tissue: curves (voxels, t) in the unit of the AIF.
        aif: arterial curve.
        step_s: sampling interval [s].
        method: one of `DECONVOLVERS`, with its settings.
        noise_std: standard deviation of the noise of each curve; by default it is estimated from
            the part of the curve that no residue can produce with this AIF.

    Returns:
        Flow [1/s], delay [s], standard error of flow [1/s] and FitStatus. NaN with NOT_FINITE where
        a curve holds NaN or infinity, NaN with NO_SIGNAL where it does not vary.

    Raises:
        InputError: the AIF is not finite or never positive, or a noise is negative.
        TimingError: the step is not positive, or AIF and curves have other numbers of frames.

    Assumes:
        White noise in the tissue, none in the AIF; the systematic underestimation of flow by the
        regularisation is not part of the standard error.

    Source:
        Wu et al., Magn Reson Med 2003;50:164-174, doi:10.1002/mrm.10522; error propagation through
        a linear map.

    Example:
        >>> t = np.arange(40.0)
        >>> aif = t**3 * np.exp(-t / 1.5)
        >>> from bolus.quantify.deconvolution import Csvd, flow
        >>> _, delay, _, status = flow(0.01 * aif[None], aif, step_s=1.0, method=Csvd())
        >>> abs(float(delay[0])) < 0.01, int(status[0])
        (True, 0)
    """
    curve = _checked_aif(aif, step_s)
    _require_frames(tissue, curve)
    sigma = _checked_noise(noise_std, len(tissue))
    back = method.inverse(curve, step_s=step_s)
    lags, gain = back.lags_s, back.noise_gain
    basis = noise_basis(curve).astype(np.float32)
    value, delay, std = (np.full(len(tissue), np.nan) for _ in range(3))
    status = np.zeros(len(tissue), np.uint8)
    for begin in range(0, len(tissue), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        with np.errstate(invalid="ignore", over="ignore"):  # a bad curve becomes a status
            curves = np.asarray(tissue[part], np.float32)
            residues, setting = back.apply(curves)
            height, index, offset = peaks(residues, periodic=lags[0] < 0)
            noise = _root_mean_square(curves @ basis) if sigma is None else sigma[part]
            error = gain[setting, index] * noise
        status[part] = _status(curves, height)
        good = status[part] == FitStatus.OK
        value[part] = np.where(good, height, np.nan)
        delay[part] = np.where(good, lags[index] + offset * step_s, np.nan)
        std[part] = np.where(good, error, np.nan)
    return value, delay, std, status


def _residues(method: Deconvolver, tissue: Curves, aif: Curve, step_s: float) -> Residues:
    curve = _checked_aif(aif, step_s)
    _require_frames(tissue, curve)
    back = method.inverse(curve, step_s=step_s)
    with np.errstate(invalid="ignore", over="ignore"):  # a bad curve stays in its own row
        values, _ = back.apply(np.asarray(tissue, np.float64))
    return Residues(values=values, lags_s=back.lags_s)


def _root_mean_square(values: Curves) -> Float[np.ndarray, " voxels"]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", values, values) / values.shape[1]))


def _status(curves: Curves, height: Float[np.ndarray, " voxels"]) -> UInt8[np.ndarray, " voxels"]:
    status = np.where(np.isfinite(height), FitStatus.OK, FitStatus.NOT_FINITE).astype(np.uint8)
    suspects = np.flatnonzero((curves[:, 0] == curves[:, -1]) & (status == FitStatus.OK))
    flat = suspects[np.ptp(curves[suspects], axis=1) == 0]
    status[flat] = FitStatus.NO_SIGNAL
    return status


def _checked_aif(aif: Curve, step_s: float) -> Curve:
    curve = np.asarray(aif, np.float64)
    if not np.isfinite(step_s) or step_s <= 0:
        raise TimingError(
            Code.TIME_INVALID,
            f"the sampling interval is {step_s:.3g} s where a positive one is needed",
            mend="give the repetition time in seconds",
        )
    if curve.ndim != 1 or len(curve) < 4:
        raise TimingError(
            Code.TIME_INVALID,
            f"the AIF has shape {curve.shape} where one curve of four frames or more is needed",
            mend="give one arterial curve",
        )
    if not np.isfinite(curve).all() or curve.max() <= 0:
        raise InputError(
            Code.AIF_NOT_FOUND,
            f"the AIF has {int(np.isfinite(curve).sum())} of {len(curve)} finite values and a "
            f"maximum of {np.nanmax(curve, initial=-np.inf):.3g} where all finite and a positive "
            "one are needed",
            mend="choose another artery",
        )
    return curve


def _require_frames(tissue: Curves, aif: Curve) -> None:
    if tissue.ndim != 2 or tissue.shape[1] != len(aif):
        raise TimingError(
            Code.TIME_INVALID,
            f"tissue curves have shape {tissue.shape} where (voxels, {len(aif)}) is needed",
            mend="give one row per voxel, with the frames of the AIF",
        )


def _checked_noise(
    noise_std: Float[np.ndarray, " voxels"] | None, voxels: int
) -> Float[np.ndarray, " voxels"] | None:
    if noise_std is None:
        return None
    noise = np.asarray(noise_std, np.float64)
    if noise.shape != (voxels,) or np.any(noise < 0):
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"noise of shape {noise.shape} where {voxels} values that are not negative are needed",
            mend="give one standard deviation per voxel",
        )
    return noise


def _require_fraction(value: float) -> None:
    if not 0 < value < 1:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"{value:.3g} was given where a fraction between 0 and 1 is needed",
            mend="give a fraction of the largest singular value, such as 0.1",
        )

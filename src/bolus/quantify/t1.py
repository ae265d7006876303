"""Native T1 from several flip angles, inversion times or a Look-Locker train: R10 = 1/T1 [1/s]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core import QUANTITIES, FitStatus, Mask, ParameterMap, Provenance, Step
from bolus.errors import Code, GeometryError, InputError, MetadataError, TimingError
from bolus.quantify.spgr import require_time
from bolus.quantify.t1_kernels import fit_angles, fit_recovery

SHORTEST_T1_S = 0.005
LONGEST_T1_S = 20.0
"""Outside of these a fit has status AT_BOUND: water at body temperature has about 4.5 s at most."""
_LONGEST_REPETITION_S = 0.5
_LONGEST_INVERSION_S = 60.0

Method = Literal["nonlinear", "linear"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class T1Fit:
    """What a fit found in each voxel; NaN wherever `status` is not OK.

    `error_per_s` is the standard error of R1, NaN where too few samples are left to know the noise.
    `amplitude` is M0 (or the signal after full recovery) and `residual` the root mean square
    residual, both in the unit of the signal.
    """

    r1_per_s: Float[np.ndarray, " voxels"]
    error_per_s: Float[np.ndarray, " voxels"]
    amplitude: Float[np.ndarray, " voxels"]
    residual: Float[np.ndarray, " voxels"]
    status: UInt8[np.ndarray, " voxels"]

    @property
    def t1_s(self) -> Float[np.ndarray, " voxels"]:
        """T1 [s]."""
        return np.asarray(1 / self.r1_per_s)


def fit_flip_angles(
    signal: Float[np.ndarray, "voxels angles"],
    *,
    flip_angles_deg: Sequence[float],
    repetition_time_s: float,
    b1: Float[np.ndarray, " voxels"] | None = None,
    method: Method = "nonlinear",
    noise: float | None = None,
) -> T1Fit:
    """Fit R1 and M0 of a spoiled gradient echo to images of several flip angles.

    S = M0 sin a (1 - E) / (1 - E cos a), E = exp(-TR R1), a = B1 times the nominal angle. "linear":
    the line S / sin a = E S / tan a + M0 (1 - E) with the weights (sin a / (1 - E cos a))²,
    iterated. "nonlinear": least squares of the signal itself, by Gauss-Newton in ln R1 from that
    line, M0 eliminated. Two angles have one exact answer, whatever the method.

    Args:
        signal: magnitudes, any gain, equal for all angles.
        flip_angles_deg: nominal, at least two different ones.
        repetition_time_s: of the excitations, the same for all angles.
        b1: factor on the angles; None is 1 everywhere.
        method: see above.
        noise: standard deviation of the signal, for the standard errors; None takes it from the
            residuals (not possible with two angles).

    Returns:
        The fit. NOT_FINITE: a sample or B1 is not finite, or B1 not positive. NO_SIGNAL: a sample
        is zero or negative. AT_BOUND: T1 outside 0.005 to 20 s. NOT_CONVERGED: no E between 0 and
        1, or a standard error larger than R1.

    Raises:
        MetadataError: TR is in milliseconds, or the angles in radians.
        InputError: fewer than two different angles, or another number than samples.
        GeometryError: another number of B1 factors than voxels.

    Assumes:
        Steady state and complete spoiling; noise equal at all angles; one T1 a voxel. Without B1 an
        error of x % of the angle makes one of about 2x % of T1.

    Source:
        Fram et al., Magn Reson Imaging 1987;5:201-208; Deoni et al., Magn Reson Med
        2003;49:515-526, doi:10.1002/mrm.10407; weights: Chang et al., Magn Reson Med
        2008;60:496-501, doi:10.1002/mrm.21669.

    Example:
        >>> from bolus.quantify.t1 import fit_flip_angles
        >>> a, e = np.radians([2.0, 5.0, 12.0]), np.exp(-0.005 / 1.2)
        >>> signal = 1000 * np.sin(a) * (1 - e) / (1 - e * np.cos(a))
        >>> fit = fit_flip_angles(signal[None], flip_angles_deg=(2, 5, 12), repetition_time_s=0.005)
        >>> round(float(fit.t1_s[0]), 6), round(float(fit.amplitude[0]), 3)
        (1.2, 1000.0)
    """
    require_time("the repetition time", repetition_time_s, _LONGEST_REPETITION_S)
    angles = _angles(flip_angles_deg, signal.shape)
    factors = np.ones(len(signal)) if b1 is None else np.ascontiguousarray(b1, np.float64)
    if factors.shape != (len(signal),):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"{factors.size} B1 factors for {len(signal)} voxels",
            mend="take the B1 map from the same mask as the signal",
        )
    numbers = np.empty((4, len(signal)))
    status = np.empty(len(signal), np.uint8)
    fit_angles(
        np.ascontiguousarray(signal, np.float64), angles, factors, float(repetition_time_s),
        1 / LONGEST_T1_S, 1 / SHORTEST_T1_S, -1.0 if noise is None else float(noise),
        method == "nonlinear", numbers, status,
    )  # fmt: skip
    return _result(numbers, status)


def fit_inversion_recovery(
    signal: Float[np.ndarray, "voxels times"],
    *,
    inversion_times_s: Sequence[float],
    magnitude: bool,
) -> T1Fit:
    """Fit S = a + b exp(-TI R1), or its magnitude, to an inversion recovery.

    a and b are free: an imperfect inversion and a repetition time that is not infinite stay within
    b. Signs of a magnitude are restored: samples before the minimum become negative, and the one
    at the minimum is tried with either sign. R1 from a grid of 64 starts, then Gauss-Newton.

    Args:
        signal: any gain.
        inversion_times_s: at least three, in any order.
        magnitude: whether the signal has lost its sign.

    Returns:
        The fit; the amplitude is a. NO_SIGNAL: all zero, or a negative magnitude. Otherwise as
        `fit_flip_angles`.

    Raises:
        TimingError: fewer than three times, in milliseconds, or not one per sample.

    Assumes:
        One T1 a voxel; every readout alike.

    Source:
        Barral et al., Magn Reson Med 2010;64:1057-1067, doi:10.1002/mrm.22497.

    Example:
        >>> from bolus.quantify.t1 import fit_inversion_recovery
        >>> ti = np.array([0.05, 0.4, 1.1, 2.5])
        >>> fit = fit_inversion_recovery(np.abs(90 - 170 * np.exp(-ti / 0.9))[None],
        ...                              inversion_times_s=ti, magnitude=True)
        >>> round(float(fit.t1_s[0]), 6)
        0.9
    """
    return _recovered(signal, inversion_times_s, magnitude=magnitude, look_locker=False)


def fit_look_locker(
    signal: Float[np.ndarray, "voxels times"],
    *,
    times_s: Sequence[float],
    magnitude: bool,
) -> T1Fit:
    """Fit R1 to a Look-Locker train (one inversion, many small pulses) such as MOLLI.

    S = A - B exp(-t R1*), T1 = T1* (B / A - 1): the pulses speed the recovery up and lower its end,
    and each says by how much the other must be corrected.

    Args:
        signal: any gain.
        times_s: from the inversion to each readout, at least three.
        magnitude: whether the signal has lost its sign.

    Returns:
        As `fit_inversion_recovery`; the amplitude is A. The standard error is that of the corrected
        rate.

    Raises:
        TimingError: fewer than three times, in milliseconds, or not one per sample.

    Assumes:
        Complete inversion, small flip angles, pulses far shorter apart than T1.

    Source:
        Look and Locker, Rev Sci Instrum 1970;41:250-251; Deichmann and Haase, J Magn Reson
        1992;96:608-612; MOLLI: Messroghli et al., Magn Reson Med 2004;52:141-146.

    Example:
        >>> from bolus.quantify.t1 import fit_look_locker
        >>> t = np.linspace(0.1, 4.0, 12)
        >>> fit = fit_look_locker((60 - 150 * np.exp(-t / 0.8))[None], times_s=t, magnitude=False)
        >>> round(float(fit.t1_s[0]), 6)
        1.2
    """
    return _recovered(signal, times_s, magnitude=magnitude, look_locker=True)


def r10_map(fit: T1Fit, *, mask: Mask, provenance: Provenance, method: str) -> ParameterMap:
    """Return a fit as a map of R10 [1/s] with its standard errors.

    Args:
        fit: of the voxels of `mask`, in C order.
        mask: on the grid of the images.
        provenance: history of the images.
        method: which fit it was, for the history, such as "flip angles 2 5 12, nonlinear".

    Raises:
        QuantityError: the fit has another number of voxels than the mask.

    Assumes:
        The images lie on the grid of the mask.

    Source:
        OSIPI CAPLEX Q.EL1.002.

    Example:
        >>> from bolus.quantify.t1 import T1Fit, r10_map
        >>> one = np.ones(1)
        >>> fit = T1Fit(r1_per_s=one, error_per_s=0.1 * one, amplitude=one, residual=0 * one,
        ...             status=np.zeros(1, np.uint8))
        >>> mask = Mask(values=np.ones((1, 1, 1), bool), name="brain",
        ...             grid=Grid(shape=(1, 1, 1), affine=np.eye(4)))
        >>> r10_map(fit, mask=mask, provenance=Provenance(), method="an example").counts()
        {'OK': 1}
    """
    return ParameterMap.from_voxels(
        fit.r1_per_s,
        quantity=QUANTITIES["r10"],
        mask=mask,
        provenance=provenance.then(Step("quantify.r10_map", {"method": method}, "Q.EL1.002")),
        status=fit.status,
        std=fit.error_per_s,
    )


def _recovered(
    signal: np.ndarray, times_s: Sequence[float], *, magnitude: bool, look_locker: bool
) -> T1Fit:
    seconds = np.asarray(times_s, np.float64)
    if seconds.shape != signal.shape[1:] or len(np.unique(seconds)) < 3:
        raise TimingError(
            Code.TIME_INVALID,
            f"{len(np.unique(seconds))} different times for {signal.shape[1]} samples; one time "
            "per sample and three different ones are needed",
            mend="give the time of every image",
        )
    if not (np.isfinite(seconds).all() and seconds.min() >= 0):
        raise TimingError(
            Code.TIME_INVALID,
            f"times from {seconds.min():g} to {seconds.max():g} s where none may be negative",
            mend="count them from the inversion",
        )
    require_time("the longest time after the inversion", seconds.max(), _LONGEST_INVERSION_S)
    order = np.argsort(seconds, kind="stable")
    numbers = np.empty((4, len(signal)))
    status = np.empty(len(signal), np.uint8)
    fit_recovery(
        np.ascontiguousarray(signal[:, order], np.float64), seconds[order],
        1 / LONGEST_T1_S, 1 / SHORTEST_T1_S, magnitude, look_locker, numbers, status,
    )  # fmt: skip
    return _result(numbers, status)


def _result(numbers: np.ndarray, status: np.ndarray) -> T1Fit:
    lost = ~np.isfinite(numbers[0]) & (status == FitStatus.OK)
    return T1Fit(
        r1_per_s=numbers[0],
        amplitude=numbers[1],
        error_per_s=numbers[2],
        residual=numbers[3],
        status=np.where(lost, FitStatus.NOT_CONVERGED, status).astype(np.uint8),
    )


def _angles(degrees: Sequence[float], shape: tuple[int, ...]) -> np.ndarray:
    angles = np.asarray(degrees, np.float64)
    if angles.shape != shape[1:] or len(np.unique(angles)) < 2:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"{len(np.unique(angles))} different flip angles for {shape[1]} images; one per image "
            "and two different ones are needed",
            mend="give the flip angle of every image, or use another method for T1",
        )
    if not (angles.min() > 0 and angles.max() < 180) or angles.max() < 3.2:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"flip angles from {angles.min():g} to {angles.max():g} degrees, expected above 0 and "
            "below 180 with the largest 3.2 or more",
            mend=f"write {np.degrees(angles.max()):.4g} for the largest if they are in radians",
        )
    return np.radians(angles)

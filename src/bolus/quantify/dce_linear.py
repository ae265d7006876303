"""The Tofts models solved as linear equations: no iteration, no bounds, no standard errors."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, Curves
from bolus.core.maps import FitStatus
from bolus.quantify.dce_fit import DceFit, check_times
from bolus.quantify.dce_tables import arterial_curves, exchange_curves


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearTofts:
    """Solve C = (Ktrans + kep vp) ∫a - kep ∫C + vp a for its three coefficients, voxel by voxel.

    About ten times faster than `ExtendedTofts`. Noise in ∫C biases kep low, the more the noisier,
    and the integral of C is taken by the trapezoidal rule: use it where speed matters more than
    the last per cent. It has no honest standard errors (a regressor is itself noisy), so the
    covariance is NaN. Ktrans and vp keep their sign; ve is NaN where kep is not positive.

    Assumes:
        Tissue curves are linear between frames and 0 before the first; the rest as in
        `ExtendedTofts`, or in `Tofts` where `plasma` is False.

    Source:
        Murase, Magn Reson Med 2004;51:858-862.

    Example:
        >>> t = np.arange(100) * 2.0
        >>> a = 5 * np.exp(-((t - 40) / 12) ** 2) + (t > 50)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> truth = {"ktrans": np.array([0.1]), "ve": np.array([20.0]), "vp": np.array([3.0])}
        >>> fit = LinearTofts()(dce_curves("extended_tofts", truth, a, seconds=t), a, seconds=t)
        >>> [round(float(fit[name][0]), 2) for name in fit.names]
        [0.1, 20.0, 3.0]
    """

    plasma: bool = True
    """Fit vp; False: the model of Tofts without plasma."""

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float = 0.0,
    ) -> DceFit:
        """Return Ktrans [1/min], ve and vp [mL/100mL] of curves (voxels, t) [mM].

        `delay_s` is one number for all voxels. Raises as the other models do.
        """
        from bolus.quantify.dce_linear_kernels import linear_tofts

        times = np.ascontiguousarray(seconds, np.float64)
        own = times
        if arterial_seconds is not None:
            own = np.ascontiguousarray(arterial_seconds, np.float64)
        artery = np.ascontiguousarray(arterial, np.float64)
        check_times(tissue, artery, times, own, fewest=6)
        delays = np.array([float(delay_s)])
        area = exchange_curves(
            artery, seconds=times, arterial_seconds=own, rates_per_s=np.zeros(1), delays_s=delays
        )[0]
        plasma = arterial_curves(artery, seconds=times, arterial_seconds=own, delays_s=delays)[0]
        names = ("ktrans", "ve", "vp") if self.plasma else ("ktrans", "ve")
        values = np.empty((len(tissue), len(names)))
        numbers = np.empty((3, len(tissue)))
        status = np.empty(len(tissue), np.uint8)
        linear_tofts(
            np.ascontiguousarray(tissue), np.diff(times), area, plasma, values, numbers, status
        )
        missing = np.broadcast_to(np.nan, (len(tissue), len(names), len(names)))
        return DceFit(
            names=names, values=values, covariance=missing, residual_std=numbers[0],
            r2=numbers[1], sum_of_squares=numbers[2], frames=len(times), status=status,
        )  # fmt: skip


def kep_per_min(fit: DceFit) -> tuple[Float[np.ndarray, " voxels"], Float[np.ndarray, " voxels"]]:
    """Return kep = Ktrans/ve and its standard error, both [1/min].

    Args:
        fit: a fit with Ktrans and ve.

    Returns:
        kep and its standard error with the covariance of Ktrans and ve; NaN where ve is not
        known.

    Assumes:
        The error is small enough for a first-order expansion.

    Source:
        Tofts et al., J Magn Reson Imaging 1999;10:223-232; propagation of errors.

    Example:
        >>> from bolus.quantify.dce_fit import DceFit
        >>> fit = DceFit(names=("ktrans", "ve"), values=np.array([[0.1, 20.0]]),
        ...              covariance=np.diag([1e-4, 0.0])[None], residual_std=np.zeros(1),
        ...              r2=np.ones(1), sum_of_squares=np.zeros(1), frames=60,
        ...              status=np.zeros(1, np.uint8))
        >>> kep, error = kep_per_min(fit)
        >>> round(float(kep[0]), 3), round(float(error[0]), 3)
        (0.5, 0.05)
    """
    ktrans, volume = fit["ktrans"], np.where(fit["ve"] > 0, fit["ve"], np.nan) / 100
    kep = ktrans / volume
    at = [fit.names.index("ktrans"), fit.names.index("ve")]
    covariance = fit.covariance[:, at][:, :, at]
    slope = np.stack([1 / volume, -kep / volume / 100], axis=1)
    variance = np.einsum("vi,vij,vj->v", slope, covariance, slope)
    error = np.sqrt(np.where(variance >= 0, variance, np.nan))
    known = fit.status == FitStatus.OK
    return np.where(known, kep, np.nan), np.where(known, error, np.nan)

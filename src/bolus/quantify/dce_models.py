"""DCE models: leakage, flow and volumes from concentration curves and an arterial one."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, Curves
from bolus.quantify.dce_fit import DceFit, Plan, fit_curves

_NONE, _ARTERY, _UPTAKE, _EXCHANGE = 0, 1, 2, 3  # as in dce_kernels, which is heavy to import
_PERCENT, _PER_MIN, _PER_100ML_MIN, _S = 100.0, 60.0, 6000.0, 1.0


@runtime_checkable
class DceModel(Protocol):
    """Fit one model to concentration curves, given the plasma concentration of the artery."""

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit curves (voxels, t) [mM] at `seconds`; the artery may have its own times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tofts:
    """Fit C(t) = Ktrans ∫ a(u - delay) exp(-(Ktrans/ve) (t - u)) du: Ktrans and ve.

    Assumes:
        No tracer in the vessels of the voxel; one well-mixed extravascular space; noise is white
        over the frames and alike in all of them. The artery is linear between its samples.

    Source:
        Tofts et al., J Magn Reson Imaging 1999;10:223-232.

    Example:
        >>> t = np.arange(60) * 5.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> clean = dce_curves("tofts", {"ktrans": np.array([0.1]), "ve": np.array([20.0])}, a,
        ...                    seconds=t)
        >>> fit = Tofts()(clean, a, seconds=t)
        >>> round(float(fit["ktrans"][0]), 4), round(float(fit["ve"][0]), 2)
        (0.1, 20.0)
    """

    ve_range: tuple[float, float] = (0.0, 100.0)
    """Smallest and largest ve [mL/100mL]."""
    kep_range_per_min: tuple[float, float] = (0.0, 60.0)
    """Slowest and fastest washout Ktrans/ve [1/min]; an answer at the fastest is AT_BOUND."""
    delay_range_s: tuple[float, float] | None = None
    """Earliest and latest delay to fit [s]; None: the delay is given, not fitted."""
    steps: int = 200
    """Most Gauss-Newton steps."""

    def plan(self) -> Plan:
        """Return the model as the fit takes it."""
        return _plan(
            self, ("ktrans", "ve"), (_PER_MIN, _PERCENT), (_EXCHANGE, _NONE),
            (self.ve_range, (0.0, 0.0)), 24,
        )  # fmt: skip

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit every voxel; see `DceModel` and `dce_fit.fit_curves` for arguments and errors."""
        return fit_curves(
            self.plan(), tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds,
            delay_s=delay_s,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedTofts:
    """Fit the Tofts model with plasma: C(t) = vp a(t - delay) + Ktrans ∫ a exp(-kep (t - u)) du.

    Gives Ktrans, ve = Ktrans/kep and vp.

    Assumes:
        Flow is fast: plasma in the voxel is the plasma of the artery, or exchange is so slow
        that flow does not matter. Noise is white over the frames. The artery is linear between
        its samples.

    Source:
        Tofts, J Magn Reson Imaging 1997;7:91-101; when it holds: Sourbron and Buckley, Magn Reson
        Med 2011;66:735-745.

    Example:
        >>> t = np.arange(60) * 5.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> truth = {"ktrans": np.array([0.1]), "ve": np.array([20.0]), "vp": np.array([3.0])}
        >>> fit = ExtendedTofts()(dce_curves("extended_tofts", truth, a, seconds=t), a, seconds=t)
        >>> [round(float(fit[name][0]), 3) for name in fit.names]
        [0.1, 20.0, 3.0]
    """

    ve_range: tuple[float, float] = (0.0, 100.0)
    """Smallest and largest ve [mL/100mL]."""
    vp_range: tuple[float, float] = (0.0, 100.0)
    """Smallest and largest vp [mL/100mL]."""
    kep_range_per_min: tuple[float, float] = (0.0, 60.0)
    """Slowest and fastest washout Ktrans/ve [1/min]; an answer at the fastest is AT_BOUND."""
    delay_range_s: tuple[float, float] | None = None
    """Earliest and latest delay to fit [s]; None: the delay is given, not fitted."""
    steps: int = 200
    """Most Gauss-Newton steps."""

    def plan(self) -> Plan:
        """Return the model as the fit takes it."""
        return _plan(
            self, ("ktrans", "ve", "vp"), (_PER_MIN, _PERCENT, _PERCENT), (_EXCHANGE, _ARTERY),
            (self.ve_range, self.vp_range), 24,
        )  # fmt: skip

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit every voxel; see `DceModel` and `dce_fit.fit_curves` for arguments and errors."""
        return fit_curves(
            self.plan(), tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds,
            delay_s=delay_s,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Patlak:
    """Fit C(t) = vp a(t - delay) + Ktrans ∫ a(u - delay) du: Ktrans and vp, linearly.

    There are no bounds: noise about zero leakage gives negative Ktrans as often as positive, so
    that a mean over voxels is not biased.

    Assumes:
        Nothing that leaked returns during the scan; flow is fast. Noise is white over the frames.

    Source:
        Patlak, Blasberg and Fenstermacher, J Cereb Blood Flow Metab 1983;3:1-7.

    Example:
        >>> t = np.arange(60) * 5.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> truth = {"ktrans": np.array([-0.01]), "vp": np.array([3.0])}
        >>> fit = Patlak()(dce_curves("patlak", truth, a, seconds=t), a, seconds=t)
        >>> [round(float(fit[name][0]), 4) for name in fit.names]
        [-0.01, 3.0]
    """

    delay_range_s: tuple[float, float] | None = None
    """Earliest and latest delay to fit [s]; None: the delay is given, not fitted."""
    steps: int = 200
    """Most Gauss-Newton steps, for the delay."""

    def plan(self) -> Plan:
        """Return the model as the fit takes it."""
        free = (-np.inf, np.inf)
        return _plan(
            self, ("ktrans", "vp"), (_PER_MIN, _PERCENT), (_UPTAKE, _ARTERY), (free, free), 1
        )

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit every voxel; see `DceModel` and `dce_fit.fit_curves` for arguments and errors."""
        return fit_curves(
            self.plan(), tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds,
            delay_s=delay_s,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoCompartmentUptake:
    """Fit plasma with flow, from which tracer leaks without return: Fp, PS and vp.

    The residue is Fp exp(-k t) + Fp E (1 - exp(-k t)), k = (Fp + PS)/vp and E = PS/(Fp + PS).

    Assumes:
        Plasma is well mixed; nothing that leaked returns during the scan. Noise is white.

    Source:
        Sourbron and Buckley, Phys Med Biol 2012;57:R1-R33.

    Example:
        >>> t = np.arange(80) * 2.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> truth = {"fp": np.array([20.0]), "ps": np.array([2.0]), "vp": np.array([5.0])}
        >>> clean = dce_curves("two_compartment_uptake", truth, a, seconds=t)
        >>> fit = TwoCompartmentUptake()(clean, a, seconds=t)
        >>> [round(float(fit[name][0]), 2) for name in fit.names]
        [20.0, 2.0, 5.0]
    """

    vp_range: tuple[float, float] = (0.0, 100.0)
    """Smallest and largest volume [mL/100mL] of the pool that empties; vp is at least it."""
    rate_range_per_min: tuple[float, float] = (0.0, 120.0)
    """Slowest and fastest (Fp + PS)/vp [1/min]; an answer at the fastest is AT_BOUND."""
    delay_range_s: tuple[float, float] | None = None
    """Earliest and latest delay to fit [s]; None: the delay is given, not fitted."""
    steps: int = 200
    """Most Gauss-Newton steps."""

    def plan(self) -> Plan:
        """Return the model as the fit takes it."""
        return _plan(
            self, ("fp", "ps", "vp"), (_PER_100ML_MIN, _PER_100ML_MIN, _PERCENT),
            (_EXCHANGE, _UPTAKE), (self.vp_range, (0.0, np.inf)), 24,
        )  # fmt: skip

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit every voxel; see `DceModel` and `dce_fit.fit_curves` for arguments and errors."""
        return fit_curves(
            self.plan(), tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds,
            delay_s=delay_s,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoCompartmentExchange:
    """Fit plasma with flow in exchange with the extravascular space: Fp, PS, ve and vp.

    The residue is the sum of two exponentials with positive amplitudes; every such pair is one
    set of Fp, PS, ve, vp >= 0. Where one exponential is enough the four are not determined and
    the status is AT_BOUND: take a model with fewer.

    Assumes:
        Both spaces are well mixed. Noise is white over the frames.

    Source:
        Sourbron and Buckley, Phys Med Biol 2012;57:R1-R33.

    Example:
        >>> t = np.arange(120) * 2.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> from bolus.quantify.dce_forward import dce_curves
        >>> truth = {"fp": 20.0, "ps": 5.0, "ve": 15.0, "vp": 5.0}
        >>> clean = dce_curves("two_compartment_exchange",
        ...                    {k: np.array([v]) for k, v in truth.items()}, a, seconds=t)
        >>> fit = TwoCompartmentExchange()(clean, a, seconds=t)
        >>> [round(float(fit[name][0]), 2) for name in fit.names]
        [20.0, 5.0, 15.0, 5.0]
    """

    pool_range: tuple[float, float] = (0.0, 100.0)
    """Smallest and largest volume [mL/100mL] of each of the two exponentials; ve + vp is their
    sum."""
    rate_range_per_min: tuple[float, float] = (0.0, 120.0)
    """Slowest and fastest rate [1/min]; an answer at the fastest is AT_BOUND."""
    delay_range_s: tuple[float, float] | None = None
    """Earliest and latest delay to fit [s]; None: the delay is given, not fitted."""
    steps: int = 200
    """Most Gauss-Newton steps."""

    def plan(self) -> Plan:
        """Return the model as the fit takes it."""
        return _plan(
            self, ("fp", "ps", "ve", "vp"),
            (_PER_100ML_MIN, _PER_100ML_MIN, _PERCENT, _PERCENT),
            (_EXCHANGE, _EXCHANGE), (self.pool_range, self.pool_range),
            36 if self.delay_range_s is None else 10,
        )  # fmt: skip

    def __call__(
        self,
        tissue: Curves,
        arterial: Curve,
        *,
        seconds: Curve,
        arterial_seconds: Curve | None = None,
        delay_s: float | Float[np.ndarray, " voxels"] = 0.0,
    ) -> DceFit:
        """Fit every voxel; see `DceModel` and `dce_fit.fit_curves` for arguments and errors."""
        return fit_curves(
            self.plan(), tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds,
            delay_s=delay_s,
        )  # fmt: skip


_Model = Tofts | ExtendedTofts | Patlak | TwoCompartmentUptake | TwoCompartmentExchange

DCE_MODELS: Mapping[str, type[_Model]] = MappingProxyType(
    {
        "tofts": Tofts,
        "extended_tofts": ExtendedTofts,
        "patlak": Patlak,
        "two_compartment_uptake": TwoCompartmentUptake,
        "two_compartment_exchange": TwoCompartmentExchange,
    }
)
"""DCE models by the name that configuration files use."""


def _plan(
    model: _Model,
    names: tuple[str, ...],
    units: tuple[float, ...],
    kinds: tuple[int, int],
    limits: tuple[tuple[float, float], tuple[float, float]],
    starts: int,
) -> Plan:
    """Turn limits [mL/100mL] into fractions and add the delay where it is fitted."""
    rates = getattr(model, "kep_range_per_min", getattr(model, "rate_range_per_min", (0.0, 60.0)))
    fitted = model.delay_range_s is not None
    low, high = ((a / _PERCENT, b / _PERCENT) for a, b in limits)
    return Plan(
        names=(*names, "delay") if fitted else names,
        units=(*units, _S) if fitted else units,
        kinds=kinds,
        limits=(low, high),
        rate_range_per_min=rates,
        starts=starts,
        delay_range_s=model.delay_range_s,
        steps=model.steps,
    )

"""What leaked contrast adds to a ΔR2* curve, told from what stays in the vessels: three models.

Sign of K2: positive takes ΔR2* away (T1-dominant leakage raises the signal), negative adds to it
(T2*-dominant leakage lowers the signal further).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.interpolate import CubicSpline

from bolus.core import Curve, Curves, FitStatus
from bolus.errors import Code, MetadataError, TimingError
from bolus.quantify.convolution import convolve_exponential
from bolus.quantify.leakage_kernels import project, search_pairs

_CHUNK = 1024
"""Voxels whose curves and products stay in the second cache."""
_FINE_S = 0.2
"""Step of the grid on which a reference curve is shifted and dispersed [s]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakageFit:
    """What a leakage model found in every voxel; NaN where `status` is not OK.

    Standard errors hold for the terms chosen: residuals are taken as independent from frame to
    frame, apart from the error of the baseline, which all frames share and which is counted.
    """

    k1: Float[np.ndarray, " voxels"]
    """Amount of the vascular term, per unit of the reference curve's area [1]."""
    k2: Float[np.ndarray, " voxels"]
    """Leakage [1/s]: > 0 T1-dominant, < 0 T2*-dominant."""
    k2_std: Float[np.ndarray, " voxels"]
    kep_per_s: Float[np.ndarray, " voxels"] | None
    """Washout from the interstitium [1/s], of the model's grid; None if the model has none."""
    area: Float[np.ndarray, " voxels"]
    """∫ of the corrected ΔR2* dt from the end of the baseline on, over `seen` [1]."""
    seen: Float[np.ndarray, " voxels"]
    """Share of the passage that lies within the scan, relative to the reference [1]: a late or
    slow voxel has part of it behind the last frame."""
    area_std: Float[np.ndarray, " voxels"]
    residual_std: Float[np.ndarray, " voxels"]
    """What the model leaves over [1/s]."""
    status: UInt8[np.ndarray, " voxels"]
    leakage_terms: Float[np.ndarray, "terms t"]
    """∫ of leaked contrast per unit of K2, one per washout rate [s x 1/s]."""
    leakage_term: Int[np.ndarray, " voxels"]

    def leaked(self, rows: slice = slice(None)) -> Curves:
        """Return what is added to `tissue` to take leakage off: K2 times the term [1/s]."""
        return np.asarray(self.k2[rows, None] * self.leakage_terms[self.leakage_term[rows]])


@runtime_checkable
class LeakageModel(Protocol):
    """Separate vascular and leaked contrast in ΔR2* curves, given a curve without leakage."""

    def __call__(
        self, tissue: Curves, reference: Curve, *, seconds: Curve, baseline: slice
    ) -> LeakageFit:
        """Fit curves (voxels, t) [1/s] of which the first `baseline.start` frames are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bsw:
    """Fit ΔR2*(t) = K1 ref(t) - K2 ∫₀ᵗ ref(τ) dτ in every voxel (Boxerman-Schmainda-Weisskoff).

    The corrected curve is ΔR2*(t) + K2 ∫ref. Fast and well conditioned. A voxel that is slower or
    later than the reference gets a false K2, and washout is ignored: see docs/science/leakage.md
    for how much that costs.

    Assumes:
        Every voxel's vascular curve is a multiple of the reference; nothing flows back from the
        interstitium during the scan.

    Source:
        Boxerman, Schmainda, Weisskoff, AJNR 2006;27:859-867. OSIPI CAPLEX Q.LC1.001, Q.LC1.002.

    Example:
        >>> seconds = 1.5 * np.arange(60)
        >>> reference = np.exp(-((seconds - 30) / 6) ** 2) + 0.1 * (seconds > 40)
        >>> leaked = np.cumsum((reference + np.r_[0, reference[:-1]]) / 2) * 1.5
        >>> tissue = 2 * reference - 0.03 * leaked
        >>> fit = Bsw()(tissue[None], reference, seconds=seconds, baseline=slice(0, 8))
        >>> round(float(fit.k1[0]), 6), round(float(fit.k2[0]), 6)
        (2.0, 0.03)
    """

    def __call__(
        self, tissue: Curves, reference: Curve, *, seconds: Curve, baseline: slice
    ) -> LeakageFit:
        """Return K1, K2 and the corrected area of curves [1/s] on any time grid [s]."""
        reference = _checked(tissue, reference, seconds, baseline)
        terms = convolve_exponential(reference, seconds=seconds, rates_per_s=np.zeros(1))
        return _fit_pairs(tissue, reference[None], terms, seconds, baseline, kep_per_s=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bidirectional:
    """Fit ΔR2*(t) = K1 ref(t) - K2 ∫₀ᵗ ref(τ) exp(-kep (t - τ)) dτ: leakage with washout.

    kep is the best of a grid, found by projection: no start value, no local minimum. With kep = 0
    it is `Bsw`. It undoes the overestimation of volume that ignored washout leaves, but is more
    easily misled by a late or slow voxel.

    Assumes:
        Every voxel's vascular curve is a multiple of the reference.

    Source:
        Leu et al., AJNR 2016;37:1440, doi 10.3174/ajnr.A4759.

    Example:
        >>> seconds = 1.5 * np.arange(60)
        >>> reference = np.exp(-((seconds - 30) / 6) ** 2) + 0.1 * (seconds > 40)
        >>> model = Bidirectional(kep_per_min=(0.0, 0.5, 1.0))
        >>> fit = model(3 * reference[None], reference, seconds=seconds, baseline=slice(0, 8))
        >>> round(float(fit.k1[0]), 6), abs(round(float(fit.k2[0]), 6))
        (3.0, 0.0)
    """

    kep_per_min: tuple[float, ...] = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0, 1.4, 2.0)
    """Washout rates to try [1/min]."""

    def __call__(
        self, tissue: Curves, reference: Curve, *, seconds: Curve, baseline: slice
    ) -> LeakageFit:
        """Return K1, K2, kep and the corrected area of curves [1/s] on any time grid [s]."""
        reference = _checked(tissue, reference, seconds, baseline)
        kep = _rates(self.kep_per_min)
        terms = convolve_exponential(reference, seconds=seconds, rates_per_s=kep)
        return _fit_pairs(tissue, reference[None], terms, seconds, baseline, kep_per_s=kep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """Fit leakage with washout beside a reference that is matched to each voxel's own bolus.

    ΔR2*(t) = K1 v(t - δ; τ) - K2 ∫₀ᵗ ref(u) exp(-kep (t - u)) du. For v, the reference is first
    sharpened to what entered its vessels, a = ref + τ₀ dref/dt (the inverse of an exponential
    residue with mean transit time τ₀), then dispersed and delayed again: v = a ⊗ exp(-t/τ)/τ at
    δ. The pair of one v and one washout rate that leaves the smallest residual is taken; all
    voxels are projected on all terms at once. So a slow or late voxel is no longer taken for a
    leaky one, which is the weakness of `Bsw` and `Bidirectional`.

    Assumes:
        Transit and arrival differ from the reference as by an exponential residue and a delay;
        what leaks follows the mean capillary curve of the reference, not each voxel's own delay.

    Source:
        This package's own; separating transit from leakage in each voxel is the idea of Bjørnerud
        et al., J Cereb Blood Flow Metab 2011;31:2041, doi 10.1038/jcbfm.2011.52, which does it
        through the residue function and an arterial curve. Measured: docs/science/leakage.md.

    Example:
        >>> seconds = 1.5 * np.arange(60)
        >>> reference = np.exp(-((seconds - 30) / 6) ** 2) + 0.1 * (seconds > 40)
        >>> late = np.interp(seconds - 2, seconds, reference)
        >>> fit = Matched()(late[None], reference, seconds=seconds, baseline=slice(0, 8))
        >>> bool(abs(fit.k2[0]) < 1e-3)
        True
    """

    kep_per_min: tuple[float, ...] = (-1.0, -0.5, 0.0, 0.3, 0.6, 1.0)
    """Rates to try [1/min]; a wider range fits noise and transit as leakage. Negative ones are no
    washout: they are the shape of T2* leakage beside T1 leakage that has reached its ceiling."""
    reference_transit_s: float = 4.5
    """τ₀ [s]: mean transit time of the reference tissue, a mixture of grey and white matter."""
    transit_s: tuple[float, ...] = (0.0, 1.5, 3.0, 4.5, 6.0, 8.0, 11.0, 15.0)
    """τ to try [s]."""
    delay_s: tuple[float, ...] = tuple(float(d) for d in np.arange(-3.0, 4.01, 0.5))
    """δ to try [s], relative to the reference."""
    neighbours: int = 3
    """Voxels along each side of the square in the slice whose mean curve chooses the terms of a
    whole series (`correct_leakage`), unless the voxel's own curve speaks against them (p < 0.01);
    amounts always come from its own curve. 1: no neighbours."""

    def __call__(
        self,
        tissue: Curves,
        reference: Curve,
        *,
        seconds: Curve,
        baseline: slice,
        guide: Curves | None = None,
    ) -> LeakageFit:
        """Return K1, K2, kep and the corrected area of curves [1/s] on any time grid [s].

        `guide` holds curves like `tissue` that choose the terms instead of it: smoother ones.
        """
        reference = _checked(tissue, reference, seconds, baseline)
        kep = _rates(self.kep_per_min)
        fine = np.arange(seconds[0], seconds[-1] + _FINE_S, _FINE_S)
        spline = CubicSpline(seconds, reference, extrapolate=False)
        curve = np.nan_to_num(spline(fine), nan=float(reference[-1]))
        slope = np.nan_to_num(spline(fine, 1), nan=0.0)
        entering = curve + self.reference_transit_s * slope
        vascular = [reference]
        for transit in self.transit_s:
            same = transit == self.reference_transit_s
            shape = curve if same else _dispersed(entering, fine, transit)
            vascular += [
                np.interp(seconds - delay, fine, shape, left=0.0)
                for delay in self.delay_s
                if not (same and delay == 0)
            ]
        terms = convolve_exponential(reference, seconds=seconds, rates_per_s=kep)
        return _fit_pairs(
            tissue, np.array(vascular), terms, seconds, baseline, kep_per_s=kep, guide=guide
        )


LEAKAGE_MODELS: Mapping[str, type[Bsw] | type[Bidirectional] | type[Matched]] = MappingProxyType(
    {"bsw": Bsw, "bidirectional": Bidirectional, "matched": Matched}
)
"""Leakage models by the name that configuration files use."""


def _checked(tissue: Curves, reference: Curve, seconds: Curve, baseline: slice) -> Curve:
    """Return the reference without the frames before the steady state."""
    frames = len(seconds)
    if tissue.ndim != 2 or tissue.shape[1] != frames or reference.shape != (frames,):
        raise TimingError(
            Code.TIME_INVALID,
            f"{frames} times, but tissue curves of shape {tissue.shape} and a reference of shape "
            f"{reference.shape}",
            mend="give curves as (voxels, t) and one time per frame",
        )
    first, stop, _ = baseline.indices(frames)
    if stop <= first or frames - stop < 6:
        raise TimingError(
            Code.SERIES_TOO_SHORT,
            f"{max(stop - first, 0)} baseline frames and {frames - stop} after them; a leakage fit "
            "needs 1 and 6",
            mend="give the baseline that find_bolus() found",
        )
    area = np.trapezoid(reference[stop:], seconds[stop:])
    if not (np.isfinite(reference).all() and area > 0):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"the reference curve for leakage has area {area:.3g}, expected a finite positive one",
            mend="take the mean of non-enhancing brain in which a bolus is seen",
        )
    return np.where(np.arange(frames) < first, 0.0, reference)


_LOWEST_RATE = -2 / 60


def _rates(kep_per_min: tuple[float, ...]) -> Curve:
    rates = np.asarray(kep_per_min, np.float64) / 60
    if not len(rates) or rates.min() < _LOWEST_RATE or rates.max() > 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"washout rates {kep_per_min} 1/min, expected one or more between -2 and 60",
            mend="give kep in 1/min, such as (0.0, 0.5, 1.0)",
        )
    return rates


def _dispersed(curve: Curve, seconds: Curve, transit_s: float) -> Curve:
    if transit_s == 0:
        return curve
    rate = 1 / transit_s
    return np.asarray(
        rate * convolve_exponential(curve, seconds=seconds, rates_per_s=np.array([rate]))[0]
    )


def integration_weights(seconds: Curve, *, from_frame: int) -> Curve:
    """Return trapezoidal weights [s] that are zero before a frame.

    Args:
        seconds: times (t,) [s], increasing.
        from_frame: where integration begins.

    Returns:
        Weights (t,) [s]: their product with a curve is its integral.

    Assumes:
        The curve is straight between samples.

    Source:
        Trapezoidal rule.

    Example:
        >>> integration_weights(np.array([0.0, 1.0, 3.0]), from_frame=0).tolist()
        [0.5, 1.5, 1.0]
    """
    steps = np.diff(seconds[from_frame:])
    weights = np.zeros(len(seconds))
    weights[from_frame:-1] += steps / 2
    weights[from_frame + 1 :] += steps / 2
    return weights


def _variances(
    vascular: np.ndarray, leakage: np.ndarray, weights: Curve, baseline: slice
) -> Float[np.ndarray, "two v l"]:
    """Variance of K2 and of the area for unit noise, for every pair of unit terms."""
    norms = np.linalg.norm(leakage, axis=1)
    unit = leakage / norms[:, None]
    gram = vascular @ unit.T
    after = np.arange(len(weights)) >= baseline.stop
    frames = baseline.stop - baseline.start
    result = np.empty((2, *gram.shape))
    for i, row in enumerate(vascular):
        left = (unit - gram[i][:, None] * row) / (1 - gram[i] ** 2)[:, None] / norms[:, None]
        for k, functional in enumerate((left, weights - (leakage @ weights)[:, None] * left)):
            shared = functional[:, after].sum(axis=1) ** 2 / frames
            result[k, i] = (functional[:, after] ** 2).sum(axis=1) + shared
    return result


def _fit_pairs(
    tissue: Curves,
    vascular: np.ndarray,
    leakage: np.ndarray,
    seconds: Curve,
    baseline: slice,
    *,
    kep_per_s: Curve | None,
    guide: Curves | None = None,
) -> LeakageFit:
    """Project all curves on all terms and keep the best pair of every voxel."""
    first, stop, _ = baseline.indices(len(seconds))
    weights = integration_weights(seconds, from_frame=stop)
    v, n = len(vascular), len(leakage)
    norm_v, norm_l = np.linalg.norm(vascular, axis=1), np.linalg.norm(leakage, axis=1)
    unit_v, unit_l = vascular / norm_v[:, None], leakage / norm_l[:, None]
    errors = np.sqrt(_variances(unit_v, leakage, weights, slice(first, stop)))
    kind = np.float32 if tissue.dtype == np.float32 else np.float64
    terms = np.concatenate([unit_v, unit_l, weights[None]])[:, first:].astype(kind, order="C")
    degrees = len(seconds) - first - 3.0 - (n > 1) - 2.0 * (v > 1)  # one went to the baseline
    area_v = vascular @ weights / float(vascular[0] @ weights)
    known = (unit_v @ unit_l.T, area_v / norm_v, 1 / norm_l, leakage @ weights, errors)
    numbers = np.empty((6, len(tissue)))
    choice = np.empty((3, len(tissue)), np.int16)
    for at in range(0, len(tissue), _CHUNK):
        rows = slice(at, at + _CHUNK)
        curves = np.ascontiguousarray(tissue[rows], kind)
        products = np.empty((len(curves), len(terms) + 1), kind)
        project(curves, terms, first, products)
        guided = np.empty_like(products) if guide is not None else products[:0]
        if guide is not None:
            project(np.ascontiguousarray(guide[rows], kind), terms, first, guided)
        search_pairs(products, guided, *known, degrees, numbers[:, rows], choice[:, rows])
    seen = area_v[choice[0]]
    numbers[[2, 4]] /= seen
    lost = choice[2] != FitStatus.OK
    kep = None if kep_per_s is None else np.where(lost, np.nan, kep_per_s[choice[1]])
    return LeakageFit(
        k1=numbers[0], k2=numbers[1], area=numbers[2], k2_std=numbers[3], area_std=numbers[4],
        residual_std=numbers[5], seen=seen, kep_per_s=kep, status=choice[2].astype(np.uint8),
        leakage_terms=leakage, leakage_term=choice[1],
    )  # fmt: skip

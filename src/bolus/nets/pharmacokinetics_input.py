"""What the physics says of a DCE curve before a network sees it, alike for any times and artery."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.core.arrays import Curve, Curves
from bolus.core.maps import FitStatus
from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_models import ExtendedTofts
from bolus.quantify.dce_tables import arterial_curves, exchange_curves

PARAMETERS = ("ktrans", "ve", "vp", "delay")
"""In 1/min, mL/100mL, mL/100mL and s."""
SHARES = 22
FEATURES = 4 * len(PARAMETERS) + 6 + SHARES + 10
REFERENCE = ExtendedTofts(kep_range_per_min=(0.0, 20.0), delay_range_s=(-2.0, 8.0))
"""The fit that the network starts from, and is compared with."""
_WASHOUT_PER_MIN = np.concatenate([[0.0], np.geomspace(0.01, 15.0, 15)])
_DELAYS_S = np.arange(-1.5, 7.6, 1.5)
_SOFT = {"ktrans": 0.005, "vp": 0.5}
_WIDEST = np.array([1.8, 1.2, 1.6, 2.5])
"""Standard deviations beyond which a fit says less than the range of kinetics does."""
_LEAST = 1e-3
_EDGE = 0.005
_CEILING = np.array([5.8, 5.3, 5.3, 8.0])
_FLOOR = np.array([0.0, -5.3, 0.0, -2.0])
_CROWD, _SAMPLE = 20, 2000
"""Fewest curves to know a spoiled frame by, and as many as are asked."""
_FAR, _EARLY_S, _PASSING_S = 2.2, 10.0, 60.0
"""How far off is too far, in median residuals; the first pass is not judged. Set by us."""
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KineticInput:
    """Curves (n,) as the network sees them, in soft units: see `to_soft`.

    `start` and `spread` (n, 4) are what the physics alone says, the network corrects it in units of
    `spread`. `features` (n, FEATURES) is float32. `usable` (n,) is False where a curve is not
    finite or flat. `spoiled` (t,) are frames in which most curves jump, as when the head moves.
    `fit` is the least-squares fit.
    """

    start: Float[np.ndarray, "n 4"]
    spread: Float[np.ndarray, "n 4"]
    features: Float[np.ndarray, "n f"]
    usable: Bool[np.ndarray, " n"]
    spoiled: Bool[np.ndarray, " t"]
    fit: DceFit


def to_soft(values: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Return kinetics where noise is about normal: asinh(Ktrans), logit(ve), asinh(vp), delay.

    Args:
        values: of `PARAMETERS`, in their units.
    """
    ve = np.clip(values[:, 1] / 100, _EDGE, 1 - _EDGE)
    return np.stack([
        np.arcsinh(values[:, 0] / _SOFT["ktrans"]), np.log(ve / (1 - ve)),
        np.arcsinh(values[:, 2] / _SOFT["vp"]), values[:, 3],
    ], axis=1)  # fmt: skip


def from_soft(soft: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Return kinetics in their units; what is beyond what is possible becomes the limit."""
    held = np.clip(soft, _FLOOR, _CEILING)
    return np.stack([
        _SOFT["ktrans"] * np.sinh(held[:, 0]), 100 / (1 + np.exp(-held[:, 1])),
        _SOFT["vp"] * np.sinh(held[:, 2]), held[:, 3],
    ], axis=1)  # fmt: skip


def kinetic_input(
    tissue: Curves, arterial: Curve, *, seconds: Curve, arterial_seconds: Curve | None = None
) -> KineticInput:
    """Fit curves, weigh a grid of washouts and delays, and gather what both say.

    Args:
        tissue: (n, t) concentrations [mM].
        arterial: plasma concentration of the artery [mM].
        seconds: times of the tissue [s], increasing, any spacing.
        arterial_seconds: times of the artery [s]; None if they are those of the tissue.

    Raises:
        TimingError: times and curves do not match, or the artery ends too early.
        QuantityError: the artery is not finite or has no positive area.

    Assumes:
        The extended Tofts model; noise alike in all frames. Both are the start only.

    Source:
        Starting a network from a physical fit and its standard errors is ours.
    """
    times = np.ascontiguousarray(seconds, np.float64)
    own = times if arterial_seconds is None else np.ascontiguousarray(arterial_seconds, np.float64)
    artery = np.ascontiguousarray(arterial, np.float64)
    fit = REFERENCE(tissue, artery, seconds=times, arterial_seconds=own)
    usable = np.isin(fit.status, (FitStatus.NOT_FINITE, FitStatus.NO_SIGNAL), invert=True)
    curves = np.where(usable[:, None], tissue, 0.0).astype(np.float64)
    nodes = _nodes(artery, times, own)
    start, spread, shares, seen = _explored(curves, nodes)
    fitted, errors, between = _fitted(fit)
    known = np.isfinite(fitted) & np.isfinite(errors) & (errors < _WIDEST)
    base = np.where(known, fitted, start)
    size = np.maximum(np.where(known, errors, spread), _LEAST)
    features = np.concatenate([
        np.clip((start - base) / size, -8, 8), np.log(size), base, known, between,
        shares, np.broadcast_to(_acquisition(artery, times, own), (len(curves), 5)),
        seen,
    ], axis=1)  # fmt: skip
    features = np.where(usable[:, None], features, 0.0)
    return KineticInput(
        start=base, spread=size, features=features.astype(np.float32), usable=usable, fit=fit,
        spoiled=_spoiled(curves[usable], nodes, times),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Nodes:
    """Columns of the grid: plasma (d, t), leaked (d, k, t) per unit of Ktrans [min]."""

    plasma: np.ndarray
    leaked: np.ndarray
    rise_s: float
    before: np.ndarray


def _nodes(artery: np.ndarray, times: np.ndarray, own: np.ndarray) -> _Nodes:
    rates, delays = np.meshgrid(_WASHOUT_PER_MIN / 60, _DELAYS_S)
    leaked = exchange_curves(
        artery, seconds=times, arterial_seconds=own, rates_per_s=rates.ravel(),
        delays_s=delays.ravel(),
    )  # fmt: skip
    plasma = arterial_curves(artery, seconds=times, arterial_seconds=own, delays_s=_DELAYS_S)
    rise = own[np.argmax(artery > 0.05 * artery.max())]
    return _Nodes(
        plasma=plasma,
        leaked=leaked.reshape(*rates.shape, -1) / 60,
        rise_s=float(rise),
        before=times < rise,
    )


def _explored(curves: np.ndarray, nodes: _Nodes) -> tuple[np.ndarray, ...]:
    """Return what the grid says of all curves, in chunks."""
    parts = []
    for first in range(0, max(len(curves), 1), _CHUNK):
        some = curves[first : first + _CHUNK]
        *found, fitted = _weighed(some, nodes)
        parts.append((*found, _remains(some, fitted, nodes.before)))
    return tuple(np.concatenate(p) for p in zip(*parts, strict=True))


def _spoiled(curves: np.ndarray, nodes: _Nodes, times: np.ndarray) -> np.ndarray:
    """Return frames (t,) in which most of a sample of curves is far off; not in the first pass."""
    if len(curves) < _CROWD:
        return np.zeros(len(times), bool)
    some = curves[:: max(len(curves) // _SAMPLE, 1)]
    off = np.abs(some - _weighed(some, nodes)[3])
    off /= np.median(off, axis=1, keepdims=True) + 1e-12
    passing = (times >= nodes.rise_s - _EARLY_S) & (times <= nodes.rise_s + _PASSING_S)
    return np.asarray((np.median(off, axis=0) > _FAR) & ~passing)


def _weighed(
    curves: np.ndarray, nodes: _Nodes
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and spread over the grid (n, 4), shares of its margins, and the best (n, t)."""
    plasma, leaked = nodes.plasma, nodes.leaked
    count = curves.shape[1]
    delays, rates = leaked.shape[:2]
    power = np.einsum("nt,nt->n", curves, curves)
    onto_plasma = (curves @ plasma.T)[:, :, None]
    onto_leaked = (curves @ leaked.reshape(-1, count).T).reshape(-1, delays, rates)
    pp = np.maximum((plasma**2).sum(axis=1), 1e-12)[:, None]
    ll = np.maximum((leaked**2).sum(axis=2), 1e-12)
    pl = np.einsum("dt,dkt->dk", plasma, leaked)
    free = np.maximum(pp * ll - pl**2, 1e-6 * pp * ll)
    leak = (pp * onto_leaked - pl * onto_plasma) / free
    volume = (ll * onto_plasma - pl * onto_leaked) / free
    leak = np.where(volume < 0, onto_leaked / ll, leak)
    volume = np.maximum(np.where(leak < 0, onto_plasma / pp, volume), 0.0)
    leak = np.maximum(np.where(volume > 0, leak, onto_leaked / ll), 0.0)
    volume = np.where(leak > 0, volume, np.maximum(onto_plasma / pp, 0.0))
    left = power[:, None, None] - 2 * (leak * onto_leaked + volume * onto_plasma)
    left = left + leak**2 * ll + volume**2 * pp + 2 * leak * volume * pl
    least = np.maximum(left.min(axis=(1, 2)), 1e-9 * power + 1e-18)
    variance = least / max(count - 4, 1)
    weight = np.exp(-(left - least[:, None, None]) / (2 * variance[:, None, None]))
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    washout = np.maximum(_WASHOUT_PER_MIN, 3e-3)
    soft = np.stack([
        np.arcsinh(leak / _SOFT["ktrans"]),
        _logit(np.clip(leak / washout, _EDGE, 1 - _EDGE)),
        np.arcsinh(100 * volume / _SOFT["vp"]),
        np.broadcast_to(_DELAYS_S[:, None], leak.shape),
    ], axis=1)  # fmt: skip
    own = np.zeros_like(soft)
    noise = variance[:, None, None]
    own[:, 0] = noise * pp / free / (leak**2 + _SOFT["ktrans"] ** 2)
    own[:, 2] = noise * ll / free / (volume**2 + (_SOFT["vp"] / 100) ** 2)
    own[:, 1] = np.minimum(own[:, 0], _WIDEST[1] ** 2)
    own = np.minimum(own, 9.0)
    mean = np.einsum("ndk,npdk->np", weight, soft)
    square = np.einsum("ndk,npdk->np", weight, own + (soft - mean[:, :, None, None]) ** 2)
    spread = np.clip(np.sqrt(square), 0.05, 2 * _WIDEST)
    margins = np.concatenate([
        weight.sum(axis=2), weight.sum(axis=1)[:, 1:],
    ], axis=1)  # fmt: skip
    best = left.reshape(len(left), -1).argmin(axis=1)
    d, k = np.divmod(best, rates)
    at = np.arange(len(left))
    fitted = leak[at, d, k][:, None] * leaked[d, k] + volume[at, d, k][:, None] * plasma[d]
    return mean, spread, margins, fitted


def _remains(curves: np.ndarray, fitted: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return (n, 5): how like noise is what the best node leaves, and how large."""
    off = curves - fitted
    size = np.sqrt((off**2).mean(axis=1)) + 1e-9
    alike = (off[:, 1:] * off[:, :-1]).mean(axis=1) / size**2
    spike = np.abs(off).max(axis=1) / size
    height = np.sqrt((fitted**2).mean(axis=1))
    quiet = np.zeros(len(off))
    if before.sum() >= 3:
        quiet = np.log(size / (curves[:, before].std(axis=1) + 1e-3 * size))
    return np.stack([
        alike, np.log(np.maximum(spike, 1e-3)), np.clip(quiet, -3, 3), np.log(size),
        np.clip(np.log((height + 1e-9) / size), -4, 8),
    ], axis=1)  # fmt: skip


def _fitted(fit: DceFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the fit and its standard errors in soft units (n, 4), and correlations (n, 6)."""
    values = fit.values
    with np.errstate(invalid="ignore", divide="ignore"):
        std = np.sqrt(np.einsum("npp->np", fit.covariance))
        ve = np.clip(values[:, 1] / 100, _EDGE, 1 - _EDGE)
        slope = np.stack([
            1 / np.hypot(values[:, 0], _SOFT["ktrans"]), 0.01 / (ve * (1 - ve)),
            1 / np.hypot(values[:, 2], _SOFT["vp"]), np.ones(len(values)),
        ], axis=1)  # fmt: skip
        first, second = np.triu_indices(len(PARAMETERS), 1)
        between = fit.covariance[:, first, second] / (std[:, first] * std[:, second])
    return to_soft(values), std * slope, np.clip(np.nan_to_num(between, posinf=0, neginf=0), -1, 1)


def _acquisition(artery: np.ndarray, times: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return (5,): interval, duration after the arrival, height, area and width of the artery."""
    rise = own[np.argmax(artery > 0.05 * artery.max())]
    area = np.trapezoid(artery, own)
    above = np.trapezoid((artery > artery.max() / 2).astype(float), own)
    after = max(times[-1] - rise, 1.0)
    seen = (np.median(np.diff(times)), after, artery.max(), area, max(above, 1.0))
    return np.asarray(np.log(np.array(seen, np.float64)))


def _logit(share: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(share / (1 - share)))

"""How far a DCE fit would move with other noise of the size it left: the residual bootstrap."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import Curve, Curves, FitStatus
from bolus.errors import Code, MetadataError
from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_models import DceModel

_AT_ONCE = 1 << 16
"""Curves fitted together; 60 frames of them take 31 MB."""
_FEWEST = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrap:
    """The fit, and what its parameters did over the repeats, in the same units.

    `std` and the ends of the intervals are (voxels, parameters), NaN where the fit is not OK or
    fewer than half of the repeats have a value.
    """

    fit: DceFit
    std: Float[np.ndarray, "voxels parameters"]
    low: Float[np.ndarray, "voxels parameters"]
    high: Float[np.ndarray, "voxels parameters"]


def bootstrap_fit(
    name: str,
    model: DceModel,
    tissue: Curves,
    arterial: Curve,
    *,
    seconds: Curve,
    random: np.random.Generator,
    repeats: int = 200,
    level: float = 0.9,
) -> Bootstrap:
    """Fit curves, then again and again with the residuals of the fit dealt anew to its frames.

    Residuals are widened by sqrt(frames / (frames - parameters)), for a fit comes nearer to its
    data than the truth does.

    Args:
        name: key of the model in `DCE_MODELS`.
        model: that model, with its bounds.
        tissue: (voxels, t) concentrations [mM].
        arterial: plasma concentration of the artery [mM] at `seconds`, without a delay.
        seconds: times [s].
        random: deals the residuals.
        repeats: how often, 20 or more.
        level: of the intervals, between percentiles of the repeats.

    Raises:
        MetadataError: fewer than 20 repeats, or a level that is none.
        QuantityError, TimingError: as the fit.

    Assumes:
        Noise is white, and alike in all frames; the model is right, and so is the artery.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 9; for DCE: Kershaw and
        Buckley, Magn Reson Med 56 (2006) 986.

    Example:
        >>> from bolus.quantify.dce_models import Patlak
        >>> t = np.arange(30) * 5.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> known = {"ktrans": np.full(2, 0.1), "vp": np.full(2, 3.0)}
        >>> noise = np.random.default_rng(1)
        >>> curves = dce_curves("patlak", known, a, seconds=t) + noise.normal(0, 0.02, (2, 30))
        >>> found = bootstrap_fit("patlak", Patlak(), curves, a, seconds=t, random=noise)
        >>> bool((found.std[:, 0] > 0.0005).all() and (found.std[:, 0] < 0.01).all())
        True
    """
    if repeats < _FEWEST or not 0 < level < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{repeats} repeats for intervals of {level:g}",
            mend=f"ask for {_FEWEST} repeats or more, and a level between 0 and 1",
        )
    fit = model(tissue, arterial, seconds=seconds)
    shape = fit.values.shape
    std, low, high = (np.full(shape, np.nan) for _ in range(3))
    sound = np.flatnonzero(fit.status == FitStatus.OK)
    at_once = max(1, _AT_ONCE // repeats)
    ends = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
    for first in range(0, len(sound), at_once):
        own = sound[first : first + at_once]
        values = _repeated(name, model, fit, (tissue[own], own), arterial, seconds, repeats, random)
        told = np.isfinite(values).mean(axis=1) >= 0.5
        some = np.where(told[:, None], values, 0.0)
        std[own] = np.where(told, np.nanstd(some, axis=1, ddof=1), np.nan)
        between = np.nanpercentile(some, ends, axis=1)
        low[own], high[own] = np.where(told, between, np.nan)
    return Bootstrap(fit=fit, std=std, low=low, high=high)


def _repeated(
    name: str,
    model: DceModel,
    fit: DceFit,
    chosen: tuple[np.ndarray, np.ndarray],
    arterial: Curve,
    seconds: Curve,
    repeats: int,
    random: np.random.Generator,
) -> np.ndarray:
    """Return the parameters (voxels, repeats, parameters) of some voxels."""
    tissue, own = chosen
    found = {key: fit[key][own] for key in fit.names}
    expected = dce_curves(name, found, arterial, seconds=seconds)
    frames = len(seconds)
    wider = np.sqrt(frames / max(frames - len(fit.names), 1))
    residual = (tissue - expected) * wider
    residual -= residual.mean(axis=1, keepdims=True)
    dealt = random.integers(0, frames, (len(own), repeats, frames))
    rows = np.arange(len(own))[:, None, None]
    again = expected[:, None] + residual[rows, dealt]
    fitted = model(again.reshape(-1, frames), arterial, seconds=seconds)
    return np.asarray(fitted.values.reshape(len(own), repeats, -1))

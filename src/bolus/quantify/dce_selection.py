"""Which of several DCE models a voxel's curve supports."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core.maps import FitStatus
from bolus.errors import Code, InputError
from bolus.quantify.dce_fit import DceFit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelChoice:
    """The model of every voxel, and how much better than the others it is."""

    names: tuple[str, ...]
    chosen: UInt8[np.ndarray, " voxels"]
    """Index into `names`; 0 where `status` is not OK."""
    aicc: Float[np.ndarray, "voxels models"]
    """Corrected information criterion; infinite where a model has no answer."""
    weights: Float[np.ndarray, "voxels models"]
    """Akaike weights: how the evidence is shared among the models; sum 1."""
    status: UInt8[np.ndarray, " voxels"]
    """OK where at least one model has an answer, else the status of the first."""

    def pick(self, fits: Mapping[str, DceFit], name: str) -> Float[np.ndarray, " voxels"]:
        """Return a parameter of the chosen model, NaN where that model does not have it."""
        result = np.full(len(self.chosen), np.nan)
        for i, key in enumerate(self.names):
            if name in fits[key].names:
                here = (self.chosen == i) & (self.status == FitStatus.OK)
                result[here] = fits[key][name][here]
        return result


def choose_model(fits: Mapping[str, DceFit]) -> ModelChoice:
    """Choose in every voxel the model with the smallest corrected Akaike criterion.

    AICc = n ln(S/n) + 2 K + 2 K (K + 1) / (n - K - 1), with n frames, S the sum of squares left
    and K the parameters of the model and the noise. A parameter at its bound still counts.

    Args:
        fits: fits of the same curves, by name; simplest first (it wins a tie).

    Returns:
        The choice, the criteria and the Akaike weights.

    Raises:
        InputError: there are no fits, they have unlike voxels or frames, or too few frames.

    Assumes:
        Noise is white and normal; all models were fitted to the same curves.

    Source:
        Hurvich and Tsai, Biometrika 1989;76:297-307. Weights: Burnham and Anderson, Sociol
        Methods Res 2004;33:261-304.

    Example:
        >>> from bolus.quantify.dce_models import Patlak, Tofts
        >>> t = np.arange(60) * 5.0
        >>> a = 5 * np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> noise = np.random.default_rng(0).normal(0, 0.01, (1, 60))
        >>> fits = {"tofts": Tofts()(0.05 * a[None] + noise, a, seconds=t),
        ...         "patlak": Patlak()(0.05 * a[None] + noise, a, seconds=t)}
        >>> choice = choose_model(fits)
        >>> choice.names[choice.chosen[0]]
        'patlak'
    """
    names = tuple(fits)
    sizes = {(len(f.status), f.frames) for f in fits.values()}
    if len(sizes) != 1:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"{len(names)} fits with (voxels, frames) {sorted(sizes)}; they must be alike",
            mend="fit the same curves with every model",
        )
    (voxels, frames), most = sizes.pop(), max(len(f.names) for f in fits.values())
    if frames < most + 3:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"{frames} frames for {most} parameters; at least {most + 3} are needed",
            mend="leave out the larger models",
        )
    aicc = np.full((voxels, len(names)), np.inf)
    for i, fit in enumerate(fits.values()):
        ok = fit.status == FitStatus.OK
        free = len(fit.names) + 1
        penalty = 2 * free + 2 * free * (free + 1) / (frames - free - 1)
        left = np.maximum(fit.sum_of_squares[ok], np.finfo(float).tiny)
        aicc[ok, i] = frames * np.log(left / frames) + penalty
    chosen = aicc.argmin(axis=1).astype(np.uint8)
    best = aicc.min(axis=1, keepdims=True)
    known = np.isfinite(best[:, 0])
    relative = np.exp(-0.5 * (aicc - np.where(known[:, None], best, 0.0)))
    total = relative.sum(axis=1, keepdims=True)
    first = next(iter(fits.values())).status
    return ModelChoice(
        names=names,
        chosen=chosen,
        aicc=aicc,
        weights=np.where(known[:, None], relative / np.where(known[:, None], total, 1.0), np.nan),
        status=np.where(known, np.uint8(FitStatus.OK), first).astype(np.uint8),
    )

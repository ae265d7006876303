"""Curves of the DCE models from their parameters: what a fit says the tissue should have been."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, Curves
from bolus.errors import Code, InputError
from bolus.quantify.dce_tables import arterial_curves, exchange_curves

_VOLUME, _PER_S, _FLOW = 1e-2, 1 / 60, 1 / 6000
NEEDS: Mapping[str, tuple[str, ...]] = {
    "tofts": ("ktrans", "ve"),
    "extended_tofts": ("ktrans", "ve", "vp"),
    "patlak": ("ktrans", "vp"),
    "two_compartment_uptake": ("fp", "ps", "vp"),
    "two_compartment_exchange": ("fp", "ps", "ve", "vp"),
}


def dce_curves(
    model: str,
    parameters: Mapping[str, Float[np.ndarray, " voxels"]],
    arterial: Curve,
    *,
    seconds: Curve,
    arterial_seconds: Curve | None = None,
) -> Curves:
    """Return the concentration curves of a DCE model.

    Args:
        model: a key of `DCE_MODELS`.
        parameters: what the model needs, (voxels,) each, in the units of `core.quantities`
            (Ktrans 1/min, ve and vp mL/100mL, Fp and PS mL/min/100mL), and `delay` [s] or none.
        arterial: plasma concentration of the artery [mM].
        seconds: times wanted [s], increasing, any spacing.
        arterial_seconds: times of the artery [s]; None: `seconds`.

    Returns:
        Concentrations (voxels, t) [mM]; NaN where a parameter is NaN, but for ve: where a fit
        could not tell it, nothing returns from the extravascular space.

    Raises:
        InputError: the model is unknown or a parameter is absent.

    Assumes:
        The artery is linear between its samples, 0 before the first, constant after the last.

    Source:
        The models: see `dce_models`. Rates of the exchange model: Sourbron and Buckley, Phys Med
        Biol 2012;57:R1-R33.

    Example:
        >>> t = np.arange(5.0)
        >>> dce_curves("patlak", {"ktrans": np.array([6.0]), "vp": np.array([0.0])}, np.ones(5),
        ...            seconds=t).round(2).tolist()
        [[0.0, 0.1, 0.2, 0.3, 0.4]]
    """
    missing = [name for name in NEEDS.get(model, ()) if name not in parameters]
    if model not in NEEDS or missing:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"model {model!r} without {missing}; models are {sorted(NEEDS)}",
            mend="name one of them and give all its parameters",
        )
    times = np.ascontiguousarray(seconds, np.float64)
    own = times if arterial_seconds is None else np.ascontiguousarray(arterial_seconds, np.float64)
    artery = np.ascontiguousarray(arterial, np.float64)
    given = {k: np.atleast_1d(np.asarray(v, np.float64)) for k, v in parameters.items()}
    delay = np.broadcast_to(given.get("delay", np.zeros(1)), given[NEEDS[model][0]].shape)
    needed = [given[name] for name in NEEDS[model] if name != "ve"]
    valid = np.isfinite(np.array([*needed, delay])).all(axis=0)
    kept = {name: given[name][valid] for name in NEEDS[model]}
    if "ve" in kept:
        kept["ve"] = np.where(np.isnan(kept["ve"]), np.inf, kept["ve"])
    shift = np.ascontiguousarray(delay[valid])

    def leaked(rate_per_s: np.ndarray) -> np.ndarray:
        return exchange_curves(
            artery, seconds=times, arterial_seconds=own, rates_per_s=rate_per_s, delays_s=shift
        )

    result = np.full((len(delay), len(times)), np.nan)
    total = np.zeros((len(shift), len(times)))
    for amplitude, rate in _terms(model, kept):
        total += amplitude[:, None] * leaked(rate)
    if model in ("extended_tofts", "patlak"):
        plasma = arterial_curves(artery, seconds=times, arterial_seconds=own, delays_s=shift)
        total += _VOLUME * kept["vp"][:, None] * plasma
    result[valid] = total
    return result


def _terms(model: str, p: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return amplitudes [1/s] and rates [1/s] of the exponentials of the residue."""
    if model == "patlak":
        return [(_PER_S * p["ktrans"], np.zeros(len(p["ktrans"])))]
    if model in ("tofts", "extended_tofts"):
        leak = _PER_S * p["ktrans"]
        volume = np.maximum(_VOLUME * p["ve"], 1e-12)
        return [(leak, leak / volume)]
    flow, leak, plasma = _FLOW * p["fp"], _FLOW * p["ps"], _VOLUME * p["vp"]
    if model == "two_compartment_uptake":
        share = leak / (flow + leak)
        return [
            (flow * (1 - share), (flow + leak) / plasma),
            (flow * share, np.zeros(len(flow))),
        ]
    cells = _VOLUME * p["ve"]
    out, back = (flow + leak) / plasma, leak / cells
    root = np.sqrt((out + back) ** 2 - 4 * back * flow / plasma)
    fast = (out + back + root) / 2
    slow = back * flow / plasma / fast  # the product of the roots: no cancellation
    share = (fast - flow / plasma) / np.maximum(root, 1e-300)
    return [(flow * (1 - share), fast), (flow * share, slow)]

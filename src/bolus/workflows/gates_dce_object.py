"""Concentration curves of known kinetics, by stepping the differential equations of two pools.

Nothing here uses a convolution, a residue or a closed form: the judge does not share the code that
it judges.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from bolus.simulate import DCE_PROTOCOLS, PatientSettings
from bolus.simulate.dce import dce_injection
from bolus.simulate.scanner import STEP_S

STEP_FINE_S = 0.005
"""Step of the solver [s]."""
SCAN_S = 300.0
MARGIN_S = 12.0
"""How far tissue may come before or behind the artery [s]."""

PARAMETERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tofts": ("ktrans", "ve"),
        "extended_tofts": ("ktrans", "ve", "vp"),
        "patlak": ("ktrans", "vp"),
        "two_compartment_uptake": ("fp", "ps", "vp"),
        "two_compartment_exchange": ("fp", "ps", "ve", "vp"),
    }
)
"""What each model needs, in the units of `core.quantities`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sampling:
    """Times [s] at which tissue and artery are known."""

    name: str
    seconds: np.ndarray
    arterial_seconds: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinetics:
    """Curves (voxels, t) [mM] on the solver's grid, with what made them."""

    model: str
    truth: Mapping[str, np.ndarray]
    seconds: np.ndarray
    curves: np.ndarray

    def at(self, seconds: np.ndarray, *, delay_s: float = 0.0) -> np.ndarray:
        """Return the curves (voxels, t) at any times [s], `delay_s` behind the artery."""
        return np.array([np.interp(seconds - delay_s, self.seconds, row) for row in self.curves])


def regular(step_s: float, *, start_s: float = 0.0) -> np.ndarray:
    """Return times [s] of a scan with even steps."""
    return np.arange(start_s, SCAN_S, step_s)


def uneven() -> np.ndarray:
    """Return times [s] of a scan that is fast during the first pass and slow after it."""
    return np.concatenate(
        [np.arange(0.0, 20.0, 5.0), np.arange(20.0, 80.0, 1.3), np.arange(80.0, SCAN_S, 8.7)]
    )


@cache
def artery(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return times [s] and plasma concentration [mM] of a simulated patient's artery, at 5 ms."""
    injection = dce_injection(PatientSettings(seed=seed), DCE_PROTOCOLS["spgr_3t"])
    coarse = STEP_S * np.arange(len(injection.arterial))
    seconds = np.arange(-MARGIN_S, SCAN_S + MARGIN_S, STEP_FINE_S)
    late = injection.arterial[-1] * np.exp(-np.maximum(seconds - coarse[-1], 0.0) / 1000.0)
    plasma = np.interp(seconds, coarse, injection.arterial, left=0.0)
    return seconds, np.where(seconds > coarse[-1], late, plasma)


def solve(model: str, truth: Mapping[str, np.ndarray], *, seed: int, every: int = 10) -> Kinetics:
    """Step two pools through time by the trapezoidal rule (Crank and Nicolson).

    With p and e the amounts in plasma and outside it, [mmol per litre of tissue]:
    p' = Fp a - (Fp + PS)/vp p + PS/ve e and e' = PS/vp p - PS/ve e where flow is finite; where it
    is not, plasma is vp a and e' = Ktrans a - Ktrans/ve e. What leaks without return has no
    second term.

    Args:
        model: a key of `PARAMETERS`.
        truth: what the model needs, (voxels,) each.
        seed: of the patient whose artery it is.
        every: steps of the solver between samples that are kept.

    Source:
        Sourbron and Buckley, Phys Med Biol 2012;57:R1-R33 (the equations).

    Example:
        >>> from bolus.workflows.gates_dce_object import solve
        >>> held = solve("patlak", {"ktrans": np.array([0.0]), "vp": np.array([4.0])}, seed=1)
        >>> bool(abs(held.curves.max() / artery(1)[1].max() - 0.04) < 1e-4)
        True
    """
    system, entry = _system(model, truth)
    seconds, plasma = artery(seed)
    half = STEP_FINE_S / 2 * system
    unit = np.eye(2)[None]
    onward = np.linalg.solve(unit - half, unit + half)
    gain = np.linalg.solve(unit - half, STEP_FINE_S * entry[:, :, None])[:, :, 0]
    middle = (plasma[1:] + plasma[:-1]) / 2
    a, b, c, d = onward[:, 0, 0], onward[:, 0, 1], onward[:, 1, 0], onward[:, 1, 1]
    inside, outside = np.zeros(len(gain)), np.zeros(len(gain))
    kept = np.zeros((len(gain), -(-len(seconds) // every)))
    for n, held in enumerate(middle, start=1):
        inside, outside = (
            a * inside + b * outside + gain[:, 0] * held,
            c * inside + d * outside + gain[:, 1] * held,
        )
        if n % every == 0:
            kept[:, n // every] = inside + outside
    if "fp" not in truth and "vp" in truth:
        kept += truth["vp"][:, None] / 100 * plasma[::every]
    return Kinetics(model=model, truth=truth, seconds=seconds[::every], curves=kept)


def _system(model: str, truth: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix (voxels, 2, 2) [1/s] and the entry (voxels, 2) [1/s] of the pools."""
    count = len(truth[PARAMETERS[model][0]])
    system, entry = np.zeros((count, 2, 2)), np.zeros((count, 2))
    leak = truth["ktrans"] / 60 if "ktrans" in truth else truth["ps"] / 6000
    back = leak / truth["ve"] * 100 if "ve" in truth else np.zeros(count)
    system[:, 1, 1] = -back
    if "fp" not in truth:
        entry[:, 1] = leak
        return system, entry
    flow, plasma = truth["fp"] / 6000, truth["vp"] / 100
    entry[:, 0] = flow
    system[:, 0, 0], system[:, 0, 1] = -(flow + leak) / plasma, back
    system[:, 1, 0] = leak / plasma
    return system, entry

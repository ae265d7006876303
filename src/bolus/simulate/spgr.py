"""Spoiled gradient echo, as used for DCE: steady state, fresh blood, decay until the echo.

Everything is the forward direction, from rates to signal. Spoiling is ideal.
"""

import numpy as np

from bolus.simulate.physics import steady_state


def spgr_signal(
    r1_per_s: np.ndarray,
    r2s_per_s: "float | np.ndarray",
    *,
    proton_density: "float | np.ndarray",
    repetition_time_s: float,
    echo_time_s: float,
    flip_angle_deg: "float | np.ndarray",
    pulses: "float | np.ndarray" = np.inf,
) -> np.ndarray:
    """Return S = M0 sin(a) Mz exp(-TE R2*) [a.u.], with Mz after a number of pulses.

    Args:
        r1_per_s: R1 with the agent, any shape.
        r2s_per_s: R2* with the agent, broadcast against `r1_per_s`.
        proton_density: M0.
        repetition_time_s: TR.
        echo_time_s: TE.
        flip_angle_deg: the angle that is there: nominal times the B1 factor.
        pulses: how many the spins have met; infinity is the steady state.

    Returns:
        The broadcast shape.

    Source:
        Ernst and Anderson, Rev Sci Instrum 1966;37:93 (steady state).

    Example:
        >>> float(spgr_signal(np.array(1.0), 0.0, proton_density=100.0, repetition_time_s=5.0,
        ...                   echo_time_s=0.0, flip_angle_deg=90.0).round(1))
        99.3
    """
    held = inflow_magnetisation(
        r1_per_s, pulses=pulses, repetition_time_s=repetition_time_s, flip_angle_deg=flip_angle_deg
    )
    decay = np.exp(-echo_time_s * np.asarray(r2s_per_s))
    return np.asarray(proton_density * np.sin(np.radians(flip_angle_deg)) * held * decay)


def inflow_magnetisation(
    r1_per_s: np.ndarray,
    *,
    pulses: "float | np.ndarray",
    repetition_time_s: float,
    flip_angle_deg: "float | np.ndarray",
) -> np.ndarray:
    """Return Mz/M0 of blood that came in fully magnetised and has met n pulses.

    M(n) = Mss + (1 - Mss) (cos(a) exp(-TR R1))ⁿ: blood near the inlet of the slab is bright
    whatever it holds, so its baseline is too high and its enhancement too small.

    Args:
        r1_per_s: R1 of the blood.
        pulses: n, from 0 (fresh) to infinity (steady state); fractions are allowed.
        repetition_time_s: TR.
        flip_angle_deg: the angle that is there, below 90.

    Source:
        Peeters et al., Magn Reson Med 2004;51:710 (inflow correction of the arterial input);
        the closed form solves Bloch's recursion (Phys Rev 1946;70:460).

    Example:
        >>> m = inflow_magnetisation(np.array(0.6), pulses=np.array([0.0, 20.0, np.inf]),
        ...                          repetition_time_s=0.005, flip_angle_deg=15.0)
        >>> m.round(3).tolist()
        [1.0, 0.514, 0.081]
    """
    steady = steady_state(
        r1_per_s, repetition_time_s=repetition_time_s, flip_angle_deg=flip_angle_deg
    )
    kept = np.cos(np.radians(flip_angle_deg)) * np.exp(-repetition_time_s * np.asarray(r1_per_s))
    return np.asarray(steady + (1 - steady) * np.power(kept, pulses))


def pulses_met(
    path_mm: np.ndarray, *, speed_mm_per_s: float, repetition_time_s: float
) -> np.ndarray:
    """Return how many pulses blood has met after a path through the slab.

    Args:
        path_mm: length of the vessel from where it enters the slab.
        speed_mm_per_s: mean speed of the blood.
        repetition_time_s: TR.

    Example:
        >>> float(pulses_met(np.array(40.0), speed_mm_per_s=400.0, repetition_time_s=0.005))
        20.0
    """
    return np.asarray(np.asarray(path_mm) / (speed_mm_per_s * repetition_time_s))

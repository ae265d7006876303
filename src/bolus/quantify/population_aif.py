"""Arterial input functions of populations, exactly as their sources give them.

Each returns a concentration [mM] at any times [s]: in **whole blood**, except Weinmann's, which is
in plasma; `plasma_from_blood` converts. Nothing is scaled to a dose unless its source does so.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.special import gammaln

from bolus.core import CONCENTRATION, ArterialInput, Assumed, Curve, Provenance, Step, TimeAxis
from bolus.errors import Code, InputError, MetadataError

_S_PER_MIN = 60.0


def parker_aif(seconds: Curve, *, arrival_s: float) -> Curve:
    """Return Parker's mean of 113 injections in 23 patients, in whole blood.

    C_b(t) = Σ A_n / (σ_n √2π) exp(-(t - T_n)² / 2σ_n²) + α exp(-β t) / (1 + exp(-s (t - τ))),
    t in minutes from the arrival.

    Args:
        seconds: times [s].
        arrival_s: when the curve begins [s].

    Returns:
        Concentration in whole blood [mM]; 0 before the arrival, 0.08 at it (the Gaussians of the
        source do not vanish there).

    Assumes:
        0.1 mmol/kg injected at 3 mL/s; adults with tumours of the body.

    Source:
        Parker et al., Magn Reson Med 2006;56:993-1000, doi:10.1002/mrm.21066, Table 1.

    Example:
        >>> parker_aif(np.array([-1.0, 0.0, 10.0, 300.0]), arrival_s=0.0).round(3).tolist()
        [0.0, 0.08, 6.042, 0.452]
    """
    t = _minutes(seconds, arrival_s)
    late = np.maximum(t, 0.0)
    blood = np.zeros_like(late)
    for area, centre, width in ((0.809, 0.17046, 0.0563), (0.330, 0.365, 0.132)):
        scale = area / (width * np.sqrt(2 * np.pi))
        blood += scale * np.exp(-((late - centre) ** 2) / (2 * width**2))
    blood += 1.050 * np.exp(-0.1685 * late) / (1 + np.exp(-38.078 * (late - 0.483)))
    return np.where(t < 0, 0.0, blood)


def georgiou_aif(seconds: Curve, *, arrival_s: float) -> Curve:
    """Return the representative individual curve of Georgiou, in whole blood.

    C_b(t) = Σ A_i exp(-m_i t) · Σ_j γ(t - j τ; (j + 1) α + j, β) over the passages j with
    j τ < t, γ(t; a, β) = t^a exp(-t/β) / (β^(a+1) Γ(a+1)), t in minutes from the arrival.

    Args:
        seconds: times [s].
        arrival_s: when the curve begins [s].

    Returns:
        Concentration in whole blood [mM]; 0 up to the arrival.

    Assumes:
        0.1 mmol/kg, haematocrit 0.35, 72 kg: the patient whose curve is nearest to the cohort's.

    Source:
        Georgiou et al., Magn Reson Med 2019;81:1955-1963, doi:10.1002/mrm.27524, Table 3, with the
        recirculation of Horsfield et al., Phys Med Biol 2009;54:2933-2949. The table's rounded
        numbers miss the authors' own tabulated curve by up to 3.5 %; those here are a fit (ours)
        to that curve, within 0.004 % of it. The gamma function is taken as its logarithm, so the
        sum has no end of validity (others break off at 7.5 min).

    Example:
        >>> georgiou_aif(np.array([0.0, 7.5, 300.0]), arrival_s=0.0).round(3).tolist()
        [0.0, 8.645, 0.649]
    """
    t = _minutes(seconds, arrival_s)
    alpha, beta, again = 5.266984, 0.03207887, 0.1285557
    passages = np.zeros_like(t)
    for j in range(int(np.floor(max(float(t.max(initial=0.0)), 0.0) / again)) + 1):
        since = t - j * again
        order = (j + 1) * alpha + j
        there = since > 0
        x = np.where(there, since, 1.0) / beta
        term = np.exp(order * np.log(x) - x - gammaln(order + 1)) / beta
        passages += np.where(there, term, 0.0)
    late = np.maximum(t, 0.0)
    pools = ((0.3743033, 0.1126903), (0.3311865, 1.174517), (10.06111, 16.01978))
    held = sum(a * np.exp(-m * late) for a, m in pools)
    return np.asarray(held * passages)


def mcgrath_aif(seconds: Curve, *, arrival_s: float) -> Curve:
    """Return McGrath's model B of the rat, in whole blood.

    C_b = (A1 + A2) t/t0 up to t0 = 7 s, then A1 exp(-k1 (t - t0)) + A2 exp(-k2 (t - t0)).

    Args:
        seconds: times [s].
        arrival_s: when the curve begins [s].

    Returns:
        Concentration in whole blood [mM]; 0 before the arrival.

    Assumes:
        A rat. Not for patients; here for completeness and for the reference tests.

    Source:
        McGrath et al., Magn Reson Med 2009;61:1173-1184, doi:10.1002/mrm.21959, Table 1 and Eq. 5.

    Example:
        >>> mcgrath_aif(np.array([0.0, 7.0, 300.0]), arrival_s=0.0).round(3).tolist()
        [0.0, 5.21, 1.166]
    """
    t = np.asarray(seconds, np.float64) - arrival_s
    rise_s = 7.0
    late = np.maximum(t - rise_s, 0.0)
    fall = 3.4 * np.exp(-0.045 * late) + 1.81 * np.exp(-0.0015 * late)
    return np.asarray(np.where(t <= rise_s, (3.4 + 1.81) * np.maximum(t, 0.0) / rise_s, fall))


def weinmann_aif(seconds: Curve, *, arrival_s: float, dose_mmol_per_kg: float) -> Curve:
    """Return Weinmann's biexponential washout as Tofts and Kermode use it, in **plasma**.

    C_p(t) = D (3.99 exp(-0.144 t) + 4.78 exp(-0.0111 t)), t in minutes from the arrival, a in
    kg/L, D in mmol/kg.

    Args:
        seconds: times [s].
        arrival_s: when all of the agent is there at once [s].
        dose_mmol_per_kg: D.

    Returns:
        Concentration in plasma [mM]; 0 before the arrival.

    Assumes:
        No first pass: perfusion and vp cannot be fitted with it.

    Source:
        Weinmann et al., Physiol Chem Phys Med NMR 1984;16:167-172; Tofts and Kermode, Magn Reson
        Med 1991;17:357-367, doi:10.1002/mrm.1910170208.

    Example:
        >>> float(weinmann_aif(np.zeros(1), arrival_s=0.0, dose_mmol_per_kg=0.1).round(3)[0])
        0.877
    """
    t = _minutes(seconds, arrival_s)
    late = np.maximum(t, 0.0)
    plasma = dose_mmol_per_kg * (3.99 * np.exp(-0.144 * late) + 4.78 * np.exp(-0.0111 * late))
    return np.where(t < 0, 0.0, plasma)


def orton_exponential_aif(seconds: Curve, *, arrival_s: float) -> Curve:
    """Return Orton's second model (exponential bolus, exponential washout), in whole blood.

    C_b(t) = A_B t exp(-μ_B t) + A_G (exp(-μ_G t) - exp(-μ_B t)), A_B = a_B - a_B a_G / (μ_B - μ_G),
    A_G = a_B a_G / (μ_B - μ_G)², t in minutes from the arrival.

    Args:
        seconds: times [s].
        arrival_s: when the curve begins [s].

    Returns:
        Concentration in whole blood [mM]; 0 before the arrival.

    Assumes:
        Fitted by its authors to Parker's curve: a_B 344 mM/min; μ_B 20.2, a_G 1.24, μ_G 0.172
        1/min.

    Source:
        Orton et al., Phys Med Biol 2008;53:1225-1239, doi:10.1088/0031-9155/53/5/005.

    Example:
        >>> orton_exponential_aif(np.array([0.0, 3.0, 60.0]), arrival_s=0.0).round(2).tolist()
        [0.0, 6.54, 0.9]
    """
    late = np.maximum(_minutes(seconds, arrival_s), 0.0)
    bolus, fast, leak, slow = 344.0, 20.2, 1.24, 0.172
    first = bolus - bolus * leak / (fast - slow)
    body = bolus * leak / (fast - slow) ** 2
    gone = np.exp(-fast * late)
    return np.asarray(first * late * gone + body * (np.exp(-slow * late) - gone))


def orton_cosine_aif(seconds: Curve, *, arrival_s: float) -> Curve:
    """Return Orton's third model (raised cosine bolus, exponential washout), in whole blood.

    The bolus a_B (1 - cos μ_B t) for one period, convolved with δ(t) + a_G exp(-μ_G t), t in
    minutes from the arrival.

    Args:
        seconds: times [s].
        arrival_s: when the curve begins [s].

    Returns:
        Concentration in whole blood [mM]; 0 before the arrival.

    Assumes:
        Fitted by its authors to Parker's curve: a_B 2.84 mM, μ_B 22.8, a_G 1.36, μ_G 0.171 1/min.

    Source:
        Orton et al., Phys Med Biol 2008;53:1225-1239, doi:10.1088/0031-9155/53/5/005.

    Example:
        >>> orton_cosine_aif(np.array([0.0, 8.0, 60.0]), arrival_s=0.0).round(2).tolist()
        [0.0, 6.16, 0.92]
    """
    late = np.maximum(_minutes(seconds, arrival_s), 0.0)
    bolus, turn, leak, slow = 2.84, 22.8, 1.36, 0.171
    period = 2 * np.pi / turn
    t = np.minimum(late, period)
    gone = np.exp(-slow * t)
    waves = slow * np.cos(turn * t) + turn * np.sin(turn * t) - slow * gone
    body = bolus * leak * ((1 - gone) / slow - waves / (slow**2 + turn**2))
    bolus_now = bolus * (1 - np.cos(turn * t))  # a whole period ends at 0
    return np.asarray(bolus_now + body * np.exp(-slow * (late - t)))


POPULATION_AIFS: Mapping[str, Callable[..., Curve]] = MappingProxyType(
    {
        "parker": parker_aif,
        "georgiou": georgiou_aif,
        "orton_exponential": orton_exponential_aif,
        "orton_cosine": orton_cosine_aif,
    }
)
"""Whole-blood curves of people that need no dose, by the name a user would give."""


def population_input(
    name: str, time: TimeAxis, *, arrival_s: float, haematocrit: "float | Assumed"
) -> ArterialInput:
    """Return a population curve in plasma, ready for a model.

    Args:
        name: an entry of `POPULATION_AIFS`.
        time: of the series.
        arrival_s: when it begins [s] on the clock of `time`.
        haematocrit: of large vessels.

    Returns:
        Concentration in plasma [mM], not judged (score NaN), its history naming the source.

    Raises:
        InputError: no such name.
        MetadataError: the haematocrit cannot be right.

    Assumes:
        The patient's curve is that of the population: Ktrans takes on the error of its height.

    Source:
        The function of that name.

    Example:
        >>> aif = population_input("parker", TimeAxis.regular(60, step_s=4.0), arrival_s=20.0,
        ...                        haematocrit=0.42)
        >>> round(float(aif.values.max()), 2), aif.method
        (9.4, 'population parker')
    """
    if name not in POPULATION_AIFS:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"no population AIF is called {name!r}; known are {', '.join(POPULATION_AIFS)}",
            mend="choose one of them, or give a curve with --aif",
        )
    blood = POPULATION_AIFS[name](time.seconds, arrival_s=arrival_s)
    step = Step(
        "quantify.population_input",
        {"name": name, "arrival_s": arrival_s, "haematocrit": _number(haematocrit)},
        source=_SOURCES[name],
    )
    return ArterialInput(
        values=plasma_from_blood(blood, haematocrit=haematocrit),
        time=time,
        quantity=CONCENTRATION,
        method=f"population {name}",
        provenance=Provenance().then(step),
        voxels=np.empty((0, 3), np.int64),
    )


_SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "parker": "10.1002/mrm.21066",
        "georgiou": "10.1002/mrm.27524",
        "orton_exponential": "10.1088/0031-9155/53/5/005",
        "orton_cosine": "10.1088/0031-9155/53/5/005",
    }
)


def plasma_from_blood(blood: Curve, *, haematocrit: "float | Assumed") -> Curve:
    """Return C_p = C_b / (1 - Hct): the agent stays out of the cells.

    Args:
        blood: concentration in whole blood, any unit.
        haematocrit: of the vessel, 0.1 to 0.7; `Assumed` where it was not measured.

    Raises:
        MetadataError: the haematocrit cannot be right, such as 45 for 0.45.

    Assumes:
        The agent does not enter red cells.

    Source:
        Tofts et al., J Magn Reson Imaging 1999;10:223-232.

    Example:
        >>> float(plasma_from_blood(np.array([0.55]), haematocrit=0.45)[0])
        1.0
    """
    number = _number(haematocrit)
    if not 0.1 <= number <= 0.7:
        guess = f", which looks like a percentage: {number / 100:g}" if 10 <= number <= 70 else ""
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the haematocrit is {number:g}{guess} (expected 0.1 to 0.7)",
            mend="give the volume fraction of red cells, such as 0.45",
        )
    return np.asarray(np.asarray(blood, np.float64) / (1 - number))


def _minutes(seconds: Curve, arrival_s: float) -> np.ndarray:
    return (np.asarray(seconds, np.float64) - arrival_s) / _S_PER_MIN


def _number(value: "float | Assumed") -> float:
    return value.value if isinstance(value, Assumed) else float(value)

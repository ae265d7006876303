"""Concentration curves of DCE voxels, over many acquisitions and arteries, with known kinetics.

No head is built: kinetics are drawn from wide ranges, so that what learns from them meets every
acquisition. Noise is that of the magnitude signal, before it is turned into concentration.
"""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_tables import exchange_curves
from bolus.quantify.population_aif import georgiou_aif, parker_aif
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.simulate.spgr import spgr_signal

KINETICS = ("ktrans", "ve", "vp", "delay")
"""What is known of every voxel, in 1/min, mL/100mL, mL/100mL and s."""
ARTERIES = ("drawn", "infused", "published")
RESIDUES = ("extended_tofts", "two_compartment_exchange", "either", "adiabatic")
"""The second has a finite flow, the third draws one of both for each voxel; the fourth lets plasma
pass like a plug and leak after it."""
_FINE_S = 0.5
_HAEMATOCRIT = 0.42
_LEAST_FRAMES_BEFORE = 4
_FLOW = (15.0, 120.0)
"""Plasma flow where it is finite [mL/min/100mL]."""
_INTACT, _INTACT_KTRANS = 0.15, 0.003
"""Share of voxels that hardly leak, and the most that they do [1/min]."""
_DENSITY, _ECHO_S = 1000.0, 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticRanges:
    """What curves are drawn from: (least, most) of each.

    `snr` is that of the baseline signal, `interval_s` that of frames; the artery arrives at
    `arrival_s`, and at least four frames after the start. `delay_s` is that of the tissue behind
    the artery. `artery` is "drawn" (random shapes with a second pass), "infused" (a steady
    infusion into three pools) or "published" (those of two populations, stretched); `residue` is
    a name of `RESIDUES`. `t10_error` is the factor by which native T1 is taken wrongly, `spikes`
    the share of frames that motion spoils.

    Raises:
        MetadataError: a range is empty, or a name is not known.
    """

    snr: tuple[float, float] = (2.0, 100.0)
    interval_s: tuple[float, float] = (1.5, 40.0)
    duration_s: tuple[float, float] = (240.0, 1000.0)
    arrival_s: tuple[float, float] = (15.0, 60.0)
    repetition_time_s: tuple[float, float] = (0.003, 0.008)
    flip_angle_deg: tuple[float, float] = (10.0, 25.0)
    t10_s: tuple[float, float] = (0.8, 2.0)
    ktrans: tuple[float, float] = (0.002, 0.6)
    ve: tuple[float, float] = (4.0, 60.0)
    vp: tuple[float, float] = (0.2, 12.0)
    delay_s: tuple[float, float] = (-1.0, 6.0)
    artery: str = "drawn"
    residue: str = "either"
    t10_error: tuple[float, float] = (1.0, 1.0)
    spikes: float = 0.0

    def __post_init__(self) -> None:
        held = [v for v in (getattr(self, n) for n in self.__slots__) if isinstance(v, tuple)]
        names = self.artery in ARTERIES and self.residue in RESIDUES
        if not names or any(low > high for low, high in held) or not 0 <= self.spikes < 1:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"ranges of curves that cannot be: {self}",
                mend=f"give (least, most), an artery of {ARTERIES} and a residue of {RESIDUES}",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KineticExam:
    """Voxels of one acquisition: `tissue` (n, t) and `arterial` (t,) [mM of plasma] at `seconds`.

    `truth` has (n,) of each of `KINETICS`; `snr` (n,) that of the baseline signal. A voxel of which
    noise left no concentration in some frame is not among them; `lost` counts those.
    """

    tissue: np.ndarray
    arterial: np.ndarray
    seconds: np.ndarray
    truth: MappingProxyType[str, np.ndarray]
    snr: np.ndarray
    lost: int


def simulate_kinetic_curves(
    exams: int, *, seed: int, voxels: int = 128, ranges: KineticRanges | None = None
) -> tuple[KineticExam, ...]:
    """Return acquisitions, each with its own times, artery, flip angle and voxels.

    The first exams are the same whatever the count.

    Args:
        exams: how many acquisitions.
        seed: decides everything.
        voxels: drawn in each.
        ranges: what is drawn from.

    Raises:
        MetadataError: fewer than one exam or voxel.

    Assumes:
        The artery is known without noise at the times of the frames, and nowhere else. Kinetics
        are independent of each other, which those of patients are not.

    Source:
        Signal: Ernst and Anderson, Rev Sci Instrum 1966;37:93. Noise: Rice's, on magnitudes.
        Plug flow: St Lawrence and Lee, J Cereb Blood Flow Metab 1998;18:1365.

    Example:
        >>> exam = simulate_kinetic_curves(1, seed=1, voxels=20)[0]
        >>> exam.tissue.shape[1] == len(exam.seconds), len(exam.tissue) + exam.lost
        (True, 20)
    """
    if min(exams, voxels) < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{exams} exams of {voxels} voxels",
            mend="ask for at least one of each",
        )
    chosen = ranges or KineticRanges()
    return tuple(
        _exam(stream(seed, "kinetic curves", str(n)), voxels, chosen) for n in range(exams)
    )


def _exam(random: np.random.Generator, voxels: int, ranges: KineticRanges) -> KineticExam:
    interval_s = float(_log_uniform(random, ranges.interval_s, 1)[0])
    duration_s = random.uniform(*ranges.duration_s)
    arrival_s = max(random.uniform(*ranges.arrival_s), _LEAST_FRAMES_BEFORE * interval_s)
    seconds = interval_s * (np.arange(int((duration_s + arrival_s) / interval_s)) + 0.5)
    fine_s = np.arange(0.0, seconds[-1] + 2 * _FINE_S, _FINE_S)
    artery = _artery(random, fine_s, arrival_s, ranges.artery)
    truth = _kinetics(random, voxels, ranges)
    clean = _clean(random, truth, artery, seconds, fine_s, ranges)
    sequence = SpoiledGradientEcho(
        repetition_time_s=random.uniform(*ranges.repetition_time_s),
        flip_angle_deg=random.uniform(*ranges.flip_angle_deg),
    )
    snr = _log_uniform(random, ranges.snr, voxels)
    held = _measured(
        random, clean, snr, sequence=sequence, ranges=ranges,
        baseline=slice(0, int(np.count_nonzero(seconds < arrival_s))),
    )  # fmt: skip
    kept = np.isfinite(held).all(axis=1)
    return KineticExam(
        tissue=read_only(held[kept]),
        arterial=read_only(np.interp(seconds, fine_s, artery)),
        seconds=read_only(seconds),
        truth=MappingProxyType({name: read_only(value[kept]) for name, value in truth.items()}),
        snr=read_only(snr[kept]),
        lost=int(np.count_nonzero(~kept)),
    )


def _kinetics(
    random: np.random.Generator, voxels: int, ranges: KineticRanges
) -> dict[str, np.ndarray]:
    ktrans = _log_uniform(random, ranges.ktrans, voxels)
    intact = random.random(voxels) < _INTACT
    ktrans[intact] = random.uniform(0.0, _INTACT_KTRANS, voxels)[intact]
    return {
        "ktrans": ktrans,
        "ve": random.uniform(*ranges.ve, voxels),
        "vp": _log_uniform(random, ranges.vp, voxels),
        "delay": random.uniform(*ranges.delay_s, voxels),
    }


def _log_uniform(
    random: np.random.Generator, limits: tuple[float, float], count: int
) -> np.ndarray:
    low, high = (float(np.log(x)) for x in limits)
    return np.asarray(np.exp(random.uniform(low, high, count)))


def _artery(
    random: np.random.Generator, fine_s: np.ndarray, arrival_s: float, kind: str
) -> np.ndarray:
    """Return plasma concentration [mM]: a first pass, its return, and what is washed out."""
    if kind == "published":
        stretch, height = random.uniform(0.8, 1.5), random.uniform(0.6, 1.2)
        source = (parker_aif, georgiou_aif)[int(random.integers(2))]
        since = (fine_s - arrival_s) / stretch
        return np.asarray(height * source(since, arrival_s=0.0) / (1 - _HAEMATOCRIT))
    since = np.maximum(fine_s - arrival_s, 0.0)
    if kind == "infused":
        return _infused(random, since)
    peak_s, order = random.uniform(4.0, 18.0), np.exp(random.uniform(0.0, 2.2))
    later_s = peak_s + random.uniform(8.0, 24.0)

    def pass_of(time_to_peak_s: float) -> np.ndarray:
        share = since / time_to_peak_s
        return np.asarray(share**order * np.exp(order * (1 - share)))

    fast, slow, part = (
        random.uniform(0.003, 0.03), random.uniform(0.0002, 0.003), random.uniform(0.3, 0.7)
    )  # fmt: skip
    washed = part * np.exp(-fast * since) + (1 - part) * np.exp(-slow * since)
    risen = random.uniform(0.08, 0.45) * (1 - np.exp(-since / random.uniform(3.0, 20.0))) * washed
    shape = pass_of(peak_s) + random.uniform(0.0, 0.4) * pass_of(later_s) + risen
    return np.asarray(random.uniform(2.0, 15.0) * shape)


def _infused(random: np.random.Generator, since: np.ndarray) -> np.ndarray:
    """Return plasma concentration [mM] of a steady infusion that three pools wash out."""
    length_s = random.uniform(4.0, 12.0)
    pools_s = random.uniform(2.0, 8.0), random.uniform(40.0, 200.0), random.uniform(800.0, 4000.0)
    shares = 1.0, random.uniform(0.1, 0.4), random.uniform(0.1, 0.4)
    shape = np.zeros_like(since)
    for pool_s, share in zip(pools_s, shares, strict=True):
        held = np.exp(-np.maximum(since - length_s, 0.0) / pool_s) - np.exp(-since / pool_s)
        shape += share * held / (1 - np.exp(-length_s / pool_s))
    return np.asarray(random.uniform(2.0, 12.0) * shape / shape.max())


def _clean(
    random: np.random.Generator,
    truth: dict[str, np.ndarray],
    artery: np.ndarray,
    seconds: np.ndarray,
    fine_s: np.ndarray,
    ranges: KineticRanges,
) -> np.ndarray:
    leak = 100 * truth["ktrans"]
    drawn = _log_uniform(random, _FLOW, len(leak))
    flow = np.maximum(drawn, 1.25 * leak)  # an extraction of 80 % at most
    instant = random.random(len(leak)) < 0.5
    if ranges.residue == "adiabatic":
        return _plug(truth, flow, artery, seconds, fine_s)
    given = truth | {"fp": flow, "ps": leak * flow / (flow - leak)}

    def curves(model: str) -> np.ndarray:
        return dce_curves(model, given, artery, seconds=seconds, arterial_seconds=fine_s)

    if ranges.residue != "either":
        return curves(ranges.residue)
    both = curves("extended_tofts"), curves("two_compartment_exchange")
    return np.where(instant[:, None], *both)


def _plug(
    truth: dict[str, np.ndarray],
    flow: np.ndarray,
    artery: np.ndarray,
    seconds: np.ndarray,
    fine_s: np.ndarray,
) -> np.ndarray:
    """Return curves of plasma that needs one transit time and only then meets what leaks."""
    transit_s = 60 * truth["vp"] / flow
    passed = [
        exchange_curves(
            artery, seconds=seconds, arterial_seconds=fine_s,
            rates_per_s=np.zeros(len(flow)), delays_s=delay,
        )
        for delay in (truth["delay"], truth["delay"] + transit_s)
    ]  # fmt: skip
    late = truth | {"delay": truth["delay"] + transit_s}
    leaked = dce_curves("tofts", late, artery, seconds=seconds, arterial_seconds=fine_s)
    return np.asarray(flow[:, None] / 6000 * (passed[0] - passed[1]) + leaked)


def _measured(
    random: np.random.Generator,
    clean: np.ndarray,
    snr: np.ndarray,
    *,
    sequence: SpoiledGradientEcho,
    ranges: KineticRanges,
    baseline: slice,
) -> np.ndarray:
    """Return concentrations (n, t) of noisy magnitudes, NaN where there is none."""
    relaxivity = random.uniform(3.3, 5.0)
    r10 = 1 / random.uniform(*ranges.t10_s, len(clean))
    signal = spgr_signal(
        r10[:, None] + relaxivity * clean, 0.0, proton_density=_DENSITY,
        repetition_time_s=sequence.repetition_time_s, echo_time_s=_ECHO_S,
        flip_angle_deg=sequence.flip_angle_deg,
    )  # fmt: skip
    sigma = signal[:, :1] / snr[:, None]
    real, imaginary = random.standard_normal((2, *signal.shape))
    noisy = np.hypot(signal + sigma * real, sigma * imaginary)
    struck = np.flatnonzero(random.random(clean.shape[1]) < ranges.spikes)
    noisy[:, struck] *= random.uniform(0.7, 1.3, (len(clean), len(struck)))
    wrong = random.uniform(*ranges.t10_error, len(clean))
    return concentration_curves(
        noisy, r10_per_s=r10 / wrong, sequence=sequence, r1_per_mmolar_s=relaxivity,
        baseline=baseline,
    ).values  # fmt: skip

"""DCE exams whose arterial curve was picked twice, with all that makes such a curve wrong.

No head is built. Two readers pick a few voxels of some artery and of the sagittal sinus in one
exam: fresh blood, decay until the echo, tissue in the voxel, slow frames, the way from the
carotid to the voxel, B1, and a T1 that is assumed or measured in flowing blood all take part. The
truth is the plasma curve at the carotid, which is what a perfect DSC curve on the scale of the
patient would be.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.quantify import concentration_curves, fit_flip_angles
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.simulate.aif_patient import AifPatient, TissueCurves, draw_patient
from bolus.simulate.curves import FIRST_PASSES, RESIDUES, capillary_concentration
from bolus.simulate.dce import DceProtocol
from bolus.simulate.dce_signal import blood_rates
from bolus.simulate.fleet import draw_scanners
from bolus.simulate.scanner import STEP_S, Injection, blood_concentration, native_at
from bolus.simulate.spgr import pulses_met, spgr_signal
from bolus.simulate.tissues import BLOOD

PICKS = 2
_SHAPE = (96, 96, 24)
_PATH_MM = (60.0, 140.0)
"""Within excited tissue, from the carotid to branches in the cortex, as in `dce_curves`."""
_INLET_MM = (0.0, 200.0)
"""What the slab of a scanner adds to every path: thickness, oversampling, place; set by us."""
_TRIED = 3
"""Places that a reader looks at before the tallest curve is taken; set by us."""
_SPEED_MM_PER_S = (300.0, 500.0)
_VOXELS = (1, 8)
_ARTERY_SHARE, _SINUS_SHARE = (0.35, 1.0), (0.75, 1.0)
_B1, _B1_SITE = (0.85, 1.15), 0.03
_DELAY_S, _DISPERSION_S = (0.0, 0.8), (0.0, 1.5)
_MOVED, _STEP = 0.4, 0.08
_ASSUMED_T1_S = {1.5: 1.48, 3.0: 1.65}
_T1_SPREAD = 0.08
_T1_RANGE_S = (0.2, 4.0)
_FRAME_S, _LENGTH_S = (1.5, 8.0), (180.0, 360.0)
_ECHO_S, _REPETITION_S = (0.001, 0.0025), (0.003, 0.007)
_FLIP_DEG, _INJECTION_S = (10.0, 12.0, 15.0, 20.0, 25.0, 30.0), (3.0, 8.0)
_DOSES = (0.05, 0.1, 0.1, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AifScanner:
    """A scanner with its DCE protocol, noise and habits.

    `assumes_t1`: T1 of blood is taken from a book, not measured. `inlet_mm` is how far blood has
    come within the slab before the lowest place of any artery.
    """

    name: str
    protocol: DceProtocol
    snr: float
    drift_percent: float
    inlet_mm: float
    assumes_t1: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AifPair:
    """One simulated exam, two picks of its arterial and venous curve, and the truth.

    `artery`, `vein` (2, t): concentration in whole blood [mM] as measured, on the frames of
    `protocol`. `plasma` (f,) is the truth in arterial plasma [mM] at `fine_s` (f,) [s], which goes
    on after the scan. `tissue` holds curves of tumour and of normal brain.
    """

    subject: str
    site: str
    protocol: DceProtocol
    artery: np.ndarray
    vein: np.ndarray
    plasma: np.ndarray
    fine_s: np.ndarray
    haematocrit: float
    tissue: TissueCurves

    @property
    def seconds(self) -> np.ndarray:
        """Times (t,) [s] of the frames."""
        return np.asarray(self.protocol.time.seconds)


def draw_aif_scanners(count: int, *, seed: int) -> tuple[AifScanner, ...]:
    """Draw scanners whose DCE protocols differ more than those of one trial.

    Frames of 1.5 to 8 s, 3 to 6 minutes, echo times of 1 to 2.5 ms, repetition times of 3 to 7 ms,
    flip angles of 10 to 30 degrees; half of the sites assume T1 of blood, half measure it.

    Args:
        count: how many.
        seed: of the fleet.

    Source:
        Ranges set by us around the protocols of the OSIPI and QIBA surveys of DCE.

    Example:
        >>> [scanner.name for scanner in draw_aif_scanners(2, seed=1)]
        ['scanner-01', 'scanner-02']
    """
    found = []
    for scanner in draw_scanners(count, seed=seed, shape=_SHAPE):
        random = stream(seed, "aif pairs", scanner.name)
        frame_s = float(np.round(np.exp(random.uniform(*np.log(_FRAME_S))), 2))
        protocol = replace(
            scanner.dce,
            frame_s=frame_s,
            frames=int(random.uniform(*_LENGTH_S) / frame_s),
            echo_time_s=float(np.round(random.uniform(*_ECHO_S), 5)),
            repetition_time_s=float(np.round(random.uniform(*_REPETITION_S), 5)),
            flip_angle_deg=float(random.choice(_FLIP_DEG)),
            injection_s=float(np.round(random.uniform(*_INJECTION_S), 1)),
            injection_start_s=float(np.round(max(15.0, 2.2 * frame_s), 1)),
            dose_mmol_per_kg=float(random.choice(_DOSES)),
        )
        found.append(
            AifScanner(
                name=scanner.name,
                protocol=protocol,
                snr=scanner.disturbances.snr,
                drift_percent=scanner.disturbances.drift_percent,
                inlet_mm=float(np.round(random.uniform(*_INLET_MM))),
                assumes_t1=bool(random.random() < 0.5),
            )
        )
    return tuple(found)


def simulate_aif_pairs(
    patients: int,
    *,
    seed: int,
    scanners: Sequence[AifScanner],
    voxels: int = 0,
    family: str = "gamma variate",
    residue: str = "gamma",
) -> tuple[AifPair, ...]:
    """Return exams with two picks of the arterial curve each, dealt to scanners in turn.

    The first patients are the same whatever the count.

    Args:
        patients: how many.
        seed: decides patients and picks.
        scanners: from `draw_aif_scanners`.
        voxels: of living tumour with curves and known Ktrans; 0 for none.
        family: of the first pass, a key of `FIRST_PASSES`.
        residue: of the tissue, a key of `RESIDUES`.

    Raises:
        MetadataError: there is no patient or scanner, or no such family or residue.

    Source:
        Physics: `spgr`, `dce_signal`, `curves`; patients: `profile`.

    Example:
        >>> pair = simulate_aif_pairs(1, seed=1, scanners=draw_aif_scanners(1, seed=1))[0]
        >>> pair.artery.shape == (2, pair.protocol.frames), pair.site
        (True, 'scanner-01')
    """
    if patients < 1 or not scanners or family not in FIRST_PASSES or residue not in RESIDUES:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{patients} patients, {len(scanners)} scanners, {family!r}, {residue!r}",
            mend=f"ask for at least one of each, one of {sorted(FIRST_PASSES)} and of "
            f"{sorted(RESIDUES)}",
        )
    found = []
    for number in range(patients):
        scanner = scanners[number % len(scanners)]
        patient = draw_patient(
            seed, number, protocol=scanner.protocol, family=family, residue=residue
        )
        found.append(_pair(patient, scanner, subject=f"a{seed}n{number:05d}", voxels=voxels))
    return tuple(found)


def _pair(patient: AifPatient, scanner: AifScanner, *, subject: str, voxels: int) -> AifPair:
    """Scan one patient once, and pick twice."""
    protocol, injection = scanner.protocol, patient.injection
    random = stream(patient.settings.seed, "aif pairs", "exam")
    grey = patient.grey_signal()
    sigma = patient.white_level() / (scanner.snr * float(np.exp(0.2 * random.standard_normal())))
    slow = 1 + scanner.drift_percent / 100 * np.linspace(0, 1, protocol.frames)
    exam = _Exam(
        patient=patient,
        grey=grey,
        sigma=sigma,
        slow=slow,
        b1=float(random.uniform(*_B1)),
        inlet_mm=scanner.inlet_mm,
        speed_mm_per_s=float(random.uniform(*_SPEED_MM_PER_S)),
        assumed_t1_s=_assumed(scanner, random),
    )
    artery, vein = [], []
    for pick in range(PICKS):
        own = stream(patient.settings.seed, "aif pairs", "pick", str(pick))
        tried = [_picked(exam, own, venous=False) for _ in range(_TRIED)]
        artery.append(max(tried, key=lambda curve: float(curve.max())))
        vein.append(_picked(exam, own, venous=True))
    return AifPair(
        subject=subject,
        site=scanner.name,
        protocol=protocol,
        artery=read_only(np.array(artery)),
        vein=read_only(np.array(vein)),
        plasma=read_only(injection.arterial),
        fine_s=read_only(STEP_S * np.arange(len(injection.arterial))),
        haematocrit=injection.bolus.haematocrit,
        tissue=patient.tissue_curves(voxels, sigma=sigma),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Exam:
    """What both picks of an exam share; `grey` and `slow` are (1 + angles..., t)-like curves."""

    patient: AifPatient
    grey: tuple[np.ndarray, np.ndarray]
    sigma: float
    slow: np.ndarray
    b1: float
    inlet_mm: float
    speed_mm_per_s: float
    assumed_t1_s: float | None


def _assumed(scanner: AifScanner, random: np.random.Generator) -> float | None:
    spread = float(np.exp(_T1_SPREAD * random.standard_normal()))
    return _ASSUMED_T1_S[scanner.protocol.field_strength_t] * spread if scanner.assumes_t1 else None


def _picked(exam: _Exam, random: np.random.Generator, *, venous: bool) -> np.ndarray:
    """Return the concentration [mM] that one pick of one vessel gives, frame by frame."""
    protocol = exam.patient.protocol
    count = int(random.integers(_VOXELS[0], _VOXELS[1] + 1))
    series, angles = _vessel_signal(exam, random, venous=venous)
    share = random.uniform(*(_SINUS_SHARE if venous else _ARTERY_SHARE), count)
    kept = share[:, None] * _moving(protocol.frames, random)
    grey_series, grey_angles = exam.grey
    noise = exam.sigma * random.standard_normal((count, protocol.frames + len(protocol.vfa_deg)))
    seen = (kept * series + (1 - kept) * grey_series) * exam.slow + noise[:, : protocol.frames]
    before = share[:, None] * angles + (1 - share[:, None]) * grey_angles
    before = np.abs(before + noise[:, protocol.frames :]).mean(axis=0)
    return _as_measured(exam, np.abs(seen).mean(axis=0), before)


def _vessel_signal(
    exam: _Exam, random: np.random.Generator, *, venous: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return series (t,) and flip-angle images (angles,) of pure blood at one site."""
    protocol, patient = exam.patient.protocol, exam.patient
    path_mm = exam.inlet_mm + random.uniform(*_PATH_MM)
    delay_s, spread_s = random.uniform(*_DELAY_S), random.uniform(*_DISPERSION_S)
    b1 = exam.b1 * float(np.exp(_B1_SITE * random.standard_normal()))
    pulses = np.inf
    injection = patient.injection
    if not venous:
        injection = _dispersed(injection, spread_s)
        pulses = float(
            pulses_met(
                np.asarray(path_mm),
                speed_mm_per_s=exam.speed_mm_per_s,
                repetition_time_s=protocol.repetition_time_s,
            )
        )
    held = blood_concentration(
        injection, frames_s=protocol.time.seconds, delay_s=np.array([delay_s]), venous=venous
    )[0]
    field = protocol.field_strength_t
    r1, r2s = blood_rates(held, relaxivities=patient.relaxivities, field_strength_t=field)
    native = native_at(BLOOD, field)

    def signal(rate: np.ndarray, decay: np.ndarray, degrees: np.ndarray) -> np.ndarray:
        return spgr_signal(
            rate, decay, proton_density=native.proton_density,
            repetition_time_s=protocol.repetition_time_s, echo_time_s=protocol.echo_time_s,
            flip_angle_deg=b1 * degrees, pulses=pulses,
        )  # fmt: skip

    angles = np.array(protocol.vfa_deg)
    before = signal(np.full(len(angles), 1 / native.t1_s), np.array(1 / native.t2s_s), angles)
    return signal(r1, r2s, np.array(protocol.flip_angle_deg)), before


def _dispersed(injection: Injection, spread_s: float) -> Injection:
    if spread_s < STEP_S:
        return injection
    wide = capillary_concentration(
        injection.first_pass, step_s=STEP_S, mtt_s=np.array([spread_s]), family="exponential"
    )[0]
    return replace(injection, first_pass=wide)


def _moving(frames: int, random: np.random.Generator) -> np.ndarray:
    """Return by how much of its artery a pick is left with in each frame: heads move in steps."""
    kept = np.ones(frames)
    moves, size, when = random.random() < _MOVED, random.standard_normal(), random.random()
    if moves:
        kept[int(when * frames) :] -= min(abs(_STEP * size), 0.5)
    return kept


def _as_measured(exam: _Exam, series: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return concentration from the mean signal of a pick; what no concentration gives is filled.

    Nobody knows B1, inflow or the share of blood here: the nominal angle and the steady state are
    taken for granted.
    """
    protocol = exam.patient.protocol
    t1_s = exam.assumed_t1_s
    if t1_s is None:
        fitted = fit_flip_angles(
            before[None], flip_angles_deg=protocol.vfa_deg,
            repetition_time_s=protocol.repetition_time_s,
        ).t1_s[0]  # fmt: skip
        known = np.nan_to_num(fitted, nan=_ASSUMED_T1_S[protocol.field_strength_t])
        t1_s = float(np.clip(known, *_T1_RANGE_S))
    held = concentration_curves(
        series[None],
        r10_per_s=np.array([1 / t1_s]),
        sequence=SpoiledGradientEcho(
            repetition_time_s=protocol.repetition_time_s, flip_angle_deg=protocol.flip_angle_deg
        ),
        r1_per_mmolar_s=exam.patient.relaxivities.r1,
        baseline=slice(0, exam.patient.baseline_frames),
    ).values[0]
    finite = np.isfinite(held)
    if not finite.any():
        return np.zeros(len(held))
    return np.asarray(np.interp(np.arange(len(held)), np.flatnonzero(finite), held[finite]))

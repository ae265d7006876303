"""A cohort of DCE exams as curves, tumour and normal voxels of which Ktrans is known.

No head is built: voxels are drawn as in `curve_cohort`, and the physics is that of `simulate_dce`,
with partial volume of two tissues, B1, inflow, noise and drift, without motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.errors import Code, MetadataError
from bolus.simulate.curve_voxels import ExamVoxels, lay_exam
from bolus.simulate.dce import DceProtocol, dce_injection
from bolus.simulate.dce_signal import compartments
from bolus.simulate.disturbances import drift
from bolus.simulate.fast_kernels import add_rician
from bolus.simulate.fast_mixture import Parts, together
from bolus.simulate.fleet import Scanner, choose_scanner, draw_scanners
from bolus.simulate.patient import PatientSettings
from bolus.simulate.phantom import Phantom, TissueVoxels
from bolus.simulate.profile import PatientProfile, draw_profile
from bolus.simulate.scanner import STEP_S
from bolus.simulate.spgr import pulses_met, spgr_signal
from bolus.simulate.tissues import TISSUES

_SHAPE = (96, 96, 24)
"""Matrix that the scanners are drawn with; it has no part in curves."""
_ARTERIES = 12
_SNR_SPREAD, _GAIN_SPREAD = 0.2, 0.1
_BRIGHTNESS = 20000.0
_B1 = (0.85, 1.15)
_FIELDS = tuple(field.name for field in fields(Parts))
_INLET_MM, _SPEED_MM_PER_S = (60.0, 140.0), 400.0
"""Path of arterial blood within excited tissue, and its speed, as in `dce`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceCurveExam:
    """Curves of one simulated DCE exam, and the truth.

    `signal` (n, t) float32 [a.u.]; `vfa` (n, angles) the images of several flip angles before the
    agent. `tumour` and `artery` (n,) say which voxels are tumour and which hold an artery; all
    others are normal. `ktrans_per_min` (n,) is the truth, NaN with an artery. `plasma` (t,) is the
    true concentration in arterial plasma [mM]. `idh` is "mutant" or "wildtype".
    """

    subject: str
    site: str
    idh: str
    protocol: DceProtocol
    signal: np.ndarray
    vfa: np.ndarray
    tumour: np.ndarray
    artery: np.ndarray
    ktrans_per_min: np.ndarray
    plasma: np.ndarray

    @property
    def normal(self) -> np.ndarray:
        """Voxels (n,) outside of the tumour, with those of arteries."""
        return ~self.tumour


def simulate_dce_curves(
    patients: int,
    *,
    seed: int,
    scanners: Sequence[Scanner] | int = 4,
    tumour: int = 300,
    normal: int = 300,
) -> tuple[DceCurveExam, ...]:
    """Return untreated gliomas, one DCE exam each, dealt to scanners in turn.

    The first patients are the same whatever the count. Subjects of another seed have other names.

    Args:
        patients: how many.
        seed: decides patients, their exams, and scanners that are not given.
        scanners: the scanners, or how many to draw by `draw_scanners` with this seed.
        tumour: voxels of the whole tumour in every exam.
        normal: voxels of normal brain, two thirds of them white matter.

    Raises:
        MetadataError: fewer than one patient or scanner, or fewer than 30 voxels of a kind.

    Source:
        Patients: `effects.EFFECTS`. Voxels: `curve_voxels`. Physics: `dce_signal`, `spgr`.

    Example:
        >>> exam = simulate_dce_curves(1, seed=1, scanners=1, tumour=30, normal=30)[0]
        >>> exam.signal.shape, int(exam.tumour.sum())
        ((72, 60), 30)
    """
    if isinstance(scanners, int):
        fleet = draw_scanners(scanners, seed=seed, shape=_SHAPE)
    else:
        fleet = tuple(scanners)
    if patients < 1 or not fleet or min(tumour, normal) < 30:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{patients} patients, {len(fleet)} scanners, {tumour} and {normal} voxels",
            mend="ask for at least one patient and scanner, and 30 voxels of each kind",
        )
    return tuple(
        _exam(
            draw_profile(seed, number),
            choose_scanner(fleet, seed=seed, patient=number + 1, visit=0),
            subject=f"d{seed}n{number:04d}",
            tumour=tumour,
            normal=normal,
        )
        for number in range(patients)
    )


def _exam(
    profile: PatientProfile, scanner: Scanner, *, subject: str, tumour: int, normal: int
) -> DceCurveExam:
    """Scan one patient once."""
    settings = PatientSettings(
        seed=profile.seed,
        protocol=scanner.dsc,
        physiology=profile.physiology,
        disturbances=scanner.disturbances,
        glioma=profile.glioma,
        tissues=profile.tissues,
    )
    white = 2 * normal // 3
    laid = lay_exam(settings, tumour=tumour, white=white, grey=normal - white, arteries=_ARTERIES)
    signal, vfa, plasma = _scanned(settings, laid, scanner)
    place = np.arange(len(signal))
    return DceCurveExam(
        subject=subject,
        site=scanner.name,
        idh=profile.genotype.idh,
        protocol=scanner.dce,
        signal=read_only(signal),
        vfa=read_only(vfa),
        tumour=read_only(place < tumour),
        artery=read_only(place >= laid.artery.start),
        ktrans_per_min=together(*laid.parts)["ktrans_per_min"],
        plasma=read_only(plasma),
    )


def _scanned(
    settings: PatientSettings, laid: ExamVoxels, scanner: Scanner
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return series, flip-angle images and the true plasma curve, with gain, drift and noise."""
    protocol = scanner.dce
    random = stream(settings.seed, "dce curves", "scan")
    snr = scanner.disturbances.snr * float(np.exp(_SNR_SPREAD * random.standard_normal()))
    gain = scanner.gain * float(np.exp(_GAIN_SPREAD * random.standard_normal())) * _BRIGHTNESS
    injection = dce_injection(settings, protocol)
    clean, angles = _clean(settings, laid, protocol)
    slow = drift(protocol.frames, seed=settings.seed, percent=scanner.disturbances.drift_percent)
    sigma = gain * float(clean[laid.white, 0].mean()) / snr
    noisy = []
    for name, values in (("series", gain * clean * slow), ("angles", gain * angles)):
        signal = np.ascontiguousarray(values, np.float32)
        noise = int(stream(settings.seed, "dce curves", name).integers(2**62))
        add_rician(signal, np.full(len(signal), sigma), 0, noise)
        noisy.append(signal)
    fine_s = STEP_S * np.arange(len(injection.arterial))
    plasma = np.interp(protocol.time.seconds, fine_s, injection.arterial)
    return noisy[0], noisy[1], plasma


def _clean(
    settings: PatientSettings, laid: ExamVoxels, protocol: DceProtocol
) -> tuple[np.ndarray, np.ndarray]:
    """Return series (n, t) and flip-angle images (n, angles) of all voxels, without noise."""
    count = len(laid.parts[0].share)
    random = stream(settings.seed, "dce curves", "field")
    b1 = random.uniform(*_B1, count)
    pulses = pulses_met(
        random.uniform(*_INLET_MM, count), speed_mm_per_s=_SPEED_MM_PER_S,
        repetition_time_s=protocol.repetition_time_s,
    )  # fmt: skip
    both = Parts(
        **{name: np.concatenate([getattr(p, name) for p in laid.parts]) for name in _FIELDS}
    )
    series = np.zeros((2 * count, protocol.frames))
    angles = np.zeros((2 * count, len(protocol.vfa_deg)))
    for piece in compartments(
        _column(both, settings), dce_injection(settings, protocol), settings,
        frames_s=protocol.time.seconds, field_strength_t=protocol.field_strength_t,
        arterial_pulses=np.tile(pulses, 2),
    ):  # fmt: skip
        where = piece.voxels
        for into, columns, angles_deg in (
            (series, slice(1, None), (protocol.flip_angle_deg,)),
            (angles, slice(0, 1), protocol.vfa_deg),
        ):
            into[where] += piece.share[:, None] * spgr_signal(
                piece.r1_per_s[:, columns],
                piece.r2s_per_s[:, columns],
                proton_density=piece.density,
                repetition_time_s=protocol.repetition_time_s,
                echo_time_s=protocol.echo_time_s,
                flip_angle_deg=b1[where % count, None] * np.array(angles_deg)[None],
                pulses=piece.pulses[:, None],
            )
    return series[:count] + series[count:], angles[:count] + angles[count:]


def _column(part: Parts, settings: PatientSettings) -> Phantom:
    """Return one part of every voxel as a phantom of one column, for the physics of heads."""
    grid = Grid(shape=(len(part.share), 1, 1), affine=np.eye(4))
    every = Mask(values=np.ones(grid.shape, bool), grid=grid, name="voxels")
    nothing = LabelMap(values=np.zeros(grid.shape, np.uint8), grid=grid, names={})
    tissues = {}
    for number, name in enumerate(TISSUES):
        own = np.flatnonzero((part.tissue == number) & (part.share > 0))
        tissues[name] = TissueVoxels(
            voxels=own, share=part.share[own], cbv=part.cbv[own], mtt_s=part.mtt_s[own],
            delay_s=part.delay_s[own], ktrans_per_min=part.ktrans_per_min[own], ve=part.ve[own],
        )  # fmt: skip
    blood = [np.where(part.tissue == len(TISSUES) + n, part.share, 0.0) for n in (0, 1)]
    return Phantom(
        grid=grid, present=every, brain=every, reference=every, tissues=tissues,
        models=settings.tissues, artery=blood[0], vein=blood[1], vessel_delay_s=part.delay_s,
        labels=nothing, tumour=nothing, habitats=nothing, truth=MapSet(maps={}),
        anatomy=np.zeros(grid.shape),
    )  # fmt: skip

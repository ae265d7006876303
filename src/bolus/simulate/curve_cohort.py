"""A cohort of DSC exams as networks read them: curves of whole tumours from several scanners.

No head is built: a voxel holds two tissues, drawn in the volumes that the patient's glioma has of
each. Who the patients are is `profile`, what scanners do is `fleet`, the physics is `fast`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bolus.core.cohort import SessionKey
from bolus.core.exam_curves import CURVE_REGIONS, CurveCohort, CurveExam
from bolus.core.randomness import stream
from bolus.core.timing import TimeAxis
from bolus.errors import Code, MetadataError
from bolus.simulate.curve_measure import measured_ncbv
from bolus.simulate.curve_voxels import ExamVoxels, lay_exam, tumour_volumes_ml
from bolus.simulate.dce import DCE_PROTOCOLS
from bolus.simulate.disturbances import drift
from bolus.simulate.fast import patient_signal
from bolus.simulate.fast_kernels import add_rician
from bolus.simulate.fleet import Scanner, choose_scanner, draw_scanners
from bolus.simulate.patient import Disturbances, PatientSettings
from bolus.simulate.profile import PatientProfile, draw_profile
from bolus.simulate.protocol import DscProtocol

_SHAPE = (128, 128, 24)
"""Matrix that the scanners are drawn with; it has no part in curves."""
_WHITE, _GREY, _ARTERIES = 150, 100, 12
"""Voxels of normal white and grey matter and of arteries in every exam."""
_SNR_SPREAD = 0.2
"""Standard deviation of ln(SNR) between exams of one scanner; set by us."""
_GAIN_SPREAD = 0.1
_BRIGHTNESS = 2000.0
_FEWEST = 4
_LEAST_ML = 0.3
"""A region of fewer voxels or less volume than this is not drawn by a reader; set by us."""


def simulate_curve_cohort(
    patients: int,
    *,
    seed: int,
    scanners: Sequence[Scanner] | int = 4,
    voxels: int = 400,
    missing: float = 0.05,
) -> CurveCohort:
    """Return untreated gliomas, one DSC exam each, dealt to scanners in turn.

    The first patients are the same whatever the count. Subjects of another seed have other names.

    Args:
        patients: how many.
        seed: decides patients, their exams, and scanners that are not given.
        scanners: the scanners, or how many to draw by `draw_scanners` with this seed.
        voxels: of the tumour in every exam, at least 50.
        missing: probability that a part of the tumour is not segmented, that no artery is found,
            and that a label is not known, each by itself. nCBV, age and sex are always there, so
            that what they tell is not held back.

    Raises:
        MetadataError: fewer than one patient or scanner, fewer than 50 voxels, or a probability
            outside 0 to 1.

    Source:
        Patients: `effects.EFFECTS`. Voxels: `curve_voxels`. docs/explanation/curve_cohort.md says
        how far the curves are from published ones.

    Example:
        >>> cohort = simulate_curve_cohort(2, seed=1, scanners=2, voxels=60)
        >>> [exam.key.subject for exam in cohort.exams], cohort.sites
        (['s1n0000', 's1n0001'], ('scanner-01', 'scanner-02'))
        >>> cohort.exams[0].voxels.shape[0], sorted(cohort.exams[1].labels)
        (60, ['codeleted', 'grade', 'idh'])
    """
    if patients < 1 or voxels < 50 or not 0 <= missing <= 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{patients} patients, {voxels} voxels, {missing:g} missing",
            mend="ask for at least one patient of 50 voxels, and a probability between 0 and 1",
        )
    if isinstance(scanners, int):
        fleet = draw_scanners(scanners, seed=seed, shape=_SHAPE)
    else:
        fleet = tuple(scanners)
    if not fleet:
        raise MetadataError(
            Code.ARGUMENT_INVALID, "there is no scanner", mend="give at least one scanner"
        )
    return CurveCohort(
        exams=tuple(
            _exam(
                draw_profile(seed, number),
                choose_scanner(fleet, seed=seed, patient=number + 1, visit=0),
                subject=f"s{seed}n{number:04d}",
                voxels=voxels,
                missing=missing,
            )
            for number in range(patients)
        )
    )


def held_out_scanner() -> Scanner:
    """Return a scanner that no fleet of `draw_scanners` contains, for a test that training missed.

    Repetition time 2.0 s (fleet: 1.25 to 1.8), echo time 25 ms (28 to 45), white matter's
    signal-to-noise ratio 40 (50 to 110, 35 to 78 at 1.5 T), flip angle 70 degrees (not among the
    fleet's), 48 frames.

    Source:
        Set by us, outside the fleet and inside what clinical protocols span.

    Example:
        >>> held_out_scanner().dsc.echo_times_s
        (0.025,)
    """
    dsc = DscProtocol(
        echo_times_s=(0.025,),
        repetition_time_s=2.0,
        flip_angle_deg=70.0,
        field_strength_t=3.0,
        frames=48,
        dose_mmol_per_kg=0.1,
        preload_mmol_per_kg=0.05,
        preload_minutes=6.0,
        injection_s=10.0,
        injection_rate_ml_per_s=4.0,
    )
    return Scanner(
        name="scanner-held-out",
        vendor="E",
        dsc=dsc,
        dce=DCE_PROTOCOLS["spgr_3t"],
        disturbances=Disturbances(snr=40.0, drift_percent=-0.5),
        gain=4.0,
        distortion_mm=2.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scan:
    """Curves of all voxels of an exam as the scanner writes them, and what the voxels are."""

    laid: ExamVoxels
    signal: np.ndarray
    tumour_ml: float


def _exam(
    profile: PatientProfile, scanner: Scanner, *, subject: str, voxels: int, missing: float
) -> CurveExam:
    """Scan one patient once."""
    scan = _scan(profile, scanner, voxels)
    protocol, laid = scanner.dsc, scan.laid
    time = TimeAxis.regular(protocol.frames, step_s=protocol.repetition_time_s)
    acquisition = protocol.acquisition(0)
    random = stream(profile.seed, "curve cohort", "missing")
    lost = random.random(len(CURVE_REGIONS) + 3) < missing
    return CurveExam(
        key=SessionKey(subject),
        site=scanner.name,
        time=time,
        acquisition=acquisition,
        regions=_regions(scan, lost),
        voxels=scan.signal[laid.tumour],
        reference=scan.signal[laid.white].mean(axis=0, dtype=np.float64),
        ncbv=measured_ncbv(
            scan.signal, solid=np.flatnonzero(laid.solid), white=laid.white, brain=laid.brain,
            time=time, acquisition=acquisition,
        ),
        age_years=float(profile.age_years),
        sex=profile.sex,
        labels=_labels(profile, lost[len(CURVE_REGIONS) :]),
        tissue=laid.tissue,
    )  # fmt: skip


def _scan(profile: PatientProfile, scanner: Scanner, voxels: int) -> _Scan:
    """Return every voxel's curve with gain, drift and noise."""
    random = stream(profile.seed, "curve cohort", "scan")
    snr = scanner.disturbances.snr * float(np.exp(_SNR_SPREAD * random.standard_normal()))
    gain = scanner.gain * float(np.exp(_GAIN_SPREAD * random.standard_normal())) * _BRIGHTNESS
    settings = PatientSettings(
        seed=profile.seed,
        protocol=scanner.dsc,
        physiology=profile.physiology,
        disturbances=replace(scanner.disturbances, snr=snr),
        glioma=profile.glioma,
        tissues=profile.tissues,
    )
    laid = lay_exam(settings, tumour=voxels, white=_WHITE, grey=_GREY, arteries=_ARTERIES)
    clean, white = patient_signal(settings, laid.parts)
    slow = drift(scanner.dsc.frames, seed=profile.seed, percent=scanner.disturbances.drift_percent)
    signal = np.asarray(gain * clean * slow, np.float32)
    noise = int(stream(profile.seed, "curve cohort", "noise").integers(2**62))
    add_rician(signal, np.full(len(signal), gain * white / snr), 0, noise)
    volume = sum(tumour_volumes_ml(profile.glioma).values())
    return _Scan(laid=laid, signal=signal, tumour_ml=volume)


def _regions(scan: _Scan, lost: np.ndarray) -> np.ndarray:
    """Return mean curves, NaN for what is missing or too small to be drawn."""
    laid, signal = scan.laid, scan.signal[scan.laid.tumour]
    where = {
        "enhancing": laid.enhancing,
        "nonenhancing": laid.core & ~laid.enhancing,
        "oedema": ~laid.core,
    }
    least = max(_FEWEST, _LEAST_ML / scan.tumour_ml * len(signal))
    rows = np.full((len(CURVE_REGIONS), signal.shape[1]), np.nan)
    for row, name in enumerate(CURVE_REGIONS):
        if name == "whole":
            rows[row] = signal.mean(axis=0, dtype=np.float64)
        elif lost[row]:
            continue
        elif name == "aif":
            rows[row] = scan.signal[laid.artery].mean(axis=0, dtype=np.float64)
        elif np.count_nonzero(where[name]) >= least:
            rows[row] = signal[where[name]].mean(axis=0, dtype=np.float64)
    return rows


def _labels(profile: PatientProfile, lost: np.ndarray) -> Mapping[str, str]:
    """Return what is known of the genotype."""
    genotype = profile.genotype
    labels = {
        "idh": genotype.idh,
        "codeleted": "yes" if genotype.codeleted else "no",
        "grade": str(genotype.grade),
    }
    return MappingProxyType(
        {name: value for (name, value), gone in zip(labels.items(), lost, strict=True) if not gone}
    )

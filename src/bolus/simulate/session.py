"""One visit of one patient to one scanner: DSC, DCE, diffusion and structural images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.randomness import stream
from bolus.core.series import PerfusionSeries
from bolus.simulate.course import Visit
from bolus.simulate.dce import SimulatedDce, simulate_dce
from bolus.simulate.diffusion import SimulatedDiffusion, simulate_diffusion
from bolus.simulate.distortion import displacement_mm, distort
from bolus.simulate.disturbances import add_rician_noise
from bolus.simulate.fleet import Scanner
from bolus.simulate.patient import PatientSettings, SimulatedPatient, simulate_patient
from bolus.simulate.phantom import HeadPose, scan_grid
from bolus.simulate.profile import PatientProfile
from bolus.simulate.structural import simulate_structural

_SCANS_A_VISIT = 100
_BASELINE_FRAME = 5
_TURN_DEG = (4.0, 1.5, 2.0)
_SHIFT_MM = (1.5, 3.0, 3.0)
_BRIGHTEST = 32767.0
_DIFFUSION_B_S_PER_MM2 = 1000.0
_STRUCTURAL_SLICE_MM = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedSession:
    """What one visit gives. Images are whole numbers, as scanners store them.

    Truth and regions (`dsc.truth`, `dsc.tumour`, ...) are of the undistorted head; DSC and
    diffusion images are distorted, DCE and structural ones are not. Diffusion lies on the grid
    of the DSC series, structural images on `structural_grid`.
    """

    profile: PatientProfile
    visit: Visit
    scanner: Scanner
    scan: int
    dsc: SimulatedPatient
    dce: SimulatedDce | None
    diffusion: SimulatedDiffusion
    structural: Mapping[str, np.ndarray]
    structural_grid: Grid


def simulate_session(
    profile: PatientProfile, visit: Visit, scanner: Scanner, *, scan: int = 0, dce: bool = True
) -> SimulatedSession:
    """Simulate one visit.

    Args:
        profile: the patient.
        visit: what the tumour is like that day.
        scanner: protocols, noise, motion, gain and distortion.
        scan: 1 for a second scan of the same visit: same tumour, other position, noise, drift,
            coil and motion.
        dce: also simulate the DCE series.

    Source:
        docs/explanation/simulator.md.
    """
    settings = session_settings(profile, visit, scanner, scan=scan)
    dynamic = simulate_dce(settings, scanner.dce) if dce else None
    grid = structural_grid(scanner)
    return SimulatedSession(
        profile=profile,
        visit=visit,
        scanner=scanner,
        scan=scan,
        dsc=_dsc(settings, scanner),
        dce=None if dynamic is None else _stored_dce(dynamic, scanner),
        diffusion=_diffusion(settings, scanner),
        structural={
            name: _stored(values, scanner)
            for name, values in simulate_structural(settings, grid).items()
        },
        structural_grid=grid,
    )


def session_settings(
    profile: PatientProfile, visit: Visit, scanner: Scanner, *, scan: int = 0
) -> PatientSettings:
    """Return what a patient is at a visit: the tumour of that day, another position, other noise.

    The head keeps its size; how it lies is drawn anew for each scan: rotations of 4, 1.5 and 2
    degrees about x, y and z and shifts of 1.5, 3 and 3 mm (standard deviations, set by us).

    Args:
        profile: the patient.
        visit: which one.
        scanner: where.
        scan: 0, or 1 for a repeated scan.
    """
    own = PatientSettings(seed=profile.seed).head_pose
    random = stream(profile.seed, "session", str(visit.number), str(scan), "pose")
    turn, shift = random.normal(0.0, _TURN_DEG), random.normal(0.0, _SHIFT_MM)
    return PatientSettings(
        seed=profile.seed,
        scan=_SCANS_A_VISIT * visit.number + scan,
        protocol=scanner.dsc,
        physiology=profile.physiology,
        disturbances=scanner.disturbances,
        glioma=visit.glioma,
        tissues=visit.tissues,
        pose=HeadPose(
            rotation_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
            shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
            scale=own.scale,
        ),
    )


def structural_grid(scanner: Scanner) -> Grid:
    """Return the grid of a scanner's structural images: that of its DSC, with thinner slices."""
    protocol = scanner.dsc
    thick = protocol.voxel_mm[2]
    parts = max(1, round(thick / _STRUCTURAL_SLICE_MM))
    return scan_grid(
        shape=(protocol.shape[0], protocol.shape[1], protocol.shape[2] * parts),
        voxel_mm=(protocol.voxel_mm[0], protocol.voxel_mm[1], thick / parts),
        orientation=protocol.orientation,
    )


def _dsc(settings: PatientSettings, scanner: Scanner) -> SimulatedPatient:
    """Simulate DSC; distortion comes before noise, as the scanner has it."""
    if not scanner.distortion_mm:
        patient = simulate_patient(settings)
        echoes = [e for e in (patient.signal, patient.second_echo) if e is not None]
    else:
        silent = replace(settings.disturbances, snr=float("inf"))
        patient = simulate_patient(replace(settings, disturbances=silent))
        echoes = _distorted(patient, settings, scanner)
    stored = [replace(echo, values=_stored(echo.values, scanner)) for echo in echoes]
    return replace(
        patient,
        settings=settings,
        signal=stored[0],
        second_echo=stored[1] if len(stored) > 1 else None,
    )


def _distorted(
    patient: SimulatedPatient, settings: PatientSettings, scanner: Scanner
) -> list[PerfusionSeries]:
    """Distort noise-free series, and add the noise that they would have had."""
    shift = _shift(settings, patient.signal.grid, scanner)
    white = patient.signal.values[patient.reference.values]
    level = float(white[:, _BASELINE_FRAME].mean()) if white.size else 0.0
    sigma = level / settings.disturbances.snr
    echoes = [e for e in (patient.signal, patient.second_echo) if e is not None]
    return [
        replace(
            echo,
            values=add_rician_noise(
                distort(echo.values, shift, echo.grid),
                sigma=sigma,
                seed=settings.scan_seed,
                name=f"echo {number}",
            ),
        )
        for number, echo in enumerate(echoes)
    ]


def _diffusion(settings: PatientSettings, scanner: Scanner) -> SimulatedDiffusion:
    """Simulate diffusion on the grid of the DSC series, with the same distortion."""
    protocol = scanner.dsc
    grid = scan_grid(
        shape=protocol.shape, voxel_mm=protocol.voxel_mm, orientation=protocol.orientation
    )
    found = simulate_diffusion(settings, grid)
    shift = _shift(settings, grid, scanner)
    b0, b1000 = (
        _stored(np.maximum(distort(image, shift, grid), 0.0), scanner)
        for image in (found.b0, found.b1000)
    )
    return replace(found, b0=b0, b1000=b1000, adc=_adc(b0, b1000))


def _adc(b0: np.ndarray, b1000: np.ndarray) -> np.ndarray:
    """Return what the scanner computes from its two images [mm2/s]; 0 where one is dark."""
    seen = (b0 > 0) & (b1000 > 0)
    ratio = np.where(seen, b0, 1.0) / np.where(seen, b1000, 1.0)
    return np.asarray(np.log(ratio) / _DIFFUSION_B_S_PER_MM2, np.float32)


def _shift(settings: PatientSettings, grid: Grid, scanner: Scanner) -> np.ndarray:
    return displacement_mm(
        grid, to_scanner=settings.head_pose.affine, distortion_mm=scanner.distortion_mm
    )


def _stored_dce(found: SimulatedDce, scanner: Scanner) -> SimulatedDce:
    return replace(
        found,
        signal=replace(found.signal, values=_stored(found.signal.values, scanner)),
        vfa=tuple(_stored(image, scanner) for image in found.vfa),
    )


def _stored(values: np.ndarray, scanner: Scanner) -> np.ndarray:
    """Return an image with the scanner's gain, in whole numbers that 16 bits can hold."""
    return np.asarray(np.rint(np.clip(values * scanner.gain, 0.0, _BRIGHTEST)), np.float32)

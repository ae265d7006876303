"""The scanners of a simulated trial: every site has its own protocol, gain, noise and habits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.dce import DCE_PROTOCOLS, DceProtocol
from bolus.simulate.patient import Disturbances
from bolus.simulate.protocol import PROTOCOLS, DscProtocol

_FIELD_OF_VIEW_MM = (220.0, 220.0, 120.0)
_VENDORS = ("A", "B", "C", "D")
_FLIP_ANGLES_DEG = (30.0, 35.0, 60.0, 75.0, 90.0)
_FLIP_SHARES = (0.15, 0.15, 0.40, 0.15, 0.15)
_LOW_FIELD_SHARE = 0.25
_PRELOAD_SHARE = 0.6
_OBLIQUE_SHARE = 0.25
_SCALES = (0.8, 1.0, 1.0, 1.15)
_FIRST_GAIN = 1.0
_FIRST_DISTORTION_MM = 2.0
_AWAY_SHARE = 0.15
_VFA_SETS_DEG = ((2.0, 5.0, 10.0, 15.0), (5.0, 10.0, 15.0, 20.0, 25.0, 30.0), (2.0, 5.0, 12.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One scanner with its protocols, and what it and its patients do to the images.

    `gain` multiplies all its images; `distortion_mm` is the largest displacement in its
    echo-planar images (`distortion`). `disturbances` holds for every patient on it. The injection
    of `dce` is the preload of `dsc`; without preload, DCE is of another day.
    """

    name: str
    vendor: str
    dsc: DscProtocol
    dce: DceProtocol
    disturbances: Disturbances
    gain: float
    distortion_mm: float


def draw_scanners(count: int, *, seed: int, shape: tuple[int, int, int]) -> tuple[Scanner, ...]:
    """Draw the scanners of a trial; the first has the consensus protocol.

    Scanner k is the same whatever the count. Gains spread evenly in their logarithm from 0.5 to
    3, echo times from 28 to 45 ms, repetition times from 1.25 to 1.8 s; flip angles are 30, 35,
    60, 75 or 90 degrees, three in four scanners have 3 T, 60 % give a preload.

    Args:
        count: how many, at least 1.
        seed: of the trial.
        shape: matrix of the first scanner (x, y, slices); the others have 0.8 to 1.15 of it in
            each slice. All cover 220 x 220 x 120 mm.

    Raises:
        MetadataError: no scanner is asked for, or a matrix too small for a head.

    Source:
        The first: Boxerman et al., Neuro Oncol 2020;22:1262. The spread of the others is set by
        us, around the protocols in common use that this paper and Welker et al., AJNR Am J
        Neuroradiol 2015;36:E41 describe.

    Example:
        >>> fleet = draw_scanners(3, seed=1, shape=(64, 64, 12))
        >>> [scanner.name for scanner in fleet]
        ['scanner-01', 'scanner-02', 'scanner-03']
        >>> fleet[0].dsc.flip_angle_deg, fleet[0].dsc.shape
        (60.0, (64, 64, 12))
        >>> draw_scanners(2, seed=1, shape=(64, 64, 12)) == fleet[:2]
        True
    """
    if count < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID, f"{count} scanners are asked for", mend="ask for at least one"
        )
    if min(shape[:2]) < 16 or shape[2] < 4 or max(shape) > 512:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a matrix of {shape[0]} x {shape[1]} x {shape[2]} shows no head "
            "(16 x 16 x 4 to 512 x 512 x 512)",
            mend="choose one between, such as 64 64 12",
        )
    return tuple(_draw(number, seed=seed, shape=shape) for number in range(1, count + 1))


def choose_scanner(scanners: Sequence[Scanner], *, seed: int, patient: int, visit: int) -> Scanner:
    """Return the scanner of a visit: the patient's own, and another one now and then.

    Patients are dealt to scanners in turn; 15 % of the visits after the first are elsewhere.

    Args:
        scanners: from `draw_scanners`.
        seed: of the trial.
        patient: number of the patient, from 1.
        visit: number of the visit, from 0.

    Example:
        >>> fleet = draw_scanners(2, seed=1, shape=(64, 64, 12))
        >>> choose_scanner(fleet, seed=1, patient=2, visit=0).name
        'scanner-02'
    """
    home = (patient - 1) % len(scanners)
    random = stream(seed, "trial", "scanner", str(patient), str(visit))
    away = visit > 0 and len(scanners) > 1 and random.random() < _AWAY_SHARE
    step = int(random.integers(1, len(scanners))) if away else 0
    return scanners[(home + step) % len(scanners)]


def _draw(number: int, *, seed: int, shape: tuple[int, int, int]) -> Scanner:
    random = stream(seed, "trial", "fleet", str(number))
    field_t = 3.0 if number == 1 or random.random() >= _LOW_FIELD_SHARE else 1.5
    name = f"scanner-{number:02d}"
    if number == 1:
        return Scanner(
            name=name,
            vendor=_VENDORS[0],
            dsc=_fitted(PROTOCOLS["preload_60"], shape, scale=1.0),
            dce=_fitted_dce(DCE_PROTOCOLS["spgr_3t"], shape, scale=1.0),
            disturbances=Disturbances(),
            gain=_FIRST_GAIN,
            distortion_mm=_FIRST_DISTORTION_MM,
        )
    scale = float(random.choice(_SCALES))
    dsc = _dsc(random, field_t)
    return Scanner(
        name=name,
        vendor=str(random.choice(_VENDORS)),
        dsc=_fitted(dsc, shape, scale=scale),
        dce=_fitted_dce(_dce(random, dsc), shape, scale=scale),
        disturbances=_habits(random, field_t),
        gain=float(np.round(np.exp(random.uniform(np.log(0.5), np.log(3.0))), 3)),
        distortion_mm=float(np.round(random.uniform(0.0, 3.0) * field_t / 1.5, 1)),
    )


def _dsc(random: np.random.Generator, field_t: float) -> DscProtocol:
    """Draw a DSC protocol; at 1.5 T echoes are as long as the range allows."""
    echo_ms = random.uniform(28.0, 35.0) if field_t > 2 else random.uniform(38.0, 45.0)
    repetition_s = float(np.round(random.uniform(1.25, 1.8), 2))
    preload = bool(random.random() < _PRELOAD_SHARE)
    return DscProtocol(
        echo_times_s=(float(np.round(echo_ms)) / 1000,),
        repetition_time_s=repetition_s,
        flip_angle_deg=float(random.choice(_FLIP_ANGLES_DEG, p=_FLIP_SHARES)),
        field_strength_t=field_t,
        frames=int(random.integers(80, 101) / repetition_s),
        dose_mmol_per_kg=0.1,
        preload_mmol_per_kg=float(random.choice((0.05, 0.1))) if preload else 0.0,
        preload_minutes=float(np.round(random.uniform(5.0, 10.0), 1)),
        injection_s=float(np.round(random.uniform(8.0, 14.0), 1)),
        injection_rate_ml_per_s=float(random.choice((3.0, 4.0, 5.0))),
        orientation="oblique" if random.random() < _OBLIQUE_SHARE else "LAS",
    )


def _dce(random: np.random.Generator, dsc: DscProtocol) -> DceProtocol:
    """Draw a DCE protocol around the first one; its length stays about the same.

    The injection of DCE is the preload of DSC, where the scanner gives one.
    """
    first = DCE_PROTOCOLS["spgr_3t"]
    frame_s = float(np.round(first.frame_s * random.uniform(0.85, 1.3), 2))
    return replace(
        first,
        repetition_time_s=float(np.round(first.repetition_time_s * random.uniform(0.85, 1.3), 5)),
        flip_angle_deg=float(random.choice((10.0, 12.0, 15.0, 20.0))),
        frame_s=frame_s,
        frames=max(2, int(first.frames * first.frame_s / frame_s)),
        field_strength_t=dsc.field_strength_t,
        dose_mmol_per_kg=dsc.preload_mmol_per_kg or first.dose_mmol_per_kg,
        vfa_deg=_VFA_SETS_DEG[int(random.integers(len(_VFA_SETS_DEG)))],
    )


def _habits(random: np.random.Generator, field_t: float) -> Disturbances:
    """Draw noise, drift, motion and coil; there is less signal at the lower field."""
    return Disturbances(
        snr=float(np.round(random.uniform(50.0, 110.0) * np.sqrt(field_t / 3.0))),
        drift_percent=float(np.round(random.uniform(-0.6, 0.6), 2)),
        translation_mm=float(np.round(random.uniform(0.1, 0.6), 2)),
        rotation_deg=float(np.round(random.uniform(0.1, 0.5), 2)),
        nod_deg=float(np.round(random.uniform(0.0, 2.5), 1)),
        gain_variation=float(np.round(random.uniform(0.05, 0.2), 3)),
        phase_loss=True,
    )


def _matrix(
    shape: tuple[int, int, int], scale: float
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Return an even matrix in each slice, and the voxels that fill the field of view with it."""
    x, y = (2 * max(8, round(n * scale / 2)) if scale != 1 else n for n in shape[:2])
    wide, high, thick = _FIELD_OF_VIEW_MM
    return (x, y, shape[2]), (wide / x, high / y, thick / shape[2])


def _fitted(protocol: DscProtocol, shape: tuple[int, int, int], *, scale: float) -> DscProtocol:
    matrix, voxel_mm = _matrix(shape, scale)
    return replace(protocol, shape=matrix, voxel_mm=voxel_mm)


def _fitted_dce(protocol: DceProtocol, shape: tuple[int, int, int], *, scale: float) -> DceProtocol:
    matrix, voxel_mm = _matrix(shape, scale)
    return replace(protocol, shape=matrix, voxel_mm=voxel_mm)

"""One simulated patient: head, glioma, injection, scan, and the truth of every voxel."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bolus.core.curves import ArterialInput
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import DELTA_R2S, SIGNAL
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import TimeAxis
from bolus.errors import Code, MetadataError
from bolus.simulate.curves import RESIDUES, ArterialBolus
from bolus.simulate.disturbances import (
    add_rician_noise,
    drift,
    head_motion,
    lost_phase_rate,
    move,
    receive_gain,
)
from bolus.simulate.growth import Glioma
from bolus.simulate.head import build_head
from bolus.simulate.phantom import HeadPose, Phantom, build_phantom, scan_grid
from bolus.simulate.physics import Relaxivities, relaxivities_at
from bolus.simulate.protocol import PROTOCOLS, DscProtocol
from bolus.simulate.scanner import STEP_S, ForwardModel, Injection, inject, phantom_signal
from bolus.simulate.tissues import TISSUES, TissueModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Physiology:
    """The body that carries the agent to the brain."""

    weight_kg: float = 70.0
    cardiac_output_l_per_min: float = 6.8
    haematocrit_large: float = 0.45
    haematocrit_small: float = 0.25
    transit_s: float = 10.0
    """From the arm to the brain."""
    width_s: float = 6.6
    """Full width at half maximum of the arterial first pass."""
    bolus_shape: float = 3.0
    """Exponent of the gamma variate; smaller is more skewed."""
    recirculation: float = 0.20
    """Share of the first pass in the second."""
    recirculation_delay_s: float = 12.0
    dispersion_s: float = 0.0
    """Time constant of the dispersion between the heart and the brain; 0 for none."""
    family: str = "gamma variate"
    """A key of `bolus.simulate.curves.FIRST_PASSES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbances:
    """What the scanner and the patient's motion add.

    `snr` is that of white matter at baseline in the first echo; infinity for no noise.
    """

    snr: float = 80.0
    drift_percent: float = 0.3
    translation_mm: float = 0.3
    rotation_deg: float = 0.2
    nod_deg: float = 1.5
    gain_variation: float = 0.12
    phase_loss: bool = True


QUIET = Disturbances(
    snr=float("inf"), drift_percent=0.0, translation_mm=0.0, rotation_deg=0.0, nod_deg=0.0,
    gain_variation=0.0, phase_loss=False,
)  # fmt: skip
"""A perfect scanner and a patient who does not move."""


_GLIOMA = Glioma()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientSettings:
    """Everything that decides a simulated patient; the same settings give the same bytes.

    `residue` is a key of `RESIDUES`. `leakage` False keeps agent in the vessels;
    `t1_leakage` and `t2s_leakage` switch the two effects of leaked agent. `vascular_t1_share` is
    how much of the plasma's agent shortens the T1 of tissue water: about none, because water
    crosses intact capillaries too slowly (docs/explanation/simulator.md); 1 is fast exchange.
    `relaxivities` None means those of gadopentetate at the protocol's field; `glioma` None a
    healthy head.

    Raises:
        MetadataError: the residue is not known.
    """

    seed: int
    scan: int = 0
    """Which scan of this patient: another one has other noise, drift, coil and motion."""
    protocol: DscProtocol = PROTOCOLS["preload_60"]
    physiology: Physiology = Physiology()
    disturbances: Disturbances = Disturbances()
    glioma: Glioma | None = _GLIOMA
    deformation_mm: float = 4.0
    """By how much the anatomy departs from the template, root mean square; 0 is the template."""
    pose: HeadPose | None = None
    """None draws a small rotation, shift and size."""
    residue: str = "gamma"
    residue_shape: float = 3.0
    leakage: bool = True
    t1_leakage: bool = True
    t2s_leakage: bool = True
    vascular_t1_share: float = 0.0
    partial_volume: bool = True
    relaxivities: Relaxivities | None = None
    tissues: Mapping[str, TissueModel] = field(default_factory=lambda: TISSUES)
    """What each tissue is in this patient."""

    @property
    def scan_seed(self) -> int:
        """The seed of what differs between scans of one patient."""
        if self.scan == 0:
            return self.seed
        return int(stream(self.seed, "scan", str(self.scan)).integers(2**31))

    @property
    def head_pose(self) -> HeadPose:
        """How the head lies, as given or as drawn from the seed."""
        return self.pose or _drawn_pose(self.seed)

    def __post_init__(self) -> None:
        if self.residue not in RESIDUES:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{self.residue!r} is not a residue function; expected one of {sorted(RESIDUES)}",
                mend="choose one of them",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedPatient:
    """A scan whose answer is known.

    `truth` holds cbv, cbf, mtt, delay, ncbv, ktrans, ve of the head's place in the first frame,
    where no large vessel is. `reference` is the pure white matter that ncbv refers to. `aif` is
    the arterial curve as ΔR2* [1/s] that blood would show with the tissue's relaxivity, so that
    CBV and CBF computed with it are absolute; arteries in the images have blood's own. `motion`
    holds translations [mm] and rotations [deg] of the head from the first frame to each.
    `anatomy` is T1-weighted after contrast agent, on the grid of the series.
    """

    settings: PatientSettings
    signal: PerfusionSeries
    second_echo: PerfusionSeries | None
    truth: MapSet
    tissues: LabelMap
    tumour: LabelMap
    habitats: LabelMap
    brain: Mask
    reference: Mask
    aif: ArterialInput
    motion: np.ndarray
    anatomy: np.ndarray


def simulate_patient(settings: PatientSettings) -> SimulatedPatient:
    """Simulate one patient and one DSC scan.

    Args:
        settings: everything that decides it.

    Returns:
        Series float32 [a.u.], truth and regions on one grid.

    Source:
        docs/explanation/simulator.md, with every equation and constant.

    Example:
        >>> from bolus.simulate import DscProtocol, PatientSettings, simulate_patient
        >>> small = DscProtocol(echo_times_s=(0.03,), repetition_time_s=1.5, flip_angle_deg=60.0,
        ...     field_strength_t=3.0, frames=40, dose_mmol_per_kg=0.1, preload_mmol_per_kg=0.1,
        ...     preload_minutes=6.0, injection_s=8.0, shape=(32, 32, 4),
        ...     voxel_mm=(7.0, 7.0, 24.0))
        >>> patient = simulate_patient(PatientSettings(seed=1, protocol=small))
        >>> patient.signal.values.shape, sorted(patient.truth)[:2]
        ((32, 32, 4, 40), ['adc', 'cbf'])
    """
    protocol, pose = settings.protocol, settings.head_pose
    grid = scan_grid(
        shape=protocol.shape, voxel_mm=protocol.voxel_mm, orientation=protocol.orientation
    )
    phantom = phantom_of(settings, grid)
    injection = inject(injected_bolus(settings), protocol)
    clean = phantom_signal(phantom, injection, forward_model(settings))
    motion = head_motion(
        protocol.frames,
        seed=settings.scan_seed,
        translation_mm=settings.disturbances.translation_mm,
        rotation_deg=settings.disturbances.rotation_deg,
        nod_deg=settings.disturbances.nod_deg,
    )
    echoes = _scanned(clean, phantom, settings, pose=pose, motion=motion)
    return SimulatedPatient(
        settings=settings,
        signal=echoes[0],
        second_echo=echoes[1] if len(echoes) > 1 else None,
        truth=phantom.truth,
        tissues=phantom.labels,
        tumour=phantom.tumour,
        habitats=phantom.habitats,
        brain=phantom.brain,
        reference=phantom.reference,
        aif=_true_aif(settings, injection, echoes[0]),
        motion=motion,
        anatomy=phantom.anatomy,
    )


def phantom_of(settings: PatientSettings, grid: Grid) -> Phantom:
    """Lay the patient's head onto a grid, whichever scan it is of."""
    seed = settings.seed
    return build_phantom(
        build_head(seed, glioma=settings.glioma, deformation_mm=settings.deformation_mm),
        grid=grid,
        pose=settings.head_pose,
        seed=seed,
        tissues=settings.tissues,
        partial_volume=settings.partial_volume,
    )


def _drawn_pose(seed: int) -> HeadPose:
    random = stream(seed, "patient", "pose")
    turn = random.normal(0.0, (4.0, 1.5, 2.0))
    shift = random.normal(0.0, (1.5, 3.0, 3.0))
    return HeadPose(
        rotation_deg=(float(turn[0]), float(turn[1]), float(turn[2])),
        shift_mm=(float(shift[0]), float(shift[1]), float(shift[2])),
        scale=float(random.uniform(0.96, 1.03)),
    )


def injected_bolus(settings: PatientSettings) -> ArterialBolus:
    """Return the arterial bolus of a patient and a protocol."""
    body, protocol = settings.physiology, settings.protocol
    return ArterialBolus(
        dose_mmol_per_kg=protocol.dose_mmol_per_kg,
        weight_kg=body.weight_kg,
        cardiac_output_l_per_min=body.cardiac_output_l_per_min,
        haematocrit=body.haematocrit_large,
        arrival_s=protocol.injection_s + body.transit_s,
        width_s=body.width_s,
        shape=body.bolus_shape,
        recirculation=body.recirculation,
        recirculation_delay_s=body.recirculation_delay_s,
        family=body.family,
        dispersion_s=body.dispersion_s,
    )


def forward_model(settings: PatientSettings) -> ForwardModel:
    """Return the physics of a patient and a protocol."""
    return ForwardModel(
        protocol=settings.protocol,
        relaxivities=_relaxivities(settings),
        residue=settings.residue,
        residue_shape=settings.residue_shape,
        haematocrit_small=settings.physiology.haematocrit_small,
        leakage=settings.leakage,
        t1_effect=settings.t1_leakage,
        t2s_effect=settings.t2s_leakage,
        vascular_t1_share=settings.vascular_t1_share,
    )


def _relaxivities(settings: PatientSettings) -> Relaxivities:
    return settings.relaxivities or relaxivities_at(settings.protocol.field_strength_t)


def _scanned(
    clean: np.ndarray,
    phantom: Phantom,
    settings: PatientSettings,
    *,
    pose: HeadPose,
    motion: np.ndarray,
) -> list[PerfusionSeries]:
    """Return every echo as the scanner writes it."""
    protocol, trouble, seed = settings.protocol, settings.disturbances, settings.scan_seed
    grid, present = phantom.grid, phantom.present.values
    gain = receive_gain(grid, seed=seed, strength=trouble.gain_variation)
    loss = lost_phase_rate(grid, to_scanner=pose.affine) * trouble.phase_loss
    slow = drift(protocol.frames, seed=seed, percent=trouble.drift_percent)
    white = phantom.reference.values[present]
    sigma = float(clean[0][white][:, 5].mean()) / trouble.snr if white.any() else 0.0
    history = Provenance().then(
        Step(
            "simulate.simulate_patient",
            {"seed": settings.seed, "scan": settings.scan, "residue": settings.residue},
        )
    )
    series = []
    for echo, te_s in enumerate(protocol.echo_times_s):
        values = np.zeros((*grid.shape, protocol.frames), np.float32)
        scale = (gain * np.exp(-te_s * loss))[present]
        values[present] = clean[echo] * scale[:, None]
        values = move(values, motion, grid) * slow.astype(np.float32)
        noisy = add_rician_noise(values, sigma=sigma, seed=seed, name=f"echo {echo}")
        series.append(
            PerfusionSeries(
                values=noisy,
                quantity=SIGNAL,
                grid=grid,
                time=TimeAxis.regular(protocol.frames, step_s=protocol.repetition_time_s),
                acquisition=protocol.acquisition(echo),
                provenance=history,
            )
        )
    return series


def _true_aif(
    settings: PatientSettings, injection: Injection, series: PerfusionSeries
) -> ArterialInput:
    """Express the bolus in arterial blood as ΔR2* with the tissue's relaxivity.

    Tissue shows r CBV (1 - Hct_small) C_p; CBV is (1 - Hct_large) / (1 - Hct_small) times the
    ratio of areas, so blood has to show r C_p (1 - Hct_large) of the plasma.
    """
    fine_s = STEP_S * np.arange(len(injection.first_pass))
    plasma = np.interp(series.time.seconds, fine_s, injection.first_pass)
    relaxivity = _relaxivities(settings).r2s_vascular
    return ArterialInput(
        values=relaxivity * (1 - settings.physiology.haematocrit_large) * plasma,
        time=series.time,
        quantity=DELTA_R2S,
        method="simulated truth",
        provenance=series.provenance,
        voxels=np.zeros((0, 3), np.int64),
        score=1.0,
    )

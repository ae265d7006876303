"""One simulated DCE scan of the same patient, with flip-angle images for T1 and its truth.

The agent of DCE is the first of the session: nothing is in the body before it, and the DSC scan
that follows has it as its preload. Water exchange is fast here, R1 = R10 + r1 (vp Cp + ve Ce), as
Tofts' model assumes; what exchange does to DSC (`PatientSettings.vascular_t1_share`) is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bolus.core.curves import ArterialInput
from bolus.core.geometry import Grid
from bolus.core.maps import MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import CONCENTRATION, QUANTITIES, SIGNAL
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import Acquisition, TimeAxis
from bolus.errors import Code, MetadataError
from bolus.simulate.curves import capillary_concentration
from bolus.simulate.dce_signal import Compartment, compartments
from bolus.simulate.disturbances import (
    add_rician_noise,
    drift,
    head_motion,
    lost_phase_rate,
    move,
    receive_gain,
)
from bolus.simulate.patient import PatientSettings, injected_bolus, phantom_of
from bolus.simulate.phantom import Phantom, scan_grid
from bolus.simulate.scanner import STEP_S, Injection, native_at
from bolus.simulate.spgr import pulses_met, spgr_signal
from bolus.simulate.tissues import SCALP

_BRIGHTNESS = 20000.0
_ARTERIAL_SPEED_MM_PER_S = 400.0
"""Mean over the cardiac cycle in the internal carotid artery, about 0.3 to 0.5 m/s; set by us."""
_INLET_MM = 30.0
"""Path within excited tissue below the lowest slice: oversampled slab, curved course; set by us."""
_B1_RANGE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class DceProtocol:
    """One DCE acquisition by 3D spoiled gradient echo, with its injection.

    Frame n lasts from n `frame_s` to (n + 1) `frame_s` and shows the moment in its middle, when
    the centre of k-space is read. The injection starts at `injection_start_s` and lasts
    `injection_s`. `vfa_deg` are the flip angles of the images taken before it.

    Raises:
        MetadataError: a time is not positive, or the echo does not come before the next pulse.
    """

    echo_time_s: float
    repetition_time_s: float
    flip_angle_deg: float
    frame_s: float
    frames: int
    field_strength_t: float
    dose_mmol_per_kg: float
    injection_s: float
    injection_start_s: float
    vfa_deg: tuple[float, ...]
    shape: tuple[int, int, int] = (96, 96, 24)
    voxel_mm: tuple[float, float, float] = (2.3, 2.3, 5.0)
    orientation: str = "LAS"

    def __post_init__(self) -> None:
        times = (self.echo_time_s, self.repetition_time_s, self.frame_s, self.injection_s)
        if min(times) <= 0 or self.echo_time_s >= self.repetition_time_s or self.frames < 2:
            raise MetadataError(
                Code.METADATA_IMPLAUSIBLE,
                f"echo, repetition, frame and injection times {times} s with {self.frames} frames "
                "are not those of a scan",
                mend="give positive times, an echo before the next pulse, and at least two frames",
            )

    @property
    def time(self) -> TimeAxis:
        """Middle of every frame [s] from the start of the series."""
        return TimeAxis.regular(self.frames, step_s=self.frame_s, start_s=self.frame_s / 2)

    @property
    def acquisition(self) -> Acquisition:
        """What a sidecar would state."""
        return Acquisition(
            echo_time_s=self.echo_time_s,
            repetition_time_s=self.repetition_time_s,
            flip_angle_deg=self.flip_angle_deg,
            field_strength_t=self.field_strength_t,
            contrast_agent="gadopentetate dimeglumine",
            contrast_dose_mmol_per_kg=self.dose_mmol_per_kg,
            preload_dose_mmol_per_kg=0.0,
            sequence="SPGR",
        )


DCE_PROTOCOLS: Mapping[str, DceProtocol] = MappingProxyType(
    {
        "spgr_3t": DceProtocol(
            echo_time_s=0.002,
            repetition_time_s=0.005,
            flip_angle_deg=15.0,
            frame_s=4.0,
            frames=60,
            field_strength_t=3.0,
            dose_mmol_per_kg=0.1,
            injection_s=5.0,
            injection_start_s=20.0,
            vfa_deg=(2.0, 5.0, 10.0, 15.0),
        ),
    }
)
"""Four minutes at 3 T; times and angles are usual ones, set by us."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedDce:
    """A DCE scan whose answer is known.

    `vfa` holds one volume (x, y, z) per flip angle, taken before the agent and in the place of the
    first frame; `b1` the factor on every flip angle. `truth` holds ktrans, ve, vp [mL/100mL] and
    r10 [1/s], where no large vessel is. `aif` is the concentration in arterial **plasma** [mM] at
    the carotid bifurcation. `artery` is the share of large artery in every voxel; `motion` as of
    the DSC scan.
    """

    settings: PatientSettings
    protocol: DceProtocol
    signal: PerfusionSeries
    vfa: tuple[np.ndarray, ...]
    b1: np.ndarray
    truth: MapSet
    aif: ArterialInput
    tissues: LabelMap
    tumour: LabelMap
    brain: Mask
    reference: Mask
    artery: np.ndarray
    motion: np.ndarray


def simulate_dce(
    settings: PatientSettings, protocol: DceProtocol, *, b1: bool = True, inflow: bool = True
) -> SimulatedDce:
    """Simulate a DCE scan of a patient.

    Args:
        settings: the patient and the disturbances; its DSC protocol and its switches of the
            effects of leaked agent have no part in this, `leakage` has.
        protocol: of the DCE scan.
        b1: whether flip angles differ from place to place (by a factor of 0.85 to 1.15).
        inflow: whether arterial blood comes in fresh; False gives it the steady state.

    Returns:
        Series and flip-angle images float32 [a.u.], truth and regions on one grid.

    Source:
        Equations: `spgr`, `physics`, `curves`; kinetics: Tofts et al., J Magn Reson Imaging
        1999;10:223.

    Example:
        >>> import dataclasses
        >>> from bolus.simulate.patient import PatientSettings
        >>> small = dataclasses.replace(DCE_PROTOCOLS["spgr_3t"], shape=(24, 24, 4),
        ...                             voxel_mm=(9.0, 9.0, 24.0), frames=12)
        >>> scan = simulate_dce(PatientSettings(seed=1), small)
        >>> scan.signal.values.shape, len(scan.vfa), sorted(scan.truth)
        ((24, 24, 4, 12), 4, ['ktrans', 'r10', 've', 'vp'])
    """
    grid = scan_grid(
        shape=protocol.shape, voxel_mm=protocol.voxel_mm, orientation=protocol.orientation
    )
    phantom = phantom_of(settings, grid)
    seed = int(stream(settings.scan_seed, "dce").integers(2**31))
    factor = transmit_field(grid, seed=seed) if b1 else np.ones(grid.shape)
    injection = dce_injection(settings, protocol)
    steady = np.full(phantom.present.count, np.inf)
    arterial_pulses = _pulses_from_inlet(phantom, protocol) if inflow else steady
    parts = compartments(
        phantom, injection, settings, frames_s=protocol.time.seconds,
        field_strength_t=protocol.field_strength_t, arterial_pulses=arterial_pulses,
    )  # fmt: skip
    clean = np.zeros((phantom.present.count, protocol.frames), np.float32)
    angles = np.zeros((phantom.present.count, len(protocol.vfa_deg)), np.float32)
    for part in parts:
        local_b1 = factor[phantom.present.values][part.voxels]
        series, before = _signals(part, protocol, b1=local_b1)
        clean[part.voxels] += part.share[:, None] * series
        angles[part.voxels] += part.share[:, None] * before
    signal, vfa, motion = _scanned(clean, angles, phantom, settings, protocol=protocol, seed=seed)
    return SimulatedDce(
        settings=settings,
        protocol=protocol,
        signal=signal,
        vfa=vfa,
        b1=factor,
        truth=_truth(phantom, settings, field_strength_t=protocol.field_strength_t),
        aif=_true_aif(injection, signal),
        tissues=phantom.labels,
        tumour=phantom.tumour,
        brain=phantom.brain,
        reference=phantom.reference,
        artery=_volume(phantom.artery, phantom.present),
        motion=motion,
    )


def dce_injection(settings: PatientSettings, protocol: DceProtocol) -> Injection:
    """Return the plasma curves of the DCE injection on the fine grid, the first of the session.

    The patient's bolus is the response to a short injection; one that lasts `injection_s` is its
    running mean over that time, which keeps the area.

    Example:
        >>> from bolus.simulate.patient import PatientSettings
        >>> injection = dce_injection(PatientSettings(seed=1), DCE_PROTOCOLS["spgr_3t"])
        >>> float(injection.arterial[:300].max()), bool(injection.arterial.max() > 4)
        (0.0, True)
    """
    seconds = np.arange(0.0, protocol.frames * protocol.frame_s + 2.0, STEP_S)
    bolus = replace(
        injected_bolus(settings),
        dose_mmol_per_kg=protocol.dose_mmol_per_kg,
        arrival_s=protocol.injection_start_s + settings.physiology.transit_s,
    )
    smeared = capillary_concentration(
        bolus(seconds), step_s=STEP_S, mtt_s=np.array([protocol.injection_s]), family="boxcar"
    )[0]
    return Injection(
        bolus=bolus,
        first_pass=np.where(seconds > bolus.arrival_s, np.maximum(smeared, 0.0), 0.0),
        residual=np.zeros_like(seconds),
        preload_mmol_per_kg=0.0,
        preload_s=0.0,
    )


def transmit_field(grid: Grid, *, seed: int) -> np.ndarray:
    """Return a smooth B1 factor (x, y, z) within 0.85 to 1.15, highest near the middle as at 3 T.

    Args:
        grid: of the scan.
        seed: decides the asymmetry.

    Example:
        >>> field = transmit_field(Grid(shape=(9, 9, 3), affine=np.eye(4)), seed=1)
        >>> bool(0.85 <= field.min() < field.max() <= 1.15)
        True
    """
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
    a, b, c = stream(seed, "scanner", "transmit").uniform(-0.5, 0.5, 3)
    bend = 0.8 - 2.2 * (x**2 + y**2) + a * x + b * y + c * z
    return np.asarray(1 + _B1_RANGE * np.tanh(bend))


def _pulses_from_inlet(phantom: Phantom, protocol: DceProtocol) -> np.ndarray:
    """Return how many pulses arterial blood has met, straight up from the lowest slice."""
    above = np.argwhere(phantom.present.values)[:, 2] + 0.5
    return pulses_met(
        _INLET_MM + above * protocol.voxel_mm[2],
        speed_mm_per_s=_ARTERIAL_SPEED_MM_PER_S,
        repetition_time_s=protocol.repetition_time_s,
    )


def _signals(
    part: Compartment, protocol: DceProtocol, *, b1: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the series (n, frames) and the flip-angle images (n, angles) of one compartment."""

    def measured(columns: slice, angles_deg: np.ndarray) -> np.ndarray:
        return spgr_signal(
            part.r1_per_s[:, columns],
            part.r2s_per_s[:, columns],
            proton_density=_BRIGHTNESS * part.density,
            repetition_time_s=protocol.repetition_time_s,
            echo_time_s=protocol.echo_time_s,
            flip_angle_deg=b1[:, None] * angles_deg[None, :],
            pulses=part.pulses[:, None],
        )

    series = measured(slice(1, None), np.array([protocol.flip_angle_deg]))
    return series, measured(slice(0, 1), np.array(protocol.vfa_deg))


def _scanned(
    clean: np.ndarray,
    angles: np.ndarray,
    phantom: Phantom,
    settings: PatientSettings,
    *,
    protocol: DceProtocol,
    seed: int,
) -> tuple[PerfusionSeries, tuple[np.ndarray, ...], np.ndarray]:
    """Return the series, the flip-angle images and the motion, as the scanner writes them."""
    trouble, present = settings.disturbances, phantom.present
    motion = head_motion(
        protocol.frames,
        seed=seed,
        translation_mm=trouble.translation_mm,
        rotation_deg=trouble.rotation_deg,
        nod_deg=trouble.nod_deg,
    )
    scale = _scale(phantom, settings, echo_time_s=protocol.echo_time_s)
    white = phantom.reference.values[present.values]
    sigma = float((clean[:, 0] * scale)[white].mean()) / trouble.snr if white.any() else 0.0
    slow = drift(protocol.frames, seed=seed, percent=trouble.drift_percent)
    values = move(_volume(clean * scale[:, None], present), motion, phantom.grid)
    series = PerfusionSeries(
        values=add_rician_noise(
            values * slow.astype(np.float32), sigma=sigma, seed=seed, name="dce"
        ),
        quantity=SIGNAL,
        grid=phantom.grid,
        time=protocol.time,
        acquisition=protocol.acquisition,
        provenance=Provenance().then(
            Step("simulate.simulate_dce", {"seed": settings.seed, "scan": settings.scan})
        ),
    )
    before = _volume(angles * scale[:, None], present)
    vfa = tuple(
        add_rician_noise(before[..., n], sigma=sigma, seed=seed, name=f"flip angle {n}")
        for n in range(len(protocol.vfa_deg))
    )
    return series, vfa, motion


def _scale(phantom: Phantom, settings: PatientSettings, *, echo_time_s: float) -> np.ndarray:
    """Return what the receive coil and lost phase make of every present voxel."""
    trouble = settings.disturbances
    gain = receive_gain(phantom.grid, seed=settings.scan_seed, strength=trouble.gain_variation)
    loss = lost_phase_rate(phantom.grid, to_scanner=settings.head_pose.affine)
    seen = gain * np.exp(-echo_time_s * loss * trouble.phase_loss)
    return np.asarray(seen[phantom.present.values])


def _volume(voxels: np.ndarray, present: Mask) -> np.ndarray:
    """Return (x, y, z, ...) float32 from (n, ...) of the present voxels."""
    volume = np.zeros((*present.grid.shape, *voxels.shape[1:]), np.float32)
    volume[present.values] = voxels
    return volume


def _truth(phantom: Phantom, settings: PatientSettings, *, field_strength_t: float) -> MapSet:
    """Return ktrans and ve of the phantom, vp, and R10 weighted by the water that is seen."""
    rate, water = np.zeros(phantom.present.count), np.zeros(phantom.present.count)
    for name, tissue in phantom.tissues.items():
        if name == SCALP:
            continue
        native = native_at(phantom.models[name].native, field_strength_t)
        rate[tissue.voxels] += tissue.share * native.proton_density / native.t1_s
        water[tissue.voxels] += tissue.share * native.proton_density
    ktrans = phantom.truth["ktrans"]
    where = Mask(values=np.isfinite(ktrans.values), grid=phantom.grid, name="tissue")
    chosen = where.values[phantom.present.values]
    plasma_share = 1 - settings.physiology.haematocrit_small
    new = {
        "vp": phantom.truth["cbv"].values[where.values] * plasma_share,
        "r10": rate[chosen] / water[chosen],
    }
    maps = {
        key: ParameterMap.from_voxels(
            values, quantity=QUANTITIES[key], mask=where, provenance=ktrans.provenance
        )
        for key, values in new.items()
    }
    return MapSet({"ktrans": ktrans, "ve": phantom.truth["ve"], **maps})


def _true_aif(injection: Injection, series: PerfusionSeries) -> ArterialInput:
    fine_s = STEP_S * np.arange(len(injection.arterial))
    return ArterialInput(
        values=np.interp(series.time.seconds, fine_s, injection.arterial),
        time=series.time,
        quantity=CONCENTRATION,
        method="simulated truth",
        provenance=series.provenance,
        voxels=np.zeros((0, 3), np.int64),
        score=1.0,
    )

"""How well arteries are picked in simulated series whose arteries are known."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bolus import quantify
from bolus.core import ArterialInput, Mask, PerfusionSeries, stream
from bolus.errors import BolusError
from bolus.metrics.agreement import Agreement, icc_2_1
from bolus.quantify.aif_shape import AifBias, AifShape, aif_bias, aif_shape
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.simulate.dce import simulate_dce
from bolus.simulate.fleet import Scanner, draw_scanners
from bolus.simulate.patient import (
    PatientSettings,
    forward_model,
    injected_bolus,
    simulate_patient,
)
from bolus.simulate.phantom import HeadPose
from bolus.simulate.physics import QUADRATIC_BLOOD, Relaxivities, relaxivities_at
from bolus.simulate.profile import draw_profile
from bolus.simulate.scanner import inject, vessel_signal
from bolus.simulate.tissues import ARTERY, VEIN
from bolus.simulate.vessels import VESSELS, lay_tubes
from bolus.workflows.network_artery import NETWORK, proposed_artery

if TYPE_CHECKING:
    from bolus.core import Weights
    from bolus.nets.artery_fit import ArteryExam

SEEN_RESIDUES = ("gamma", "exponential")
UNSEEN_RESIDUE, UNSEEN_BOLUS = "boxcar", "lagged normal"
_TURN_DEG = (4.0, 1.5, 2.0)
_SHIFT_MM = (1.5, 3.0, 3.0)
"""Between two visits, as the positions of `session`."""
_PURE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArteryScan:
    """A series as pickers get it, and what is known of it.

    `series` is ΔR2* or concentration. `artery` and `vein` are shares of every voxel; `truth` is
    the curve of pure arterial blood at the carotid, without noise, in the unit of the series.
    """

    kind: str
    subject: int
    visit: int
    series: PerfusionSeries
    brain: Mask
    timing: "quantify.BolusTiming | quantify.Enhancement"
    artery: np.ndarray
    vein: np.ndarray
    truth: np.ndarray

    @property
    def exam(self) -> "ArteryExam":
        """What a network learns from."""
        from bolus.nets.artery_fit import ArteryExam

        return ArteryExam(
            values=self.series.values, times_s=self.series.time.seconds,
            brain=self.brain.values, kind=self.kind, share=self.artery,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What differs from the scans of the training.

    `unseen` has another bolus and residue. `motion` is the share of the patient's motion that is
    left: pickers get series as they are. `snr` stands in place of the scanners' own. With
    `quadratic`, ΔR2* of arterial blood follows `QUADRATIC_BLOOD`, not a line. Without `inflow`
    arterial blood is as saturated as tissue in DCE.
    """

    unseen: bool = False
    motion: float = 1.0
    snr: float | None = None
    quadratic: bool = False
    inflow: bool = True


USUAL = Conditions()
Picker = Callable[[ArteryScan], ArterialInput]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pick:
    """What one picker took of one scan: shares of artery and vein of its voxels, and its curve."""

    scan: tuple[str, int, int]
    method: str
    artery: np.ndarray
    vein: np.ndarray
    shape: AifShape
    bias: AifBias
    correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PickScore:
    """One picker on scans of one kind; shares and relative errors are fractions [1].

    `proposed` counts scans whose voxels a network proposed, `failed` those without any artery.
    `precise` is the share of picked voxels that are more than half artery, `venous` of those with
    more vein than artery. Errors are medians without sign, of the shape of the mean curve.
    `peak_icc` and `area_icc` compare two visits of a patient.
    """

    kind: str
    scans: int
    proposed: int
    failed: int
    precise: float
    share: float
    venous: float
    correlation: float
    peak: float
    fwhm: float
    area: float
    peak_icc: Agreement
    area_icc: Agreement


def artery_scans(
    patients: int,
    *,
    seed: int,
    scanners: Sequence[Scanner],
    visits: int = 1,
    conditions: Conditions = USUAL,
) -> Iterator[ArteryScan]:
    """Simulate DSC and DCE scans of patients, one after the other.

    Args:
        patients: how many; dealt to scanners in turn.
        seed: of the patients.
        scanners: of a fleet.
        visits: of each patient, on one scanner; the head lies otherwise each time.
        conditions: that they are made under.
    """
    for n in range(patients):
        scanner = scanners[n % len(scanners)]
        for visit in range(visits):
            settings = _settings(n, visit, seed=seed, scanner=scanner, conditions=conditions)
            yield _dsc(settings, n, visit)
            yield _dce(settings, scanner, n, visit, inflow=conditions.inflow)


def network_picker(weights: "Weights", *, voxels: int = 10) -> Picker:
    """Return the picker by a network, with the search where it proposes nothing.

    Args:
        weights: of `fit_artery`.
        voxels: that are averaged.
    """

    def picked(scan: ArteryScan) -> ArterialInput:
        found = proposed_artery(
            scan.series, scan.brain, scan.timing, voxels=voxels, weights=weights
        )
        return found or searched_artery(scan)

    return picked


def searched_artery(scan: ArteryScan) -> ArterialInput:
    """Return what the deterministic search finds."""
    if isinstance(scan.timing, quantify.BolusTiming):
        return quantify.find_aif(scan.series, scan.brain, scan.timing)
    return quantify.find_dce_aif(scan.series, scan.brain, scan.timing)


def scaled_to_vein(picker: Picker) -> Picker:
    """Return a picker whose DCE curves have the scale of a vein, as `bolus dce` gives it to them.

    Args:
        picker: of arteries.
    """

    def picked(scan: ArteryScan) -> ArterialInput:
        artery = picker(scan)
        if isinstance(scan.timing, quantify.BolusTiming):
            return artery
        vein = quantify.find_dce_vein(scan.series, scan.brain, scan.timing, artery)
        return quantify.scale_to_vein(artery, vein)[0]

    return picked


def pick_of(scan: ArteryScan, picker: Picker) -> Pick | None:
    """Judge what a picker takes of a scan; None where it finds nothing.

    Args:
        scan: with known arteries.
        picker: to be judged.
    """
    try:
        found = picker(scan)
        seconds = scan.series.time.seconds
        curve = found.values - found.values[scan.timing.baseline].mean()
        first = _first_frame(scan)
        curve, truth, seconds = curve[first:], scan.truth[first:], seconds[first:]
        shape, bias = aif_shape(curve, seconds), aif_bias(curve, truth, seconds)
    except BolusError:
        return None
    place = tuple(found.voxels.T)
    return Pick(
        scan=(scan.kind, scan.subject, scan.visit),
        method=found.method,
        artery=scan.artery[place],
        vein=scan.vein[place],
        shape=shape,
        bias=bias,
        correlation=float(np.corrcoef(curve, truth)[0, 1]),
    )


def score_picks(kind: str, picks: Sequence[Pick | None]) -> PickScore:
    """Summarise what a picker took of scans of one kind.

    Args:
        kind: of the scans.
        picks: of all of them, None where nothing was found.
    """
    held = [p for p in picks if p is not None]
    artery = np.concatenate([p.artery for p in held])
    vein = np.concatenate([p.vein for p in held])

    def middle(name: str) -> float:
        return float(np.median([abs(getattr(p.bias, name)) for p in held]))

    return PickScore(
        kind=kind, scans=len(picks), proposed=sum(p.method == NETWORK for p in held),
        failed=len(picks) - len(held),
        precise=float((artery > _PURE).mean()), share=float(artery.mean()),
        venous=float((vein > artery).mean()),
        correlation=float(np.median([p.correlation for p in held])),
        peak=middle("peak"), fwhm=middle("fwhm"), area=middle("area"),
        peak_icc=_between_visits(held, "peak"), area_icc=_between_visits(held, "area"),
    )  # fmt: skip


def study_pickers(
    scans: Iterable[ArteryScan], pickers: Mapping[str, Picker]
) -> dict[tuple[str, str], PickScore]:
    """Judge pickers on the same scans, taken one by one.

    Args:
        scans: with known arteries.
        pickers: by name.

    Returns:
        A score by kind of scan and name.
    """
    picks: dict[tuple[str, str], list[Pick | None]] = {}
    for scan in scans:
        for name, picker in pickers.items():
            picks.setdefault((scan.kind, name), []).append(pick_of(scan, picker))
    return {key: score_picks(key[0], found) for key, found in picks.items()}


def _between_visits(picks: Sequence[Pick], name: str) -> Agreement:
    """Return ICC(2,1) of one figure of the curve, over patients seen twice."""
    first = {p.scan[1]: getattr(p.shape, name) for p in picks if p.scan[2] == 0}
    second = {p.scan[1]: getattr(p.shape, name) for p in picks if p.scan[2] == 1}
    both = sorted(first.keys() & second.keys())
    if len(both) < 3:
        return Agreement(value=np.nan, low=np.nan, high=np.nan, count=len(both))
    return icc_2_1(np.array([[first[n], second[n]] for n in both]))


def _first_frame(scan: ArteryScan) -> int:
    """Return the first frame in the steady state."""
    return scan.timing.steady if isinstance(scan.timing, quantify.BolusTiming) else 0


def _settings(
    number: int, visit: int, *, seed: int, scanner: Scanner, conditions: Conditions
) -> PatientSettings:
    profile, own = draw_profile(seed, number), scanner.disturbances
    body = profile.physiology
    residue = SEEN_RESIDUES[number % len(SEEN_RESIDUES)]
    if conditions.unseen:
        body, residue = replace(body, family=UNSEEN_BOLUS), UNSEEN_RESIDUE
    share = conditions.motion
    disturbances = replace(
        own, snr=conditions.snr or own.snr, translation_mm=share * own.translation_mm,
        rotation_deg=share * own.rotation_deg, nod_deg=share * own.nod_deg,
    )  # fmt: skip
    settings = PatientSettings(
        seed=profile.seed, scan=visit, protocol=scanner.dsc, physiology=body,
        disturbances=disturbances, glioma=profile.glioma, tissues=profile.tissues,
        residue=residue, relaxivities=_quadratic(scanner) if conditions.quadratic else None,
    )  # fmt: skip
    return replace(settings, pose=_pose(settings.head_pose, profile.seed, visit))


def _quadratic(scanner: Scanner) -> Relaxivities:
    field = scanner.dsc.field_strength_t
    nearest = min(QUADRATIC_BLOOD, key=lambda known: abs(known - field))
    linear, square = QUADRATIC_BLOOD[nearest]
    return replace(relaxivities_at(field), blood_linear=linear, blood_quadratic=square)


def _pose(first: HeadPose, seed: int, visit: int) -> HeadPose:
    """Return how the head lies at a visit; as drawn for the first."""
    if visit == 0:
        return first
    random = stream(seed, "artery", "pose", str(visit))
    turn, shift = random.normal(0.0, _TURN_DEG), random.normal(0.0, _SHIFT_MM)
    a, b, c = (float(x) for x in np.add(first.rotation_deg, turn))
    x, y, z = (float(x) for x in np.add(first.shift_mm, shift))
    return HeadPose(rotation_deg=(a, b, c), shift_mm=(x, y, z), scale=first.scale)


def _dsc(settings: PatientSettings, number: int, visit: int) -> ArteryScan:
    patient = simulate_patient(settings)
    timing = quantify.find_bolus(patient.signal, patient.brain)
    series = quantify.signal_to_delta_r2s(
        patient.signal, baseline=timing.baseline, mask=patient.brain
    )
    model, protocol = forward_model(settings), settings.protocol
    pure = vessel_signal(
        inject(injected_bolus(settings), protocol), model, delay_s=np.zeros(1), venous=False
    )[0, 0]
    level = pure[timing.baseline].mean()
    return ArteryScan(
        kind="dsc", subject=number, visit=visit, series=series, brain=patient.brain,
        timing=timing, **_vessels(settings, series),
        truth=-np.log(pure / level) / protocol.echo_times_s[0],
    )  # fmt: skip


def _dce(
    settings: PatientSettings, scanner: Scanner, number: int, visit: int, *, inflow: bool
) -> ArteryScan:
    scan = simulate_dce(settings, scanner.dce, inflow=inflow)
    timing = quantify.find_enhancement(scan.signal, scan.brain)
    fit = quantify.fit_flip_angles(
        np.stack([image[scan.brain.values] for image in scan.vfa], axis=-1).astype(np.float64),
        flip_angles_deg=scan.protocol.vfa_deg,
        repetition_time_s=scan.protocol.repetition_time_s,
        b1=scan.b1[scan.brain.values],
    )
    r10 = quantify.r10_map(
        fit, mask=scan.brain, provenance=scan.signal.provenance, method="flip angles"
    )
    series, _ = quantify.signal_to_concentration(
        scan.signal, r10=r10, sequence=SpoiledGradientEcho.of(scan.signal.acquisition),
        r1_per_mmolar_s=relaxivities_at(scan.protocol.field_strength_t).r1,
        baseline=timing.baseline, mask=scan.brain, b1=scan.b1,
    )  # fmt: skip
    return ArteryScan(
        kind="dce", subject=number, visit=visit, series=series, brain=scan.brain, timing=timing,
        **_vessels(settings, series),
        truth=scan.aif.values * (1 - settings.physiology.haematocrit_large),
    )  # fmt: skip


def _vessels(settings: PatientSettings, series: PerfusionSeries) -> dict[str, np.ndarray]:
    """Return the shares of large artery and vein in every voxel."""
    place = settings.head_pose.affine
    artery, vein = (
        lay_tubes(VESSELS[name], to_scanner=place, grid=series.grid)[0] for name in (ARTERY, VEIN)
    )
    return {"artery": artery, "vein": np.minimum(vein, 1 - artery)}


def artery_fleet(
    count: int, *, seed: int, shape: tuple[int, int, int] = (96, 96, 20)
) -> tuple[Scanner, ...]:
    """Return scanners of a fleet.

    Args:
        count: how many.
        seed: of the fleet.
        shape: matrix of the first.
    """
    return draw_scanners(count, seed=seed, shape=shape)

"""From signal to maps on simulated patients: with the true artery, and with those users have."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus import quantify
from bolus.core import ArterialInput, MapSet
from bolus.preprocess import baseline_image
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.report import DceFindings
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate import (
    DCE_PROTOCOLS,
    QUIET,
    DceProtocol,
    PatientSettings,
    SimulatedDce,
    relaxivities_at,
    simulate_dce,
)
from bolus.simulate.tissues import TISSUES
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce import DceScan, quantify_dce
from bolus.workflows.dce_artery import Enhanced
from bolus.workflows.dce_fitting import fit_brain
from bolus.workflows.dce_t10 import FlipAngleImage, NativeT1, native_rate
from bolus.workflows.gates_dce_models import LABELS
from bolus.workflows.gates_dsc_brain import quantify_exam, simulate_exam
from bolus.workflows.gates_request import GOALS, GateRequest
from bolus.workflows.progress import Progress, stage

LARGEST_ERROR_PERCENT = 3.0
LEAST_LEAK_PER_MIN = 0.01
REGIONS = ("hypovascular", "hypervascular")
"""Parts of the tumour that leak and hold blood."""
KEYS = ("ktrans", "ve", "vp")

_PROTOCOL = "spgr_3t"
_AT_ONCE_S = 0.05
_SOURCE = f"limit: {GOALS}; kinetics: Tofts et al., J Magn Reson Imaging 1999;10:223"
_OBJECT = "simulated tumour, pure voxels"
_COLUMNS = tuple(f"{LABELS[key]}{word}" for key in KEYS for word in (", mean", ", abs."))
_WAY = "true artery, extended Tofts"
_TRANSIT = "simulated tumour, pure voxels, own transit times"
_EXAM = "simulated DCE exam"
ARTERIES: Mapping[str, str] = MappingProxyType(
    {
        "auto": "artery of the scan, scaled to its vein",
        "dsc": "artery of the DSC scan, scaled to the vein",
        "parker": "population (Parker)",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """A simulated scan and the maps found from its signal."""

    scan: SimulatedDce
    found: MapSet

    def region_error(self, region: str, key: str) -> float:
        """Return the error [%] of a parameter's mean within a part; NaN where it has no voxel."""
        found, truth = self.found[key].values, self.scan.truth[key].values
        use = self.scan.tumour.mask(region).values & np.isfinite(found) & np.isfinite(truth)
        use &= (self.scan.truth["ktrans"].values > LEAST_LEAK_PER_MIN) | (key == "vp")
        if not use.any():
            return float("nan")
        return float(100 * (found[use].mean() / truth[use].mean() - 1))

    def errors(self, region: str) -> dict[str, tuple[float, float]]:
        """Return mean and mean absolute error [%] of every parameter within a part of the tumour.

        Ktrans and ve count where true Ktrans is above `LEAST_LEAK_PER_MIN`. A voxel without an
        answer makes both infinite.
        """
        inside = self.scan.tumour.mask(region).values
        truth = {key: self.scan.truth[key].values for key in KEYS}
        result = {}
        for key in KEYS:
            use = inside & np.isfinite(truth[key]) & (truth[key] > 0)
            use &= (truth["ktrans"] > LEAST_LEAK_PER_MIN) | (key == "vp")
            error = 100 * (self.found[key].values[use] / truth[key][use] - 1)
            held = error.size > 0 and bool(np.isfinite(error).all())
            sizes = (float(error.mean()), float(np.abs(error).mean())) if held else (np.inf, np.inf)
            result[key] = sizes
        return result


def pure_scan(request: GateRequest, *, at_once: bool = True) -> SimulatedDce:
    """Simulate a scan without noise, motion, drift, coil, B1, inflow, T2* and partial volume.

    Args:
        request: seed and grid.
        at_once: whether plasma passes the capillaries at once and without delay, as the extended
            Tofts model says; else as in the simulator's tissues (5 to 8 s).
    """
    models = TISSUES
    if at_once:
        models = {
            name: dataclasses.replace(model, mtt_s=_AT_ONCE_S, delay_s=0.0)
            for name, model in TISSUES.items()
        }
    pure = dataclasses.replace(
        relaxivities_at(3.0), r2s_vascular=0.0, extravascular_scale=0.0, blood_linear=0.0
    )
    settings = PatientSettings(
        seed=request.seed, disturbances=QUIET, partial_volume=False, relaxivities=pure,
        tissues=models,
    )  # fmt: skip
    return simulate_dce(settings, _protocol(request), b1=False, inflow=False)


def quantify_pure(scan: SimulatedDce, *, delay: str = "none") -> Chain:
    """Go from flip-angle images and signal to maps with the true arterial plasma curve.

    Args:
        scan: of `pure_scan`.
        delay: as in the settings: "none", or "patient" for delay and dispersion of the brain.
    """
    series = scan.signal
    timing = quantify.find_enhancement(series, scan.brain)
    anatomy = baseline_image(series, timing.baseline)
    r10 = native_rate(native_images(scan), series, anatomy, scan.brain, align=False)
    sequence = SpoiledGradientEcho.of(series.acquisition)
    relaxivity = relaxivities_at(scan.protocol.field_strength_t).r1
    concentration, status = quantify.signal_to_concentration(
        series, r10=r10, sequence=sequence, r1_per_mmolar_s=relaxivity, baseline=timing.baseline
    )
    enhanced = Enhanced(
        concentration=concentration, timing=timing, sequence=sequence, r1_per_mmolar_s=relaxivity
    )
    config = config_with(Config(), "dce", {"delay": delay})
    fitted = fit_brain(enhanced, status, scan.brain, scan.aif, config)
    return Chain(scan=scan, found=MapSet({m.quantity.key: m for m in fitted.maps}))


def usual_scan(request: GateRequest) -> SimulatedDce:
    """Simulate a scan with noise, motion, B1, inflow and partial volume."""
    return simulate_dce(PatientSettings(seed=request.seed), _protocol(request))


def quantify_scan(
    scan: SimulatedDce, *, aif: str = "auto", dsc: ArterialInput | None = None
) -> DceFindings:
    """Run the whole main job on a simulated scan.

    Args:
        scan: the simulated scan.
        aif: of the settings.
        dsc: arterial ΔR2* of the same patient's DSC.
    """
    job = DceScan(
        label="", signal=scan.signal, native=native_images(scan), tumour=scan.tumour, dsc_aif=dsc
    )
    return quantify_dce(job, config_with(Config(), "dce", {"aif": aif}), created="")


def chain_parts(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure gate 3 from signal to maps and gate 6, and tabulate the arteries that users have.

    Args:
        request: seed and grid.
        progress: told about every exam.
    """
    with stage(progress, "DCE signal to maps"):
        chains = {
            (name, delay): quantify_pure(scan, delay=delay)
            for name, scan in (
                (_OBJECT, pure_scan(request)),
                (_TRANSIT, pure_scan(request, at_once=False)),
            )
            for delay in ("none", "patient")
        }
    with stage(progress, "DCE whole exam"):
        scan = usual_scan(request)
        arteries = request.profile.dce_arteries
        dsc = _dsc_artery(request) if "dsc" in arteries else None
        found = {aif: quantify_scan(scan, aif=aif, dsc=dsc) for aif in arteries}
    with stage(progress, "DCE the same again"):
        again = quantify_scan(scan, aif=arteries[0], dsc=dsc)
    return _chain_part(chains), _exam_part(scan, found, again)


def _chain_part(chains: Mapping[tuple[str, str], Chain]) -> Part:
    return Part(
        title="From signal to maps",
        text=(
            "Flip-angle images and a series of 4 s a frame, without noise, motion, B1, inflow and "
            "partial volume, become T1, concentration and maps with the true arterial plasma "
            "curve at the frames. The gates are for plasma that arrives at once, as the extended "
            "Tofts model says. The table has the simulator's own transit times besides (5 to 8 s "
            "in capillaries): what is wrong there is the model, not its arithmetic."
        ),
        gates=tuple(
            Gate(
                name=f"{LABELS[key]}, signal to map",
                what=f"mean absolute error of {LABELS[key]} over the voxels of a part",
                object=f"{_OBJECT}, {region}",
                method=_WAY,
                value=chains[_OBJECT, "none"].errors(region)[key][1],
                unit="%",
                high=LARGEST_ERROR_PERCENT,
                source=_SOURCE,
            )
            for region in REGIONS
            for key in KEYS
        ),
        tables=(
            ErrorTable(
                title="Signal to maps with the true artery",
                text="Mean error and mean absolute error over the voxels of a part.",
                columns=_COLUMNS,
                absolute=_COLUMNS[1::2],
                rows=tuple(
                    ErrorRow(
                        object=f"{name}, {region}",
                        method=f"extended Tofts, delay {delay}",
                        errors=_flat(chain.errors(region)),
                    )
                    for (name, delay), chain in chains.items()
                    for region in REGIONS
                ),
            ),
        ),
    )


def _exam_part(scan: SimulatedDce, found: Mapping[str, DceFindings], again: DceFindings) -> Part:
    truth = quantify.between_samples(scan.aif)
    rows = []
    for aif, findings in found.items():
        chain = Chain(scan=scan, found=findings.maps)
        plasma = np.interp(truth.time.seconds, findings.aif.time.seconds, findings.aif.values)
        area = float(100 * (plasma.sum() / truth.values.sum() - 1))
        rows += [
            ErrorRow(
                object=f"{_EXAM}, {region}",
                method=ARTERIES[aif],
                errors=(*(chain.region_error(region, key) for key in KEYS), area),
            )
            for region in REGIONS
        ]
    return Part(
        title="DCE exam with the arteries users have",
        text=(
            "The whole main job with its default settings on a scan with noise, motion, B1, inflow "
            "and partial volume. Inflow and partial volume make measured arteries wrong, and "
            "everything in proportion with them: the table says by how much. It is no gate."
        ),
        gates=(
            Gate(
                name="the same scan twice",
                what="largest difference of any voxel of any map",
                object=_EXAM,
                method="whole exam",
                value=largest_difference(next(iter(found.values())).maps, again.maps),
                low=0.0,
                high=0.0,
                source=f"limit: {GOALS}",
            ),
        ),
        tables=(
            ErrorTable(
                title="Tumour by arterial input",
                text=(
                    "Error of the mean over the voxels of a part in which both have a value, and "
                    "error of the area under the arterial plasma curve."
                ),
                columns=(*(LABELS[key] for key in KEYS), "area of the artery"),
                rows=tuple(rows),
            ),
        ),
    )


def largest_difference(first: MapSet, second: MapSet) -> float:
    """Return the largest absolute difference of any voxel of any map; a lost voxel is infinite."""
    if set(first) != set(second):
        return float("inf")
    pairs = [(first[key].values, second[key].values) for key in first]
    if not all(np.array_equal(np.isnan(a), np.isnan(b)) for a, b in pairs):
        return float("inf")
    return max(float(np.abs(a - b)[~np.isnan(a)].max(initial=0.0)) for a, b in pairs)


def _dsc_artery(request: GateRequest) -> ArterialInput:
    made = simulate_exam("preload_60", seed=request.seed, profile=request.profile)
    return quantify_exam(made).aif


def _flat(errors: Mapping[str, tuple[float, float]]) -> tuple[float, ...]:
    return tuple(value for pair in errors.values() for value in pair)


def _protocol(request: GateRequest) -> DceProtocol:
    shape, voxel_mm = request.profile.dce_shape, request.profile.dce_voxel_mm
    return dataclasses.replace(DCE_PROTOCOLS[_PROTOCOL], shape=shape, voxel_mm=voxel_mm)


def native_images(scan: SimulatedDce) -> NativeT1:
    """Return the flip-angle images of a simulated scan, and its true flip angles.

    Args:
        scan: of `simulate_dce`.
    """
    images = tuple(
        FlipAngleImage(
            values=values, flip_angle_deg=angle, repetition_time_s=scan.protocol.repetition_time_s
        )
        for values, angle in zip(scan.vfa, scan.protocol.vfa_deg, strict=True)
    )
    return NativeT1(images=images, b1=scan.b1)

"""One DCE series, from signal to findings: reads like the methods section of a paper."""

from dataclasses import dataclass, replace

import numpy as np

from bolus import __version__, preprocess, quantify
from bolus.core import (
    ArterialInput,
    Assumed,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
)
from bolus.errors import Code, MetadataError
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.report import DceFindings, quality_figures
from bolus.workflows.config import Config
from bolus.workflows.dce_artery import Artery, Enhanced, find_artery
from bolus.workflows.dce_fitting import Fitted, area_maps, example_voxels, fit_brain
from bolus.workflows.dce_intervals import fitted_maps, kinetic_maps, network_findings
from bolus.workflows.dce_t10 import NativeT1, native_rate, t10_map
from bolus.workflows.dsc import ASSUMED_LARGE
from bolus.workflows.gathered import empty_mask, joined_history, joined_mask, region_rows
from bolus.workflows.mirrored import DCE_KEYS, warn_of_mirrored
from bolus.workflows.notices import collected
from bolus.workflows.progress import Progress, silent, stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceScan:
    """One DCE exam in core types: the series, T1, and what the user already has.

    `aif` is the user's own arterial curve, `dsc_aif` the arterial ΔR2* of the same patient's DSC.
    """

    label: str
    signal: PerfusionSeries
    native: NativeT1
    brain: Mask | None = None
    white_matter: Mask | None = None
    tumour: LabelMap | None = None
    aif: ArterialInput | None = None
    dsc_aif: ArterialInput | None = None
    notices: tuple[str, ...] = ()
    own: bool = False
    """Nobody else holds the series: its memory is reused, and it is gone afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What whole images were needed for, and the voxels that are asked about."""

    brain: Mask
    asked: Mask
    timing: quantify.Enhancement
    motion: preprocess.MotionCorrection
    anatomy: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Measured:
    """The series free of motion, T1, and its concentration.

    Curves that are not needed any more are 0, and take no memory.
    """

    signal: PerfusionSeries
    brain: Mask
    anatomy: np.ndarray
    motion: preprocess.MotionCorrection
    quality: preprocess.SeriesQuality
    r10: ParameterMap | Assumed
    enhanced: Enhanced
    status: np.ndarray
    """FitStatus (x, y, z) of the concentration."""
    areas: tuple[ParameterMap, ...]
    """What needs no model."""


def quantify_dce(
    scan: DceScan, config: Config, *, created: str, progress: Progress = silent
) -> DceFindings:
    """Turn a scan into maps, numbers and everything its report shows.

    Args:
        scan: the series with T1, and masks, labels and artery where the user gave them.
        config: settings; unpacked here and nowhere below.
        created: when, as text for the report.
        progress: told about every stage.

    Raises:
        BolusError: the series is not DCE, or something that has no default is missing.
    """
    from threadpoolctl import threadpool_limits

    notices = list(scan.notices)
    # One thread: sums of floats are then added in the same order on every machine.
    with collected(notices), threadpool_limits(1):
        relaxivity_of_scan(scan.signal, config)  # what is missing is said before the slow part
        motion = preprocess.correct_motion(
            scan.signal,
            enabled=config.dce.motion_correction,
            overwrite=scan.own,
            progress=lambda done, total: progress("Motion", done, total),
        )
        scan = replace(scan, signal=motion.series)  # lets go of the series as it came
        scan, found = _found(scan, motion, progress)
        del motion  # and of the voxels that nobody asks about
        scan, measured = _measure(scan, found, config, progress)
        del found
        with stage(progress, "Arterial input"):
            artery = find_artery(
                measured.enhanced, measured.brain, config, haematocrit=_haematocrit(config),
                given=scan.aif, dsc=scan.dsc_aif,
            )  # fmt: skip
        with stage(progress, "Model"):
            fitted = fit_brain(
                measured.enhanced, measured.status, measured.brain, artery.plasma, config
            )
        maps, network = _completed(measured, fitted), None
        if config.dce.intervals == "network":
            with stage(progress, "Intervals"):
                said = kinetic_maps(
                    measured.enhanced, measured.status, measured.brain, artery.plasma
                )
                lesion = scan.tumour.foreground if scan.tumour else None
                normal = measured.brain if lesion is None else measured.brain.without(lesion)
                network = network_findings(said, maps, tumour=scan.tumour, normal=normal)
                maps = maps.with_maps(*said.maps)
        warn_of_mirrored(maps, scan.tumour, measured.brain, DCE_KEYS)
    findings = _findings(
        scan, measured, artery, fitted, maps, config=config, remarks=(created, tuple(notices))
    )
    return replace(findings, network=network)


def _found(
    scan: DceScan, motion: preprocess.MotionCorrection, progress: Progress
) -> tuple[DceScan, _Found]:
    """Return the scan without the voxels that nobody asks about, and what needed them."""
    with stage(progress, "Brain and arrival"):
        brain = scan.brain or preprocess.find_brain(scan.signal)
        timing = quantify.find_enhancement(scan.signal, brain)
        anatomy = preprocess.baseline_image(scan.signal, timing.baseline)
        tumour = scan.tumour.foreground if scan.tumour else None
        asked = joined_mask(brain, scan.white_matter, tumour)
        signal = scan.signal.within(asked)
    found = _Found(
        brain=brain, asked=asked, timing=timing, anatomy=anatomy,
        motion=replace(motion, series=signal),
    )  # fmt: skip
    return replace(scan, signal=signal), found


def _measure(
    scan: DceScan, found: _Found, config: Config, progress: Progress
) -> tuple[DceScan, _Measured]:
    """Return the scan with the signal of the tumour alone, and all that was made of the rest."""
    sequence = SpoiledGradientEcho.of(scan.signal.acquisition)
    relaxivity = relaxivity_of_scan(scan.signal, config)
    signal, brain, timing, anatomy = scan.signal, found.brain, found.timing, found.anatomy
    with stage(progress, "T1, concentration"):
        quality = preprocess.measure_quality(signal, brain, timing.baseline)
        r10 = native_rate(scan.native, signal, anatomy, brain, align=config.dce.motion_correction)
        concentration, status = quantify.signal_to_concentration(
            signal, r10=r10, sequence=sequence, r1_per_mmolar_s=relaxivity,
            baseline=timing.baseline, mask=found.asked, b1=scan.native.b1,
        )  # fmt: skip
        enhanced = Enhanced(
            concentration=concentration, timing=timing, sequence=sequence,
            r1_per_mmolar_s=relaxivity,
        )  # fmt: skip
        areas = area_maps(signal, enhanced, brain)
        kept = signal.within(scan.tumour.foreground if scan.tumour else empty_mask(brain))
    return replace(scan, signal=kept), _Measured(
        signal=kept,
        brain=brain,
        anatomy=anatomy,
        motion=replace(found.motion, series=kept),
        quality=quality,
        r10=r10,
        enhanced=enhanced,
        status=status,
        areas=areas,
    )


def relaxivity_of_scan(signal: PerfusionSeries, config: Config) -> float:
    """Return r1 [1/s per mM]: as stated in the settings, else of the agent at the field.

    Raises:
        MetadataError: neither is known, or the agent is not in the table.
    """
    if config.dce.relaxivity_per_mmolar_s is not None:
        return config.dce.relaxivity_per_mmolar_s
    agent = signal.acquisition.contrast_agent
    if agent is None or signal.acquisition.field_strength_t is None:
        lacking = "contrast agent" if agent is None else "field strength"
        raise MetadataError(
            Code.METADATA_MISSING,
            f"the relaxivity is not known, for the {lacking} is not",
            mend='give --relaxivity, or "ContrastAgentName" and "MagneticFieldStrength" in the '
            "sidecar",
        )
    field = signal.acquisition.require("field_strength_t")
    return quantify.relaxivity_of(agent, field_strength_t=field, medium="plasma").r1_per_mmolar_s


def _haematocrit(config: Config) -> float | Assumed:
    return config.patient.haematocrit_large_vessels or ASSUMED_LARGE


def _completed(measured: _Measured, fitted: Fitted) -> MapSet:
    """Join the maps of the model with T10 and the areas that need no model."""
    native = [t10_map(measured.r10)] if isinstance(measured.r10, ParameterMap) else []
    return MapSet({}).with_maps(*fitted.maps, *native, *measured.areas)


def _findings(
    scan: DceScan,
    measured: _Measured,
    artery: Artery,
    fitted: Fitted,
    maps: MapSet,
    *,
    config: Config,
    remarks: tuple[str, tuple[str, ...]],
) -> DceFindings:
    brain = measured.brain
    lesion = scan.tumour.foreground.within(brain) if scan.tumour else None
    outside = brain if lesion is None else brain.without(lesion)
    normal = scan.white_matter or outside
    others = {"brain without the tumour" if lesion else "brain": outside}
    if scan.white_matter is not None:
        others["normal-appearing white matter"] = scan.white_matter
    searched = {"quantify.signal_to_concentration": "quantify.find_enhancement"}
    if scan.brain is None:
        searched["quantify.find_enhancement"] = "preprocess.find_brain"
    concentration = measured.enhanced.concentration
    determined = quantify.determined_maps(fitted_maps(maps))
    return DceFindings(
        label=scan.label,
        version=__version__,
        created=remarks[0],
        signal=measured.signal,
        concentration=concentration,
        anatomy=measured.anatomy,
        enhancement=measured.enhanced.timing,
        aif=artery.plasma,
        measured_aif=artery.measured,
        vein=artery.vein,
        vein_scale=artery.scale,
        brain=brain,
        maps=maps,
        model=config.dce.model,
        chosen=fitted.chosen,
        provenance=joined_history(maps, searched),
        white_matter=scan.white_matter,
        tumour=scan.tumour,
        regions=region_rows(determined, tumour=scan.tumour, others=others),
        examples=example_voxels(fitted, concentration, tumour=lesion, normal=normal),
        motion=measured.motion if not measured.motion.skipped else None,
        motion_skipped=measured.motion.skipped,
        quality=quality_figures(measured.quality),
        warnings=remarks[1],
        assumptions=_assumptions(scan, measured, artery, config),
        settings=config.dce.model_dump(),
    )


def _assumptions(
    scan: DceScan, measured: _Measured, artery: Artery, config: Config
) -> tuple[tuple[str, Assumed], ...]:
    found = [*scan.signal.acquisition.assumed(), *artery.assumed]
    if isinstance(measured.r10, Assumed):
        found.append(("R10 of all voxels [1/s]", measured.r10))
    haematocrit = _haematocrit(config)
    in_plasma = scan.aif is not None and config.dce.aif_medium == "plasma"
    if isinstance(haematocrit, Assumed) and not in_plasma:
        found.append(("haematocrit, large vessels", haematocrit))
    return tuple(found)

"""One DSC series, from signal to findings: reads like the methods section of a paper."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

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
    Provenance,
)
from bolus.errors import Code, MetadataError
from bolus.report import DscFindings, LeakageComparison, TissueRatio, quality_figures
from bolus.workflows.config import Config
from bolus.workflows.gathered import empty_mask, joined_history, joined_mask, region_rows
from bolus.workflows.mirrored import DSC_KEYS, warn_of_mirrored
from bolus.workflows.network_artery import dsc_artery
from bolus.workflows.notices import collected
from bolus.workflows.progress import Progress, silent, stage

_REMPP = "Rempp et al., Radiology 1994;193:637-641"
ASSUMED_LARGE = Assumed(value=0.45, reason="haematocrit of the patient not given", source=_REMPP)
ASSUMED_SMALL = Assumed(value=0.25, reason="haematocrit of capillaries not given", source=_REMPP)
ASSUMED_RELAXIVITY = Assumed(
    value=1.0,
    reason="absolute CBV, CBF are not calibrated: blood and tissue differ in r2*; ratios are sound",
    source="Kjølby et al., Magn Reson Med 2006;56:187-197",
)

HEALTHY_RATIOS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"cbv": (1.8, 2.8), "cbf": (1.9, 3.4)}
)
"""Grey-to-white-matter ratios of a healthy brain: a flag in the report, never a rescale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DscScan:
    """One DSC exam in core types: the series, and what the user already has."""

    label: str
    signal: PerfusionSeries
    second_echo: PerfusionSeries | None = None
    brain: Mask | None = None
    white_matter: Mask | None = None
    tumour: LabelMap | None = None
    aif: ArterialInput | None = None
    notices: tuple[str, ...] = ()
    own: bool = False
    """Nobody else holds the series: their memory is reused, and they are gone afterwards."""

    @property
    def lesion(self) -> Mask | None:
        """All of the tumour, or None where none was given."""
        return self.tumour.foreground if self.tumour else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What whole images were needed for."""

    brain: Mask
    bolus: quantify.BolusTiming
    motion: preprocess.MotionCorrection
    anatomy: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """The series free of motion, its bolus, its ΔR2*, and the maps that need no artery.

    Curves that are not needed any more are 0, and take no memory.
    """

    signal: PerfusionSeries
    delta_r2s: PerfusionSeries
    brain: Mask
    bolus: quantify.BolusTiming
    motion: preprocess.MotionCorrection
    quality: preprocess.SeriesQuality
    anatomy: np.ndarray
    recovery: ParameterMap
    descriptors: tuple[ParameterMap, ...] = ()
    comparison: LeakageComparison | None = None


def quantify_dsc(
    scan: DscScan, config: Config, *, created: str, progress: Progress = silent
) -> DscFindings:
    """Turn a scan into maps, numbers and everything its report shows.

    Args:
        scan: the series, and masks, labels and artery where the user gave them.
        config: settings; unpacked here and nowhere below.
        created: when, as text for the report.
        progress: told about every stage.

    Raises:
        BolusError: the series is not DSC, or something that has no default is missing.
    """
    from threadpoolctl import threadpool_limits

    _require_echo_times(scan)
    notices = list(scan.notices)
    # One thread: sums of floats are then added in the same order on every machine.
    with collected(notices), threadpool_limits(1):
        scan, found = _still(scan, config, progress)
        scan, measured = _measure(scan, found, progress)
        del found  # and the signal with it
        with stage(progress, "Arterial input"):
            aif = _arterial_input(scan, measured, config)
        with stage(progress, "Leakage"):
            leakage = _without_leakage(scan, measured, config)
        with stage(progress, "Volume, white matter, descriptors"):
            cbv = quantify.blood_volume(
                leakage, aif, measured.brain, haematocrit=haematocrit_of(config)
            )
            white = _white_matter(scan, measured, cbv)
            measured = _described(scan, measured, leakage, white)
        with stage(progress, "Flow, transit time"):
            maps = _perfusion(measured, leakage, aif, cbv, config)
            maps = _completed(measured, leakage, white, maps)
            warn_of_mirrored(maps, scan.tumour, measured.brain, DSC_KEYS)
    return _findings(
        scan, measured, aif, leakage, white, maps, config=config, remarks=(created, tuple(notices))
    )


def _require_echo_times(scan: DscScan) -> None:
    """Refuse before the minutes of motion correction what would be refused after them."""
    for series in (scan.signal, scan.second_echo):
        if series is not None:
            series.acquisition.require("echo_time_s")


def _still(scan: DscScan, config: Config, progress: Progress) -> tuple[DscScan, _Found]:
    """Return the scan free of motion and without the voxels that nobody asks about."""
    motion = preprocess.correct_motion(
        scan.signal,
        enabled=config.dsc.motion_correction,
        overwrite=scan.own,
        progress=lambda done, total: progress("Motion", done, total),
    )
    with stage(progress, "Brain and bolus"):
        brain = scan.brain or preprocess.find_brain(motion.series)
        second = None
        if scan.second_echo is not None:
            second = preprocess.apply_motion(scan.second_echo, motion, overwrite=scan.own)
        # At a short echo time only arteries fall: the longer echo shows the bolus.
        bolus = quantify.find_bolus(second or motion.series, brain)
        anatomy = preprocess.baseline_image(motion.series, bolus.baseline)
        asked = joined_mask(brain, scan.white_matter, scan.lesion)
        signal = motion.series.within(asked)
        found = _Found(
            brain=brain, bolus=bolus, motion=replace(motion, series=signal), anatomy=anatomy
        )
        second = second.within(asked) if second is not None else None
        return replace(scan, signal=signal, second_echo=second), found


def _measure(scan: DscScan, found: _Found, progress: Progress) -> tuple[DscScan, Measured]:
    """Return the scan with the signal of the tumour alone, and all that was made of the rest."""
    brain, bolus, signal = found.brain, found.bolus, scan.signal
    with stage(progress, "Signal"):
        kept = signal.within(scan.lesion or empty_mask(brain))
        measured = Measured(
            signal=kept,
            delta_r2s=_rates(scan, bolus, joined_mask(brain, scan.white_matter, scan.lesion)),
            brain=brain,
            bolus=bolus,
            motion=replace(found.motion, series=kept),
            quality=preprocess.measure_quality(signal, brain, bolus.baseline),
            anatomy=found.anatomy,
            recovery=quantify.recovery_map(signal, brain, bolus),
        )
    return replace(scan, signal=kept, second_echo=None), measured


def _rates(scan: DscScan, bolus: quantify.BolusTiming, asked: Mask) -> PerfusionSeries:
    first, second = scan.signal, scan.second_echo
    if second is None:
        return quantify.signal_to_delta_r2s(first, baseline=bolus.baseline, mask=asked)
    return quantify.dual_echo_to_delta_r2s(first, second, baseline=bolus.baseline, mask=asked)


def _arterial_input(scan: DscScan, measured: Measured, config: Config) -> ArterialInput:
    if scan.aif is not None:
        return quantify.aif_from_curve(scan.aif, measured.delta_r2s, measured.bolus)
    way, voxels = config.dsc.aif, config.dsc.aif_voxels
    return dsc_artery(measured.delta_r2s, measured.brain, measured.bolus, way=way, voxels=voxels)


def _without_leakage(scan: DscScan, measured: Measured, config: Config) -> quantify.LeakageResult:
    rates, brain, baseline = measured.delta_r2s, measured.brain, measured.bolus.baseline
    if config.dsc.leakage_correction == "none":
        return quantify.integrate(rates, brain, baseline=baseline)
    return quantify.correct_leakage(
        rates,
        brain,
        reference=_leakage_reference(scan, measured),
        baseline=baseline,
        model=quantify.LEAKAGE_MODELS[config.dsc.leakage_correction](),
    )


def _leakage_reference(scan: DscScan, measured: Measured) -> Mask:
    """Find the reference; where the brain is too small for that, take the user's white matter."""
    try:
        return quantify.find_leakage_reference(
            measured.delta_r2s, measured.brain, measured.bolus, scan.lesion
        )
    except MetadataError as error:
        if error.code is not Code.REFERENCE_NOT_FOUND or scan.white_matter is None:
            raise
        return scan.white_matter


def _described(
    scan: DscScan, measured: Measured, leakage: quantify.LeakageResult, white: Mask
) -> Measured:
    """Do the last that needs ΔR2* as it was measured, and keep the curves that are shown."""
    rates = measured.delta_r2s
    return replace(
        measured,
        descriptors=tuple(quantify.descriptor_maps(rates, measured.brain, measured.bolus).values()),
        comparison=_comparison(measured, leakage, white, scan.lesion),
        delta_r2s=rates.within(joined_mask(white, scan.lesion)),
    )


def _perfusion(
    measured: Measured,
    leakage: quantify.LeakageResult,
    aif: ArterialInput,
    cbv: ParameterMap,
    config: Config,
) -> MapSet:
    brain, haematocrit = measured.brain, haematocrit_of(config)
    maps = MapSet({"cbv": cbv})
    # Frames before the steady state are bright for another reason than contrast.
    series = leakage.series.from_frame(measured.bolus.steady)
    artery = aif.from_frame(measured.bolus.steady)
    if config.dsc.flow_method == "vascular":
        model = quantify.VascularModel()
        fitted = quantify.vascular_maps(series, brain, artery, model=model, haematocrit=haematocrit)
        maps = maps.with_maps(*fitted.values())
        if series.time.is_uniform:
            tmax = quantify.svd_maps(
                series, brain, artery, method=quantify.Osvd(), haematocrit=haematocrit
            )["tmax"]
            maps = maps.with_maps(tmax)
        return maps
    method = quantify.DECONVOLVERS[config.dsc.flow_method]()
    flow = quantify.svd_maps(series, brain, artery, method=method, haematocrit=haematocrit)
    mtt = quantify.transit_time(cbv, flow["cbf"], brain)
    return maps.with_maps(*flow.values(), mtt)


def haematocrit_of(config: Config) -> quantify.Haematocrit:
    """Return the haematocrit of the settings, or the assumed one."""
    return quantify.Haematocrit(
        large=config.patient.haematocrit_large_vessels or ASSUMED_LARGE,
        small=config.patient.haematocrit_small_vessels or ASSUMED_SMALL,
    )


def _white_matter(scan: DscScan, measured: Measured, cbv: ParameterMap) -> Mask:
    if scan.white_matter is not None:
        return scan.white_matter.require_some()
    return quantify.find_white_matter(cbv, measured.anatomy, measured.brain, avoid=scan.lesion)


def _completed(
    measured: Measured, leakage: quantify.LeakageResult, white: Mask, maps: MapSet
) -> MapSet:
    """Add the maps that follow from the others, and those that need no artery."""
    more = [
        quantify.normalise_to_white_matter(maps["cbv"], white),
        quantify.normalise_to_white_matter(maps["cbf"], white),
        quantify.standardise(maps["cbv"], measured.brain),
        *measured.descriptors,
        measured.recovery,
    ]
    return maps.with_maps(*more, *(m for m in (leakage.k1, leakage.k2) if m is not None))


def _findings(
    scan: DscScan,
    measured: Measured,
    aif: ArterialInput,
    leakage: quantify.LeakageResult,
    white: Mask,
    maps: MapSet,
    *,
    config: Config,
    remarks: tuple[str, tuple[str, ...]],
) -> DscFindings:
    lesion = scan.lesion
    burden = None
    if lesion is not None and lesion.within(measured.brain).count:
        burden = quantify.fractional_tumour_burden(
            maps["ncbv"], lesion, low=config.burden.low, high=config.burden.high
        )
    return DscFindings(
        label=scan.label,
        version=__version__,
        created=remarks[0],
        signal=measured.signal,
        anatomy=measured.anatomy,
        bolus=measured.bolus,
        aif=aif,
        brain=measured.brain,
        white_matter=white,
        leakage_reference=leakage.reference or white,
        maps=maps,
        provenance=_history(scan, maps),
        tumour=scan.tumour,
        regions=region_rows(
            maps, tumour=scan.tumour, others={"normal-appearing white matter": white}
        ),
        burden=burden,
        leakage=measured.comparison,
        ratios=_ratios(measured, maps, white, lesion),
        motion=measured.motion if not measured.motion.skipped else None,
        motion_skipped=measured.motion.skipped,
        quality=quality_figures(measured.quality),
        delta_r2s=measured.delta_r2s,
        corrected=leakage.series.within(joined_mask(white, lesion)) if leakage.model else None,
        warnings=remarks[1],
        assumptions=_assumptions(scan, config),
        settings=config.dsc.model_dump(),
    )


def _history(scan: DscScan, maps: MapSet) -> Provenance:
    """Join the maps' histories, with what was searched for in front of the step that used it."""
    searched = {
        "quantify.signal_to_delta_r2s": "quantify.find_bolus",
        "quantify.dual_echo_to_delta_r2s": "quantify.find_bolus",
        "quantify.correct_leakage": "quantify.find_leakage_reference",
    }
    if scan.brain is None:
        searched["quantify.find_bolus"] = "preprocess.find_brain"
    if scan.white_matter is None:
        searched["quantify.normalise_to_white_matter"] = "quantify.find_white_matter"
    return joined_history(maps, searched)


def _comparison(
    measured: Measured, leakage: quantify.LeakageResult, white: Mask, lesion: Mask | None
) -> LeakageComparison | None:
    """Tell what the correction did to the tumour's mean nCBV."""
    if lesion is None or leakage.model is None:
        return None
    plain = quantify.integrate(measured.delta_r2s, measured.brain, baseline=measured.bolus.baseline)
    corrected, uncorrected = (
        quantify.mean_ratio(result.area, measured.brain, lesion, white)
        for result in (leakage, plain)
    )
    return LeakageComparison(corrected=corrected, uncorrected=uncorrected)


def _ratios(
    measured: Measured, maps: MapSet, white: Mask, lesion: Mask | None
) -> tuple[TissueRatio, ...]:
    """Compare grey with white matter; an atypical brain is flagged, never rescaled."""
    try:
        grey = quantify.find_grey_matter(
            maps["cbv"], measured.anatomy, measured.brain, avoid=lesion
        )
    except MetadataError:
        return ()
    return tuple(
        TissueRatio(
            key=key,
            value=float(np.median(maps[key].inside(grey)) / np.median(maps[key].inside(white))),
            low=low,
            high=high,
        )
        for key, (low, high) in HEALTHY_RATIOS.items()
        if maps[key].inside(grey).size and maps[key].inside(white).size
    )


def _assumptions(scan: DscScan, config: Config) -> tuple[tuple[str, Assumed], ...]:
    haematocrit = haematocrit_of(config)
    found = [
        (f"haematocrit, {name} vessels", value)
        for name, value in (("large", haematocrit.large), ("small", haematocrit.small))
        if isinstance(value, Assumed)
    ]
    relaxivity = ("transverse relaxivity of arterial blood over that of tissue", ASSUMED_RELAXIVITY)
    return (*scan.signal.acquisition.assumed(), *found, relaxivity)

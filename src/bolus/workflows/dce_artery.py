"""The arterial input of DCE: from a file, the patient's DSC, a population, or found in the scan."""

import warnings
from dataclasses import dataclass

import numpy as np

from bolus import quantify
from bolus.core import (
    CONCENTRATION,
    ArterialInput,
    Assumed,
    Mask,
    PerfusionSeries,
    TimeAxis,
)
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.workflows.config import Config
from bolus.workflows.dce_translated import translated_artery
from bolus.workflows.network_artery import dce_artery

_POPULATION_STEP_S = 0.5
"""A population's curve is known between frames too; its first pass lasts 10 s."""
_BLOOD_T1_S = {1.5: 1.48, 3.0: 1.65, 7.0: 2.09}
_ZHANG = "Zhang et al., Magn Reson Med 2013;70:1082-1086"
_FIELD_TOLERANCE_T = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Artery:
    """The plasma curve for the model [mM], and the blood curves it came from."""

    plasma: ArterialInput
    measured: ArterialInput | None = None
    vein: ArterialInput | None = None
    scale: float = 1.0
    assumed: tuple[tuple[str, Assumed], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enhanced:
    """The series as concentration, where the agent is, and how signal became concentration."""

    concentration: PerfusionSeries
    timing: quantify.Enhancement
    sequence: SpoiledGradientEcho
    r1_per_mmolar_s: float


def find_artery(
    enhanced: Enhanced,
    search: Mask,
    config: Config,
    *,
    haematocrit: float | Assumed,
    given: ArterialInput | None = None,
    dsc: ArterialInput | None = None,
) -> Artery:
    """Return the plasma curve: the user's own, else as the settings say.

    "auto" is the artery of the scan, also where there is a DSC curve: on simulated patients it came
    nearer to the true Ktrans (docs/science/dce_aif.md).

    Args:
        enhanced: the scan.
        search: where arteries and veins may be.
        config: its `dce` section.
        haematocrit: of large vessels.
        given: the user's curve.
        dsc: arterial ΔR2* of the same patient's DSC.

    Raises:
        MetadataError: there is no such curve, or its medium is not known.
    """
    if given is not None:
        return _own(given, enhanced, config, haematocrit)
    choice = config.dce.aif
    if choice == "dsc" and dsc is None:
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            "the settings take the arterial curve from DSC, but none was given",
            mend="give --dsc-aif (the *_aif.tsv of bolus dsc), or another aif",
        )
    if choice in quantify.POPULATION_AIFS:
        return _population(choice, enhanced, haematocrit)
    return _in_scan(enhanced, search, config, haematocrit, dsc if choice == "dsc" else None)


def assumed_blood_rate(field_strength_t: float) -> Assumed:
    """Return R10 of blood at a field, for an arterial curve that came as a signal.

    Raises:
        MetadataError: it is not known at this field.

    Example:
        >>> round(1 / assumed_blood_rate(2.89).value, 2)
        1.65
    """
    field = min(_BLOOD_T1_S, key=lambda known: abs(known - field_strength_t))
    if abs(field - field_strength_t) > _FIELD_TOLERANCE_T:
        raise MetadataError(
            Code.METADATA_MISSING,
            f"T1 of blood at {field_strength_t:g} T is not known, and the arterial signal needs it",
            mend="give the arterial curve as concentration",
        )
    return Assumed(
        value=1 / _BLOOD_T1_S[field],
        reason=f"T1 of the blood whose signal was given; {_BLOOD_T1_S[field]:g} s at {field:g} T",
        source=_ZHANG,
    )


def _own(
    given: ArterialInput, enhanced: Enhanced, config: Config, haematocrit: float | Assumed
) -> Artery:
    medium, native, assumed = config.dce.aif_medium, 1.0, []
    if given.quantity.key == CONCENTRATION.key:
        if medium is None:
            raise MetadataError(
                Code.METADATA_MISSING,
                "the arterial concentration may be that of blood or of plasma; they differ by "
                "1 - haematocrit",
                mend="give --aif-medium blood or --aif-medium plasma",
            )
    else:
        medium = "blood"
        field = enhanced.concentration.acquisition.require("field_strength_t")
        assumed = [("R10 of arterial blood [1/s]", assumed_blood_rate(field))]
        native = assumed[0][1].value
    start_s = enhanced.concentration.time.seconds[enhanced.timing.arrival]
    before = int(np.count_nonzero(given.time.seconds < start_s))
    blood = quantify.dce_aif_from_curve(
        given,
        r10_per_s=native,
        sequence=enhanced.sequence,
        r1_per_mmolar_s=enhanced.r1_per_mmolar_s,
        baseline=slice(0, before),
    )
    if medium == "plasma":
        return Artery(plasma=blood)
    plasma = quantify.aif_in_plasma(blood, haematocrit=haematocrit)
    return Artery(plasma=plasma, measured=blood, assumed=tuple(assumed))


def _population(name: str, enhanced: Enhanced, haematocrit: float | Assumed) -> Artery:
    seconds = enhanced.concentration.time.seconds
    arrival = enhanced.timing.arrival
    count = int(np.ceil((seconds[-1] - seconds[0]) / _POPULATION_STEP_S)) + 1
    fine = TimeAxis.regular(count, step_s=_POPULATION_STEP_S, start_s=float(seconds[0]))
    # It came between the last frame without agent and the first with it; the delay does the rest.
    between = float(seconds[arrival - 1] + seconds[arrival]) / 2
    plasma = quantify.population_input(name, fine, arrival_s=between, haematocrit=haematocrit)
    return Artery(plasma=plasma)


def _in_scan(
    enhanced: Enhanced,
    search: Mask,
    config: Config,
    haematocrit: float | Assumed,
    dsc: ArterialInput | None,
) -> Artery:
    series, timing = enhanced.concentration, enhanced.timing
    artery = dce_artery(series, search, timing, way=config.dce.aif, voxels=config.dce.aif_voxels)
    vein, scaled, factor = None, artery, 1.0
    try:
        vein = quantify.find_dce_vein(series, search, timing, artery, voxels=config.dce.aif_voxels)
        scaled, factor = quantify.scale_to_vein(artery, vein)
    except MetadataError as error:
        if error.code is not Code.AIF_NOT_FOUND:
            raise
        warnings.warn(
            QualityWarning(
                f"no vein to scale the artery by ({error.what}): its curve is as measured, and "
                "too low by partial volume and inflow"
            ),
            stacklevel=2,
        )
        vein = None
    blood = scaled
    if dsc is not None:
        blood, factor = quantify.aif_from_dsc(dsc, scaled, vein=vein), 1.0
    # A head that moves makes steps in what the vessels show late, and a step looks like washout.
    blood = quantify.with_smooth_tail(blood, vein)
    if config.dce.aif == "learned":
        dose = series.acquisition.contrast_dose_mmol_per_kg
        known = dose.value if isinstance(dose, Assumed) else dose
        plasma = translated_artery(
            artery, blood, vein, dose_mmol_per_kg=known, haematocrit=haematocrit
        )
    else:
        plasma = quantify.aif_in_plasma(blood, haematocrit=haematocrit)
    return Artery(
        plasma=plasma,
        measured=artery,
        vein=vein,
        scale=factor,
    )

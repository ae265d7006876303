"""Perfusion physics: signal to rate or concentration, artery, models, leakage, maps."""

from bolus.quantify.aif import aif_from_region, find_aif, score_aif
from bolus.quantify.aif_given import aif_from_curve
from bolus.quantify.bolus import BolusTiming, find_bolus
from bolus.quantify.concentration import (
    ConcentrationCurves,
    concentration_curves,
    signal_to_concentration,
)
from bolus.quantify.dce_aif import dce_aif_from_region, find_dce_aif, find_dce_vein
from bolus.quantify.dce_aif_given import dce_aif_from_curve
from bolus.quantify.dce_aif_scale import (
    aif_from_dsc,
    aif_in_plasma,
    average_over_frames,
    scale_to_vein,
)
from bolus.quantify.dce_aif_tail import with_smooth_tail
from bolus.quantify.dce_areas import area_between, initial_area, steady_state_area
from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_leak import determined_maps, find_determined, find_leaking
from bolus.quantify.dce_linear import LinearTofts, kep_per_min
from bolus.quantify.dce_models import (
    DCE_MODELS,
    DceModel,
    ExtendedTofts,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    TwoCompartmentUptake,
)
from bolus.quantify.dce_selection import ModelChoice, choose_model
from bolus.quantify.dce_transit import Transit, between_samples, disperse, find_transit
from bolus.quantify.deconvolution import (
    DECONVOLVERS,
    Csvd,
    Deconvolver,
    Osvd,
    Ssvd,
    Tikhonov,
    flow,
)
from bolus.quantify.diffusion import apparent_diffusion, noise_of_air
from bolus.quantify.dsc import (
    Haematocrit,
    arterial_area,
    blood_volume,
    svd_maps,
    transit_time,
    vascular_maps,
)
from bolus.quantify.enhancement import Enhancement, find_enhancement
from bolus.quantify.leakage import (
    LEAKAGE_MODELS,
    Bidirectional,
    Bsw,
    LeakageFit,
    LeakageModel,
    LeakageResult,
    Matched,
    correct_leakage,
    find_leakage_reference,
    integrate,
)
from bolus.quantify.normalise import (
    find_grey_matter,
    find_white_matter,
    normalise_to_white_matter,
    standardise,
)
from bolus.quantify.population_aif import POPULATION_AIFS, plasma_from_blood, population_input
from bolus.quantify.regions import (
    FractionalTumourBurden,
    RegionRow,
    fractional_tumour_burden,
    mean_ratio,
    region_table,
)
from bolus.quantify.relaxivity import Relaxivity, relaxivity_of
from bolus.quantify.residues import Residues
from bolus.quantify.signal import dual_echo_to_delta_r2s, signal_to_delta_r2s
from bolus.quantify.spgr import SaturationRecovery, SpoiledGradientEcho
from bolus.quantify.summary import (
    arrival_map,
    descriptor_maps,
    peak_height_map,
    recovery_map,
    time_to_peak_map,
)
from bolus.quantify.t1 import (
    T1Fit,
    fit_flip_angles,
    fit_inversion_recovery,
    fit_look_locker,
    r10_map,
)
from bolus.quantify.vascular import VascularFit, VascularModel

__all__ = [
    "DCE_MODELS",
    "DECONVOLVERS",
    "LEAKAGE_MODELS",
    "POPULATION_AIFS",
    "Bidirectional",
    "BolusTiming",
    "Bsw",
    "ConcentrationCurves",
    "Csvd",
    "DceFit",
    "DceModel",
    "Deconvolver",
    "Enhancement",
    "ExtendedTofts",
    "FractionalTumourBurden",
    "Haematocrit",
    "LeakageFit",
    "LeakageModel",
    "LeakageResult",
    "LinearTofts",
    "Matched",
    "ModelChoice",
    "Osvd",
    "Patlak",
    "RegionRow",
    "Relaxivity",
    "Residues",
    "SaturationRecovery",
    "SpoiledGradientEcho",
    "Ssvd",
    "T1Fit",
    "Tikhonov",
    "Tofts",
    "Transit",
    "TwoCompartmentExchange",
    "TwoCompartmentUptake",
    "VascularFit",
    "VascularModel",
    "aif_from_curve",
    "aif_from_dsc",
    "aif_from_region",
    "aif_in_plasma",
    "apparent_diffusion",
    "area_between",
    "arrival_map",
    "arterial_area",
    "average_over_frames",
    "between_samples",
    "blood_volume",
    "choose_model",
    "concentration_curves",
    "correct_leakage",
    "dce_aif_from_curve",
    "dce_aif_from_region",
    "dce_curves",
    "descriptor_maps",
    "determined_maps",
    "disperse",
    "dual_echo_to_delta_r2s",
    "find_aif",
    "find_bolus",
    "find_dce_aif",
    "find_dce_vein",
    "find_determined",
    "find_enhancement",
    "find_grey_matter",
    "find_leakage_reference",
    "find_leaking",
    "find_transit",
    "find_white_matter",
    "fit_flip_angles",
    "fit_inversion_recovery",
    "fit_look_locker",
    "flow",
    "fractional_tumour_burden",
    "initial_area",
    "integrate",
    "kep_per_min",
    "mean_ratio",
    "noise_of_air",
    "normalise_to_white_matter",
    "peak_height_map",
    "plasma_from_blood",
    "population_input",
    "r10_map",
    "recovery_map",
    "region_table",
    "relaxivity_of",
    "scale_to_vein",
    "score_aif",
    "signal_to_concentration",
    "signal_to_delta_r2s",
    "standardise",
    "steady_state_area",
    "svd_maps",
    "time_to_peak_map",
    "transit_time",
    "vascular_maps",
    "with_smooth_tail",
]

"""Perfusion physics: signal to rate, artery, deconvolution, leakage, maps."""

from bolus.quantify.aif import aif_from_region, find_aif, score_aif
from bolus.quantify.aif_given import aif_from_curve
from bolus.quantify.bolus import BolusTiming, find_bolus
from bolus.quantify.deconvolution import (
    DECONVOLVERS,
    Csvd,
    Deconvolver,
    Osvd,
    Ssvd,
    Tikhonov,
    flow,
)
from bolus.quantify.dsc import (
    Haematocrit,
    arterial_area,
    blood_volume,
    svd_maps,
    transit_time,
    vascular_maps,
)
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
from bolus.quantify.regions import (
    FractionalTumourBurden,
    RegionRow,
    fractional_tumour_burden,
    mean_ratio,
    region_table,
)
from bolus.quantify.residues import Residues
from bolus.quantify.signal import dual_echo_to_delta_r2s, signal_to_delta_r2s
from bolus.quantify.summary import (
    arrival_map,
    descriptor_maps,
    peak_height_map,
    recovery_map,
    time_to_peak_map,
)
from bolus.quantify.vascular import VascularFit, VascularModel

__all__ = [
    "DECONVOLVERS",
    "LEAKAGE_MODELS",
    "Bidirectional",
    "BolusTiming",
    "Bsw",
    "Csvd",
    "Deconvolver",
    "FractionalTumourBurden",
    "Haematocrit",
    "LeakageFit",
    "LeakageModel",
    "LeakageResult",
    "Matched",
    "Osvd",
    "RegionRow",
    "Residues",
    "Ssvd",
    "Tikhonov",
    "VascularFit",
    "VascularModel",
    "aif_from_curve",
    "aif_from_region",
    "arrival_map",
    "arterial_area",
    "blood_volume",
    "correct_leakage",
    "descriptor_maps",
    "dual_echo_to_delta_r2s",
    "find_aif",
    "find_bolus",
    "find_grey_matter",
    "find_leakage_reference",
    "find_white_matter",
    "flow",
    "fractional_tumour_burden",
    "integrate",
    "mean_ratio",
    "normalise_to_white_matter",
    "peak_height_map",
    "recovery_map",
    "region_table",
    "score_aif",
    "signal_to_delta_r2s",
    "standardise",
    "svd_maps",
    "time_to_peak_map",
    "transit_time",
    "vascular_maps",
]

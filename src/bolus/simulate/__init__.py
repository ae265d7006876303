"""Data whose answer is known."""

from bolus.simulate.course import COURSES, Visit, habitat_volumes_ml, plan_visits
from bolus.simulate.curve_cohort import held_out_scanner, simulate_curve_cohort
from bolus.simulate.curves import (
    RESIDUES,
    ArterialBolus,
    PlasmaWashout,
    capillary_concentration,
    extravascular_concentration,
    gamma_variate,
    residue,
    shifted,
)
from bolus.simulate.dce import DCE_PROTOCOLS, DceProtocol, SimulatedDce, simulate_dce
from bolus.simulate.diffusion import SimulatedDiffusion, simulate_diffusion
from bolus.simulate.effects import EFFECTS, Effect
from bolus.simulate.fast import LabelledCurves, simulate_curves
from bolus.simulate.fast_maps import simulate_maps
from bolus.simulate.fleet import Scanner, draw_scanners
from bolus.simulate.genotype import Genotype, draw_genotype
from bolus.simulate.growth import Glioma
from bolus.simulate.head import Head, build_head
from bolus.simulate.leakage_object import LeakageObject, build_leakage_object
from bolus.simulate.null import (
    NullCohort,
    NullResult,
    UnchangedPair,
    false_positive_rate,
    finding,
    null_cohort,
    null_cohorts,
    permuted_cohort,
    unchanged_pairs,
)
from bolus.simulate.outcomes import Outcome, draw_outcome
from bolus.simulate.patient import (
    QUIET,
    Disturbances,
    PatientSettings,
    Physiology,
    SimulatedPatient,
    simulate_patient,
)
from bolus.simulate.phantom import HeadPose, Phantom, build_phantom, scan_grid
from bolus.simulate.physics import QUADRATIC_BLOOD, Relaxivities, relaxivities_at
from bolus.simulate.profile import PatientProfile, draw_profile, mean_tumour_cbv
from bolus.simulate.protocol import PROTOCOLS, DscProtocol
from bolus.simulate.session import SimulatedSession, simulate_session
from bolus.simulate.structural import simulate_structural

__all__ = [
    "COURSES",
    "DCE_PROTOCOLS",
    "EFFECTS",
    "PROTOCOLS",
    "QUADRATIC_BLOOD",
    "QUIET",
    "RESIDUES",
    "ArterialBolus",
    "DceProtocol",
    "Disturbances",
    "DscProtocol",
    "Effect",
    "Genotype",
    "Glioma",
    "Head",
    "HeadPose",
    "LabelledCurves",
    "LeakageObject",
    "NullCohort",
    "NullResult",
    "Outcome",
    "PatientProfile",
    "PatientSettings",
    "Phantom",
    "Physiology",
    "PlasmaWashout",
    "Relaxivities",
    "Scanner",
    "SimulatedDce",
    "SimulatedDiffusion",
    "SimulatedPatient",
    "SimulatedSession",
    "UnchangedPair",
    "Visit",
    "build_head",
    "build_leakage_object",
    "build_phantom",
    "capillary_concentration",
    "draw_genotype",
    "draw_outcome",
    "draw_profile",
    "draw_scanners",
    "extravascular_concentration",
    "false_positive_rate",
    "finding",
    "gamma_variate",
    "habitat_volumes_ml",
    "held_out_scanner",
    "mean_tumour_cbv",
    "null_cohort",
    "null_cohorts",
    "permuted_cohort",
    "plan_visits",
    "relaxivities_at",
    "residue",
    "scan_grid",
    "shifted",
    "simulate_curve_cohort",
    "simulate_curves",
    "simulate_dce",
    "simulate_diffusion",
    "simulate_maps",
    "simulate_patient",
    "simulate_session",
    "simulate_structural",
    "unchanged_pairs",
]

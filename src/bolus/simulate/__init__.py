"""Data whose answer is known."""

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
from bolus.simulate.head import Glioma, Head, build_head
from bolus.simulate.leakage_object import LeakageObject, build_leakage_object
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
from bolus.simulate.protocol import PROTOCOLS, DscProtocol

__all__ = [
    "PROTOCOLS",
    "QUADRATIC_BLOOD",
    "QUIET",
    "RESIDUES",
    "ArterialBolus",
    "Disturbances",
    "DscProtocol",
    "Glioma",
    "Head",
    "HeadPose",
    "LeakageObject",
    "PatientSettings",
    "Phantom",
    "Physiology",
    "PlasmaWashout",
    "Relaxivities",
    "SimulatedPatient",
    "build_head",
    "build_leakage_object",
    "build_phantom",
    "capillary_concentration",
    "extravascular_concentration",
    "gamma_variate",
    "relaxivities_at",
    "residue",
    "scan_grid",
    "shifted",
    "simulate_patient",
]

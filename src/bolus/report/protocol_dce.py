"""Was the DCE exam acquired as its sources recommend? Said item by item, never enforced."""

import numpy as np

from bolus.core import Assumed
from bolus.report.dce_findings import DceFindings
from bolus.report.protocol import ProtocolItem, Verdict
from bolus.report.wording import number

_HENDERSON = "Henderson et al., Magn Reson Imaging 1998;16:1057-1073"
_LEACH = "Leach et al., Eur Radiol 2012;22:1451-1464"
_QIBA = "RSNA QIBA, Profile: DCE MRI Quantification, version 1.0, 2012"

PROTOCOL_LINKS = (
    (_LEACH, "https://doi.org/10.1007/s00330-012-2446-x"),
    (_HENDERSON, "https://doi.org/10.1016/S0730-725X(98)00130-1"),
    (_QIBA, ""),
)
"""What the items rest on, with a link where there is one."""

_TISSUE_STEP_S = 4.0
_ARTERY_STEP_S = 1.0
_STEP_TOLERANCE = 0.05
_FULL_DOSE_MMOL_PER_KG = 0.1
_DOSE_TOLERANCE = 0.15
"""Doses are given by weight and rounded to the syringe: 15 % of a full dose is called full."""


def check_dce_protocol(findings: DceFindings) -> tuple[ProtocolItem, ...]:
    """Hold an acquisition against what is recommended for quantitative DCE of tumours.

    There is no consensus on DCE of brain tumours as there is on DSC, so every item names its own
    source. What is recommended for one scanner or one sequence only is left out.

    Args:
        findings: what the exam gave.

    Returns:
        One item per recommendation, in the order of the report.

    Assumes:
        A dose within 15 % and frames within 5 % are what is recommended.

    Source:
        Leach et al., Eur Radiol 2012;22:1451 (T1 and artery measured in the patient); Henderson et
        al., Magn Reson Imaging 1998;16:1057 (sampling); RSNA QIBA 2012 (dose).
    """
    step_s = float(np.median(np.diff(findings.signal.time.seconds)))
    measured = findings.measured_aif is not None and len(findings.measured_aif.voxels) > 0
    return (
        _t1(findings),
        _artery(measured=measured, method=findings.aif.method),
        _sampling("Frames of the tissue", step_s, _TISSUE_STEP_S),
        *([_sampling("Frames of the artery", step_s, _ARTERY_STEP_S)] if measured else []),
        _dose(findings),
    )


def _t1(findings: DceFindings) -> ProtocolItem:
    measured = findings.t10 is not None
    return ProtocolItem(
        name="T1 before the agent",
        found="a map of the patient" if measured else "assumed, not measured",
        expected="measured in the patient",
        verdict=Verdict.MEETS if measured else Verdict.DIFFERS,
        note="" if measured else "an error of T1 goes into every concentration in full",
        citation=_LEACH,
    )


def _artery(*, measured: bool, method: str) -> ProtocolItem:
    return ProtocolItem(
        name="Arterial input",
        found="measured in this series" if measured else method,
        expected="measured in the patient",
        verdict=Verdict.MEETS if measured else Verdict.DIFFERS,
        note="" if measured else "not measured in this series",
        citation=_LEACH,
    )


def _sampling(name: str, step_s: float, limit_s: float) -> ProtocolItem:
    meets = step_s <= (1 + _STEP_TOLERANCE) * limit_s
    return ProtocolItem(
        name=name,
        found=f"{number(step_s, 2)} s apart",
        expected=f"at most {number(limit_s, 0)} s apart",
        verdict=Verdict.MEETS if meets else Verdict.DIFFERS,
        note="" if meets else "slower frames blur the first pass",
        citation=_HENDERSON,
    )


def _dose(findings: DceFindings) -> ProtocolItem:
    given = findings.signal.acquisition.contrast_dose_mmol_per_kg
    agent = findings.signal.acquisition.contrast_agent or ""
    if given is None or isinstance(given, Assumed):
        found, verdict = "not stated", Verdict.NOT_STATED
    else:
        close = abs(given / _FULL_DOSE_MMOL_PER_KG - 1) <= _DOSE_TOLERANCE
        found = f"{number(given, 2)} mmol/kg {agent}".strip()
        verdict = Verdict.MEETS if close else Verdict.DIFFERS
    return ProtocolItem(
        name="Dose", found=found, expected="0.1 mmol/kg", verdict=verdict, citation=_QIBA
    )

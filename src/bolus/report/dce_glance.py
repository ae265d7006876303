"""The strip on top of a DCE page: eight things to know before the numbers are believed."""

import re
from types import MappingProxyType

import numpy as np

from bolus.core import Assumed, FitStatus
from bolus.report.dce_findings import DceFindings
from bolus.report.glance import Glance, implausible_percent, motion_tile, protocol_tile
from bolus.report.protocol import ProtocolItem
from bolus.report.tables import STATUS_WORDS
from bolus.report.wording import number, plural, significant, symbol, thousands

_AIF_SCORE = 0.5
_CONTRAST_TO_NOISE = 10.0
_VEIN_FACTOR = 2.0
_LOST_PERCENT = 5.0
_T1 = re.compile(r"\b[TR]10?\b", re.IGNORECASE)

MODEL_NAMES = MappingProxyType(
    {
        "tofts": "Tofts",
        "extended_tofts": "extended Tofts",
        "patlak": "Patlak",
        "two_compartment_uptake": "two-compartment uptake",
        "two_compartment_exchange": "two-compartment exchange",
        "best": "the best of several, voxel by voxel",
    }
)
"""Models of the settings as they are printed."""


def dce_at_a_glance(
    findings: DceFindings, protocol: tuple[ProtocolItem, ...]
) -> tuple[Glance, ...]:
    """Return the tiles of the strip, in the order of the exam."""
    return (
        _enhancement(findings),
        _artery(findings),
        _t1(findings),
        motion_tile(findings.motion, findings.motion_skipped, findings.signal, None),
        _fits(findings),
        Glance(
            name="Model",
            look=False,
            finding=MODEL_NAMES.get(findings.model, findings.model),
            detail="gives " + ", ".join(symbol(k) for k in _given(findings)),
            judged=False,
        ),
        protocol_tile(protocol, "meet the recommendations"),
        _warnings(findings),
    )


def assumed_t1(findings: DceFindings) -> tuple[float, Assumed] | None:
    """Return the T1 [s] that was assumed for all voxels and its reason, if one was.

    It may be recorded as a time or as the rate R10 [1/s]; that of blood alone is another matter.
    """
    if findings.t10 is not None:
        return None
    for name, assumed in findings.assumptions:
        kind = _T1.search(name)
        if kind and "blood" not in name.lower():
            rate = kind.group(0).upper().startswith("R")
            return (1 / assumed.value if rate else assumed.value), assumed
    return None


def main_map(findings: DceFindings) -> str:
    """Return the key of the map whose fits are counted, or ""."""
    return next((key for key in ("ktrans", "ps", "fp", "vp") if key in findings.maps), "")


def _given(findings: DceFindings) -> list[str]:
    keys = ("ktrans", "ve", "vp", "kep", "fp", "ps", "delay")
    return [key for key in keys if key in findings.maps] or list(findings.maps)[:3]


def _enhancement(findings: DceFindings) -> Glance:
    found = findings.enhancement
    ratio = float(found.contrast_to_noise)
    arrival_s = float(findings.signal.time.seconds[found.arrival])
    return Glance(
        name="Enhancement",
        look=not ratio >= _CONTRAST_TO_NOISE,
        finding=f"agent arrives at {number(arrival_s, 0)} s, contrast-to-noise {number(ratio, 0)}",
        detail=f"{found.baseline.stop - (found.baseline.start or 0)} baseline frames",
    )


def _artery(findings: DceFindings) -> Glance:
    artery = findings.measured_aif or findings.aif
    judged = bool(np.isfinite(artery.score))
    score = f"score {number(artery.score, 2)} of 1" if judged else "not scored"
    count = plural(len(artery.voxels), "voxel") if len(artery.voxels) else "a given curve"
    vein = "not scaled to a vein"
    if findings.vein is not None:
        vein = f"scaled to the vein ×\u202f{number(findings.vein_scale, 2)}"
    learned = findings.aif.method == "learned"
    if learned:
        vein = "translated by networks trained on simulated scans"
    return Glance(
        name="Arterial input",
        look=learned
        or not judged
        or artery.score < _AIF_SCORE
        or not _fits_vein(findings.vein_scale),
        finding=f"{score}, {count}",
        detail=f"found: {artery.method}; {vein}",
    )


def _fits_vein(scale: float) -> bool:
    """Tell whether artery and vein agree to within a factor, before either was scaled."""
    return 1 / _VEIN_FACTOR <= scale <= _VEIN_FACTOR


def _t1(findings: DceFindings) -> Glance:
    item = findings.t10
    if item is not None:
        values = item.inside(findings.brain)
        middle = f"brain median {significant(float(np.median(values)))} s" if values.size else ""
        lost, total = findings.lost_voxels("t10")
        percent = 100 * lost / total if total else float("nan")
        return Glance(
            name="T1 before the agent",
            look=not percent <= _LOST_PERCENT,
            finding=f"measured, {middle or 'no answer in the brain'}",
            detail=f"{number(percent, 1)} % of the brain without T1",
        )
    assumed = assumed_t1(findings)
    return Glance(
        name="T1 before the agent",
        look=True,
        finding=f"assumed {significant(assumed[0])} s" if assumed else "assumed, not measured",
        detail=assumed[1].reason if assumed else "",
    )


def _fits(findings: DceFindings) -> Glance:
    key = main_map(findings)
    if not key:
        return Glance(name="Fits", look=True, finding="no map of the model")
    lost, total = findings.lost_voxels(key)
    percent = 100 * lost / total if total else float("nan")
    odd = {k: implausible_percent(findings, k) for k in _given(findings)}
    worst = max(odd, key=lambda k: odd[k], default="")
    strange = bool(worst) and odd[worst] > _LOST_PERCENT
    detail = f"of {symbol(key)}{_reason(findings, key)}"
    if strange:
        detail += f"; {number(odd[worst], 0)} % of {symbol(worst)} implausible"
    return Glance(
        name="Fits",
        look=not percent <= _LOST_PERCENT or strange,
        finding=f"{thousands(lost)} of {thousands(total)} ({number(percent, 1)} %) without answer",
        detail=detail,
    )


def _reason(findings: DceFindings, key: str) -> str:
    """Say why most of the voxels without an answer have none, or nothing where all have one."""
    codes = findings.maps[key].status[findings.brain.values]
    counts = {s: int(np.count_nonzero(codes == s)) for s in STATUS_WORDS if s is not FitStatus.OK}
    worst = max(counts, key=lambda status: counts[status])
    return f"; most often {STATUS_WORDS[worst]}" if counts[worst] else ""


def _warnings(findings: DceFindings) -> Glance:
    count = len(findings.warnings)
    return Glance(
        name="Warnings",
        look=bool(count),
        finding=plural(count, "warning") if count else "none",
        detail="in full under Quality control" if count else "",
    )

"""Was the exam acquired as the consensus recommends? Said item by item, never enforced."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bolus.core import Acquisition, Assumed, TimeAxis
from bolus.report.findings import Bolus
from bolus.report.wording import number

CITATION = "Boxerman et al., Neuro-Oncology 2020;22:1262-1275"
CITATION_DOI = "10.1093/neuonc/noaa141"

_ECHO_TIME_MS = ((1.5, 40.0, 50.0), (3.0, 20.0, 35.0))
"""Field strength [T], lowest and highest recommended echo time [ms]."""
_REPETITION_TIME_S = (1.0, 1.5)
_FLIP_ANGLE_DEG = {True: 60.0, False: 30.0}
"""Recommended flip angle with preload, and without."""
_FULL_DOSE_MMOL_PER_KG = 0.1
_BASELINE_FRAMES = 30
_FLIP_TOLERANCE_DEG = 5.0
_DOSE_TOLERANCE = 0.15
"""Doses are given by weight and rounded to the syringe: 15 % of a full dose is called full."""


class Verdict(Enum):
    """How an item stands against the recommendation."""

    MEETS = "meets"
    DIFFERS = "differs"
    NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolItem:
    """One line of the protocol check."""

    name: str
    found: str
    expected: str
    verdict: Verdict
    note: str = ""
    citation: str = CITATION


def check_protocol(
    acquisition: Acquisition,
    time: TimeAxis,
    bolus: Bolus,
    *,
    leakage_corrected: bool | None = None,
) -> tuple[ProtocolItem, ...]:
    """Hold an acquisition against the consensus for DSC in high-grade glioma.

    Args:
        acquisition: what is known about the exam; absent values are "not stated".
        time: the frames.
        bolus: where the bolus was found.
        leakage_corrected: whether a leakage correction was applied; None if not known.

    Returns:
        One item per recommendation, in the order of the report.

    Assumes:
        A flip angle within 5 degrees and a dose within 15 % are what the consensus names.

    Source:
        Boxerman et al., Neuro-Oncology 2020;22:1262. DOI 10.1093/neuonc/noaa141.

    Example:
        >>> from bolus.report.protocol import check_protocol
        >>> from types import SimpleNamespace
        >>> exam = Acquisition(echo_time_s=0.030, field_strength_t=3.0)
        >>> found = SimpleNamespace(baseline=slice(2, 40))
        >>> items = check_protocol(exam, TimeAxis.regular(120, step_s=1.5), found)
        >>> [i.verdict.value for i in items if i.name == "Echo time"]
        ['meets']
    """
    return (
        _sequence(acquisition),
        _preload_and_flip_angle(acquisition),
        _dose(acquisition),
        _echo_time(acquisition),
        _repetition_time(acquisition, time),
        _baseline(bolus),
        _leakage(leakage_corrected),
    )


def _known(value: "float | Assumed | None") -> float | None:
    """Only what was stated: an assumed value is not evidence of how the exam was done."""
    return None if value is None or isinstance(value, Assumed) else float(value)


def _verdict(stated: bool, meets: Callable[[], bool]) -> Verdict:
    if not stated:
        return Verdict.NOT_STATED
    return Verdict.MEETS if meets() else Verdict.DIFFERS


def _sequence(acquisition: Acquisition) -> ProtocolItem:
    name = acquisition.sequence
    words = set(re.findall(r"[a-z]+", (name or "").lower()))
    gradient = bool(words & {"gr", "gre", "ge", "ffe", "gradient"})
    spin = bool(words & {"se", "spin"})
    return ProtocolItem(
        name="Sequence",
        found=name or "not stated",
        expected="single-shot gradient-echo EPI",
        verdict=_verdict(gradient or spin, lambda: gradient),
        note="" if gradient or spin or not name else "the name does not say gradient or spin echo",
    )


def _preload_and_flip_angle(acquisition: Acquisition) -> ProtocolItem:
    flip = _known(acquisition.flip_angle_deg)
    preload = _known(acquisition.preload_dose_mmol_per_kg)
    found = [
        f"{number(flip, 0)}°" if flip is not None else "flip angle not stated",
        "preload not stated"
        if preload is None
        else (f"preload {number(preload, 2)} mmol/kg" if preload > 0 else "no preload"),
    ]
    full = preload is not None and preload >= (1 - _DOSE_TOLERANCE) * _FULL_DOSE_MMOL_PER_KG
    note = ""
    if preload is not None and preload > 0 and not full:
        note = "the preload is less than a full dose"
    elif preload is None and flip is not None:
        note = "60° asks for a preload, 30° for none: the T1 effect of leakage depends on it"

    return ProtocolItem(
        name="Flip angle and preload",
        found=", ".join(found),
        expected="60° with a full-dose preload, or 30° without preload",
        verdict=_verdict(
            flip is not None and preload is not None,
            lambda: _fits(flip or 0.0, preload or 0.0, full=full),
        ),
        note=note,
    )


def _fits(flip_deg: float, preload: float, *, full: bool) -> bool:
    angle = _FLIP_ANGLE_DEG[preload > 0]
    return abs(flip_deg - angle) <= _FLIP_TOLERANCE_DEG and (full or preload == 0)


def _dose(acquisition: Acquisition) -> ProtocolItem:
    dose = _known(acquisition.contrast_dose_mmol_per_kg)
    agent = f" {acquisition.contrast_agent}" if acquisition.contrast_agent else ""
    return ProtocolItem(
        name="Bolus dose",
        found="not stated" if dose is None else f"{number(dose, 2)} mmol/kg{agent}",
        expected="full dose (0.1 mmol/kg)",
        verdict=_verdict(
            dose is not None,
            lambda: abs((dose or 0) / _FULL_DOSE_MMOL_PER_KG - 1) <= _DOSE_TOLERANCE,
        ),
    )


def _echo_time(acquisition: Acquisition) -> ProtocolItem:
    field_t, echo_s = _known(acquisition.field_strength_t), _known(acquisition.echo_time_s)
    rows = [r for r in _ECHO_TIME_MS if field_t is not None and abs(r[0] - field_t) <= 0.15]
    found = [
        "echo time not stated" if echo_s is None else f"{number(echo_s * 1000, 0)} ms",
        "field not stated" if field_t is None else f"{number(field_t, 1)} T",
    ]
    note = ""
    if field_t is not None and not rows:
        note = "the consensus gives echo times for 1.5 T and 3 T only"
    return ProtocolItem(
        name="Echo time",
        found=" at ".join(found) if field_t and echo_s else ", ".join(found),
        expected="20–35 ms at 3 T, 40–50 ms at 1.5 T",
        verdict=_verdict(
            bool(rows) and echo_s is not None,
            lambda: rows[0][1] - 0.5 <= (echo_s or 0) * 1000 <= rows[0][2] + 0.5,
        ),
        note=note,
    )


def _repetition_time(acquisition: Acquisition, time: TimeAxis) -> ProtocolItem:
    repetition_s = _known(acquisition.repetition_time_s)
    step_s = float(np.median(np.diff(time.seconds)))
    low, high = _REPETITION_TIME_S
    stated = "not stated" if repetition_s is None else f"{number(repetition_s, 2)} s"
    return ProtocolItem(
        name="Repetition time",
        found=f"{stated} (frames {number(step_s, 2)} s apart)",
        expected="1.0–1.5 s",
        verdict=_verdict(
            repetition_s is not None, lambda: low - 0.01 <= (repetition_s or 0) <= high + 0.01
        ),
    )


def _baseline(bolus: Bolus) -> ProtocolItem:
    frames = bolus.baseline.stop - (bolus.baseline.start or 0)
    return ProtocolItem(
        name="Baseline",
        found=f"{frames} frames before the bolus",
        expected="about 30–50 frames",
        verdict=_verdict(True, lambda: frames >= _BASELINE_FRAMES),
        note="" if frames >= _BASELINE_FRAMES else "fewer frames: more noise in ΔR2*",
    )


def _leakage(corrected: bool | None) -> ProtocolItem:
    words = {True: "applied", False: "not applied", None: "not stated"}
    return ProtocolItem(
        name="Leakage correction",
        found=words[corrected],
        expected="applied, with preload and without",
        verdict=_verdict(corrected is not None, lambda: corrected is True),
    )

"""What a sequence network sees of an exam: curves without scanner, dose and delay.

The frames before the steady state are dropped. Signal becomes -ln(S/S0), which is the change of
R2* times the echo time. Over the same of white matter, echo time, dose and relaxivity cancel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from bolus.core import CURVE_REGIONS, CurveExam
from bolus.core.arrays import read_only
from bolus.nets.batches import Tensors
from bolus.nets.physical_axis import AXIS, arrival_seconds, resampling
from bolus.quantify.bolus import BolusTiming
from bolus.quantify.bolus_phases import bolus_phases, find_exam_bolus, phase_numbers

_USUAL_AREA = 45.0
"""Area under white matter's change of R2* [1], where there is no white matter: the median of
simulated exams with 0.1 mmol/kg."""
_WINDOW_S = 10.0
"""White matter's area over so many seconds is 1."""
_LEAST = 1e-3
_MOST = 20.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequenceInput:
    """One exam as networks see it, on `physical_axis.AXIS`.

    `values` (5, points) float32: rate of contrast over white matter's mean rate in its first pass,
    0 where nothing is known; `known` (5, points) is 1 where something is. `phases` (points,) are
    those of `bolus_phases`, from 1. `start_s` is the exam's time at the first point. `noise` is
    the logarithm of the bolus' contrast-to-noise ratio.
    """

    values: Float[np.ndarray, "5 points"]
    known: Float[np.ndarray, "5 points"]
    phases: UInt8[np.ndarray, " points"]
    start_s: float
    noise: float

    def __post_init__(self) -> None:
        for name in ("values", "known", "phases"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


def sequence_input(exam: CurveExam) -> SequenceInput:
    """Return an exam as networks see it.

    Args:
        exam: curves of its regions; those that are missing, or have a sample that is not positive,
            are marked as not known.

    Raises:
        TimingError: there is no bolus, or the frames are not evenly spaced.
        MetadataError: neither white matter nor echo time is known.

    Assumes:
        White matter of the reference is healthy, and contrast stays in its vessels.

    Source:
        Set by us; the five curves: Choi et al., Neuro Oncol 2019;21:1197.
    """
    bolus = find_exam_bolus(exam)
    seconds = exam.time.seconds - exam.time.seconds[0]
    step_s, arrival_s = exam.time.uniform_step_s(), arrival_seconds(bolus, seconds)
    drops, usable = _drops(exam.regions, bolus)
    rates = np.clip(drops * (_WINDOW_S / _reference_area(exam, bolus, step_s)), -_MOST, _MOST)
    first = bolus.steady
    matrix, measured = resampling(
        len(seconds) - first, interval_s=step_s, arrival_s=arrival_s - first * step_s
    )
    known = usable[:, None] & measured
    start_s = arrival_s - AXIS.arrival_s
    return SequenceInput(
        values=(np.where(known, rates[:, first:] @ matrix, 0.0)).astype(np.float32),
        known=known.astype(np.float32),
        phases=phase_numbers(bolus_phases(bolus, seconds), start_s + AXIS.seconds),
        start_s=start_s,
        noise=float(np.log(bolus.contrast_to_noise)),
    )


def as_tensors(inputs: Sequence[SequenceInput]) -> Tensors:
    """Return values and marks of exams, both (n, 5, points)."""
    shape = (0, len(CURVE_REGIONS), AXIS.points)
    empty = np.zeros(shape, np.float32)
    return (
        torch.from_numpy(np.concatenate([empty, *(item.values[None] for item in inputs)])),
        torch.from_numpy(np.concatenate([empty, *(item.known[None] for item in inputs)])),
    )


def _drops(
    curves: Float[np.ndarray, "n t"], bolus: BolusTiming
) -> tuple[Float[np.ndarray, "n t"], np.ndarray]:
    """Return -ln(S/S0), 0 in curves that are not usable, and which are."""
    steady = curves[:, bolus.steady :]
    usable = np.isfinite(steady).all(axis=1) & (steady > 0).all(axis=1)
    filled = np.where(usable[:, None], curves, 1.0)
    level = filled[:, bolus.baseline].mean(axis=1, keepdims=True)
    return -np.log(np.maximum(filled / level, _LEAST)), usable


def _reference_area(exam: CurveExam, bolus: BolusTiming, step_s: float) -> float:
    """Return the area under -ln(S/S0) of white matter in the first pass [s]."""
    drop, usable = _drops(exam.reference[None], bolus)
    if usable[0]:
        area = float(drop[0, bolus.arrival : bolus.first_pass_end].sum() * step_s)
        if area > 0:
            return area
    return _USUAL_AREA * exam.acquisition.require("echo_time_s")

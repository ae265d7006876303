"""Phases of a bolus by name, and the bolus of an exam that is given as curves."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core import SIGNAL, CurveExam, Grid, Mask, PerfusionSeries, Provenance
from bolus.errors import Code, TimingError
from bolus.quantify.bolus import BolusTiming, find_bolus

PHASES = ("baseline", "baseline end", "down-slope", "up-slope", "plateau")
"""Phases of a signal curve in their order; what comes before the steady state is in none."""
_END_S = 4.5
"""How long before the arrival the end of the baseline begins: three frames of 1.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BolusPhase:
    """One phase: its name, of `PHASES`, and its times; `end_s` is the start of the next."""

    name: str
    start_s: float
    end_s: float


def bolus_phases(bolus: BolusTiming, seconds: Float[np.ndarray, " t"]) -> tuple[BolusPhase, ...]:
    """Return the phases of a bolus that was found.

    The signal falls from the arrival to the peak of contrast, rises to the end of the first pass,
    and what follows is the plateau. The last 4.5 s before the arrival are the baseline's end.

    Args:
        bolus: of a series.
        seconds: its times [s].

    Returns:
        Five phases without gaps; one may have no length.

    Raises:
        TimingError: the frames of the bolus are not among the times.

    Assumes:
        One arrival for all regions: arteries fall a little earlier.

    Source:
        Set by us, after the times that Choi et al., Neuro Oncol 2019;21:1197 name.

    Example:
        >>> bolus = BolusTiming(steady=1, baseline=slice(1, 9), arrival=9, peak=14,
        ...     first_pass_end=22, mean_signal=np.ones(40), contrast_to_noise=80.0)
        >>> [(p.name, p.start_s) for p in bolus_phases(bolus, 1.5 * np.arange(40))][1:4]
        [('baseline end', 9.0), ('down-slope', 13.5), ('up-slope', 21.0)]
    """
    if bolus.first_pass_end > len(seconds):
        raise TimingError(
            Code.TIME_INVALID,
            f"the first pass ends in frame {bolus.first_pass_end} of {len(seconds)}",
            mend="give the times of the series that the bolus was found in",
        )
    times = [*seconds.tolist(), float(2 * seconds[-1] - seconds[-2])]
    steady, arrival = times[bolus.steady], times[bolus.arrival]
    borders = (
        steady,
        max(arrival - _END_S, steady),
        arrival,
        times[bolus.peak],
        times[bolus.first_pass_end],
        times[-1],
    )
    return tuple(
        BolusPhase(name=name, start_s=borders[n], end_s=borders[n + 1])
        for n, name in enumerate(PHASES)
    )


def phase_numbers(
    phases: tuple[BolusPhase, ...], seconds: Float[np.ndarray, " t"]
) -> UInt8[np.ndarray, " t"]:
    """Return the phase of every time, counted from 1; 0 where there is none.

    Args:
        phases: in their order.
        seconds: times, of any spacing [s].

    Assumes:
        As `bolus_phases`.

    Source:
        As `bolus_phases`.

    Example:
        >>> phases = (BolusPhase(name="baseline", start_s=1.0, end_s=3.0),)
        >>> phase_numbers(phases, np.arange(5.0))
        array([0, 1, 1, 0, 0], dtype=uint8)
    """
    found = np.zeros(len(seconds), np.uint8)
    for number, phase in enumerate(phases, start=1):
        found[(seconds >= phase.start_s) & (seconds < phase.end_s)] = number
    return found


def find_exam_bolus(exam: CurveExam) -> BolusTiming:
    """Find the bolus of an exam on the voxels of its tumour and on white matter.

    Args:
        exam: its curves.

    Returns:
        As `find_bolus`; the mean signal is that of these curves.

    Raises:
        TimingError: there is no bolus, or more than one.

    Assumes:
        As `find_bolus`.

    Source:
        As `find_bolus`.
    """
    known = exam.reference[None] if np.isfinite(exam.reference).all() else exam.voxels[:0]
    curves = np.concatenate([exam.voxels, known])[None, :, None].astype(np.float32)
    grid = Grid(shape=curves.shape[:3], affine=np.eye(4))  # one slab: series are read slab by slab
    series = PerfusionSeries(
        values=curves,
        quantity=SIGNAL,
        grid=grid,
        time=exam.time,
        acquisition=exam.acquisition,
        provenance=Provenance(),
    )
    every = Mask(values=np.ones(grid.shape, bool), grid=grid, name="tumour and white matter")
    return find_bolus(series, every, arteries=False)

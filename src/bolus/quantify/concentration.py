"""From the T1-weighted signal to the concentration of the agent: the inverse of `spgr`."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core import (
    CONCENTRATION,
    SIGNAL,
    Assumed,
    Curves,
    FitStatus,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Step,
    sparse_zeros,
)
from bolus.errors import Code, GeometryError, MetadataError, TimingError
from bolus.quantify.concentration_kernels import solve_with_decay
from bolus.quantify.spgr import Sequence
from bolus.quantify.t1 import LONGEST_T1_S, SHORTEST_T1_S

_CHUNK = 8192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConcentrationCurves:
    """Concentrations [mM] (voxels, t), and per voxel whether all of its samples have one."""

    values: Curves
    status: UInt8[np.ndarray, " voxels"]


def concentration_curves(
    signal: Curves,
    *,
    r10_per_s: Float[np.ndarray, " voxels"],
    sequence: Sequence,
    r1_per_mmolar_s: float,
    baseline: slice,
    b1: Float[np.ndarray, " voxels"] | None = None,
    r2s_per_mmolar_s: float | None = None,
) -> ConcentrationCurves:
    """Convert signal curves to concentration curves by the exact signal equation.

    With s = S / S_BL, S_BL the mean of the baseline: M = s M(R10), R1 = -ln((1 - M) /
    (1 - M cos a)) / TR, C = (R1 - R10) / r1. With the T2* effect, M(R10 + r1 C) exp(-TE r2* C) =
    s M(R10) is solved for C by Newton's method on its rising branch.

    Args:
        signal: magnitudes, any gain.
        r10_per_s: native rates.
        sequence: how the signal was made.
        r1_per_mmolar_s: relaxivity; no default.
        baseline: samples before the agent, at least one.
        b1: factor on the flip angle; None is 1 everywhere.
        r2s_per_mmolar_s: transverse relaxivity of the agent [1/s per mM]; None leaves T2* out.

    Returns:
        Concentrations, negative ones kept. NaN where a sample has none, with the status of the
        voxel: AT_BOUND where a signal is above what any concentration gives or needs a T1 below
        0.005 s (there a little noise is any number), or T10 is outside 0.005 to 20 s; NO_SIGNAL
        where the baseline is not positive or a sample is negative (a magnitude is not); NOT_FINITE
        where a sample, R10 or B1 is not finite, or B1 not positive. The other samples of such a
        voxel keep their values.

    Raises:
        TimingError: the baseline holds no sample.
        MetadataError: the relaxivity is not positive, or r2* is given without the echo time.

    Assumes:
        Steady state in every frame, complete spoiling, fast water exchange; constant R10 and M0.

    Source:
        OSIPI CAPLEX Q.IC1.001. Signal: Ernst and Anderson, Rev Sci Instrum 1966;37:93-102. Effect
        of T2*: de Bazelaire et al., Eur Radiol 2006;16:2083-2091.

    Example:
        >>> from bolus.quantify.concentration import concentration_curves
        >>> from bolus.quantify.spgr import SpoiledGradientEcho
        >>> flash = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0)
        >>> curve = 500 * flash.magnetisation(0.7 + 4.0 * np.array([0.0, 0.5, 1.0, -0.1]))
        >>> concentration_curves(curve[None], r10_per_s=np.array([0.7]), sequence=flash,
        ...     r1_per_mmolar_s=4.0, baseline=slice(0, 1)).values[0, 1:].round(6).tolist()
        [0.5, 1.0, -0.1]
    """
    frames = _frames(baseline, signal.shape[1])
    _require_relaxivities(r1_per_mmolar_s, r2s_per_mmolar_s, sequence)
    values = np.empty(signal.shape)
    status = np.empty(len(signal), np.uint8)
    for first in range(0, len(signal), _CHUNK):
        part = slice(first, first + _CHUNK)
        curves = np.asarray(signal[part], np.float64)
        rate = np.asarray(r10_per_s[part], np.float64)
        factor = np.ones(len(rate)) if b1 is None else np.asarray(b1[part], np.float64)
        held, status[part] = _held(curves, rate, factor, sequence=sequence, baseline=frames)
        conc = _reachable(held, factor, sequence) - rate[:, None]
        conc /= r1_per_mmolar_s
        if r2s_per_mmolar_s is not None:
            decay = r2s_per_mmolar_s * (sequence.echo_time_s or 0.0)
            cosine = sequence.cosine(factor)
            solve_with_decay(
                conc, held, rate, cosine, sequence.interval_s, float(r1_per_mmolar_s), decay
            )
        above = (np.isnan(conc) & np.isfinite(held)).any(axis=1)
        status[part] = np.where((status[part] == 0) & above, FitStatus.AT_BOUND, status[part])
        values[part] = conc
    return ConcentrationCurves(values=values, status=status)


def signal_to_concentration(
    series: PerfusionSeries,
    *,
    r10: "ParameterMap | Assumed",
    sequence: Sequence,
    r1_per_mmolar_s: float,
    baseline: slice,
    mask: Mask | None = None,
    b1: Float[np.ndarray, "x y z"] | None = None,
    r2s_per_mmolar_s: float | None = None,
) -> tuple[PerfusionSeries, UInt8[np.ndarray, "x y z"]]:
    """Convert a T1-weighted series to concentration, see `concentration_curves`.

    Args:
        series: signal [a.u.].
        r10: native rate [1/s] as a map, or one `Assumed` number for all voxels.
        sequence: how the signal was made, such as `SpoiledGradientEcho.of(series.acquisition)`.
        r1_per_mmolar_s: relaxivity; `relaxivity_of` has a table.
        baseline: frames before the agent.
        mask: voxels to convert; all of them if None.
        b1: factor on the flip angle, on the grid of the series.
        r2s_per_mmolar_s: transverse relaxivity; None leaves T2* out.

    Returns:
        Concentration [mM], float32, NaN where R10 has no value; and a FitStatus per voxel.
        Outside of the mask it is 0, and the status says so.

    Raises:
        QuantityError: `series` is not a signal.
        GeometryError: R10 or B1 lies on another grid.
        TimingError, MetadataError: as `concentration_curves`.

    Assumes:
        As `concentration_curves`. One R10 for all tissues scales every concentration nearly by
        the error of R10: the report must show it.

    Source:
        As `concentration_curves`.

    Example:
        >>> from bolus.quantify.concentration import signal_to_concentration
        >>> from bolus.quantify.spgr import SpoiledGradientEcho
        >>> series = PerfusionSeries(values=np.array([[[[50.0, 50.0, 90.0]]]]), quantity=SIGNAL,
        ...     grid=Grid(shape=(1, 1, 1), affine=np.eye(4)), provenance=Provenance(),
        ...     time=TimeAxis.regular(3, step_s=4.0), acquisition=Acquisition(
        ...     repetition_time_s=0.005, flip_angle_deg=15.0))
        >>> conc, status = signal_to_concentration(series, r10=Assumed(value=0.7, reason="no map",
        ...     source="a guess"), sequence=SpoiledGradientEcho.of(series.acquisition),
        ...     r1_per_mmolar_s=3.7, baseline=slice(0, 2))
        >>> round(float(conc.values[0, 0, 0, 2]), 3), int(status.max())
        (0.181, 0)
    """
    grid = series.require(SIGNAL).grid
    if isinstance(r10, ParameterMap):
        grid.require_match(r10.grid, what="the R10 map")
    if b1 is not None and b1.shape != grid.shape:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"the B1 map has shape {b1.shape} where the series has {grid.shape}",
            mend="resample it onto the grid of the series",
        )
    native = np.full(grid.shape, r10.value) if isinstance(r10, Assumed) else r10.values
    if mask is not None:
        grid.require_match(mask.grid, what=f"the {mask.name} mask")
    wanted = np.ones(grid.shape, bool) if mask is None else mask.values
    values = sparse_zeros(series.values.shape)
    status = np.full(grid.shape, FitStatus.OUTSIDE_MASK, np.uint8)
    for x, inside in enumerate(wanted):
        part = concentration_curves(
            series.values[x][inside],
            r10_per_s=native[x][inside],
            sequence=sequence,
            r1_per_mmolar_s=r1_per_mmolar_s,
            baseline=baseline,
            b1=None if b1 is None else b1[x][inside],
            r2s_per_mmolar_s=r2s_per_mmolar_s,
        )
        values[x][inside] = part.values
        status[x][inside] = part.status
    if isinstance(r10, ParameterMap):  # say why R10 is missing, not that it is
        status = np.where(wanted & (r10.status != FitStatus.OK), r10.status, status)
    step = Step(
        "quantify.signal_to_concentration",
        {
            "r10_per_s": f"assumed {r10.value:g}" if isinstance(r10, Assumed) else "map",
            "r1_per_mmolar_s": r1_per_mmolar_s,
            "r2s_per_mmolar_s": r2s_per_mmolar_s,
            "sequence": repr(sequence),
            "baseline": f"{baseline.start}:{baseline.stop}",
            "b1": "map" if b1 is not None else "1",
        },
        source="Q.IC1.001",
    )
    return series.derive(values, CONCENTRATION, step), status


def _held(
    curves: Curves, rate: np.ndarray, factor: np.ndarray, *, sequence: Sequence, baseline: slice
) -> tuple[Curves, np.ndarray]:
    """Return M/M0 of every sample, NaN where it has none, and a status per voxel."""
    finite = np.isfinite(curves)
    negative = finite & (curves < 0)
    usable = finite & ~negative
    known = np.isfinite(rate) & np.isfinite(factor) & (factor > 0)
    with np.errstate(invalid="ignore"):
        wild = known & ~((rate >= 1 / LONGEST_T1_S) & (rate <= 1 / SHORTEST_T1_S))
    count = usable[:, baseline].sum(axis=1)
    total = np.where(usable, curves, 0.0)[:, baseline].sum(axis=1)
    enough = 2 * count >= baseline.stop - baseline.start
    lit = enough & (total > 0)
    level = np.where(lit, total / np.maximum(count, 1), np.nan)
    status = np.zeros(len(curves), np.uint8)
    status[~lit | negative.any(axis=1)] = FitStatus.NO_SIGNAL
    status[wild] = FitStatus.AT_BOUND
    status[~known | ~finite.all(axis=1)] = FitStatus.NOT_FINITE
    start = sequence.magnetisation(np.where(known & ~wild, rate, np.nan), factor)
    held = np.where(usable, curves, np.nan) * (start / level)[:, None]
    return held, status


def _reachable(held: Curves, factor: np.ndarray, sequence: Sequence) -> Curves:
    """Return R1 of every sample; NaN near and above the limit, where T1 is below the shortest."""
    rate = sequence.relaxation_rate(held, factor[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(rate <= 1 / SHORTEST_T1_S, rate, np.nan))


def _frames(baseline: slice, length: int) -> slice:
    start, stop, _ = baseline.indices(length)
    if stop <= start:
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"the baseline {baseline.start}:{baseline.stop} holds none of the {length} frames",
            mend="give the frames before the agent arrives",
        )
    return slice(start, stop)


def _require_relaxivities(r1: float, r2s: float | None, sequence: Sequence) -> None:
    if not (np.isfinite(r1) and r1 > 0):
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the relaxivity r1 is {r1:g} 1/s per mM where a positive one is needed",
            mend="take one from relaxivity_of for the agent and the field",
        )
    if r2s is not None and sequence.echo_time_s is None:
        raise MetadataError(
            Code.METADATA_MISSING,
            "the T2* effect is asked for but the echo time is not known",
            mend="give the echo time, or leave r2* out",
        )

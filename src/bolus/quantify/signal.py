"""From signal to the change of the transverse relaxation rate, one echo or two."""

import numpy as np

from bolus.core import DELTA_R2S, SIGNAL, Curve, Curves, Mask, PerfusionSeries, Step, sparse_zeros
from bolus.errors import Code, MetadataError, TimingError

_LONGEST_ECHO_S = 0.2
"""No perfusion series of the brain has a longer echo time; 30 (ms) is 150 times this."""


def signal_to_delta_r2s(
    series: PerfusionSeries, *, baseline: slice, mask: Mask | None = None
) -> PerfusionSeries:
    """Convert a gradient-echo signal to the change of the transverse relaxation rate.

    ΔR2*(t) = -ln(S(t) / S_BL) / TE, with S_BL the mean of the samples of `baseline` that have
    signal.

    Args:
        series: signal [a.u.] with `echo_time_s` in its acquisition.
        baseline: frames before the bolus arrives, at least two.
        mask: voxels to convert, 0 elsewhere; all of them if None.

    Returns:
        ΔR2* [1/s] on the same grid and times, float32; negative values are kept. NaN curves where
        fewer than half of the baseline samples have signal. A sample without signal (zero or
        negative) is set to half of the smallest positive signal of its curve. A NaN or infinite
        sample stays NaN, and costs that voxel only.

    Raises:
        QuantityError: `series` is not a signal.
        MetadataError: the echo time is missing, or no echo time in seconds.
        TimingError: the baseline holds fewer than two frames.
        GeometryError: the mask is on another grid.

    Assumes:
        T1 does not change the signal (use two echoes otherwise). Near the noise floor a magnitude
        cannot fall further and ΔR2* is too small there: this is not corrected here;
        `quantify.aif` lowers the score of such an artery.

    Source:
        OSIPI CAPLEX Q.EL1.009. Rosen et al., Magn Reson Med 1990;14:249-265,
        doi:10.1002/mrm.1910140211.

    Example:
        >>> series = PerfusionSeries(values=np.array([[[[100.0, 100.0, 50.0]]]]), quantity=SIGNAL,
        ...     grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        ...     time=TimeAxis.regular(3, step_s=1.5), provenance=Provenance(),
        ...     acquisition=Acquisition(echo_time_s=0.03))
        >>> rate = signal_to_delta_r2s(series, baseline=slice(0, 2))
        >>> round(float(rate.values[0, 0, 0, 2]), 2)
        23.1
    """
    echo_s = _echo_time(series.require(SIGNAL))
    frames = _baseline_frames(series, baseline)
    values = sparse_zeros(series.values.shape)
    for slab, out, inside in zip(series.values, values, _inside(series, mask), strict=True):
        out[inside] = _log_drop(slab[inside], frames) / echo_s
    step = Step(
        "quantify.signal_to_delta_r2s",
        {"echo_time_s": echo_s, "baseline": f"{frames.start}:{frames.stop}"},
        source="10.1002/mrm.1910140211",
    )
    return series.derive(values, DELTA_R2S, step)


def dual_echo_to_delta_r2s(
    first: PerfusionSeries,
    second: PerfusionSeries,
    *,
    baseline: slice,
    mask: Mask | None = None,
) -> PerfusionSeries:
    """Convert two echoes to ΔR2* without the effect of T1.

    ΔR2*(t) = ln[(S1(t)/S2(t)) / (S1_BL/S2_BL)] / (TE2 - TE1): what changes both echoes by the
    same factor, such as T1 or the receiver gain, cancels.

    Args:
        first: signal [a.u.] of the shorter echo.
        second: signal [a.u.] of the longer echo, same grid and times.
        baseline: frames before the bolus arrives, at least two.
        mask: voxels to convert, 0 elsewhere; all of them if None.

    Returns:
        ΔR2* [1/s], float32, with the acquisition of the second echo and the history of both.
        Samples without signal and NaN as in `signal_to_delta_r2s`, in each echo.

    Raises:
        TimingError: ECHO_TIMES_INVALID TE2 is not longer than TE1; the times differ; the baseline
            holds fewer than two frames.
        GeometryError: the grids differ.
        QuantityError: one of them is not a signal.
        MetadataError: an echo time is missing, or no echo time in seconds.

    Assumes:
        Both echoes follow one excitation and decay with one exponential.

    Source:
        OSIPI CAPLEX Q.EL1.009. Newbould et al., Magn Reson Med 2007;58:70-81,
        doi:10.1002/mrm.21255.

    Example:
        >>> def echo(values, te):
        ...     return PerfusionSeries(values=np.array([[[values]]]), quantity=SIGNAL,
        ...         grid=Grid(shape=(1, 1, 1), affine=np.eye(4)), provenance=Provenance(),
        ...         time=TimeAxis.regular(3, step_s=1.5), acquisition=Acquisition(echo_time_s=te))
        >>> rate = dual_echo_to_delta_r2s(echo([100.0, 100.0, 90.0], 0.01),
        ...     echo([80.0, 80.0, 36.0], 0.03), baseline=slice(0, 2))
        >>> round(float(rate.values[0, 0, 0, 2]), 2)
        34.66
    """
    first_s, second_s = _echo_time(first.require(SIGNAL)), _echo_time(second.require(SIGNAL))
    if second_s <= first_s:
        raise TimingError(
            Code.ECHO_TIMES_INVALID,
            f"the second echo time ({second_s:.4g} s) is not longer than the first "
            f"({first_s:.4g} s)",
            mend="give the shorter echo first, and the echo time of each",
        )
    _require_same_place_and_time(first, second)
    frames = _baseline_frames(second, baseline)
    values = sparse_zeros(second.values.shape)
    slabs = zip(first.values, second.values, values, _inside(second, mask), strict=True)
    for early, late, out, inside in slabs:
        rate = _log_drop(late[inside], frames)
        rate -= _log_drop(early[inside], frames)
        out[inside] = rate / (second_s - first_s)
    step = Step(
        "quantify.dual_echo_to_delta_r2s",
        {
            "first_echo_time_s": first_s,
            "second_echo_time_s": second_s,
            "baseline": f"{frames.start}:{frames.stop}",
        },
        source="10.1002/mrm.21255",
    )
    return PerfusionSeries(
        values=values,
        quantity=DELTA_R2S,
        grid=second.grid,
        time=second.time,
        acquisition=second.acquisition,
        provenance=first.provenance.merged(second.provenance).then(step),
    )


def _inside(series: PerfusionSeries, mask: Mask | None) -> np.ndarray:
    """Return the voxels (x, y, z) to convert."""
    if mask is None:
        return np.ones(series.grid.shape, bool)
    series.grid.require_match(mask.grid, what=f"the {mask.name} mask")
    return mask.values


def _log_drop(slab: Curves, baseline: slice) -> Curves:
    """Return -ln(S / S_BL) of (voxels, t) curves."""
    signal = np.array(slab, dtype=np.float32)
    if not np.isfinite(signal).all():
        signal[~np.isfinite(signal)] = np.nan
    level = _baseline_level(signal[:, baseline])
    dark = signal <= 0
    rows = np.flatnonzero(dark.any(axis=1))
    if len(rows):
        some = signal[rows]
        smallest = np.where(some > 0, some, np.inf).min(axis=1, keepdims=True)
        signal[rows] = np.where(some <= 0, 0.5 * smallest, some)
    with np.errstate(invalid="ignore"):  # NaN samples and curves without baseline stay NaN
        return np.asarray(np.log(level[:, None]) - np.log(signal))


def _baseline_level(signal: Curves) -> Curve:
    """Return the mean of the samples with signal; NaN where they are fewer than half."""
    lit = signal > 0
    count = lit.sum(axis=1)
    total = signal.sum(axis=1, where=lit, dtype=np.float64)
    enough = (2 * count >= signal.shape[1]) & (count > 0)
    return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _echo_time(series: PerfusionSeries) -> float:
    echo_s = series.acquisition.require("echo_time_s")
    if not 0 < echo_s <= _LONGEST_ECHO_S:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"an echo time of {echo_s:.4g} s cannot be right (expected up to {_LONGEST_ECHO_S} s)",
            mend="give --echo-time in seconds: 30 ms is 0.03",
        )
    return echo_s


def _baseline_frames(series: PerfusionSeries, baseline: slice) -> slice:
    start, stop, _ = baseline.indices(len(series.time))
    if stop - start < 2:
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"the baseline {baseline.start}:{baseline.stop} holds {max(stop - start, 0)} of the "
            f"{len(series.time)} frames; at least 2 are needed",
            mend="use the baseline that find_bolus returns",
        )
    return slice(start, stop)


def _require_same_place_and_time(first: PerfusionSeries, second: PerfusionSeries) -> None:
    second.grid.require_match(first.grid, what="the first echo")
    if len(first.time) != len(second.time):
        raise TimingError(
            Code.TIME_INVALID,
            f"the first echo has {len(first.time)} frames and the second {len(second.time)}",
            mend="give two echoes of the same acquisition",
        )
    gap_s = float(np.abs(first.time.seconds - second.time.seconds).max())
    if gap_s > 0.5 * float(np.diff(second.time.seconds).min()):
        raise TimingError(
            Code.TIME_INVALID,
            f"the times of the two echoes differ by up to {gap_s:.3g} s",
            mend="give two echoes of the same acquisition",
        )

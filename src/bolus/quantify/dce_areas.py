"""Areas under DCE curves: numbers that need no model."""

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, Curves
from bolus.errors import Code, InputError, TimingError


def area_between(
    curves: Curves,
    *,
    seconds: Curve,
    from_s: float | Float[np.ndarray, " voxels"],
    until_s: float | Float[np.ndarray, " voxels"],
) -> Float[np.ndarray, " voxels"]:
    """Integrate curves between two times, which need not be samples.

    Args:
        curves: (voxels, t), any unit.
        seconds: times (t,) [s], increasing, any spacing.
        from_s: begin [s], one or one per voxel.
        until_s: end [s], one or one per voxel.

    Returns:
        Areas [unit of the curves times s]; NaN where the interval is not within the scan or the
        curve is not finite.

    Raises:
        TimingError: times do not increase or do not match the curves.

    Assumes:
        Curves are linear between samples.

    Source:
        Trapezoidal rule with the two ends interpolated.

    Example:
        >>> t = np.array([0.0, 2.0, 6.0])
        >>> area_between(np.array([[0.0, 2.0, 6.0]]), seconds=t, from_s=1.0, until_s=3.0).tolist()
        [4.0]
    """
    times = np.asarray(seconds, np.float64)
    if curves.ndim != 2 or curves.shape[1:] != times.shape or not (np.diff(times) > 0).all():
        raise TimingError(
            Code.TIME_INVALID,
            f"curves {curves.shape} and {times.size} times do not match, or times do not increase",
            mend="give curves as (voxels, t) and one time per frame, in order",
        )
    steps = np.diff(times)
    count = len(curves)
    total = np.zeros((count, len(times)))
    np.cumsum((curves[:, 1:] + curves[:, :-1]) * (steps / 2), axis=1, out=total[:, 1:])
    rows = np.arange(count)

    def until(time_s: float | np.ndarray) -> np.ndarray:
        at = np.broadcast_to(np.asarray(time_s, np.float64), (count,))
        inside = (at >= times[0]) & (at <= times[-1])
        i = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
        u = at - times[i]
        low, high = curves[rows, i], curves[rows, i + 1]
        area = total[rows, i] + u * (low + (high - low) * u / steps[i] / 2)
        return np.where(inside, area, np.nan)

    return np.asarray(until(until_s) - until(from_s))


def initial_area(
    concentration: Curves,
    *,
    seconds: Curve,
    arrival_s: float | Float[np.ndarray, " voxels"],
    duration_s: float,
) -> Float[np.ndarray, " voxels"]:
    """Return the initial area under the concentration curve: IAUC60 where `duration_s` is 60.

    Args:
        concentration: (voxels, t) [mM]; negative values count as they are.
        seconds: times (t,) [s].
        arrival_s: arrival of the bolus [s], one or one per voxel.
        duration_s: how long from there [s].

    Returns:
        Areas [mM s]; NaN where the scan ends before the interval does.

    Raises:
        TimingError: times do not increase or do not match the curves.

    Assumes:
        Curves are linear between samples.

    Source:
        Evelhoch, J Magn Reson Imaging 1999;10:254-259. OSIPI CAPLEX Q.CD1.013.

    Example:
        >>> t = np.arange(0.0, 100.0, 10.0)
        >>> initial_area(np.ones((1, 10)), seconds=t, arrival_s=20.0, duration_s=60.0).tolist()
        [60.0]
    """
    return area_between(
        concentration,
        seconds=seconds,
        from_s=arrival_s,
        until_s=np.asarray(arrival_s, np.float64) + duration_s,
    )


def steady_state_area(
    signal: Curves, *, seconds: Curve, baseline: slice, from_s: float, until_s: float
) -> Float[np.ndarray, " voxels"]:
    """Return the area of relative enhancement in the steady state, per second of it.

    The mean of S/S0 - 1 between two times after the first pass, S0 the mean of the baseline: the
    plateau that blood volume and leakage share. It needs no T1, no artery and no model.

    Args:
        signal: (voxels, t), any unit.
        seconds: times (t,) [s].
        baseline: frames before arrival.
        from_s: begin of the steady state [s].
        until_s: its end [s].

    Returns:
        Mean relative enhancement [1]; NaN where the baseline is not positive.

    Raises:
        TimingError: times do not increase or do not match the curves.
        InputError: the baseline has no frame, or the interval is empty.

    Assumes:
        Enhancement is small enough to be proportional to concentration; curves are linear
        between samples.

    Source:
        Definition set by us: area over time, so that scans of unlike length compare.

    Example:
        >>> t = np.arange(10.0)
        >>> steady_state_area(np.where(t < 3, 100.0, 150.0)[None], seconds=t,
        ...                   baseline=slice(0, 3), from_s=4.0, until_s=9.0).tolist()
        [0.5]
    """
    before = signal[:, baseline]
    if before.shape[1] < 1 or not until_s > from_s:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"{before.shape[1]} baseline frames; a steady state from {from_s:g} to {until_s:g} s",
            mend="give at least one baseline frame and an end after the begin",
        )
    level = before.mean(axis=1)
    area = area_between(signal, seconds=seconds, from_s=from_s, until_s=until_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = area / (until_s - from_s) / level - 1.0
    return np.where(level > 0, mean, np.nan)

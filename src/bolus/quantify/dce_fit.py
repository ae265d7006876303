"""The fit that all DCE models share: a grid of starts, then variable projection, in chunks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from threadpoolctl import threadpool_limits

from bolus.core.arrays import Curve, Curves
from bolus.core.maps import FitStatus
from bolus.errors import Code, MetadataError, QuantityError, TimingError
from bolus.quantify.dce_tables import DceTables, build_tables

CHUNK = 8192
"""Most voxels worked on at once; fewer where the grid of starts is large."""
_STARTS_AT_ONCE = 1 << 20
_COARSE_DELAYS = 2
"""Every second delay of the table is a start: 1 s apart."""
_SLOWEST = 0.01
"""Position of the slowest rate, in nodes: k = 0 has no volume."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceFit:
    """What a DCE model found in every voxel, in the units of `core.quantities`.

    Where `status` is not OK every value is NaN. Where it is OK, a parameter that lies on one of
    its bounds keeps the value of the bound and has standard error NaN; the errors of the others
    then hold with it fixed. A parameter that nothing determines (ve where Ktrans is 0) is NaN.
    """

    names: tuple[str, ...]
    """Keys of the parameters, in the order of `values`."""
    values: Float[np.ndarray, "voxels parameters"]
    covariance: Float[np.ndarray, "voxels parameters parameters"]
    residual_std: Float[np.ndarray, " voxels"]
    """Standard deviation of the curve about the fit [mM], with the degrees of freedom left."""
    r2: Float[np.ndarray, " voxels"]
    """Share of the curve's variance that the fit explains."""
    sum_of_squares: Float[np.ndarray, " voxels"]
    """What the fit leaves over [mM^2]."""
    frames: int
    status: UInt8[np.ndarray, " voxels"]

    def __getitem__(self, name: str) -> Float[np.ndarray, " voxels"]:
        return self.values[:, self.names.index(name)]

    def std(self, name: str) -> Float[np.ndarray, " voxels"]:
        """Return the standard error of a parameter, in its unit."""
        at = self.names.index(name)
        return np.asarray(np.sqrt(self.covariance[:, at, at]))

    def correlation(self, first: str, second: str) -> Float[np.ndarray, " voxels"]:
        """Return the correlation of the errors of two parameters."""
        both = self.covariance[:, self.names.index(first), self.names.index(second)]
        return np.asarray(both / (self.std(first) * self.std(second)))

    def status_of(self, name: str) -> UInt8[np.ndarray, " voxels"]:
        """Return the status of one parameter: AT_BOUND where the fit is OK but it has no value."""
        lost = (self.status == FitStatus.OK) & ~np.isfinite(self[name])
        return np.where(lost, FitStatus.AT_BOUND, self.status).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A model as the kernels see it: two columns, their limits, and what comes out."""

    names: tuple[str, ...]
    units: tuple[float, ...]
    kinds: tuple[int, int]
    limits: tuple[tuple[float, float], tuple[float, float]]
    """Lowest and highest amplitude of the two columns [1, or 1/s for an uptake]."""
    rate_range_per_min: tuple[float, float]
    starts: int
    """Rates in the grid of starts."""
    delay_range_s: tuple[float, float] | None
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """What all voxels of one call share: the model, the tables and the grid of starts."""

    plan: Plan
    tables: DceTables
    kinds: np.ndarray
    limits: np.ndarray
    ends: np.ndarray
    positions: np.ndarray
    """Positions (i,) of the rates of the grid, in nodes."""
    delays: np.ndarray
    """Nodes (d,) of the delays of the grid."""
    columns: tuple[np.ndarray, np.ndarray]
    """Curves (d, i, rank) and (d, j, rank) of the grid."""

    @property
    def chunk(self) -> int:
        size = max(len(self.delays) * len(self.positions), 1)
        return int(min(CHUNK, max(_STARTS_AT_ONCE // size, 64)))


def fit_curves(
    plan: Plan,
    tissue: Curves,
    arterial: Curve,
    *,
    seconds: Curve,
    arterial_seconds: Curve | None,
    delay_s: float | Float[np.ndarray, " voxels"],
) -> DceFit:
    """Fit a plan to curves; the models of `dce_models` say what it means.

    Args:
        plan: the model.
        tissue: (voxels, t) concentrations [mM].
        arterial: plasma concentration of the artery [mM] at its own samples.
        seconds: times of the tissue [s].
        arterial_seconds: times of the artery [s]; None if they are those of the tissue.
        delay_s: delay behind the artery [s], one number or one per voxel; not used where the
            plan fits it.

    Returns:
        The fit.

    Raises:
        TimingError: times and curves do not match, or the artery ends too early.
        QuantityError: the artery is not finite or has no positive area.
        MetadataError: a range is empty, or a delay is not finite.

    Assumes:
        Noise is white over the frames and alike in all of them.

    Source:
        Variable projection: Golub and Pereyra, SIAM J Numer Anal 1973;10:413-432.

    Example:
        >>> from bolus.quantify.dce_models import Tofts
        >>> t = np.arange(40) * 5.0
        >>> a = np.where(t > 20, np.exp(-(t - 20) / 60), 0.0)
        >>> fit_curves(Tofts().plan(), a[None], a, seconds=t, arterial_seconds=None,
        ...            delay_s=0.0).names
        ('ktrans', 've')
    """
    times = np.ascontiguousarray(seconds, np.float64)
    own = times if arterial_seconds is None else np.ascontiguousarray(arterial_seconds, np.float64)
    artery = np.ascontiguousarray(arterial, np.float64)
    given = np.asarray(delay_s, np.float64)
    _check(plan, tissue, artery, times, own, given)
    voxels, count = len(tissue), len(plan.names)
    values = np.empty((voxels, count))
    covariance = np.empty((voxels, count, count))
    numbers = np.empty((3, voxels))
    status = np.zeros(voxels, np.uint8)
    delays = np.broadcast_to(given, (voxels,))
    with threadpool_limits(limits=1, user_api="blas"):  # two threads cost more, not less
        tables = build_tables(
            artery, seconds=times, arterial_seconds=own,
            fastest_per_s=plan.rate_range_per_min[1] / 60,
            delay_range_s=plan.delay_range_s or (float(given.min()), float(given.max())),
        )  # fmt: skip
        case = _case(plan, tables)
        for first in range(0, voxels, case.chunk):
            part = slice(first, min(first + case.chunk, voxels))
            _fit_chunk(
                case, tissue[part], delays[part],
                (values[part], covariance[part], numbers[:, part], status[part]),
            )  # fmt: skip
    return DceFit(
        names=plan.names, values=values, covariance=covariance, residual_std=numbers[0],
        r2=numbers[1], sum_of_squares=numbers[2], frames=len(times), status=status,
    )  # fmt: skip


def _check(
    plan: Plan,
    tissue: np.ndarray,
    artery: np.ndarray,
    times: np.ndarray,
    own: np.ndarray,
    given: np.ndarray,
) -> None:
    check_times(tissue, artery, times, own, fewest=len(plan.names) + 2)
    if not np.isfinite(given).all() or given.ndim > 1 or given.size not in (1, len(tissue)):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{given.size} delays for {len(tissue)} voxels, or one is not finite",
            mend="give one delay in seconds, or one per voxel",
        )
    ranges = {"rates": plan.rate_range_per_min, "amplitudes": plan.limits[0]}
    ranges |= {"volumes": plan.limits[1]} if plan.kinds[1] else {}
    ranges |= {"delays": plan.delay_range_s} if plan.delay_range_s else {}
    for name, (low, high) in ranges.items():
        if not low < high or (name == "rates" and low < 0):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"the range of {name} is ({low:g}, {high:g}); it is empty or negative",
                mend="give (lowest, highest)",
            )


def check_times(
    tissue: np.ndarray, artery: np.ndarray, times: np.ndarray, own: np.ndarray, *, fewest: int
) -> None:
    """Raise unless curves, artery and their times fit together.

    Args:
        tissue: (voxels, t).
        artery: (s,).
        times: (t,) [s] of the tissue.
        own: (s,) [s] of the artery.
        fewest: frames needed.

    Raises:
        TimingError: times do not match, do not increase, are too few, or the artery ends early.
        QuantityError: the artery is not finite or has no positive area.

    Assumes:
        The artery may be held constant for two of its steps after its end, no longer.

    Source:
        Set by us.

    Example:
        >>> t = np.arange(8.0)
        >>> check_times(np.ones((2, 8)), np.ones(8), t, t, fewest=4)
    """
    if tissue.ndim != 2 or tissue.shape[1:] != times.shape or artery.shape != own.shape:
        raise TimingError(
            Code.TIME_INVALID,
            f"tissue {tissue.shape} with {times.size} times, artery {artery.shape} with "
            f"{own.size} times: they do not fit together",
            mend="give one time per value, and arterial_seconds where the artery has its own",
        )
    if len(times) < fewest or len(own) < 2:
        raise TimingError(
            Code.SERIES_TOO_SHORT,
            f"{len(times)} frames and {len(own)} of the artery; {fewest} and 2 are needed",
            mend="give the whole series",
        )
    if not (np.diff(times) > 0).all() or not (np.diff(own) > 0).all():
        raise TimingError(
            Code.TIME_INVALID,
            "times do not increase, or are not finite",
            mend="sort the frames by acquisition time",
        )
    if own[-1] < times[-1] - 2 * np.diff(own).max():
        raise TimingError(
            Code.SERIES_TOO_SHORT,
            f"the artery ends at {own[-1]:.4g} s, the tissue at {times[-1]:.4g} s",
            mend="give an artery that covers the tissue, or cut the tissue; check the unit of time",
        )
    if not np.isfinite(artery).all() or not np.trapezoid(artery, own) > 0:
        raise QuantityError(
            Code.AIF_NOT_FOUND,
            "the arterial curve is not finite or has no positive area",
            mend="choose another artery or check the baseline",
        )


def _case(plan: Plan, tables: DceTables) -> _Case:
    """Lay the grid of starts over the tables."""
    from bolus.quantify.dce_kernels import EXCHANGE

    low, high = (tables.rate_position(k / 60) for k in plan.rate_range_per_min)
    low = max(low, _SLOWEST)
    delay_count = tables.nodes.shape[1]
    ends = np.array([[low, high], [low, high], [0.0, delay_count - 1.0]])
    picked = np.unique(np.round(np.linspace(max(low, 1), high, plan.starts)).astype(int))
    delays = np.arange(0, delay_count, _COARSE_DELAYS)
    columns = []
    for kind in plan.kinds:
        if kind == EXCHANGE:
            k = tables.rate_per_s(picked)[None, :, None]
            columns.append(k * np.moveaxis(tables.nodes[picked][:, delays], 0, 1))
        else:
            whole = (np.zeros_like(tables.artery_nodes), tables.artery_nodes, tables.nodes[0])
            columns.append(whole[kind][delays][:, None])
    return _Case(
        plan=plan, tables=tables, kinds=np.array(plan.kinds), limits=np.array(plan.limits),
        ends=ends, positions=picked.astype(float) if EXCHANGE in plan.kinds else np.zeros(1),
        delays=delays, columns=(columns[0], columns[1]),
    )  # fmt: skip


def _start(case: _Case, data: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return the best point of the grid for every voxel, (n, 3) positions."""
    from bolus.quantify.dce_kernels import EXCHANGE, search

    first, second = case.columns
    tables = case.tables
    known = np.full(len(data), -1)
    at = np.zeros(len(data))
    if case.plan.delay_range_s is None and len(case.delays) > 1:
        at = (given - tables.first_delay_s) / tables.delay_step_s
        known = np.clip(np.round(at / _COARSE_DELAYS).astype(int), 0, len(case.delays) - 1)
    best = np.zeros((len(data), 3))
    search(
        (data @ first.reshape(-1, first.shape[2]).T).reshape(-1, *first.shape[:2]),
        (data @ second.reshape(-1, second.shape[2]).T).reshape(-1, *second.shape[:2]),
        (first**2).sum(axis=2), (second**2).sum(axis=2),
        np.einsum("dir,djr->dij", first, second),
        case.limits, case.plan.kinds == (EXCHANGE, EXCHANGE), known, best,
    )  # fmt: skip
    delay = at if case.plan.delay_range_s is None else case.delays[best[:, 2].astype(int)]
    indices = np.arange(len(case.positions))
    rates = [np.interp(best[:, c], indices, case.positions) for c in range(2)]
    return np.stack([*rates, delay], axis=1)


def _fit_chunk(
    case: _Case, tissue: np.ndarray, given: np.ndarray, out: tuple[np.ndarray, ...]
) -> None:
    """Fit one chunk into its part of the results."""
    from bolus.quantify.dce_fit_kernels import fit_voxels, to_kinetic
    from bolus.quantify.dce_kernels import EXCHANGE

    values, covariance, numbers, status = out
    tables, plan = case.tables, case.plan
    curves = np.array(tissue, np.float64)
    power = np.einsum("vt,vt->v", curves, curves)
    finite = np.isfinite(power)
    curves[~finite], power[~finite] = 0.0, 0.0
    data = curves @ tables.basis.T
    mean = curves.mean(axis=1)
    outside = np.maximum(power - np.einsum("vr,vr->v", data, data), 0.0)
    position = _start(case, data, given)
    moving = np.array([k == EXCHANGE for k in case.kinds] + [plan.delay_range_s is not None])
    found, spread = np.zeros((len(data), 2)), np.empty((len(data), 5, 5))
    squares, outcome = np.empty((len(data), 2)), np.empty(len(data), np.uint8)
    fit_voxels(
        data, outside, position, case.kinds, tables.exchange, tables.artery, tables.axis,
        case.limits, case.ends, moving, plan.steps, curves.shape[1],
        found, spread, squares, outcome,
    )  # fmt: skip
    to_kinetic(
        case.kinds, tables.axis, np.array(plan.units), found, position, spread, values, covariance
    )
    singular = np.isnan(covariance[:, 0, 0])
    variance = power - len(tables.basis.T) * mean**2
    varies = variance > 1e-12 * power
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers[0] = np.sqrt(squares[:, 0] / squares[:, 1])
        numbers[1] = 1.0 - squares[:, 0] / variance
    numbers[2] = squares[:, 0]
    status[:] = _status(case, found, position, outcome, singular, moving)
    status[~varies] = FitStatus.NO_SIGNAL
    status[~finite] = FitStatus.NOT_FINITE
    _void(case, found, position, values, covariance)
    lost = status != FitStatus.OK
    values[lost], covariance[lost] = np.nan, np.nan
    numbers[:, (status == FitStatus.NO_SIGNAL) | ~finite] = np.nan


def _status(
    case: _Case,
    found: np.ndarray,
    position: np.ndarray,
    outcome: np.ndarray,
    singular: np.ndarray,
    moving: np.ndarray,
) -> np.ndarray:
    """Say in which voxels the answer lies on the edge of what the model can see."""
    from bolus.quantify.dce_kernels import EMPTY, NOT_CONVERGED, UPTAKE

    status = np.zeros(len(found), np.uint8)
    for c in np.flatnonzero(moving[:2]):
        fastest = position[:, c] >= case.ends[c, 1]
        status[fastest & (found[:, c] != 0)] = FitStatus.AT_BOUND
    if moving[2]:
        edge = (position[:, 2] <= 0) | (position[:, 2] >= case.ends[2, 1])
        status[edge] = FitStatus.AT_BOUND
    if moving[0] and moving[1]:  # one pool alone tells neither exchange nor volumes
        one = (found == 0).any(axis=1) | (singular & (found < case.limits[:, 1]).all(axis=1))
        status[one] = FitStatus.AT_BOUND
    elif moving[0] and case.kinds[1] == UPTAKE:
        status[found[:, 0] == 0] = FitStatus.AT_BOUND
    status[outcome == NOT_CONVERGED] = FitStatus.NOT_CONVERGED
    status[outcome == EMPTY] = FitStatus.AT_BOUND
    return status


def _void(
    case: _Case,
    found: np.ndarray,
    position: np.ndarray,
    values: np.ndarray,
    covariance: np.ndarray,
) -> None:
    """Take ve away where nothing determines it: no leakage, or no return of what leaked."""
    if "ve" not in case.plan.names:
        return
    at = case.plan.names.index("ve")
    slow = 1 if case.plan.names[0] == "fp" else 0
    unknown = (found[:, slow] == 0) | (position[:, slow] <= case.ends[slow, 0])
    values[unknown, at] = np.nan
    covariance[unknown, at, :] = np.nan
    covariance[unknown, :, at] = np.nan

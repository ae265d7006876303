"""Tables of the vascular model: tissue curves of unit volume over MTT, shape and delay.

One table serves all voxels of a case: it depends on the arterial curve and the times only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, read_only
from bolus.quantify.splines import spline_matrix
from bolus.quantify.vascular_artery import artery_between_samples


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """Nodes of one axis of the table, evenly spaced (in the logarithm for MTT and shape)."""

    nodes: Float[np.ndarray, " nodes"]

    @property
    def step(self) -> float:
        """Distance between two nodes."""
        return float(self.nodes[1] - self.nodes[0])

    def value(self, position: np.ndarray) -> np.ndarray:
        """Return what stands at a position in nodes."""
        return np.asarray(self.nodes[0] + self.step * position)

    def position(self, value: float) -> float:
        """Return where a value stands, in nodes."""
        return float((value - self.nodes[0]) / self.step)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VascularTables:
    """Templates of one arterial curve, compressed onto an orthonormal basis of the frames.

    `basis` (rank, t); `coefficients` (mtt + 2, shape + 2, delay + 2, rank) of cubic B-splines;
    `starts` (starts, rank), templates of unit norm, and where they stand, (starts, 3) in nodes.
    """

    log_mtt: Axis
    log_shape: Axis
    delay: Axis
    basis: Float[np.ndarray, "rank t"]
    coefficients: Float[np.ndarray, "m k d rank"]
    starts: Float[np.ndarray, "starts rank"]
    start_positions: Float[np.ndarray, "starts 3"]


def residue_integral(lag_s: np.ndarray, mtt_s: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Integrate the residue of gamma-distributed transit times twice, from 0 to the lag.

    With R(u) = Q(shape, u / scale), scale = MTT / shape, the double integral has a closed form in
    the incomplete gamma functions of orders shape, shape + 1 and shape + 2.

    Args:
        lag_s: lags >= 0 [s].
        mtt_s: mean transit times [s]; broadcasts with the lags.
        shape: shapes [1]; broadcasts with the lags.

    Returns:
        The double integral [s^2].

    Assumes:
        Transit times are gamma distributed, so that the area under R is MTT.

    Source:
        Definition of the residue: Mouridsen et al., NeuroImage 2006;33:570-579. Integrals: by
        parts; DLMF 8.8.5-8.8.6 for the recurrences.

    Example:
        >>> curve = residue_integral(np.array([0.0, 1000.0]), np.array(4.0), np.array(1.0))
        >>> curve.round(6).tolist()
        [0.0, 3984.0]
    """
    from scipy.special import gammainc, gammaln

    scale = mtt_s / shape
    x = lag_s / scale
    lower = gammainc(shape, x)
    with np.errstate(divide="ignore"):
        term = np.exp(shape * np.log(x) - x - gammaln(shape + 1.0))
    lower_1 = lower - term
    lower_2 = lower_1 - term * x / (shape + 1.0)
    return np.asarray(
        0.5 * lag_s**2 * (1.0 - lower)
        + mtt_s * lag_s * lower_1
        - 0.5 * mtt_s * (mtt_s + scale) * lower_2
    )


def tissue_curves(
    aif: Curve,
    seconds: Curve,
    *,
    mtt_s: np.ndarray,
    shape: np.ndarray,
    delay_s: np.ndarray,
    step_s: float = 0.05,
) -> np.ndarray:
    """Return tissue curves of unit volume for every MTT, shape and delay of a grid.

    C(t) = (1 / MTT) * integral of AIF(t - delay - u) * Q(shape, u * shape / MTT) du. The arterial
    curve is a cubic spline through its samples, taken as linear between points `step_s` apart,
    for which the integral is exact. Before the first sample it is zero; after the last it keeps
    its last value (only delays below zero look there).

    Args:
        aif: arterial curve (t,).
        seconds: times (t,) [s], increasing, any spacing.
        mtt_s: (m,) [s].
        shape: (k,) [1].
        delay_s: (d,) [s], of either sign.
        step_s: distance between points of the inner grid [s].

    Returns:
        (m, k, d, t) in the unit of the arterial curve.

    Assumes:
        The arterial curve is sampled finely enough for a cubic spline (about 3 s).

    Source:
        Mouridsen et al., NeuroImage 2006;33:570-579.

    Example:
        >>> t = np.arange(40) * 1.0
        >>> a = np.exp(-((t - 10.0) ** 2) / 8.0)
        >>> curves = tissue_curves(a, t, mtt_s=np.array([4.0]), shape=np.array([1.0]),
        ...                        delay_s=np.array([0.0, 2.0]))
        >>> curves.shape, bool(np.allclose(curves[0, 0, 0, :-2], curves[0, 0, 1, 2:], atol=1e-4))
        ((1, 1, 2, 40), True)
    """
    from scipy.fft import irfft, next_fast_len, rfft

    ahead = max(-float(delay_s.min()), 0.0)
    count = int(np.ceil((seconds[-1] - seconds[0] + ahead) / step_s)) + 2
    fine_s = step_s * np.arange(count)
    artery = artery_between_samples(aif, seconds, seconds[0] + fine_s)

    lags = step_s * np.arange(-1, count + 1)
    double = np.zeros((len(mtt_s), len(shape), count + 2))
    double[:, :, 1:] = residue_integral(
        np.abs(lags[1:]), mtt_s[:, None, None], shape[None, :, None]
    )
    weights = np.diff(double, n=2, axis=-1) / step_s / mtt_s[:, None, None]
    size = next_fast_len(2 * count)
    tissue = irfft(rfft(weights, size) * rfft(artery, size), size)[..., :count]

    wanted = (seconds[None, :] - seconds[0] - delay_s[:, None]) / step_s
    first = np.clip(np.floor(wanted).astype(np.int64), 0, count - 2)
    part = np.clip(wanted - first, 0.0, 1.0)
    return np.asarray(
        np.where(wanted >= 0, tissue[..., first] * (1 - part) + tissue[..., first + 1] * part, 0.0)
    )


def _splines(values: np.ndarray) -> np.ndarray:
    """Return the B-spline coefficients of (m, k, d, rank) values along the first three axes."""
    for axis in range(3):
        matrix = spline_matrix(values.shape[axis])
        values = np.moveaxis(np.tensordot(matrix, values, axes=(1, axis)), 0, axis)
    return values


def build_tables(
    aif: Curve,
    seconds: Curve,
    *,
    log_mtt: Axis,
    log_shape: Axis,
    delay: Axis,
    free_offset: bool,
    step_s: float,
) -> VascularTables:
    """Build the tables of one arterial curve.

    Args:
        aif: arterial curve (t,).
        seconds: times (t,) [s].
        log_mtt: nodes of log(MTT / s).
        log_shape: nodes of log(shape).
        delay: nodes of the delay [s].
        free_offset: take the mean off every curve, so that a constant costs nothing.
        step_s: inner grid [s].

    Returns:
        The tables; the rank of the basis follows from the arterial curve.

    Assumes:
        Noise is white over the frames, so that an orthonormal basis loses nothing.

    Source:
        Own; the compression is a principal-component basis of the templates.

    Example:
        >>> t = np.arange(60) * 1.5
        >>> axes = [Axis(nodes=np.linspace(*e)) for e in ((0, 3, 8), (0, 2, 6), (-2, 4, 13))]
        >>> build_tables(np.exp(-((t - 20) ** 2) / 18), t, log_mtt=axes[0], log_shape=axes[1],
        ...              delay=axes[2], free_offset=False, step_s=0.05).coefficients.shape[:3]
        (10, 8, 15)
    """
    curves = tissue_curves(
        aif,
        seconds,
        mtt_s=np.exp(log_mtt.nodes),
        shape=np.exp(log_shape.nodes),
        delay_s=delay.nodes,
        step_s=step_s,
    )
    if free_offset:
        curves -= curves.mean(axis=-1, keepdims=True)
    flat = curves.reshape(-1, len(seconds))
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit = flat / lengths
    power, vectors = np.linalg.eigh(unit.T @ unit)
    lost = np.cumsum(power) / len(unit)
    rank = max(int(np.count_nonzero(lost > LOST_POWER)), 4)
    rank = min(-(-rank // 4) * 4, len(seconds))
    basis = vectors[:, ::-1][:, :rank].T
    values = (flat @ basis.T).reshape(*curves.shape[:3], rank)
    grid = np.meshgrid(
        np.arange(0, values.shape[0], 2),
        np.arange(1, values.shape[1], 3),
        np.arange(0, values.shape[2], 3),
        indexing="ij",
    )
    picked = values[tuple(grid)].reshape(-1, rank)[:, :START_RANK]
    return VascularTables(
        log_mtt=log_mtt,
        log_shape=log_shape,
        delay=delay,
        basis=read_only(np.ascontiguousarray(basis)),
        coefficients=read_only(np.ascontiguousarray(_splines(values), dtype=np.float32)),
        starts=read_only(
            (picked / np.linalg.norm(picked, axis=1, keepdims=True)).astype(np.float32)
        ),
        start_positions=read_only(np.stack([g.ravel() for g in grid], axis=1).astype(np.float64)),
    )


LOST_POWER = 1e-5
"""Mean share of a template's power that the basis may leave out."""

START_RANK = 16
"""Leading components of the basis that choose the start."""

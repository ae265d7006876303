"""Tables of the DCE models: the artery convolved with exp(-k t), over rates and delays.

One table serves all voxels of a scan: it depends on the artery and on the times only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import Curve, read_only
from bolus.core.randomness import stream
from bolus.quantify.dce_kernels import delayed_convolution, delayed_samples
from bolus.quantify.splines import spline_matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceTables:
    """Curves of one artery, compressed onto an orthonormal basis of the frames.

    Rates k = `rate_scale_per_s` * (exp(`rate_step` * position) - 1): position 0 is k = 0, and far
    from it nodes are evenly spaced in log k. Delays are `first_delay_s` + `delay_step_s` *
    position. `basis` (rank, t); `exchange` (rates + 2, delays + 2, rank) and `artery` (1,
    delays + 2, rank) are coefficients of cubic B-splines, or with one delay only, of length 1
    along it; `nodes` and `artery_nodes` the same curves at the nodes.
    """

    rate_scale_per_s: float
    rate_step: float
    first_delay_s: float
    delay_step_s: float
    basis: Float[np.ndarray, "rank t"]
    exchange: Float[np.ndarray, "k d rank"]
    artery: Float[np.ndarray, "one d rank"]
    nodes: Float[np.ndarray, "rates delays rank"]
    artery_nodes: Float[np.ndarray, "delays rank"]

    @property
    def axis(self) -> np.ndarray:
        """Step and scale of the rates, step and first of the delays, as the kernels take them."""
        return np.array(
            [self.rate_step, self.rate_scale_per_s, self.delay_step_s, self.first_delay_s]
        )

    def rate_per_s(self, position: np.ndarray) -> np.ndarray:
        """Return k [1/s] at positions in nodes."""
        return np.asarray(self.rate_scale_per_s * np.expm1(self.rate_step * position))

    def rate_position(self, rate_per_s: float) -> float:
        """Return where a rate [1/s] stands, in nodes."""
        return float(np.log1p(rate_per_s / self.rate_scale_per_s) / self.rate_step)


def exchange_curves(
    arterial: Curve,
    *,
    seconds: Curve,
    arterial_seconds: Curve,
    rates_per_s: Float[np.ndarray, " n"],
    delays_s: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n t"]:
    """Convolve a delayed artery with exp(-k t), at the times of the tissue.

    I(t) = integral of a(u - delay) exp(-k (t - u)) du up to t, one rate and one delay per row.

    Args:
        arterial: the artery at its own samples, any unit.
        seconds: times of the tissue [s], increasing, any spacing.
        arterial_seconds: times of the artery [s], increasing, any spacing.
        rates_per_s: k [1/s], zero or positive.
        delays_s: how much later than in the artery [s]; may be negative.

    Returns:
        I [unit of the artery times s].

    Assumes:
        The artery is linear between its samples, 0 before the first, constant after the last.

    Source:
        Exact integral of a linear segment, see `convolution.convolve_exponential`.

    Example:
        >>> t = np.linspace(0.0, 10.0, 6)
        >>> late = exchange_curves(np.ones(6), seconds=t, arterial_seconds=t,
        ...                        rates_per_s=np.zeros(1), delays_s=np.array([3.0]))
        >>> late[0].tolist()
        [0.0, 0.0, 1.0, 3.0, 5.0, 7.0]
    """
    result = np.empty((len(rates_per_s), len(seconds)))
    delayed_convolution(
        seconds, arterial_seconds, arterial, np.asarray(rates_per_s, np.float64),
        np.asarray(delays_s, np.float64), result,
    )  # fmt: skip
    return result


def arterial_curves(
    arterial: Curve,
    *,
    seconds: Curve,
    arterial_seconds: Curve,
    delays_s: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n t"]:
    """Sample a delayed artery at the times of the tissue, one delay per row.

    Args:
        arterial: the artery at its own samples, any unit.
        seconds: times of the tissue [s], increasing.
        arterial_seconds: times of the artery [s], increasing.
        delays_s: how much later [s]; may be negative.

    Returns:
        a(t - delay) [unit of the artery].

    Assumes:
        The artery is linear between its samples, 0 before the first, constant after the last.

    Source:
        Linear interpolation.

    Example:
        >>> t = np.arange(4.0)
        >>> arterial_curves(t, seconds=t, arterial_seconds=t, delays_s=np.array([0.5])).tolist()
        [[0.0, 0.5, 1.5, 2.5]]
    """
    result = np.empty((len(delays_s), len(seconds)))
    delayed_samples(seconds, arterial_seconds, arterial, np.asarray(delays_s, np.float64), result)
    return result


def build_tables(
    arterial: Curve,
    *,
    seconds: Curve,
    arterial_seconds: Curve,
    fastest_per_s: float,
    delay_range_s: tuple[float, float],
) -> DceTables:
    """Build the tables of one artery.

    Args:
        arterial: the artery at its own samples, any unit.
        seconds: times of the tissue [s], increasing, any spacing.
        arterial_seconds: times of the artery [s], increasing, any spacing.
        fastest_per_s: largest rate needed [1/s].
        delay_range_s: earliest and latest delay needed [s]; alike if there is one only.

    Returns:
        The tables. With one delay, interpolation and basis are exact to 1e-6 of a curve; with
        several, to about 1e-4 (delays between nodes; at the nodes like one delay).

    Assumes:
        Noise is white over the frames, so that an orthonormal basis loses nothing.

    Source:
        Own. The basis is found from random mixtures of the curves: Halko, Martinsson and Tropp,
        SIAM Rev 2011;53:217-288.

    Example:
        >>> t = np.arange(60) * 5.0
        >>> tables = build_tables(np.exp(-t / 100), seconds=t, arterial_seconds=t,
        ...                       fastest_per_s=1.0, delay_range_s=(0.0, 0.0))
        >>> tables.exchange.shape[1], tables.rate_per_s(np.array([0.0])).tolist()
        (1, [0.0])
    """
    low, high = delay_range_s
    count = 1 if high == low else max(int(np.ceil((high - low) / DELAY_STEP_S)) + 1, 6)
    delays = np.linspace(low, high, count)
    scale = 0.5 / float(seconds[-1] - seconds[0])
    step = RATE_STEP if count == 1 else COARSE_RATE_STEP
    rate_count = max(int(np.ceil(np.log1p(fastest_per_s / scale) / step)) + 2, 6)
    rates = scale * np.expm1(step * np.arange(rate_count))
    pairs = np.broadcast_arrays(rates[:, None], delays)
    curves = exchange_curves(
        arterial, seconds=seconds, arterial_seconds=arterial_seconds,
        rates_per_s=pairs[0].ravel(), delays_s=pairs[1].ravel(),
    )  # fmt: skip
    artery = arterial_curves(
        arterial, seconds=seconds, arterial_seconds=arterial_seconds, delays_s=delays
    )
    basis = _basis(np.concatenate([curves, artery]), LOST if count == 1 else COARSE_LOST)
    nodes = (curves @ basis.T).reshape(rate_count, count, len(basis))
    artery_nodes = artery @ basis.T
    exchange = np.tensordot(spline_matrix(rate_count), nodes, axes=1)
    late = artery_nodes[None]
    if count > 1:
        across = spline_matrix(count)
        exchange = np.moveaxis(np.tensordot(across, exchange, axes=(1, 1)), 0, 1)
        late = np.tensordot(across, artery_nodes, axes=1)[None]
    return DceTables(
        rate_scale_per_s=scale,
        rate_step=step,
        first_delay_s=low,
        delay_step_s=float(delays[1] - delays[0]) if count > 1 else 1.0,
        basis=read_only(basis),
        exchange=read_only(np.ascontiguousarray(exchange)),
        artery=read_only(np.ascontiguousarray(late)),
        nodes=read_only(nodes),
        artery_nodes=read_only(artery_nodes),
    )


def _basis(curves: np.ndarray, lost: float) -> np.ndarray:
    """Return orthonormal rows (rank, t) that leave out no more than `lost` of a mean curve."""
    lengths = np.linalg.norm(curves, axis=1, keepdims=True)
    unit = curves / np.where(lengths > 0, lengths, 1.0)
    if len(unit) > _MIXTURES:
        unit = stream(0, "dce basis").standard_normal((_MIXTURES, len(unit))) @ unit
    _, power, vectors = np.linalg.svd(unit, full_matrices=False)
    missing = np.sqrt(np.cumsum(power[::-1] ** 2)[::-1] / np.sum(power**2))
    rank = max(int(np.count_nonzero(missing > lost)), 4)
    rank = min(-(-rank // 4) * 4, len(power))
    return np.ascontiguousarray(vectors[:rank])


RATE_STEP = 0.05
"""Distance of two rates in log k where there is one delay."""
COARSE_RATE_STEP = 0.1
"""The same where there are several."""
DELAY_STEP_S = 0.5
"""Largest distance of two delays [s]."""
LOST = 1e-7
"""Share of a curve that the basis may leave out where there is one delay."""
COARSE_LOST = 1e-4
"""The same where there are several."""
_MIXTURES = 256

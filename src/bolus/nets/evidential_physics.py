"""Curves of DCE and DSC models that gradients pass through, and the soft units they are fitted in.

The artery is convolved with residues once, over their parameters and times: every voxel reads that
table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from bolus.core.arrays import Curve
from bolus.quantify.dce_tables import arterial_curves, exchange_curves
from bolus.quantify.vascular_artery import artery_between_samples
from bolus.quantify.vascular_tables import tissue_curves

_RATES_PER_S = np.geomspace(1e-5, 3.0, 180)
_TRANSITS_S = np.geomspace(0.5, 40.0, 48)
_SHAPES = np.geomspace(1.0, 64.0, 13)
_EXCHANGE_STEP_S, _TRANSIT_STEP_S = 1.0, 0.25
"""Longest steps of the grids of times."""
_MARGIN_S = 10.0
"""Delays may be as long as this, either way."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveTable:
    """One artery over a grid of times: itself (m,) and convolved with residues (planes, rows, m).

    `first_s` and `step_s` are of the grid, `seconds` (t,) the times of the tissue.
    """

    artery: Tensor
    curves: Tensor
    seconds: Tensor
    first_s: float
    step_s: float

    def plasma(self, delay_s: Tensor) -> Tensor:
        """Return the artery (n, t), later by the delay of each voxel (n,), 10 s at most."""
        at, along = self._times(delay_s)
        return torch.lerp(self.artery[at], self.artery[at + 1], along)

    def read(self, delay_s: Tensor, *, row: Tensor, plane: Tensor | None = None) -> Tensor:
        """Return delayed curves (n, t) at positions (n,) between rows, and planes if there are any.

        Beyond the table they are those at its end.
        """
        planes, rows, count = self.curves.shape
        at, along = self._times(delay_s)
        lower, across = _place(row, rows)
        flat, first = self.curves.reshape(-1), lower[:, None] * count + at

        def of(start: Tensor) -> Tensor:
            near, far = (
                torch.lerp(flat[start + shift], flat[start + shift + 1], along)
                for shift in (0, count)
            )
            return torch.lerp(near, far, across[:, None])

        if plane is None:
            return of(first)
        beneath, between = _place(plane, planes)
        start = beneath[:, None] * (rows * count) + first
        return torch.lerp(of(start), of(start + rows * count), between[:, None])

    def _times(self, delay_s: Tensor) -> tuple[Tensor, Tensor]:
        since = self.seconds - delay_s[:, None] - self.first_s
        return _place(since / self.step_s, len(self.artery))


def exchange_table(arterial: Curve, seconds: Curve, arterial_seconds: Curve) -> CurveTable:
    """Return the artery convolved with exp(-k t), one row for each rate.

    Args:
        arterial: of the artery, any unit.
        seconds: times of the tissue [s].
        arterial_seconds: times of the artery [s].

    Assumes:
        The artery is linear between its samples, 0 before the first, constant after the last.
        Rates lie between 1e-5 and 3 per second.

    Source:
        `quantify.dce_tables`, read by linear interpolation: within 0.3 % of the peak.
    """
    grid_s = _grid(seconds, arterial_seconds, _EXCHANGE_STEP_S)
    convolved = exchange_curves(
        arterial, seconds=grid_s, arterial_seconds=arterial_seconds, rates_per_s=_RATES_PER_S,
        delays_s=np.zeros(len(_RATES_PER_S)),
    )  # fmt: skip
    itself = arterial_curves(
        arterial, seconds=grid_s, arterial_seconds=arterial_seconds, delays_s=np.zeros(1)
    )
    return _table(itself[0], convolved[None], seconds, grid_s)


def transit_table(arterial: Curve, seconds: Curve, arterial_seconds: Curve) -> CurveTable:
    """Return curves of unit volume: a plane for each shape, a row for each mean transit time.

    Args:
        arterial: of the artery, any unit.
        seconds: times of the tissue [s].
        arterial_seconds: times of the artery [s].

    Assumes:
        Transit times are gamma distributed: means of 0.5 to 40 s, shapes of 1 (an exponential
        residue) to 64 (nearly a box). The artery is a cubic spline through its samples.

    Source:
        `quantify.vascular_tables`, read by linear interpolation: within 0.5 % of the peak.
    """
    grid_s = _grid(seconds, arterial_seconds, _TRANSIT_STEP_S)
    own = arterial_seconds
    inside = artery_between_samples(arterial, own, np.clip(grid_s, own[0], own[-1]))
    itself = np.where(grid_s < own[0], 0.0, inside)
    held = tissue_curves(
        itself, grid_s, mtt_s=_TRANSITS_S, shape=_SHAPES, delay_s=np.zeros(1), step_s=0.1
    )
    return _table(itself, held[:, :, 0].swapaxes(0, 1), seconds, grid_s)


def _grid(seconds: Curve, own: Curve, longest_s: float) -> Curve:
    """Return times that hold the samples of an evenly sampled artery, for delays either way [s]."""
    between_s = float(np.median(np.diff(own)))
    step_s = between_s / max(1, int(np.ceil(between_s / longest_s)))
    before = int(np.ceil((own[0] - seconds[0] + _MARGIN_S) / step_s)) + 1
    first_s = own[0] - before * step_s
    count = int(np.ceil((seconds[-1] + _MARGIN_S - first_s) / step_s)) + 2
    return np.asarray(first_s + step_s * np.arange(count))


def _table(itself: Curve, convolved: np.ndarray, seconds: Curve, grid_s: Curve) -> CurveTable:
    return CurveTable(
        artery=torch.from_numpy(itself.astype(np.float32)),
        curves=torch.from_numpy(np.ascontiguousarray(convolved, np.float32)),
        seconds=torch.from_numpy(seconds.astype(np.float32)),
        first_s=float(grid_s[0]), step_s=float(grid_s[1] - grid_s[0]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SoftParameter:
    """A parameter and the variable in which its error is about normal.

    `kind` is a key of `SOFT` and `unit` the scale in it. `centre` and `spread` are what is likely
    before any curve is seen, `low` and `high` the ends of what is possible, all in soft units.
    """

    name: str
    kind: str
    unit: float
    centre: float
    spread: float
    low: float
    high: float

    def natural(self, soft: Tensor) -> Tensor:
        """Return values in the unit of the parameter; beyond the ends they are those of the end."""
        return self.unit * SOFT[self.kind][1](soft.clamp(self.low, self.high))

    def soft(self, natural: Tensor) -> Tensor:
        """Return the soft variable of values."""
        return SOFT[self.kind][0](natural / self.unit).clamp(self.low, self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalModel:
    """A model of curves: what is asked of it, and how curves (n, t) come from a table.

    The first `free` of the `parameters` make the curves; `derived` makes all of those, in their
    units.
    """

    parameters: tuple[SoftParameter, ...]
    free: int
    table: Callable[[Curve, Curve, Curve], CurveTable]
    curves: Callable[[CurveTable, Tensor], Tensor]
    derived: Callable[[Tensor], Tensor]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return tuple(p.name for p in self.parameters)

    def column(self, what: str) -> Tensor:
        """Return one number of all parameters (p,), such as their "centre"."""
        return torch.tensor([getattr(p, what) for p in self.parameters])

    def natural(self, soft: Tensor) -> Tensor:
        """Return parameters (n, p) in their units."""
        return torch.stack([p.natural(soft[:, n]) for n, p in enumerate(self.parameters)], dim=1)

    def soft(self, natural: Tensor) -> Tensor:
        """Return soft variables (n, p) of parameters."""
        return torch.stack([p.soft(natural[:, n]) for n, p in enumerate(self.parameters)], dim=1)


def _place(position: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the node before a position, one before the last at most, and the share beyond it."""
    held = position.clamp(0.0, count - 1.001)
    node = held.detach().floor()
    return node.long(), held - node


def _among(values: Tensor, nodes: np.ndarray) -> Tensor:
    """Return where positive values are between nodes that are even in logarithms."""
    low, high = float(np.log(nodes[0])), float(np.log(nodes[-1]))
    return (torch.log(values) - low) * ((len(nodes) - 1) / (high - low))


def _extended_tofts(table: CurveTable, values: Tensor) -> Tensor:
    ktrans, ve, vp, delay = values.unbind(dim=1)
    leak = ktrans / 60
    leaked = table.read(delay, row=_among(leak / (ve / 100) + 1e-12, _RATES_PER_S))
    return leak[:, None] * leaked + vp[:, None] / 100 * table.plasma(delay)


def _vascular(table: CurveTable, values: Tensor) -> Tensor:
    volume, transit, delay, shape = values[:, :4].unbind(dim=1)
    held = table.read(delay, row=_among(transit, _TRANSITS_S), plane=_among(shape, _SHAPES))
    return volume[:, None] / 100 * held


def _with_flow(values: Tensor) -> Tensor:
    """Return CBV, MTT, delay and shape with CBF = CBV / MTT behind them."""
    return torch.cat([values[:, :4], 60 * values[:, :1] / values[:, 1:2]], dim=1)


def _logit(values: Tensor) -> Tensor:
    return torch.logit(values, eps=1e-4)


def _itself(values: Tensor) -> Tensor:
    return values


Function = Callable[[Tensor], Tensor]
SOFT: Mapping[str, tuple[Function, Function]] = MappingProxyType(
    {
        "asinh": (torch.asinh, torch.sinh),
        "log": (torch.log, torch.exp),
        "logit": (_logit, torch.sigmoid),
        "plain": (_itself, _itself),
    }
)
"""To the soft variable and back, by name."""

PHYSICAL_MODELS: Mapping[str, PhysicalModel] = MappingProxyType(
    {
        "extended_tofts": PhysicalModel(
            parameters=(
                SoftParameter("ktrans", "asinh", 0.005, 2.5, 1.8, 0.0, 5.8),
                SoftParameter("ve", "logit", 100.0, -1.1, 1.2, -5.3, 5.3),
                SoftParameter("vp", "asinh", 0.5, 1.8, 1.6, 0.0, 5.3),
                SoftParameter("delay", "plain", 1.0, 1.5, 2.5, -2.0, 8.0),
            ),
            free=4, table=exchange_table, curves=_extended_tofts, derived=_itself,
        ),
        "vascular": PhysicalModel(
            parameters=(
                SoftParameter("cbv", "log", 1.0, 1.1, 1.0, -3.0, 4.4),
                SoftParameter("mtt", "log", 1.0, 1.6, 0.8, -0.6, 3.6),
                SoftParameter("delay", "plain", 1.0, 1.0, 2.0, -4.0, 8.0),
                SoftParameter("shape", "log", 1.0, 0.7, 1.1, 0.0, 4.1),
                SoftParameter("cbf", "log", 1.0, 3.6, 1.3, -3.0, 7.5),
            ),
            free=4, table=transit_table, curves=_vascular, derived=_with_flow,
        ),
    }
)  # fmt: skip
"""DCE: Ktrans [1/min], ve and vp [mL/100mL] and delay [s]; Tofts, J Magn Reson Imaging 1997;7:91.
DSC: CBV [mL/100mL], MTT [s], delay [s], shape of the transit times and CBF [mL/min/100mL];
Mouridsen et al., NeuroImage 2006;33:570."""

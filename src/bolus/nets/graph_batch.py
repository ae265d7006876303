"""Graphs of several patients and visits as one, with columns on the scale of the training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from bolus.core.graph_arrays import GraphArrays, LevelArrays
from bolus.errors import Code, QuantityError

_LEAST = 1e-6
_FAR = 6.0
"""Deviations beyond which a feature counts no more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelBatch:
    """Nodes (n, f), edges in both directions from `source` to `target` (e,), their features."""

    features: Tensor
    source: Tensor
    target: Tensor
    edges: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphBatch:
    """Visits of patients in one graph without edges between them.

    `parents` is the coarse node of each fine one, `visits` the visit of each coarse node, and
    `patients` the patient of each visit.
    """

    coarse: LevelBatch
    fine: LevelBatch
    parents: Tensor
    visits: Tensor
    patients: Tensor
    count: int
    """Of patients."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """Mean and deviation of columns, by name: of nodes, then of edges."""

    names: tuple[str, ...]
    mean: Float32[np.ndarray, " f"]
    deviation: Float32[np.ndarray, " f"]
    edge_names: tuple[str, ...]
    edge_mean: Float32[np.ndarray, " k"]
    edge_deviation: Float32[np.ndarray, " k"]

    @classmethod
    def of(cls, levels: Sequence[LevelArrays]) -> "Scale":
        """Return the scale of one level of the graphs that are learned from.

        Args:
            levels: at least one; columns have to be the same.

        Raises:
            QuantityError: there is none, or columns differ.
        """
        if not levels:
            raise QuantityError(
                Code.QUANTITY_WRONG, "there is no graph to learn from", mend="give one or more"
            )
        first = levels[0]
        for level in levels:
            _require_columns(first.names, first.edge_names, level)
        found = [_moments([getattr(level, name) for level in levels])
                 for name in ("features", "edges")]  # fmt: skip
        return cls(
            names=first.names, mean=found[0][0], deviation=found[0][1],
            edge_names=first.edge_names, edge_mean=found[1][0], edge_deviation=found[1][1],
        )  # fmt: skip


def batch_graphs(
    patients: Sequence[Sequence[GraphArrays]], *, coarse: Scale, fine: Scale
) -> GraphBatch:
    """Join the visits of patients.

    Args:
        patients: the visits of each, at least one.
        coarse: of the coarse columns.
        fine: of the fine ones.

    Raises:
        QuantityError: a patient has no visit, or columns are not those of the scales.
    """
    if not patients or not all(patients):
        raise QuantityError(
            Code.QUANTITY_WRONG, "a patient without a visit", mend="leave that patient out"
        )
    visits = [visit for one in patients for visit in one]
    regions = [len(visit.coarse.features) for visit in visits]
    starts = np.concatenate([[0], np.cumsum(regions)[:-1]])
    parents = [visit.parents + start for visit, start in zip(visits, starts, strict=True)]
    return GraphBatch(
        coarse=_joined([visit.coarse for visit in visits], coarse),
        fine=_joined([visit.fine for visit in visits], fine),
        parents=torch.from_numpy(np.concatenate(parents)),
        visits=torch.from_numpy(np.repeat(np.arange(len(visits)), regions)),
        patients=torch.from_numpy(np.repeat(np.arange(len(patients)), [len(p) for p in patients])),
        count=len(patients),
    )


def _joined(levels: Sequence[LevelArrays], scale: Scale) -> LevelBatch:
    """Join one level of all visits; every edge is there in both directions."""
    for level in levels:
        _require_columns(scale.names, scale.edge_names, level)
    counts = [len(level.features) for level in levels]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    pairs = np.concatenate(
        [level.pairs + start for level, start in zip(levels, starts, strict=True)]
    )
    features = np.concatenate([level.features for level in levels])
    edges = np.concatenate([level.edges for level in levels])
    held = _scaled(edges, scale.edge_mean, scale.edge_deviation)
    both = torch.from_numpy(np.concatenate([pairs, pairs[:, ::-1]]))
    return LevelBatch(
        features=_scaled(features, scale.mean, scale.deviation),
        source=both[:, 0].contiguous(), target=both[:, 1].contiguous(),
        edges=torch.cat([held, held]),
    )  # fmt: skip


def _scaled(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> Tensor:
    """Return columns about 0 with deviation 1; what is not known is the mean."""
    scaled = np.clip((values - mean) / deviation, -_FAR, _FAR)
    return torch.from_numpy(np.nan_to_num(scaled, nan=0.0).astype(np.float32))


def _moments(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of the values that are there; 0 and 1 where none varies."""
    values = np.concatenate(columns).astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(axis=0) / count)
    return mean.astype(np.float32), np.where(spread > _LEAST, spread, 1).astype(np.float32)


def _require_columns(
    names: tuple[str, ...], edge_names: tuple[str, ...], level: LevelArrays
) -> None:
    if level.names != names or level.edge_names != edge_names:
        other = sorted(set(level.names + level.edge_names) ^ set(names + edge_names))
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"graphs with other columns: {', '.join(other[:5]) or 'in another order'}",
            mend="build all graphs with the same maps, images and network",
        )

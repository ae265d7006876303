"""One tumour as a graph of two levels, and where each node lies."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from jaxtyping import Float, Int32

from bolus.core import Grid, SessionKey
from bolus.core.arrays import read_only
from bolus.core.provenance import Provenance
from bolus.errors import Code, QuantityError
from bolus.graphs.edges import Edges


class Level(Enum):
    """Which nodes: regions of one code, or the supervoxels in them."""

    COARSE = "coarse"
    FINE = "fine"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nodes:
    """Nodes of one level.

    `labels` (0 outside, else node + 1) lie in the box of the tumour. `features` are in the columns
    `names`, each in its own unit, NaN where a map has no value in a node. `latent` is the mean of
    the network's latent vectors, one for each position of a code, and `latent_spread` the root of
    their mean variance; no positions where there are none.
    """

    labels: Int32[np.ndarray, "a b c"]
    centres_mm: Float[np.ndarray, "nodes 3"]
    names: tuple[str, ...]
    features: Float[np.ndarray, "nodes f"]
    latent: Float[np.ndarray, "nodes positions width"]
    latent_spread: Float[np.ndarray, "nodes positions"]

    def __post_init__(self) -> None:
        count = len(self.centres_mm)
        if (
            self.features.shape != (count, len(self.names))
            or len(self.latent) != count
            or self.latent_spread.shape != self.latent.shape[:2]
            or int(self.labels.max(initial=0)) != count
        ):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"features {self.features.shape}, latents {self.latent.shape} and labels up to "
                f"{int(self.labels.max(initial=0))} do not fit {count} nodes",
                mend="build the graph with graphs.build_graph",
            )
        for name in ("labels", "centres_mm", "features", "latent", "latent_spread"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.centres_mm)

    def column(self, name: str) -> Float[np.ndarray, " nodes"]:
        """Return one feature of every node, by its name."""
        return self.features[:, self.names.index(name)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TumourGraph:
    """Regions of one code (coarse), supervoxels in them (fine), and what joins them.

    `codes` is the code of each coarse node, `parents` the coarse node of each fine node. `grid` is
    that of the whole image; `corner` the voxel in it at which the labels of the nodes begin.
    """

    key: SessionKey
    grid: Grid
    corner: tuple[int, int, int]
    coarse: Nodes
    fine: Nodes
    coarse_edges: Edges
    fine_edges: Edges
    codes: Int32[np.ndarray, " coarse"]
    parents: Int32[np.ndarray, " fine"]
    provenance: Provenance

    def __post_init__(self) -> None:
        for name in ("codes", "parents"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def nodes(self, level: Level) -> Nodes:
        """Return the nodes of a level."""
        return self.coarse if level is Level.COARSE else self.fine

    def edges(self, level: Level) -> Edges:
        """Return the edges of a level."""
        return self.coarse_edges if level is Level.COARSE else self.fine_edges

    def labels(self, level: Level) -> Int32[np.ndarray, "x y z"]:
        """Return the labels of a level on the whole grid: 0 outside, else node + 1."""
        inner = self.nodes(level).labels
        whole = np.zeros(self.grid.shape, np.int32)
        whole[self._box(inner.shape)] = inner
        return whole

    def painted(
        self, values: Float[np.ndarray, " nodes"], level: Level
    ) -> Float[np.ndarray, "x y z"]:
        """Give every voxel the value of its node, NaN outside: a saliency becomes a map.

        Args:
            values: one for each node of the level.
            level: whose nodes.

        Raises:
            QuantityError: another number of values than of nodes.
        """
        nodes = self.nodes(level)
        if len(values) != nodes.count:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"{len(values)} values for {nodes.count} {level.value} nodes",
                mend="give one value for each node",
            )
        whole = np.full(self.grid.shape, np.nan)
        whole[self._box(nodes.labels.shape)] = np.append(np.nan, values)[nodes.labels]
        return whole

    def _box(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(slice(c, c + n) for c, n in zip(self.corner, shape, strict=True))

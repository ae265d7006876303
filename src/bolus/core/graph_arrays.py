"""A tumour's graph as plain arrays: what networks read of it, whatever cut it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from bolus.core.arrays import read_only
from bolus.core.cohort import SessionKey
from bolus.errors import Code, QuantityError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LevelArrays:
    """Nodes and edges of one level.

    `features` are in the columns `names`, NaN where a node has no value. `pairs` are nodes that
    are joined, each pair once; `edges` what joins them, in the columns `edge_names`.

    Raises:
        QuantityError: rows and columns do not fit, or a pair names a node that is not there.
    """

    names: tuple[str, ...]
    features: Float32[np.ndarray, "nodes f"]
    pairs: Int64[np.ndarray, "edges 2"]
    edge_names: tuple[str, ...]
    edges: Float32[np.ndarray, "edges k"]

    def __post_init__(self) -> None:
        count = len(self.features)
        inside = not self.pairs.size or 0 <= self.pairs.min() <= self.pairs.max() < count
        if (
            self.features.shape != (count, len(self.names))
            or self.edges.shape != (len(self.pairs), len(self.edge_names))
            or not inside
        ):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"{self.features.shape} features, {self.pairs.shape} pairs and "
                f"{self.edges.shape} of edges do not fit {len(self.names)} names",
                mend="make them with graphs.graph_arrays",
            )
        for name in ("features", "pairs", "edges"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphArrays:
    """One visit of one patient: regions (coarse), pieces of them (fine), and which piece is whose.

    Raises:
        QuantityError: there is no coarse node, or a piece belongs to none.
    """

    key: SessionKey
    coarse: LevelArrays
    fine: LevelArrays
    parents: Int64[np.ndarray, " fine"]

    def __post_init__(self) -> None:
        count, regions = len(self.fine.features), len(self.coarse.features)
        known = not self.parents.size or 0 <= self.parents.min() <= self.parents.max() < regions
        if not regions or self.parents.shape != (count,) or not known:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"{count} pieces with {len(self.parents)} parents among {regions} regions",
                mend="make them with graphs.graph_arrays",
            )
        object.__setattr__(self, "parents", read_only(self.parents))

"""Edges of a graph of regions: who is near, how near, how alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int32
from scipy.spatial import cKDTree

from bolus.core.arrays import read_only
from bolus.errors import Code, MetadataError
from bolus.graphs.adjacency import Contacts

_CHUNK = 8192


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Edges:
    """Edges without direction: `pairs` of nodes, sorted, lower first, each once.

    `contact_mm2` is 0 where the two do not share a face; `distance_mm` is between their centres;
    `cosine` (edges, k) how alike their features are, see `cosines`.
    """

    pairs: Int32[np.ndarray, "edges 2"]
    contact_mm2: Float[np.ndarray, " edges"]
    distance_mm: Float[np.ndarray, " edges"]
    cosine: Float[np.ndarray, "edges k"]

    def __post_init__(self) -> None:
        for name in ("pairs", "contact_mm2", "distance_mm", "cosine"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def count(self) -> int:
        """Number of edges."""
        return len(self.pairs)


def near_pairs(
    centres_mm: Float[np.ndarray, "nodes 3"], *, reach_mm: float
) -> Int32[np.ndarray, "pairs 2"]:
    """Return pairs of nodes whose centres lie at most so far apart.

    Args:
        centres_mm: positions [mm].
        reach_mm: largest distance [mm].

    Returns:
        Each pair once, lower node first, sorted.

    Raises:
        MetadataError: the reach is negative.

    Assumes:
        A millimetre is one along every axis, whatever the voxels are: the published graph counts
        voxels (15 of them), which is 15 mm in plane and up to 75 mm across thick slices.

    Source:
        Edges by distance of centroids: Jang et al., arXiv 2605.07156. k-d tree: scipy.

    Example:
        >>> near_pairs(np.array([[0.0, 0, 0], [3, 0, 0], [3, 4, 0]]), reach_mm=4.0).tolist()
        [[0, 1], [1, 2]]
    """
    if not reach_mm >= 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a reach of {reach_mm:g} mm",
            mend="give a distance of at least 0 mm",
        )
    if len(centres_mm) < 2:
        return np.zeros((0, 2), np.int32)
    pairs = cKDTree(centres_mm).query_pairs(reach_mm, output_type="ndarray")
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], np.int32)


def cosines(
    features: Float[np.ndarray, "nodes positions width"], pairs: Int32[np.ndarray, "edges 2"]
) -> Float[np.ndarray, "edges k"]:
    """Return the cosine of every position of one node's features with every one of the other's.

    Args:
        features: one vector for each of the positions of a code (1 for plain features).
        pairs: of nodes.

    Returns:
        (edges, positions²), row by row of the matrix; 0 where a vector is 0.

    Assumes:
        Zero means nothing: features are centred, or are latents of a network.

    Source:
        Edge features of Jang et al., arXiv 2605.07156 (3 x 3 for codes of length 3).

    Example:
        >>> cosines(np.array([[[1.0, 0]], [[1, 1]], [[0, 2]]]), np.array([[0, 1], [0, 2]])).round(
        ...     3).tolist()
        [[0.707], [0.0]]
    """
    features = np.asarray(features, np.float64)
    length = np.linalg.norm(features, axis=2, keepdims=True)
    unit = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    positions = features.shape[1]
    found = np.empty((len(pairs), positions**2))
    for begin in range(0, len(pairs), _CHUNK):
        first, second = pairs[begin : begin + _CHUNK].T
        product = unit[first] @ unit[second].transpose(0, 2, 1)
        found[begin : begin + _CHUNK] = product.reshape(len(first), -1)
    return found


def edges_of(
    contacts: Contacts,
    *,
    centres_mm: Float[np.ndarray, "nodes 3"],
    features: Float[np.ndarray, "nodes positions width"],
    reach_mm: float,
) -> Edges:
    """Join nodes that touch and nodes that are near, once each, and describe every edge.

    Args:
        contacts: of `contacts_of`.
        centres_mm: of the nodes [mm].
        features: what is compared by `cosines`.
        reach_mm: largest distance between centres of nodes that do not touch [mm].

    Raises:
        MetadataError: the reach is negative.

    Assumes:
        Nodes of `contacts` are those of `centres_mm`, in the same order.

    Source:
        Contact and distance in one set of edges: ours.

    Example:
        >>> touch = Contacts(pairs=np.array([[0, 1]], np.int32), area_mm2=np.array([4.0]))
        >>> places = np.array([[0.0, 0, 0], [9, 0, 0], [10, 0, 0]])
        >>> found = edges_of(touch, centres_mm=places, features=np.ones((3, 1, 2)), reach_mm=2.0)
        >>> found.pairs.tolist(), found.contact_mm2.tolist(), found.distance_mm.tolist()
        ([[0, 1], [1, 2]], [4.0, 0.0], [9.0, 1.0])
    """
    count = max(len(centres_mm), 1)
    near = near_pairs(centres_mm, reach_mm=reach_mm)
    every = np.concatenate([contacts.pairs, near]).astype(np.int64)
    key = np.unique(every[:, 0] * count + every[:, 1])
    pairs = np.stack([key // count, key % count], axis=1).astype(np.int32)
    area = np.zeros(key.size)
    touching = contacts.pairs.astype(np.int64)
    area[np.searchsorted(key, touching[:, 0] * count + touching[:, 1])] = contacts.area_mm2
    away = centres_mm[pairs[:, 0]] - centres_mm[pairs[:, 1]]
    return Edges(
        pairs=pairs,
        contact_mm2=area,
        distance_mm=np.linalg.norm(away, axis=1),
        cosine=cosines(features, pairs),
    )

"""A graph as networks read it: features of both levels in named columns."""

import numpy as np

from bolus.core.graph_arrays import GraphArrays, LevelArrays
from bolus.graphs.edges import Edges
from bolus.graphs.tumour_graph import Level, TumourGraph

_FAR_MM = 10.0


def graph_arrays(graph: TumourGraph) -> GraphArrays:
    """Return the arrays of a graph.

    Coarse nodes have their code, latents and the spread of those besides their features. Edges have
    log(1 + contact [mm2]), distance [10 mm] and the cosines.

    Args:
        graph: of one visit.

    Raises:
        QuantityError: as `GraphArrays`.

    Assumes:
        Graphs that are compared were built with the same maps, images and network.

    Source:
        Edge features: Jang et al., arXiv 2605.07156 (cosines); contact and distance are ours.

    Example:
        >>> from bolus.core import MapSet
        >>> from bolus.graphs.build import build_graph
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> lesion = simulate_habitat_phantom(1, seed=1)[0]
        >>> graph = build_graph(lesion.truth, key=lesion.key, maps=lesion.maps, structure={})
        >>> arrays = graph_arrays(graph)
        >>> arrays.coarse.names[-1], len(arrays.parents) == graph.fine.count
        ('code', True)
    """
    return GraphArrays(
        key=graph.key,
        coarse=_level(graph, Level.COARSE),
        fine=_level(graph, Level.FINE),
        parents=graph.parents.astype(np.int64),
    )


def _level(graph: TumourGraph, level: Level) -> LevelArrays:
    nodes, edges = graph.nodes(level), graph.edges(level)
    columns, names = [nodes.features], list(nodes.names)
    if level is Level.COARSE:
        flat = nodes.latent.reshape(nodes.count, -1)
        columns += [flat, nodes.latent_spread, graph.codes[:, None]]
        names += [f"latent_{n}" for n in range(flat.shape[1])]
        names += [f"latent_spread_{n}" for n in range(nodes.latent_spread.shape[1])]
        names.append("code")
    values, edge_names = _edges(edges)
    return LevelArrays(
        names=tuple(names),
        features=np.column_stack(columns).astype(np.float32),
        pairs=edges.pairs.astype(np.int64),
        edge_names=edge_names,
        edges=values,
    )


def _edges(edges: Edges) -> tuple[np.ndarray, tuple[str, ...]]:
    columns = (np.log1p(edges.contact_mm2), edges.distance_mm / _FAR_MM, edges.cosine)
    cosines = (f"cosine_{n}" for n in range(edges.cosine.shape[1]))
    return np.column_stack(columns).astype(np.float32), ("log_contact", "distance_10mm", *cosines)

"""Tumours as graphs: regions of one perfusion code, supervoxels in them, links through time."""

from bolus.graphs.adjacency import Contacts, contacts_of
from bolus.graphs.arrays import graph_arrays
from bolus.graphs.build import GraphSettings, build_graph
from bolus.graphs.components import code_components
from bolus.graphs.edges import Edges, cosines, edges_of, near_pairs
from bolus.graphs.features import region_centres_mm, region_means, region_places, region_shapes
from bolus.graphs.hierarchy import parents_of
from bolus.graphs.merging import merge_small
from bolus.graphs.supervoxels import scale_channels, supervoxels
from bolus.graphs.tumour_graph import Level, Nodes, TumourGraph
from bolus.graphs.visits import VisitLinks, link_visits

__all__ = [
    "Contacts",
    "Edges",
    "GraphSettings",
    "Level",
    "Nodes",
    "TumourGraph",
    "VisitLinks",
    "build_graph",
    "code_components",
    "contacts_of",
    "cosines",
    "edges_of",
    "graph_arrays",
    "link_visits",
    "merge_small",
    "near_pairs",
    "parents_of",
    "region_centres_mm",
    "region_means",
    "region_places",
    "region_shapes",
    "scale_channels",
    "supervoxels",
]

"""From codes of voxels, maps and structural images to the graph of a tumour."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int32, Integer

from bolus.core import LabelMap, MapSet, Mask, SessionKey
from bolus.core.arrays import Volume
from bolus.core.provenance import Provenance, Step
from bolus.errors import Code, GeometryError, MetadataError
from bolus.graphs.adjacency import contacts_of
from bolus.graphs.components import code_components
from bolus.graphs.edges import Edges, edges_of
from bolus.graphs.features import (
    PLACE,
    SHAPE,
    VENTRICLE,
    region_centres_mm,
    region_means,
    region_places,
    region_shapes,
)
from bolus.graphs.hierarchy import parents_of
from bolus.graphs.merging import merge_small
from bolus.graphs.supervoxels import supervoxels
from bolus.graphs.tissue import Tissue, gather_tissue
from bolus.graphs.tumour_graph import Nodes, TumourGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSettings:
    """How a graph is cut; the defaults are set by us, see docs/science/graphs.md.

    `smallest_mm3`: regions of one code below this volume join the neighbour they touch most (0:
    all stay, as published). `piece_mm3`, `compactness`: of `supervoxels`. `coarse_reach_mm`,
    `fine_reach_mm`: nodes with centres so near have an edge even where they do not touch.
    """

    smallest_mm3: float = 0.0
    piece_mm3: float = 500.0
    compactness: float = 0.5
    coarse_reach_mm: float = 25.0
    fine_reach_mm: float = 12.0


def build_graph(
    codes: LabelMap,
    *,
    key: SessionKey,
    maps: MapSet,
    structure: Mapping[str, Volume],
    latent: Float[np.ndarray, "voxels positions width"] | None = None,
    reference: Mask | None = None,
    ventricles: Mask | None = None,
    settings: GraphSettings | None = None,
) -> TumourGraph:
    """Return the graph of one tumour at one visit.

    Coarse nodes are the 26-connected regions of equal code, fine nodes the supervoxels inside
    each, cut on the structural images (on the maps where there are none). Edges join nodes that
    touch or are near; they hold the cosine of the latents (of the scaled features, centred on the
    tumour's median, where there are none and between fine nodes).

    Args:
        codes: of perfusion, or habitats: 0 outside the tumour.
        key: whose.
        maps: on the grid of the codes; every node gets mean and standard deviation of each.
        structure: images by name (t1, t1ce, t2, flair) on the same grid, any unit.
        latent: of a network, one row for each voxel with a code, in C order.
        reference: tissue in which structural images have median 0 and spread 1: normal-appearing
            white matter makes them comparable between patients. None takes the tumour itself.
        ventricles: adds the distance to them.
        settings: None is `GraphSettings()`.

    Raises:
        GeometryError: nothing has a code, or something lies on another grid.
        MetadataError: there is neither a map nor a structural image, or a setting is out of range.

    Assumes:
        All images were brought onto the grid of the codes.

    Source:
        Jang et al., arXiv 2605.07156 (2026), with normalised intensities, distances in mm and
        contact areas: docs/science/graphs.md.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> lesion = simulate_habitat_phantom(1, seed=1)[0]
        >>> graph = build_graph(lesion.truth, key=lesion.key, maps=lesion.maps, structure={})
        >>> round(graph.coarse.column("volume_mm3").sum() / 1000 - lesion.lesion.volume_ml, 6)
        np.float64(0.0)
    """
    settings = settings or GraphSettings()
    _require_settings(settings)
    tissue = gather_tissue(codes, maps=maps, structure=structure, reference=reference)
    sizes_mm = tissue.grid.voxel_sizes_mm
    coarse = merge_small(
        code_components(tissue.codes),
        within=np.ones_like(tissue.codes),
        smallest_mm3=settings.smallest_mm3,
        sizes_mm=sizes_mm,
    )
    fine = supervoxels(
        coarse,
        tissue.cut_on,
        sizes_mm=sizes_mm,
        piece_mm3=settings.piece_mm3,
        compactness=settings.compactness,
    )
    coarse_nodes = _nodes(coarse, tissue, _latent(latent, tissue), ventricles)
    fine_nodes = _nodes(fine, tissue, _latent(None, tissue), ventricles)
    return TumourGraph(
        key=key,
        grid=codes.grid,
        corner=tissue.corner,
        coarse=coarse_nodes,
        fine=fine_nodes,
        coarse_edges=_edges(coarse_nodes, tissue, settings.coarse_reach_mm),
        fine_edges=_edges(fine_nodes, tissue, settings.fine_reach_mm),
        codes=code_of(coarse, tissue.codes),
        parents=parents_of(fine, coarse),
        provenance=_history(maps, settings, structure=tuple(structure), learnt=latent is not None),
    )


def code_of(
    labels: Integer[np.ndarray, "x y z"], codes: Integer[np.ndarray, "x y z"]
) -> Int32[np.ndarray, " nodes"]:
    """Return the code most voxels of each node have; of equals, the lower.

    Args:
        labels: 0 outside, else node + 1.
        codes: of the same voxels.

    Assumes:
        Labels are without gaps.

    Source:
        Bookkeeping: nodes hold one code alone unless small ones were merged.

    Example:
        >>> code_of(np.array([[[1, 1, 1, 2]]]), np.array([[[7, 5, 7, 4]]])).tolist()
        [7, 4]
    """
    inside = labels > 0
    used, code = np.unique(codes[inside], return_inverse=True)
    key = (labels[inside].astype(np.int64) - 1) * used.size + code
    count = np.bincount(key, minlength=int(labels.max(initial=0)) * used.size)
    return np.asarray(used[count.reshape(-1, used.size).argmax(axis=1)], np.int32)


def _require_settings(settings: GraphSettings) -> None:
    if not settings.smallest_mm3 >= 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a smallest region of {settings.smallest_mm3:g} mm3",
            mend="give a volume of at least 0 mm3",
        )


def _latent(
    latent: Float[np.ndarray, "voxels positions width"] | None, tissue: Tissue
) -> Float[np.ndarray, "voxels positions width"]:
    """Return latents of the tumour's voxels; without a network, vectors of no position."""
    count = int(np.count_nonzero(tissue.inside))
    if latent is None:
        return np.zeros((count, 0, 1))
    if latent.ndim != 3 or len(latent) != count:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"latents of shape {latent.shape} for {count} voxels with a code",
            mend="give one row (positions, width) for each voxel with a code",
        )
    return latent


def _nodes(
    labels: Int32[np.ndarray, "a b c"],
    tissue: Tissue,
    latent: Float[np.ndarray, "voxels positions width"],
    ventricles: Mask | None,
) -> Nodes:
    """Describe the nodes of one level."""
    node = labels[tissue.inside] - 1
    mean, spread = region_means(node, tissue.shown)
    flat = latent.reshape(len(latent), -1)
    latent_mean, latent_sd = region_means(node, flat)
    positions = (len(mean), *latent.shape[1:])
    places = region_places(labels, tissue.grid, ventricles)
    names = (
        *(f"mean_{name}" for name in tissue.names),
        *(f"sd_{name}" for name in tissue.names),
        *SHAPE,
        *PLACE,
        *((VENTRICLE,) if ventricles is not None else ()),
    )
    return Nodes(
        labels=labels,
        centres_mm=region_centres_mm(labels, tissue.grid),
        names=names,
        features=np.column_stack([mean, spread, region_shapes(labels, tissue.grid), places]),
        latent=latent_mean.reshape(positions),
        latent_spread=np.sqrt((latent_sd.reshape(positions) ** 2).mean(axis=2)),
    )


def _edges(nodes: Nodes, tissue: Tissue, reach_mm: float) -> Edges:
    """Join the nodes of one level."""
    compared = nodes.latent
    if not compared.shape[1]:
        compared = region_means(nodes.labels[tissue.inside] - 1, tissue.scaled)[0][:, None]
    return edges_of(
        contacts_of(nodes.labels, sizes_mm=tissue.grid.voxel_sizes_mm),
        centres_mm=nodes.centres_mm,
        features=compared,
        reach_mm=reach_mm,
    )


def _history(
    maps: MapSet, settings: GraphSettings, *, structure: tuple[str, ...], learnt: bool
) -> Provenance:
    """Return the histories of all maps and this step."""
    history = Provenance()
    for item in maps.values():
        history = history.merged(item.provenance)
    return history.then(
        Step(
            "graphs.build_graph",
            {**asdict(settings), "structure": " ".join(structure), "latents": learnt},
            source="10.1109/TPAMI.2012.120",
        )
    )

"""The whole graph: what must hold for every tumour, and what must not change it."""

import numpy as np
import pytest
from graph_cases import SIZES_MM, grid_of, label_map, map_set, patches

from bolus.core import Grid, LabelMap, Mask, SessionKey, stream
from bolus.errors import BolusError, Code
from bolus.graphs import GraphSettings, Level, build_graph, code_components, region_centres_mm
from bolus.report.methods import REFERENCES, SENTENCES
from bolus.simulate.anatomy import smooth_field

KEY = SessionKey("01", "pre")
SMALL = GraphSettings(piece_mm3=60, coarse_reach_mm=8, fine_reach_mm=5)


def _images(shape, *, seed=3):
    random = stream(seed, "images")
    return {
        name: smooth_field(shape, reach_voxels=2, random=random).astype(float)
        for name in ("t1", "flair")
    }


def _built(codes=None, settings=SMALL, **more):
    codes = patches() if codes is None else codes
    labels = label_map(codes)
    values = stream(1, "map").uniform(0.5, 5, codes.shape)
    given = {"maps": map_set(values, labels.grid), "structure": _images(codes.shape)}
    return build_graph(labels, key=KEY, settings=settings, **{**given, **more})


def test_nodes_hold_the_whole_tumour_once_on_both_levels():
    codes = patches()
    graph = _built(codes)

    volume = 3.0 * np.count_nonzero(codes)
    assert graph.coarse.column("volume_mm3").sum() == pytest.approx(volume)
    assert graph.fine.column("volume_mm3").sum() == pytest.approx(volume)
    assert np.array_equal(graph.labels(Level.COARSE), code_components(codes))
    assert np.array_equal(graph.labels(Level.FINE) > 0, codes > 0)
    assert graph.coarse.count < graph.fine.count


def test_coarse_nodes_have_the_code_of_their_voxels_and_fine_ones_lie_in_their_parent():
    codes = patches()
    graph = _built(codes)
    coarse, fine = graph.labels(Level.COARSE), graph.labels(Level.FINE)
    inside = codes > 0

    assert np.array_equal(graph.codes[coarse[inside] - 1], codes[inside])
    assert np.array_equal(graph.parents[fine[inside] - 1], coarse[inside] - 1)


def test_parents_weigh_their_children_to_their_own_mean():
    graph = _built()
    volume, value = graph.fine.column("volume_mm3"), graph.fine.column("mean_ncbv")

    total = np.bincount(graph.parents, volume * value) / np.bincount(graph.parents, volume)

    assert total == pytest.approx(graph.coarse.column("mean_ncbv"))


def test_means_of_maps_keep_their_unit_and_latents_are_averaged():
    codes = patches()
    latent = stream(1, "latent").normal(size=(np.count_nonzero(codes), 3, 4)).astype(np.float32)
    values = stream(1, "map").uniform(0.5, 5, codes.shape)

    graph = _built(codes, latent=latent)

    node = graph.labels(Level.COARSE)[codes > 0]
    first = latent[node == 1].astype(float)
    assert graph.coarse.latent[0] == pytest.approx(first.mean(axis=0))
    assert graph.coarse.latent_spread[0] == pytest.approx(
        np.sqrt(first.var(axis=0).mean(axis=1)), rel=1e-6
    )
    assert graph.coarse.column("mean_ncbv")[0] == pytest.approx(
        values[graph.labels(Level.COARSE) == 1].mean()
    )
    assert graph.coarse_edges.cosine.shape[1] == 9
    assert graph.fine_edges.cosine.shape[1] == 1


def test_another_field_of_view_and_another_gain_change_no_node():
    codes = patches()
    values = stream(1, "map").uniform(0.5, 5, codes.shape)
    images = _images(codes.shape)
    graph = _built(codes)
    wide = ((3, 4), (6, 1), (2, 5))
    affine = np.diag([*SIZES_MM, 1.0])
    affine[:3, 3] = -np.array([3, 6, 2]) * SIZES_MM
    moved = np.pad(codes, wide)
    grid = Grid(shape=moved.shape, affine=affine)

    other = build_graph(
        LabelMap(values=moved, grid=grid, names=label_map(codes).names),
        key=KEY,
        settings=SMALL,
        maps=map_set(np.pad(values, wide), grid),
        structure={name: np.pad(70 + 30 * image, wide) for name, image in images.items()},
    )

    assert np.array_equal(other.labels(Level.FINE)[3:-4, 6:-1, 2:-5], graph.labels(Level.FINE))
    for level in Level:
        assert other.nodes(level).features == pytest.approx(graph.nodes(level).features)
        assert other.nodes(level).centres_mm == pytest.approx(graph.nodes(level).centres_mm)
        assert np.array_equal(other.edges(level).pairs, graph.edges(level).pairs)


def test_centres_are_those_of_the_voxels_on_the_whole_grid():
    graph = _built()

    for level in Level:
        expected = region_centres_mm(graph.labels(level), graph.grid)
        assert graph.nodes(level).centres_mm == pytest.approx(expected)


def test_the_unit_of_a_map_changes_no_cosine():
    codes = patches()
    values = stream(1, "map").uniform(0.5, 5, codes.shape)

    other = _built(codes, maps=map_set(3 + 100 * values, grid_of(codes.shape)))

    assert other.fine_edges.cosine == pytest.approx(_built(codes).fine_edges.cosine)


def test_a_second_build_is_the_same_to_the_byte():
    first, second = _built(), _built()

    for level in Level:
        assert first.nodes(level).features.tobytes() == second.nodes(level).features.tobytes()
        assert first.edges(level).cosine.tobytes() == second.edges(level).cosine.tobytes()


def test_a_reference_tissue_decides_where_structural_zero_is():
    codes = patches()
    white = np.zeros(codes.shape, bool)
    white[0] = True
    images = {"t1": np.where(white, 10.0, 40.0) + stream(1, "n").normal(size=codes.shape)}
    reference = Mask(values=white, grid=grid_of(codes.shape), name="white matter")

    graph = _built(codes, structure=images, reference=reference)

    assert graph.coarse.column("mean_t1").min() > 15


def test_small_regions_can_be_merged_and_take_the_code_of_most():
    codes = patches()

    graph = _built(codes, GraphSettings(smallest_mm3=60, piece_mm3=60))

    assert graph.coarse.column("volume_mm3").min() >= 60
    labels = graph.labels(Level.COARSE)
    for node in range(graph.coarse.count):
        count = np.bincount(codes[labels == node + 1])
        assert count[graph.codes[node]] == count.max()


def test_values_of_nodes_are_painted_onto_their_voxels():
    codes = patches()
    graph = _built(codes)

    painted = graph.painted(graph.codes.astype(float), Level.COARSE)

    assert np.array_equal(np.nan_to_num(painted), codes)
    assert np.isnan(painted[codes == 0]).all()
    with pytest.raises(BolusError) as caught:
        graph.painted(np.zeros(1), Level.FINE)
    assert caught.value.code is Code.QUANTITY_WRONG


def test_a_tumour_of_one_voxel_and_without_images_is_a_graph_too():
    codes = np.zeros((4, 4, 4), int)
    codes[1, 2, 3] = 5

    graph = _built(codes, structure={})

    assert (graph.coarse.count, graph.fine.count, graph.coarse_edges.count) == (1, 1, 0)
    assert graph.codes.tolist() == [5]
    assert np.isfinite(graph.coarse.features).all()


def test_the_step_has_a_sentence_and_a_reference():
    step = _built().provenance.steps[-1]

    assert step.function.rsplit(".", 1)[-1] in SENTENCES
    assert step.source in REFERENCES


def test_arrays_of_a_graph_cannot_be_written_to():
    graph = _built()

    for array in (graph.codes, graph.coarse.features, graph.fine_edges.pairs, graph.fine.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"codes": np.zeros((4, 4, 4), int)}, Code.MASK_EMPTY),
        ({"maps": {}, "structure": {}}, Code.ARGUMENT_INVALID),
        ({"structure": {"t1": np.zeros((2, 2, 2))}}, Code.GRID_MISMATCH),
        ({"maps": map_set(np.ones((24, 24, 10)), grid_of((24, 24, 10), (1, 1, 4)))},
         Code.GRID_MISMATCH),
        ({"latent": np.zeros((3, 1, 2))}, Code.GRID_MISMATCH),
        ({"settings": GraphSettings(smallest_mm3=-1)}, Code.ARGUMENT_INVALID),
        ({"settings": GraphSettings(piece_mm3=0)}, Code.ARGUMENT_INVALID),
        ({"settings": GraphSettings(fine_reach_mm=-1)}, Code.ARGUMENT_INVALID),
        ({"reference": Mask(values=np.zeros((24, 24, 10), bool), grid=grid_of((24, 24, 10)),
                            name="white matter")}, Code.MASK_EMPTY),
    ],
)  # fmt: skip
def test_what_makes_no_graph_is_refused_by_its_code(more, code):
    with pytest.raises(BolusError) as caught:
        _built(**more)

    assert caught.value.code is code

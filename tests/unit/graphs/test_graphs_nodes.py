"""What nodes and edges tell, beside loops over voxels and pairs, and beside solid bodies."""

import numpy as np
import pytest
from graph_cases import SIZES_MM, grid_of, patches

from bolus.core import Grid, Mask, stream
from bolus.errors import BolusError, Code
from bolus.graphs import (
    Contacts,
    code_components,
    cosines,
    edges_of,
    link_visits,
    near_pairs,
    parents_of,
    region_centres_mm,
    region_means,
    region_places,
    region_shapes,
)


def test_means_and_spreads_are_those_of_a_loop_that_leaves_out_what_is_not_finite():
    random = stream(1, "values")
    node = random.integers(0, 5, 200)
    values = random.normal(size=(200, 70)) * 10 + 1e6
    values[random.random((200, 70)) < 0.1] = np.nan

    mean, spread = region_means(node, values)

    for k in range(5):
        assert mean[k] == pytest.approx(np.nanmean(values[node == k], axis=0), rel=1e-12)
        assert spread[k] == pytest.approx(np.nanstd(values[node == k], axis=0), rel=1e-6)


def test_a_node_without_a_value_has_none():
    mean, spread = region_means(np.array([0, 1]), np.array([[np.inf], [1.0]]))

    assert np.isnan(mean[0, 0])
    assert np.isnan(spread[0, 0])
    assert (mean[1, 0], spread[1, 0]) == (1.0, 0.0)


def test_centres_are_in_the_patients_millimetres():
    affine = np.array([[0, -2.0, 0, 10], [3, 0, 0, -5], [0, 0, 4, 1], [0, 0, 0, 1]])
    labels = np.zeros((3, 3, 3), int)
    labels[1, 2, 0] = 1

    found = region_centres_mm(labels, Grid(shape=(3, 3, 3), affine=affine))

    assert found.tolist() == [[6.0, -2.0, 1.0]]


def _ball(radius_mm, sizes_mm):
    shape = tuple(int(2 * radius_mm / size) + 3 for size in sizes_mm)
    middle = (np.array(shape) - 1) / 2
    away = (np.moveaxis(np.indices(shape), 0, -1) - middle) * np.array(sizes_mm)
    return (np.linalg.norm(away, axis=-1) <= radius_mm).astype(int)


@pytest.mark.parametrize("sizes_mm", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.4)])
def test_a_ball_is_round_whatever_the_voxels(sizes_mm):
    ball = _ball(20, sizes_mm)

    volume, area, roundness, elongation, flatness = region_shapes(
        ball, grid_of(ball.shape, sizes_mm)
    )[0]

    assert volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.02)
    assert area == pytest.approx(1.5 * 4 * np.pi * 20**2, rel=0.03)
    assert roundness == pytest.approx(2 / 3, rel=0.03)
    assert (elongation, flatness) == pytest.approx((1, 1), abs=0.02)


def test_a_box_has_the_axes_and_area_of_a_box():
    labels = np.ones((12, 8, 2), int)

    found = region_shapes(labels, grid_of(labels.shape))[0]

    assert found[:2].tolist() == [576, 2 * (12 * 8 + 12 * 6 + 8 * 6)]
    assert found[3:].tolist() == pytest.approx([8 / 12, 6 / 12])


def test_area_is_that_of_all_faces_counted_one_by_one():
    labels = code_components(patches((12, 12, 8)))
    held = np.pad(labels, 1)

    found = region_shapes(labels, grid_of(labels.shape))[:, 1]

    expected = np.zeros(labels.max() + 1)
    for here in np.argwhere(held > 0):
        for axis in range(3):
            for side in (-1, 1):
                there = here.copy()
                there[axis] += side
                if held[tuple(there)] != held[tuple(here)]:
                    expected[held[tuple(here)]] += np.prod(SIZES_MM) / SIZES_MM[axis]
    assert found == pytest.approx(expected[1:])


def test_a_turned_head_has_the_same_shapes_and_depths():
    labels = code_components(patches())
    angle = 0.4
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    straight = grid_of(labels.shape)
    turned = Grid(shape=labels.shape, affine=turn @ straight.affine)

    assert region_shapes(labels, turned) == pytest.approx(region_shapes(labels, straight))
    places, same = region_places(labels, turned), region_places(labels, straight)
    assert places[:, 3:] == pytest.approx(same[:, 3:])
    assert places[:, :3] == pytest.approx(same[:, :3] @ turn[:3, :3].T)


def test_depth_grows_towards_the_middle_and_offsets_balance():
    ball = _ball(12, (1, 1, 1))
    inner = np.where(_padded(_ball(5, (1, 1, 1)), ball.shape) > 0, 2, ball)

    found = region_places(inner, grid_of(ball.shape, (1, 1, 1)))

    assert found[1, 4] > 8 > found[0, 4] > 0
    assert found[:, :4] == pytest.approx(0, abs=1e-9)


def test_depth_is_in_mm_along_the_shortest_way_out():
    labels = np.ones((9, 7, 3), int)

    found = region_places(labels, grid_of(labels.shape, (1, 2, 5)))[0, 4]

    x, y, z = np.indices(labels.shape)
    ways = [np.minimum(i + 1, n - i) * mm for i, n, mm in ((x, 9, 1), (y, 7, 2), (z, 3, 5))]
    assert found == pytest.approx(np.min(ways, axis=0).mean())


def _padded(values, shape):
    more = np.array(shape) - np.array(values.shape)
    return np.pad(values, np.stack([more // 2, more - more // 2], axis=1))


def test_distance_to_the_ventricle_is_the_least_of_the_nodes_voxels_in_mm():
    grid = grid_of((3, 1, 6))
    labels = np.zeros(grid.shape, int)
    labels[0, 0, :2], labels[2, 0, 3] = 1, 2
    water = np.zeros(grid.shape, bool)
    water[0, 0, 5] = True

    found = region_places(labels, grid, Mask(values=water, grid=grid, name="ventricles"))

    assert found[:, -1] == pytest.approx([12, np.hypot(2, 6)])


def test_ventricles_on_another_grid_or_of_no_voxel_are_refused():
    grid, other = grid_of((2, 2, 2)), grid_of((2, 2, 2), (1, 1, 4))
    labels = np.ones(grid.shape, int)

    for on, value, code in ((other, True, Code.GRID_MISMATCH), (grid, False, Code.MASK_EMPTY)):
        water = Mask(values=np.full(grid.shape, value), grid=on, name="ventricles")
        with pytest.raises(BolusError) as caught:
            region_places(labels, grid, water)
        assert caught.value.code is code


def test_near_pairs_are_those_of_a_loop():
    centres = stream(1, "centres").uniform(0, 40, (60, 3))

    found = near_pairs(centres, reach_mm=12)

    expected = [
        [i, j]
        for i in range(60)
        for j in range(i + 1, 60)
        if np.linalg.norm(centres[i] - centres[j]) <= 12
    ]
    assert found.tolist() == expected


def test_few_nodes_have_no_near_pairs():
    assert near_pairs(np.zeros((0, 3)), reach_mm=1).shape == (0, 2)
    assert near_pairs(np.zeros((1, 3)), reach_mm=1).shape == (0, 2)
    with pytest.raises(BolusError) as caught:
        near_pairs(np.zeros((2, 3)), reach_mm=-1)
    assert caught.value.code is Code.ARGUMENT_INVALID


def test_cosines_are_those_of_a_loop_over_positions():
    random = stream(1, "latent")
    latent = random.normal(size=(6, 3, 8))
    latent[2, 1] = 0
    pairs = np.array([[0, 1], [2, 5]], np.int32)

    found = cosines(latent, pairs)

    for row, (i, j) in zip(found, pairs, strict=True):
        for p in range(3):
            for q in range(3):
                a, b = latent[i, p], latent[j, q]
                length = np.linalg.norm(a) * np.linalg.norm(b)
                assert row[3 * p + q] == pytest.approx(a @ b / length if length else 0)


def test_edges_are_contacts_and_near_pairs_once_each():
    touch = Contacts(pairs=np.array([[0, 3], [1, 2]], np.int32), area_mm2=np.array([5.0, 0.0]))
    centres = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [50, 0, 0]])

    found = edges_of(touch, centres_mm=centres, features=np.ones((4, 1, 1)), reach_mm=1.2)

    assert found.pairs.tolist() == [[0, 1], [0, 3], [1, 2]]
    assert found.contact_mm2.tolist() == [0, 5, 0]
    assert found.distance_mm.tolist() == [1, 50, 1]
    assert found.count == 3


def test_edges_can_be_none():
    touch = Contacts(pairs=np.zeros((0, 2), np.int32), area_mm2=np.zeros(0))

    found = edges_of(touch, centres_mm=np.zeros((1, 3)), features=np.ones((1, 3, 2)), reach_mm=9)

    assert found.pairs.shape == (0, 2)
    assert found.cosine.shape == (0, 9)


def test_a_fine_region_in_two_coarse_ones_is_refused():
    coarse = np.array([[[1, 1, 2]]])

    for fine in (np.array([[[1, 2, 2]]]), np.array([[[1, 2, 0]]])):
        with pytest.raises(BolusError) as caught:
            parents_of(fine, coarse)
        assert caught.value.code is Code.GRID_MISMATCH


def test_the_same_visit_twice_is_linked_to_itself_alone():
    labels = code_components(patches())
    count = labels.max()

    found = link_visits(labels, labels, voxel_mm3=3.0)

    assert found.pairs.tolist() == [[i, i] for i in range(count)]
    assert (found.of_earlier == 1).all()
    assert (found.of_later == 1).all()
    assert found.overlap_mm3 == pytest.approx(3.0 * np.bincount(labels.ravel())[1:])
    assert found.appeared.size == found.vanished.size == 0


def test_what_is_new_appears_what_is_gone_vanishes_and_splinters_are_not_linked():
    earlier = np.zeros((1, 1, 40), int)
    earlier[..., :10], earlier[..., 10:20], earlier[..., 20:30] = 1, 2, 3
    later = np.zeros_like(earlier)
    later[..., :11], later[..., 20:25], later[..., 30:] = 1, 2, 3

    found = link_visits(earlier, later, voxel_mm3=2.0, least_share=0.2)

    assert found.pairs.tolist() == [[0, 0], [2, 1]]
    assert found.overlap_mm3.tolist() == [20, 10]
    assert found.of_earlier.tolist() == [1, 0.5]
    assert found.of_later.tolist() == pytest.approx([10 / 11, 1])
    assert (found.vanished.tolist(), found.appeared.tolist()) == ([1], [2])


def test_a_small_node_inside_a_large_one_is_linked_either_way():
    large, small = np.ones((1, 1, 40), int), np.zeros((1, 1, 40), int)
    small[..., :2] = 1

    for earlier, later in ((large, small), (small, large)):
        found = link_visits(earlier, later, voxel_mm3=1.0, least_share=0.5)
        assert found.pairs.tolist() == [[0, 0]]


def test_a_label_lost_by_resampling_neither_appears_nor_vanishes():
    found = link_visits(np.array([[[1, 3]]]), np.array([[[2, 0]]]), voxel_mm3=1.0)

    assert found.pairs.tolist() == [[0, 1]]
    assert (found.vanished.tolist(), found.appeared.tolist()) == ([2], [])


def test_visits_on_two_grids_and_senseless_shares_are_refused():
    one = np.ones((1, 1, 2), int)

    with pytest.raises(BolusError) as caught:
        link_visits(one, np.ones((1, 1, 3), int), voxel_mm3=1.0)
    assert caught.value.code is Code.GRID_MISMATCH
    with pytest.raises(BolusError) as caught:
        link_visits(one, one, voxel_mm3=1.0, least_share=1.5)
    assert caught.value.code is Code.ARGUMENT_INVALID

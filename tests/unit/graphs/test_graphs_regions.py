"""Components, contacts and merging beside a plain count of voxels."""

from itertools import product

import numpy as np
import pytest
from graph_cases import SIZES_MM, patches
from scipy import ndimage

from bolus.graphs import code_components, contacts_of, merge_small
from bolus.graphs.neighbours import ALL, FACES


def test_half_of_the_neighbours_and_their_opposites_are_all_26():
    every = {*ALL, *(tuple(-s for s in step) for step in ALL)}

    assert every == set(product((-1, 0, 1), repeat=3)) - {(0, 0, 0)}
    assert set(FACES) <= set(ALL)


def test_components_are_those_of_a_flood_fill_of_each_code():
    codes = patches()

    found = code_components(codes)

    expected = np.zeros(codes.shape, int)
    for code in np.unique(codes[codes > 0]):
        labels, _ = ndimage.label(codes == code, np.ones((3, 3, 3)))
        expected = np.where(labels > 0, labels + expected.max(), expected)
    assert np.array_equal(found > 0, codes > 0)
    assert len(np.unique(found)) == len(np.unique(expected))
    pairs = np.unique(np.stack([found.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(found))


def test_components_are_numbered_by_their_first_voxel_wherever_the_tumour_lies():
    codes = patches()
    moved = np.zeros((40, 40, 20), int)
    moved[5:29, 7:31, 3:13] = codes

    found = code_components(codes)

    assert np.array_equal(code_components(moved)[5:29, 7:31, 3:13], found)
    values = found[found > 0]
    first = np.unique(values, return_index=True)[1]
    assert np.array_equal(np.argsort(first), np.arange(first.size))


def test_a_corner_is_enough_to_be_connected():
    codes = np.zeros((2, 2, 2), int)
    codes[0, 0, 0] = codes[1, 1, 1] = 3

    assert code_components(codes).max() == 1


def test_nothing_has_no_component():
    assert not code_components(np.zeros((3, 3, 3), int)).any()


def _counted(labels, sizes_mm):
    """Count contacts one voxel and one neighbour at a time."""
    found = {}
    for here in np.argwhere(labels > 0):
        for step in product((-1, 0, 1), repeat=3):
            there = here + step
            if (there < 0).any() or (there >= labels.shape).any():
                continue
            a, b = labels[tuple(here)], labels[tuple(there)]
            if b > a:
                moved = [i for i in range(3) if step[i]]
                face = np.prod(sizes_mm) / sizes_mm[moved[0]] if len(moved) == 1 else 0.0
                found[a - 1, b - 1] = found.get((a - 1, b - 1), 0.0) + face
    return found


def test_contacts_are_those_counted_voxel_by_voxel():
    labels = code_components(patches((16, 16, 10), codes=6))
    labels[0, 0, 0], labels[1, 1, 1] = labels.max() + 1, labels.max() + 2

    found = contacts_of(labels, sizes_mm=SIZES_MM)

    expected = _counted(labels, SIZES_MM)
    pairs = [tuple(pair) for pair in found.pairs.tolist()]
    assert pairs == sorted(expected)
    assert found.area_mm2 == pytest.approx([expected[pair] for pair in pairs])
    assert (found.area_mm2 == 0).any()


def test_one_region_touches_nobody():
    assert contacts_of(np.ones((3, 3, 3), int), sizes_mm=SIZES_MM).pairs.shape == (0, 2)
    assert contacts_of(np.zeros((3, 3, 3), int), sizes_mm=SIZES_MM).pairs.shape == (0, 2)


def test_a_small_region_joins_the_neighbour_it_shares_most_area_with():
    labels = np.ones((4, 4, 3), int)
    labels[2:] = 2
    labels[1, 1:3, 1] = 3  # 9 faces with 1, of which some are thick; 2 with 2

    found = merge_small(labels, within=np.ones_like(labels), smallest_mm3=7, sizes_mm=SIZES_MM)

    assert np.array_equal(found, np.where(labels == 3, 1, labels))


def test_volumes_are_in_mm3_and_a_region_of_just_that_volume_stays():
    labels = np.ones((4, 4, 3), int)
    labels[1, 1:3, 1] = 2  # 2 voxels of 3 mm3
    whole = np.ones_like(labels)

    assert merge_small(labels, within=whole, smallest_mm3=6, sizes_mm=SIZES_MM).max() == 2
    assert merge_small(labels, within=whole, smallest_mm3=6.1, sizes_mm=SIZES_MM).max() == 1


def test_after_merging_nothing_small_has_a_neighbour_left():
    labels = code_components(patches())

    found = merge_small(labels, within=np.ones_like(labels), smallest_mm3=60, sizes_mm=SIZES_MM)

    volumes = np.bincount(found.ravel())[1:] * 3
    assert volumes.min() >= 60
    assert np.array_equal(code_components(found), found)
    assert volumes.sum() == 3 * np.count_nonzero(labels)


def test_regions_of_different_homes_never_merge():
    labels = code_components(patches())
    home = np.where(np.arange(24)[:, None, None] < 12, 1, 2) * (labels > 0)
    labels = code_components(10 * labels + home)

    found = merge_small(labels, within=home, smallest_mm3=1e9, sizes_mm=SIZES_MM)

    assert all(len(np.unique(home[found == part])) == 1 for part in np.unique(found[found > 0]))

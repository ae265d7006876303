"""Supervoxels keep to their regions, follow borders, and are compact in millimetres."""

import numpy as np
import pytest
from graph_cases import SIZES_MM, patches

from bolus.core import stream
from bolus.errors import BolusError, Code
from bolus.graphs import code_components, parents_of, scale_channels, supervoxels
from bolus.simulate.anatomy import smooth_field


def _images(inside, *, seed=2, channels=4):
    random = stream(seed, "images")
    fields = [smooth_field(inside.shape, reach_voxels=2, random=random) for _ in range(channels)]
    return np.stack(fields, axis=-1)[inside]


def test_pieces_cover_their_regions_are_connected_and_cross_no_border():
    regions = code_components(patches())

    found = supervoxels(regions, _images(regions > 0), sizes_mm=SIZES_MM, piece_mm3=60)

    assert parents_of(found, regions).max() == regions.max() - 1
    assert np.array_equal(code_components(found), found)


def test_pieces_have_about_the_volume_asked_for():
    whole = (patches() > 0).astype(int)

    found = supervoxels(whole, _images(whole > 0), sizes_mm=SIZES_MM, piece_mm3=60)

    volumes = np.bincount(found.ravel())[1:] * 3.0
    assert np.median(volumes) == pytest.approx(60, rel=0.25)
    assert volumes.min() >= 15


def test_a_thin_region_is_cut_into_pieces_of_the_volume_asked_for():
    rod = np.ones((60, 2, 1), int)

    found = supervoxels(rod, np.zeros((120, 1)), sizes_mm=SIZES_MM, piece_mm3=36)

    assert found.max() == 10


def test_regions_smaller_than_one_and_a_half_pieces_stay_whole():
    regions = np.zeros((9, 2, 2), int)
    regions[:4], regions[5:] = 1, 2

    found = supervoxels(regions, _images(regions > 0), sizes_mm=(1, 1, 1), piece_mm3=11)

    assert np.array_equal(found, regions)


def test_pieces_follow_a_border_that_the_lattice_does_not_know():
    shape = (30, 30, 8)
    x, y, _ = np.indices(shape)
    truth = (x + 0.6 * y > 24).astype(int)
    noise = 0.3 * stream(1, "noise").standard_normal((truth.size, 3))
    channels = 3.0 * truth.reshape(-1, 1) + noise

    found = supervoxels(np.ones(shape, int), channels, sizes_mm=SIZES_MM, piece_mm3=90)

    share = np.bincount(found.ravel(), truth.ravel())[1:] / np.bincount(found.ravel())[1:]
    wrong = np.minimum(share, 1 - share) * np.bincount(found.ravel())[1:]
    assert wrong.sum() / truth.size < 0.005


def test_pieces_are_as_long_across_thick_slices_as_in_plane():
    whole = np.ones((48, 48, 12), int)

    found = supervoxels(whole, np.zeros((whole.size, 1)), sizes_mm=(1, 1, 4), piece_mm3=512)

    places = np.argwhere(found > 0) * np.array([1, 1, 4.0])
    spans = [np.ptp(places[found.ravel() == piece], axis=0) for piece in (1, found.max())]
    assert spans[0] == pytest.approx([7, 7, 4])
    assert spans[1] == pytest.approx([7, 7, 4])


def test_pieces_stay_as_long_across_thick_slices_where_noise_moves_their_borders():
    shape = (48, 48, 12)
    noise = 0.5 * stream(1, "noise").standard_normal((np.prod(shape), 3))

    found = supervoxels(np.ones(shape, int), noise, sizes_mm=(1, 1, 4), piece_mm3=512)

    places = np.argwhere(found > 0) * np.array([1, 1, 4.0])
    node = found.ravel() - 1
    means = np.stack([np.bincount(node, p) for p in places.T], axis=1) / np.bincount(node)[:, None]
    along = ((places - means[node]) ** 2).mean(axis=0) + np.array([1, 1, 16]) / 12
    assert along[2] == pytest.approx(along[:2].mean(), rel=0.35)


def test_splinters_below_a_quarter_of_a_piece_are_merged():
    whole = np.ones((24, 24, 8), int)
    noise = stream(1, "noise").standard_normal((whole.size, 2))

    found = supervoxels(whole, noise, sizes_mm=(1, 1, 1), piece_mm3=64, compactness=0.2)

    assert np.bincount(found.ravel())[1:].min() >= 16


def test_gain_and_offset_of_a_scanner_change_nothing():
    regions = code_components(patches())
    images = _images(regions > 0)
    other = images * np.array([1.0, 250.0, 0.01, 3.0]) + np.array([0.0, 40.0, -7.0, 1e3])

    found, same = (
        supervoxels(regions, scale_channels(x, x), sizes_mm=SIZES_MM, piece_mm3=60)
        for x in (images, other)
    )

    assert np.array_equal(found, same)


def test_the_place_of_the_tumour_in_the_image_changes_nothing():
    regions = code_components(patches())
    images = _images(regions > 0)
    moved = np.zeros((50, 40, 20), int)
    moved[9:33, 4:28, 6:16] = regions

    found = supervoxels(moved, images, sizes_mm=SIZES_MM, piece_mm3=60)

    alone = supervoxels(regions, images, sizes_mm=SIZES_MM, piece_mm3=60)
    assert np.array_equal(found[9:33, 4:28, 6:16], alone)


def test_scaling_leaves_out_what_is_not_finite_and_survives_a_channel_without_variation():
    values = np.array([[1.0, 5.0], [2.0, 5.0], [np.nan, 5.0], [3.0, 5.0]])

    found = scale_channels(values, values)

    assert found[:, 1].tolist() == [0, 0, 0, 0]
    assert found[2, 0] == 0
    assert found[[0, 1, 3], 0] == pytest.approx(np.array([-1, 0, 1]) / 1.4826)


def test_scaling_survives_a_channel_of_which_most_voxels_are_alike():
    values = np.array([[0.0]] * 8 + [[1.0]])

    assert scale_channels(values, values)[-1, 0] == pytest.approx(1 / values.std())


def test_a_reference_decides_what_is_zero():
    found = scale_channels(np.array([[4.0]]), np.array([[0.0], [2.0], [4.0]]))

    assert found[0, 0] == pytest.approx(1 / 1.4826)


@pytest.mark.parametrize(
    ("channels", "settings", "code"),
    [
        (np.zeros((7, 1)), {}, Code.GRID_MISMATCH),
        (np.full((8, 1), np.nan), {}, Code.VALUES_INVALID),
        (np.zeros((8, 1)), {"piece_mm3": 0.0}, Code.ARGUMENT_INVALID),
        (np.zeros((8, 1)), {"compactness": float("nan")}, Code.ARGUMENT_INVALID),
        (np.zeros((8, 1)), {"rounds": 0}, Code.ARGUMENT_INVALID),
    ],
)
def test_what_cannot_be_cut_is_refused(channels, settings, code):
    with pytest.raises(BolusError) as caught:
        supervoxels(np.ones((2, 2, 2), int), channels, sizes_mm=SIZES_MM, **settings)

    assert caught.value.code is code


def test_nothing_is_cut_into_nothing():
    found = supervoxels(np.zeros((2, 2, 2), int), np.zeros((0, 1)), sizes_mm=SIZES_MM)

    assert not found.any()

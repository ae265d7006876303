"""Geometric distortion moves signal along one axis, and neither makes nor loses any."""

import numpy as np
import pytest
from scipy import ndimage

from bolus.core import Grid
from bolus.errors import MetadataError
from bolus.simulate import scan_grid
from bolus.simulate.distortion import displacement_mm, distort

GRID = scan_grid(shape=(48, 64, 10), voxel_mm=(4.0, 3.0, 10.0), orientation="LAS")
NOSE_MM = (0.0, 44.0, -32.0)


def blob(*, along: float) -> np.ndarray:
    """Return a smooth ball whose centre lies at a voxel of the phase axis."""
    x, y, z = np.indices(GRID.shape)
    squared = ((x - 24) / 3) ** 2 + ((y - along) / 3) ** 2 + ((z - 5) / 2) ** 2
    return np.exp(-squared / 2)


def place(image: np.ndarray) -> float:
    return ndimage.center_of_mass(image)[1]


def test_without_distortion_an_image_is_the_same_object():
    image = blob(along=30)
    none = displacement_mm(GRID, to_scanner=np.eye(4), distortion_mm=0.0)

    assert distort(image, none, GRID) is image


def test_a_uniform_displacement_moves_the_image_by_just_that():
    image = blob(along=30.0)
    moved = distort(image, np.full(GRID.shape, 4.5), GRID)

    # 4.5 mm on voxels of 3 mm are one and a half voxels
    assert place(moved) - place(image) == pytest.approx(1.5, abs=1e-3)
    np.testing.assert_allclose(moved, blob(along=31.5), atol=0.01)


@pytest.mark.parametrize("distortion_mm", [-6.0, 3.0, 6.0, 10.0])
def test_signal_is_moved_and_none_is_lost(distortion_mm):
    image = blob(along=45.0) + blob(along=30.0)
    shift = displacement_mm(GRID, to_scanner=np.eye(4), distortion_mm=distortion_mm)
    shift = np.repeat(shift[:, :, :1], GRID.shape[2], axis=2)  # the lowest slice, next to air

    shown = distort(image, shift, GRID)

    lines, before = shown.sum(axis=1), image.sum(axis=1)
    assert np.abs(shown - image).max() > 0.02
    np.testing.assert_allclose(lines, before, atol=0.02 * before.max())


def test_signal_piles_up_where_places_are_pushed_together():
    image = np.ones(GRID.shape)
    y = np.indices(GRID.shape)[1]
    shift = -3.0 * 3.0 * np.exp(-(((y - 32) / 8) ** 2) / 2)  # nine mm back at the middle

    shown = distort(image, shift, GRID)
    slope = np.gradient(shift[0, :, 0] / 3.0)

    appears_at = round(32 + 8 + shift[0, 40, 0] / 3.0)
    assert shown[0, appears_at, 0] == pytest.approx(1 / (1 + slope[40]), rel=0.05)
    assert shown[0, :, 0].max() > 1.2
    assert shown[0, :, 0].min() < 0.85


def test_the_displacement_is_largest_above_the_nose_and_none_at_the_crown():
    fine = Grid(shape=(3, 3, 3), affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    moved = fine.affine.copy()
    moved[:3, 3] = np.array(NOSE_MM) - 1
    nose = displacement_mm(
        Grid(shape=fine.shape, affine=moved), to_scanner=np.eye(4), distortion_mm=5.0
    )
    moved[:3, 3] = (0.0, 0.0, 60.0)
    crown = displacement_mm(
        Grid(shape=fine.shape, affine=moved), to_scanner=np.eye(4), distortion_mm=5.0
    )

    assert nose[1, 1, 1] == pytest.approx(5.0, rel=0.01)
    assert np.abs(crown).max() < 0.01


def test_every_frame_of_a_series_is_displaced_alike():
    frames = np.stack([blob(along=40), 2 * blob(along=40)], axis=-1).astype(np.float32)
    shift = displacement_mm(GRID, to_scanner=np.eye(4), distortion_mm=6.0)

    shown = distort(frames, shift, GRID)

    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown[..., 1], 2 * shown[..., 0], rtol=1e-5, atol=1e-6)


def test_a_field_that_would_fold_the_image_is_refused():
    shift = displacement_mm(GRID, to_scanner=np.eye(4), distortion_mm=60.0)

    with pytest.raises(MetadataError, match="mm per mm"):
        distort(blob(along=30), shift, GRID)

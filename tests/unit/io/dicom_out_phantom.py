"""A phantom with no symmetry, in three orientations, and how to read DICOM back by its affine."""

import numpy as np

from bolus.core import QUANTITIES, Grid, LabelMap
from bolus.io.dicom_out_map import MapImage

SHAPE = (11, 9, 6)


def _turned(degrees: float, axis: int) -> np.ndarray:
    a, b = [k for k in range(3) if k != axis]
    matrix = np.eye(3)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def _affine(directions: np.ndarray) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = directions * [1.75, 1.9, 5.25]
    affine[:3, 3] = [-31.2, 17.45, -8.125]
    return affine


_SAGITTAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
AFFINES = {
    "axial": _affine(np.eye(3)),
    "axial of a scanner": _affine(np.diag([-1.0, -1.0, 1.0])),
    "slices from above": _affine(np.diag([1.0, 1.0, -1.0])),
    "oblique": _affine(_turned(17, 0) @ _turned(-9, 2) @ np.diag([-1.0, 1.0, 1.0])),
    "sagittal": _affine(_SAGITTAL),
    "sagittal, from the left": _affine(_SAGITTAL @ np.diag([1.0, 1.0, -1.0])),
    "coronal": _affine(np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])),
}


def phantom(name: str, key: str = "ncbv") -> MapImage:
    """A map without symmetry, with NaN, negative zero and the smallest float."""
    rng = np.random.default_rng(5)
    values = rng.normal(2, 3, SHAPE).astype(np.float32)
    values[0, 0, 0], values[1, 0, 0], values[2, 0, 0] = np.nan, -0.0, np.float32(1e-45)
    values[8:, :2, 4:] += 40
    return MapImage(
        values=values,
        grid=Grid(shape=SHAPE, affine=AFFINES[name]),
        quantity=QUANTITIES[key],
        method="matched",
    )


def labels(name: str) -> LabelMap:
    """Two labels in one corner; most frames hold none."""
    values = np.zeros(SHAPE, np.int16)
    values[1:4, 2:5, 1] = 1
    values[3:7, 5:8, 2:4] = 2
    grid = Grid(shape=SHAPE, affine=AFFINES[name])
    return LabelMap(values=values, grid=grid, names={1: "necrosis", 2: "hypervascular"})


def by_world(values: np.ndarray, affine: np.ndarray) -> dict[tuple[float, ...], np.ndarray]:
    """Every voxel by where it lies in the patient [mm]: blind to the order of axes and frames."""
    indices = np.indices(values.shape[:3]).reshape(3, -1).T
    places = np.round(indices @ affine[:3, :3].T + affine[:3, 3], 3) + 0.0
    flat = values.reshape(len(indices), -1)
    return {tuple(place): row for place, row in zip(places, flat, strict=True)}


def read_frames(dataset) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (columns, rows, frames) of a multi-frame object, and its RAS+ affine."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    positions = [
        f.PlanePositionSequence[0].ImagePositionPatient
        for f in dataset.PerFrameFunctionalGroupsSequence
    ]
    count = len({tuple(p) for p in positions})
    affine = affine_of(
        np.array(orientation, float), np.array(spacing, float), np.array(positions[:count], float)
    )
    return dataset.pixel_array[:count].transpose(2, 1, 0), affine


def affine_of(orientation: np.ndarray, spacing: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the RAS+ affine from (column, row, frame) to millimetres.

    Args:
        orientation: six cosines, along a row and down a column [LPS].
        spacing: between rows and between columns [mm].
        positions: (n, 3) of all frames in order [LPS mm]; n > 1.
    """
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * spacing[1]
    affine[:3, 1] = orientation[3:] * spacing[0]
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 3] = positions[0]
    affine[:3] = np.diag([-1.0, -1.0, 1.0]) @ affine[:3]  # LPS to RAS
    return affine

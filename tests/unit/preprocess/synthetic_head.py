"""A head that can be drawn anywhere without interpolation: a function of place in millimetres."""

import numpy as np
from scipy.spatial.transform import Rotation

from bolus.core import SIGNAL, Acquisition, Grid, PerfusionSeries, Provenance, TimeAxis

BRAIN_MM = np.array([62.0, 80.0, 55.0])
"""Half axes of the brain."""


def oblique_grid(shape=(64, 64, 12), sizes_mm=(3.2, 3.4, 8.0), turn_deg=(8.0, -5.0, 12.0)) -> Grid:
    """A grid that is turned, thick-sliced and centred on the origin."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() * sizes_mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def rigid_matrix(shift_mm, turn_deg=(0.0, 0.0, 0.0)) -> np.ndarray:
    """RAS+ motion about the origin: rotations about x, then y, then z, then a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def brain_at(grid: Grid, matrix=None) -> np.ndarray:
    """Whether each voxel centre lies in the brain."""
    return _radius(_places(grid, matrix), BRAIN_MM) < 1


def head_at(grid: Grid, matrix=None) -> np.ndarray:
    """Signal of the head after it has moved by `matrix`, averaged through the slices."""
    across = np.eye(3)[2]
    through = [across * (layer - 2) / 5 for layer in range(5)]
    return np.mean([_head_at_points(_places(grid, matrix, shift)) for shift in through], axis=0)


def _head_at_points(places: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(places, -1, 0)
    brain = _soft(_radius(places, BRAIN_MM), 1.0)
    scalp = _soft(_radius(places, BRAIN_MM + 14), 1.0) - _soft(_radius(places, BRAIN_MM + 8), 1.0)
    folds = 0.25 * np.sin(x / 5) * np.sin(y / 6) * np.cos(z / 9)
    ventricles = 0.5 * np.exp(-((np.abs(x) - 9) ** 2 / 40 + y**2 / 300 + z**2 / 250))
    off_centre = 0.3 * np.exp(-((x - 35) ** 2 + (y - 25) ** 2 + (z - 15) ** 2) / 300)
    return 1000 * (brain * (0.8 + folds + ventricles - off_centre) + 0.5 * scalp)


def series_of(frames, grid: Grid, *, noise: float = 0.0, step_s: float = 1.5) -> PerfusionSeries:
    """Frames as a signal series with Rician noise."""
    rng = np.random.default_rng(7)
    values = np.stack(frames, axis=-1)
    if noise:
        real, imaginary = rng.normal(0, noise, (2, *values.shape))
        values = np.hypot(values + real, imaginary)
    return PerfusionSeries(
        values=values.astype(np.float32),
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(len(frames), step_s=step_s),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )


def _places(grid: Grid, matrix, shift=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Where the tissue now at each voxel (and a part of one further on) was before the motion."""
    indices = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3) + np.asarray(shift)
    back = np.linalg.inv(np.eye(4) if matrix is None else matrix)
    places = grid.centres_mm(indices) @ back[:3, :3].T + back[:3, 3]
    return places.reshape(*grid.shape, 3)


def _radius(places, half_axes) -> np.ndarray:
    return np.sqrt(((places / half_axes) ** 2).sum(axis=-1))


def _soft(radius, edge) -> np.ndarray:
    """An edge about a voxel wide, as partial volumes make it."""
    return 1 / (1 + np.exp((radius - edge) * 50))

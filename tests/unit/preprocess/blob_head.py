"""Heads that can be drawn anywhere without interpolation: each person has folds of their own."""

import numpy as np
from scipy.spatial.transform import Rotation

from bolus.core import Grid, Mask
from bolus.preprocess import VisitImage

_BRAIN_MM = np.array([62.0, 80.0, 55.0])
_BLOBS = 260


def visit_grid(shape=(72, 72, 24), sizes_mm=(3.0, 3.0, 6.0), turn_deg=(0.0, 0.0, 0.0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() * sizes_mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape=shape, affine=affine)


def pose(shift_mm=(0.0, 0.0, 0.0), turn_deg=(0.0, 0.0, 0.0), scale=1.0) -> np.ndarray:
    """RAS+ matrix from a place in the first visit to its place in another."""
    matrix = np.eye(4)
    matrix[:3, :3] = scale * Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


def places_of(grid: Grid) -> np.ndarray:
    return grid.centres_mm(np.indices(grid.shape).reshape(3, -1).T.astype(float))


def brain_points(step_mm=12.0) -> np.ndarray:
    """Places (n, 3) spread over the brain of the first visit."""
    axes = [np.arange(-half, half + 1, step_mm) for half in _BRAIN_MM]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return places[((places / _BRAIN_MM) ** 2).sum(axis=1) < 0.9]


def draw(
    grid: Grid,
    *,
    person: int = 1,
    matrix=None,
    gain: float = 1.0,
    coil: float = 0.0,
    lesion=None,
    noise: float = 8.0,
    seed: int = 0,
    bend=None,
) -> VisitImage:
    """One visit: `matrix` is its pose; `lesion` (centre, radius, signal) is added or taken away.

    `bend` gives the displacement (n, 3) of places (n, 3) of the first visit.
    """
    there = places_of(grid)
    back = np.linalg.inv(np.eye(4) if matrix is None else matrix)
    own = there @ back[:3, :3].T + back[:3, 3]
    if bend is not None:
        target = own
        for _ in range(20):
            own = target - bend(own)
    values = _signal(own, person)
    if lesion is not None:
        centre, radius_mm, signal = lesion
        inside = np.linalg.norm(own - centre, axis=1) < radius_mm
        values = np.where(inside, signal, values)
    x, y, _ = (there / 100).T
    values = gain * values * (1 + coil * (x + y**2))
    random = np.random.default_rng(seed)
    real, imaginary = random.normal(0, gain * noise, (2, len(values)))
    seen = np.hypot(values + real, imaginary).reshape(grid.shape)
    return VisitImage(values=seen.astype(np.float32), grid=grid)


def lesion_mask(grid: Grid, *, matrix=None, lesion) -> Mask:
    back = np.linalg.inv(np.eye(4) if matrix is None else matrix)
    own = places_of(grid) @ back[:3, :3].T + back[:3, 3]
    inside = np.linalg.norm(own - lesion[0], axis=1) < lesion[1]
    return Mask(values=inside.reshape(grid.shape), grid=grid, name="lesion")


def _signal(places: np.ndarray, person: int) -> np.ndarray:
    radius = np.sqrt(((places / _BRAIN_MM) ** 2).sum(axis=1))
    skin = np.sqrt(((places / (_BRAIN_MM + 14)) ** 2).sum(axis=1))
    bone = np.sqrt(((places / (_BRAIN_MM + 8)) ** 2).sum(axis=1))
    brain, scalp = _soft(radius), _soft(skin) - _soft(bone)
    random = np.random.default_rng(person)
    folds = np.zeros(len(places))
    near = np.flatnonzero(radius < 1.1)
    for _ in range(_BLOBS):
        centre = random.uniform(-1, 1, 3) * _BRAIN_MM
        width_mm = random.uniform(5, 9)
        height = random.choice([-0.35, 0.3])
        squared = ((places[near] - centre) ** 2).sum(axis=1)
        folds[near] += height * np.exp(-squared / (2 * width_mm**2))
    return 1000 * (brain * np.clip(0.8 + folds, 0.05, 1.6) + 0.4 * scalp)


def _soft(radius: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(np.clip((radius - 1) * 40, -50, 50)))

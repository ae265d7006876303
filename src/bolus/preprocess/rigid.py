"""Rigid registration of one frame to another, in the grid's own axes; matrices are RAS+ [mm]."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial.transform import Rotation

from bolus.core import Grid, Volume

_SMOOTH_MM = (8.0, 3.0)
"""Full widths at half maximum, coarse to fine: the first finds far motion, the last is exact."""
_POINTS = 12000
"""Points of the head that are looked at."""
_ITERATIONS = 12
_CONVERGED_MM = 0.01
_NOISE_MM = 0.5
"""A step below this that is longer than the one before follows noise, not the head."""
_TUKEY = 4.685
"""Robust standard deviations beyond which a point has no say (Tukey's biweight)."""
_FEWEST_POINTS = 60
_HEAD = 0.2
"""Share of the bright level above which a voxel belongs to the head."""
_MARGIN = 2
"""Voxels around the head that take part: its edge carries most of the information."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    """The reference at one smoothness, at the points that are looked at."""

    width_mm: float
    values: np.ndarray
    """(n,)."""
    pull: np.ndarray
    """(n, 6): change of `values` per mm of shift and per rad of turn, along the grid's axes."""


class Registration:
    """A reference frame, ready to have many frames registered to it.

    Least squares by Gauss and Newton. The frame may be any smooth function (a parabola) of the
    reference, fitted anew with every step, for the bolus darkens what is bright; points that do
    not follow it, such as vessels, lose their say.
    """

    def __init__(self, reference: Volume, grid: Grid) -> None:
        self._grid = grid
        self._sizes_mm = np.array(grid.voxel_sizes_mm)
        self._centre_mm = (np.array(grid.shape) - 1) * self._sizes_mm / 2
        still = _finite(reference)
        self._places_mm = self._head(still) * self._sizes_mm - self._centre_mm
        self._levels = [self._level(still, width_mm) for width_mm in _SMOOTH_MM]
        free = np.array(grid.shape) > 1
        turns = [bool(free[[o for o in range(3) if o != axis]].all()) for axis in range(3)]
        self._free = np.flatnonzero([*free, *turns])

    def register(
        self, frame: Volume, *, start: Float[np.ndarray, "4 4"]
    ) -> Float[np.ndarray, "4 4"] | None:
        """Return the RAS+ matrix (4, 4) [mm] from a place in the reference to its place here.

        Args:
            frame: (x, y, z) on the same grid.
            start: the matrix to begin with.

        Returns:
            The matrix; None where the frame shows nothing to hold on to.
        """
        world = self._world_of_centre()
        own = np.linalg.inv(world) @ start @ world
        seen = _finite(frame)
        for level in self._levels:
            coefficients = ndimage.spline_filter(self._smoothed(seen, level.width_mm), order=3)
            last_mm = np.inf
            for _ in range(_ITERATIONS):
                step = self._step(coefficients, level, own)
                if step is None:
                    return None
                length_mm = self._length_mm(step)
                if last_mm <= length_mm < _NOISE_MM:
                    break
                own = own @ _rigid(-step)
                if length_mm < _CONVERGED_MM:
                    break
                last_mm = length_mm
        own[:3, :3] = _orthonormal(own[:3, :3])
        return np.asarray(world @ own @ np.linalg.inv(world))

    def _step(self, frame: np.ndarray, level: _Level, own: np.ndarray) -> np.ndarray | None:
        """Return how far (6,) [mm, rad] the frame is from where `own` takes it to be."""
        places = (self._places_mm @ own[:3, :3].T + own[:3, 3] + self._centre_mm) / self._sizes_mm
        last = np.array(self._grid.shape) - 1
        inside = ((places > -0.01) & (places < last + 0.01)).all(axis=1)
        if np.count_nonzero(inside) < _FEWEST_POINTS:
            return None
        seen = ndimage.map_coordinates(frame, places[inside].T, order=3, prefilter=False)
        if np.ptp(seen) <= 0:
            return None
        values = level.values[inside]
        powers = np.stack([np.ones_like(values), values, values**2], axis=1)
        _, slope, bend = np.linalg.lstsq(powers, seen, rcond=None)[0]
        pull = (slope + 2 * bend * values)[:, None] * level.pull[inside][:, self._free]
        columns = np.hstack([powers, pull])
        weight = np.ones(len(seen))
        solution = np.zeros(columns.shape[1])
        for _ in range(3):
            normal = columns.T @ (columns * weight[:, None])
            solution = np.linalg.lstsq(normal, columns.T @ (weight * seen), rcond=None)[0]
            weight = _biweight(seen - columns @ solution)
        step = np.zeros(6)
        step[self._free] = solution[3:]
        return step

    def _level(self, still: np.ndarray, width_mm: float) -> _Level:
        smooth = self._smoothed(still, width_mm)
        scale = float(np.percentile(np.abs(smooth), 99)) or 1.0
        smooth = smooth / scale
        indices = np.rint((self._places_mm + self._centre_mm) / self._sizes_mm).astype(int)
        at = tuple(indices.T)
        slopes = [_slope(smooth, axis)[at] / size for axis, size in enumerate(self._sizes_mm)]
        gradient = np.stack(slopes, axis=1)
        pull = np.hstack([gradient, np.cross(self._places_mm, gradient)])
        return _Level(width_mm=width_mm, values=smooth[at], pull=pull)

    def _smoothed(self, values: np.ndarray, width_mm: float) -> np.ndarray:
        """Smooth as far as the voxels are finer than the width."""
        sigma = np.sqrt(np.maximum(width_mm**2 - self._sizes_mm**2 / 4, 0)) / 2.355
        return np.asarray(ndimage.gaussian_filter(values, sigma / self._sizes_mm, mode="nearest"))

    def _head(self, still: np.ndarray) -> np.ndarray:
        """Return the voxels (n, 3) that take part: of the head and a margin, evenly."""
        lit = still[still > 0]
        level = _HEAD * float(np.percentile(lit, 90)) if lit.size else -np.inf
        plane = ndimage.generate_binary_structure(3, 1)
        head = np.argwhere(ndimage.binary_dilation(still > level, plane, iterations=_MARGIN))
        chosen = np.linspace(0, len(head) - 1, min(len(head), _POINTS)).astype(int)
        return np.asarray(head[chosen])

    def _length_mm(self, step: np.ndarray) -> float:
        """Return about how far a step moves the edge of the head [mm]."""
        reach_mm = float(np.abs(self._places_mm).max(initial=1.0))
        return float(np.linalg.norm(step[:3]) + reach_mm * np.linalg.norm(step[3:]))

    def _world_of_centre(self) -> np.ndarray:
        """Return the matrix from the grid's axes, from its centre on [mm], to RAS+ [mm]."""
        from_centre = np.eye(4)
        from_centre[:3, 3] = self._centre_mm
        return np.asarray(_world(self._grid) @ from_centre)


def _finite(values: Volume) -> np.ndarray:
    seen = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.maximum(seen, 0.0))


def _slope(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the slope [1/voxel] along an axis; none along an axis of one voxel."""
    if values.shape[axis] == 1:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, axis=axis))


def _rigid(step: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(step[3:]).as_matrix()
    matrix[:3, 3] = step[:3]
    return matrix


def _biweight(residual: np.ndarray) -> np.ndarray:
    """Return Tukey's weights; 1 everywhere if most residuals vanish."""
    spread = 1.4826 * float(np.median(np.abs(residual)))
    if spread <= 0:
        return np.ones_like(residual)
    return np.asarray(np.maximum(1 - (residual / (_TUKEY * spread)) ** 2, 0.0) ** 2)


def frame_parameters(matrix: Float[np.ndarray, "4 4"], grid: Grid) -> Float[np.ndarray, " 6"]:
    """Return a rigid matrix as translations [mm] and rotations [deg] about the grid's centre.

    Args:
        matrix: RAS+, from place in the reference to place in the frame.
        grid: whose centre does not move under rotation alone.

    Example:
        >>> from bolus.preprocess.rigid import frame_parameters
        >>> matrix = np.eye(4)
        >>> matrix[0, 3] = 1.5
        >>> frame_parameters(matrix, Grid(shape=(9, 9, 3), affine=np.eye(4))).tolist()
        [1.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    centre = grid.centres_mm((np.array(grid.shape) - 1)[None] / 2)[0]
    shift = matrix[:3, :3] @ centre + matrix[:3, 3] - centre
    angles = Rotation.from_matrix(_orthonormal(matrix[:3, :3])).as_euler("xyz", degrees=True)
    return np.concatenate([shift, angles])


def frame_matrix(parameters: Float[np.ndarray, " 6"], grid: Grid) -> Float[np.ndarray, "4 4"]:
    """Return the rigid matrix of translations [mm] and rotations [deg] about the grid's centre.

    Args:
        parameters: as `frame_parameters` gives them.
        grid: the same one.

    Example:
        >>> from bolus.preprocess.rigid import frame_matrix, frame_parameters
        >>> grid = Grid(shape=(9, 9, 3), affine=np.eye(4))
        >>> moved = np.array([1.5, 0, -2, 3, 0, 1])
        >>> bool(np.allclose(frame_parameters(frame_matrix(moved, grid), grid), moved))
        True
    """
    centre = grid.centres_mm((np.array(grid.shape) - 1)[None] / 2)[0]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", parameters[3:], degrees=True).as_matrix()
    matrix[:3, 3] = parameters[:3] + centre - matrix[:3, :3] @ centre
    return matrix


def displacement_mm(matrix: Float[np.ndarray, "4 4"], places: Float[np.ndarray, "n 3"]) -> float:
    """Return the mean distance [mm] that a matrix moves some places (n, 3) [mm]."""
    moved = places @ matrix[:3, :3].T + matrix[:3, 3]
    return float(np.linalg.norm(moved - places, axis=1).mean())


def _world(grid: Grid) -> np.ndarray:
    """Return the matrix from the grid's axes [mm] to RAS+ [mm]."""
    world = grid.affine.copy()
    world[:3, :3] /= grid.voxel_sizes_mm
    return world


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return the nearest rotation: products of matrices drift by rounding."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)

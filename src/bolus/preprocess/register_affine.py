"""Least squares between two images of one head: rigid or affine, between any two grids."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.linalg import expm, logm

from bolus.core import Grid, Mask
from bolus.core.arrays import Affine
from bolus.preprocess.alignment import VisitImage

COARSE_MM, FINE_MM = 8.0, 3.0
"""Full widths at half maximum: the first finds far motion, the last is exact."""
_BOX = 0.46
"""Squared full width of a voxel's box, as a share of its squared edge (2.355² / 12)."""
_CHUNK = 256
"""Points of one place of the head; also small enough that BLAS stays on one thread, whose
number then cannot change the bytes."""
_CHUNKS = 64
_ITERATIONS = 25
_CONVERGED_MM = 0.003
_NOISE_MM = 0.3
"""A step below this that is longer than the one before follows noise, not the head."""
_TUKEY = 4.685
"""Robust standard deviations beyond which a point has no say (Tukey's biweight)."""
_HEAD = 0.2
"""Share of the bright level above which a voxel belongs to the head."""
_MARGIN_MM = 5.0
"""Around head and lesion: the head's edge informs, the lesion's misleads."""
_FEWEST = 0.3
"""Share of the points that both images must show."""
INTENSITY = 12
"""Columns of the intensity model; the columns of motion follow, shifts first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """One image fitted to another: `matrix` from place in the reference to place in the image.

    `normal` (chunks, p, p) and `slope` (chunks, p) are what each chunk of points adds to the
    normal equations and to their right side at the solution, where the sum of `slope` vanishes.
    `variance` (chunks,) is of what the fit leaves; `light` are the coefficients of brightness.
    """

    matrix: Affine
    light: np.ndarray
    normal: np.ndarray
    slope: np.ndarray
    variance: np.ndarray
    freedom: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Level:
    values: np.ndarray
    """(n,) of the reference."""
    gradient: np.ndarray
    """(n, 3): change per mm along x, y, z."""


class Reference:
    """An image, ready to have others registered to it.

    The other image may be 1 + v + v² + v times any parabola of place, v being the reference:
    another gain, another coil, another curve of contrast. Points that do not follow (vessels,
    changed tissue) lose their say, and lesions have none.
    """

    def __init__(self, image: VisitImage, lesion: Mask | None, brain: Mask | None) -> None:
        self.places_mm = _points(image, lesion, brain)
        self.centre_mm = self.places_mm.mean(axis=0)
        self._scale_mm = np.maximum(np.abs(self.places_mm - self.centre_mm).max(axis=0), 1.0)
        self.reach_mm = float(np.linalg.norm(self._scale_mm))
        self._unit = (self.places_mm - self.centre_mm) / self._scale_mm
        self._levels = {
            width: _level(image, self.places_mm, width) for width in (COARSE_MM, FINE_MM)
        }

    def fit(
        self,
        image: "Sampled",
        *,
        start: Affine,
        freedom: int,
        width_mm: float,
        iterations: int = _ITERATIONS,
        every: int = 1,
    ) -> Fit | None:
        """Return the best matrix near `start`; None where the images do not overlap.

        Args:
            image: the other visit.
            start: RAS+ from place in the reference to place there [mm].
            freedom: 6 (rigid) or 12 (affine).
            width_mm: `COARSE_MM` or `FINE_MM`.
            iterations: at most.
            every: take one chunk of so many.
        """
        chosen = slice(None, None, every)
        level = self._levels[width_mm]
        places = _chunked(self.places_mm)[chosen].reshape(-1, 3)
        arms = places - self.centre_mm
        values = _chunked(level.values)[chosen].ravel()
        gradient = _chunked(level.gradient)[chosen].reshape(-1, 3)
        unit = _chunked(self._unit)[chosen].reshape(-1, 3)
        matrix, last_mm, best = start, np.inf, None
        for _ in range(iterations):
            there = places @ matrix[:3, :3].T + matrix[:3, 3]
            seen, inside = image.at(there, width_mm)
            if np.count_nonzero(inside) < _FEWEST * len(places):
                return None
            solved = _solve(seen, inside, values, gradient, unit, arms, freedom)
            if solved is None:
                return None
            solution, normal, slope, variance = solved
            light, step = solution[:INTENSITY], solution[INTENSITY:]
            best = Fit(
                matrix=matrix, light=light, normal=normal, slope=slope, variance=variance,
                freedom=freedom,
            )  # fmt: skip
            length_mm = _length_mm(step, self.reach_mm)
            if last_mm <= length_mm < _NOISE_MM or length_mm < _CONVERGED_MM:
                break
            matrix = matrix @ about(self.centre_mm, _motion(-step))
            last_mm = length_mm
        return best

    def expected(self, fit: Fit, width_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what a fit expects the image to show (n,), and its change (n, 3) per mm."""
        level = self._levels[width_mm]
        bright = _brightness(level.values, self._unit) @ fit.light
        slope = 2 * fit.light[1] * level.values + _parabola(self._unit) @ fit.light[2:]
        return bright, slope[:, None] * level.gradient

    def shape(self, image: "Sampled", matrix: Affine) -> float:
        """Return the correlation of the smooth images, less where they overlap less."""
        seen, inside = self._seen(image, matrix, COARSE_MM)
        share = float(np.mean(inside))
        return share * _correlation(self._levels[COARSE_MM].values, seen, inside)

    def detail(self, image: "Sampled", matrix: Affine) -> float:
        """Return the correlation of fine detail, both images without what 8 mm leave of them."""
        fine, inside = self._seen(image, matrix, FINE_MM)
        coarse, _ = self._seen(image, matrix, COARSE_MM)
        own = self._levels[FINE_MM].values - self._levels[COARSE_MM].values
        return _correlation(own, fine - coarse, inside)

    def _seen(
        self, image: "Sampled", matrix: Affine, width_mm: float
    ) -> tuple[np.ndarray, np.ndarray]:
        return image.at(self.places_mm @ matrix[:3, :3].T + matrix[:3, 3], width_mm)


class Sampled:
    """An image that can be looked at anywhere, at both levels."""

    def __init__(self, image: VisitImage, lesion: Mask | None) -> None:
        self._back = np.linalg.inv(image.grid.affine)
        self._shape = np.array(image.grid.shape)
        shown = _finite(image)
        scale = float(np.percentile(shown, 99)) or 1.0
        self._splines = {
            width: ndimage.spline_filter(smoothed(shown / scale, image.grid, width), order=3)
            for width in (COARSE_MM, FINE_MM)
        }
        self._lesion = None if lesion is None else _widened(lesion)

    def at(self, places: np.ndarray, width_mm: float) -> tuple[np.ndarray, np.ndarray]:
        """Return values (n,) at places (n, 3) [mm], and which lie in the image and no lesion."""
        voxels = (places @ self._back[:3, :3].T + self._back[:3, 3]).T
        last = self._shape[:, None] - 1
        inside = ((voxels > -0.51) & (voxels < last + 0.51)).all(axis=0)
        if self._lesion is not None:
            index = np.clip(np.rint(voxels), 0, last).astype(np.intp)
            inside &= ~self._lesion[tuple(index)]
        seen = ndimage.map_coordinates(
            self._splines[width_mm], voxels, order=3, prefilter=False, mode="nearest"
        )
        return np.asarray(seen), np.asarray(inside)


def smoothed(values: np.ndarray, grid: Grid, width_mm: float) -> np.ndarray:
    """Smooth as far as voxels are finer than a full width at half maximum [mm]."""
    sizes = np.array(grid.voxel_sizes_mm)
    sigma = np.sqrt(np.maximum(width_mm**2 - _BOX * sizes**2, 0)) / 2.355
    return np.asarray(ndimage.gaussian_filter(values, sigma / sizes, mode="nearest"))


def half_way(first: Affine, second: Affine) -> Affine:
    """Return the matrix half way from one to another, along the shortest path."""
    between = np.real(logm(np.linalg.inv(first) @ second))
    return np.asarray(first @ np.real(expm(0.5 * between)))


def about(centre_mm: np.ndarray, matrix: Affine) -> Affine:
    """Return a matrix that is applied with its origin at a place."""
    there, back = np.eye(4), np.eye(4)
    there[:3, 3], back[:3, 3] = centre_mm, -centre_mm
    return np.asarray(there @ matrix @ back)


def motion_columns(arms: np.ndarray, freedom: int) -> Float[np.ndarray, "n 3 p"]:
    """Return by how much (x, y, z) each parameter moves places (n, 3) about the centre [mm].

    Three shifts [mm] first; then three turns [rad], or nine entries of a matrix, row by row.
    """
    shift = np.broadcast_to(np.eye(3), (len(arms), 3, 3))
    if freedom == 6:
        x, y, z = arms.T
        none = np.zeros_like(x)
        turn = np.array([[none, z, -y], [-z, none, x], [y, -x, none]])
        return np.concatenate([shift, turn.transpose(2, 0, 1)], axis=2)
    rows = np.zeros((len(arms), 3, 9))
    for axis in range(3):
        rows[:, axis, 3 * axis : 3 * axis + 3] = arms
    return np.concatenate([shift, rows], axis=2)


def _solve(
    seen: np.ndarray, inside: np.ndarray, values: np.ndarray, gradient: np.ndarray,
    unit: np.ndarray, arms: np.ndarray, freedom: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:  # fmt: skip
    """Solve for brightness and motion at once.

    Returns the solution (p,), normal equations (chunks, p, p), what is left of their right side
    (chunks, p), and the variance (chunks,) of what is not explained.
    """
    if np.ptp(seen[inside]) <= 0:
        return None
    light = _brightness(values, unit)
    first = _least_squares(light, seen, inside.astype(float))[0]
    slope = 2 * first[1] * values + _parabola(unit) @ first[2:]
    pull = np.einsum("ni,nip->np", slope[:, None] * gradient, motion_columns(arms, freedom))
    columns = np.hstack([light, pull])
    weight = inside.astype(float)
    for _ in range(3):
        solution, normal, right = _least_squares(columns, seen, weight)
        left = seen - columns @ solution
        weight = inside * biweight(left, inside)
    unexplained = right - np.einsum("cij,j->ci", normal, solution)
    total = np.maximum(_chunked(weight).sum(axis=1), 1.0)
    variance = (_chunked(weight) * _chunked(left) ** 2).sum(axis=1) / total
    return solution, normal, unexplained, variance


def _brightness(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the columns (n, 12) of brightness: 1, v², and v times a parabola of place."""
    return np.hstack([np.ones((len(values), 1)), values[:, None] ** 2,
                      values[:, None] * _parabola(unit)])  # fmt: skip


def _parabola(unit: np.ndarray) -> np.ndarray:
    x, y, z = unit.T
    return np.stack([np.ones_like(x), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], axis=1)


def _least_squares(
    columns: np.ndarray, seen: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solve weighted least squares; also return what each chunk adds."""
    held = _chunked(columns)
    weighted = held * _chunked(weight)[..., None]
    normal = weighted.transpose(0, 2, 1) @ held
    right = (weighted.transpose(0, 2, 1) @ _chunked(seen)[..., None])[..., 0]
    solution = np.linalg.lstsq(normal.sum(axis=0), right.sum(axis=0), rcond=1e-12)[0]
    return solution, normal, right


def _correlation(first: np.ndarray, second: np.ndarray, inside: np.ndarray) -> float:
    """Return Pearson's correlation, the farthest 2 % on either side drawn in; -1 for too few."""
    if np.count_nonzero(inside) < _FEWEST * len(inside):
        return -1.0
    pair = np.stack([first[inside], second[inside]])
    low, high = np.percentile(pair, [2, 98], axis=1)[..., None]
    pair = np.clip(pair, low, high)
    pair -= pair.mean(axis=1, keepdims=True)
    length = np.sqrt((pair**2).sum(axis=1))
    return float((pair[0] * pair[1]).sum() / max(length[0] * length[1], 1e-12))


def _chunked(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, _CHUNK, *values.shape[1:])


def biweight(residual: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return Tukey's weights of residuals; 1 everywhere if most of them vanish."""
    spread = 1.4826 * float(np.median(np.abs(residual[inside])))
    if spread <= 0:
        return np.ones_like(residual)
    return np.asarray(np.maximum(1 - (residual / (_TUKEY * spread)) ** 2, 0.0) ** 2)


def _motion(step: np.ndarray) -> Affine:
    """Return the matrix of a step, exactly rigid where it has six parameters."""
    rate = np.zeros((4, 4))
    rate[:3, 3] = step[:3]
    if len(step) == 6:
        x, y, z = step[3:]
        rate[:3, :3] = [[0, -z, y], [z, 0, -x], [-y, x, 0]]
    else:
        rate[:3, :3] = step[3:].reshape(3, 3)
    return np.asarray(expm(rate))


def _length_mm(step: np.ndarray, reach_mm: float) -> float:
    """Return about how far a step moves the edge of the head [mm]."""
    return float(np.linalg.norm(step[:3]) + reach_mm * np.linalg.norm(step[3:]))


def head_of(image: VisitImage, grid: Grid) -> np.ndarray:
    """Return which voxels (x, y, z) of a grid hold a part of the head that the image shows."""
    indices = np.indices(grid.shape).reshape(3, -1).T.astype(np.float64)
    back = np.linalg.inv(image.grid.affine)
    voxels = np.rint(grid.centres_mm(indices) @ back[:3, :3].T + back[:3, 3]).astype(np.intp)
    last = np.array(image.grid.shape) - 1
    inside = ((voxels >= 0) & (voxels <= last)).all(axis=1)
    return np.asarray((inside & _lit(image)[tuple(np.clip(voxels, 0, last).T)]).reshape(grid.shape))


def _lit(image: VisitImage) -> np.ndarray:
    """Return the voxels that are bright enough to belong to the head."""
    shown = smoothed(_finite(image), image.grid, COARSE_MM)
    lit = shown[shown > 0]
    level = _HEAD * float(np.percentile(lit, 90)) if lit.size else np.inf
    return np.asarray(shown > level)


def _points(image: VisitImage, lesion: Mask | None, brain: Mask | None) -> np.ndarray:
    """Return places (n, 3) [mm] of the head without the lesion, spread evenly, chunk by chunk."""
    grid = image.grid
    taking = _widened(brain or Mask(values=_lit(image), grid=grid, name="head"))
    if lesion is not None:
        taking = taking & ~_widened(lesion)
    indices = np.argwhere(taking)
    count = _CHUNK * _CHUNKS
    if not len(indices):
        indices = np.argwhere(np.ones(grid.shape, bool))
    chosen = np.linspace(0, len(indices) - 1, count).astype(np.intp)
    places = grid.centres_mm(indices[chosen].astype(np.float64))
    return np.asarray(places[_compact(places, np.arange(count))])


def _compact(places: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Order places so that each chunk is a compact part of the head: halve at the median."""
    if len(order) <= _CHUNK:
        return order
    axis = int(np.ptp(places[order], axis=0).argmax())
    ranked = order[np.argsort(places[order, axis], kind="stable")]
    half = len(ranked) // 2
    return np.concatenate([_compact(places, ranked[:half]), _compact(places, ranked[half:])])


def _level(image: VisitImage, places: np.ndarray, width_mm: float) -> _Level:
    shown = _finite(image)
    scale = float(np.percentile(shown, 99)) or 1.0
    smooth = smoothed(shown / scale, image.grid, width_mm)
    back = np.linalg.inv(image.grid.affine)
    at = tuple(np.rint(places @ back[:3, :3].T + back[:3, 3]).astype(np.intp).T)
    per_voxel = np.stack([_slope(smooth, axis)[at] for axis in range(3)], axis=1)
    return _Level(values=smooth[at], gradient=per_voxel @ back[:3, :3])


def _slope(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the slope [1/voxel] along an axis; none along an axis of one voxel."""
    if values.shape[axis] == 1:
        return np.zeros_like(values)
    return np.asarray(np.gradient(values, axis=axis))


def _widened(mask: Mask) -> np.ndarray:
    """Return the mask and a margin around it."""
    if not mask.count:
        return np.asarray(mask.values)
    away = ndimage.distance_transform_edt(~mask.values, sampling=mask.grid.voxel_sizes_mm)
    return np.asarray(away <= _MARGIN_MM)


def _finite(image: VisitImage) -> np.ndarray:
    seen = np.nan_to_num(np.asarray(image.values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(np.maximum(seen, 0.0))

"""A smooth displacement on top of an affine alignment: what the brain does when it gives way."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from bolus.core import Grid
from bolus.core.arrays import Affine
from bolus.errors import Code, GeometryError
from bolus.preprocess.alignment import VisitImage
from bolus.preprocess.register_affine import (
    COARSE_MM,
    FINE_MM,
    Fit,
    Reference,
    Sampled,
    biweight,
    head_of,
)

_SPACING_MM = 20.0
"""Between the nodes of the displacement, which is linear between them."""
_USUAL_MM = 2.0
"""Standard deviation of each component before anything is seen."""
_REACH_MM = 50.0
"""Distance at which displacements hang together by 1/e."""
_TOGETHER = 6.0
"""So many points say the same: what a fit leaves is no white noise."""
_STEPS = ((COARSE_MM, 1), (FINE_MM, 3))
_LEAST_VOLUME = 0.2
"""Tissue is not squeezed to less than this share of its volume."""


@dataclass(frozen=True, slots=True)
class OneWay:
    """One direction: a reference, the image that was fitted to it, and the fit."""

    reference: Reference
    image: Sampled
    fit: Fit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Warp:
    """A displacement (x, y, z, 3) [RAS+ mm] on `grid`, to be added before the matrix.

    `gap_mm` (x, y, z) is how far the two directions disagree, `std_mm` how uncertain the
    displacement is (length), `head` where there is a head.
    """

    grid: Grid
    displacement: Float[np.ndarray, "x y z 3"]
    gap_mm: Float[np.ndarray, "x y z"]
    std_mm: Float[np.ndarray, "x y z"]
    head: Bool[np.ndarray, "x y z"]


def deform(
    fixed: VisitImage, moving: VisitImage, *, out: OneWay, home: OneWay, matrix: Affine
) -> Warp:
    """Find the displacement half way between those of both directions.

    The displacement is a Gaussian field with a standard deviation of 2 mm and a reach of 50 mm,
    updated by what the points of the head show (Gauss and Newton). Nothing is seen in lesions:
    they move with their surroundings, and are as uncertain as these leave them.

    Args:
        fixed: the first visit's image.
        moving: the other one's.
        out: the affine fit of the other visit to the first.
        home: that of the first to the other.
        matrix: the affine alignment half way between them.

    Raises:
        GeometryError: tissue would fold over.

    Source:
        Smoothness as a sparse precision: Lindgren et al., J R Stat Soc B 2011;73:423-498.
        Registration as inference: Simpson et al., NeuroImage 2012;59:2438-2451.
    """
    back = np.linalg.inv(matrix)
    grid, other = (coarse_grid(image.grid, _SPACING_MM) for image in (fixed, moving))
    moved, solver = _one_way(out, matrix, grid)
    returned, _ = _one_way(home, back, other)
    spread = np.diag(solver.solve(np.eye(moved.size))).reshape(3, -1).sum(axis=0)
    nodes = _nodes(grid)
    there = (nodes + moved.reshape(-1, 3)) @ matrix[:3, :3].T + matrix[:3, 3]
    come_back = (_weights(there, other) @ returned.reshape(-1, 3)) @ back[:3, :3].T
    gap = moved + come_back.reshape(moved.shape)
    displacement = moved - 0.5 * gap
    head = head_of(fixed, grid)
    _require_no_fold(displacement, grid, head)
    return Warp(
        grid=grid,
        displacement=displacement,
        gap_mm=np.linalg.norm(gap, axis=-1),
        std_mm=np.sqrt(np.maximum(spread, 0.0)).reshape(grid.shape),
        head=head,
    )


def coarse_grid(grid: Grid, spacing_mm: float) -> Grid:
    """Return a grid over the same place with voxels of about a size, never finer than before.

    Example:
        >>> fine = Grid(shape=(8, 8, 4), affine=np.diag([1.0, 1.0, 5.0, 1.0]))
        >>> coarse_grid(fine, 4.0).shape
        (2, 2, 4)
    """
    sizes = np.array(grid.voxel_sizes_mm)
    counts = np.maximum(np.ceil(np.array(grid.shape) * sizes / np.maximum(spacing_mm, sizes)), 1)
    factor = np.array(grid.shape) / counts
    affine = grid.affine @ np.diag([*factor, 1.0])
    affine[:3, 3] += grid.affine[:3, :3] @ ((factor - 1) / 2)
    x, y, z = counts.astype(int)
    return Grid(shape=(int(x), int(y), int(z)), affine=affine)


def _one_way(way: OneWay, matrix: Affine, grid: Grid) -> tuple[np.ndarray, SuperLU]:
    """Return displacement (x, y, z, 3) from reference to image, and its factorised precision."""
    weights = _weights(way.reference.places_mm, grid)
    prior = sparse.kron(sparse.eye(3), _precision(grid), format="csc")
    nodes = np.zeros((3, int(np.prod(grid.shape))))
    for width_mm, count in _STEPS:
        expected, pull = way.reference.expected(way.fit, width_mm)
        design = sparse.hstack([sparse.diags(pull[:, axis]) @ weights for axis in range(3)]).tocsc()
        for _ in range(count):
            shift = weights @ nodes.T
            there = (way.reference.places_mm + shift) @ matrix[:3, :3].T + matrix[:3, 3]
            seen, inside = way.image.at(there, width_mm)
            left = np.where(inside, seen - expected, 0.0)
            weight = inside * biweight(left, inside)
            variance = (weight * left**2).sum() / max(weight.sum(), 1.0)
            weight = weight / max(_TOGETHER * variance, 1e-12)
            target = (pull * shift).sum(axis=1) - left
            solver = splu((design.T @ sparse.diags(weight) @ design + prior).tocsc())
            nodes = solver.solve(design.T @ (weight * target)).reshape(3, -1)
    return nodes.T.reshape(*grid.shape, 3), solver


def _precision(grid: Grid) -> sparse.csc_matrix:
    """Return the inverse covariance of one component at the nodes, before anything is seen."""
    near = 1 / _REACH_MM
    volume_mm3 = 1000 * grid.voxel_volume_ml
    operator = near**2 * sparse.eye(int(np.prod(grid.shape)))
    for axis, size in enumerate(grid.voxel_sizes_mm):
        parts = [sparse.eye(count) for count in grid.shape]
        count = grid.shape[axis]
        step = sparse.diags([-np.ones(count), np.ones(count)], [0, 1], shape=(count - 1, count))
        parts[axis] = step.T @ step / size**2
        operator = operator + sparse.kron(sparse.kron(parts[0], parts[1]), parts[2])
    scale = volume_mm3 / (8 * np.pi * near * _USUAL_MM**2)
    return (scale * operator.T @ operator).tocsc()


def _weights(places: np.ndarray, grid: Grid) -> sparse.csr_matrix:
    """Return how much each node (columns) counts at places (n, 3) [mm]: trilinear."""
    back = np.linalg.inv(grid.affine)
    last = np.array(grid.shape) - 1
    voxels = np.clip(places @ back[:3, :3].T + back[:3, 3], 0, last)
    low = np.minimum(np.floor(voxels), np.maximum(last - 1, 0)).astype(np.intp)
    share = voxels - low
    rows, columns, values = [], [], []
    for corner in np.ndindex(2, 2, 2):
        index = np.minimum(low + corner, last)
        columns.append(np.ravel_multi_index(tuple(index.T), grid.shape))
        values.append(np.where(corner, share, 1 - share).prod(axis=1))
        rows.append(np.arange(len(places)))
    return sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(len(places), int(np.prod(grid.shape))),
    )


def _nodes(grid: Grid) -> np.ndarray:
    return grid.centres_mm(np.indices(grid.shape).reshape(3, -1).T.astype(np.float64))


def _require_no_fold(displacement: np.ndarray, grid: Grid, head: np.ndarray) -> None:
    """Raise where tissue would be squeezed to nothing or turned inside out."""
    per_voxel = np.stack(
        [
            np.gradient(displacement, axis=axis)
            if grid.shape[axis] > 1
            else np.zeros_like(displacement)
            for axis in range(3)
        ],
        axis=-1,
    )
    volume = np.linalg.det(np.eye(3) + per_voxel @ np.linalg.inv(grid.affine)[:3, :3])
    least = float(volume[head].min()) if head.any() else 1.0
    if least < _LEAST_VOLUME:
        raise GeometryError(
            Code.REGISTRATION_FAILED,
            f"the displacement would squeeze tissue to {100 * least:.0f} % of its volume",
            mend='register with model "affine", and give lesion masks of both visits',
        )

"""Where voxels lie: one RAS+ affine in millimetres."""

from dataclasses import dataclass

import numpy as np

from bolus.core.arrays import Affine, read_only
from bolus.errors import Code, GeometryError

_TOLERANCE_MM = 0.05
"""Voxel centres of one grid lie no further apart than this: header rounding, not anatomy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Shape in voxels and the RAS+ affine from voxel indices to millimetres.

    Raises:
        GeometryError: the affine is not finite, is singular, or has absurd voxel sizes.

    Example:
        >>> grid = Grid(shape=(4, 4, 2), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
        >>> round(grid.voxel_volume_ml, 6)
        0.02
    """

    shape: tuple[int, int, int]
    affine: Affine

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(
                Code.GRID_INVALID,
                f"the affine is not a finite 4 x 4 matrix (shape {affine.shape})",
                mend="rewrite the image with a valid sform or qform",
            )
        sizes = np.linalg.norm(affine[:3, :3], axis=0)
        volume = abs(np.linalg.det(affine[:3, :3]))
        if sizes.min() < 0.01 or sizes.max() > 200 or volume < 0.1 * np.prod(sizes):
            raise GeometryError(
                Code.GRID_INVALID,
                f"voxel sizes {sizes[0]:.4g} x {sizes[1]:.4g} x {sizes[2]:.4g} mm "
                f"({volume:.3g} mm3) cannot be right",
                mend="rewrite the image with its voxel sizes in mm",
            )
        object.__setattr__(self, "affine", read_only(affine))

    @property
    def voxel_sizes_mm(self) -> tuple[float, float, float]:
        """Edge lengths [mm]."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel [mL]."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def centres_mm(self, indices: np.ndarray) -> np.ndarray:
        """Return the RAS+ positions [mm] of voxel indices of shape (n, 3)."""
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3])

    def with_shape(self, shape: tuple[int, int, int]) -> "Grid":
        """Return the grid of more or fewer voxels over the same field of view.

        Example:
            >>> Grid(shape=(4, 4, 2), affine=np.eye(4)).with_shape((8, 8, 2)).voxel_sizes_mm
            (0.5, 0.5, 1.0)
        """
        ratio = np.array(self.shape) / np.array(shape)
        affine = np.array(self.affine)
        affine[:3, 3] += affine[:3, :3] @ ((ratio - 1) / 2)
        affine[:3, :3] = affine[:3, :3] * ratio
        return Grid(shape=shape, affine=affine)

    def distance_mm(self, other: "Grid") -> float:
        """Return how far apart the same corner voxel of both grids lies at most [mm]."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        gap = self.centres_mm(corners) - other.centres_mm(corners)
        return float(np.linalg.norm(gap, axis=1).max())

    def require_match(self, other: "Grid", *, what: str) -> None:
        """Raise unless `other` is this grid.

        Args:
            other: the grid that came.
            what: what lies on it, for the message.

        Raises:
            GeometryError: other shape, or a voxel centre more than 0.05 mm away.
        """
        if self.shape != other.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"{what} has {other.shape} voxels where {self.shape} are needed",
                mend="resample it onto the grid of the series",
            )
        if (gap := self.distance_mm(other)) > _TOLERANCE_MM:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"{what} lies up to {gap:.3g} mm away from the series (same shape, other affine)"
                f"{self._mirrored(other)}",
                mend="resample it onto the grid of the series",
            )

    def mirrors(self, other: "Grid") -> bool:
        """Return whether one world axis has the other sign, and voxels another place.

        A grid that only counts the same voxels from the other end is no mirror image.

        Args:
            other: the grid to compare with.

        Example:
            >>> grid = Grid(shape=(4, 1, 1), affine=np.diag([2.0, 2, 2, 1]))
            >>> back = np.diag([-2.0, 2, 2, 1])
            >>> back[0, 3] = 6
            >>> Grid(shape=(4, 1, 1), affine=back).mirrors(grid)
            False
            >>> Grid(shape=(4, 1, 1), affine=np.diag([-2.0, 2, 2, 1])).mirrors(grid)
            True
        """
        if self.shape != other.shape or not self._mirrored(other):
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        ours, theirs = self.centres_mm(corners), other.centres_mm(corners)
        gaps = np.linalg.norm(ours[:, None] - theirs[None], axis=2).min(axis=1)
        return bool(gaps.max() > _TOLERANCE_MM)

    def _mirrored(self, other: "Grid") -> str:
        """Say so where the grids differ by nothing but a sign in front of one world axis."""
        for axis, sides in enumerate(("left and right", "front and back", "top and bottom")):
            ratio = np.ones(4)
            ratio[axis] = -1
            flipped = ratio[:, None] * other.affine
            if np.allclose(flipped[:3, :3], self.affine[:3, :3], atol=1e-4):
                return f", as if {sides} were swapped"
        return ""

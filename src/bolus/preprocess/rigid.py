"""Rigid registration of one frame to another, in the grid's own axes; matrices are RAS+ [mm]."""

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from bolus.core import Grid, Volume

_BINS = 32
_SHRINK = (3, 1)
_SMOOTH_MM = (3.0, 0.0)
_SHARE = (0.3, 0.06)
"""Share of the voxels of the head that is looked at on each level."""
_ITERATIONS = 80
_HEAD = 0.2
"""Share of the bright level above which a voxel belongs to the head."""
_MARGIN = 3
"""Voxels around the head that take part: its edge carries most of the information."""
_SEED = 1


class Registration:
    """A reference frame, ready to have many frames registered to it.

    One thread and a fixed choice of voxels: the same frames give the same numbers.
    """

    def __init__(self, reference: Volume, grid: Grid) -> None:
        self._sitk = _simpleitk()
        self._grid = grid
        self._across = grid.shape.index(1) if 1 in grid.shape else None
        self._fixed = self._image(reference)
        self._centre = [
            (n - 1) * s / 2
            for n, s in zip(self._fixed.GetSize(), self._fixed.GetSpacing(), strict=True)
        ]
        self._method = self._configured()

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
        transform = self._transform(start)
        self._method.SetInitialTransform(transform, inPlace=True)
        try:
            self._method.Execute(self._fixed, self._image(frame))
        except RuntimeError:  # ITK's only kind of error: an empty frame, or no overlap
            return None
        return self._matrix(transform)

    def _image(self, values: Volume) -> Any:
        """Return a SimpleITK image in the grid's axes: x, y(, z) times the voxel sizes."""
        finite = np.nan_to_num(np.asarray(values, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        kept = np.maximum(finite, 0.0)
        sizes = list(self._grid.voxel_sizes_mm)
        if self._across is not None:
            kept = np.take(kept, 0, axis=self._across)
            del sizes[self._across]
        image = self._sitk.GetImageFromArray(kept.T)
        image.SetSpacing(sizes)
        return image

    def _configured(self) -> Any:
        sitk = self._sitk
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetMetricFixedMask(self._head())
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentagePerLevel(list(_SHARE), _SEED)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetShrinkFactorsPerLevel(list(_SHRINK))
        method.SetSmoothingSigmasPerLevel(list(_SMOOTH_MM))
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=0.5,
            minStep=1e-3,
            numberOfIterations=_ITERATIONS,
            relaxationFactor=0.5,
            gradientMagnitudeTolerance=1e-6,
        )
        method.SetOptimizerScalesFromPhysicalShift()
        return method

    def _head(self) -> Any:
        """Return the voxels that take part: the head and a margin."""
        sitk = self._sitk
        values = sitk.GetArrayViewFromImage(self._fixed)
        lit = values[values > 0]
        level = _HEAD * float(np.percentile(lit, 90)) if lit.size else 0.0
        head = self._fixed > level
        radius = [_MARGIN, _MARGIN, 0][: self._fixed.GetDimension()]
        return sitk.BinaryDilate(head, radius)

    def _transform(self, matrix: np.ndarray) -> Any:
        """Return a RAS+ matrix as a transform of the grid's axes about the grid's centre."""
        own = np.linalg.inv(_world(self._grid)) @ matrix @ _world(self._grid)
        if self._across is not None:
            kept = [axis for axis in range(3) if axis != self._across]
            rotation, shift = own[np.ix_(kept, kept)], own[kept, 3]
            transform = self._sitk.Euler2DTransform()
        else:
            rotation, shift = own[:3, :3], own[:3, 3]
            transform = self._sitk.Euler3DTransform()
        centre = np.array(self._centre)
        transform.SetCenter(self._centre)
        transform.SetMatrix(_orthonormal(rotation).ravel().tolist())
        transform.SetTranslation((shift + rotation @ centre - centre).tolist())
        return transform

    def _matrix(self, transform: Any) -> np.ndarray:
        """Return a transform of the grid's axes as a RAS+ matrix."""
        size = transform.GetDimension()
        rotation = np.array(transform.GetMatrix()).reshape(size, size)
        centre = np.array(self._centre)
        shift = np.array(transform.GetTranslation()) + centre - rotation @ centre
        own = np.eye(4)
        kept = [axis for axis in range(3) if axis != self._across]
        own[np.ix_(kept, kept)] = rotation
        own[kept, 3] = shift
        return np.asarray(_world(self._grid) @ own @ np.linalg.inv(_world(self._grid)))


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


def displacement_mm(matrix: Float[np.ndarray, "4 4"], places: Float[np.ndarray, "n 3"]) -> float:
    """Return the mean distance [mm] that a matrix moves some places (n, 3) [mm]."""
    moved = places @ matrix[:3, :3].T + matrix[:3, 3]
    return float(np.linalg.norm(moved - places, axis=1).mean())


def _simpleitk() -> Any:
    """Return SimpleITK, whose functions carry no types."""
    import SimpleITK

    return SimpleITK


def _world(grid: Grid) -> np.ndarray:
    """Return the matrix from the grid's axes [mm] to RAS+ [mm]."""
    world = grid.affine.copy()
    world[:3, :3] /= grid.voxel_sizes_mm
    return world


def _orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Return the nearest rotation: products of matrices drift by rounding."""
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ right)

"""What a region is like: means, spread, volume, shape and place."""

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import ndimage
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from bolus.core.geometry import Grid
from bolus.core.regions import Mask
from bolus.graphs.neighbours import FACES, box_of, voxel_pairs

SHAPE = ("volume_mm3", "surface_mm2", "sphericity", "elongation", "flatness")
PLACE = ("from_centre_x_mm", "from_centre_y_mm", "from_centre_z_mm", "from_centre_mm", "depth_mm")
VENTRICLE = "to_ventricle_mm"
_CHUNK = 64


def region_means(
    labels: Integer[np.ndarray, " voxels"], values: Float[np.ndarray, "voxels f"]
) -> tuple[Float[np.ndarray, "nodes f"], Float[np.ndarray, "nodes f"]]:
    """Return mean and standard deviation of voxels' values in each node.

    Args:
        labels: node of each voxel, 0, 1, ... without gaps.
        values: one row a voxel; what is not finite is left out.

    Returns:
        Mean and standard deviation (divided by the number of voxels: 0 for one voxel), in the
        unit of the values; NaN for a node in which a feature has no value.

    Assumes:
        Voxels of a node count alike.

    Source:
        Two passes, so that a small spread on a large mean is not lost: textbook.

    Example:
        >>> mean, sd = region_means(np.array([0, 0, 1]), np.array([[1.0], [3.0], [np.nan]]))
        >>> mean.ravel().tolist(), sd.ravel().tolist()
        ([2.0, nan], [1.0, nan])
    """
    voxels, count = len(labels), int(labels.max(initial=-1)) + 1
    gather = csr_array((np.ones(voxels), (labels, np.arange(voxels))), shape=(count, voxels))
    mean = np.full((count, values.shape[1]), np.nan)
    spread = np.full((count, values.shape[1]), np.nan)
    size = np.bincount(labels, minlength=count)[:, None].astype(np.float64)
    for begin in range(0, values.shape[1], _CHUNK):
        part = slice(begin, begin + _CHUNK)
        some = np.array(values[:, part], np.float64)
        lost = ~np.isfinite(some)
        some[lost] = 0
        known = size - gather @ lost.astype(np.float64) if lost.any() else size
        here = np.broadcast_to(known > 0, (count, some.shape[1]))
        np.divide(gather @ some, known, out=mean[:, part], where=here)
        some -= mean[labels, part]
        some[lost] = 0
        np.divide(gather @ np.square(some, out=some), known, out=spread[:, part], where=here)
    return mean, np.sqrt(spread)


def region_centres_mm(
    labels: Integer[np.ndarray, "x y z"], grid: Grid
) -> Float[np.ndarray, "nodes 3"]:
    """Return the centre of each node, RAS+ [mm].

    Args:
        labels: 0 outside, else node + 1.
        grid: they lie on.

    Assumes:
        Labels are without gaps.

    Source:
        Mean of the voxels' centres.

    Example:
        >>> grid = Grid(shape=(1, 1, 3), affine=np.diag([2.0, 2.0, 5.0, 1.0]))
        >>> region_centres_mm(np.array([[[1, 1, 0]]]), grid).tolist()
        [[0.0, 0.0, 2.5]]
    """
    return region_means(*_places(labels, grid))[0]


def region_shapes(
    labels: Integer[np.ndarray, "x y z"], grid: Grid
) -> Float[np.ndarray, "nodes shape"]:
    """Return the shape of each node, in the columns `SHAPE`.

    Volume [mm3]; area of all its faces [mm2]; sphericity π^⅓ (6 V)^⅔ / area; elongation and
    flatness √(λ₂ / λ₁) and √(λ₃ / λ₁), with λ₁ ≥ λ₂ ≥ λ₃ the variances along the principal axes,
    in which each voxel counts as a box and not as a point.

    Args:
        labels: 0 outside, else node + 1.
        grid: they lie on; its axes perpendicular.

    Returns:
        A ball of many voxels has elongation and flatness 1 and sphericity 0.67 (its faces are a
        staircase), a cube of one voxel 1, 1 and 0.81.

    Assumes:
        As `contacts_of`: the area is that of voxels' faces.

    Source:
        Features as the Image Biomarker Standardisation Initiative names them: Zwanenburg et al.,
        Radiology 2020;295:328, doi 10.1148/radiol.2020191145; area of faces, not of a mesh.

    Example:
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> region_shapes(np.array([[[1]], [[1]]]), grid).round(3).tolist()
        [[2.0, 10.0, 0.768, 0.5, 0.5]]
    """
    sizes = grid.voxel_sizes_mm
    node, places = _places(labels, grid)
    count = int(node.max(initial=-1)) + 1
    volume = np.bincount(node, minlength=count) * float(np.prod(sizes))
    area = _surface_mm2(labels, count, sizes)
    away = places - region_means(node, places)[0][node]
    products = np.einsum("ni,nj->nij", away, away).reshape(-1, 9)
    around = region_means(node, products)[0].reshape(-1, 3, 3)
    along = np.asarray(grid.affine[:3, :3])
    variance = np.linalg.eigvalsh(around + along @ along.T / 12)[:, ::-1]
    ratios = np.sqrt(np.maximum(variance[:, 1:], 0) / variance[:, :1])
    roundness = np.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area
    return np.column_stack([volume, area, roundness, ratios])


def region_places(
    labels: Integer[np.ndarray, "x y z"], grid: Grid, ventricles: Mask | None = None
) -> Float[np.ndarray, "nodes place"]:
    """Return where each node lies, in the columns `PLACE`, and `VENTRICLE` where they are given.

    Offset of its centre from the tumour's along the patient's axes (right, front, top) and its
    length [mm]; mean depth below the tumour's surface [mm]; least distance to a ventricle [mm].

    Args:
        labels: 0 outside, else node + 1; all of them are the tumour.
        grid: they lie on.
        ventricles: a mask on the same grid; None adds no column.

    Raises:
        GeometryError: the ventricles lie on another grid, or hold no voxel.

    Assumes:
        The tumour is all that is labelled. Depth and distance are between centres of voxels.

    Source:
        Euclidean distance transform and k-d tree of scipy, in mm. Which places: set by us.

    Example:
        >>> grid = Grid(shape=(1, 1, 3), affine=np.diag([1.0, 1.0, 5.0, 1.0]))
        >>> region_places(np.array([[[1, 1, 2]]]), grid)[:, 2].tolist()
        [-2.5, 5.0]
    """
    node, places = _places(labels, grid)
    offset = region_means(node, places)[0] - places.mean(axis=0)
    inside = np.pad(labels[box_of(labels)] > 0, 1)
    depth = ndimage.distance_transform_edt(inside, sampling=grid.voxel_sizes_mm)[inside]
    columns = [offset, np.linalg.norm(offset, axis=1)]
    columns.append(region_means(node, depth[:, None])[0][:, 0])
    if ventricles is not None:
        grid.require_match(ventricles.grid, what="the mask of the ventricles")
        ventricles.require_some()
        water = cKDTree(grid.centres_mm(np.argwhere(ventricles.values)))
        least = np.full(len(offset), np.inf)
        np.minimum.at(least, node, water.query(places)[0])
        columns.append(least)
    return np.column_stack(columns)


def _places(labels: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the node and the position [mm] of every labelled voxel."""
    inside = np.argwhere(labels > 0)
    return np.asarray(labels[tuple(inside.T)]) - 1, grid.centres_mm(inside)


def _surface_mm2(
    labels: np.ndarray, count: int, sizes: tuple[float, float, float]
) -> Float[np.ndarray, " nodes"]:
    """Return the area of the faces between each node and everything else."""
    held = np.pad(np.asarray(labels)[box_of(labels)], 1)
    area = np.zeros(count + 1)
    for axis, step in enumerate(FACES):
        first, second = voxel_pairs(held, step)
        unlike: Bool[np.ndarray, "x y z"] = first != second
        face = float(np.prod(sizes)) / sizes[axis]
        area += face * np.bincount(first[unlike], minlength=count + 1)
        area += face * np.bincount(second[unlike], minlength=count + 1)
    return area[1:]

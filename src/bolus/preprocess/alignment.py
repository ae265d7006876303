"""Where each place of one visit lies at another, and images brought through that once."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from bolus.core import FitStatus, Grid, LabelMap, Mask, ParameterMap, Provenance, Step, Volume
from bolus.core.arrays import Affine, read_only
from bolus.errors import Code, GeometryError
from bolus.preprocess.resample import resample_labels, resample_map, resample_mask

_ON_EDGE = 1e-6
"""Voxels: rounding must not decide on which side of an edge a point lies."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitImage:
    """An image with its grid: T1w after agent, or the mean of a series before the bolus [a.u.].

    Raises:
        GeometryError: the array has another shape than the grid.
    """

    values: Volume
    grid: Grid

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"an image has shape {self.values.shape} where its grid has {self.grid.shape}",
                mend="give the array and the grid of the same image",
            )
        object.__setattr__(self, "values", read_only(np.asarray(self.values)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """Where each place of the first visit lies at another one.

    A place x [RAS+ mm] of the first visit lies at `matrix` (x + u(x)) at the other; u is
    `displacement` (x, y, z, 3) [mm] on `grid`, or 0 if that is None. `grid` is laid over the first
    visit's head, for the maps below; it need not be the grid of the image.

    `consistency_mm` is how far a place comes back from itself when it goes to the other visit by
    this registration and back by one of the other direction, `likely_error_mm` how far the
    alignment is likely to be wrong there (root mean square of the estimate); both (x, y, z), NaN
    outside the head. `similarity` is the correlation of fine detail of the two images outside the
    lesion, -1 to 1.

    Example:
        >>> grid = Grid(shape=(2, 2, 2), affine=np.eye(4))
        >>> Alignment.of_itself(grid).places(np.array([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 2.0, 3.0]]
    """

    kind: str
    matrix: Affine
    grid: Grid
    displacement: Float[np.ndarray, "x y z 3"] | None
    consistency_mm: Float[np.ndarray, "x y z"]
    likely_error_mm: Float[np.ndarray, "x y z"]
    similarity: float
    provenance: Provenance

    def __post_init__(self) -> None:
        for name in ("matrix", "displacement", "consistency_mm", "likely_error_mm"):
            if (values := getattr(self, name)) is not None:
                object.__setattr__(self, name, read_only(np.asarray(values)))

    @classmethod
    def of_itself(cls, grid: Grid) -> "Alignment":
        """Return the alignment of the first visit with itself: nothing moves, nothing is wrong."""
        still = np.zeros(grid.shape)
        return cls(
            kind="none",
            matrix=np.eye(4),
            grid=grid,
            displacement=None,
            consistency_mm=still,
            likely_error_mm=still,
            similarity=1.0,
            provenance=Provenance(),
        )

    @property
    def error_mm(self) -> float:
        """Median over the head of how far the alignment is likely to be wrong [mm]."""
        return _percentile(self.likely_error_mm, 50)

    @property
    def error_p95_mm(self) -> float:
        """95th percentile of the same [mm]."""
        return _percentile(self.likely_error_mm, 95)

    @property
    def consistency_median_mm(self) -> float:
        """Median over the head of the distance between a place and its way there and back [mm]."""
        return _percentile(self.consistency_mm, 50)

    @property
    def consistency_p95_mm(self) -> float:
        """95th percentile of the same [mm]."""
        return _percentile(self.consistency_mm, 95)

    def places(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
        """Return where places (n, 3) [RAS+ mm] of the first visit lie at the other one."""
        moved = np.asarray(points, np.float64)
        if self.displacement is not None:
            back = np.linalg.inv(self.grid.affine)
            voxels = (moved @ back[:3, :3].T + back[:3, 3]).T
            moved = moved + np.stack(
                [
                    ndimage.map_coordinates(self.displacement[..., axis], voxels, order=1,
                                            mode="nearest")
                    for axis in range(3)
                ],
                axis=1,
            )  # fmt: skip
        return np.asarray(moved @ self.matrix[:3, :3].T + self.matrix[:3, 3])


def resample_map_through(
    parameter_map: ParameterMap, alignment: Alignment, grid: Grid
) -> ParameterMap:
    """Bring a map of another visit onto a grid of the first, with one interpolation.

    Args:
        parameter_map: of the other visit, on any grid of that visit.
        alignment: from `register_visits`.
        grid: of the first visit.

    Returns:
        The map on `grid`; value, status and standard error as `resample_map` does it.

    Assumes:
        A quantity that does not depend on how tissue is turned or stretched.

    Source:
        See `resample_map`.
    """
    history = alignment.provenance
    if alignment.displacement is None:
        moved = resample_map(replace(parameter_map, grid=_carried(parameter_map, alignment)), grid)
        return replace(moved, provenance=_through(parameter_map, history, "linear"))
    voxels = _voxels(parameter_map.grid, alignment, grid)
    nearest, inside = _nearest_index(voxels, parameter_map.grid)
    status = np.where(
        inside, parameter_map.status.ravel()[nearest], np.uint8(FitStatus.OUTSIDE_MASK)
    ).reshape(grid.shape)
    known = status == FitStatus.OK
    std = parameter_map.std
    return ParameterMap(
        quantity=parameter_map.quantity,
        values=_between(parameter_map.values, voxels, known),
        status=status,
        grid=grid,
        provenance=_through(parameter_map, history, "linear"),
        std=None if std is None else _between(std, voxels, known),
    )


def resample_labels_through(labels: LabelMap, alignment: Alignment, grid: Grid) -> LabelMap:
    """Bring labels of another visit onto a grid of the first: each centre takes its voxel's label.

    Args:
        labels: of the other visit, on any grid of that visit.
        alignment: from `register_visits`.
        grid: of the first visit.

    Returns:
        The labels on `grid`, with the same names; 0 outside their own grid.

    Assumes:
        Voxels of `grid` are not much larger than those of the labels.

    Source:
        Nearest neighbour.
    """
    if alignment.displacement is None:
        return resample_labels(replace(labels, grid=_carried(labels, alignment)), grid)
    nearest, inside = _nearest_index(_voxels(labels.grid, alignment, grid), labels.grid)
    values = np.where(inside, labels.values.ravel()[nearest], labels.values.dtype.type(0))
    return LabelMap(values=values.reshape(grid.shape), grid=grid, names=labels.names)


def resample_mask_through(mask: Mask, alignment: Alignment, grid: Grid) -> Mask:
    """Bring a mask of another visit onto a grid of the first, as `resample_labels_through`.

    Args:
        mask: of the other visit.
        alignment: from `register_visits`.
        grid: of the first visit.

    Assumes:
        See `resample_labels_through`.

    Source:
        Nearest neighbour.
    """
    if alignment.displacement is None:
        return resample_mask(replace(mask, grid=_carried(mask, alignment)), grid)
    nearest, inside = _nearest_index(_voxels(mask.grid, alignment, grid), mask.grid)
    values = (inside & mask.values.ravel()[nearest]).reshape(grid.shape)
    return Mask(values=values, grid=grid, name=mask.name)


def resample_image_through(image: VisitImage, alignment: Alignment, grid: Grid) -> Volume:
    """Return an image of another visit on a grid of the first (x, y, z), to be looked at.

    Args:
        image: of the other visit.
        alignment: from `register_visits`.
        grid: of the first visit.

    Returns:
        Linear interpolation; NaN outside the image.

    Assumes:
        Nothing is measured on it.

    Source:
        Trilinear interpolation.
    """
    voxels = _voxels(image.grid, alignment, grid)
    _, inside = _nearest_index(voxels, image.grid)
    values = np.nan_to_num(np.asarray(image.values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    seen = ndimage.map_coordinates(values, voxels, order=1, mode="nearest")
    return np.where(inside, seen, np.nan).reshape(grid.shape)


def _carried(item: ParameterMap | LabelMap | Mask, alignment: Alignment) -> Grid:
    """Return the grid of an image of the other visit as it lies in the first visit's place."""
    affine = np.linalg.inv(alignment.matrix) @ item.grid.affine
    return Grid(shape=item.grid.shape, affine=affine)


def _through(parameter_map: ParameterMap, history: Provenance, how: str) -> Provenance:
    """Return the history of a map that went through an alignment."""
    step = Step("preprocess.resample_map_through", {"interpolation": how})
    return parameter_map.provenance.merged(history).then(step)


def _voxels(source: Grid, alignment: Alignment, grid: Grid) -> Float[np.ndarray, "3 n"]:
    """Return where the centres of `grid` lie in an image of the other visit [voxels]."""
    indices = np.indices(grid.shape).reshape(3, -1).T
    places = alignment.places(grid.centres_mm(indices))
    back = np.linalg.inv(source.affine)
    return np.ascontiguousarray((places @ back[:3, :3].T + back[:3, 3]).T)


def _nearest_index(voxels: np.ndarray, source: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the flat number of the voxel that each place lies in, and whether there is one."""
    flat = np.zeros(voxels.shape[1], np.intp)
    inside = np.ones(voxels.shape[1], bool)
    for place, size in zip(voxels, source.shape, strict=True):
        inside &= (place >= -0.5 - _ON_EDGE) & (place <= size - 0.5 + _ON_EDGE)
        index = np.clip(np.ceil(place - 0.5 - _ON_EDGE), 0, size - 1)
        flat = flat * size + index.astype(np.intp)
    return flat, inside


def _between(values: np.ndarray, voxels: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """Interpolate between finite voxels where the nearest has an answer; NaN elsewhere."""
    known = np.isfinite(values)
    places = voxels[:, answered.ravel()]
    filled = np.where(known, values, 0.0).astype(np.float64)
    total = ndimage.map_coordinates(filled, places, order=1, mode="nearest")
    weight = ndimage.map_coordinates(known.astype(np.float64), places, order=1, mode="nearest")
    result = np.full(answered.shape, np.nan, values.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        result[answered] = total / weight
    return result


def _percentile(values: np.ndarray, which: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, which)) if known.size else float("nan")

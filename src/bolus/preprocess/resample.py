"""Bring masks, labels, maps and series onto another grid or other times, always by name."""

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from bolus.core import (
    FitStatus,
    Grid,
    LabelMap,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Step,
    TimeAxis,
)
from bolus.errors import Code, TimingError

_SAME_PLACE_MM = 0.05
"""Voxel centres no further apart than this are the same, as in `Grid.require_match`."""
_ON_EDGE = 1e-6
"""Voxels: rounding of affines must not decide on which side of an edge a point lies."""
_ON_SAMPLE = 1e-6
"""Share of an interval below which a time is the sample's own."""


def resample_mask(mask: Mask, grid: Grid) -> Mask:
    """Bring a mask onto another grid: a voxel is in if its centre lies in a voxel that is.

    Args:
        mask: on its own grid.
        grid: where it is needed.

    Returns:
        The mask on `grid`, under the same name; what lies outside its own grid is not in it. It
        may be empty: small regions can fall between the centres of large voxels.

    Assumes:
        Both grids are in the same scanner coordinates; nothing is registered.

    Source:
        Nearest neighbour.

    Example:
        >>> from bolus.preprocess import resample_mask
        >>> fine = Grid(shape=(4, 2, 1), affine=np.diag([1.0, 1.0, 4.0, 1.0]))
        >>> flipped = Grid(shape=(4, 2, 1), affine=np.diag([-1.0, 1.0, 4.0, 1.0])
        ...                + np.array([[0, 0, 0, 3.0]] + [[0] * 4] * 3))
        >>> values = np.zeros((4, 2, 1), bool)
        >>> values[0, 0, 0] = True
        >>> moved = resample_mask(Mask(values=values, grid=fine, name="tumour"), flipped)
        >>> np.argwhere(moved.values).tolist()
        [[3, 0, 0]]
    """
    return Mask(values=_nearest(mask.values, mask.grid, grid, outside=0), grid=grid, name=mask.name)


def resample_labels(labels: LabelMap, grid: Grid) -> LabelMap:
    """Bring labels onto another grid: a voxel takes the label of the voxel its centre lies in.

    Args:
        labels: on their own grid.
        grid: where they are needed.

    Returns:
        The labels on `grid`, with the same names; 0 outside their own grid.

    Assumes:
        Both grids are in the same scanner coordinates; nothing is registered.

    Source:
        Nearest neighbour.
    """
    values = _nearest(labels.values, labels.grid, grid, outside=0)
    return LabelMap(values=values, grid=grid, names=labels.names)


def resample_map(parameter_map: ParameterMap, grid: Grid) -> ParameterMap:
    """Bring a map onto another grid by linear interpolation between the voxels that have a value.

    value = Σ w v / Σ w over the (up to eight) neighbours whose status is OK. The status is that
    of the voxel in which the centre lies, so that a hole keeps its place and its reason.

    Args:
        parameter_map: on its own grid.
        grid: where it is needed.

    Returns:
        The map on `grid`; `OUTSIDE_MASK` outside its own grid. If both grids have the same voxel
        centres, in whatever order of axes, the values are the same bit for bit. The standard
        error is interpolated like the value: no less than the true one, however neighbours'
        errors hang together.

    Assumes:
        Both grids are in the same scanner coordinates; nothing is registered. Voxels of `grid`
        are not much larger: interpolation does not average over them.

    Source:
        Trilinear interpolation; normalised convolution for missing values, Knutsson and Westin,
        CVPR 1993, pages 515-523.
    """
    source = parameter_map.grid
    outside = int(FitStatus.OUTSIDE_MASK)
    status = _nearest(parameter_map.status, source, grid, outside=outside)
    std = parameter_map.std
    return ParameterMap(
        quantity=parameter_map.quantity,
        values=_linear(parameter_map.values, source, grid),
        status=status,
        grid=grid,
        provenance=parameter_map.provenance.then(_step("resample_map", source, grid)),
        std=None if std is None else _linear(std, source, grid),
    )


def resample_series(series: PerfusionSeries, grid: Grid) -> PerfusionSeries:
    """Bring a series onto another grid, frame by frame, as `resample_map` does a map.

    Args:
        series: on its own grid, any quantity.
        grid: where it is needed.

    Returns:
        The series on `grid`, same times; NaN outside its own grid and where the voxel in which
        the centre lies is not finite in that frame.

    Assumes:
        As `resample_map`. Interpolated noise is smaller than the noise of a measured voxel.

    Source:
        Trilinear interpolation.
    """
    values = np.empty((*grid.shape, len(series.time)), np.result_type(series.values, np.float32))
    for frame in range(len(series.time)):
        values[..., frame] = _linear(series.values[..., frame], series.grid, grid)
    return PerfusionSeries(
        values=values,
        quantity=series.quantity,
        grid=grid,
        time=series.time,
        acquisition=series.acquisition,
        provenance=series.provenance.then(_step("resample_series", series.grid, grid)),
    )


def resample_time(series: PerfusionSeries, *, step_s: float) -> PerfusionSeries:
    """Bring a series to a constant sampling interval by linear interpolation in time.

    Args:
        series: any quantity, any times.
        step_s: the new interval [s].

    Returns:
        The series at t₀, t₀ + step, ... up to its last frame, if that falls on the new times;
        a new time that is an old one keeps its values bit for bit. A value that is not finite
        spoils only the new samples that lie beside it.

    Raises:
        TimingError: the interval is not positive, or longer than the series.

    Assumes:
        The curve is straight between its samples; then the result is exact. Where the interval
        is longer than before, samples are dropped, not averaged.

    Source:
        Linear interpolation.

    Example:
        >>> from bolus.preprocess import resample_time
        >>> series = PerfusionSeries(
        ...     values=np.array([[[[0.0, 2.0, 3.0]]]]), quantity=DELTA_R2S,
        ...     grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        ...     time=TimeAxis(seconds=np.array([0.0, 2.0, 3.0])),
        ...     acquisition=Acquisition(), provenance=Provenance())
        >>> resample_time(series, step_s=1.5).values.tolist()
        [[[[0.0, 1.5, 3.0]]]]
    """
    old = series.time
    if not (np.isfinite(step_s) and 0 < step_s <= old.duration_s):
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"an interval of {step_s:.3g} s does not fit a series of {old.duration_s:.3g} s",
            mend="give step_s in seconds, above 0 and below the length of the series",
        )
    frames = 1 + int(np.floor(old.duration_s / step_s + _ON_SAMPLE))
    new = TimeAxis.regular(frames, step_s=step_s, start_s=float(old.seconds[0]))
    before = np.clip(np.searchsorted(old.seconds, new.seconds, side="right") - 1, 0, len(old) - 2)
    share = (new.seconds - old.seconds[before]) / np.diff(old.seconds)[before]
    values = np.empty((*series.grid.shape, frames), np.result_type(series.values, np.float32))
    for frame, (first, weight) in enumerate(zip(before, share, strict=True)):
        values[..., frame] = _between(series.values, int(first), float(weight))
    step = Step("preprocess.resample_time", {"step_s": step_s, "interpolation": "linear"})
    return PerfusionSeries(
        values=values,
        quantity=series.quantity,
        grid=series.grid,
        time=new,
        acquisition=series.acquisition,
        provenance=series.provenance.then(step),
    )


def _between(values: np.ndarray, first: int, weight: float) -> np.ndarray:
    """Return values at a share of the way from one frame to the next."""
    if weight < _ON_SAMPLE:
        return np.asarray(values[..., first])
    if weight > 1 - _ON_SAMPLE:
        return np.asarray(values[..., first + 1])
    start = values[..., first].astype(np.float64)
    return np.asarray((1 - weight) * start + weight * values[..., first + 1])


def _step(function: str, source: Grid, grid: Grid) -> Step:
    """Return the entry in the history: what was done, and between which voxels."""
    same = _whole_steps(source, grid) is not None
    arguments = {
        "interpolation": "none (same voxel centres)" if same else "linear",
        "from_mm": " x ".join(f"{size:.3g}" for size in source.voxel_sizes_mm),
        "to_mm": " x ".join(f"{size:.3g}" for size in grid.voxel_sizes_mm),
    }
    return Step(f"preprocess.{function}", arguments)


def _index_matrix(source: Grid, grid: Grid) -> Float[np.ndarray, "4 4"]:
    """Return the matrix from indices of `grid` to indices of `source`."""
    whole = _whole_steps(source, grid)
    return np.linalg.inv(source.affine) @ grid.affine if whole is None else whole


def _whole_steps(source: Grid, grid: Grid) -> Float[np.ndarray, "4 4"] | None:
    """Return the matrix in whole numbers, if voxel centres coincide (axes in any order)."""
    matrix = np.linalg.inv(source.affine) @ grid.affine
    whole = np.rint(matrix)
    turns = np.abs(whole[:3, :3])
    if (turns.sum(axis=0) != 1).any() or (turns.sum(axis=1) != 1).any():
        return None
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1)
    away = (matrix - whole)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    gap_mm = np.linalg.norm(source.affine[:3, :3] @ away, axis=0).max()
    return whole if gap_mm <= _SAME_PLACE_MM else None


def _nearest(values: np.ndarray, source: Grid, grid: Grid, *, outside: float) -> np.ndarray:
    """Return the value of the voxel in which each centre lies; `outside` beyond the edges."""
    matrix = _index_matrix(source, grid)
    x, y, z = np.ogrid[tuple(slice(n) for n in grid.shape)]
    flat = np.zeros(grid.shape, np.intp)
    inside = np.ones(grid.shape, bool)
    for (by_x, by_y, by_z, shift), size in zip(matrix[:3], source.shape, strict=True):
        place = by_x * x + by_y * y + by_z * z + shift
        inside &= (place >= -0.5 - _ON_EDGE) & (place <= size - 0.5 + _ON_EDGE)
        index = np.clip(np.ceil(place - 0.5 - _ON_EDGE), 0, size - 1)
        flat = flat * size + index.astype(np.intp)
    return np.where(inside, values.ravel()[flat], np.asarray(outside, values.dtype))


def _linear(values: np.ndarray, source: Grid, grid: Grid) -> np.ndarray:
    """Interpolate between finite voxels; NaN beyond the edges and where the nearest is not."""
    floating = values.astype(np.result_type(values, np.float32), copy=False)
    nearest = _nearest(floating, source, grid, outside=np.nan)
    if _whole_steps(source, grid) is not None:
        return nearest
    matrix = _index_matrix(source, grid)
    known = np.isfinite(floating)

    def at_centres(volume: np.ndarray) -> np.ndarray:
        return np.asarray(
            ndimage.affine_transform(
                volume.astype(np.float64),
                matrix[:3, :3],
                offset=matrix[:3, 3],
                output_shape=grid.shape,
                order=1,
                mode="nearest",
            )
        )

    answered = np.isfinite(nearest)
    total = at_centres(np.where(known, floating, 0.0))
    weight = np.ones(grid.shape) if known.all() else at_centres(known)
    result = np.full(grid.shape, np.nan, floating.dtype)
    result[answered] = total[answered] / weight[answered]
    return result

"""What the fields of space and time are fed: images with their surroundings, curves, splines."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import interpolate, ndimage
from torch import Tensor

from bolus.core.provenance import Provenance
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.nets.frame_input import FrameParts, frame_parts, network_inputs
from bolus.preprocess.local_pca import denoise_local_pca

UNIT_S = 2.0
"""The unit of time of the field."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldParts:
    """A series as time courses: `inner` of the mask, `whole` of every voxel, and cleaned values.

    `clean` (x y z t) is, inside, the series after local principal components; outside it is the
    series. `history` has that step.
    """

    inner: FrameParts
    whole: FrameParts
    clean: Float[np.ndarray, "x y z t"]
    history: Provenance


def field_parts(series: PerfusionSeries, mask: Mask) -> FieldParts:
    """Return the time courses of a mask, and how much of each is in every voxel.

    Args:
        series: before any interpolation.
        mask: the brain; it decides the time courses and the noise.

    Raises:
        QuantityError: as `frame_parts`.
        GeometryError: the mask is empty or on another grid.
        TimingError: too few frames to tell noise from signal.
    """
    inside = mask.require_some().values
    cleaned = denoise_local_pca(series, mask).series
    values = np.array(cleaned.values, np.float32)
    inner = frame_parts(series.curves(mask, dtype=np.float32), inside)
    every = values.reshape(-1, values.shape[3])
    kept = torch.from_numpy(every) @ torch.from_numpy(inner.basis)
    sigma = np.full(inside.shape, np.median(inner.sigma), np.float32)
    sigma[inside] = inner.sigma
    whole = replace(
        inner, inside=np.ones(inside.shape, bool), coefficients=kept.numpy(), sigma=sigma.ravel(),
        rest=np.zeros(0, np.float32),
    )  # fmt: skip
    return FieldParts(inner=inner, whole=whole, clean=values, history=cleaned.provenance)


def component_inputs(parts: FieldParts, component: int) -> tuple[Tensor, float]:
    """Return what the network sees of a time course (z, 7, x, y), and its unit.

    Args:
        parts: of a series.
        component: which time course.
    """
    scale = parts.inner.scale
    return network_inputs(parts.whole, component, scale=scale), float(scale[component])


def places_of(many: int, few: int) -> Float[np.ndarray, " q"]:
    """Return where the middles of many voxels lie among few over the same length [voxels].

    Example:
        >>> places_of(4, 2).tolist()
        [-0.25, 0.25, 0.75, 1.25]
    """
    return np.asarray((np.arange(many) + 0.5) * few / many - 0.5)


def spline_matrix(
    known: Float[np.ndarray, " n"], asked: Float[np.ndarray, " q"], *, order: int = 3
) -> Float[np.ndarray, "q n"]:
    """Return the matrix that takes values at known places to those asked for, float32.

    Beyond the outer places the outer value holds.

    Args:
        known: increasing places.
        asked: any places.
        order: 3 for a cubic spline, 1 for straight lines; less where there are too few places.

    Example:
        >>> spline_matrix(np.arange(3.0), np.array([0.5]), order=1).tolist()
        [[0.5, 0.5, 0.0]]
    """
    if len(known) == 1:
        return np.ones((len(asked), 1), np.float32)
    order = min(order, len(known) - 1)
    order -= order % 2 == 0
    spline = interpolate.make_interp_spline(known, np.eye(len(known)), k=order)
    return np.asarray(spline(np.clip(asked, known[0], known[-1])), np.float32)


def interpolated(
    values: Float[np.ndarray, "x y z n"], shape: tuple[int, int, int], *, order: int = 3
) -> Float[np.ndarray, "X Y Z n"]:
    """Return images over the same field of view with other voxels, float32.

    Args:
        values: images along the last axis.
        shape: of the new ones.
        order: 3 for cubic splines, 1 for straight lines.
    """
    found = np.asarray(values, np.float32)
    for axis, (few, many) in enumerate(zip(values.shape[:3], shape, strict=True)):
        if few != many:
            matrix = spline_matrix(np.arange(few), places_of(many, few), order=order)
            moved = torch.from_numpy(np.ascontiguousarray(np.moveaxis(found, axis, 0)))
            product = torch.from_numpy(matrix) @ moved.flatten(1)
            found = np.moveaxis(product.reshape(many, *moved.shape[1:]).numpy(), 0, axis)
    return np.ascontiguousarray(found)


def finer_mask(mask: Bool[np.ndarray, "x y z"], shape: tuple[int, int, int]) -> np.ndarray:
    """Return a mask and one voxel about it in each slice, on finer voxels.

    Args:
        mask: of the brain.
        shape: of the new one.
    """
    wide = ndimage.binary_dilation(mask, structure=np.ones((3, 3, 1), bool))
    near = [
        np.clip(np.rint(places_of(many, few)), 0, few - 1).astype(int)
        for many, few in zip(shape, mask.shape, strict=True)
    ]
    return np.asarray(wide[np.ix_(*near)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveUnits:
    """Curves less their mean, in units of their deviation, and gaps of 2 s between frames."""

    values: Tensor
    mean: Tensor
    size: Tensor
    gaps: Tensor


def curve_units(curves: Float[np.ndarray, "n t"], seconds: Float[np.ndarray, " t"]) -> CurveUnits:
    """Return curves as the field of time reads them.

    Args:
        curves: of voxels.
        seconds: times of their frames.
    """
    data = torch.from_numpy(np.asarray(curves, np.float32))
    mean = data.mean(dim=1, keepdim=True)
    size = (data - mean).square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-12)
    gaps = torch.from_numpy(np.asarray(np.diff(seconds) / UNIT_S, np.float32))
    return CurveUnits(
        values=(data - mean) / size, mean=mean, size=size, gaps=gaps.expand(len(data), -1)
    )

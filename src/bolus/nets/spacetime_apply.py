"""Fields of space and time used: a series on finer voxels and at other times."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage

from bolus.core.learned import Weights
from bolus.core.provenance import Step
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import TimeAxis
from bolus.errors import Code, FileError, GeometryError, TimingError
from bolus.metrics.perfusion_bias import BiasGuard, judge_bias
from bolus.nets.machine import one_thread_count
from bolus.nets.spacetime import FieldSettings, SpaceTime
from bolus.nets.spacetime_fit import KIND, MARGIN
from bolus.nets.spacetime_input import (
    FieldParts,
    component_inputs,
    curve_units,
    field_parts,
    finer_mask,
    interpolated,
    places_of,
    spline_matrix,
)
from bolus.nets.weighting import load_weights, require_kind

_LIIF = "10.1109/CVPR46437.2021.00852"
_MOST = 4.0
"""Largest factor in a slice; what was measured ends there."""
_BEYOND = 0.5
_CURVES = 4096
"""At once in the field of time: 30 frames of them take 8 MB a state."""
_ROWS = 64
"""Rows of an image at once in the field of space: 128 places in each take 2 MB a layer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefinedSeries:
    """The series on other voxels and at other times, float32, its mask there, and doubts in words.

    Outside of the mask, which is one voxel of the scan wider than the one that was given, and
    within three voxels of the border of the image, it is interpolated. `outside` says what of the
    scan is beyond what the networks were trained for.
    """

    series: PerfusionSeries
    mask: Mask
    outside: tuple[str, ...]
    guard: BiasGuard


def field_guard(weights: Weights) -> BiasGuard:
    """Hold what was measured of a field to the limits of `metrics.perfusion_bias`.

    Args:
        weights: whose card has figures such as "test_aif_peak", of scans it did not learn from.

    Assumes:
        As `judge_bias`.

    Source:
        Set by us.
    """
    found = weights.card.measured
    return judge_bias({k.removeprefix("test_"): v for k, v in found.items() if k[:5] == "test_"})


@one_thread_count(1)
def refine_series(
    series: PerfusionSeries,
    mask: Mask,
    weights: Weights,
    *,
    shape: tuple[int, int, int],
    seconds: Float[np.ndarray, " q"] | None = None,
    biased: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> RefinedSeries:
    """Ask for a series on finer voxels, and at other times.

    Args:
        series: frames of one quantity, before any interpolation.
        mask: the brain.
        weights: of `fit_field`.
        shape: voxels over the same field of view; up to 4 times as many along each axis.
        seconds: times [s] on the clock of the series, within its first and last; None for its own.
        biased: use networks whose measured bias is beyond the limits, or was not measured.
        progress: told how many time courses are done, of how many.

    Returns:
        The series, with one step of history.

    Raises:
        FileError: weights of another kind, or networks that `field_guard` does not allow.
        GeometryError: fewer voxels, or too many; the mask is empty or on another grid.
        TimingError: times beyond those of the series.
        QuantityError: as `frame_parts`.

    Assumes:
        As `fit_field`. Between slices there is nothing but a straight line.

    Source:
        As `fit_field`.
    """
    require_kind(weights, KIND, command="scripts/make_space_time_field")
    guard = field_guard(weights)
    if not (guard.allowed or biased):
        raise FileError(
            Code.NOT_TRUSTED,
            f"{weights.card.name}: {'; '.join(guard.reasons)}",
            mend="interpolate, or say that you want this network although it is biased",
        )
    times = _times(series, seconds)
    _require_finer(series.grid.shape, shape)
    network = _network(weights)
    parts = field_parts(series, mask)
    there = finer_mask(mask.values, shape)
    own = spline_matrix(series.time.seconds, times)
    change = _space_change(network, parts, shape, there, progress)
    values = interpolated(parts.clean @ own.T, shape)
    values[there] += change @ (own @ parts.inner.basis).T
    if not np.isin(times, series.time.seconds).all():
        between = np.zeros((*series.grid.shape, len(times)), np.float32)
        between[mask.values] = _time_change(network, parts, series, mask, times)
        values[there] += interpolated(between, shape, order=1)[there]
    values[there] = _within_neighbours(values[there], parts.clean @ own.T, shape, there)
    grid = series.grid.with_shape(shape)
    step = Step(
        "nets.refine_series",
        {"weights": weights.digest()[:12], "matrix": "x".join(map(str, shape)),
         "frames": len(times)},
        source=_LIIF,
    )  # fmt: skip
    finer = replace(
        series, values=values, grid=grid, time=TimeAxis(seconds=times),
        provenance=parts.history.then(step),
    )  # fmt: skip
    return RefinedSeries(
        series=finer, mask=replace(mask, values=there, grid=grid), guard=guard,
        outside=weights.card.protocol.outside(_scan_values(series, mask, parts)),
    )  # fmt: skip


def _within_neighbours(
    found: np.ndarray, clean: np.ndarray, shape: tuple[int, int, int], there: np.ndarray
) -> np.ndarray:
    """Return signals (n, q) no further beyond those of the scan's voxels about them than a half.

    In an artery the signal is nearly nothing for a moment: a little too low there is far too high
    a concentration.
    """
    size = (3, 3, 1, 1)
    near = np.ix_(*(
        np.clip(np.rint(places_of(many, few)), 0, few - 1).astype(int)
        for many, few in zip(shape, clean.shape, strict=False)
    ))  # fmt: skip
    least, most = (
        kind(clean, size=size)[near][there]
        for kind in (ndimage.minimum_filter, ndimage.maximum_filter)
    )
    return np.asarray(
        np.clip(found, least - _BEYOND * np.abs(least), most + _BEYOND * np.abs(most))
    )


def _network(weights: Weights) -> SpaceTime:
    held = weights.card.settings
    settings = FieldSettings(
        width=int(held["width"]), depth=int(held["depth"]), state=int(held["state"]),
        most_space=float(held["most_space"]), most_time=float(held["most_time"]),
    )  # fmt: skip
    network = SpaceTime(settings)
    load_weights(network, weights)
    return network


def _times(series: PerfusionSeries, seconds: np.ndarray | None) -> np.ndarray:
    """Return the times that are asked for."""
    known = series.time.seconds
    if seconds is None:
        return np.asarray(known)
    asked = np.asarray(seconds, np.float64)
    rising = asked.ndim == 1 and len(asked) >= 2 and bool((np.diff(asked) > 0).all())
    if not rising or asked[0] < known[0] or asked[-1] > known[-1]:
        raise TimingError(
            Code.TIME_INVALID,
            f"times that do not rise from {known[0]:g} to {known[-1]:g} s at most",
            mend="ask for two or more times between the first and the last frame",
        )
    return asked


def _require_finer(few: tuple[int, int, int], many: tuple[int, int, int]) -> None:
    if any(not n <= asked <= _MOST * n for n, asked in zip(few, many, strict=True)):
        raise GeometryError(
            Code.GRID_INVALID,
            f"{many} voxels from a scan of {few}",
            mend=f"ask for as many as there are, and for up to {_MOST:g} times as many",
        )


def _space_change(
    network: SpaceTime,
    parts: FieldParts,
    shape: tuple[int, int, int],
    there: np.ndarray,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """Return what is added to the interpolated amount of each time course (n, k) of the mask."""
    few = parts.inner.inside.shape
    count = parts.inner.basis.shape[1]
    found = np.zeros((int(there.sum()), count), np.float32)
    if shape[:2] == few[:2] and shape[2] == few[2]:
        return found
    base = interpolated(parts.whole.coefficients.reshape(*few, -1), (*shape[:2], few[2]))
    mix = torch.from_numpy(spline_matrix(np.arange(few[2]), places_of(shape[2], few[2]), order=1))
    for component in range(count):
        progress(component, count)
        inputs, unit = component_inputs(parts, component)
        flat = torch.from_numpy(base[..., component] / unit).moveaxis(2, 0)
        slices = torch.stack([
            _slice_change(network, inputs[z : z + 1], flat[z], shape[:2]) for z in range(few[2])
        ])  # fmt: skip
        image = (mix @ slices.flatten(1)).reshape(shape[2], *shape[:2]).permute(1, 2, 0)
        found[:, component] = image.numpy()[there] * unit
    return found


@torch.inference_mode()
def _slice_change(
    network: SpaceTime, inputs: torch.Tensor, base: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """Return the change (X, Y) of one image of one slice; none at the border of the image.

    No training asked there.
    """
    few = inputs.shape[2:]
    features = network.space.encode(inputs)
    cell = torch.tensor([[float(np.mean([few[n] / shape[n] for n in (0, 1)]))]])
    rows, columns = (
        torch.from_numpy(places_of(shape[n], few[n]).astype(np.float32)) for n in (0, 1)
    )
    found = []
    for some in _pieces(shape[0], _ROWS):
        places = torch.cartesian_prod(rows[some], columns)[None]
        found.append(network.space.decode(features, places, cell, base[some].reshape(1, -1)))
    inner = [
        (spots >= MARGIN) & (spots <= size - 1 - MARGIN)
        for spots, size in ((rows, few[0]), (columns, few[1]))
    ]
    return torch.cat(found, dim=1).reshape(shape) * torch.outer(*(one.float() for one in inner))


@torch.inference_mode()
def _time_change(
    network: SpaceTime,
    parts: FieldParts,
    series: PerfusionSeries,
    mask: Mask,
    times: np.ndarray,
) -> np.ndarray:
    """Return what is added to the spline of each curve of the mask (n, q)."""
    known = series.time.seconds
    units = curve_units(parts.clean[mask.values], known)
    frame = np.clip(np.searchsorted(known, times, side="right") - 1, 0, len(known) - 2)
    share = torch.from_numpy(((times - known[frame]) / np.diff(known)[frame]).astype(np.float32))
    spline = torch.from_numpy(spline_matrix(known, times))
    at = torch.from_numpy(frame)
    found = []
    for some in _pieces(len(units.values), _CURVES):
        base = units.values[some] @ spline.T
        shares = share.expand(len(base), -1)
        refined = network.time(units.values[some], units.gaps[some], at, shares, base)
        found.append((refined - base) * units.size[some])
    return np.asarray(torch.cat(found).numpy())


def _pieces(total: int, size: int) -> Iterator[slice]:
    for first in range(0, total, size):
        yield slice(first, first + size)


def _scan_values(series: PerfusionSeries, mask: Mask, parts: FieldParts) -> dict[str, float | None]:
    """Return what the card limits; the ratio of signal to noise is that of a median voxel."""
    level = parts.clean[mask.values].mean(axis=1) / np.maximum(parts.inner.sigma, 1e-12)
    return {
        "interval_s": float(np.median(np.diff(series.time.seconds))),
        "frames": float(len(series.time)),
        "snr": float(np.median(level)),
    }

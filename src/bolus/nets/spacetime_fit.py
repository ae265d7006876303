"""Fields of space and time learned from scans that are known finer than they are given."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from bolus._version import VERSION
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.core.randomness import stream
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.errors import Code, QuantityError
from bolus.nets.batches import Tensors
from bolus.nets.machine import Machine
from bolus.nets.spacetime import FieldSettings, SpaceTask, TimeTask, start_field
from bolus.nets.spacetime_input import (
    component_inputs,
    curve_units,
    field_parts,
    interpolated,
    places_of,
    spline_matrix,
)
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.weighting import weights_of
from bolus.simulate.degrade import fewer_frames

KIND = "spacetime"
SPACE_RECIPE = TrainSettings(epochs=12, batch_size=32, learning_rate=3e-3, seed=1, patience=10)
TIME_RECIPE = TrainSettings(epochs=10, batch_size=128, learning_rate=4e-3, seed=1, patience=10)
PATCH, QUERIES = 20, 256
MARGIN = 3
"""Voxels of a patch from its edge in which nothing is asked: there the network sees half."""
_FILLED = 0.3
WINDOW = 14
"""Frames of a piece of a curve."""
_MOVED = 0.1
"""Share of the pieces that are of the voxels that change most: vessels."""
_PROTOCOL = ProtocolRange(
    limits={"interval_s": (1.0, 9.0), "frames": (28, 120), "snr": (20.0, 200.0)}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldExample:
    """A scan as it is given, with noise, its mask, and the same free of noise.

    `coarse` is on the voxels that are given, `finer` on more of them.
    """

    given: PerfusionSeries
    mask: Mask
    coarse: PerfusionSeries
    finer: PerfusionSeries


def fit_field(
    training: Sequence[FieldExample],
    validation: Sequence[FieldExample],
    *,
    counts: tuple[int, int] = (5000, 12_000),
    settings: FieldSettings | None = None,
    recipes: tuple[TrainSettings, TrainSettings] = (SPACE_RECIPE, TIME_RECIPE),
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, tuple[Trained, Trained]]:
    """Learn what interpolation misses, in space and in time, each by itself.

    Args:
        training: scans.
        validation: of other patients, a quarter as much of each.
        counts: images of 20 x 20 voxels, and pieces of curves, 14 of every second frame; shared
            by the scans.
        settings: of the networks.
        recipes: of the trainings in space and in time; the seed of the first decides the start.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights of both, whose card has no figures of a test yet, and both trainings.

    Raises:
        QuantityError: there is no scan, or one with too little in its mask, or too few frames.

    Assumes:
        As `frame_parts`. The finer scan is the same field of view.

    Source:
        Places between voxels: Chen et al., CVPR 2021 (LIIF). Equations between frames: Rubanova
        et al., NeurIPS 2019 (ODE-RNN). The two apart, on time courses, and their limits: ours.
    """
    settings = settings or FieldSettings()
    network = start_field(settings, seed=recipes[0].seed)
    done, errors = [], {}
    for name, task, gather, count, recipe in (
        ("space", SpaceTask(network.space), _patches, counts[0], recipes[0]),
        ("time", TimeTask(network.time), _pieces, counts[1], recipes[1]),
    ):
        sets = [
            gather(examples, most, stream(recipe.seed, "spacetime", name, part))
            for examples, most, part in (
                (training, count, "training"), (validation, max(count // 4, 1), "validation"),
            )
        ]  # fmt: skip
        trained = train(
            task, sets[0], sets[1], settings=recipe, machine=machine or Machine(),
            folder=None if folder is None else folder / name, on_epoch=on_epoch,
            about=asdict(settings),
        )  # fmt: skip
        done.append(trained)
        least = min(row.losses["validation_loss"] for row in trained.history)
        errors[f"validation_{name}"] = float(least)
    card = ModelCard(
        name="space-time-field", kind=KIND, settings=asdict(settings),
        trained_on="scans that were given", simulated=False, protocol=_PROTOCOL, version=VERSION,
        limits="It was trained for images twice as fine in each slice. Between slices it only "
        "interpolates. What is smaller than a voxel of the scan may come out too large and too "
        "faint.",
        measured=errors,
    )  # fmt: skip
    return weights_of(network, card), (done[0], done[1])


def _patches(examples: Sequence[FieldExample], count: int, random: np.random.Generator) -> Tensors:
    """Cut images out of scans, with places in them and what is there: the batch of `SpaceTask`."""
    found: list[tuple[torch.Tensor, ...]] = []
    for n, example in enumerate(examples):
        wanted = count // len(examples) + (n < count % len(examples))
        found += _patches_of(example, wanted, random)
    if not found:
        raise QuantityError(
            Code.QUANTITY_WRONG, "there is no scan to learn from", mend="give one or more"
        )
    return tuple(torch.stack(column) for column in zip(*found, strict=True))


def _patches_of(
    example: FieldExample, count: int, random: np.random.Generator
) -> list[tuple[torch.Tensor, ...]]:
    """Cut patches of one scan; images of fainter time courses are as many as those of others."""
    parts = field_parts(example.given, example.mask)
    few, many = example.given.grid.shape, example.finer.grid.shape
    cell = torch.tensor([float(np.mean([few[axis] / many[axis] for axis in (0, 1)]))])
    basis = torch.from_numpy(parts.inner.basis)
    true = (torch.from_numpy(np.array(example.finer.values, np.float32)) @ basis).numpy()
    flat = parts.whole.coefficients.reshape(*few, -1)
    base = interpolated(flat, many)
    images = [component_inputs(parts, n) for n in range(basis.shape[1])]
    spots = [places_of(many[axis], few[axis]) for axis in (0, 1)]
    slices = places_of(many[2], few[2])
    found: list[tuple[torch.Tensor, ...]] = []
    for _ in range(20 * count):
        if len(found) == count:
            break
        n, z = int(random.integers(len(images))), int(random.integers(many[2]))
        low = [int(random.integers(few[axis] - PATCH + 1)) for axis in (0, 1)]
        here = tuple(slice(first, first + PATCH) for first in low)
        level = int(np.clip(np.rint(slices[z]), 0, few[2] - 1))
        if example.mask.values[here[0], here[1], level].mean() < _FILLED:
            continue
        inner = [
            np.flatnonzero((spot > first + MARGIN) & (spot < first + PATCH - 1 - MARGIN))
            for spot, first in zip(spots, low, strict=True)
        ]
        x, y = _where(base[..., z, n][np.ix_(*inner)], inner, random)
        inputs, unit = images[n]
        places = np.stack([spots[0][x] - low[0], spots[1][y] - low[1]], axis=-1)
        found.append((
            inputs[level][:, *here].clone(), torch.from_numpy(places.astype(np.float32)), cell,
            torch.from_numpy(base[x, y, z, n] / unit), torch.from_numpy(true[x, y, z, n] / unit),
        ))  # fmt: skip
    if len(found) < count:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"too few patches of {PATCH} x {PATCH} voxels in the mask of a scan",
            mend="give scans of a whole head",
        )
    return found


def _where(
    image: np.ndarray, rows: Sequence[np.ndarray], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw places: half of them anywhere, half where the interpolated image changes most.

    What decides has to be known when the network is used, or it would learn to exaggerate.
    """
    steep = ndimage.maximum_filter(image, size=5) - ndimage.minimum_filter(image, size=5)
    share = 0.5 / image.size + 0.5 * steep.ravel() / max(float(steep.sum()), 1e-12)
    chosen = random.choice(image.size, QUERIES, p=share / share.sum())
    x, y = np.unravel_index(chosen, image.shape)
    return rows[0][x], rows[1][y]


def _pieces(examples: Sequence[FieldExample], count: int, random: np.random.Generator) -> Tensors:
    """Cut pieces out of curves, with frames that lie between theirs: the batch of `TimeTask`."""
    found = [_pieces_of(one, count // len(examples) + 1, random) for one in examples]
    return tuple(torch.cat(column)[:count] for column in zip(*found, strict=True))


def _pieces_of(example: FieldExample, count: int, random: np.random.Generator) -> Tensors:
    """Return pieces of every second frame; some are of the voxels that change most."""
    given = fewer_frames(example.given, 2)
    inside = example.mask.values
    known, asked = given.time.seconds, example.given.time.seconds[1::2][: len(given.time) - 1]
    units = curve_units(field_parts(given, example.mask).clean[inside], known)
    size = units.size[:, 0].numpy()
    moved = np.argsort(-size, kind="stable")[: max(len(size) // 50, 1)]
    rows = np.where(
        random.random(count) < _MOVED,
        random.choice(moved, count),
        random.integers(len(size), size=count),
    )
    true = torch.from_numpy(np.array(example.coarse.values[inside][:, 1::2], np.float32))
    truth = (true[:, : len(asked)] - units.mean) / units.size
    spline = torch.from_numpy(spline_matrix(known, asked))
    share = torch.from_numpy(((asked - known[:-1]) / np.diff(known)).astype(np.float32))
    starts = random.integers(0, len(asked) - WINDOW + 2, size=count)
    frames = torch.from_numpy(starts[:, None] + np.arange(WINDOW))
    row, gaps = torch.from_numpy(rows)[:, None], frames[:, :-1]
    return (
        units.values[row, frames],
        units.gaps[row, gaps],
        share[gaps],
        (units.values @ spline.T)[row, gaps],
        truth[row, gaps],
    )

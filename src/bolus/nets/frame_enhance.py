"""Noise taken from a series by a network: fitted on simulated scans, tuned on one's own, used."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from bolus._version import VERSION
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.core.provenance import Step
from bolus.core.randomness import stream
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.errors import Code, FileError, QuantityError
from bolus.metrics.perfusion_bias import BiasGuard, judge_bias
from bolus.nets.batches import Tensors
from bolus.nets.frame_enhancer import FrameEnhancer, FrameSettings, FrameTask, start_frames
from bolus.nets.frame_input import FrameParts, frame_parts, half_parts, network_inputs
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "frames"
RECIPE = TrainSettings(epochs=8, batch_size=32, learning_rate=3e-3, seed=1, patience=6)
TUNING = TrainSettings(epochs=4, batch_size=32, learning_rate=3e-4, seed=1, patience=2)
PATCH = 32
_SLICES = 8
"""Slices at once: 8 of 128 x 128 pixels take 13 MB a layer."""
_FILLED = 0.3
"""Share of a patch that has to lie in the mask."""
_ZHANG = "10.1109/TIP.2018.2839891"
_PROTOCOL = ProtocolRange(
    limits={"interval_s": (1.0, 6.0), "frames": (40, 120), "snr": (20.0, 150.0)}
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameExample:
    """A series with noise, the same without, and where both count."""

    noisy: PerfusionSeries
    truth: PerfusionSeries
    mask: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnhancedFrames:
    """The series after the network, the noise [its unit] in each voxel, and doubts in words.

    `sigma` is NaN outside of the mask; `components` time courses were kept. `outside` says what
    of the scan is beyond what the network was trained for, `guard` what was measured of it.
    """

    series: PerfusionSeries
    sigma: Float[np.ndarray, "x y z"]
    components: int
    outside: tuple[str, ...]
    guard: BiasGuard


def fit_frames(
    training: Sequence[FrameExample],
    validation: Sequence[FrameExample],
    *,
    patches: int = 3000,
    settings: FrameSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, Trained]:
    """Learn what is noise in the images of a series' time courses.

    Args:
        training: scans with and without noise.
        validation: of other patients, a quarter as many patches.
        patches: 32 x 32 pixels each, shared by the scans.
        settings: of the network.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights, whose card has no figures that `bias_guard` wants yet, and the training.

    Raises:
        QuantityError: there is no scan, or one without time courses or room for a patch.

    Assumes:
        Noise is independent between voxels and frames, of a size that changes smoothly.

    Source:
        The residual and the noise map as input: Zhang et al., IEEE Trans Image Process
        2018;27:4608. Images of time courses in place of frames, and the limit of the change: ours.
    """
    settings = settings or FrameSettings()
    sets = [
        _gather([_pairs(one) for one in examples], count, seed=recipe.seed, name=name)
        for examples, count, name in (
            (training, patches, "training"), (validation, max(patches // 4, 1), "validation"),
        )
    ]  # fmt: skip
    network = start_frames(settings, seed=recipe.seed)
    done = train(
        FrameTask(network), sets[0], sets[1], settings=recipe, machine=machine or Machine(),
        folder=folder, on_epoch=on_epoch, about=asdict(settings),
    )  # fmt: skip
    error = min(row.losses["validation_loss"] for row in done.history)
    card = ModelCard(
        name="frame-enhancer", kind=KIND, settings=asdict(settings),
        trained_on="series that were given", simulated=False, protocol=_PROTOCOL, version=VERSION,
        limits="Noise that neighbours share, as after interpolation or filters, is not known to "
        "it. Ghosts and pulsation are patterns, and stay.",
        measured={"validation_noise_left": float(error)},
    )  # fmt: skip
    return weights_of(done.network, card), done


def tune_frames(
    series: PerfusionSeries,
    mask: Mask,
    weights: Weights,
    *,
    patches: int = 800,
    recipe: TrainSettings = TUNING,
) -> tuple[Weights, Trained]:
    """Go on learning from a series itself, without any truth.

    Every second frame gives the same images as the others, with noise of its own: the network
    learns to foretell one from the other. Every fourth slice decides which epoch is kept.

    Args:
        series: with its noise.
        mask: where it counts.
        weights: of `fit_frames`.
        patches: of 32 x 32 pixels.
        recipe: of the training.

    Returns:
        Weights for this series, without the figures that were measured of those given, so that
        `enhance_frames` does not take them unasked; and the training.

    Raises:
        FileError: weights of another kind.
        QuantityError: as `fit_frames`.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        As `fit_frames`; both halves of the frames show every time course.

    Source:
        Lehtinen et al., Proc Mach Learn Res 2018;80:2965 (Noise2Noise).
    """
    require_kind(weights, KIND, command="scripts/make_frame_enhancer")
    curves = series.curves(mask.require_some(), dtype=np.float32)
    parts = frame_parts(curves, mask.values)
    halves = [half_parts(parts, curves, first) for first in (0, 1)]
    pairs = [_pair(one, other, parts.scale) for one, other in (halves, halves[::-1])]
    kept_out = np.arange(mask.values.shape[2]) % 4 == 3
    sets = []
    for name, slices, count in (
        ("training", ~kept_out, patches), ("validation", kept_out, max(patches // 4, 1))
    ):  # fmt: skip
        chosen = torch.from_numpy(np.tile(slices, len(parts.noise)))
        own = [(inputs[chosen], truth[chosen]) for inputs, truth in pairs]
        sets.append(_gather(own, count, seed=recipe.seed, name=f"tuning {name}"))
    network = _network(weights)
    done = train(FrameTask(network), sets[0], sets[1], settings=recipe, machine=Machine())
    card = replace(
        weights.card, trained_on=f"{weights.card.trained_on}; then the series itself",
        simulated=False, measured={},
    )  # fmt: skip
    return weights_of(done.network, card), done


def bias_guard(weights: Weights) -> BiasGuard:
    """Hold what was measured of a network to the limits of `metrics.perfusion_bias`.

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
def enhance_frames(
    series: PerfusionSeries,
    mask: Mask,
    weights: Weights,
    *,
    biased: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> EnhancedFrames:
    """Take noise from a series by a network.

    Args:
        series: frames of one quantity, before any interpolation.
        mask: where it is done; outside nothing is changed.
        weights: of `fit_frames` or `tune_frames`.
        biased: use a network whose measured bias is beyond the limits, or was not measured.
        progress: told how many time courses are done, of how many.

    Returns:
        The series, float32, its noise, and what speaks against it.

    Raises:
        FileError: weights of another kind, or a network that `bias_guard` does not allow.
        GeometryError: the mask is empty or on another grid.
        QuantityError: as `frame_parts`.

    Assumes:
        As `fit_frames`.

    Source:
        As `fit_frames`.
    """
    require_kind(weights, KIND, command="scripts/make_frame_enhancer")
    guard = bias_guard(weights)
    if not (guard.allowed or biased):
        raise FileError(
            Code.NOT_TRUSTED,
            f"{weights.card.name}: {'; '.join(guard.reasons)}",
            mend="use local_pca, or say that you want this network although it is biased",
        )
    network = _network(weights)
    curves = series.curves(mask.require_some(), dtype=np.float32)
    parts = frame_parts(curves, mask.values)
    clean = np.empty_like(parts.coefficients)
    count = len(parts.noise)
    for component in range(count):
        progress(component, count)
        clean[:, component] = _cleaned(network, parts, component)
    values = np.array(series.values, np.float32)
    values[mask.values] = _joined(parts, clean, curves)
    sigma = np.full(mask.values.shape, np.nan)
    sigma[mask.values] = parts.sigma
    step = Step(
        "nets.enhance_frames",
        {"weights": weights.digest()[:12], "components": count},
        source=_ZHANG,
    )
    return EnhancedFrames(
        series=series.derive(values, series.quantity, step), sigma=sigma, components=count,
        outside=weights.card.protocol.outside(_scan_values(series, curves, parts)), guard=guard,
    )  # fmt: skip


def _network(weights: Weights) -> FrameEnhancer:
    held = weights.card.settings
    settings = FrameSettings(
        width=int(held["width"]), depth=int(held["depth"]), most=float(held["most"])
    )
    network = FrameEnhancer(settings)
    load_weights(network, weights)
    return network


def _cleaned(network: FrameEnhancer, parts: FrameParts, component: int) -> np.ndarray:
    """Return the coefficients (n,) of one time course without noise; only the box is computed."""
    inputs = network_inputs(parts, component)
    places = np.argwhere(parts.inside)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    box = inputs[low[2] : high[2], :, low[0] : high[0], low[1] : high[1]]
    with torch.inference_mode():
        found = torch.cat(
            [network(box[n : n + _SLICES].contiguous()) for n in range(0, len(box), _SLICES)]
        )
    image = np.moveaxis(found[:, 0].numpy(), 0, 2)
    within = parts.inside[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    return np.asarray(image[within] * parts.scale[component])


def _joined(parts: FrameParts, clean: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Return curves (n, t): cleaned time courses, and of the rest what is no noise."""
    basis = torch.from_numpy(parts.basis)
    kept = torch.from_numpy(parts.coefficients)
    rest = torch.from_numpy(np.asarray(curves, np.float32)) - kept @ basis.T
    share = torch.from_numpy(parts.rest)[:, None]
    return np.asarray((torch.from_numpy(clean) @ basis.T + share * rest).numpy())


def _scan_values(
    series: PerfusionSeries, curves: np.ndarray, parts: FrameParts
) -> dict[str, float | None]:
    """Return what the card limits; the ratio of signal to noise is that of a median voxel."""
    seconds = series.time.seconds
    ratio = curves.mean(axis=1) / np.maximum(parts.sigma, 1e-12)
    return {
        "interval_s": float(np.median(np.diff(seconds))),
        "frames": float(len(seconds)),
        "snr": float(np.median(ratio)),
    }


def _pairs(example: FrameExample) -> Tensors:
    """Return inputs and truth of every slice of every time course."""
    mask = example.mask.require_some()
    parts = frame_parts(example.noisy.curves(mask, dtype=np.float32), mask.values)
    true = example.truth.curves(mask, dtype=np.float32) @ parts.basis
    return _pair(parts, replace(parts, coefficients=true), parts.scale)


def _pair(seen: FrameParts, aim: FrameParts, scale: np.ndarray) -> Tensors:
    """Return inputs (n, 7, x, y) of one and the image (n, 1, x, y) of the other."""
    numbers = range(len(seen.noise))
    inputs = torch.cat([network_inputs(seen, n, scale=scale) for n in numbers])
    truth = torch.cat([network_inputs(aim, n, scale=scale)[:, 1:2] for n in numbers])
    return inputs, truth


def _gather(pairs: Sequence[Tensors], count: int, *, seed: int, name: str) -> Tensors:
    """Cut patches at random, the same number of every scan.

    Raises:
        QuantityError: there is no scan, or no patch in one.
    """
    random = stream(seed, "frames", "patches", name)
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    for inputs, truth in pairs:
        wanted = max(count // len(pairs), 1)
        for _ in range(20 * wanted):
            height, width = (size - PATCH + 1 for size in inputs.shape[2:])
            if wanted == 0 or min(height, width) < 1 or not len(inputs):
                break
            n, x, y = (int(random.integers(size)) for size in (len(inputs), height, width))
            here = slice(x, x + PATCH), slice(y, y + PATCH)
            if float((inputs[n, 6][here] > 0).float().mean()) >= _FILLED:
                found.append((inputs[n][:, *here], truth[n][:, *here]))
                wanted -= 1
        if wanted:
            break
    if not found or wanted:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(pairs)} scans, and too few patches of {PATCH} x {PATCH} pixels in their masks",
            mend="give scans of a whole head",
        )
    return torch.stack([one for one, _ in found]), torch.stack([one for _, one in found])

"""Perfusion codes of signal curves: learn them, and give them to curves of any protocol."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from bolus._version import VERSION
from bolus.core import ModelCard, ProtocolRange, Weights
from bolus.core.arrays import read_only
from bolus.errors import Code, MetadataError, QuantityError
from bolus.nets.batches import Tensors
from bolus.nets.curve_augment import FRAMES, INTERVAL_S, held_places
from bolus.nets.curve_medians import by_drop, curve_medians
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.physical_axis import AXIS, ExamCurves, align_curves
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.vqvae import (
    CodeSettings,
    CodesTask,
    CurveVqvae,
    errors_of_states,
    perplexity,
    start_network,
)
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "curve-codes"
UNLIKE = "distance_p95"
"""Name of the card's figure that 95 % of the curves of validation stay below in distance."""
_WHOLE = 0.85
_CHUNK = 1 << 16
_LEAST_CURVES = 1000
RECIPE = TrainSettings(epochs=12, batch_size=4096, learning_rate=3e-3, seed=1)
"""What the shipped network was trained with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveCodes:
    """Codes of n curves.

    `codes` (n,) from 1, the largest drop, up to the number of codes; 0 for a curve that is not
    usable. `latent` (n, d) float32 the place of each curve before it becomes a code.
    `reconstruction` (n, 60) float32 the curve of its code on `physical_axis.AXIS`. `distance` (n,)
    the mean absolute difference to it over what was measured, in units of the curve's 99.5th
    percentile; large where a curve is unlike all of the training. NaN where there is no code.
    """

    codes: UInt8[np.ndarray, " n"]
    latent: Float[np.ndarray, "n d"]
    reconstruction: Float[np.ndarray, "n points"]
    distance: Float[np.ndarray, " n"]

    def __post_init__(self) -> None:
        for name in ("codes", "latent", "reconstruction", "distance"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


def fit_curve_codes(
    training: Sequence[ExamCurves],
    validation: Sequence[ExamCurves],
    *,
    settings: CodeSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, Trained]:
    """Learn perfusion codes from signal curves, without labels and without an AIF.

    The codes start at k-medians of the curves. Then encoder and decoder learn together, half of
    every batch as another protocol would have measured it, always towards the whole curve.

    Args:
        training: curves of exams; give each exam about as many.
        validation: of other patients; the best epoch and the card's figures are theirs.
        settings: of the network.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights, whose card says nothing yet of who the curves are from, and the training.

    Raises:
        QuantityError: fewer than 1000 usable curves.

    Assumes:
        Curves of one exam share the arrival of the bolus.

    Source:
        van den Oord et al., NIPS 2017 (arXiv 1711.00937); the design of three positions of two
        codes: github jhlee0619/Glioma-Tumor-Habitat, doi 10.5281/zenodo.21350691.
    """
    settings = settings or CodeSettings()
    curves, others = gather_curves(training), gather_curves(validation)
    if len(curves[0]) < _LEAST_CURVES:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(curves[0])} usable curves to train codes on",
            mend=f"give at least {_LEAST_CURVES}",
        )
    network = _start(curves, settings, recipe.seed)
    task = CodesTask(network)
    done = train(
        task,
        curves,
        others,
        settings=recipe,
        machine=machine or Machine(),
        folder=folder,
        on_epoch=on_epoch,
        about=asdict(settings),
    )
    fitted = done.network
    assert isinstance(fitted, CurveVqvae)  # the task's own
    with torch.no_grad():
        order = by_drop(fitted.curves().numpy())
        fitted.rank[torch.from_numpy(order)] = torch.arange(settings.states)
    return weights_of(fitted, _card(fitted, others)), done


@one_thread_count(1)
def encode_curves(
    signal: Float[np.ndarray, "n t"],
    *,
    interval_s: float,
    arrival_s: float,
    start_s: float = 0.0,
    weights: Weights,
) -> CurveCodes:
    """Give each curve its code.

    Args:
        signal: [a.u.], any scale.
        interval_s: between frames.
        arrival_s: of the bolus, after the first frame; one for all curves of an exam.
        start_s: begin of the steady state; frames before are not used.
        weights: of `fit_curve_codes`.

    Returns:
        Codes, latents and what they stand for.

    Raises:
        FileError: the weights are of something else.
        MetadataError: the protocol is outside the range that they were trained for.

    Assumes:
        The arrival is right to about a frame.

    Source:
        As `fit_curve_codes`.
    """
    exam = ExamCurves(signal=signal, interval_s=interval_s, arrival_s=arrival_s, start_s=start_s)
    left = signal.shape[1] - exam.first_frame
    said = weights.card.protocol.outside({"interval_s": interval_s, "frames": left})
    limits = ("interval_s", "frames")
    if outside := [sentence for sentence in said if sentence.startswith(limits)]:
        raise MetadataError(
            Code.PROTOCOL_OUTSIDE, outside[0], mend="use weights trained for such a protocol"
        )
    network = codes_network(weights)
    aligned = align_curves(exam)
    values = torch.from_numpy(aligned.values[:, held_places(aligned.measured)])
    measured = torch.from_numpy(aligned.measured.astype(np.float32)).expand(len(values), -1)
    parts = [
        _encode(network, values[n : n + _CHUNK], measured[n : n + _CHUNK])
        for n in range(0, max(len(values), 1), _CHUNK)
    ]
    codes, latent, curve, distance = (np.concatenate(part) for part in zip(*parts, strict=True))
    codes[~aligned.usable] = 0
    for array in (latent, curve, distance):
        array[~aligned.usable] = np.nan
    return CurveCodes(codes=codes, latent=latent, reconstruction=curve, distance=distance)


def code_curves(weights: Weights) -> Float[np.ndarray, "codes points"]:
    """Return the curve of every code on `physical_axis.AXIS`, the largest drop first."""
    network = codes_network(weights)
    with torch.no_grad():
        return np.asarray(network.curves()[network.rank.argsort()].numpy())


def codes_network(weights: Weights) -> CurveVqvae:
    """Return the network of weights, ready to use.

    Raises:
        FileError: they are of another kind.
    """
    card = require_kind(weights, KIND, command="bolus train codes")
    network = CurveVqvae(CodeSettings(**card.settings))  # type: ignore[arg-type]
    load_weights(network, weights)
    return network.eval()


def gather_curves(exams: Sequence[ExamCurves]) -> Tensors:
    """Return the usable curves of exams on one axis, and their masks; gaps at the ends are held.

    Args:
        exams: of any protocols.

    Returns:
        Values and masks of 1 and 0, both (curves, 60) float32.
    """
    values, masks = [np.zeros((0, AXIS.points), np.float32)], [np.zeros((0, AXIS.points))]
    for exam in exams:
        aligned = align_curves(exam)
        own = aligned.values[aligned.usable]
        values.append(own[:, held_places(aligned.measured)])
        masks.append(np.broadcast_to(aligned.measured, own.shape))
    return (
        torch.from_numpy(np.concatenate(values)),
        torch.from_numpy(np.concatenate(masks).astype(np.float32)),
    )


def _start(curves: Tensors, settings: CodeSettings, seed: int) -> CurveVqvae:
    """Return the network that starts at k-medians of curves that were measured (nearly) whole."""
    values, measured = (tensor.numpy() for tensor in curves)
    whole = measured.mean(axis=1) >= _WHOLE
    chosen = values[whole] if whole.sum() >= _LEAST_CURVES else values
    centres = curve_medians(chosen, settings.states, seed=seed)
    network = start_network(settings, chosen, centres, seed=seed)
    with torch.no_grad():
        errors = errors_of_states(curves[0], curves[1], network.curves())
        network.scale.copy_(errors.min(1).values.mean())
    return network


def _encode(
    network: CurveVqvae, values: torch.Tensor, measured: torch.Tensor
) -> tuple[np.ndarray, ...]:
    with torch.no_grad():
        number, latent, curve = network(values, measured)
        off = ((curve - values).abs() * measured).sum(1) / measured.sum(1)
    return (number + 1).numpy().astype(np.uint8), latent.numpy(), curve.numpy(), off.numpy()


def _card(network: CurveVqvae, validation: Tensors) -> ModelCard:
    codes, _, _, distance = _encode(network, *validation)
    settings = network.settings
    shares = np.bincount(codes, minlength=settings.states + 1)[1:] / len(codes)
    return ModelCard(
        name=KIND,
        kind=KIND,
        settings=asdict(settings),
        trained_on="curves that were given to it",
        simulated=False,
        protocol=ProtocolRange(
            limits={"interval_s": INTERVAL_S, "frames": (float(FRAMES[0]), float(FRAMES[1]))}
        ),
        limits="Codes say what a curve looks like, not what tissue it is of.",
        version=VERSION,
        measured={
            "validation_error": float(distance.mean()),
            UNLIKE: float(np.quantile(distance, 0.95)),
            "codes_used": float((shares > settings.dead_share).sum()),
            "perplexity": float(perplexity(torch.from_numpy(shares))),
        },
    )

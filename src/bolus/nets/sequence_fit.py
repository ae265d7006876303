"""Predict a label of a patient from the mean curves of an exam's regions: fit, and use."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import expit
from scipy.stats import t as student
from torch import Tensor

from bolus._version import VERSION
from bolus.core import CurveCohort, ModelCard, ProtocolRange, Split, Weights
from bolus.core.arrays import read_only
from bolus.errors import Code, InputError
from bolus.nets.batches import Tensors, key_of
from bolus.nets.curve_augment import FRAMES, INTERVAL_S
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.physical_axis import AXIS
from bolus.nets.sequence import (
    STEPS,
    STRIDE,
    SequenceEnsemble,
    SequenceNetwork,
    SequenceSettings,
    start_member,
)
from bolus.nets.sequence_augment import OtherExams
from bolus.nets.sequence_input import SequenceInput, as_tensors, sequence_input
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.unlike import SUMMARIES, summaries, unlike_scores, usual_of
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "curve-sequence"
UNLIKE = "unlike_p99"
"""Name of the card's figure that 99 % of the exams of the training stay below."""
RECIPE = TrainSettings(
    epochs=60, batch_size=64, learning_rate=3e-3, weight_decay=0.01, patience=30, ema_decay=0.99,
    seed=1,
)  # fmt: skip
"""What the shipped networks were trained with."""
_FEWEST = 5
_ECHO_S = (0.02, 0.05)
"""Echo times cancel against white matter's; beyond these noise and saturation differ."""
_MARGIN = 0.1
_LIMITS = (
    "A probability from mean curves, never a diagnosis: genotype is read from tissue. Untreated "
    "adult gliomas only; the interval is that of other networks, not of other patients."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequencePrediction:
    """What networks say of n exams.

    `probability` (n,) of the positive label, from the mean log odds of the `members` (n, m), whose
    own probabilities these are. `lower`, `upper` (n,): where one more network of the kind would
    lie with a probability of 95 %. `out_of_distribution` (n,) is large where an exam is unlike the
    training; the card's `unlike_p99` is its limit. `attention` (n, t') sums to 1 over `time_s`
    (t',), seconds on `physical_axis.AXIS`; the exam's own times are these plus `start_s` (n,).
    """

    probability: Float[np.ndarray, " n"]
    lower: Float[np.ndarray, " n"]
    upper: Float[np.ndarray, " n"]
    members: Float[np.ndarray, "n m"]
    out_of_distribution: Float[np.ndarray, " n"]
    attention: Float[np.ndarray, "n steps"]
    time_s: Float[np.ndarray, " steps"]
    start_s: Float[np.ndarray, " n"]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, read_only(getattr(self, name)))


class SequenceTask:
    """Learn a label that is 0 or 1 from exams that are changed anew in every batch."""

    def __init__(self, network: SequenceNetwork, *, seed: int) -> None:
        self.network: torch.nn.Module = network
        self._others = OtherExams(seed=seed)

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the cross entropy of exams as they might have been."""
        values, known, label = batch
        return {"loss": _entropy(self.network, *self._others.seen(values, known, random), label)}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the cross entropy of exams as they are."""
        return {"loss": _entropy(self.network, *batch)}


def fit_sequence(
    cohort: CurveCohort,
    split: Split,
    *,
    settings: SequenceSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[int, EpochRow], None] | None = None,
) -> tuple[Weights, tuple[Trained, ...]]:
    """Fit an ensemble of networks to the exams of training; validation chooses their epochs.

    Args:
        cohort: exams; those without the label, or of test, are not looked at.
        split: who is in which part.
        settings: networks, label and size of the ensemble.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told the member, from 0, and its epoch.

    Returns:
        The weights, whose card says nothing yet of whose curves they are, and the trainings.

    Raises:
        InputError: fewer than five exams of a class in training, or one class in validation.
        TimingError: an exam has no bolus.

    Assumes:
        One exam a patient, or few: each counts the same.

    Source:
        Lakshminarayanan, Pritzel and Blundell, NIPS 2017 (arXiv 1612.01474), without adversarial
        examples; the networks: `sequence`.
    """
    settings = settings or SequenceSettings()
    parts = [_part(cohort, names, settings) for names in (split.training, split.validation)]
    _require_classes(parts, settings)
    inputs, training = parts[0]
    others, validation = parts[1]
    trainings = []
    for member in range(settings.members):
        seed = key_of(recipe.seed, "member", member)
        task = SequenceTask(start_member(settings, seed=seed), seed=seed)
        trainings.append(
            train(
                task, training, validation, settings=replace(recipe, seed=seed),
                machine=machine or Machine(),
                folder=None if folder is None else folder / f"member-{member + 1}",
                on_epoch=None if on_epoch is None else _told(on_epoch, member),
                about=asdict(settings),
            )
        )  # fmt: skip
    ensemble = _ensemble([done.network for done in trainings], inputs)
    card = _card(ensemble, settings, cohort.of(split.development), (inputs, others, validation))
    return weights_of(ensemble, card), tuple(trainings)


def predict_sequence(cohort: CurveCohort, weights: Weights) -> SequencePrediction:
    """Say how probable the label is in every exam.

    Args:
        cohort: exams; their labels are not looked at.
        weights: of `fit_sequence`.

    Raises:
        LeakageError: the networks were fitted on one of these subjects.
        FileError: the weights are of another kind.
        MetadataError: neither echo time nor white matter is known.
        TimingError: an exam has no bolus.

    Assumes:
        The protocol is inside the card's range: ask `card.protocol.outside` before.

    Source:
        As `fit_sequence`.
    """
    weights.card.require_unseen(cohort.subjects)
    return predict_inputs(
        [sequence_input(exam) for exam in cohort.exams], sequence_network(weights)
    )


@one_thread_count(1)
def predict_inputs(
    inputs: Sequence[SequenceInput], ensemble: SequenceEnsemble
) -> SequencePrediction:
    """Say how probable the label is in exams that were made ready.

    Args:
        inputs: of `sequence_input`.
        ensemble: of `sequence_network`.
    """
    with torch.no_grad():
        odds, attention = (t.numpy().astype(float) for t in ensemble(*as_tensors(inputs)))
    mean = odds.mean(axis=1)
    count = odds.shape[1]
    wide = float(student.ppf(0.975, count - 1)) * odds.std(axis=1, ddof=1) * np.sqrt(1 + 1 / count)
    return SequencePrediction(
        probability=expit(mean),
        lower=expit(mean - wide),
        upper=expit(mean + wide),
        members=expit(odds),
        out_of_distribution=unlike_scores(
            summaries(inputs), ensemble.usual.double().numpy(), ensemble.spread.double().numpy()
        ),
        attention=attention,
        time_s=AXIS.step_s * (STRIDE * np.arange(STEPS) + (STRIDE - 1) / 2),
        start_s=np.array([item.start_s for item in inputs]),
    )


def sequence_network(weights: Weights) -> SequenceEnsemble:
    """Return the networks of weights, ready to use.

    Raises:
        FileError: they are of another kind.
    """
    card = require_kind(weights, KIND, command="bolus train sequence")
    settings = SequenceSettings(**card.settings)  # type: ignore[arg-type]
    members = [start_member(settings, seed=0) for _ in range(settings.members)]
    ensemble = SequenceEnsemble(members, SUMMARIES)
    load_weights(ensemble, weights)
    return ensemble.eval()


def _entropy(network: torch.nn.Module, values: Tensor, known: Tensor, label: Tensor) -> Tensor:
    odds, _ = network(values, known)
    return torch.nn.functional.binary_cross_entropy_with_logits(odds, label)


def _part(
    cohort: CurveCohort, subjects: frozenset[str], settings: SequenceSettings
) -> tuple[list[SequenceInput], Tensors]:
    """Return the exams of some subjects, and their tensors with the label."""
    exams = cohort.of(subjects).labelled(settings.label).exams
    inputs = [sequence_input(exam) for exam in exams]
    present = [float(exam.labels[settings.label] == settings.positive) for exam in exams]
    return inputs, (*as_tensors(inputs), torch.tensor(present))


def _require_classes(
    parts: Sequence[tuple[list[SequenceInput], Tensors]], settings: SequenceSettings
) -> None:
    for name, least, (_, tensors) in zip(("training", "validation"), (_FEWEST, 1), parts,
                                         strict=True):  # fmt: skip
        positive = int(tensors[2].sum())
        negative = len(tensors[2]) - positive
        if min(positive, negative) < least:
            raise InputError(
                Code.OUTCOMES_TOO_FEW,
                f"{name} has {positive} exams with {settings.label} {settings.positive} and "
                f"{negative} without",
                mend=f"give at least {least} of each",
            )


def _told(on_epoch: Callable[[int, EpochRow], None], member: int) -> Callable[[EpochRow], None]:
    return lambda row: on_epoch(member, row)


def _ensemble(
    members: Sequence[torch.nn.Module], inputs: Sequence[SequenceInput]
) -> SequenceEnsemble:
    ensemble = SequenceEnsemble([m for m in members if isinstance(m, SequenceNetwork)], SUMMARIES)
    usual, spread = usual_of(summaries(inputs))
    ensemble.usual.copy_(torch.from_numpy(usual))
    ensemble.spread.copy_(torch.from_numpy(spread))
    return ensemble.eval()


def _card(
    ensemble: SequenceEnsemble,
    settings: SequenceSettings,
    development: CurveCohort,
    made: tuple[list[SequenceInput], list[SequenceInput], Tensors],
) -> ModelCard:
    training, validation, tensors = made
    said = predict_inputs(validation, ensemble)
    score = predict_inputs(training, ensemble).out_of_distribution
    label = tensors[2].numpy()
    chance = np.clip(said.probability, 1e-6, 1 - 1e-6)
    entropy = -(label * np.log(chance) + (1 - label) * np.log(1 - chance))
    return ModelCard(
        name=KIND,
        kind=KIND,
        settings=asdict(settings),
        trained_on="curves that were given to it",
        simulated=False,
        protocol=_protocol(development),
        limits=_LIMITS,
        version=VERSION,
        fitted_on=frozenset(development.subjects),
        measured={
            UNLIKE: float(np.nanquantile(score, 0.99)),
            "validation_cross_entropy": float(entropy.mean()),
            "training_exams": float(len(training)),
            "validation_exams": float(len(validation)),
        },
    )


def _protocol(development: CurveCohort) -> ProtocolRange:
    """Return what the inputs are made for, and flip angles and fields as they were seen."""
    limits = {
        "interval_s": INTERVAL_S,
        "frames": (float(FRAMES[0]), float(FRAMES[1])),
        "echo_time_s": _ECHO_S,
    }
    for name in ("flip_angle_deg", "field_strength_t"):
        known = [e.acquisition for e in development.exams if getattr(e.acquisition, name)]
        if len(known) == len(development.exams):
            seen = [acquisition.require(name) for acquisition in known]
            limits[name] = ((1 - _MARGIN) * min(seen), (1 + _MARGIN) * max(seen))
    return ProtocolRange(limits=limits)

"""Ktrans, ve, vp and delay with an interval: learn a network on known curves, and use it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from bolus._version import VERSION
from bolus.core.arrays import Curve, Curves
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.errors import Code, MetadataError
from bolus.metrics.calibration_of_intervals import conformal_reach
from bolus.metrics.coverage import LEVELS
from bolus.nets.batches import Tensors
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.pharmacokinetics import (
    KineticNetwork,
    KineticSettings,
    KineticTask,
    start_kinetics,
)
from bolus.nets.pharmacokinetics_input import (
    FEATURES,
    PARAMETERS,
    KineticInput,
    from_soft,
    kinetic_input,
    to_soft,
)
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.weighting import load_weights, require_kind, weights_of
from bolus.quantify.dce_fit import DceFit
from bolus.simulate.kinetic_curves import KineticExam

KIND = "pharmacokinetics"
RECIPE = TrainSettings(epochs=40, batch_size=512, learning_rate=3e-3, seed=1, patience=12)
_COMPARED = (*range(4, 12), *range(FEATURES - 5, FEATURES))
"""Features that say what a curve is like: spread, start, and what the grid leaves over."""
_USUAL = 0.99
_SHRINK = 1e-3
_CHUNK = 1 << 15
_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_PROTOCOL = ProtocolRange(limits={"interval_s": (1.5, 40.0), "duration_s": (255.0, 1160.0)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KineticPosterior:
    """What a network says of curves (n,): columns are those of `PARAMETERS`, in their units.

    `mean` is the expected value. `aleatoric` and `epistemic` are standard deviations: what noise
    leaves open, and what the network does not know. `unlike` (n,) marks curves that are less like
    those of the training than 99 % of them, and all where frames are `spoiled` (t,): then the
    intervals are not calibrated. NaN where a curve is not usable. `fit` is the least-squares fit
    that was corrected.
    """

    mean: Float[np.ndarray, "n 4"]
    aleatoric: Float[np.ndarray, "n 4"]
    epistemic: Float[np.ndarray, "n 4"]
    unlike: Bool[np.ndarray, " n"]
    unlikeness: Float[np.ndarray, " n"]
    spoiled: Bool[np.ndarray, " t"]
    soft_mean: Float[np.ndarray, "n 4"]
    soft_std: Float[np.ndarray, "n 4"]
    reach: Float[np.ndarray, "4 levels"]
    fit: DceFit

    @property
    def std(self) -> Float[np.ndarray, "n 4"]:
        """Standard deviation, both kinds together."""
        return np.asarray(np.hypot(self.aleatoric, self.epistemic))

    @property
    def median(self) -> Float[np.ndarray, "n 4"]:
        """Value that the truth is as likely to be above as below.

        Where noise hides a parameter it is far nearer to zero than the mean, as most tissue is.
        """
        return np.asarray(from_soft(self.soft_mean))

    def __getitem__(self, name: str) -> Float[np.ndarray, " n"]:
        return self.mean[:, PARAMETERS.index(name)]

    def interval(
        self, name: str, level: float = 0.9
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Return the lower and upper ends of the central interval of one parameter.

        Args:
            name: of `PARAMETERS`.
            level: of `metrics.coverage.LEVELS`.

        Raises:
            MetadataError: the level was not calibrated.
        """
        if level not in LEVELS:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"intervals of the level {level:g} are not calibrated",
                mend="ask for one of " + ", ".join(f"{x:g}" for x in LEVELS),
            )
        at = PARAMETERS.index(name)
        far = self.reach[:, LEVELS.index(level)] * self.soft_std
        return from_soft(self.soft_mean - far)[:, at], from_soft(self.soft_mean + far)[:, at]


def fit_kinetics(
    training: Sequence[KineticExam],
    validation: Sequence[KineticExam],
    *,
    settings: KineticSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, Trained]:
    """Learn how far a least-squares fit is from the truth, and how far that is certain.

    Args:
        training: curves with their truth.
        validation: of other acquisitions: they choose the epoch, and calibrate the intervals.
        settings: of the network.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights with calibrated intervals, and the training.

    Raises:
        QuantityError: no curve is usable.
        MetadataError: too few curves to calibrate with, or settings of another input.

    Assumes:
        The truth follows the models of the simulator. Voxels are drawn from its ranges: where
        noise hides everything the answer is the middle of those.

    Source:
        Ensembles: Lakshminarayanan et al., NeurIPS 2017, arXiv 1612.01474. Evidential: Amini et
        al., NeurIPS 2020, arXiv 1910.02600. Correcting a fit in units of its error is ours.
    """
    settings = settings or kinetic_settings()
    learned, others = _gather(training), _gather(validation)
    network = start_kinetics(settings, learned[0], seed=recipe.seed)
    done = train(
        KineticTask(network), learned, others, settings=recipe, machine=machine or Machine(),
        folder=folder, on_epoch=on_epoch, about=asdict(settings),
    )  # fmt: skip
    with one_thread_count(1):
        _calibrate(network, learned[0], others)
    error = min(row.losses["validation_loss"] for row in done.history)
    card = ModelCard(
        name=KIND, kind=KIND, settings=asdict(settings),
        trained_on=f"{len(learned[0])} simulated curves of {len(training)} acquisitions",
        simulated=True, protocol=_PROTOCOL, version=VERSION,
        limits="It cannot see a wrong T10, flip angle or artery: these scale the curve, which then "
        "looks as usual. Its intervals hold for the ranges of the simulator.",
        measured={"validation_loss": float(error)},
    )  # fmt: skip
    return weights_of(network, card), done


def kinetic_settings(*, head: str = "mve", members: int = 5, hidden: int = 48) -> KineticSettings:
    """Return settings of a network for the features of this module.

    Args:
        head: of `pharmacokinetics.HEADS`.
        members: of the ensemble.
        hidden: numbers of each hidden layer.
    """
    return KineticSettings(
        features=FEATURES, hidden=hidden, members=members, head=head, compared=len(_COMPARED)
    )


@one_thread_count(1)
def kinetic_posterior(
    tissue: Curves,
    arterial: Curve,
    weights: Weights,
    *,
    seconds: Curve,
    arterial_seconds: Curve | None = None,
) -> KineticPosterior:
    """Estimate Ktrans, ve, vp and delay of curves, with intervals.

    Args:
        tissue: (n, t) concentrations [mM], any number of frames and interval.
        arterial: plasma concentration of the artery [mM].
        weights: of `fit_kinetics`.
        seconds: times of the tissue [s].
        arterial_seconds: times of the artery [s]; None if they are those of the tissue.

    Raises:
        FileError: the weights are of another kind of network.
        TimingError: times and curves do not match, or the artery ends too early.
        QuantityError: the artery is not finite or has no positive area.

    Assumes:
        Concentrations and artery are on the right scale: no curve shows that they are not.

    Source:
        As `fit_kinetics`.
    """
    require_kind(weights, KIND, command="scripts/make_pharmacokinetics")
    settings = KineticSettings(**weights.card.settings)  # type: ignore[arg-type] # checked there
    network = KineticNetwork(settings)
    load_weights(network, weights)
    seen = kinetic_input(tissue, arterial, seconds=seconds, arterial_seconds=arterial_seconds)
    mean, known, unknown = _applied(network, torch.from_numpy(seen.features))
    return _posterior(seen, network, mean, known, unknown)


def _posterior(
    seen: KineticInput,
    network: KineticNetwork,
    mean: np.ndarray,
    known: np.ndarray,
    unknown: np.ndarray,
) -> KineticPosterior:
    """Return the answer of a network in the units of the kinetics."""
    lost = ~seen.usable[:, None]
    soft = np.where(lost, np.nan, seen.start + seen.spread * mean)
    std = np.where(lost, np.nan, seen.spread * np.sqrt(known + unknown))
    share = np.sqrt(known / (known + unknown))
    points = np.stack([from_soft(soft + x * std) for x in _HERMITE])
    weight = (_HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum())[:, None, None]
    expected = (weight * points).sum(axis=0)
    spread = np.sqrt((weight * (points - expected) ** 2).sum(axis=0))
    far = np.where(lost[:, 0], np.nan, _unlikeness(network, seen.features))
    return KineticPosterior(
        mean=expected, aleatoric=spread * share, epistemic=spread * np.sqrt(1 - share**2),
        unlike=(far > float(network.limit)) | (seen.spoiled.any() & np.isfinite(far)),
        unlikeness=far, spoiled=seen.spoiled, soft_mean=soft, soft_std=std,
        reach=network.reach.numpy().astype(np.float64), fit=seen.fit,
    )  # fmt: skip


def _applied(
    network: KineticNetwork, features: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, aleatoric and epistemic variance (n, 4), members together."""
    parts = []
    with torch.no_grad():
        for first in range(0, max(len(features), 1), _CHUNK):
            parts.append(network(features[first : first + _CHUNK]).numpy().astype(np.float64))
    out = np.concatenate(parts)
    between = out[..., 0].var(axis=1)
    return out[..., 0].mean(axis=1), out[..., 1].mean(axis=1), out[..., 2].mean(axis=1) + between


def _calibrate(network: KineticNetwork, features: torch.Tensor, others: Tensors) -> None:
    """Set the reach of intervals by curves that were not learned, and what is usual by all."""
    mean, known, unknown = _applied(network, others[0])
    truth, std = others[1].numpy().astype(np.float64), np.sqrt(known + unknown)
    for at in range(len(PARAMETERS)):
        found = conformal_reach(truth[:, at], mean[:, at], std[:, at], levels=LEVELS)
        network.reach[at] = torch.from_numpy(found)
    held = features[:, _COMPARED].numpy().astype(np.float64)
    spread = np.cov(held.T) + _SHRINK * np.eye(len(_COMPARED))
    network.ordinary.copy_(torch.from_numpy(held.mean(axis=0)))
    network.whitening.copy_(torch.from_numpy(np.linalg.inv(np.linalg.cholesky(spread))))
    network.limit.fill_(float(np.quantile(_unlikeness(network, features.numpy()), _USUAL)))


def _unlikeness(network: KineticNetwork, features: np.ndarray) -> np.ndarray:
    """Return the distance of Mahalanobis over the root of the number of features; about 1."""
    off = features[:, _COMPARED].astype(np.float64) - network.ordinary.numpy()
    white = off @ network.whitening.numpy().astype(np.float64).T
    return np.asarray(np.sqrt((white**2).mean(axis=1)))


def _gather(exams: Sequence[KineticExam]) -> Tensors:
    """Return features and truth, in units of the spread about the start, of all usable curves."""
    features, truths = [], []
    for exam in exams:
        seen = kinetic_input(exam.tissue, exam.arterial, seconds=exam.seconds)
        truth = to_soft(np.stack([exam.truth[name] for name in PARAMETERS], axis=1))
        features.append(seen.features[seen.usable])
        truths.append(((truth - seen.start) / seen.spread)[seen.usable])
    return (
        torch.from_numpy(np.concatenate(features)),
        torch.from_numpy(np.concatenate(truths).astype(np.float32)),
    )

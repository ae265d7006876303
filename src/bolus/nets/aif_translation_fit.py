"""Learn to translate arterial curves of DCE into the plasma curve on the scale of the patient."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from bolus._version import VERSION
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.errors import Code, QuantityError
from bolus.nets.aif_input import AXIS_S, AifCurves, aif_inputs, aif_summaries, aif_targets
from bolus.nets.aif_translation import AifEnsemble, AifNetwork, AifSettings, AifTask, start_aif
from bolus.nets.batches import Tensors, key_of
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.unlike import unlike_scores, usual_of
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "aif-translation"
UNLIKE = "unlike_p99"
"""Name of the card's figure that 99 % of the curves of the training stay below."""
RECIPE = TrainSettings(
    epochs=60, batch_size=128, learning_rate=2e-3, weight_decay=0.01, patience=12, seed=1
)
_FEWEST = 50
_COVERED = 0.9
_PROTOCOL = ProtocolRange(limits={"interval_s": (1.5, 8.0), "duration_s": (90.0, 380.0)})
_LIMITS = (
    "What plasma usually does, given a poor curve: an unusual circulation is drawn towards the "
    "usual one. The first pass between slow frames is a guess within the interval."
)
Truth = tuple[np.ndarray, np.ndarray]
"""Plasma concentration [mM] and its times [s]."""


def fit_aif(
    training: tuple[Sequence[AifCurves], Sequence[Truth]],
    validation: tuple[Sequence[AifCurves], Sequence[Truth]],
    *,
    settings: AifSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[int, EpochRow], None] | None = None,
) -> tuple[Weights, tuple[Trained, ...]]:
    """Fit an ensemble of networks to pairs of measured and true arterial curves.

    Args:
        training: measured curves, and the plasma curve of each; two picks of one patient may be
            two of them.
        validation: of other patients; they choose the epoch and how wide the interval is.
        settings: of the networks.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told the member, from 0, and its epoch.

    Returns:
        The weights, whose card says nothing yet of whose curves they are, and the trainings.

    Raises:
        QuantityError: fewer than 50 curves in either part.

    Assumes:
        Patients of training and validation are disjoint.

    Source:
        The task: Choi et al., Radiology 2020;297:178, doi 10.1148/radiol.2020192763. Mean and
        variance: Seitzer et al., ICLR 2022 (arXiv 2203.09168); ensemble: Lakshminarayanan et al.,
        NIPS 2017 (arXiv 1612.01474); width of the interval by held-out curves: Lei et al., J Am
        Stat Assoc 2018;113:1094.
    """
    settings = settings or AifSettings()
    parts = [_tensors(*part) for part in (training, validation)]
    trainings = []
    for member in range(settings.members):
        seed = key_of(recipe.seed, "member", member)
        trainings.append(
            train(
                AifTask(start_aif(settings, seed=seed)), *parts,
                settings=replace(recipe, seed=seed), machine=machine or Machine(),
                folder=None if folder is None else folder / f"member-{member + 1}",
                on_epoch=None if on_epoch is None else _told(on_epoch, member),
                about=asdict(settings),
            )
        )  # fmt: skip
    members = [done.network for done in trainings if isinstance(done.network, AifNetwork)]
    ensemble = AifEnsemble(members).eval()
    measured = _calibrate(ensemble, *parts)
    card = ModelCard(
        name=KIND, kind=KIND, settings=asdict(settings), trained_on="curves that were given",
        simulated=False, protocol=_PROTOCOL, limits=_LIMITS, version=VERSION, measured=measured,
    )  # fmt: skip
    return weights_of(ensemble, card), tuple(trainings)


def aif_network(weights: Weights) -> AifEnsemble:
    """Return the networks of weights, ready to use.

    Raises:
        FileError: they are of another kind.
    """
    require_kind(weights, KIND, command="scripts/make_aif_translation")
    settings = AifSettings(**{k: int(v) for k, v in weights.card.settings.items()})
    ensemble = AifEnsemble([start_aif(settings, seed=0) for _ in range(settings.members)])
    load_weights(ensemble, weights)
    return ensemble.eval()


def _tensors(curves: Sequence[AifCurves], truth: Sequence[Truth]) -> Tensors:
    if len(curves) < _FEWEST:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(curves)} arterial curves to learn from",
            mend=f"give at least {_FEWEST} for training and for validation",
        )
    return (*aif_inputs(curves), aif_targets(curves, truth))


@one_thread_count(1)
def _calibrate(ensemble: AifEnsemble, training: Tensors, validation: Tensors) -> dict[str, float]:
    """Set the width of the interval and what is usual; return what the card says of it."""
    channels, scalars, target = validation
    with torch.no_grad():
        mean, spread = ensemble(channels, scalars)
    after = torch.from_numpy(AXIS_S >= 0)
    off = ((target - mean).abs() / spread)[:, after]
    ensemble.reach.fill_(float(np.quantile(off.numpy(), _COVERED)))
    known = aif_summaries(training[0], training[1])
    usual, covariance = usual_of(known)
    ensemble.usual.copy_(torch.from_numpy(usual))
    ensemble.spread.copy_(torch.from_numpy(covariance))
    score = unlike_scores(known, usual, covariance)
    error = float((target - mean)[:, after].square().mean().sqrt())
    return {
        UNLIKE: float(np.nanquantile(score, 0.99)),
        "validation_log_error": error,
        "training_curves": float(len(training[0])),
        "validation_curves": float(len(channels)),
    }


def _told(on_epoch: Callable[[int, EpochRow], None], member: int) -> Callable[[EpochRow], None]:
    return lambda row: on_epoch(member, row)

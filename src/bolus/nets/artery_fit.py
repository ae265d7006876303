"""Arteries by a network: learned on series whose arteries are known, proposed in others."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from bolus._version import VERSION
from bolus.core.arrays import Curve
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError, QuantityError
from bolus.nets.artery_input import ArteryInput, artery_input
from bolus.nets.artery_picker import ArteryPicker, ArterySettings, ArteryTask, start_artery
from bolus.nets.batches import Tensors
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "artery-picker"
RECIPE = TrainSettings(epochs=10, batch_size=512, learning_rate=3e-3, seed=1, patience=6)
_FEWEST = 100
_SHOWN = 0.02
"""Voxels with a larger share of artery are all learned from."""
_OTHERS = 600
"""Voxels without artery that are learned from, of each series: the tallest, and as many others."""
_USABLE = 0.3
_CHUNK = 1 << 14
_PROTOCOL = ProtocolRange(limits={"interval_s": (1.0, 6.0), "duration_s": (60.0, 600.0)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArteryExam:
    """A series (x, y, z, t) as `artery_input` takes it, and the share of artery in each voxel."""

    values: Float[np.ndarray, "x y z t"]
    times_s: Curve
    brain: Bool[np.ndarray, "x y z"]
    kind: str
    share: Float[np.ndarray, "x y z"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProposedArteries:
    """The voxels to average, and the expected share of artery of all (0 where none was looked for).

    `searched` voxels were tall enough to be looked at. `outside` says in words what of the series
    is beyond what the network was trained for.
    """

    mask: Bool[np.ndarray, "x y z"]
    share: Float32[np.ndarray, "x y z"]
    searched: int
    outside: tuple[str, ...]


def fit_artery(
    training: Iterable[ArteryExam],
    validation: Iterable[ArteryExam],
    *,
    settings: ArterySettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, Trained]:
    """Learn what share of a voxel is artery.

    Args:
        training: series with known arteries; taken one by one, and not kept.
        validation: of other patients.
        settings: of the network.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights, whose card says nothing yet of who the series are from, and the training.

    Raises:
        QuantityError: fewer than 100 voxels to learn from.
        MetadataError, GeometryError, TimingError: as `artery_input`.

    Assumes:
        Shares are known to about a tenth.

    Source:
        Ours. Others' pickers by networks: Winder et al., Med Phys 2020;47:4199,
        doi 10.1002/mp.14351.
    """
    settings = settings or ArterySettings()
    learned, others = (_gather(exams, seed=recipe.seed) for exams in (training, validation))
    done = train(
        ArteryTask(start_artery(settings, seed=recipe.seed)), learned, others, settings=recipe,
        machine=machine or Machine(), folder=folder, on_epoch=on_epoch, about=asdict(settings),
    )  # fmt: skip
    error = min(row.losses["validation_loss"] for row in done.history)
    card = ModelCard(
        name=KIND, kind=KIND, settings=asdict(settings), trained_on="series that were given",
        simulated=False, protocol=_PROTOCOL, version=VERSION,
        limits="It knows arteries by their curves among those of the same brain. It does not know "
        "late arteries behind a stenosis, and corrects no partial volume.",
        measured={"validation_loss": float(error)},
    )  # fmt: skip
    return weights_of(done.network, card), done


@one_thread_count(1)
def propose_arteries(
    values: Float[np.ndarray, "x y z t"],
    times_s: Curve,
    brain: Bool[np.ndarray, "x y z"],
    weights: Weights,
    *,
    kind: str,
    voxels: int = 10,
) -> ProposedArteries:
    """Propose arterial voxels of a series.

    Args:
        values: ΔR2* [1/s] of DSC or concentration [mM] of DCE; curves with NaN are passed over.
        times_s: of the frames [s].
        brain: where to look.
        weights: of `fit_artery`.
        kind: "dsc" or "dce".
        voxels: how many at most.

    Returns:
        The voxels with the largest expected share of artery, at least 0.3, as a mask for
        `aif_from_region` or `dce_aif_from_region`; and all shares.

    Raises:
        FileError: the weights are of another kind of network.
        MetadataError: AIF_NOT_FOUND no voxel comes to 0.3; the kind is not known.
        GeometryError, TimingError: as `artery_input`.

    Assumes:
        As `artery_input`.

    Source:
        As `fit_artery`.
    """
    card = require_kind(weights, KIND, command="scripts/make_artery_picker")
    network = ArteryPicker(ArterySettings(**{k: int(v) for k, v in card.settings.items()}))
    load_weights(network, weights)
    seen = artery_input(values, times_s, brain, kind=kind)
    found = _shares(network, seen)
    best = np.argsort(-found, kind="stable")[:voxels]
    best = best[found[best] >= _USABLE]
    if not len(best):
        raise MetadataError(
            Code.AIF_NOT_FOUND,
            f"the best of {len(found)} voxels is expected to be {found.max(initial=0.0):.2f} "
            f"artery, and {_USABLE} is needed",
            mend="give the curve with --aif, draw a region, or use the deterministic search",
        )
    mask, share = np.zeros(brain.shape, bool), np.zeros(brain.shape, np.float32)
    mask[tuple(seen.indices[best].T)] = True
    share[tuple(seen.indices.T)] = found
    asked = {
        "interval_s": float(np.median(np.diff(times_s))),
        "duration_s": float(times_s[-1] - times_s[0]),
    }
    return ProposedArteries(
        mask=mask, share=share, searched=len(found), outside=card.protocol.outside(asked)
    )


def _shares(network: ArteryPicker, seen: ArteryInput) -> Float32[np.ndarray, " n"]:
    """Return the expected share of artery of every voxel that was seen."""
    features = torch.from_numpy(seen.features)
    parts = [np.zeros(0, np.float32)]
    with torch.inference_mode():
        for first in range(0, len(features), _CHUNK):
            parts.append(torch.sigmoid(network(features[first : first + _CHUNK])).numpy())
    return np.concatenate(parts)


def _gather(exams: Iterable[ArteryExam], *, seed: int) -> Tensors:
    """Return features and shares: all voxels with some artery, and as many of the others.

    Raises:
        QuantityError: there are too few.
    """
    features, shares = [], []
    for n, exam in enumerate(exams):
        seen = artery_input(exam.values, exam.times_s, exam.brain, kind=exam.kind)
        share = np.asarray(exam.share, np.float32)[tuple(seen.indices.T)]
        chosen = _chosen(seen.features, share, stream(seed, "artery", str(n)))
        features.append(seen.features[chosen])
        shares.append(share[chosen])
    count = sum(map(len, shares))
    if count < _FEWEST:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{count} voxels to learn arteries from",
            mend="give whole series of several patients",
        )
    return torch.from_numpy(np.concatenate(features)), torch.from_numpy(np.concatenate(shares))


def _chosen(
    features: Float32[np.ndarray, "n channels points"],
    share: Float32[np.ndarray, " n"],
    random: np.random.Generator,
) -> np.ndarray:
    """Return which voxels of a series are learned from, in their order."""
    others = np.flatnonzero(share <= _SHOWN)
    order = np.argsort(-features[others, 0].max(axis=1), kind="stable")
    rest = random.permutation(order[_OTHERS:])[:_OTHERS]
    kept = others[np.concatenate([order[:_OTHERS], rest])]
    return np.sort(np.concatenate([np.flatnonzero(share > _SHOWN), kept]))

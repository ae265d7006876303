"""The one training loop: what all networks of this package are trained with.

Lightning turns the crank. What is ours is that everything random of a step is a function of seed,
epoch and step, so that a training that was killed goes on as if nothing had been.
"""

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.warnings import PossibleUserWarning
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, WeightAveraging
from torch import Tensor, nn

from bolus.errors import Code, InputError, MetadataError
from bolus.nets.batches import (
    Batches,
    Share,
    Tensors,
    digest_of,
    generator,
    key_of,
    require_tensors,
    seed_layers,
    seeded,
)
from bolus.nets.checkpoints import WholeCheckpoints
from bolus.nets.epochs import WATCHED, EpochRow, Keeper, Losses
from bolus.nets.machine import Machine, interruptible, one_thread_count
from bolus.nets.schedules import SCHEDULES, averaged

__all__ = ["CHECKPOINT", "EpochRow", "Machine", "Task", "TrainSettings", "Trained", "train"]

CHECKPOINT = "last.ckpt"
"""The file below the folder of a training from which it goes on."""
_MARK = "bolus"
_TOGETHER = "ddp_fork"
"""Several devices are processes that this one forks: a command is not run once more for each."""
_TALKATIVE = ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")


@runtime_checkable
class Task(Protocol):
    """What is learned: a network and its losses.

    Both losses return "loss", a scalar, and any other scalars that are worth a column in the
    learning curves. `training_loss` draws only from `random`. A task may also have
    `after_epoch(epoch, random)`, called before validation: restarting dead codes is such a thing.
    Every parameter has to take part in the loss, or several devices cannot share a batch.
    """

    @property
    def network(self) -> nn.Module:
        """Return the network."""
        ...

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss that gradients are taken of."""
        ...

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss that the best epoch is chosen by."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long and how fast a network learns.

    `warm_up` is the share of all steps in which the learning rate rises from 0; then it follows
    `schedule`, of `schedules.SCHEDULES`. `patience` is the number of epochs without a better
    validation loss after which training stops. `ema_decay` averages the weights over steps; the
    average is what is validated and returned; early steps are forgotten faster; 0 turns it off.
    `clip` limits the norm of the gradient, 0 turns it off. `precision` is Lightning's:
    "32-true", "bf16-mixed", "16-mixed".

    Raises:
        MetadataError: a number is out of range, or the schedule is not known.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    weight_decay: float = 0.0
    warm_up: float = 0.05
    schedule: str = "cosine"
    patience: int = 10
    ema_decay: float = 0.99
    clip: float = 1.0
    precision: str = "32-true"

    def __post_init__(self) -> None:
        counts = min(self.epochs, self.batch_size, self.patience) >= 1
        rates = self.learning_rate > 0 and min(self.weight_decay, self.clip) >= 0
        shares = 0 <= self.warm_up < 1 and 0 <= self.ema_decay < 1
        if not (counts and rates and shares and self.schedule in SCHEDULES):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"settings of a training that cannot be: {asdict(self)}",
                mend="give positive counts and rates, shares from 0 to below 1, and a schedule of "
                + ", ".join(SCHEDULES),
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """A trained network, the averaged weights of its best epoch, and how it got there."""

    network: nn.Module
    history: tuple[EpochRow, ...]
    best_epoch: int
    seconds: float
    device: str


def train(
    task: Task,
    training: Tensors,
    validation: Tensors,
    *,
    settings: TrainSettings,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
    about: Mapping[str, object] | None = None,
) -> Trained:
    """Train a network; go on where an earlier run in the same folder was stopped.

    Args:
        task: what is learned. Its network is changed, and is the one that comes back.
        training: examples, equal first dimensions, in memory.
        validation: other examples, of other subjects; they decide which epoch is kept.
        settings: how.
        machine: where; None is `Machine()`.
        folder: of checkpoints; None keeps none.
        on_epoch: told about every epoch that was run, not about those of an earlier run.
        about: what else decides the result, such as settings of the task; what JSON can hold.

    Returns:
        The network with the averaged weights of the epoch of the least validation loss.

    Raises:
        QuantityError: examples are missing or not finite.
        InputError: what lies in the folder is damaged, or of another network, other settings or
            other data; or the loss never was a number.
        KeyboardInterrupt: it was stopped; the last complete epoch is in the folder.

    Assumes:
        Subjects of training and validation are disjoint (`core.Split` sees to it). One thread
        count and one kind of device give the same bytes again; another may not.

    Source:
        Averaging of weights: Polyak and Juditsky, SIAM J Control Optim 1992;30:838.
    """
    require_tensors(training, what="training")
    require_tensors(validation, what="validation")
    chosen = machine or Machine()
    start = tuple(task.network.state_dict().values())
    said = json.dumps([asdict(settings), about], sort_keys=True, default=str)
    digest = key_of(0, said, digest_of(start, training, validation))
    losses = Losses()
    learner = _Learner(task, settings, losses, digest=digest)
    started = time.monotonic()
    with _quiet(), one_thread_count(chosen.threads), tempfile.TemporaryDirectory() as passing:
        keeper = Keeper(
            task.network, losses, seed=settings.seed,
            after_epoch=getattr(task, "after_epoch", None), on_epoch=on_epoch,
            hand_over=Path(passing, "kept") if chosen.devices > 1 else None,
        )  # fmt: skip
        callbacks = _callbacks(keeper, settings, folder)
        trainer = _trainer(chosen, settings, folder, callbacks)
        with seeded(settings.seed, "training"), interruptible():
            _fit(trainer, learner, training, validation, folder)
        keeper.take_over()
    task.network.load_state_dict(keeper.best_weights())
    task.network.cpu().eval()
    return Trained(
        network=task.network,
        history=tuple(keeper.rows),
        best_epoch=keeper.best_epoch,
        seconds=time.monotonic() - started,
        device=str(trainer.strategy.root_device),
    )


def _fit(
    trainer: Trainer,
    learner: "_Learner",
    training: Tensors,
    validation: Tensors,
    folder: Path | None,
) -> None:
    """Run the loop, from the checkpoint where there is one."""
    settings, last = learner.settings, folder / CHECKPOINT if folder is not None else None
    share = Share(of=lambda: trainer.world_size, number=lambda: trainer.global_rank)
    dealt = Batches(
        training, size=settings.batch_size, seed=settings.seed,
        epoch=lambda: trainer.current_epoch, share=share,
    )  # fmt: skip
    held_out = Batches(validation, size=8 * settings.batch_size, seed=None, epoch=lambda: 0)
    going_on = last if last is not None and last.is_file() else None
    if going_on is not None:
        _require_same(going_on, learner.digest)
    trainer.fit(learner, dealt, held_out, ckpt_path=going_on, weights_only=True)


def _require_same(checkpoint: Path, digest: int) -> None:
    """Refuse to go on from another training."""
    if WholeCheckpoints().load_checkpoint(checkpoint).get(_MARK) != digest:
        raise InputError(
            Code.TRAINING_MISMATCH,
            "an earlier training in this folder had another network, other settings or other data",
            mend="give those of the first run, or another output folder",
            where=str(checkpoint),
        )


def _trainer(
    machine: Machine, settings: TrainSettings, folder: Path | None, callbacks: list[Callback]
) -> Trainer:
    """Return Lightning's trainer with everything off that writes, prints or asks the cluster."""
    return Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        strategy=_TOGETHER if machine.devices > 1 else "auto",
        precision=settings.precision,  # type: ignore[arg-type] # a literal, checked there
        plugins=[LightningEnvironment(), WholeCheckpoints()],
        max_epochs=settings.epochs,
        gradient_clip_val=settings.clip or None,
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _callbacks(keeper: Keeper, settings: TrainSettings, folder: Path | None) -> list[Callback]:
    """Return what watches the loop; `Keeper` says why it comes first."""
    found: list[Callback] = [keeper]
    if settings.ema_decay:
        found.append(WeightAveraging(multi_avg_fn=averaged(settings.ema_decay)))
    found.append(EarlyStopping(WATCHED, patience=settings.patience, check_on_train_epoch_end=True))
    if folder is not None:
        name = CHECKPOINT.removesuffix(".ckpt")
        found.append(
            ModelCheckpoint(
                folder, name, save_on_train_epoch_end=True, enable_version_counter=False
            )
        )
    return found


class _Learner(LightningModule):
    """A task as Lightning wants it."""

    def __init__(self, task: Task, settings: TrainSettings, losses: Losses, *, digest: int) -> None:
        super().__init__()
        self.task, self.network = task, task.network
        self.settings, self.losses, self.digest = settings, losses, digest

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; Lightning notes its hook 48 times a step, and torch's way is slow."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def training_step(self, batch: Tensors, number: int) -> Tensor:
        """Return the loss of a batch; layers that draw, draw from the step's own seed."""
        own = (self.global_rank,) if self.global_rank else ()
        where = (self.settings.seed, "step", self.current_epoch, number, *own)
        seed_layers(key_of(*where, "layers"), self.device)
        losses = self.task.training_loss(batch, generator(*where, device=str(self.device)))
        self.losses.note("training", losses, len(batch[0]))
        return losses["loss"]

    def validation_step(self, batch: Tensors, number: int) -> None:  # noqa: ARG002 - Lightning's
        """Note the losses of a batch."""
        losses = self.task.validation_loss(batch)
        self.losses.note("validation", losses, len(batch[0]))
        self.log(WATCHED, losses["loss"], batch_size=len(batch[0]), on_epoch=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what this training is."""
        checkpoint[_MARK] = self.digest

    def configure_optimizers(self) -> Any:
        """Return AdamW, and a learning rate that changes with every step."""
        settings = self.settings
        optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            foreach=True,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        rise = max(1, round(settings.warm_up * steps))
        fall = SCHEDULES[settings.schedule]

        def factor(step: int) -> float:
            return (step + 1) / rise if step < rise else fall((step - rise) / max(1, steps - rise))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return [optimiser], [{"scheduler": schedule, "interval": "step"}]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice and its inventory of the machine from users."""
    logs = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            warnings.filterwarnings("ignore", "Checkpoint directory", UserWarning)
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)

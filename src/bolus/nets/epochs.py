"""What is kept of every epoch: its losses, and the weights of the best so far."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from bolus.errors import Code, InputError
from bolus.nets.batches import generator
from bolus.nets.checkpoints import packed, unpacked

WATCHED = "validation_loss"
"""The loss that the best epoch is chosen by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One epoch: mean losses by name ("training_loss", "validation_loss", ...), and its time."""

    epoch: int
    learning_rate: float
    losses: Mapping[str, float]
    cpu_seconds: float


class Losses:
    """The losses of the batches so far; they stay on their device until an epoch ends."""

    def __init__(self) -> None:
        self._noted: dict[str, list[tuple[Tensor, int]]] = {}

    def note(self, part: str, losses: Mapping[str, Tensor], count: int) -> None:
        """Take up the losses of a batch of so many examples."""
        for name, value in losses.items():
            self._noted.setdefault(f"{part}_{name}", []).append((value.detach(), count))

    def means(self) -> dict[str, float]:
        """Return the mean over examples of everything noted since the last call."""
        found = {
            name: sum(float(value) * count for value, count in noted) / sum(n for _, n in noted)
            for name, noted in self._noted.items()
        }
        self._noted = {}
        return found


class Keeper(Callback):
    """Keeps the best weights and the learning curve; both are part of a checkpoint.

    It has to come before the callback that averages weights: so it sees the weights of the last
    step when validation starts, and the averaged ones when validation ends.
    """

    def __init__(
        self,
        network: nn.Module,
        losses: Losses,
        *,
        seed: int,
        after_epoch: Callable[[int, torch.Generator], None] | None,
        on_epoch: Callable[[EpochRow], None] | None,
        hand_over: Path | None,
    ) -> None:
        self.network, self.losses, self.seed = network, losses, seed
        self.after_epoch, self.on_epoch, self.hand_over = after_epoch, on_epoch, hand_over
        self.rows: list[EpochRow] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch, self.least = -1, float("inf")
        self._began = time.process_time()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin to count."""
        self._began = time.process_time()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Let the task look at its network once an epoch; all devices get what the first made."""
        if self.after_epoch is None:
            return
        epoch = trainer.current_epoch
        self.after_epoch(epoch, generator(self.seed, "epoch", epoch))
        if trainer.world_size > 1:
            for tensor in self.network.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note the epoch, and keep its weights if they are the best so far."""
        losses = self.losses.means()
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        row = EpochRow(
            epoch=trainer.current_epoch,
            learning_rate=rate,
            losses=losses,
            cpu_seconds=time.process_time() - self._began,
        )
        self.rows.append(row)
        if losses[WATCHED] < self.least:
            self.least, self.best_epoch = losses[WATCHED], row.epoch
            self.best = {
                name: value.detach().cpu().clone()
                for name, value in self.network.state_dict().items()
            }
        if self.on_epoch is not None and trainer.is_global_zero:
            self.on_epoch(row)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Hand everything to the process that asked, where this is another one."""
        if self.hand_over is not None and trainer.is_global_zero:
            self.hand_over.write_bytes(packed(self.state_dict()))

    def take_over(self) -> None:
        """Take up what another process handed over, if there was one."""
        if self.hand_over is not None:
            self.load_state_dict(unpacked(self.hand_over.read_bytes()))

    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights of the best epoch.

        Raises:
            InputError: no epoch had a loss that is a number.
        """
        if not self.best:
            raise InputError(
                Code.ARGUMENT_INVALID,
                "the loss of validation was never a finite number",
                mend="lower the learning rate",
            )
        return self.best

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "rows": [asdict(replace(row, losses=dict(row.losses))) for row in self.rows],
            "best": self.best,
            "best_epoch": self.best_epoch,
            "least": self.least,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what a checkpoint kept."""
        self.rows = [EpochRow(**row) for row in state_dict["rows"]]
        self.best, self.least = state_dict["best"], state_dict["least"]
        self.best_epoch = state_dict["best_epoch"]

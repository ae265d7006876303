"""What the training loop costs beside the same steps in a bare loop, and how fast a device is.

Run: python benchmarks/training.py [--device gpu] [--threads 2]; prints one JSON line.
"""

import argparse
import json
import time
from itertools import pairwise

import torch
from torch import nn

from bolus.nets.batches import generator, seeded
from bolus.nets.machine import Machine
from bolus.nets.train import TrainSettings, train

CURVES, POINTS, BATCH, EPOCHS = 100_000, 60, 1024, 5


class Codes:
    """A network of the size of that of the perfusion codes, as an autoencoder."""

    def __init__(self):
        with seeded(1, "benchmark"):
            self.network = nn.Sequential(
                nn.Linear(POINTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6),
                nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, POINTS),
            )  # fmt: skip

    def training_loss(self, batch, random):  # noqa: ARG002 - a task's
        return {"loss": (self.network(batch[0]) - batch[0]).abs().mean()}

    def validation_loss(self, batch):
        return {"loss": (self.network(batch[0]) - batch[0]).abs().mean()}


class Tiny(Codes):
    """Next to no work: what is left is the loop."""

    def __init__(self):
        with seeded(1, "benchmark"):
            self.network = nn.Sequential(nn.Linear(POINTS, 2), nn.Linear(2, POINTS))


def bare(task, curves, settings):
    """CPU time of the quickest epoch of the same steps without Lightning."""
    network = task.network
    averaged = [parameter.detach().clone() for parameter in network.parameters()]
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, foreach=True)
    spent = []
    for epoch in range(settings.epochs):
        begin = time.process_time()
        order = torch.randperm(len(curves), generator=generator(1, epoch))
        for start in range(0, len(curves), settings.batch_size):
            optimiser.zero_grad()
            batch = curves.index_select(0, order[start : start + settings.batch_size])
            task.training_loss((batch,), None)["loss"].backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(averaged, list(network.parameters()), 0.01)
        spent.append(time.process_time() - begin)
    return min(spent)


def measured(kind, curves, machine):
    """CPU and wall time of the quickest epoch, and what a step costs more than in a bare loop."""
    settings = TrainSettings(epochs=EPOCHS, batch_size=BATCH, learning_rate=1e-3, seed=1)
    least = bare(kind(), curves, settings)
    stamps = []
    done = train(
        kind(), (curves,), (curves[:BATCH],), settings=settings, machine=machine,
        on_epoch=lambda _: stamps.append(time.monotonic()),
    )  # fmt: skip
    ours = min(row.cpu_seconds for row in done.history)
    return {
        "device": done.device,
        "epoch_cpu_s": round(ours, 3),
        "epoch_wall_s": round(min(b - a for a, b in pairwise(stamps)), 3),
        "bare_epoch_cpu_s": round(least, 3),
        "overhead_ms_per_step": round(1e3 * (ours - least) / -(-len(curves) // BATCH), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", choices=("auto", "cpu", "gpu"))
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    machine = Machine(accelerator=chosen.device, threads=chosen.threads)
    curves = torch.rand(CURVES, POINTS, generator=generator(1, "curves"))
    measured(Tiny, curves[: 8 * BATCH], machine)  # what is loaded or tuned once
    found = {kind.__name__.lower(): measured(kind, curves, machine) for kind in (Codes, Tiny)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()

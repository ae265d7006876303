"""Train on so many processes of the CPU that share every batch; prints the first weights."""

import json
import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from test_nets_train import Lines, fit

from bolus.nets.machine import Machine
from bolus.nets.train import TrainSettings


class Plain(Lines):
    """Without noise or dropout, which devices draw each for themselves."""

    def __init__(self):
        super().__init__()
        self.network[1] = nn.Identity()

    def training_loss(self, batch, random):
        return {"loss": (self.network(batch[0]) - batch[1]).square().mean()}


settings = TrainSettings(epochs=4, batch_size=20, learning_rate=0.02, seed=5)
done = fit(Plain(), settings, machine=Machine(accelerator="cpu", devices=int(sys.argv[1])))
print(json.dumps(done.network[0].weight.tolist()))

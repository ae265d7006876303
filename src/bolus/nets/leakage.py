"""An autoencoder of enhancement curves that knows normal tissue only: the rest is leakage."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import Tensors, seeded

_SLOPE = 0.1
_DROPPED = 0.5
"""Share of each batch that is seen with fewer frames than it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageSettings:
    """The network: `points` of a curve, the first `seen` of which the encoder sees; its widths.

    `latents` numbers are the bottleneck. One is enough: more describe leakage as well.

    Raises:
        MetadataError: a number is below 1, or more is seen than there is.
    """

    points: int = 44
    seen: int = 9
    hidden: int = 32
    latents: int = 1

    def __post_init__(self) -> None:
        if min(self.seen, self.hidden, self.latents) < 1 or self.seen > self.points:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a network that cannot be: {asdict(self)}",
                mend="give positive numbers, and no more seen points than points",
            )


class LeakageAutoencoder(nn.Module):
    """The first pass in enhancement curves (n, points) to bounded numbers, and back to all of it.

    What the vessels of a voxel hold shows in the first pass, leakage after it: an encoder that sees
    the whole curve describes leakage too. Numbers between -1 and 1 keep what comes back within
    the range of the curves that were learned.
    """

    scale: Tensor

    def __init__(self, settings: LeakageSettings) -> None:
        super().__init__()
        half = max(settings.hidden // 2, 1)
        self.seen = settings.seen
        self.encoder = nn.Sequential(
            nn.Linear(2 * settings.seen, settings.hidden), nn.LeakyReLU(_SLOPE),
            nn.Linear(settings.hidden, half), nn.LeakyReLU(_SLOPE),
            nn.Linear(half, settings.latents), nn.Tanh(),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(settings.latents, half), nn.LeakyReLU(_SLOPE),
            nn.Linear(half, settings.hidden), nn.LeakyReLU(_SLOPE),
            nn.Linear(settings.hidden, settings.points),
        )  # fmt: skip
        self.register_buffer("scale", torch.ones(()))

    def forward(self, values: Tensor, measured: Tensor) -> Tensor:
        """Return the curves that come back, in the units of `values`."""
        shown = slice(0, self.seen)
        pair = [values[:, shown] / self.scale, measured[:, shown]]
        latent = self.encoder(torch.cat(pair, dim=1))
        back: Tensor = self.decoder(latent)
        return self.scale * back


class LeakageTask:
    """Mean absolute error to normal curves, half of them seen at every second or third point."""

    def __init__(self, network: LeakageAutoencoder) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss."""
        values, measured = batch
        seen = _sparser(values, random)
        return {"loss": self._error(seen, values, measured)}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss on curves as they were measured."""
        values, measured = batch
        return {"loss": self._error(values, values, measured)}

    def _error(self, seen: Tensor, values: Tensor, measured: Tensor) -> Tensor:
        back = self.network(seen, measured)
        off = (back - values).abs() * measured
        mean: Tensor = off.sum() / measured.sum() / self.network.scale
        return mean


def start_leakage(settings: LeakageSettings, values: Tensor, *, seed: int) -> LeakageAutoencoder:
    """Return a network that has learned nothing, with the scale of the curves.

    Args:
        settings: of the network.
        values: (n, points) normal curves, whose root mean square becomes the unit.
        seed: decides its first weights.
    """
    with seeded(seed, "leakage"):
        network = LeakageAutoencoder(settings)
    network.scale.fill_(float(values.square().mean().sqrt().clamp_min(1e-6)))
    return network


def _sparser(values: Tensor, random: torch.Generator) -> Tensor:
    """Return curves, half of them interpolated from every second to fourth point."""
    step = int(torch.randint(2, 5, (), generator=random, device=random.device))
    first = int(torch.randint(0, step, (), generator=random, device=random.device))
    points = values.shape[1]
    place = (torch.arange(points, device=values.device) - first) / step
    last = (points - 1 - first) // step
    place = place.clamp(0, last)
    lower = place.floor().long().clamp(max=max(last - 1, 0))
    share = place - lower
    known = values[:, first::step]
    above = (lower + 1).clamp(max=known.shape[1] - 1)
    sparse = (1 - share) * known[:, lower] + share * known[:, above]
    chosen = torch.rand(len(values), 1, generator=random, device=random.device) < _DROPPED
    return torch.where(chosen, sparse, values)

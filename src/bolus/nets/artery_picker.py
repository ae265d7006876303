"""A network that tells from a voxel's curve how much of the voxel is artery."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.artery_input import CHANNELS, POINTS
from bolus.nets.batches import Tensors, seeded

_SCALED = (0, 2)
"""Channels that are heights over the tallest of the brain."""
_SCALES = (0.8, 1.25)
_NOISY = (0, 1)
_NOISE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class ArterySettings:
    """The network: channels of its convolutions over time, and numbers of its hidden layer.

    Raises:
        MetadataError: a number is below 1.
    """

    width: int = 16
    hidden: int = 32

    def __post_init__(self) -> None:
        if min(self.width, self.hidden) < 1:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a network that cannot be: {asdict(self)}",
                mend="give positive numbers",
            )


class ArteryPicker(nn.Module):
    """Curves (n, channels, points) to the logit (n,) of the share of artery in the voxel."""

    def __init__(self, settings: ArterySettings) -> None:
        super().__init__()
        wide = settings.width + settings.width // 2
        self.layers = nn.Sequential(
            nn.Conv1d(CHANNELS, settings.width, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv1d(settings.width, wide, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv1d(wide, wide, 3, padding=1), nn.ReLU(),
            nn.Flatten(),
            nn.Linear(wide * (POINTS // 4), settings.hidden), nn.ReLU(),
            nn.Linear(settings.hidden, 1),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits."""
        found: Tensor = self.layers(features)
        return found.squeeze(1)


class ArteryTask:
    """Cross entropy with the share of artery as the soft label: the answer is its expected value.

    In training heights vary, frames move by a point, and noise is added: a brain may have more
    arteries than those of the simulator, and another scanner more noise.
    """

    def __init__(self, network: ArteryPicker) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss of curves that were changed at random."""
        features, share = batch
        seen = features.clone()
        count, device = len(seen), random.device
        low, high = _SCALES
        scale = low + (high - low) * torch.rand(count, 1, 1, generator=random, device=device)
        seen[:, _SCALED] = seen[:, _SCALED] * scale
        noise = torch.randn(count, len(_NOISY), POINTS, generator=random, device=device)
        level = _NOISE * torch.rand(count, 1, 1, generator=random, device=device)
        seen[:, _NOISY] = seen[:, _NOISY] + level * noise
        step = int(torch.randint(-1, 2, (), generator=random, device=device))
        place = (torch.arange(POINTS, device=seen.device) + step).clamp(0, POINTS - 1)
        return self.validation_loss((seen[:, :, place], share))

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss."""
        features, share = batch
        return {
            "loss": nn.functional.binary_cross_entropy_with_logits(self.network(features), share)
        }


def start_artery(settings: ArterySettings, *, seed: int) -> ArteryPicker:
    """Return a network that has learned nothing.

    Args:
        settings: of the network.
        seed: decides its first weights.
    """
    with seeded(seed, "artery"):
        return ArteryPicker(settings)

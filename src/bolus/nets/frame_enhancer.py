"""A network that takes noise from images of the time courses that a series is made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import Tensors, seeded

INPUTS = 7
"""Channels: three slices of an image, three of the mean image, and the noise of the middle one."""
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSettings:
    """The network: its channels, its convolutions, and the largest change in noise levels.

    Raises:
        MetadataError: a number is too small.
    """

    width: int = 24
    depth: int = 6
    most: float = 4.0

    def __post_init__(self) -> None:
        if self.width < 1 or self.depth < 2 or self.most <= 0:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a network that cannot be: {asdict(self)}",
                mend="give positive numbers, and two convolutions or more",
            )


class FrameEnhancer(nn.Module):
    """What is noise in the middle slice (n, 1, h, w), of inputs (n, 7, h, w), and it taken away.

    The change is never more than `most` times the noise of a pixel: what stands out further stays,
    and nothing larger than noise could hide is made. A network that has learned nothing changes
    nothing.
    """

    def __init__(self, settings: FrameSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (INPUTS, *(settings.width,) * (settings.depth - 2)):
            layers += [nn.Conv2d(channels, settings.width, 3, padding=1), nn.ReLU()]
        last = nn.Conv2d(settings.width, 1, 3, padding=1)
        for held in last.parameters():
            nn.init.zeros_(held)
        self.layers = nn.Sequential(*layers, last)
        self.most = settings.most

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the middle slice without noise, in the units of the inputs."""
        level = inputs[:, 6:7]
        change = self.most * torch.tanh(self.layers(inputs) / self.most)
        cleaned: Tensor = inputs[:, 1:2] - level * change
        return cleaned


class FrameTask:
    """Mean squared error in units of the noise's variance: 1 is what the series had."""

    def __init__(self, network: FrameEnhancer) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss of images that are turned over and mirrored at random."""
        inputs, truth = batch
        turns = torch.randint(0, 2, (3,), generator=random, device=random.device).tolist()
        axes = [axis for axis, turn in zip((2, 3), turns[:2], strict=True) if turn]
        if axes:
            inputs, truth = inputs.flip(axes), truth.flip(axes)
        if turns[2]:  # a time course has no sign of its own
            inputs = torch.cat([-inputs[:, :3], inputs[:, 3:]], dim=1)
            truth = -truth
        return self.validation_loss((inputs, truth))

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss."""
        inputs, truth = batch
        level = inputs[:, 6:7]
        off = (self.network(inputs) - truth) / level.clamp_min(_LEAST)
        inside = level > 0
        return {"loss": (off.square() * inside).sum() / inside.sum().clamp_min(1)}


def start_frames(settings: FrameSettings, *, seed: int) -> FrameEnhancer:
    """Return a network that changes nothing yet.

    Args:
        settings: of the network.
        seed: decides its first weights.
    """
    with seeded(seed, "frames"):
        return FrameEnhancer(settings)

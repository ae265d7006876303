"""A network that corrects a physical fit and says how sure it is; heads of two kinds in one table.

It sees `KineticInput` and answers in units of its spread: where the fit is efficient, as with
little noise, the answer is 0 and 1, whatever the scanner.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import Tensors, seeded

PARAMETERS, LEVELS = 4, 4
_FURTHEST, _SOFTEST = 5.0, 6.0
_EVIDENCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticSettings:
    """The network: `features` it sees, `hidden` numbers, `members` of its ensemble, its `head`.

    `compared` of the features decide whether a curve is like those of the training.

    Raises:
        MetadataError: a number is below 1, or the head is not known.
    """

    features: int
    hidden: int = 48
    members: int = 5
    head: str = "mve"
    compared: int = 1

    def __post_init__(self) -> None:
        if (
            min(self.features, self.hidden, self.members, self.compared) < 1
            or self.head not in HEADS
        ):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a network that cannot be: {asdict(self)}",
                mend=f"give positive numbers, and a head of {', '.join(HEADS)}",
            )


class Head(Protocol):
    """What the last layer means: how many numbers for each parameter, their loss, their spread."""

    @property
    def numbers(self) -> int:
        """Return how many numbers of the last layer belong to one parameter."""
        ...

    def read(self, out: Tensor) -> Tensor:
        """Return mean, aleatoric and epistemic variance (..., 3) of (..., numbers)."""
        ...

    def loss(self, out: Tensor, truth: Tensor) -> Tensor:
        """Return the loss of every answer (...,)."""
        ...


@dataclass(frozen=True, slots=True)
class MeanVariance:
    """A mean and a variance: the network knows the noise, an ensemble of them what it does not."""

    numbers: int = 2

    def read(self, out: Tensor) -> Tensor:
        """Return mean, variance and nothing (..., 3)."""
        mean, log_std = _mean(out[..., 0]), _log_std(out[..., 1])
        return torch.stack([mean, torch.exp(2 * log_std), torch.zeros_like(mean)], dim=-1)

    def loss(self, out: Tensor, truth: Tensor) -> Tensor:
        """Return the negative log likelihood of a normal distribution."""
        log_std = _log_std(out[..., 1])
        off = (truth - _mean(out[..., 0])) * torch.exp(-log_std)
        return _tamed(off) + log_std


@dataclass(frozen=True, slots=True)
class Evidential:
    """The four numbers of a normal-inverse-gamma distribution: one network tells both variances."""

    numbers: int = 4

    def read(self, out: Tensor) -> Tensor:
        """Return mean, b / (a - 1) and b / (v (a - 1)) (..., 3)."""
        mean, v, a, b = _evidence(out)
        return torch.stack([mean, b / (a - 1), b / (v * (a - 1))], dim=-1)

    def loss(self, out: Tensor, truth: Tensor) -> Tensor:
        """Return the negative log evidence, and a price for evidence where the mean is wrong."""
        mean, v, a, b = _evidence(out)
        off, omega = (truth - mean).clamp(-1e3, 1e3), 2 * b * (1 + v)
        evidence = (
            0.5 * torch.log(torch.pi / v)
            - a * torch.log(omega)
            + (a + 0.5) * torch.log(off**2 * v + omega)
            + torch.lgamma(a)
            - torch.lgamma(a + 0.5)
        )
        scaled = off.abs() / torch.sqrt(b / (a - 1)).detach()
        return evidence + _EVIDENCE * scaled.clamp(max=10.0) * (2 * v + a)


HEADS: Mapping[str, Head] = MappingProxyType({"mve": MeanVariance(), "evidential": Evidential()})
"""Heads by name; "mve" with several members is the ensemble."""


class KineticNetwork(nn.Module):
    """Members side by side: features (n, f) to mean and two variances (n, members, 4, 3).

    `reach` is by how many standard deviations the intervals of each level reach; `ordinary`,
    `whitening` and `limit` say which curves are like those of the training.
    """

    usual: Tensor
    scale: Tensor
    reach: Tensor
    ordinary: Tensor
    whitening: Tensor
    limit: Tensor

    def __init__(self, settings: KineticSettings) -> None:
        super().__init__()
        self.head = HEADS[settings.head]
        outputs = PARAMETERS * self.head.numbers
        widths = (settings.features, settings.hidden, settings.hidden, outputs)
        self.weights, self.offsets = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in pairwise(widths):
            size = (1.0 if fan_out != outputs else 0.1) * (2.0 / fan_in) ** 0.5
            self.weights.append(size * torch.randn(settings.members, fan_in, fan_out))
            self.offsets.append(torch.zeros(settings.members, 1, fan_out))
        self.register_buffer("usual", torch.zeros(settings.features))
        self.register_buffer("scale", torch.ones(settings.features))
        self.register_buffer("reach", torch.ones(PARAMETERS, LEVELS))
        self.register_buffer("ordinary", torch.zeros(settings.compared))
        self.register_buffer("whitening", torch.eye(settings.compared))
        self.register_buffer("limit", torch.full((), torch.inf))

    def raw(self, features: Tensor) -> Tensor:
        """Return the last layer (n, members, 4, numbers)."""
        seen = ((features - self.usual) / self.scale).clamp(-6, 6)
        held = seen[None].expand(self.weights[0].shape[0], -1, -1)
        for number, (weight, offset) in enumerate(zip(self.weights, self.offsets, strict=True)):
            held = torch.bmm(held, weight) + offset
            if number < len(self.weights) - 1:
                held = nn.functional.silu(held)
        together = held.transpose(0, 1)
        return together.reshape(*together.shape[:2], PARAMETERS, self.head.numbers)

    def forward(self, features: Tensor) -> Tensor:
        """Return mean, aleatoric and epistemic variance of every member, in units of the spread."""
        return self.head.read(self.raw(features))


class KineticTask:
    """The loss of the head; each member weighs the voxels of a batch in its own way."""

    def __init__(self, network: KineticNetwork) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss."""
        features, truth = batch
        losses = self._losses(features, truth)
        drawn = torch.rand(losses.shape[:2], generator=random, device=losses.device)
        weight = -torch.log(drawn.clamp_min(1e-6))[..., None]
        return {"loss": (losses * weight).mean() / weight.mean()}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss without weights."""
        return {"loss": self._losses(*batch).mean()}

    def _losses(self, features: Tensor, truth: Tensor) -> Tensor:
        out = self.network.raw(features)
        return self.network.head.loss(out, truth[:, None].expand(out.shape[:-1]))


def start_kinetics(settings: KineticSettings, features: Tensor, *, seed: int) -> KineticNetwork:
    """Return a network that has learned nothing, with the scale of what it will see.

    Args:
        settings: of the network.
        features: (n, f) of the training.
        seed: decides its first weights.
    """
    with seeded(seed, "pharmacokinetics"):
        network = KineticNetwork(settings)
    network.usual.copy_(features.mean(dim=0))
    network.scale.copy_(features.std(dim=0).clamp_min(1e-3))
    return network


def _mean(raw: Tensor) -> Tensor:
    return torch.sinh(raw.clamp(-_SOFTEST, _SOFTEST))


def _log_std(raw: Tensor) -> Tensor:
    return raw.clamp(-_FURTHEST, _FURTHEST)


def _evidence(out: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    v = nn.functional.softplus(out[..., 1]) + 1e-2
    a = nn.functional.softplus(out[..., 2]) + 1.5
    return _mean(out[..., 0]), v, a, torch.exp(out[..., 3].clamp(-2 * _FURTHEST, 2 * _FURTHEST))


def _tamed(off: Tensor) -> Tensor:
    """Return half the square, beyond six standard deviations a line: fits that are quite wrong."""
    far = off.abs()
    return torch.where(far < 6.0, 0.5 * off**2, 6.0 * far - 18.0)

"""Networks that say what plasma did from what a poor arterial curve shows: mean and spread."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.aif_input import CHANNELS, POINTS, SCALARS, SUMMARIES
from bolus.nets.batches import Tensors, seeded

_KERNEL, _STRIDE = 5, 2
_BETA = 0.5
"""How much of the weight by the variance is given back, so that hard points are still learned."""
_LEAST_LOG = -4.0
"""Log of the smallest standard deviation, on the logarithmic scale: 2 % of a concentration."""
_WITHOUT_VEIN, _WITHOUT_DOSE, _SHORTER = 0.3, 0.3, 0.3
_SHORTEST = 48
"""Points of the axis that every training curve keeps: 84 s from the half rise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AifSettings:
    """The networks: `members` of them, each with `width` features and `hidden` numbers between.

    Raises:
        MetadataError: a number is too small.
    """

    members: int = 4
    width: int = 24
    hidden: int = 160

    def __post_init__(self) -> None:
        if self.members < 2 or min(self.width, self.hidden) < 4:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"networks that cannot be: {asdict(self)}",
                mend="give at least two members and four features",
            )


class AifNetwork(nn.Module):
    """Two convolutions over time, then dense layers, to mean and log standard deviation."""

    def __init__(self, settings: AifSettings) -> None:
        super().__init__()
        width, hidden = settings.width, settings.hidden
        pad = _KERNEL // 2
        self.stem = nn.Sequential(
            nn.Conv1d(CHANNELS, width, _KERNEL, _STRIDE, pad), nn.GELU(),
            nn.Conv1d(width, width, _KERNEL, _STRIDE, pad), nn.GELU(), nn.Flatten(),
        )  # fmt: skip
        steps = (POINTS + _STRIDE - 1) // _STRIDE
        steps = (steps + _STRIDE - 1) // _STRIDE
        self.dense = nn.Sequential(
            nn.Linear(width * steps + SCALARS, hidden), nn.GELU(),
            nn.Linear(hidden, hidden), nn.GELU(),
        )  # fmt: skip
        self.mean = nn.Linear(hidden, POINTS)
        self.spread = nn.Linear(hidden, POINTS)

    def forward(self, channels: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation (n, points) on the scale of `to_scale`."""
        features = self.dense(torch.cat([self.stem(channels), scalars], dim=1))
        return self.mean(features), self.spread(features).clamp(min=_LEAST_LOG, max=2.0)


class AifEnsemble(nn.Module):
    """Networks that began at other weights, how wide 90 % are, and what curves they know.

    `reach` multiplies the standard deviation to the half width of the interval; `usual` and
    `spread` are mean and covariance of `aif_summaries`.
    """

    reach: Tensor
    usual: Tensor
    spread: Tensor

    def __init__(self, members: Sequence[AifNetwork]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("reach", torch.tensor(1.6449))
        self.register_buffer("usual", torch.zeros(SUMMARIES))
        self.register_buffer("spread", torch.eye(SUMMARIES))

    def forward(self, channels: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation (n, points) of the mixture of all members."""
        said = [member(channels, scalars) for member in self.members]
        means = torch.stack([mean for mean, _ in said])
        within = torch.stack([(2 * log).exp() for _, log in said]).mean(0)
        return means.mean(0), (within + means.var(0, unbiased=False)).sqrt()


class AifTask:
    """Likelihood of the true curve; in training some curves lose vein, dose or their end."""

    def __init__(self, network: AifNetwork) -> None:
        self.network: nn.Module = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss of curves of which less may be known."""
        channels, scalars, target = batch
        each, variance = self._each(*poorer(channels, scalars, random), target)
        return {"loss": (each * variance.detach().pow(_BETA)).mean()}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the negative log likelihood of curves as they are: weighted, it is no score."""
        each, _ = self._each(*batch)
        return {"loss": each.mean()}

    def _each(self, channels: Tensor, scalars: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        mean, log = self.network(channels, scalars)
        variance = (2 * log).exp()
        return 0.5 * (target - mean).square() / variance + log, variance


def start_aif(settings: AifSettings, *, seed: int) -> AifNetwork:
    """Return a network with the first weights of a seed."""
    with seeded(seed, "aif"):
        return AifNetwork(settings)


def poorer(channels: Tensor, scalars: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return inputs of which some have no vein, no dose, or an earlier end.

    Args:
        channels: of `aif_inputs`.
        scalars: of `aif_inputs`.
        random: on the device of the tensors.
    """
    count, device = len(channels), channels.device

    def chosen(share: float) -> Tensor:
        return torch.rand(count, 1, generator=random, device=device) < share

    ends = torch.randint(_SHORTEST, POINTS + 1, (count, 1), generator=random, device=device)
    ends = torch.where(chosen(_SHORTER), ends, POINTS)
    kept = (torch.arange(POINTS, device=device)[None] < ends).to(channels.dtype)
    channels = channels * kept[:, None]
    vein = torch.ones(count, CHANNELS, 1, device=device)
    vein[:, (1, 3)] = (~chosen(_WITHOUT_VEIN)).to(channels.dtype)[:, None]
    dose = torch.ones(count, SCALARS, device=device)
    dose[:, 2:] = (~chosen(_WITHOUT_DOSE)).to(channels.dtype)
    return channels * vein, scalars * dose

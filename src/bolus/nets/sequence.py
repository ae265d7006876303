"""Networks that read the mean curves of an exam's regions: three kinds behind one contract.

What they share is how a curve comes in and how a probability comes out: a convolution over time,
and attention that says how much each time counts. What differs is what lies between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from bolus.core import CURVE_REGIONS
from bolus.errors import Code, MetadataError
from bolus.nets.batches import seeded
from bolus.nets.physical_axis import AXIS

STRIDE = 2
"""Points of the axis that become one step of the networks."""
STEPS = AXIS.points // STRIDE
_KERNEL = 5
_HEADS = 4
_DILATIONS = (1, 2, 4)
_SCALES = (3.0, 3.0, 3.0, 3.0, 0.5)
"""Of each region: an artery's curve is larger than tissue's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceSettings:
    """What is predicted by which network.

    `network` is a name of `SEQUENCE_NETWORKS`, `width` its number of features and `dropout` the
    share of them that is dropped in training. The probability is that of label `label` being
    `positive`. `members` are the networks of the ensemble.

    Raises:
        MetadataError: there is no such network, or a number is out of range.
    """

    network: str = "attention_lstm"
    label: str = "idh"
    positive: str = "mutant"
    members: int = 5
    width: int = 32
    dropout: float = 0.2

    def __post_init__(self) -> None:
        fits = self.members >= 2 and self.width >= 8 and self.width % 8 == 0
        if self.network not in SEQUENCE_NETWORKS or not fits or not 0 <= self.dropout < 1:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"network {self.network[:40]!r}, {self.members} members, width {self.width}, "
                f"dropout {self.dropout:g}",
                mend=f"choose one of {', '.join(SEQUENCE_NETWORKS)}, at least two members, a width "
                "that 8 divides, and a dropout from 0 to below 1",
            )


class Recurrent(nn.Module):
    """An LSTM that reads forwards and backwards.

    Source:
        The kind of Choi et al., Neuro Oncol 2019;21:1197, whose sizes are not published.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        """Return features (n, steps, width)."""
        features: Tensor = self.dropout(self.lstm(steps)[0])
        return features


class Convolutional(nn.Module):
    """Convolutions whose reach doubles from layer to layer, each added to what it read.

    Source:
        Bai, Kolter and Koltun 2018 (arXiv 1803.01271); here both sides of a time are seen.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 3, padding=reach, dilation=reach),
                nn.GELU(),
                nn.Dropout(dropout),
            )
            for reach in _DILATIONS
        )

    def forward(self, steps: Tensor) -> Tensor:
        """Return features (n, steps, width)."""
        features = steps.transpose(1, 2)
        for layer in self.layers:
            features = features + layer(features)
        return features.transpose(1, 2)


class Attending(nn.Module):
    """A transformer of two layers that learns where in time each step is.

    Source:
        Vaswani et al., NIPS 2017 (arXiv 1706.03762).
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.place = nn.Parameter(0.1 * torch.randn(STEPS, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, _HEADS, width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )

    def forward(self, steps: Tensor) -> Tensor:
        """Return features (n, steps, width)."""
        features = steps + self.place
        for layer in self.layers:
            features = layer(features)
        return features


SEQUENCE_NETWORKS: Mapping[str, Callable[[int, float], nn.Module]] = MappingProxyType(
    {"attention_lstm": Recurrent, "tcn": Convolutional, "transformer": Attending}
)
"""What lies between the convolution and the attention, by name: made of width and dropout."""


class SequenceNetwork(nn.Module):
    """Curves of regions to the log odds of a label, and the attention to each step.

    Missing regions and times are 0, and marked: the marks are channels of their own.
    """

    scales: Tensor

    def __init__(self, settings: SequenceSettings) -> None:
        super().__init__()
        width, channels = settings.width, 2 * len(CURVE_REGIONS)
        self.register_buffer("scales", torch.tensor(_SCALES)[:, None], persistent=False)
        self.stem = nn.Conv1d(channels, width, _KERNEL, STRIDE, _KERNEL // 2)
        self.body = SEQUENCE_NETWORKS[settings.network](width, settings.dropout)
        self.norm = nn.LayerNorm(width)
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, 1))

    def forward(self, values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return log odds (n,) and attention (n, steps), which sums to 1.

        Args:
            values: (n, 5, points), of `sequence_input`.
            known: the same shape, 1 where a value was measured.
        """
        steps = nn.functional.gelu(
            self.stem(torch.cat([values * self.scales, known], 1))
        ).transpose(1, 2)
        features = self.norm(self.body(steps))
        seen = known.amax(1).reshape(-1, STEPS, STRIDE).amax(2)
        score = self.score(features).squeeze(2) - 1e4 * (1 - seen)
        attention = score.softmax(1)
        context = (attention.unsqueeze(2) * features).sum(1)
        return self.head(context).squeeze(1), attention


class SequenceEnsemble(nn.Module):
    """Networks of one kind that began at other weights, and what exams of the training are like.

    `usual` and `spread` are mean and covariance of `unlike.summaries`.
    """

    usual: Tensor
    spread: Tensor

    def __init__(self, members: Sequence[SequenceNetwork], summaries: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.register_buffer("usual", torch.zeros(summaries))
        self.register_buffer("spread", torch.eye(summaries))

    def forward(self, values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return log odds (n, members) and the members' mean attention (n, steps)."""
        said = [member(values, known) for member in self.members]
        return (
            torch.stack([odds for odds, _ in said], 1),
            torch.stack([attention for _, attention in said]).mean(0),
        )


def start_member(settings: SequenceSettings, *, seed: int) -> SequenceNetwork:
    """Return a network with the first weights of a seed."""
    with seeded(seed, "sequence", settings.network):
        return SequenceNetwork(settings)

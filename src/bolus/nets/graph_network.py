"""A network on the graphs of a tumour: pieces, then regions, then visits, then markers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import seeded
from bolus.nets.graph_batch import GraphBatch, LevelBatch

_LEAST = 1e-6
_AGGREGATORS, _SCALERS = 4, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNetworkSettings:
    """Sizes of the network, what it sees, and the markers that it answers for.

    `classes` gives for each marker the number of its classes. `structure` and `perfusion` turn the
    fine and the coarse level off, for ablations; `messages` turns edges off.

    Raises:
        MetadataError: nothing is left to see, or a size is too small.
    """

    coarse_features: int
    fine_features: int
    coarse_edges: int
    fine_edges: int
    classes: Mapping[str, int]
    width: int = 32
    coarse_layers: int = 2
    fine_layers: int = 3
    dropout: float = 0.2
    degree: float = 4.0
    """Edges that a node usually has: the unit of the scalers."""
    perfusion: bool = True
    structure: bool = True
    messages: bool = True

    def __post_init__(self) -> None:
        sizes = (self.width, self.coarse_layers, self.fine_layers, self.coarse_features,
                 self.fine_features)  # fmt: skip
        seen = self.perfusion or self.structure
        if min(sizes) < 1 or not seen or not self.classes or min(self.classes.values()) < 2:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a network that cannot be: {asdict(self)}",
                mend="give positive sizes, a level to see, and markers of two classes or more",
            )


class GraphNetwork(nn.Module):
    """Logits of every marker for each patient.

    Fine nodes pass messages, and what they read out is added up in their region; regions pass
    messages with what they know and what their pieces said; a visit is the mean of its regions,
    and a patient the visits that attention weighs.

    Source:
        Hierarchy: Jang et al., arXiv 2605.07156, after Pati et al., Med Image Anal 2022;75:102264.
        Messages: Corso et al., NeurIPS 2020 (PNA). Jumping knowledge: Xu et al., ICML 2018. Built
        on plain sums over edges; attention over visits and the switches are ours.
    """

    def __init__(self, settings: GraphNetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.fine = _Level(
            settings.fine_features, settings.fine_edges, settings.fine_layers, settings
        )
        self.coarse = _Level(
            settings.coarse_features + width, settings.coarse_edges, settings.coarse_layers,
            settings,
        )  # fmt: skip
        self.visit = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(width, width), nn.ReLU(), nn.Dropout(settings.dropout),
                    nn.Linear(width, count),
                )
                for name, count in settings.classes.items()
            }
        )  # fmt: skip

    def forward(self, batch: GraphBatch) -> dict[str, Tensor]:
        """Return logits (patients, classes) of each marker."""
        patients = self.read(batch)
        return {name: head(patients) for name, head in self.heads.items()}

    def read(self, batch: GraphBatch) -> Tensor:
        """Return what is known of each patient (patients, width)."""
        regions, own = len(batch.visits), batch.coarse.features
        told = own.new_zeros(regions, self.settings.width)
        if self.settings.structure:
            told = _sum(self.fine(batch.fine), batch.parents, regions)
            told = torch.sign(told) * torch.log1p(told.abs())  # a large region has many pieces
        if not self.settings.perfusion:
            own = torch.zeros_like(own)
        joined = LevelBatch(
            features=torch.cat([own, told], dim=1), source=batch.coarse.source,
            target=batch.coarse.target, edges=batch.coarse.edges,
        )  # fmt: skip
        visits = _mean(self.coarse(joined), batch.visits, len(batch.patients))
        weight = _softmax(self.visit(visits)[:, 0], batch.patients, batch.count)
        return _sum(weight[:, None] * visits, batch.patients, batch.count)


class _Level(nn.Module):
    """Messages between the nodes of one level, and an LSTM over what each layer knew."""

    def __init__(
        self, features: int, edges: int, layers: int, settings: GraphNetworkSettings
    ) -> None:
        super().__init__()
        width = settings.width
        self.enter = nn.Linear(features, width)
        self.layers = nn.ModuleList(_Messages(edges, settings) for _ in range(layers))
        self.memory = nn.LSTM(width, width, batch_first=True)

    def forward(self, level: LevelBatch) -> Tensor:
        state = self.enter(level.features).relu()
        known = [state]
        for layer in self.layers:
            state = layer(state, level)
            known.append(state)
        through, _ = self.memory(torch.stack(known, dim=1))
        read: Tensor = through[:, -1]
        return read


class _Messages(nn.Module):
    """Mean, largest, least and deviation of messages, each scaled by how many there are."""

    def __init__(self, edges: int, settings: GraphNetworkSettings) -> None:
        super().__init__()
        width = settings.width
        self.message = nn.Sequential(nn.Linear(2 * width + edges, width), nn.ReLU())
        self.update = nn.Linear((1 + _AGGREGATORS * _SCALERS) * width, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(settings.dropout)
        self.usual = float(torch.log1p(torch.tensor(settings.degree)))
        self.on = settings.messages

    def forward(self, state: Tensor, level: LevelBatch) -> Tensor:
        count, width = state.shape
        gathered = state.new_zeros(count, _AGGREGATORS * _SCALERS * width)
        if self.on and len(level.source):
            given = torch.cat([state[level.target], state[level.source], level.edges], dim=1)
            message = self.message(given)
            number = _sum(torch.ones_like(message[:, :1]), level.target, count)
            mean = _mean(message, level.target, count)
            spread = _mean(message.square(), level.target, count) - mean.square()
            kinds = torch.cat(
                [mean, _extreme(message, level.target, count, "amax"),
                 _extreme(message, level.target, count, "amin"),
                 spread.clamp_min(_LEAST).sqrt() * (number > 0)], dim=1,
            )  # fmt: skip
            degree = torch.log1p(number) / self.usual
            less = torch.where(number > 0, 1 / degree.clamp_min(_LEAST), 0)
            gathered = torch.cat([kinds, kinds * degree, kinds * less], dim=1)
        change = self.update(torch.cat([state, gathered], dim=1))
        updated: Tensor = self.norm(state + self.dropout(change.relu()))
        return updated


def marker_loss(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    *,
    focus: float = 2.0,
) -> Tensor:
    """Return the focal loss over all markers; a label of -1 is not known and counts nothing.

    Args:
        logits: (patients, classes) of each marker.
        labels: (patients,) class of each.
        weights: (classes,) of each, larger for rare classes.
        focus: 0 is cross entropy; more looks at what is hard.

    Source:
        Lin et al., ICCV 2017.
    """
    total, known = torch.zeros(()), 0
    for name, said in logits.items():
        label = labels[name]
        there = label >= 0
        known += int(there.sum())
        own = said[there].log_softmax(dim=1).gather(1, label[there][:, None])[:, 0]
        weight = weights[name][label[there]]
        total = total - (weight * (1 - own.exp()) ** focus * own).sum()
    return total / max(known, 1)


def start_graph(settings: GraphNetworkSettings, *, seed: int) -> GraphNetwork:
    """Return a network that has learned nothing.

    Args:
        settings: of the network.
        seed: decides its first weights.
    """
    with seeded(seed, "graph"):
        return GraphNetwork(settings)


def _sum(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Add rows up by their owner, in their order: the same sum on every machine."""
    return values.new_zeros(count, values.shape[1]).index_add(0, owner, values)


def _mean(values: Tensor, owner: Tensor, count: int) -> Tensor:
    number = torch.bincount(owner, minlength=count).clamp_min(1)[:, None]
    return _sum(values, owner, count) / number


def _extreme(values: Tensor, owner: Tensor, count: int, kind: str) -> Tensor:
    """Return the largest or least of each owner's rows, 0 where there is none."""
    index = owner[:, None].expand_as(values)
    start = values.new_zeros(count, values.shape[1])
    return start.scatter_reduce(0, index, values, kind, include_self=False)


def _softmax(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Return weights that add up to 1 for each owner."""
    most = values.new_zeros(count).scatter_reduce(0, owner, values, "amax", include_self=False)
    raised = (values - most[owner]).exp()
    return raised / values.new_zeros(count).index_add(0, owner, raised)[owner]

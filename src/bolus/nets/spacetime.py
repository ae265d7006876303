"""A series as a field of space and time: what lies between voxels, and between frames."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import Tensors, seeded
from bolus.nets.frame_enhancer import INPUTS

_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
_STEPS = 2
"""Midpoint steps of the equation from one frame to the next."""
_SECONDS = 2.0
"""Unit of time of the equation."""
_LEAST = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSettings:
    """Both networks: channels and convolutions in space, state in time, and their largest changes.

    `most_space` is in units of the range of a voxel's neighbours, `most_time` of the standard
    deviation of a curve.

    Raises:
        MetadataError: a number is too small.
    """

    width: int = 24
    depth: int = 5
    most_space: float = 1.0
    state: int = 16
    most_time: float = 1.0

    def __post_init__(self) -> None:
        least = min(self.width, self.state, self.depth - 1, self.most_space, self.most_time)
        if not (least > 0 and min(self.width, self.state, self.depth - 1) >= 1):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"networks that cannot be: {asdict(self)}",
                mend="give positive numbers, and two convolutions or more",
            )


class SpaceField(nn.Module):
    """What interpolation misses of an image, at any place between the middles of its voxels.

    An encoder reads the image of one time course with those of its neighbour slices. A decoder is
    asked at a place: each of the four voxels about it answers from its features and the way to the
    place, and the nearer counts more. No answer exceeds the range of the voxel's neighbours by
    more than `most_space`, so that nothing is made where an image is flat. A network that has
    learned nothing changes nothing.
    """

    def __init__(self, settings: FieldSettings) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (INPUTS, *(settings.width,) * (settings.depth - 1)):
            layers += [nn.Conv2d(channels, settings.width, 3, padding=1), nn.ReLU()]
        self.encoder = nn.Sequential(*layers)
        last = nn.Linear(settings.width, 1)
        for held in last.parameters():
            nn.init.zeros_(held)
        self.decoder = nn.Sequential(
            nn.Linear(settings.width + 5, settings.width), nn.ReLU(),
            nn.Linear(settings.width, settings.width), nn.ReLU(), last,
        )  # fmt: skip
        self.most = settings.most_space

    def encode(self, inputs: Tensor) -> Tensor:
        """Return features, the middle slice and its range: (n, width + 2, h, w) of (n, 7, h, w)."""
        middle, level = inputs[:, 1:2], inputs[:, 6:7]
        pool = nn.functional.max_pool2d
        reach = pool(middle, 3, 1, 1) + pool(-middle, 3, 1, 1) + level
        return torch.cat([self.encoder(inputs), middle, reach], dim=1)

    def decode(self, features: Tensor, places: Tensor, cell: Tensor, base: Tensor) -> Tensor:
        """Return what to add to an interpolation (n, q), in the units of the image.

        Args:
            features: of `encode`.
            places: (n, q, 2) [voxels]; 0 is the middle of the first.
            cell: (n, 1), size of what is asked for, over that of a voxel.
            base: (n, q), the interpolation.
        """
        height, width = features.shape[2:]
        flat = features.flatten(2).transpose(1, 2)
        start = torch.minimum(
            places.floor().clamp_min(0), places.new_tensor([height - 2, width - 2])
        )
        whole = cell[:, :, None].expand(*base.shape, 1)
        total = torch.zeros_like(base)
        for corner in _CORNERS:
            at = start + places.new_tensor(corner)
            way = places - at
            index = (at[..., 0] * width + at[..., 1]).long()
            held = flat.gather(1, index[..., None].expand(-1, -1, flat.shape[2]))
            own, middle, reach = held[..., :-2], held[..., -2], held[..., -1]
            size = reach.clamp_min(_LEAST)
            step = ((base - middle) / size)[..., None]
            asked = torch.cat([own, way, whole, step, size.log()[..., None]], dim=2)
            answer = torch.tanh(self.decoder(asked)[..., 0] / self.most) * self.most
            near = (1 - way.abs()).clamp(0, 1).prod(dim=2)
            total = total + near * reach * answer
        return total

    def forward(self, inputs: Tensor, places: Tensor, cell: Tensor, base: Tensor) -> Tensor:
        """Return the image at places (n, q), in its units."""
        return base + self.decode(self.encode(inputs), places, cell, base)


class _Flow(nn.Module):
    """A state that follows an equation between frames, and is corrected at each of them."""

    def __init__(self, state: int) -> None:
        super().__init__()
        self.rate = nn.Sequential(nn.Linear(state, state), nn.Tanh(), nn.Linear(state, state))
        self.jump = nn.GRUCell(1, state)

    def carried(self, state: Tensor, time: Tensor) -> Tensor:
        """Return states (..., s) after times (...) [2 s], by midpoint steps."""
        step = time[..., None] / _STEPS
        for _ in range(_STEPS):
            half = state + step / 2 * self.rate(state)
            state = state + step * self.rate(half)
        return state

    def forward(self, values: Tensor, gaps: Tensor) -> Tensor:
        """Return the state after each frame (n, t, s) of values (n, t), gaps (n, t - 1)."""
        state = values.new_zeros(len(values), self.jump.hidden_size)
        found = []
        for frame in range(values.shape[1]):
            if frame:
                state = self.carried(state, gaps[:, frame - 1])
            state = self.jump(values[:, frame : frame + 1], state)
            found.append(state)
        return torch.stack(found, dim=1)


class TimeField(nn.Module):
    """What a spline misses of a curve between two frames, by equations that run from both ends.

    At the frames it is nothing, and never more than `most_time` deviations of the curve.
    """

    def __init__(self, settings: FieldSettings) -> None:
        super().__init__()
        self.ahead, self.back = _Flow(settings.state), _Flow(settings.state)
        last = nn.Linear(settings.state, 1)
        for held in last.parameters():
            nn.init.zeros_(held)
        self.decoder = nn.Sequential(
            nn.Linear(2 * settings.state + 4, settings.state), nn.ReLU(), last
        )
        self.most = settings.most_time

    def forward(
        self, values: Tensor, gaps: Tensor, frame: Tensor, share: Tensor, base: Tensor
    ) -> Tensor:
        """Return curves (n, q) between frames, in units of their deviation.

        Args:
            values: (n, t), less their mean and in units of their deviation.
            gaps: (n, t - 1), times from frame to frame [2 s].
            frame: (q,), the frame before each place that is asked for.
            share: (n, q), of the gap that has gone by.
            base: (n, q), the spline.
        """
        before, after = values[:, frame], values[:, frame + 1]
        gap = gaps[:, frame]
        ahead = self.ahead(values, gaps)[:, frame]
        back = self.back(values.flip(1), gaps.flip(1)).flip(1)[:, frame + 1]
        states = (
            self.ahead.carried(ahead, gap * share), self.back.carried(back, gap * (1 - share))
        )  # fmt: skip
        known = torch.stack([base - before, base - after, share, gap], dim=-1)
        answer = self.decoder(torch.cat([*states, known], dim=-1))[..., 0]
        open_ = 4 * share * (1 - share)
        return base + open_ * self.most * torch.tanh(answer / self.most)


class SpaceTime(nn.Module):
    """Both fields, as they are kept in one file of weights."""

    def __init__(self, settings: FieldSettings) -> None:
        super().__init__()
        self.space, self.time = SpaceField(settings), TimeField(settings)


class SpaceTask:
    """Error of what was foretold at places; of a batch inputs, places, cell, base, truth."""

    def __init__(self, network: SpaceField) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss of images that are mirrored or of opposite sign at random."""
        inputs, places, cell, base, truth = batch
        turns = torch.randint(0, 2, (4,), generator=random, device=random.device).tolist()
        size = inputs.shape[2]
        for axis in (0, 1):
            if turns[axis]:
                inputs = inputs.flip(2 + axis)
                flipped = size - 1 - places[..., axis]
                places = torch.stack(
                    [flipped if n == axis else places[..., n] for n in (0, 1)], dim=-1
                )
        if turns[2]:
            inputs, places = inputs.transpose(2, 3), places.flip(-1)
        if turns[3]:  # a time course has no sign of its own
            inputs = torch.cat([-inputs[:, :3], inputs[:, 3:]], dim=1)
            base, truth = -base, -truth
        return self.validation_loss((inputs, places, cell, base, truth))

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss."""
        inputs, places, cell, base, truth = batch
        return {"loss": _loss(self.network(inputs, places, cell, base), truth, beta=0.3)}


class TimeTask:
    """Error of curves between frames; of a batch values, gaps, share, base, truth."""

    def __init__(self, network: TimeField) -> None:
        self.network = network

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss of curves that may be of opposite sign."""
        values, gaps, share, base, truth = batch
        sign = 1 - 2 * torch.randint(0, 2, (len(values), 1), generator=random, device=random.device)
        return self.validation_loss((sign * values, gaps, share, sign * base, sign * truth))

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss."""
        values, gaps, share, base, truth = batch
        frame = torch.arange(gaps.shape[1])
        return {"loss": _loss(self.network(values, gaps, frame, share, base), truth, beta=0.1)}


def start_field(settings: FieldSettings, *, seed: int) -> SpaceTime:
    """Return networks that change nothing yet.

    Args:
        settings: of the networks.
        seed: decides their first weights.
    """
    with seeded(seed, "spacetime"):
        return SpaceTime(settings)


def _loss(found: Tensor, truth: Tensor, *, beta: float) -> Tensor:
    """Return squares of small errors and sizes of large ones."""
    return nn.functional.smooth_l1_loss(found, truth, beta=beta)

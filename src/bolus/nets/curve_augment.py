"""What other protocols would have measured of a curve: other intervals, lengths and arrivals."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bolus.core import stream
from bolus.nets.physical_axis import AXIS, PhysicalAxis, resampling

INTERVAL_S = (1.0, 3.0)
FRAMES = (24, 90)
"""Protocols that the networks are trained for; frames of the steady state, so that a series of 30
may lose its first ones."""
_BEFORE_S = (6.0, 24.0)
_QUANTILE = 0.995
_PROTOCOLS = 64
_PARTS = 4
_POOL = 1
"""Seed of the protocols: a part of the method, the same for every training."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """One other protocol: curves times `there` are its frames, those times `back` on the axis.

    `there` (points, t); `back` (t, points), which holds the first and last value where nothing was
    measured; `measured` (points,) is 1 where something was.
    """

    there: Tensor
    back: Tensor
    measured: Tensor

    def apply(self, values: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
        """Return curves (n, points) and their masks as this protocol would have given them.

        The curves are scaled again to their own 99.5th percentile, for it has other frames.
        """
        there, back, seen = (t.to(values) for t in (self.there, self.back, self.measured))
        frames = values @ there
        top = frames.topk(2, dim=1).values
        above = _QUANTILE * (frames.shape[1] - 1) - (frames.shape[1] - 2)
        scale = torch.lerp(top[:, 1:], top[:, :1], above)
        return frames @ back / scale, measured * seen


class OtherProtocols:
    """Shows a network half of every batch as other protocols would have measured it."""

    def __init__(self) -> None:
        self._drawn = other_protocols(_PROTOCOLS, seed=_POOL)

    def some(self, count: int) -> tuple[Resampled, ...]:
        """Return the first so many protocols: always the same ones."""
        return self._drawn[:count]

    def seen(
        self, values: Tensor, measured: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return curves (n, points) and masks; of four parts the last two are changed.

        Args:
            values: curves without gaps.
            measured: 1 where a point was measured.
            random: chooses two protocols.
        """
        parts = list(zip(values.chunk(_PARTS), measured.chunk(_PARTS), strict=True))
        chosen = draw(len(self._drawn), _PARTS, random)
        seen = [
            part if n < _PARTS // 2 else self._drawn[protocol].apply(*part)
            for n, (part, protocol) in enumerate(zip(parts, chosen, strict=False))
        ]
        return torch.cat([part[0] for part in seen]), torch.cat([part[1] for part in seen])


def draw(most: int, count: int, random: torch.Generator) -> list[int]:
    """Return numbers from 0 to below `most`, on whatever device the generator is of."""
    drawn = torch.randint(most, (count,), generator=random, device=random.device)
    return [int(number) for number in drawn]


def other_protocols(count: int, *, seed: int, axis: PhysicalAxis = AXIS) -> tuple[Resampled, ...]:
    """Draw protocols: interval 1 to 3 s, 24 to 90 frames, 6 to 24 s before the arrival.

    Args:
        count: how many.
        seed: decides them.
        axis: of the curves; what a protocol would have measured outside is not known.

    Assumes:
        Noise of a frame is that of the curve, less where a frame lies between two points.

    Source:
        Set by us; a range of intervals and lengths as in github jhlee0619/Glioma-Tumor-Habitat,
        doi 10.5281/zenodo.21350691, and beyond.
    """
    random = stream(seed, "nets", "protocols")
    return tuple(
        resampled_by(
            interval_s=float(random.uniform(*INTERVAL_S)),
            frames=int(random.integers(FRAMES[0], FRAMES[1] + 1)),
            before_s=float(random.uniform(*_BEFORE_S)),
            axis=axis,
        )
        for _ in range(count)
    )


def resampled_by(
    *, interval_s: float, frames: int, before_s: float, axis: PhysicalAxis = AXIS
) -> Resampled:
    """Return what one protocol does to curves on an axis.

    Args:
        interval_s: between frames.
        frames: how many.
        before_s: from the first frame to the arrival.
        axis: of the curves; frames outside it are left out.
    """
    seconds = axis.arrival_s - before_s + interval_s * np.arange(frames)
    seconds = seconds[(seconds >= 0) & (seconds <= axis.seconds[-1])]
    place = seconds / axis.step_s
    lower = np.minimum(place.astype(int), axis.points - 2)
    columns = np.arange(len(seconds))
    there = np.zeros((axis.points, len(seconds)), np.float32)
    there[lower, columns] = 1 - (place - lower)
    there[lower + 1, columns] = place - lower
    back, measured = resampling(
        len(seconds), interval_s=interval_s, arrival_s=axis.arrival_s - seconds[0], axis=axis
    )
    return Resampled(
        there=torch.from_numpy(there),
        back=torch.from_numpy(back[:, held_places(measured)]),
        measured=torch.from_numpy(measured.astype(np.float32)),
    )


def held_places(measured: np.ndarray) -> np.ndarray:
    """Return for every point the nearest one that was measured: before the first, the first.

    Example:
        >>> held_places(np.array([False, True, True, False]))
        array([1, 1, 2, 2])
    """
    known = np.flatnonzero(measured)
    return np.asarray(np.clip(np.arange(len(measured)), known[0], known[-1]))

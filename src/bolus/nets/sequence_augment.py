"""What other scanners, readers and days would have made of the same exam."""

import torch
from torch import Tensor

from bolus.core import CURVE_REGIONS
from bolus.nets.curve_augment import draw, other_protocols
from bolus.nets.physical_axis import AXIS

_PROTOCOLS = 64
_PARTS = 4
_WHOLE = CURVE_REGIONS.index("whole")
_GAIN, _REGION_GAIN = 0.08, 0.03
_ARTERY_GAIN = 0.25
_SHIFT_S = 1.5
_NOISE = (0.003, 0.05)
_DRIFT = 0.03
_LOST = 0.08
_HIDDEN, _HIDDEN_POINTS = 0.4, (3, 12)


class OtherExams:
    """Changes every batch: protocol, gain, arrival, noise, drift, missing regions and times.

    The ranges are set by us. Gain is what is left of dose and calibration after white matter; the
    artery's has partial volume as well.
    """

    def __init__(self, *, seed: int) -> None:
        self._protocols = other_protocols(_PROTOCOLS, seed=seed)

    def seen(self, values: Tensor, known: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return values and marks (n, 5, points) of exams as they might have been.

        Args:
            values: of `sequence_input`.
            known: the same shape, 1 where a value was measured.
            random: decides all of it.
        """
        values, known = self._resampled(values, known, random)
        values = _shifted(values, random) * _gain(values, random)
        values = values + _noise(values, random) + _drift(values, random)
        known = _lost(known, random) * _hidden(known, random)
        return values * known, known

    def _resampled(
        self, values: Tensor, known: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Measure half of the exams anew with two other protocols."""
        parts = list(zip(values.chunk(_PARTS), known.chunk(_PARTS), strict=True))
        chosen = draw(len(self._protocols), _PARTS, random)
        seen = []
        for number, (curves, marks) in enumerate(parts):
            if number < _PARTS // 2:
                seen.append((curves, marks))
                continue
            other = self._protocols[chosen[number]]
            there, back = other.there.to(curves), other.back.to(curves)
            whole = (marks @ there @ back > 0.999).to(curves)
            seen.append((curves @ there @ back, whole * other.measured.to(curves)))
        return torch.cat([part[0] for part in seen]), torch.cat([part[1] for part in seen])


def _normal(values: Tensor, regions: int, points: int, random: torch.Generator) -> Tensor:
    return torch.randn(
        len(values), regions, points, generator=random, device=values.device, dtype=values.dtype
    )


def _uniform(values: Tensor, regions: int, random: torch.Generator) -> Tensor:
    return torch.rand(
        len(values), regions, 1, generator=random, device=values.device, dtype=values.dtype
    )


def _gain(values: Tensor, random: torch.Generator) -> Tensor:
    spread = torch.full((len(CURVE_REGIONS), 1), _REGION_GAIN, device=values.device)
    spread[CURVE_REGIONS.index("aif")] = _ARTERY_GAIN
    own = spread * _normal(values, len(CURVE_REGIONS), 1, random)
    return torch.exp(_GAIN * _normal(values, 1, 1, random) + own)


def _shifted(values: Tensor, random: torch.Generator) -> Tensor:
    """Move exams by up to a point, between points linearly."""
    move = (2 * _uniform(values, 1, random) - 1) * (_SHIFT_S / AXIS.step_s)
    earlier = torch.cat([values[..., 1:], values[..., -1:]], 2)
    later = torch.cat([values[..., :1], values[..., :-1]], 2)
    return torch.where(
        move > 0, torch.lerp(values, later, move.abs()), torch.lerp(values, earlier, move.abs())
    )


def _noise(values: Tensor, random: torch.Generator) -> Tensor:
    low, high = _NOISE
    level = low * (high / low) ** _uniform(values, 1, random)
    return level * _normal(values, len(CURVE_REGIONS), AXIS.points, random)


def _drift(values: Tensor, random: torch.Generator) -> Tensor:
    """Add a line through the middle of the baseline, the same in all regions."""
    line = (torch.arange(AXIS.points, device=values.device) * AXIS.step_s - AXIS.arrival_s / 2) / 60
    return _DRIFT * _normal(values, 1, 1, random) * line


def _lost(known: Tensor, random: torch.Generator) -> Tensor:
    """Lose regions; the whole tumour is always there where it was."""
    lost = _uniform(known, len(CURVE_REGIONS), random) < _LOST
    lost[:, _WHOLE] = False
    return known * ~lost


def _hidden(known: Tensor, random: torch.Generator) -> Tensor:
    """Hide a window of time in some exams, so that occlusion is nothing new to the networks."""
    low, high = _HIDDEN_POINTS
    length = low + (high - low) * _uniform(known, 1, random)
    start = (AXIS.points - length) * _uniform(known, 1, random)
    place = torch.arange(AXIS.points, device=known.device)
    inside = (place >= start) & (place < start + length)
    return (~(inside & (_uniform(known, 1, random) < _HIDDEN))).to(known)

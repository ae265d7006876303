"""How the learning rate falls after it has risen, and how weights are averaged over steps."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor


def cosine(share: float) -> float:
    """Return half a wave: from 1 to 0, as `share` of the steps goes from 0 to 1.

    Source:
        Loshchilov and Hutter, ICLR 2017 (arXiv 1608.03983), without restarts.

    Example:
        >>> cosine(0.0), round(cosine(0.5), 3), cosine(1.0)
        (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def constant(share: float) -> float:  # noqa: ARG001 - a schedule among others
    """Return 1."""
    return 1.0


SCHEDULES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {"cosine": cosine, "constant": constant}
)
"""Schedules by the name that settings give them."""


def averaged(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Return a function that moves averages towards the weights of a step.

    They keep the share `decay`, but (1 + n) / (10 + n) in an early step n: so a short training is
    not held back by its first weights. Numbers that are not floating, such as indices in
    buffers, are copied: their mean has no meaning, and would be cut to the integer below.
    """

    def move(averages: list[Tensor], now: list[Tensor], steps: Tensor) -> None:
        if averages[0].is_floating_point():
            kept = ((1.0 + steps) / (10.0 + steps)).clamp(max=decay)
            torch._foreach_mul_(averages, kept)
            torch._foreach_add_(averages, torch._foreach_mul(now, 1 - kept))
        else:
            torch._foreach_copy_(averages, now)

    return move

"""How the learning rate falls after it has risen: from 1 at the beginning to the end of training."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType


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

"""Tensors in memory, dealt into batches in an order that only seed and epoch decide."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from bolus.errors import Code, QuantityError

Tensors = tuple[Tensor, ...]
"""Tensors whose first dimension counts the same examples."""


def key_of(seed: int, *names: str | int) -> int:
    """Return a number below 2^63 that depends on the seed and the names only."""
    text = repr((seed, *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def generator(seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """Return a generator of torch that depends on the seed and the names, not on who drew before.

    Example:
        >>> one = torch.rand(1, generator=generator(1, "noise", 2))
        >>> bool(one == torch.rand(1, generator=generator(1, "noise", 2)))
        True
    """
    return torch.Generator(device=device).manual_seed(key_of(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Let torch draw from one seed inside; its own state is as before after it.

    Layers take their first weights from torch's global generator: build networks in here.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key_of(seed, *names))
        yield


def seed_layers(key: int, device: torch.device) -> None:
    """Seed what layers such as dropout draw from: torch's own generator of one device.

    `torch.manual_seed` does it for all devices, and takes 2 ms.
    """
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        torch.cuda.manual_seed(key)


def require_tensors(tensors: Tensors, *, what: str) -> int:
    """Return the number of examples.

    Args:
        tensors: of one set.
        what: the name of the set, for the message.

    Raises:
        QuantityError: there are none, their lengths differ, or a value is not finite.
    """
    counts = {len(tensor) for tensor in tensors}
    if len(counts) != 1 or counts == {0}:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{what} has tensors of {sorted(counts)} examples",
            mend="give one row an example in every tensor, at least one",
        )
    if not all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point()):
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{what} holds values that are not finite",
            mend="leave such examples out, or mark what is missing in a mask",
        )
    return counts.pop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one device takes of every batch: how many devices there are, and which one it is.

    Both are asked when an epoch begins, for devices may be processes that start after this.
    """

    of: Callable[[], int] = lambda: 1
    number: Callable[[], int] = lambda: 0


class Batches:
    """Batches of one epoch after the other; the order of an epoch is a function of its number.

    A training that goes on after a kill so meets the same batches. With `seed` None the order is
    that of the examples. Devices share a batch; one smaller than their number goes to all.
    """

    def __init__(
        self,
        tensors: Tensors,
        *,
        size: int,
        seed: int | None,
        epoch: Callable[[], int],
        share: Share | None = None,
    ) -> None:
        self._tensors, self._size, self._seed, self._epoch = tensors, size, seed, epoch
        self._count, self._share = len(tensors[0]), share or Share()

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        return (self._count + self._size - 1) // self._size

    def __iter__(self) -> Iterator[Tensors]:
        """Deal the examples of the epoch that has begun."""
        if self._seed is None:
            for start in range(0, self._count, self._size):
                yield tuple(tensor[start : start + self._size] for tensor in self._tensors)
            return
        order = torch.randperm(self._count, generator=generator(self._seed, "order", self._epoch()))
        devices, own = self._share.of(), self._share.number()
        for start in range(0, self._count, self._size):
            chosen = order[start : start + self._size]
            if len(chosen) >= devices:
                chosen = chosen[own::devices]
            yield tuple(tensor.index_select(0, chosen) for tensor in self._tensors)


def digest_of(*sets: Tensors) -> str:
    """Return the SHA-256 of types, shapes and values of sets of tensors."""
    digest = hashlib.sha256()
    for tensors in sets:
        for tensor in tensors:
            digest.update(repr((str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

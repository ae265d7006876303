"""Checkpoints that are there as a whole or not at all, are checked, and hold nothing but values."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO
from safetensors.torch import load, save
from torch import Tensor

from bolus.errors import Code, InputError

_DIGEST_BYTES = hashlib.sha256().digest_size
_LENGTH_BYTES = 8


class WholeCheckpoints(CheckpointIO):
    """Files of a SHA-256, values as JSON, and tensors as safetensors, put into place in one move.

    Lightning's own are pickles, and are moved from the folder of temporary files, which copies
    where that is another disk: a kill then leaves half of a file.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002 - Lightning's
    ) -> None:
        """Write a checkpoint."""
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        hidden = place.with_name(f".{place.name}.part")
        with hidden.open("wb") as file:
            file.write(packed(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(place)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any | None = None,  # noqa: ARG002 - Lightning moves tensors where they go
        weights_only: bool | None = None,  # noqa: ARG002 - there is nothing else
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            InputError: it is not what was written.
        """
        try:
            return unpacked(Path(path).read_bytes())
        except InputError as error:
            raise error.at(path) from None

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def packed(state: dict[str, Any]) -> bytes:
    """Return nested dictionaries, lists, numbers, texts and tensors as bytes.

    Args:
        state: what `unpacked` gives back, tensors on the CPU.
    """
    tensors: list[Tensor] = []
    text = json.dumps(_with_places(state, tensors)).encode()
    held = save({str(n): tensor for n, tensor in enumerate(tensors)})
    content = len(text).to_bytes(_LENGTH_BYTES, "little") + text + held
    return hashlib.sha256(content).digest() + content


def unpacked(held: bytes) -> dict[str, Any]:
    """Return what was packed.

    Raises:
        InputError: a bit of it differs.
    """
    content = held[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != held[:_DIGEST_BYTES]:
        raise InputError(
            Code.TRAINING_MISMATCH,
            "the checkpoint of an earlier training is damaged",
            mend="delete it, and train anew",
        )
    end = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    tensors = load(content[end:])
    found: dict[str, Any] = _with_tensors(json.loads(content[_LENGTH_BYTES:end]), tensors)
    return found


def _with_places(value: Any, tensors: list[Tensor]) -> Any:
    """Return a value for JSON, with numbers in the place of tensors, which go into the list."""
    if isinstance(value, Tensor):
        tensors.append(value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format))
        return {"tensor": len(tensors) - 1}
    if isinstance(value, dict):
        return {"pairs": [[key, _with_places(one, tensors)] for key, one in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_with_places(one, tensors) for one in value]}
    return value


def _with_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    """Undo `_with_places`."""
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[str(held)]
    if kind == "pairs":
        return {key: _with_tensors(one, tensors) for key, one in held}
    made = [_with_tensors(one, tensors) for one in held]
    return tuple(made) if kind == "tuple" else made

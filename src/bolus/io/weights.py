"""Weights of networks: safetensors beside a card that says what they are; nothing is unpickled."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from bolus import RESEARCH_USE
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.errors import Code, FileError, ResourceError
from bolus.io.access import named, read_bytes
from bolus.io.sidecar import parse_object
from bolus.io.store import write_atomically

KIND = "bolus network"
FORMAT = 1
TENSORS, CARD, PAGE = ".safetensors", ".json", ".md"
_LIMIT_BYTES = 1 << 30
_CARD_BYTES = 4 << 20
_MEND = "fetch the weights again, or train anew with `bolus train`"


def write_weights(folder: Path | str, weights: Weights) -> tuple[Path, Path, Path]:
    """Write NAME.safetensors, its card NAME.json, and NAME.md for people; NAME is the card's.

    The card holds the SHA-256 of the tensors' file and of itself. It names the subjects that the
    network was fitted on, so that it can refuse them: treat it as you treat their names.

    Args:
        folder: made if absent.
        weights: of a trained network.

    Returns:
        The three files.

    Raises:
        ResourceError: the disk is full or may not be written, or safetensors is not installed.
    """
    _require_library()
    from safetensors.numpy import save

    place = Path(folder)
    content = save({name: np.asarray(value) for name, value in weights.tensors.items()})
    body = _card_values(weights.card) | {"tensors_sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps({**body, "sha256": _seal(body)}, indent=1, ensure_ascii=False) + "\n"
    files = tuple(place / f"{weights.card.name}{ending}" for ending in (TENSORS, CARD, PAGE))
    for path, held in zip(
        files, (content, text.encode(), card_page(weights).encode()), strict=True
    ):
        write_atomically(path, held)
    return files[0], files[1], files[2]


def read_weights(path: Path | str) -> Weights:
    """Read the weights of a network.

    Args:
        path: the file of tensors, or its card; both must be there, side by side.

    Raises:
        FileError: one is absent, of another kind or format, or differs in one bit from what was
            written.
        ResourceError: safetensors is not installed.
    """
    _require_library()
    stem = Path(path).with_suffix("")
    card_path, tensor_path = (stem.with_name(stem.name + end) for end in (CARD, TENSORS))
    with named(card_path):
        body = _checked_card(read_bytes(card_path, limit=_CARD_BYTES))
    with named(tensor_path):
        return _weights(read_bytes(tensor_path, limit=_LIMIT_BYTES), body)


def shipped_weights(name: str) -> Weights:
    """Return weights that come with bolus; their cards lie in `bolus/nets/weights`.

    Args:
        name: such as "curve-codes".

    Raises:
        FileError: there are none of this name, or they are damaged.
        ResourceError: safetensors is not installed.
    """
    _require_library()
    folder = resources.files("bolus") / "nets" / "weights"
    card, tensors = (folder / f"{name}{ending}" for ending in (CARD, TENSORS))
    if not (card.is_file() and tensors.is_file()):
        raise FileError(
            Code.FILE_MISSING,
            f"no weights called {name} come with bolus",
            mend="name a file of weights",
        )
    return _weights(tensors.read_bytes(), _checked_card(card.read_bytes()))


def card_page(weights: Weights) -> str:
    """Return the model card for people, made of nothing but the card and the tensors.

    Args:
        weights: of a trained network.
    """
    card = weights.card
    count = sum(int(value.size) for value in weights.tensors.values())
    source = "simulated curves; no patient was in them" if card.simulated else "patients"
    lines = [
        f"# {card.name}",
        "",
        f"**Trained on {source}.** {RESEARCH_USE}",
        "",
        f"- Network: {card.kind}, {count:,} numbers, bolus {card.version}",
        f"- Trained on: {card.trained_on}",
        f"- Cannot: {card.limits}",
        f"- Digest of the weights: `{weights.digest()}`",
        "",
        "| acquisition | least | most |",
        "|---|---|---|",
        *(f"| {name} | {low:g} | {high:g} |" for name, (low, high) in card.protocol.limits.items()),
        "",
        "| measured | value |",
        "|---|---|",
        *(f"| {name} | {value:.4g} |" for name, value in card.measured.items()),
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in card.settings.items()),
    ]
    return "\n".join(lines) + "\n"


def _card_values(card: ModelCard) -> dict[str, Any]:
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": card.name,
        "network": card.kind,
        "settings": dict(card.settings),
        "trained_on": card.trained_on,
        "simulated": card.simulated,
        "protocol": {name: list(limits) for name, limits in card.protocol.limits.items()},
        "limits": card.limits,
        "version": card.version,
        "fitted_on": sorted(card.fitted_on),
        "measured": dict(card.measured),
    }


def _checked_card(content: bytes) -> Mapping[str, Any]:
    """Return the values of a card that is whole."""
    try:
        values = dict(parse_object(content))
    except FileError as error:
        raise _invalid(f"is no card of a network: {error.what}") from error
    if values.get("kind") != KIND or values.get("format") != FORMAT:
        raise _invalid(f"is no {KIND} of format {FORMAT}")
    if values.pop("sha256", None) != _seal(values):
        raise _invalid("was altered after it was written")
    return values


def _weights(content: bytes, body: Mapping[str, Any]) -> Weights:
    """Return tensors that are those of a card."""
    from safetensors.numpy import load

    if hashlib.sha256(content).hexdigest() != body["tensors_sha256"]:
        raise _invalid("differs from the file that the card was written for")
    try:
        card = ModelCard(
            name=str(body["name"]),
            kind=str(body["network"]),
            settings=dict(body["settings"]),
            trained_on=str(body["trained_on"]),
            simulated=bool(body["simulated"]),
            protocol=ProtocolRange(
                limits={name: (float(a), float(b)) for name, (a, b) in body["protocol"].items()}
            ),
            limits=str(body["limits"]),
            version=str(body["version"]),
            fitted_on=frozenset(map(str, body["fitted_on"])),
            measured={name: float(value) for name, value in body["measured"].items()},
        )
        tensors = load(content)
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise _invalid(f"lacks a part, or holds another kind of value ({failure})") from failure
    if any(t.dtype.kind == "f" and not np.isfinite(t).all() for t in tensors.values()):
        raise _invalid("holds numbers that are not finite")
    return Weights(tensors=tensors, card=card)


def _seal(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything else, whatever the order and spacing of the text."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_library() -> None:
    if find_spec("safetensors") is None:
        raise ResourceError(
            Code.EXTRA_MISSING,
            "weights of a network are needed, and safetensors is not installed",
            mend='install it with: pip install "bolus[dl]"',
        )


def _invalid(message: str) -> FileError:
    return FileError(Code.WEIGHTS_INVALID, message, mend=_MEND)

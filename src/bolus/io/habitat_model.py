"""Habitat models as JSON text: numbers and names only, sealed with a SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import QUANTITIES
from bolus.errors import BolusError, Code, FileError
from bolus.habitats.model import FeatureScale, HabitatModel
from bolus.io.access import read_bytes
from bolus.io.sidecar import parse_object
from bolus.io.store import write_atomically

KIND = "bolus habitat model"
FORMAT = 1
_LIMIT_BYTES = 4 << 20
_ARRAYS = ("weights", "centres", "covariances", "limits", "within", "between")
_MEND = "fetch the model again, or fit it anew with `bolus habitats fit`"


def write_habitat_model(path: Path | str, model: HabitatModel) -> None:
    """Write a model as a JSON file; the same model gives the same bytes.

    The file names the subjects that the model was fitted on, so that it can refuse them.

    Args:
        path: the file, its name never standing for half of it.
        model: fitted.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    write_atomically(path, habitat_model_text(model).encode())


def habitat_model_text(model: HabitatModel) -> str:
    """Return the text of a model's file.

    Args:
        model: fitted.
    """
    body: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "method": model.method,
        "simulated": model.simulated,
        "habitats": list(model.names),
        "features": [
            {
                "key": name,
                "unit": QUANTITIES[name].unit,
                "transform": scale.transform,
                "centre": scale.centre,
                "spread": scale.spread,
                "floor": scale.floor,
            }
            for name, scale in zip(model.features, model.scales, strict=True)
        ],
        **{
            name: None if (values := getattr(model, name)) is None else values.tolist()
            for name in _ARRAYS
        },
        "fitted_on": sorted(model.fitted_on),
        "history": json.loads(model.provenance.to_json()),
    }
    sealed = {**body, "sha256": _seal(body)}
    return json.dumps(sealed, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_habitat_model(path: Path | str) -> HabitatModel:
    """Read a model.

    Args:
        path: a file of `write_habitat_model`.

    Raises:
        FileError: it is absent, no model, of a newer format, or one byte differs from what was
            written.
    """
    content = read_bytes(Path(path), limit=_LIMIT_BYTES)
    try:
        return _parsed(content)
    except BolusError as error:
        raise error.at(path) from error


def default_model() -> HabitatModel:
    """Return the model that comes with bolus: fitted on simulated patients, and marked so.

    Its card is `bolus/habitats/models/default.md`.
    """
    shipped = resources.files("bolus.habitats") / "models" / "default.json"
    return _parsed(shipped.read_bytes())


def _parsed(content: bytes) -> HabitatModel:
    try:
        values = parse_object(content)
    except FileError as error:
        raise _invalid(f"is no model: {error.what}") from error
    if values.get("kind") != KIND:
        raise _invalid(f"is no {KIND}")
    if values.get("format") != FORMAT:
        raise _invalid(f"has format {values.get('format')!r}; this version reads {FORMAT}")
    seal = values.pop("sha256", None)
    if seal != _seal(values):
        raise _invalid("was altered after it was written")
    try:
        return _model(values)
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise _invalid(f"lacks a part, or holds another kind of value ({failure})") from failure


def _model(values: Mapping[str, Any]) -> HabitatModel:
    features = values["features"]
    arrays = {
        name: None if values[name] is None else np.array(values[name], dtype=np.float64)
        for name in _ARRAYS
    }
    for item in features:
        if QUANTITIES[item["key"]].unit != item["unit"]:
            raise _invalid(f"has {item['key']} in {item['unit']}")
    if any(held is not None and not np.isfinite(held).all() for held in arrays.values()):
        raise _invalid("holds numbers that are not finite")
    history = values["history"]
    return HabitatModel(
        method=str(values["method"]),
        features=tuple(str(item["key"]) for item in features),
        scales=tuple(
            FeatureScale(
                transform=str(item["transform"]),
                centre=float(item["centre"]),
                spread=float(item["spread"]),
                floor=float(item["floor"]),
            )
            for item in features
        ),
        names=tuple(str(name) for name in values["habitats"]),
        fitted_on=frozenset(str(subject) for subject in values["fitted_on"]),
        simulated=bool(values["simulated"]),
        provenance=Provenance(
            steps=tuple(
                Step(step["function"], step["arguments"], source=step["source"])
                for step in history["steps"]
            ),
            inputs=tuple((str(name), str(digest)) for name, digest in history["inputs"]),
        ),
        **arrays,  # type: ignore[arg-type]
    )


def _seal(body: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything else, whatever the order and spacing of the text."""
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _invalid(message: str) -> FileError:
    return FileError(Code.MODEL_INVALID, message, mend=_MEND)

"""One visit with a tumour of two parts, finished DSC, and a stand-in for the network of codes."""

import shutil
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiny_exam

from bolus import io
from bolus.core import LabelMap, ModelCard, ProtocolRange, Weights

FOLDER, NAME = "sub-01/ses-pre", "sub-01_ses-pre"
LIMITS = {"interval_s": (1.0, 3.0), "frames": (30.0, 90.0)}


def card(**changes) -> ModelCard:
    facts = {
        "name": "curve-codes", "kind": "curve-codes", "version": "0", "simulated": True,
        "settings": {"positions": 3, "codes_each": 2, "dimension": 2},
        "trained_on": "Simulated curves of nobody.", "limits": "It stands in for a network.",
        "protocol": ProtocolRange(limits=LIMITS), "measured": {"distance_p95": 0.1},
    }  # fmt: skip
    return ModelCard(**{**facts, **changes})


def weights(**changes) -> Weights:
    return Weights(tensors={"w": np.ones(3, np.float32)}, card=card(**changes))


@dataclass(frozen=True)
class Encoded:
    codes: np.ndarray
    latent: np.ndarray
    distance: np.ndarray


def encode_curves(signal, *, interval_s, arrival_s, weights):
    """Give the deepest curves the first codes, as a network would."""
    assert 1 <= interval_s <= 3
    assert 10 < arrival_s < 40
    assert weights.card.kind == "curve-codes"
    scaled = signal / np.percentile(signal, 99.5, axis=1, keepdims=True)
    drop = 1 - scaled.min(axis=1)
    codes = 1 + np.searchsorted([-0.5, -0.4, -0.3, -0.2, -0.15, -0.1, -0.05], -drop)
    latent = np.repeat(drop[:, None], 6, axis=1).astype(np.float32)
    return Encoded(codes=codes.astype(np.uint8), latent=latent, distance=0.15 * drop)


def stand_in(monkeypatch, made: Weights | None = None) -> None:
    """Put the stand-in where the network and its weights are looked for."""
    network = types.ModuleType("bolus.nets.curve_codes")
    network.encode_curves = encode_curves
    monkeypatch.setitem(sys.modules, "bolus.nets.curve_codes", network)
    chosen = weights() if made is None else made
    monkeypatch.setattr("bolus.workflows.codes_step.chosen_weights", lambda _path, kind: chosen)


def write_dataset(root: Path, source: Path) -> Path:
    """Write the raw data of one visit."""
    exam = tiny_exam.write_exam(source)
    target = root / FOLDER / "perf" / f"{NAME}_dsc.nii.gz"
    target.parent.mkdir(parents=True)
    shutil.copy(exam.series, target)
    shutil.copy(io.find_sidecar(exam.series), target.with_name(f"{NAME}_dsc.json"))
    drawn = io.read_mask(exam.tumour, name="tumour")
    parts = np.where(drawn.values, 1, 0).astype(np.int16)
    parts[drawn.values & (np.indices(parts.shape)[2] > 2)] = 2
    labels = LabelMap(values=parts, grid=drawn.grid, names={1: "enhancing tumour", 2: "oedema"})
    names = io.OutputNames(key=io.session_key(target.relative_to(root)), folder=FOLDER)
    with io.open_output(
        root / "derivatives" / "drawn", inputs={}, config_digest="", version="0"
    ) as output:
        io.write_labels(output, names.segmentation("tumour"), labels, sources=["x"])
    return root

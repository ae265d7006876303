"""ONNX: the same network for people without torch."""

import warnings

import numpy as np
import torch
from torch import Tensor, nn

from bolus.errors import Code, ResourceError


def onnx_bytes(network: nn.Module, example: tuple[Tensor, ...]) -> bytes:
    """Return a network in the ONNX format; the first dimension of its inputs may have any length.

    Args:
        network: trained.
        example: inputs, at least two rows each.

    Raises:
        ResourceError: onnx or onnxscript is not installed.
    """
    _require_libraries()
    rows = torch.export.Dim("rows", min=1, max=1 << 24)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own future
        program = torch.onnx.export(
            network.eval(),
            example,
            dynamic_shapes=tuple({0: rows} for _ in example),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # None is only for the older exporter
    content: bytes = program.model_proto.SerializeToString()
    return content


def onnx_difference(content: bytes, network: nn.Module, inputs: tuple[Tensor, ...]) -> float:
    """Return the largest difference between ONNX and torch, relative to the largest output.

    Args:
        content: of `onnx_bytes`.
        network: the same.
        inputs: to run through both.

    Raises:
        ResourceError: onnxruntime is not installed.
    """
    _require_libraries()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [held.name for held in session.get_inputs()]
    found = session.run(None, {n: t.numpy() for n, t in zip(names, inputs, strict=True)})
    with torch.no_grad():
        truth = network.eval()(*inputs)
    outputs = truth if isinstance(truth, tuple) else (truth,)
    largest = 0.0
    for ours, theirs in zip(outputs, found, strict=True):
        expected = ours.numpy()
        scale = max(float(np.abs(expected).max()), 1e-12)
        largest = max(largest, float(np.abs(expected - theirs).max()) / scale)
    return largest


def _require_libraries() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ResourceError(
            Code.EXTRA_MISSING,
            f"{', '.join(missing)} not installed",
            mend='install with: pip install "bolus[export]"',
        )

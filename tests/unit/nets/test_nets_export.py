"""ONNX gives what torch gives."""

import pytest
import torch
from torch import nn

from bolus.nets.batches import generator, seeded
from bolus.nets.export import onnx_bytes, onnx_difference


def network():
    with seeded(1, "export"):
        return nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 2), nn.Softmax(dim=-1))


def test_onnx_equals_torch_for_any_number_of_rows():
    net = network()
    content = onnx_bytes(net, (torch.zeros(2, 6),))
    rows = torch.randn(31, 6, generator=generator(1, "rows"))

    assert onnx_difference(content, net, (rows,)) <= 1e-5


def test_another_network_is_told_apart():
    net = network()
    content = onnx_bytes(net, (torch.zeros(2, 6),))
    with torch.no_grad():
        net[0].bias.add_(0.1)

    assert onnx_difference(content, net, (torch.zeros(3, 6),)) > 1e-3


@pytest.mark.parametrize("rows", [1, 5])
def test_one_row_is_enough(rows):
    net = network()
    content = onnx_bytes(net, (torch.zeros(2, 6),))

    assert onnx_difference(content, net, (torch.ones(rows, 6),)) <= 1e-5

import dataclasses
from functools import lru_cache

import numpy as np
import pytest
import torch

from bolus.errors import Code, FileError, MetadataError, QuantityError
from bolus.nets.curve_codes import (
    RECIPE,
    UNLIKE,
    code_curves,
    codes_network,
    encode_curves,
    fit_curve_codes,
)
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.physical_axis import align_curves
from tests.unit.nets.code_example import depth_curves

TINY = dataclasses.replace(RECIPE, epochs=2, batch_size=512)


@lru_cache
def fitted(seed=1):
    training = [depth_curves(800, seed=n)[0] for n in (1, 2)]
    recipe = dataclasses.replace(TINY, seed=seed)
    return fit_curve_codes(training, [depth_curves(400, seed=3)[0]], recipe=recipe)[0]


def encoded(exam, weights):
    return encode_curves(
        exam.signal, interval_s=exam.interval_s, arrival_s=exam.arrival_s, weights=weights
    )


def test_codes_are_the_depths_the_deepest_first():
    exam, number = depth_curves(500, seed=7)
    found = encoded(exam, fitted())
    assert (found.codes == number).mean() > 0.98
    curves = code_curves(fitted())
    assert (np.diff(curves.min(axis=1)) > 0).all()
    assert found.codes.dtype == np.uint8
    assert found.latent.dtype == np.float32
    np.testing.assert_allclose(found.reconstruction, curves[found.codes - 1], atol=1e-6)


@pytest.mark.parametrize(
    ("interval_s", "frames", "arrival_s"), [(1.0, 90, 25.0), (2.0, 45, 14.0), (3.0, 30, 21.0)]
)
def test_another_protocol_gives_the_same_codes(interval_s, frames, arrival_s):
    exam, number = depth_curves(
        400, seed=8, interval_s=interval_s, frames=frames, arrival_s=arrival_s
    )
    found = encoded(exam, fitted())
    assert (found.codes == number).mean() > 0.95


def test_the_same_seed_gives_the_same_bytes_and_another_other_ones():
    one = fitted()
    fitted.cache_clear()
    torch.manual_seed(77)
    assert fitted().digest() == one.digest()
    assert fitted(2).digest() != one.digest()


def test_a_curve_without_signal_has_no_code_and_a_strange_one_lies_far():
    exam, _ = depth_curves(50, seed=9)
    signal = np.array(exam.signal)
    signal[0] = 0
    signal[1] = 900 * np.random.default_rng(1).random(60)
    found = encode_curves(signal, interval_s=1.5, arrival_s=18.0, weights=fitted())
    assert found.codes[0] == 0
    assert np.isnan(found.distance[0])
    assert np.isnan(found.reconstruction[0]).all()
    limit = fitted().card.measured[UNLIKE]
    assert found.distance[1] > 5 * limit
    assert (found.distance[2:] < 3 * limit).all()


def test_no_curves_have_no_codes():
    found = encode_curves(np.zeros((0, 60)), interval_s=1.5, arrival_s=18.0, weights=fitted())
    assert found.codes.shape == (0,)
    assert found.reconstruction.shape == (0, 60)


def test_a_protocol_it_was_not_trained_for_is_refused():
    signal = depth_curves(5, seed=1)[0].signal
    for interval_s, frames in ((4.0, 60), (0.5, 60), (1.5, 20)):
        with pytest.raises(MetadataError) as refused:
            encode_curves(
                signal[:, :frames], interval_s=interval_s, arrival_s=10.0, weights=fitted()
            )
        assert refused.value.code is Code.PROTOCOL_OUTSIDE


def test_weights_of_something_else_are_refused():
    card = dataclasses.replace(fitted().card, kind="sequence")
    with pytest.raises(FileError) as refused:
        codes_network(dataclasses.replace(fitted(), card=card))
    assert refused.value.code is Code.WEIGHTS_INVALID


def test_too_few_curves_are_refused():
    with pytest.raises(QuantityError):
        fit_curve_codes([depth_curves(50, seed=1)[0]], [depth_curves(50, seed=2)[0]], recipe=TINY)


@pytest.mark.slow
def test_the_network_leaves_as_onnx_and_says_the_same():
    pytest.importorskip("onnxscript")
    values = torch.from_numpy(np.array(align_curves(depth_curves(300, seed=4)[0]).values))
    measured = (torch.rand(300, 60) > 0.1).float()
    network = codes_network(fitted())
    content = onnx_bytes(network, (values[:5], measured[:5]))
    assert onnx_difference(content, network, (values, measured)) < 1e-5

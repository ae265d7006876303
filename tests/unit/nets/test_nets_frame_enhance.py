from dataclasses import replace

import numpy as np
import pytest
import torch

from bolus.core import (
    Acquisition,
    Grid,
    Mask,
    ModelCard,
    PerfusionSeries,
    ProtocolRange,
    Provenance,
    TimeAxis,
    Weights,
)
from bolus.core.quantities import SIGNAL
from bolus.errors import FileError, MetadataError, QuantityError
from bolus.io.weights import shipped_weights
from bolus.metrics.perfusion_bias import LIMITS
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.frame_enhance import (
    RECIPE,
    TUNING,
    FrameExample,
    bias_guard,
    enhance_frames,
    fit_frames,
    tune_frames,
)
from bolus.nets.frame_enhancer import FrameSettings, FrameTask, start_frames
from bolus.nets.frame_input import frame_parts, half_parts, network_inputs
from bolus.nets.machine import one_thread_count
from bolus.nets.weighting import load_weights

SHAPE, FRAMES, SIGMA = (40, 40, 4), 40, 4.0
SMALL = FrameSettings(width=8, depth=3)
SHORT = replace(RECIPE, epochs=6, batch_size=16, learning_rate=1e-2)
PASSED = {f"test_{name}": 0.0 for name in LIMITS}


def scan(seed=1, *, sigma=SIGMA):
    """Return a head of smooth blood volume and two transit times, with and without noise."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    seconds = 1.5 * np.arange(FRAMES)
    early, late = (np.exp(-(((seconds - at) / 6) ** 2)) for at in (24, 30))
    share = 0.5 + 0.4 * np.sin(3 * x + seed)
    depth = (0.2 + 0.1 * np.cos(4 * y + seed))[..., None]
    curve = share[..., None] * early + (1 - share)[..., None] * late
    clean = (100 * np.exp(-depth * curve)).astype(np.float32)
    mask = Mask(values=x**2 + y**2 < 0.9, grid=Grid(shape=SHAPE, affine=np.eye(4)), name="brain")
    truth = PerfusionSeries(
        values=clean, quantity=SIGNAL, grid=mask.grid, acquisition=Acquisition(),
        time=TimeAxis.regular(FRAMES, step_s=1.5), provenance=Provenance(),
    )  # fmt: skip
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape).astype(np.float32)
    return FrameExample(noisy=replace(truth, values=clean + noise), truth=truth, mask=mask)


def error(series, example):
    inside = example.mask.values
    return float(np.std(series.values[inside] - example.truth.values[inside]))


@pytest.fixture(scope="module")
def fitted():
    return fit_frames([scan(1), scan(2)], [scan(3)], patches=120, settings=SMALL, recipe=SHORT)[0]


def passed(weights):
    return replace(weights, card=replace(weights.card, measured=PASSED))


def test_noise_goes_and_the_network_takes_more_than_the_time_courses_do(fitted):
    example = scan(9)
    untaught = replace(fitted, tensors={k: np.zeros_like(v) for k, v in fitted.tensors.items()})
    plain = error(enhance_frames(example.noisy, example.mask, passed(untaught)).series, example)
    found = enhance_frames(example.noisy, example.mask, passed(fitted))
    assert plain < 0.5 * SIGMA
    assert error(found.series, example) < 0.8 * plain
    assert np.nanmedian(found.sigma) == pytest.approx(SIGMA, rel=0.05)
    assert np.isnan(found.sigma[~example.mask.values]).all()


def test_outside_of_the_mask_nothing_changes_and_history_says_what_was_done(fitted):
    example = scan(9)
    found = enhance_frames(example.noisy, example.mask, passed(fitted)).series
    outside = ~example.mask.values
    assert np.array_equal(found.values[outside], example.noisy.values[outside])
    assert found.provenance.steps[-1].function == "nets.enhance_frames"


def test_a_curve_that_one_voxel_alone_has_is_kept(fitted):
    example = scan(9)
    values = np.array(example.noisy.values)
    values[20, 20, 2, 5:25] *= 0.2
    found = enhance_frames(
        replace(example.noisy, values=values), example.mask, passed(fitted)
    ).series
    fall = 1 - found.values[20, 20, 2, 6:24].mean() / found.values[20, 20, 2, :5].mean()
    assert fall == pytest.approx(0.8, abs=0.05)


def test_a_change_is_never_larger_than_noise_could_hide():
    network = start_frames(SMALL, seed=1)
    for held in network.parameters():
        torch.nn.init.constant_(held, 5.0)
    inputs = torch.ones(2, 7, 16, 16)
    inputs[:, 6] = 0.1
    change = (network(inputs) - inputs[:, 1:2]).abs().detach()
    assert float(change.max()) == pytest.approx(0.4, rel=1e-3)


def test_a_network_that_learned_nothing_changes_nothing_and_its_loss_is_that_of_the_noise():
    example = scan(1)
    parts = frame_parts(example.noisy.curves(example.mask, dtype=np.float32), example.mask.values)
    inputs = network_inputs(parts, 1)
    network = start_frames(SMALL, seed=1)
    torch.testing.assert_close(network(inputs), inputs[:, 1:2])
    true = example.truth.curves(example.mask, dtype=np.float32) @ parts.basis
    aim = network_inputs(replace(parts, coefficients=true), 1, scale=parts.scale)[:, 1:2]
    loss = FrameTask(network).validation_loss((inputs, aim))["loss"]
    assert float(loss.detach()) == pytest.approx(1.0, abs=0.1)


def test_noise_of_halves_is_independent_and_of_the_size_that_is_said():
    example = scan(1)
    curves = example.noisy.curves(example.mask, dtype=np.float32)
    parts = frame_parts(curves, example.mask.values)
    true = example.truth.curves(example.mask, dtype=np.float32) @ parts.basis
    halves = [half_parts(parts, curves, first) for first in (0, 1)]
    off = [(half.coefficients - true) / parts.sigma[:, None] for half in halves]
    for half, noise in zip(halves, off, strict=True):
        np.testing.assert_allclose(noise.std(axis=0), half.noise, rtol=0.1)
    for column in range(len(parts.noise)):
        assert abs(np.corrcoef(off[0][:, column], off[1][:, column])[0, 1]) < 0.1


def test_tuning_learns_without_truth_and_is_not_trusted_unasked(fitted):
    example = scan(9)
    start = start_frames(SMALL, seed=4)
    blank = replace(fitted, tensors={k: v.detach().numpy() for k, v in start.state_dict().items()})
    recipe = replace(TUNING, epochs=6, learning_rate=1e-2)
    tuned, done = tune_frames(example.noisy, example.mask, blank, patches=100, recipe=recipe)
    before = error(enhance_frames(example.noisy, example.mask, blank, biased=True).series, example)
    after = error(enhance_frames(example.noisy, example.mask, tuned, biased=True).series, example)
    assert after < 0.9 * before
    assert len(done.history) >= 2
    with pytest.raises(FileError, match="was not measured"):
        enhance_frames(example.noisy, example.mask, tuned)


def test_a_biased_network_is_refused_unless_it_is_asked_for(fitted):
    example = scan(9)
    card = replace(fitted.card, measured={**PASSED, "test_aif_peak": -0.08})
    biased = replace(fitted, card=card)
    assert not bias_guard(biased).allowed
    with pytest.raises(FileError, match=r"aif_peak is -0\.08"):
        enhance_frames(example.noisy, example.mask, biased)
    assert enhance_frames(example.noisy, example.mask, biased, biased=True).guard.reasons


def test_the_network_that_comes_with_bolus_is_within_the_limits():
    assert bias_guard(shipped_weights("frame-enhancer")).allowed


def test_scans_unlike_those_it_knows_are_told(fitted):
    example = scan(9, sigma=10.0)
    found = enhance_frames(example.noisy, example.mask, passed(fitted))
    assert any(said.startswith("snr is") for said in found.outside)


def test_threads_and_the_same_seed_give_the_same_bytes(fitted):
    example = scan(9)
    series = []
    for threads in (1, 2, 4):
        with one_thread_count(threads):
            found = enhance_frames(example.noisy, example.mask, passed(fitted))
        series.append(found.series.values.tobytes())
    assert len(set(series)) == 1
    again = fit_frames([scan(1), scan(2)], [scan(3)], patches=120, settings=SMALL, recipe=SHORT)[0]
    assert again.digest() == fitted.digest()


@pytest.mark.slow
def test_onnx_gives_what_torch_gives(fitted):
    network = start_frames(SMALL, seed=1)
    load_weights(network, fitted)
    example = scan(9)
    curves = example.noisy.curves(example.mask, dtype=np.float32)
    inputs = network_inputs(frame_parts(curves, example.mask.values), 1)
    assert onnx_difference(onnx_bytes(network, (inputs,)), network, (inputs,)) < 1e-5


def test_what_cannot_be_used_is_refused(fitted):
    example = scan(9)
    with pytest.raises(QuantityError, match="0 scans"):
        fit_frames([], [example])
    with pytest.raises(QuantityError, match="time courses"):
        frame_parts(np.ones((10, 40), np.float32), np.ones((10, 1, 1), bool))
    with pytest.raises(MetadataError):
        FrameSettings(depth=1)
    card = ModelCard(
        name="x", kind="codes", settings={}, trained_on="", simulated=True,
        protocol=ProtocolRange(limits={}), limits="", version="0",
    )  # fmt: skip
    with pytest.raises(FileError, match="codes"):
        enhance_frames(example.noisy, example.mask, Weights(tensors={}, card=card))

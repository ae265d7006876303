from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from bolus.core import Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis
from bolus.core.quantities import SIGNAL
from bolus.errors import FileError, GeometryError, MetadataError, QuantityError, TimingError
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.machine import one_thread_count
from bolus.nets.spacetime import FieldSettings, SpaceField, TimeField, start_field
from bolus.nets.spacetime_apply import field_guard, refine_series
from bolus.nets.spacetime_fit import (
    KIND,
    SPACE_RECIPE,
    TIME_RECIPE,
    FieldExample,
    fit_field,
)
from bolus.nets.spacetime_input import field_parts, interpolated, places_of, spline_matrix
from bolus.simulate.degrade import truncate_kspace, with_rician_noise

FINE, COARSE, FRAMES = (64, 64, 4), (32, 32, 4), 40
SMALL = FieldSettings(width=8, depth=3, state=8)
BRIEF = tuple(
    replace(recipe, epochs=6, learning_rate=1e-2, batch_size=16, ema_decay=0.9)
    for recipe in (SPACE_RECIPE, TIME_RECIPE)
)


def scan(seed=1, *, sigma=0.3):
    """Return a head with sharp borders between tissues of other blood volume, twice as coarse."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in FINE), indexing="ij")
    seconds = 1.5 * np.arange(FRAMES)
    early, late = (np.exp(-(((seconds - at) / 4) ** 2)) for at in (24, 30))
    grey = np.sin(9 * x + seed) * np.cos(8 * y - seed) > 0
    depth = np.where(grey, 0.4, 0.15)[..., None]
    curve = np.where(grey[..., None], early, 0.7 * late)
    head = x**2 + y**2 < 0.6
    clean = np.where(head[..., None], 100 * np.exp(-depth * curve), 1.0).astype(np.float32)
    finer = PerfusionSeries(
        values=clean, quantity=SIGNAL, grid=Grid(shape=FINE, affine=np.eye(4)),
        acquisition=Acquisition(), time=TimeAxis.regular(FRAMES, step_s=1.5),
        provenance=Provenance(),
    )  # fmt: skip
    coarse = truncate_kspace(finer, COARSE)
    mask = Mask(values=head[::2, ::2], grid=coarse.grid, name="brain")
    given = with_rician_noise(coarse, sigma=sigma, seed=seed)
    return FieldExample(given=given, mask=mask, coarse=coarse, finer=finer)


@pytest.fixture(scope="module")
def example():
    return scan()


@pytest.fixture(scope="module")
def learned():
    return fit_field(
        [scan(2), scan(3)], [scan(4)], counts=(400, 800), settings=SMALL, recipes=BRIEF
    )


@pytest.fixture(scope="module")
def weights(learned):
    return learned[0]


def psnr(found, truth, inside):
    return -10 * np.log10(np.mean((found - truth)[inside] ** 2))


def untaught():
    from bolus.core.learned import ModelCard, ProtocolRange
    from bolus.nets.weighting import weights_of

    card = ModelCard(
        name="t", kind=KIND, settings={"width": 8, "depth": 3, "most_space": 1.0, "state": 8,
        "most_time": 1.0}, trained_on="nothing", simulated=True,
        protocol=ProtocolRange(limits={}), version="0", limits="", measured={},
    )  # fmt: skip
    return weights_of(start_field(SMALL, seed=1), card)


def test_networks_that_learned_nothing_interpolate(example):
    asked = np.arange(0, 58.5, 0.75)
    found = refine_series(
        example.given, example.mask, untaught(), shape=FINE, seconds=asked, biased=True
    )
    clean = field_parts(example.given, example.mask).clean
    plain = interpolated(clean @ spline_matrix(example.given.time.seconds, asked).T, FINE)
    same = np.isclose(found.series.values, plain, rtol=1e-4, atol=1e-3)
    deep = ndimage.binary_erosion(found.mask.values, np.ones((7, 7, 1)))
    assert same[deep].all()  # splines overshoot at the edge of the head, and are held
    assert same[~found.mask.values].all()


def test_finer_voxels_keep_their_outer_edges(example):
    found = refine_series(example.given, example.mask, untaught(), shape=FINE, biased=True)
    np.testing.assert_allclose(found.series.grid.affine, example.finer.grid.affine)
    assert found.series.provenance.steps[-1].function == "nets.refine_series"


def test_it_comes_nearer_to_the_truth_than_what_it_starts_from(weights, example):
    inside = np.repeat(np.repeat(example.mask.values, 2, 0), 2, 1)
    found = refine_series(example.given, example.mask, weights, shape=FINE, biased=True).series
    plain = refine_series(example.given, example.mask, untaught(), shape=FINE, biased=True).series
    truth = example.finer.values
    assert psnr(found.values, truth, inside) > psnr(plain.values, truth, inside) + 0.5


def test_no_signal_is_far_beyond_those_about_it(example):
    wild = untaught()
    tensors = {
        name: 20 * np.random.default_rng(1).normal(size=value.shape).astype(np.float32)
        for name, value in wild.tensors.items()
    }
    found = refine_series(
        example.given, example.mask, replace(wild, tensors=tensors), shape=FINE, biased=True
    )
    values = found.series.values[found.mask.values]
    clean = field_parts(example.given, example.mask).clean
    assert values.min() >= 0.5 * clean.min()
    assert values.max() <= 1.5 * clean.max()


def test_at_the_border_of_the_image_it_interpolates(weights, example):
    wide = replace(example.mask, values=np.ones(COARSE, bool))
    found, plain = (
        refine_series(example.given, wide, held, shape=FINE, biased=True).series.values
        for held in (weights, untaught())
    )
    np.testing.assert_allclose(found[:6], plain[:6], rtol=1e-4, atol=1e-3)
    assert np.abs(found - plain)[10:-10, 10:-10].max() > 0.1


def test_frames_between_come_nearer_to_the_truth_than_a_spline(weights, example):
    from bolus.simulate.degrade import fewer_frames

    given = fewer_frames(example.given, 2)
    asked = example.given.time.seconds[: 2 * len(given.time) - 1]
    inside = example.mask.values
    found, plain = (
        refine_series(given, example.mask, held, shape=COARSE, seconds=asked, biased=True).series
        for held in (weights, untaught())
    )
    truth = example.coarse.values[..., : len(asked)]
    kept = slice(0, None, 2)
    np.testing.assert_allclose(found.values[..., kept], plain.values[..., kept], atol=1e-2)
    assert psnr(found.values, truth, inside) > psnr(plain.values, truth, inside) + 0.5


def test_no_answer_is_beyond_the_range_of_the_neighbours():
    network = SpaceField(SMALL)
    with torch.no_grad():
        for held in network.parameters():
            held.normal_(std=3.0)
        inputs = torch.randn(2, 7, 9, 9).abs()
        features = network.encode(inputs)
        places = 8 * torch.rand(2, 50, 2)
        change = network.decode(features, places, torch.full((2, 1), 0.5), torch.zeros(2, 50))
    assert (change.abs() <= features[:, -1].amax() + 1e-5).all()


def test_the_field_has_no_seams_between_voxels():
    network = SpaceField(SMALL).eval()
    with torch.no_grad():
        for held in network.parameters():
            held.normal_(std=0.5)
        features = network.encode(torch.randn(1, 7, 9, 9))
        sides = torch.tensor([[[4 - 1e-5, 3.3], [4 + 1e-5, 3.3], [5.2, 2 - 1e-5], [5.2, 2 + 1e-5]]])
        said = network.decode(features, sides, torch.ones(1, 1), torch.zeros(1, 4))[0].tolist()
    assert said[0] == pytest.approx(said[1], abs=1e-3)
    assert said[2] == pytest.approx(said[3], abs=1e-3)


def test_curves_go_through_their_frames_and_may_run_backwards():
    network = TimeField(SMALL).eval()
    with torch.no_grad():
        for held in network.parameters():
            held.normal_(std=0.5)
        values, gaps = torch.randn(3, 10), torch.full((3, 9), 0.75)
        frame, base = torch.arange(9), torch.randn(3, 9)
        for share in (0.0, 1.0):
            said = network(values, gaps, frame, torch.full((3, 9), share), base)
            torch.testing.assert_close(said, base)
        network.back.load_state_dict(network.ahead.state_dict())
        first = network.decoder[0].weight
        states = slice(0, SMALL.state), slice(SMALL.state, 2 * SMALL.state)
        first[:, states[1]] = first[:, states[0]]
        first[:, 2 * SMALL.state] = first[:, 2 * SMALL.state + 1]
        first[:, 2 * SMALL.state + 2] = 0
        half = torch.full((3, 9), 0.3)
        there = network(values, gaps, frame, half, base)
        again = network(values.flip(1), gaps, frame, 1 - half, base.flip(1)).flip(1)
    torch.testing.assert_close(there, again, rtol=1e-4, atol=1e-5)


def test_midpoint_steps_follow_the_equation():
    flow = TimeField(SMALL).ahead
    with torch.no_grad():
        state = torch.randn(5, SMALL.state)
        once = flow.carried(state, torch.full((5,), 0.5))
        fine = state
        for _ in range(100):
            fine = flow.carried(fine, torch.full((5,), 0.005))
    torch.testing.assert_close(once, fine, rtol=1e-2, atol=2e-3)


def test_same_seed_gives_the_same_bytes_on_any_number_of_threads(weights, example):
    said = []
    for threads in (1, 2, 4):
        with one_thread_count(threads):
            said.append(
                refine_series(example.given, example.mask, weights, shape=FINE, biased=True)
                .series.values.tobytes()
            )  # fmt: skip
    assert said[0] == said[1] == said[2]


def test_onnx_is_the_same_network(weights):
    network = start_field(SMALL, seed=1)
    from bolus.nets.weighting import load_weights

    load_weights(network, weights)
    inputs = torch.randn(2, 7, 12, 12)
    space = (inputs, 10 * torch.rand(2, 30, 2), torch.full((2, 1), 0.5), torch.randn(2, 30))
    time = (torch.randn(2, 8), torch.full((2, 7), 0.7), torch.rand(2, 7), torch.randn(2, 7))

    class Between(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.field = network.time

        def forward(self, values, gaps, share, base):
            return self.field(values, gaps, torch.arange(7), share, base)

    for part, example in ((network.space, space), (Between(), time)):
        assert onnx_difference(onnx_bytes(part, example), part, example) < 1e-5


def test_networks_without_figures_are_not_used_unasked(weights, example):
    assert not field_guard(weights).allowed
    with pytest.raises(FileError, match="not measured"):
        refine_series(example.given, example.mask, weights, shape=FINE)


@pytest.mark.parametrize("shape", [(16, 32, 4), (160, 160, 4)])
def test_fewer_or_far_too_many_voxels_are_refused(example, shape):
    with pytest.raises(GeometryError, match="voxels"):
        refine_series(example.given, example.mask, untaught(), shape=shape, biased=True)


@pytest.mark.parametrize("seconds", [[0.0, 100.0], [3.0, 2.0], [1.0]])
def test_times_beyond_the_scan_are_refused(example, seconds):
    with pytest.raises(TimingError, match="times"):
        refine_series(
            example.given, example.mask, untaught(), shape=FINE, seconds=np.array(seconds),
            biased=True,
        )  # fmt: skip


def test_a_training_without_scans_is_refused():
    with pytest.raises(QuantityError, match="no scan"):
        fit_field([], [], settings=SMALL)


def test_a_head_too_small_for_a_patch_is_refused(example):
    tiny = replace(example, mask=replace(example.mask, values=example.mask.values & False))
    with pytest.raises((QuantityError, GeometryError)):
        fit_field([tiny], [tiny], counts=(4, 4), settings=SMALL)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(MetadataError, match="cannot be"):
        FieldSettings(depth=1)


def test_places_of_finer_voxels_lie_about_the_coarse():
    np.testing.assert_allclose(places_of(6, 3).reshape(3, 2).mean(axis=1), [0, 1, 2])

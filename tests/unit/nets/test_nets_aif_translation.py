import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from bolus.core import ModelCard, ProtocolRange, Weights
from bolus.errors import FileError, MetadataError, QuantityError, TimingError
from bolus.nets.aif_input import (
    AXIS_S,
    CHANNELS,
    POINTS,
    SCALARS,
    AifCurves,
    aif_inputs,
    aif_summaries,
    aif_targets,
    from_scale,
    to_scale,
)
from bolus.nets.aif_translate import translate_aif, translate_curves
from bolus.nets.aif_translation import AifSettings, poorer
from bolus.nets.aif_translation_fit import RECIPE, aif_network, fit_aif
from bolus.nets.batches import generator
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.machine import one_thread_count

FINE_S = np.arange(0.0, 440.0, 0.2)
SMALL = AifSettings(members=2, width=8, hidden=48)
SHORT = replace(RECIPE, epochs=40, batch_size=64, patience=40)


def plasma(width_s, height):
    late = np.maximum(FINE_S - 30.0, 0.0)
    first = late / width_s * np.exp(1 - late / width_s)
    return height * (first + 0.25 * (1 - np.exp(-late / 20)) * np.exp(-late / 600))


def made(count, *, seed):
    """Return curves of a varying bolus, measured too low, and their truth."""
    random = np.random.default_rng(seed)
    curves, truth = [], []
    for _ in range(count):
        true = plasma(random.uniform(3, 7), random.uniform(5, 10))
        seconds = np.arange(2.0, random.uniform(180, 300), random.uniform(2, 6))
        seen = np.interp(seconds, FINE_S, true)
        noise = 0.02 * random.standard_normal((2, len(seconds)))
        low = random.uniform(0.1, 0.6)
        curves.append(
            AifCurves(artery=low * seen + noise[0], seconds=seconds, vein=0.5 * seen + noise[1],
                      dose_mmol_per_kg=0.1)
        )  # fmt: skip
        truth.append((true, FINE_S))
    return curves, truth


@pytest.fixture(scope="module")
def fitted():
    return fit_aif(made(300, seed=1), made(80, seed=2), settings=SMALL, recipe=SHORT)[0]


def test_scale_of_the_patient_comes_back_from_a_curve_that_is_too_low(fitted):
    curves, truth = made(60, seed=3)
    found = translate_curves(curves, fitted)
    areas = [
        np.trapezoid(f.concentration, f.seconds)
        / np.trapezoid(np.interp(f.seconds, FINE_S, true), f.seconds)
        for f, (true, _) in zip(found, truth, strict=True)
    ]
    measured = [
        np.trapezoid(c.artery, c.seconds) / np.trapezoid(np.interp(c.seconds, FINE_S, t), c.seconds)
        for c, (t, _) in zip(curves, truth, strict=True)
    ]
    assert np.median(np.abs(np.array(areas) - 1)) < 0.12
    assert np.median(np.abs(np.array(measured) - 1)) > 0.4


def test_interval_holds_about_what_it_says(fitted):
    curves, truth = made(60, seed=4)
    inside = []
    for found, curve, (true, _) in zip(
        translate_curves(curves, fitted), curves, truth, strict=True
    ):
        after = (found.seconds >= curve.rise_s) & (found.seconds < 400)
        held = np.interp(found.seconds, FINE_S, true)
        inside.append(((found.low <= held) & (held <= found.high))[after].mean())
        assert (found.low <= found.concentration).all()
        assert (found.concentration <= found.high).all()
        assert 0 < found.quality < 1
    assert 0.8 < np.mean(inside) < 0.98


def test_what_is_like_nothing_of_the_training_is_said_to_be_unlike(fitted):
    curves, _ = made(20, seed=5)
    usual = translate_curves(curves, fitted)
    assert np.mean([found.usable for found in usual]) > 0.8
    one = curves[0]
    falling = translate_aif(60 * one.artery[::-1] + 20, one.seconds, fitted, vein=-9 * one.artery)
    assert falling.unlike > 1.5
    assert not falling.usable


def test_vein_and_dose_may_be_missing(fitted):
    one = made(1, seed=6)[0][0]
    full = translate_aif(one.artery, one.seconds, fitted, vein=one.vein, dose_mmol_per_kg=0.1)
    bare = translate_aif(one.artery, one.seconds, fitted)
    assert np.isfinite(bare.concentration).all()
    assert bare.unlike < 1.5
    assert not np.array_equal(full.concentration, bare.concentration)


def test_curve_covers_the_scan_from_its_first_frame_on(fitted):
    true = plasma(5.0, 8.0)
    seconds = np.arange(0.0, 600.0, 6.0)
    seen = np.interp(seconds, FINE_S, true)
    found = translate_aif(0.4 * seen, seconds, fitted)
    assert found.seconds[0] == 0.0
    assert found.seconds[-1] >= seconds[-1]
    assert (np.diff(found.seconds) > 0).all()
    assert (np.diff(found.concentration[found.seconds > 420]) <= 0).all()


def test_use_is_the_same_bytes_on_any_number_of_threads(fitted):
    curves = made(5, seed=7)[0]
    said = []
    for threads in (1, 2, 4):
        with one_thread_count(threads):
            said.append(
                b"".join(f.concentration.tobytes() for f in translate_curves(curves, fitted))
            )
    assert said[0] == said[1] == said[2]


def test_training_is_the_same_bytes_again():
    brief = replace(SHORT, epochs=2)
    one, two = (
        fit_aif(made(60, seed=1), made(50, seed=2), settings=SMALL, recipe=brief)[0].digest()
        for _ in range(2)
    )
    assert one == two


@pytest.mark.slow
def test_onnx_says_what_torch_says(fitted):
    pytest.importorskip("onnxscript")
    network = aif_network(fitted)
    inputs = aif_inputs(made(3, seed=8)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = onnx_bytes(network, inputs)
    assert onnx_difference(content, network, inputs) < 1e-5


def test_inputs_are_aligned_and_marked():
    seconds = np.arange(0.0, 120.0, 4.0)
    artery = np.where(seconds >= 40, 4.0, 0.0)
    curve = AifCurves(artery=artery, seconds=seconds)
    channels, scalars = aif_inputs([curve])
    assert curve.rise_s == 38.0
    assert tuple(channels.shape) == (1, CHANNELS, POINTS)
    assert not channels[0, 1].any()
    assert not channels[0, 3].any()
    known = (AXIS_S >= -38.0) & (AXIS_S <= 78.0)
    np.testing.assert_array_equal(channels[0, 2].numpy() > 0, known)
    level = channels[0, 0][torch.from_numpy((AXIS_S > 6) & (AXIS_S < 70))]
    np.testing.assert_allclose(from_scale(level.numpy()), 4.0, rtol=1e-5)
    assert scalars[0, 3] == 0
    truth = aif_targets([curve], [(np.full(2, 3.0), np.array([0.0, 900.0]))])
    np.testing.assert_allclose(from_scale(truth.numpy()), 3.0, rtol=1e-5)
    assert np.isnan(aif_summaries(channels, scalars)[0]).sum() >= 11
    np.testing.assert_allclose(to_scale(np.array([-1.0])), -to_scale(np.array([1.0])))


def test_training_curves_lose_vein_dose_and_end_and_nothing_else():
    channels, scalars = torch.ones(200, CHANNELS, POINTS), torch.ones(200, SCALARS)
    fewer, numbers = poorer(channels, scalars, generator(1, "test"))
    no_vein = fewer[:, 1, 0] == 0
    assert 0.15 < no_vein.float().mean() < 0.45
    assert torch.equal(fewer[:, 1], fewer[:, 3])
    assert fewer[:, 0, :48].all()
    assert 0.1 < (fewer[:, 0, -1] == 0).float().mean() < 0.5
    assert numbers[:, :2].all()
    assert torch.equal(numbers[:, 2], numbers[:, 3])


def test_what_cannot_be_is_refused(fitted):
    good = np.linspace(0, 1, 20)
    with pytest.raises(TimingError):
        AifCurves(artery=good, seconds=-good)
    with pytest.raises(TimingError):
        AifCurves(artery=good[:5], seconds=good[:5])
    for artery in (-good, np.full(20, np.nan), good[:9]):
        with pytest.raises(QuantityError):
            AifCurves(artery=artery, seconds=good)
    with pytest.raises(QuantityError):
        AifCurves(artery=good, seconds=good, vein=good[:3])
    with pytest.raises(MetadataError):
        AifSettings(members=1)
    with pytest.raises(QuantityError):
        fit_aif(made(5, seed=1), made(60, seed=2), settings=SMALL, recipe=SHORT)
    card = ModelCard(
        name="x", kind="leakage", settings={}, trained_on="", simulated=True,
        protocol=ProtocolRange(limits={}), limits="", version="0",
    )  # fmt: skip
    with pytest.raises(FileError):
        translate_aif(good, good, Weights(tensors={}, card=card))

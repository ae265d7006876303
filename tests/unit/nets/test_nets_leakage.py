from dataclasses import replace

import numpy as np
import pytest
import torch

from bolus.core import ModelCard, ProtocolRange, Weights
from bolus.errors import FileError, MetadataError, QuantityError, TimingError
from bolus.nets.batches import generator
from bolus.nets.leakage import LeakageSettings, LeakageTask, _sparser, start_leakage
from bolus.nets.leakage_fit import RECIPE, enhancement_curves, fit_leakage, leakage_score
from bolus.nets.physical_axis import ExamCurves

ARRIVAL_S = 30.0
SHORT = replace(RECIPE, epochs=20, batch_size=100)


def exam(count, *, leak=0.0, gain=1.0, interval_s=4.0, frames=60, seed=1):
    """Return curves of vessels that come and go, with a slow rise where agent leaks."""
    random = np.random.default_rng(seed)
    seconds = interval_s * np.arange(frames) - ARRIVAL_S
    after = np.maximum(seconds, 0.0)
    vessels = after / 8 * np.exp(1 - after / 8) + 0.3 * (1 - np.exp(-after / 20))
    rise = random.uniform(0.05, 0.4, (count, 1)) * vessels + leak * (1 - np.exp(-after / 60))
    noise = 0.005 * random.standard_normal((count, frames))
    signal = gain * 100 * (1 + rise + noise)
    return ExamCurves(signal=signal, interval_s=interval_s, arrival_s=ARRIVAL_S)


@pytest.fixture(scope="module")
def fitted():
    return fit_leakage([exam(600)], [exam(200, seed=2)], recipe=SHORT)[0]


def test_normal_curves_score_nothing_and_leakage_its_height(fitted):
    normal = leakage_score(exam(200, seed=3), fitted)
    leaky = leakage_score(exam(200, leak=0.5, seed=3), fitted)
    assert abs(normal.residual.mean()) < 1.0
    assert 20 < leaky.leakage.mean() < 50
    assert (leaky.leakage > normal.leakage + 10).all()


def test_less_signal_than_expected_is_the_vascular_part(fitted):
    scored = leakage_score(exam(50, leak=-0.1, seed=3), fitted)
    assert scored.vascular.mean() > 3
    np.testing.assert_allclose(scored.leakage - scored.vascular, scored.residual)


def test_gain_of_the_scanner_cancels(fitted):
    one, other = (leakage_score(exam(50, leak=0.3, gain=g), fitted).residual for g in (1, 0.01))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_any_frames_and_interval_give_about_the_same_score(fitted):
    usual = leakage_score(exam(200, leak=0.5), fitted).leakage.mean()
    for interval_s, frames in ((2.5, 96), (8.0, 30), (12.0, 20)):
        other = exam(200, leak=0.5, interval_s=interval_s, frames=frames)
        assert leakage_score(other, fitted).leakage.mean() == pytest.approx(usual, rel=0.2)


def test_chunks_and_voxels_that_cannot_be_used(fitted, monkeypatch):
    signal = np.array(exam(10, leak=0.3).signal)
    signal[2], signal[5, 7] = 0.0, np.nan
    given = ExamCurves(signal=signal, interval_s=4.0, arrival_s=ARRIVAL_S)
    whole = leakage_score(given, fitted)
    assert np.flatnonzero(~whole.usable).tolist() == [2, 5]
    monkeypatch.setattr("bolus.nets.leakage_fit._CHUNK", 3)
    np.testing.assert_allclose(leakage_score(given, fitted).residual, whole.residual, atol=1e-4)


def test_the_same_seed_gives_the_same_bytes(fitted):
    again = fit_leakage([exam(600)], [exam(200, seed=2)], recipe=SHORT)[0]
    assert again.digest() == fitted.digest()


def test_frames_that_are_not_there_do_not_count():
    short = exam(3, frames=40)
    values, measured, usable = enhancement_curves(short)
    assert usable.all()
    assert 0 < measured.sum() < len(measured)
    assert not values[:, ~measured].any()


def test_sparser_curves_keep_a_straight_line_between_the_points_that_are_left():
    line = torch.arange(44.0).repeat(100, 1)
    for seed in range(5):
        seen = _sparser(line, generator(seed, "sparser"))
        assert torch.isfinite(seen).all()
        torch.testing.assert_close(seen[:, 4:40], line[:, 4:40])


def test_a_curve_after_the_first_pass_does_not_change_what_comes_back():
    network = start_leakage(LeakageSettings(), torch.ones(2, 44), seed=1)
    one = torch.zeros(1, 44)
    other = one.clone()
    other[:, 9:] = 5.0
    mask = torch.ones(1, 44)
    assert torch.equal(network(one, mask), network(other, mask))
    loss = LeakageTask(network).validation_loss((other, mask))["loss"]
    assert float(loss.detach()) > 3


def test_what_cannot_be_used_is_refused(fitted):
    with pytest.raises(QuantityError, match="usable curves"):
        fit_leakage([exam(20)], [exam(200)], recipe=RECIPE)
    late = ExamCurves(signal=np.ones((2, 60)), interval_s=4.0, arrival_s=20.0, start_s=40.0)
    with pytest.raises(TimingError, match="first frame"):
        leakage_score(late, fitted)
    with pytest.raises(MetadataError):
        LeakageSettings(seen=50)
    card = ModelCard(
        name="x", kind="codes", settings={}, trained_on="", simulated=True,
        protocol=ProtocolRange(limits={}), limits="", version="0",
    )  # fmt: skip
    with pytest.raises(FileError, match="codes"):
        leakage_score(exam(3), Weights(tensors={}, card=card))

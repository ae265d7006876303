from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from bolus.core import ModelCard, ProtocolRange, Weights
from bolus.errors import Code, FileError, GeometryError, MetadataError, QuantityError, TimingError
from bolus.io.weights import shipped_weights
from bolus.nets.artery_fit import RECIPE, ArteryExam, fit_artery, propose_arteries
from bolus.nets.artery_input import AXIS_S, BEFORE_S, CHANNELS, KINDS, POINTS, artery_input
from bolus.nets.artery_picker import ArteryPicker, ArterySettings, ArteryTask, start_artery
from bolus.nets.batches import generator
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.weighting import load_weights

SHAPE = (14, 14, 6)
SHORT = replace(RECIPE, epochs=8, batch_size=64, learning_rate=0.01)
SMALL = ArterySettings(width=8, hidden=8)


def exam(seed=1, *, kind="dsc", gain=1.0, late_s=0.0, step_s=1.5, frames=60, noise=0.02):
    """Return tissue that is late and wide, early narrow arteries, and late tall veins."""
    random = np.random.default_rng(seed)
    times_s = step_s * np.arange(frames)

    def bolus(start_s, width_s):
        after = np.maximum(times_s - start_s - late_s, 0) / width_s
        return after**3 * np.exp(3 * (1 - after)) + 0.1 * (after > 1)

    brain = np.ones(SHAPE, bool)
    brain[0] = False
    share, vein = np.zeros(SHAPE), np.zeros(SHAPE)
    place = random.permutation(np.argwhere(brain))
    share[tuple(place[:60].T)] = random.uniform(0.1, 1, 60)
    vein[tuple(place[60:120].T)] = random.uniform(0.1, 1, 60)
    values = (
        20 * share[..., None] * bolus(20, 5)
        + 20 * vein[..., None] * bolus(27, 7)
        + random.uniform(0.5, 1.5, (*SHAPE, 1)) * bolus(22, 7)
    )
    values = gain * (values + noise * random.standard_normal(values.shape))
    return ArteryExam(
        values=values.astype(np.float32), times_s=times_s, brain=brain, kind=kind, share=share
    )


@pytest.fixture(scope="module")
def fitted():
    training = (exam(n, kind=KINDS[n % 2]) for n in range(12))
    return fit_artery(training, [exam(n) for n in (20, 21, 22)], recipe=SHORT)[0]


def proposed(given, weights, **other):
    return propose_arteries(
        given.values, given.times_s, given.brain, weights, kind=given.kind, **other
    )


@pytest.mark.parametrize("kind", KINDS)
def test_arteries_are_proposed_and_veins_are_not(fitted, kind):
    given = exam(30, kind=kind)
    found = proposed(given, fitted)
    assert found.mask.sum() == 10
    assert given.share[found.mask].min() > 0.4
    assert not found.mask[~given.brain].any()
    assert not found.share[~given.brain].any()
    assert found.outside == ()


def test_the_share_is_about_right(fitted):
    given = exam(31)
    found = proposed(given, fitted)
    seen = given.share > 0.1
    assert np.corrcoef(found.share[seen], given.share[seen])[0, 1] > 0.8
    assert abs(found.share[seen].mean() - given.share[seen].mean()) < 0.15


def test_unit_and_injection_do_not_matter(fitted):
    usual = proposed(exam(30), fitted)
    for other in (exam(30, gain=0.01), exam(30, late_s=9.0)):
        assert proposed(other, fitted).mask[usual.mask].mean() >= 0.8


def test_no_place_is_seen(fitted):
    given = exam(30)
    usual = proposed(given, fitted)
    turned = replace(given, values=given.values[::-1, :, ::-1], brain=given.brain[::-1, :, ::-1])
    found = proposed(turned, fitted)
    np.testing.assert_allclose(found.share[::-1, :, ::-1], usual.share, atol=1e-5)


def test_curves_that_are_not_finite_are_passed_over(fitted):
    given = exam(30)
    first = proposed(given, fitted).mask
    spoiled = given.values.copy()
    spoiled[first, 7] = np.nan
    second = proposed(replace(given, values=spoiled), fitted).mask
    assert second.any()
    assert not (first & second).any()


def test_fewer_voxels_and_a_slow_series(fitted):
    assert proposed(exam(30), fitted, voxels=3).mask.sum() == 3
    slow = exam(30, step_s=7.0, frames=20)
    assert "interval_s" in proposed(slow, fitted).outside[0]


def test_no_artery_is_said_to_be_none(fitted):
    given = exam(30)
    veins = replace(given, values=np.where(given.share[..., None] > 0, np.nan, given.values))
    with pytest.raises(MetadataError, match=r"artery, and .* is needed") as caught:
        proposed(veins, fitted)
    assert caught.value.code is Code.AIF_NOT_FOUND


def test_bytes_are_the_same_over_threads_and_seeds(fitted):
    again = fit_artery(
        (exam(n, kind=KINDS[n % 2]) for n in range(12)),
        [exam(n) for n in (20, 21, 22)],
        recipe=SHORT,
    )[0]
    assert again.digest() == fitted.digest()
    given, before = exam(30), torch.get_num_threads()
    shares = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            shares.append(proposed(given, fitted).share.tobytes())
    finally:
        torch.set_num_threads(before)
    assert len(set(shares)) == 1


def test_features_are_on_the_axis():
    given = exam(30, step_s=2.2, frames=30)
    seen = artery_input(given.values, given.times_s, given.brain, kind="dce")
    features = seen.features
    assert features.shape == (len(seen.indices), CHANNELS, POINTS)
    measured = features[0, 4] > 0
    asked = AXIS_S + seen.arrival_s
    assert (measured == ((asked >= 0) & (asked <= given.times_s[-1]))).all()
    assert (features[:, 5] == 1).all()
    assert float(features[:, 1].max(axis=1).mean()) == pytest.approx(1, abs=0.15)
    brain = features[0, 3]
    assert np.interp(0, AXIS_S, brain) == pytest.approx(0.5, abs=0.12)
    assert abs(brain[AXIS_S < -BEFORE_S / 2].mean()) < 0.05


def test_neighbours_do_not_hold_the_voxel_itself():
    values = np.zeros((5, 5, 5, 40), np.float32)
    curve = np.exp(-(((np.arange(40) - 20) / 3.0) ** 2))
    values += 0.1 * curve
    values[2, 2, 2] = 3 * curve
    seen = artery_input(values, 1.5 * np.arange(40), np.ones((5, 5, 5), bool), kind="dsc")
    at = int(np.flatnonzero((seen.indices == 2).all(axis=1))[0])
    assert seen.features[at, 2].max() == pytest.approx(seen.features[at, 0].max() / 30, rel=1e-4)


def test_onnx_gives_the_same():
    pytest.importorskip("onnxscript")
    weights = shipped_weights("artery-picker")
    network = load_weights(ArteryPicker(ArterySettings(**weights.card.settings)), weights)
    inputs = torch.randn(5, CHANNELS, POINTS, generator=generator(1, "inputs"))
    assert onnx_difference(onnx_bytes(network, (inputs,)), network, (inputs,)) < 1e-5


def test_the_loss_is_least_for_the_truth():
    features, share = torch.zeros(6, CHANNELS, POINTS), torch.linspace(0.1, 0.9, 6)

    def loss(told):
        return ArteryTask(lambda _: torch.logit(told)).validation_loss((features, share))["loss"]

    assert loss(share) < min(loss(share - 0.05), loss(share + 0.05))


def test_the_training_draws_from_its_generator_only():
    task = ArteryTask(start_artery(SMALL, seed=1))
    batch = torch.randn(6, CHANNELS, POINTS, generator=generator(1, "x")), torch.rand(6)
    drawn = [
        float(task.training_loss(batch, generator(s, "y"))["loss"].detach()) for s in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_cannot_be_used_is_refused(fitted):
    given = exam(30)
    with pytest.raises(MetadataError, match="pet"):
        proposed(replace(given, kind="pet"), fitted)
    with pytest.raises(GeometryError, match="mask of shape"):
        proposed(replace(given, brain=given.brain[1:]), fitted)
    with pytest.raises(GeometryError, match="finite curves"):
        proposed(replace(given, brain=np.zeros(SHAPE, bool)), fitted)
    with pytest.raises(TimingError, match="times"):
        proposed(replace(given, times_s=given.times_s[1:]), fitted)
    with pytest.raises(TimingError, match="no frame lies"):
        proposed(exam(30, late_s=-21.0), fitted)
    with pytest.raises(MetadataError, match="does not rise"):
        proposed(replace(given, values=np.zeros_like(given.values)), fitted)
    with pytest.raises(QuantityError, match="to learn arteries from"):
        fit_artery([], [], recipe=SHORT)
    with pytest.raises(MetadataError):
        ArterySettings(width=0)
    card = ModelCard(
        name="x", kind="codes", settings={}, trained_on="", simulated=True,
        protocol=ProtocolRange(limits={}), limits="", version="0",
    )  # fmt: skip
    with pytest.raises(FileError, match="codes"):
        proposed(given, Weights(tensors={}, card=card))


@pytest.mark.reference
def test_the_patch_of_real_curves_gives_the_early_group(reference_data):
    path = reference_data / "data/osipi_jbja_aif_demo/test_concentration.nii"
    values = nib.load(path).get_fdata()
    found = propose_arteries(
        values, 1.5 * np.arange(40), np.ones((25, 25, 1), bool), shipped_weights("artery-picker"),
        kind="dsc",
    )  # fmt: skip
    assert found.mask.sum() == 10
    assert found.mask[:, 20:].sum() == 10
    assert "duration_s" in found.outside[0]

"""Sequence networks: what cancels in their input, what they say, and what they refuse."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sequence_example import cohort, exam

from bolus.core import CurveCohort, Split
from bolus.errors import BolusError, Code
from bolus.nets.batches import generator
from bolus.nets.export import onnx_bytes, onnx_difference
from bolus.nets.physical_axis import AXIS
from bolus.nets.sequence import (
    SEQUENCE_NETWORKS,
    STEPS,
    SequenceSettings,
    start_member,
)
from bolus.nets.sequence_augment import OtherExams
from bolus.nets.sequence_fit import UNLIKE, fit_sequence, predict_sequence, sequence_network
from bolus.nets.sequence_input import as_tensors, sequence_input
from bolus.nets.train import TrainSettings

QUICK = TrainSettings(epochs=6, batch_size=16, learning_rate=1e-2, seed=3, ema_decay=0.8)
SMALL = SequenceSettings(network="tcn", members=2, width=8, dropout=0.0)
SPLIT = Split(
    training=frozenset(f"{n:03d}" for n in range(40)),
    validation=frozenset(f"{n:03d}" for n in range(40, 52)),
    test=frozenset(),
)


@pytest.fixture(scope="module")
def fitted():
    return fit_sequence(cohort(52), SPLIT, settings=SMALL, recipe=QUICK)


def test_gain_cancels_and_echo_time_all_but_a_part_of_a_frame():
    plain, bright = sequence_input(exam()), sequence_input(exam(gain=3.0))
    longer = sequence_input(exam(echo_s=0.045))

    np.testing.assert_allclose(bright.values, plain.values, atol=1e-3)
    np.testing.assert_allclose(longer.values.sum(1), plain.values.sum(1), rtol=0.02)
    assert abs(longer.start_s - plain.start_s) < 0.1


def test_repetition_time_and_arrival_leave_the_curve_where_it_was():
    plain = sequence_input(exam(step_s=1.0, frames=90))
    other = sequence_input(exam(step_s=1.7, frames=60, arrival_s=31.0))
    both = (plain.known * other.known)[3] > 0

    assert both.sum() > 30
    assert np.corrcoef(plain.values[3, both], other.values[3, both])[0, 1] > 0.99
    assert other.start_s - plain.start_s == pytest.approx(11.0, abs=0.7)


def test_frames_before_the_steady_state_change_nothing():
    plain = exam()
    bright = plain.regions.copy(), plain.voxels.copy(), plain.reference.copy()
    for array in bright:
        array[..., :2] *= 3.0
    other = replace(plain, regions=bright[0], voxels=bright[1], reference=bright[2])
    first, second = sequence_input(plain), sequence_input(other)
    both = second.known > 0

    np.testing.assert_allclose(second.values[both], first.values[both], atol=1e-3)


def test_without_white_matter_the_echo_time_is_needed():
    lost = exam(reference=False)
    assert np.isfinite(sequence_input(lost).values).all()
    nothing = replace(lost, acquisition=replace(lost.acquisition, echo_time_s=None))

    with pytest.raises(BolusError) as caught:
        sequence_input(nothing)
    assert caught.value.code is Code.METADATA_MISSING


def test_a_missing_region_is_marked_and_zero():
    found = sequence_input(exam(missing=(0, 4)))

    assert not found.known[[0, 4]].any()
    assert not found.values[[0, 4]].any()
    assert found.known[3].any()


@pytest.mark.parametrize("name", SEQUENCE_NETWORKS)
def test_every_network_keeps_the_contract(name):
    network = start_member(SequenceSettings(network=name, width=16), seed=1).eval()
    values, known = as_tensors([sequence_input(exam()), sequence_input(exam(missing=(1,)))])
    known[:, :, 40:] = 0
    with torch.no_grad():
        odds, attention = network(values * known, known)

    assert odds.shape == (2,)
    assert attention.shape == (2, STEPS)
    np.testing.assert_allclose(attention.sum(1), 1, atol=1e-5)
    assert attention[:, 20:].max() == 0


@pytest.mark.slow
def test_a_network_leaves_for_onnx():
    network = start_member(SMALL, seed=1)
    inputs = as_tensors([sequence_input(exam()), sequence_input(exam(mutant=True))])

    assert onnx_difference(onnx_bytes(network, inputs), network, inputs) < 1e-5


def test_other_exams_depend_on_the_generator_alone_and_hide_what_is_not_known():
    values, known = as_tensors([sequence_input(e) for e in cohort(12).exams])
    others = OtherExams(seed=1)
    first, marks = others.seen(values, known, generator(1, "a"))
    again, _ = others.seen(values, known, generator(1, "a"))

    assert torch.equal(first, again)
    assert not first[marks == 0].any()
    assert not marks[known == 0].any()
    assert not torch.equal(first, values)
    assert torch.isfinite(first).all()


def test_it_learns_what_is_there_and_says_how_sure_it_is(fitted):
    weights, trainings = fitted
    test = cohort(30, start=100)
    said = predict_sequence(test, weights)
    mutant = np.array([e.labels["idh"] == "mutant" for e in test.exams])

    assert said.probability[mutant].min() > said.probability[~mutant].max()
    assert (said.lower <= said.probability).all()
    assert (said.probability <= said.upper).all()
    assert said.members.shape == (30, 2)
    assert said.attention.shape == (30, STEPS)
    assert len(said.time_s) == STEPS
    assert said.time_s[-1] < AXIS.seconds[-1]
    assert len(trainings) == 2


def test_an_exam_unlike_the_training_scores_high(fitted):
    weights, _ = fitted
    strange = exam("900", noise=0.02)
    regions = strange.regions.copy()
    regions[3] = regions[4]
    said = predict_sequence(
        CurveCohort(exams=(exam("901", noise=0.02), replace(strange, regions=regions))), weights
    )
    limit = weights.card.measured[UNLIKE]

    assert said.out_of_distribution[1] > 3 * limit
    assert said.out_of_distribution[0] < 3 * limit


def test_the_same_seed_gives_the_same_bytes_and_another_others(fitted):
    def digest(seed):
        return fit_sequence(
            cohort(52), SPLIT, settings=SMALL, recipe=replace(QUICK, seed=seed, epochs=1)
        )[0].digest()

    first = digest(1)
    assert digest(1) == first
    assert digest(2) != first


def test_a_subject_of_the_training_is_refused(fitted):
    with pytest.raises(BolusError) as caught:
        predict_sequence(cohort(3), fitted[0])
    assert caught.value.code is Code.SPLIT_LEAKS


def test_weights_of_another_kind_are_refused(fitted):
    weights = replace(fitted[0], card=replace(fitted[0].card, kind="curve-codes"))
    with pytest.raises(BolusError) as caught:
        sequence_network(weights)
    assert caught.value.code is Code.WEIGHTS_INVALID


def test_one_class_cannot_be_learned():
    same = CurveCohort(exams=tuple(exam(f"{n:03d}", seed=n) for n in range(52)))
    with pytest.raises(BolusError) as caught:
        fit_sequence(same, SPLIT, settings=SMALL, recipe=QUICK)
    assert caught.value.code is Code.OUTCOMES_TOO_FEW


def test_settings_that_cannot_be_are_refused():
    for wrong in ({"network": "rnn"}, {"members": 1}, {"width": 9}, {"dropout": 1.0}):
        with pytest.raises(BolusError):
            SequenceSettings(**wrong)


def test_the_card_limits_what_the_networks_were_made_for(fitted):
    protocol = fitted[0].card.protocol

    known = {"frames": 60.0, "echo_time_s": 0.025, "flip_angle_deg": 60.0, "field_strength_t": 2.89}
    assert protocol.outside({**known, "interval_s": 2.0}) == ()
    assert protocol.outside({**known, "interval_s": 5.0})
    assert protocol.outside({**known, "interval_s": 2.0, "flip_angle_deg": 20.0})

"""What comes with bolus says the same to the last byte, whatever the number of threads."""

import numpy as np
import pytest
import sequence_example
import torch
from code_example import depth_curves

from bolus.io.weights import shipped_weights
from bolus.nets.curve_codes import encode_curves
from bolus.nets.leakage_fit import leakage_score
from bolus.nets.physical_axis import ExamCurves
from bolus.nets.sequence_fit import predict_sequence

EXAM, _ = depth_curves(3000, seed=5)


def codes():
    found = encode_curves(
        EXAM.signal, interval_s=EXAM.interval_s, arrival_s=EXAM.arrival_s,
        weights=shipped_weights("curve-codes"),
    )  # fmt: skip
    return found.codes, found.latent, found.distance


def sequence():
    said = predict_sequence(sequence_example.cohort(20), shipped_weights("sequence-idh"))
    return said.probability, said.members, said.attention


def leakage():
    slow = ExamCurves(signal=EXAM.signal, interval_s=4.0, arrival_s=48.0)
    return (leakage_score(slow, shipped_weights("leakage")).residual,)


@pytest.mark.parametrize("asked", [codes, sequence, leakage])
def test_the_number_of_threads_does_not_change_a_byte(asked):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append([np.ascontiguousarray(a).tobytes() for a in asked()])
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)

    assert found[0] == found[1] == found[2]

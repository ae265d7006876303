"""The sequence networks that come with bolus: what their card admits, and that they answer."""

import numpy as np

from bolus.nets.sequence_fit import KIND, UNLIKE, predict_sequence
from bolus.simulate import simulate_curve_cohort
from bolus.workflows.networks import chosen_weights
from bolus.workflows.shipped_sequence import NAME, OUTCOME


def test_the_shipped_networks_say_what_they_are_and_tell_simulated_patients_apart():
    weights = chosen_weights(None, kind=KIND)
    card = weights.card

    assert card.name == NAME
    assert card.simulated
    assert "simulated curves" in card.trained_on
    assert (card.settings["label"], card.settings["positive"]) == (OUTCOME.label, OUTCOME.positive)
    assert 0.5 < card.measured["held_out_scanner_auc_low95"] < 1

    cohort = simulate_curve_cohort(24, seed=5, voxels=100).labelled(OUTCOME.label)
    said, present = predict_sequence(cohort, weights), OUTCOME.of(cohort)

    assert said.probability[present].mean() > said.probability[~present].mean() + 0.2
    assert np.mean(said.out_of_distribution > card.measured[UNLIKE]) < 0.5

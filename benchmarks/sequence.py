"""Epoch times of the sequence networks, and what they are worth on a scanner no training saw.

Run: python benchmarks/sequence.py [--times] [--weights FOLDER] [--write]

Without options it simulates patients, fits baselines and networks, and prints the tables of
docs/science/sequence_model.md; --write puts the shipped weights into src/bolus/nets/weights.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bolus.io.weights import read_weights, write_weights
from bolus.metrics.classification import (
    auc_with_interval,
    brier,
    calibration_slope,
    delong_test,
)
from bolus.nets.batches import generator
from bolus.nets.importance import deletion_test, importance_of, phase_importance
from bolus.nets.sequence import SEQUENCE_NETWORKS, SequenceSettings, start_member
from bolus.nets.sequence_fit import RECIPE, SequenceTask, predict_inputs, sequence_network
from bolus.nets.sequence_input import sequence_input
from bolus.nets.train import train
from bolus.workflows.shipped_sequence import (
    NAME,
    OUTCOME,
    baseline_probabilities,
    development_patients,
    fit_shipped_sequence,
    held_out_patients,
    measured_sequence,
)

EXAMS, EPOCHS, OTHERS = 500, 4, 2
WEIGHTS = Path(__file__).parent.parent / "src" / "bolus" / "nets" / "weights"


def epoch_times() -> None:
    """Print the processor time of an epoch of 500 exams x 5 curves x 60 points, on one thread."""
    values = torch.randn(EXAMS, 5, 60, generator=generator(1, "values"))
    tensors = (values, torch.ones_like(values), (values[:, 0].mean(1) > 0).float())
    few = tuple(tensor[:64] for tensor in tensors)
    print("| network | numbers | CPU-s an epoch |\n|---|---|---|")
    for name in SEQUENCE_NETWORKS:
        network = start_member(SequenceSettings(network=name), seed=1)
        done = train(
            SequenceTask(network, seed=1), tensors, few, settings=replace(RECIPE, epochs=EPOCHS)
        )
        spent = min(row.cpu_seconds for row in done.history)
        numbers = sum(parameter.numel() for parameter in network.parameters())
        print(f"| {name} | {numbers:,} | {spent:.2f} |", flush=True)


def row_of(name, chance, truth, ours) -> str:
    area, slope = auc_with_interval(chance, truth), calibration_slope(chance, truth)
    against = "" if ours is None else f"{delong_test(ours, chance, truth).p_value:.3f}"
    return (
        f"| {name} | {area.value:.3f} ({area.low:.3f} to {area.high:.3f}) | {slope.slope:.2f} "
        f"| {brier(chance, truth).value:.3f} | {against} |"
    )


def importance_tables(inputs, weights, truth, validation) -> None:
    """Print importance by phase, and the deletion test of attention and of occlusion."""
    ensemble = sequence_network(weights)
    print("\n| phase | seconds | attention | change of log odds | rise of cross entropy |")
    print("|---|---|---|---|---|")
    for row in phase_importance(inputs, ensemble, truth):
        print(
            f"| {row.name} | {row.seconds:.1f} | {row.attention:.2f} | {row.occlusion:.2f} "
            f"| {row.harm:+.3f} |"
        )
    own = importance_of(inputs, ensemble)
    average = importance_of(validation, ensemble).occlusion.mean(axis=0)
    orders = {
        "attention, exam by exam": np.argsort(-own.attention, axis=1),
        "occlusion, mean of validation": np.tile(np.argsort(-average), (len(inputs), 1)),
    }
    print(
        "\n| windows chosen by | rise, chosen | rise, any | p | p, ranks |\n|---|---|---|---|---|"
    )
    for name, order in orders.items():
        found = deletion_test(inputs, ensemble, truth, order, seed=1)
        print(
            f"| {name} | {found.chosen:+.3f} | {found.random:+.3f} | {found.p_value:.4f} "
            f"| {found.p_ranks:.1e} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", action="store_true", help="epoch times only")
    parser.add_argument("--weights", type=Path, help="folder of weights that were fitted before")
    parser.add_argument("--write", action="store_true", help="ship what was fitted")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    epoch_times()
    if chosen.times:
        return
    began = time.process_time()
    development, test = development_patients(), held_out_patients()
    print(f"\nsimulated: {time.process_time() - began:.0f} CPU-s", flush=True)
    began = time.process_time()
    if chosen.weights is None:
        weights = fit_shipped_sequence(development)
        print(f"fitted: {time.process_time() - began:.0f} CPU-s", flush=True)
    else:
        weights = read_weights(chosen.weights / f"{NAME}.safetensors")
    if chosen.write:
        measured = {**weights.card.measured, **measured_sequence(weights, test)}
        write_weights(WEIGHTS, replace(weights, card=replace(weights.card, measured=measured)))
    truth = OUTCOME.of(test)
    inputs = [sequence_input(exam) for exam in test.exams]
    said = predict_inputs(inputs, sequence_network(weights))
    print("\n| predictor | AUC | calibration slope | Brier | p (DeLong) |\n|---|---|---|---|---|")
    print(row_of("attention_lstm (shipped)", said.probability, truth, None), flush=True)
    for name, chance in baseline_probabilities(development, test).items():
        print(row_of(name, chance, truth, said.probability), flush=True)
    limit = weights.card.measured["unlike_p99"]
    print(f"\nunlike the training: {np.mean(said.out_of_distribution > limit):.3f}")
    seen = [sequence_input(exam) for exam in development.parts[1].exams]
    importance_tables(inputs, weights, truth, seen)
    print(
        "\n| other networks | AUC | calibration slope | Brier | p (DeLong) |\n|---|---|---|---|---|"
    )
    for name in list(SEQUENCE_NETWORKS)[1:]:
        other = fit_shipped_sequence(development, network=name, members=OTHERS)
        chance = predict_inputs(inputs, sequence_network(other)).probability
        print(row_of(name, chance, truth, said.probability), flush=True)


if __name__ == "__main__":
    main()

"""The artery picker that comes with bolus: how it was learned, and what was measured of it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bolus.core import Weights
from bolus.io.weights import write_weights
from bolus.workflows.artery_study import (
    ArteryScan,
    Conditions,
    PickScore,
    artery_fleet,
    artery_scans,
    network_picker,
    searched_artery,
    study_pickers,
)

SEED, VALIDATION_SEED, SEEN_SEED, TEST_SEED = 20_500, 20_530, 20_580, 20_590
PATIENTS, VALIDATION_PATIENTS, TEST_PATIENTS = 36, 8, 8
MOTION_LEFT = 0.2
"""About the share of motion that correction leaves, after which `bolus` picks; training has all."""
UNSEEN = Conditions(unseen=True, motion=MOTION_LEFT)
_TEST_SHAPE = (104, 104, 20)
_TRAINED_ON = (
    f"simulated DSC and DCE scans of {PATIENTS} patients on as many scanners (seed {SEED}), "
    "whose large arteries are known"
)


def training_scans() -> Iterator[ArteryScan]:
    """Simulate the scans of the training."""
    return artery_scans(PATIENTS, seed=SEED, scanners=artery_fleet(PATIENTS, seed=SEED))


def validation_scans() -> Iterator[ArteryScan]:
    """Simulate scans of other patients on scanners of the training."""
    fleet = artery_fleet(PATIENTS, seed=SEED)
    return artery_scans(VALIDATION_PATIENTS, seed=VALIDATION_SEED, scanners=fleet)


def seen_scans(patients: int = TEST_PATIENTS) -> Iterator[ArteryScan]:
    """Simulate scans of patients that no training saw, on its scanners.

    Args:
        patients: how many.
    """
    fleet = artery_fleet(PATIENTS, seed=SEED)
    return artery_scans(
        patients, seed=SEEN_SEED, scanners=fleet, conditions=Conditions(motion=MOTION_LEFT)
    )


def unseen_scans(
    patients: int = TEST_PATIENTS, *, visits: int = 1, conditions: Conditions = UNSEEN
) -> Iterator[ArteryScan]:
    """Simulate scans on other scanners, with another matrix, bolus and residue.

    Args:
        patients: how many.
        visits: of each.
        conditions: that they are made under.
    """
    fleet = artery_fleet(patients, seed=TEST_SEED, shape=_TEST_SHAPE)
    return artery_scans(
        patients, seed=TEST_SEED, scanners=fleet, visits=visits, conditions=conditions
    )


def fit_shipped_artery() -> Weights:
    """Learn the network again, as it was."""
    from bolus.nets.artery_fit import fit_artery

    weights, _ = fit_artery(
        (scan.exam for scan in training_scans()), (scan.exam for scan in validation_scans())
    )
    return replace(weights, card=replace(weights.card, trained_on=_TRAINED_ON, simulated=True))


def write_shipped_artery(folder: Path) -> dict[tuple[str, str], PickScore]:
    """Learn, measure and write the network and its card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_artery()
    pickers = {"network": network_picker(weights), "search": searched_artery}
    scores = study_pickers(unseen_scans(), pickers)
    measured = dict(weights.card.measured)
    for (kind, name), score in scores.items():
        measured[f"unseen_{kind}_{name}_share_of_artery"] = score.share
        measured[f"unseen_{kind}_{name}_over_half_artery"] = score.precise
        measured[f"unseen_{kind}_{name}_height_error"] = score.peak
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))
    return scores

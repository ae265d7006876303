"""What is learned of a cohort, network by network: split, fit, and what the test part says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import CurveCohort, Split, Weights, split_subjects
from bolus.core.learned import PARTS
from bolus.report.training_findings import Epoch, ResultTable
from bolus.report.wording import number, significant
from bolus.workflows.config import Config
from bolus.workflows.curve_timing import exam_curves
from bolus.workflows.progress import Progress, silent, stage

if TYPE_CHECKING:
    from bolus.nets.machine import Machine
    from bolus.nets.train import EpochRow, TrainSettings

_PRECISIONS = {"32": "32-true", "bf16-mixed": "bf16-mixed", "16-mixed": "16-mixed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What an evaluation found: its table for readers, and figures for the card."""

    table: ResultTable
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Curves, on what is computed, and where checkpoints are kept.

    `source` is a sentence for the card; `simulated` tells that no patient is in the curves.
    `patients` of DCE are to be simulated by a recipe that needs them. `evaluated` is what was found
    of such networks on the test part, None if nobody looked.
    """

    cohort: CurveCohort
    source: str
    simulated: bool
    device: str
    folder: Path
    patients: int = 0
    progress: Progress = silent
    notices: tuple[str, ...] = ()
    evaluated: Evaluated | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A trained network, how it got there, on whom, and what came out on the others."""

    weights: Weights
    histories: Mapping[str, Sequence[Epoch]]
    patients: Mapping[str, int]
    device: str
    seconds: float
    results: tuple[ResultTable, ...] = ()
    warnings: tuple[str, ...] = ()


def learn_codes(plan: TrainingPlan, config: Config) -> Learnt:
    """Learn perfusion codes of whole tumours; the test part gives figures of the card.

    Args:
        plan: curves and machine.
        config: its sections `train` and `codes`.

    Raises:
        BolusError: the curves cannot be used.
    """
    from bolus.nets.curve_codes import RECIPE, encode_curves, fit_curve_codes
    from bolus.nets.vqvae import CodeSettings

    split = split_of(plan.cohort, config)
    with stage(plan.progress, "Bolus of every exam"):
        curves = {
            part: [exam_curves(exam) for exam in plan.cohort.of(getattr(split, part)).exams]
            for part in PARTS
        }
    recipe = recipe_with(RECIPE, config)
    weights, trained = fit_curve_codes(
        curves["training"],
        curves["validation"],
        settings=CodeSettings(positions=config.codes.positions, codes_each=config.codes.codes_each),
        recipe=recipe,
        machine=machine_of(plan, config),
        folder=plan.folder,
        on_epoch=epochs_told(plan, "Training", recipe.epochs),
    )
    found = [
        encode_curves(
            exam.signal, interval_s=exam.interval_s, arrival_s=exam.arrival_s,
            start_s=exam.start_s, weights=weights,
        )
        for exam in curves["test"]
    ]  # fmt: skip
    codes = np.concatenate([item.codes for item in found])
    misfit = np.concatenate([item.distance for item in found])
    measured = {
        **weights.card.measured,
        "test_error": float(np.nanmean(misfit)),
        "test_codes_used": float(len(np.unique(codes[codes > 0]))),
    }
    return Learnt(
        weights=carded(weights, plan, split, measured=measured),
        histories={"codes": trained.history},
        patients=_counts(split),
        device=trained.device,
        seconds=trained.seconds,
        results=(_shares(codes, misfit),),
        warnings=plan.notices,
    )


def split_of(cohort: CurveCohort, config: Config) -> Split:
    """Deal the patients of a cohort to training, validation and test, scanner by scanner.

    Args:
        cohort: its exams.
        config: its section `train`.
    """
    sites = dict(zip(cohort.subjects, cohort.sites, strict=True))
    subjects = sorted(sites)
    return split_subjects(
        subjects,
        seed=config.train.seed,
        validation=config.train.validation,
        test=config.train.test,
        strata=[sites[subject] for subject in subjects],
    )


def recipe_with(recipe: "TrainSettings", config: Config) -> "TrainSettings":
    """Return a network's recipe, and what the settings say otherwise.

    Args:
        recipe: of the network.
        config: its section `train`.
    """
    asked = config.train
    names = ("epochs", "batch_size", "learning_rate", "patience")
    given = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    return replace(recipe, **given, precision=_PRECISIONS[asked.precision], seed=asked.seed)


def machine_of(plan: TrainingPlan, config: Config) -> "Machine":
    """Return where a network is trained."""
    from bolus.nets.machine import Machine

    asked = config.train
    return Machine(accelerator=plan.device, devices=asked.devices, threads=asked.threads)


def epochs_told(plan: TrainingPlan, name: str, epochs: int) -> Callable[["EpochRow"], None]:
    """Return what tells the progress of a training after every epoch.

    Args:
        plan: who is told.
        name: of the stage.
        epochs: how many there are at most.
    """

    def told(row: "EpochRow") -> None:
        plan.progress(name, row.epoch + 1, epochs)

    return told


def carded(
    weights: Weights, plan: TrainingPlan, split: Split, *, measured: Mapping[str, float]
) -> Weights:
    """Return weights whose card says whose curves they were fitted on, and what was measured.

    Args:
        weights: of a network.
        plan: where its curves came from.
        split: who was in which part.
        measured: figures of the card.
    """
    card = replace(
        weights.card,
        trained_on=plan.source,
        simulated=plan.simulated,
        fitted_on=split.development,
        measured=dict(measured),
    )
    return replace(weights, card=card)


def _counts(split: Split) -> dict[str, int]:
    return {part: len(getattr(split, part)) for part in PARTS}


def _shares(codes: np.ndarray, misfit: np.ndarray) -> ResultTable:
    """Return how the test part's curves are dealt to codes, and how well they fit them."""
    rows = []
    for code in range(1, int(codes.max(initial=1)) + 1):
        own = codes == code
        fit = significant(float(misfit[own].mean())) if own.any() else "–"
        share = 100 * own.sum() / max((codes > 0).sum(), 1)
        rows.append((f"H{code}", str(int(own.sum())), number(share, 1), fit))
    return ResultTable(
        title="Codes of the test part",
        columns=("code", "curves", "percent", "mean misfit"),
        rows=tuple(rows),
        note="Misfit: mean absolute difference between a curve and its code's, over the curve's "
        "99.5th percentile. Patients of the test part took no part in the training.",
    )

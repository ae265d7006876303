"""What is learned of mean curves, and its place beside the baselines by an evaluation."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bolus.core.learned import PARTS
from bolus.io.tables import MISSING, read_table
from bolus.report.training_findings import ResultTable
from bolus.report.wording import number
from bolus.workflows.config import Config
from bolus.workflows.evaluate_outputs import RESULTS_NAME
from bolus.workflows.train_recipes import (
    Evaluated,
    Learnt,
    TrainingPlan,
    carded,
    machine_of,
    recipe_with,
    split_of,
)

if TYPE_CHECKING:
    from bolus.nets.train import EpochRow

_COLUMNS = (
    ("auc", "AUC"), ("pr_auc", "PR-AUC"), ("sensitivity", "sensitivity"),
    ("specificity", "specificity"), ("calibration_slope", "calibration slope"),
)  # fmt: skip


def learn_sequence(plan: TrainingPlan, config: Config) -> Learnt:
    """Learn an outcome from mean curves, by an ensemble; the test part is not looked at.

    Args:
        plan: curves and machine.
        config: its section `train`.

    Raises:
        BolusError: the curves cannot be used, or too few patients have the outcome.
    """
    from bolus.nets.sequence import SequenceSettings
    from bolus.nets.sequence_fit import RECIPE, fit_sequence

    asked = config.train
    cohort = plan.cohort.labelled(asked.label)
    split = split_of(cohort, config)
    recipe = recipe_with(RECIPE, config)

    def told(member: int, row: "EpochRow") -> None:
        plan.progress(f"Network {member + 1} of {asked.members}", row.epoch + 1, recipe.epochs)

    weights, trainings = fit_sequence(
        cohort,
        split,
        settings=SequenceSettings(
            network=asked.network,
            label=asked.label,
            positive=asked.positive,
            members=asked.members,
        ),
        recipe=recipe,
        machine=machine_of(plan, config),
        folder=plan.folder,
        on_epoch=told,
    )
    evaluated = plan.evaluated
    figures = evaluated.figures if evaluated is not None else {}
    return Learnt(
        weights=carded(weights, plan, split, measured={**weights.card.measured, **figures}),
        histories={f"network {n}": done.history for n, done in enumerate(trainings, start=1)},
        patients={part: len(getattr(split, part)) for part in PARTS},
        device=trainings[0].device,
        seconds=sum(done.seconds for done in trainings),
        results=(evaluated.table,) if evaluated is not None else (),
        warnings=plan.notices,
    )


def evaluated_in(folder: Path) -> Evaluated:
    """Return what an evaluation has written.

    Args:
        folder: of `evaluate`.

    Raises:
        FileError: its table is missing or damaged.
    """
    columns, cells = read_table(folder / RESULTS_NAME)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
    own = next(row for row in rows if row["baseline"] == "false")
    return Evaluated(
        table=ResultTable(
            title="Test part: patients that nothing was fitted on",
            columns=("predictor", "present / absent", *(words for _, words in _COLUMNS), "Brier"),
            rows=tuple(
                (
                    row["predictor"],
                    f"{row['positive']} / {row['negative']}",
                    *(_with_interval(row, name) for name, _ in _COLUMNS),
                    number(float(row["brier"]), 3),
                )
                for row in rows
            ),
            note="With 95 % intervals. Every predictor was fitted on the development part anew, "
            f"the networks once a seed; thresholds were fixed there. All figures: {folder.name}.",
        ),
        figures={
            f"evaluation_{name}": float(own[name]) for name in ("auc", "auc_low95", "auc_high95")
        },
    )


def _with_interval(row: Mapping[str, str], name: str) -> str:
    """Return a figure with its interval; of a constant prediction some are not defined."""
    cells = [row[key] for key in (name, f"{name}_low95", f"{name}_high95")]
    value, low, high = (cell if cell == MISSING else number(float(cell), 2) for cell in cells)
    return value if value == MISSING else f"{value} ({low} to {high})"

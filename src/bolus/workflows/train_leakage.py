"""What is learned of normal tissue in DCE, and how its map of leakage compares with the truth."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from bolus.core import (
    SIGNAL,
    Grid,
    Mask,
    PerfusionSeries,
    Provenance,
    split_subjects,
)
from bolus.core.learned import PARTS
from bolus.core.timing import Acquisition
from bolus.quantify.enhancement import find_enhancement
from bolus.report.training_findings import ResultTable
from bolus.report.wording import number
from bolus.simulate.dce_curves import DceCurveExam, simulate_dce_curves
from bolus.workflows.config import Config
from bolus.workflows.progress import stage
from bolus.workflows.train_recipes import (
    Learnt,
    TrainingPlan,
    carded,
    epochs_told,
    machine_of,
    recipe_with,
)

if TYPE_CHECKING:
    from bolus.nets.physical_axis import ExamCurves

_QUARTILES = (25, 50, 75)


def learn_leakage(plan: TrainingPlan, config: Config) -> Learnt:
    """Learn what normal voxels do in DCE; the test part says how its scores follow true Ktrans.

    Args:
        plan: how many simulated patients, and the machine.
        config: its section `train`.

    Raises:
        BolusError: the curves cannot be used.
    """
    from bolus.nets.leakage_fit import RECIPE, fit_leakage, leakage_score

    with stage(plan.progress, "Simulated DCE"):
        exams = simulate_dce_curves(plan.patients, seed=config.train.seed)
    split = split_subjects(
        [exam.subject for exam in exams], seed=config.train.seed,
        validation=config.train.validation, test=config.train.test,
        strata=[exam.site for exam in exams],
    )  # fmt: skip
    parts = {p: [e for e in exams if e.subject in getattr(split, p)] for p in PARTS}
    recipe = recipe_with(RECIPE, config)
    weights, trained = fit_leakage(
        [_curves(exam, exam.normal) for exam in parts["training"]],
        [_curves(exam, exam.normal) for exam in parts["validation"]],
        recipe=recipe,
        machine=machine_of(plan, config),
        folder=plan.folder,
        on_epoch=epochs_told(plan, "Training", recipe.epochs),
    )
    follows = [
        _correlation(leakage_score(_curves(exam, exam.tumour), weights).residual, exam)
        for exam in parts["test"]
    ]
    quartiles = [float(q) for q in np.nanpercentile(follows, _QUARTILES)]
    measured = {**weights.card.measured, "test_correlation_with_ktrans": quartiles[1]}
    return Learnt(
        weights=carded(weights, plan, split, measured=measured),
        histories={"leakage": trained.history},
        patients={part: len(parts[part]) for part in PARTS},
        device=trained.device,
        seconds=trained.seconds,
        results=(_table(quartiles, len(follows)),),
        warnings=plan.notices,
    )


def _curves(exam: DceCurveExam, chosen: np.ndarray) -> "ExamCurves":
    """Return the curves of some voxels, with the arrival that all voxels of the exam show."""
    from bolus.nets.physical_axis import ExamCurves

    values = exam.signal[:, None, None]
    grid = Grid(shape=values.shape[:3], affine=np.eye(4))
    series = PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=grid,
        time=exam.protocol.time,
        acquisition=Acquisition(),
        provenance=Provenance(),
    )
    every = Mask(values=np.ones(grid.shape, bool), grid=grid, name="voxels of the exam")
    found = find_enhancement(series, every)
    return ExamCurves(
        signal=exam.signal[chosen],
        interval_s=exam.protocol.frame_s,
        arrival_s=found.arrival * exam.protocol.frame_s,
    )


def _correlation(score: np.ndarray, exam: DceCurveExam) -> float:
    """Return the rank correlation of scores with true Ktrans over the tumour's voxels."""
    truth = exam.ktrans_per_min[exam.tumour]
    known = np.isfinite(score) & np.isfinite(truth)
    if known.sum() < 3 or np.ptp(truth[known]) == 0:
        return float("nan")
    return float(stats.spearmanr(score[known], truth[known]).statistic)


def _table(quartiles: list[float], exams: int) -> ResultTable:
    low, middle, high = (number(value, 2) for value in quartiles)
    return ResultTable(
        title="Leakage score against true Ktrans, in tumours of the test part",
        columns=("measure", "exams", "median", "quartiles"),
        rows=(("rank correlation", str(exams), middle, f"{low} to {high}"),),
        note="Over the voxels of each tumour. More, and Ktrans by extended Tofts beside it: "
        "docs/science/leakage_map.md.",
    )

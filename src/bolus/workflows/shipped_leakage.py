"""The leakage network that comes with bolus: how it was learned, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from bolus.core import Weights
from bolus.io.weights import write_weights
from bolus.quantify.enhancement import half_rise_s
from bolus.simulate.dce_curves import DceCurveExam, simulate_dce_curves
from bolus.simulate.fleet import Scanner, draw_scanners

if TYPE_CHECKING:
    from bolus.nets.physical_axis import ExamCurves

SEED, VALIDATION_SEED, TEST_SEED = 20_370, 20_371, 20_372
PATIENTS, VALIDATION_PATIENTS, TEST_PATIENTS = 48, 16, 80
SCANNERS = 8
_SHAPE = (96, 96, 24)
_FIRST_FRAMES = 4
_TRAINED_ON = (
    f"simulated curves: tumour-free voxels of {PATIENTS} patients on {SCANNERS} scanners "
    f"(seed {SEED}), 312 each"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakageTest:
    """Scores [%] and true Ktrans [1/min] of the voxels (n,) of one exam that no training saw.

    Voxels of arteries are not among them. `tumour` (n,) says which are of the tumour.
    """

    exam: DceCurveExam
    score: np.ndarray
    truth: np.ndarray
    tumour: np.ndarray


def exam_of(exam: DceCurveExam, which: np.ndarray, *, every: int = 1) -> "ExamCurves":
    """Return curves of some voxels, aligned by the half rise of the mean of the normal voxels.

    Args:
        exam: simulated.
        which: (n,) voxels.
        every: keep one frame of so many.
    """
    from bolus.nets.physical_axis import ExamCurves

    signal, interval_s = exam.signal[:, ::every], every * exam.protocol.frame_s
    mean = signal[exam.normal].mean(axis=0, dtype=np.float64)
    frames = max(_FIRST_FRAMES // every, 1)
    rise = mean / mean[:frames].mean() - 1
    arrival_s = float(half_rise_s(rise[None], interval_s * np.arange(len(mean)))[0])
    return ExamCurves(signal=signal[which], interval_s=interval_s, arrival_s=arrival_s)


def fit_shipped_leakage() -> Weights:
    """Learn the network again, as it was."""
    from bolus.nets.leakage_fit import fit_leakage

    parts = [
        [exam_of(e, e.normal) for e in leakage_exams(count, seed=seed, tumour=30)]
        for count, seed in ((PATIENTS, SEED), (VALIDATION_PATIENTS, VALIDATION_SEED))
    ]
    weights, _ = fit_leakage(parts[0], parts[1])
    card = replace(weights.card, trained_on=_TRAINED_ON, simulated=True)
    return replace(weights, card=card)


def leakage_exams(patients: int, *, seed: int, tumour: int = 300) -> tuple[DceCurveExam, ...]:
    """Return exams on the scanners of the training.

    Args:
        patients: how many.
        seed: of the patients.
        tumour: voxels of each.
    """
    return simulate_dce_curves(patients, seed=seed, scanners=_fleet(), tumour=tumour)


def leakage_tests(
    exams: Sequence[DceCurveExam], weights: Weights, *, every: int = 1
) -> list[LeakageTest]:
    """Score exams.

    Args:
        exams: of patients that no training saw.
        weights: of a leakage network.
        every: keep one frame of so many.
    """
    from bolus.nets.leakage_fit import leakage_score

    found = []
    for exam in exams:
        tissue = ~exam.artery
        scored = leakage_score(exam_of(exam, tissue, every=every), weights)
        found.append(
            LeakageTest(
                exam=exam,
                score=scored.leakage,
                truth=exam.ktrans_per_min[tissue],
                tumour=exam.tumour[tissue],
            )
        )
    return found


def write_shipped_leakage(folder: Path) -> None:
    """Learn, measure and write the network and its card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_leakage()
    tests = leakage_tests(leakage_exams(TEST_PATIENTS, seed=TEST_SEED), weights)
    within = [float(np.corrcoef(t.score, t.truth)[0, 1]) for t in tests]
    ranks = [float(spearmanr(t.score[t.tumour], t.truth[t.tumour])[0]) for t in tests]
    measured = {
        **weights.card.measured,
        "test_correlation_with_ktrans": float(np.median(within)),
        "test_rank_correlation_in_tumour": float(np.median(ranks)),
    }
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))


def _fleet() -> tuple[Scanner, ...]:
    return draw_scanners(SCANNERS, seed=SEED, shape=_SHAPE)

"""The perfusion codes that come with bolus: how they were learned, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import CurveCohort, ModelCard, Weights
from bolus.io.weights import write_weights
from bolus.simulate.curve_cohort import simulate_curve_cohort
from bolus.simulate.fleet import Scanner, draw_scanners
from bolus.workflows.curve_timing import exam_curves

if TYPE_CHECKING:
    from bolus.habitats.code_stability import StabilityRow
    from bolus.habitats.curve_clusters import CurveCoder
    from bolus.nets.physical_axis import ExamCurves

SEED, VALIDATION_SEED, HELD_OUT_SEED = 11, 12, 14
PATIENTS, VALIDATION_PATIENTS, HELD_OUT_PATIENTS = 250, 30, 24
SCANNERS = 8
SEEDS = (1, 2, 3, 4, 5)
PLAIN = "1.5 s, 60 frames"
_SHAPE = (128, 128, 24)
_FRAMES, _INTERVAL_S = 60, 1.5
_NOISY = 0.5
_OTHER = {
    "1.0 s, 90 frames": (1.0, 90),
    "1.0 s, 60 frames": (1.0, 60),
    "2.0 s, 45 frames": (2.0, 45),
    "3.0 s, 30 frames": (3.0, 30),
    "1.5 s, 45 frames": (1.5, 45),
}
_TRAINED_ON = (
    f"simulated curves: {PATIENTS} gliomas on {SCANNERS} scanners (seed {SEED}), 400 voxels each"
)
_LIMITS = (
    "Codes say what a curve looks like, not what tissue it is of; a code is no diagnosis. Leakage "
    "is not corrected, so that it is part of the codes. Arrival of the bolus must be found first. "
    "How far real curves differ from the simulator's is not known."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """How well a method's codes describe held-out curves, whole, from what a protocol shows.

    `absolute` is the mean absolute error and `root_square` the root mean square, both in shares
    of the curve's 99.5th percentile; `used` the number of codes with 0.1 % of the curves.
    """

    method: str
    protocol: str
    absolute: float
    root_square: float
    used: int
    curves: int


def fit_shipped_codes(seeds: Sequence[int] = SEEDS[:1]) -> tuple[Weights, ...]:
    """Learn the codes again, as they were: those of the first seed are shipped.

    Args:
        seeds: of trainings; patients and scanners are the same in all.
    """
    from bolus.nets.curve_codes import RECIPE, fit_curve_codes

    training = code_exams(PATIENTS, seed=SEED)
    validation = code_exams(VALIDATION_PATIENTS, seed=VALIDATION_SEED)
    fitted = [
        fit_curve_codes(training, validation, recipe=replace(RECIPE, seed=seed))[0]
        for seed in seeds
    ]
    return tuple(replace(weights, card=_carded(weights.card)) for weights in fitted)


def write_shipped_codes(folder: Path) -> None:
    """Learn, measure and write the codes and their card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    from bolus.habitats.curve_clusters import network_codes

    fitted = fit_shipped_codes(SEEDS)
    coders = [network_codes(weights) for weights in fitted]
    exams = {PLAIN: held_out_exams(_INTERVAL_S, _FRAMES)} | other_measurements()
    rows = stability_rows(coders, exams, method="VQ-VAE")
    error = error_rows({"VQ-VAE": coders[0]}, exams[PLAIN])[0]
    card = fitted[0].card
    measured = {
        **card.measured,
        "test_error": error.absolute,
        "test_codes_used": float(error.used),
        "test_seeds_ari": rows[0].ari,
        "test_seeds_lowest_ari": rows[0].lowest_ari,
        "test_seeds_ratio_icc": rows[0].ratio_icc,
    }
    write_weights(folder, replace(fitted[0], card=replace(card, measured=measured)))


def code_exams(patients: int, *, seed: int) -> list["ExamCurves"]:
    """Return exams of simulated patients on eight scanners.

    Args:
        patients: how many.
        seed: of the patients and of the scanners.
    """
    return _timed(simulate_curve_cohort(patients, seed=seed, scanners=SCANNERS))


def held_out_exams(
    interval_s: float, frames: int, *, patients: int = HELD_OUT_PATIENTS, noise: float = 1.0
) -> list["ExamCurves"]:
    """Return exams of patients that no training saw, the same voxels whatever the protocol.

    Args:
        interval_s: repetition time; with it the weighting by T1 changes too, as on a scanner.
        frames: how many.
        patients: how many.
        noise: factor on the noise of every scanner.
    """
    fleet = [
        replace(
            one,
            dsc=replace(one.dsc, repetition_time_s=interval_s, frames=frames),
            disturbances=replace(one.disturbances, snr=one.disturbances.snr / noise),
        )
        for one in _fleet()
    ]
    return _timed(simulate_curve_cohort(patients, seed=HELD_OUT_SEED, scanners=fleet))


def other_measurements(patients: int = HELD_OUT_PATIENTS) -> dict[str, list["ExamCurves"]]:
    """Return the same voxels in other intervals and lengths, and with half and twice the noise.

    Args:
        patients: how many.
    """
    changed = {
        name: held_out_exams(interval_s, frames, patients=patients)
        for name, (interval_s, frames) in _OTHER.items()
    }
    for name, noise in (("half the noise", _NOISY), ("twice the noise", 1 / _NOISY)):
        changed[name] = held_out_exams(_INTERVAL_S, _FRAMES, patients=patients, noise=noise)
    return changed


def stability_rows(
    coders: Sequence["CurveCoder"], exams: dict[str, list["ExamCurves"]], *, method: str
) -> tuple["StabilityRow", ...]:
    """Return what other seeds and other measurements of the same voxels do to codes.

    Args:
        coders: one method, a seed each.
        exams: the plain measurement first, the others by name.
        method: its name.
    """
    from bolus.habitats.code_stability import code_stability

    return code_stability(coders, exams, count=8, method=method)


def error_rows(
    coders: dict[str, "CurveCoder"], exams: Sequence["ExamCurves"]
) -> tuple[ErrorRow, ...]:
    """Return how well methods describe whole curves from what each protocol shows of them.

    The other protocols are resampled from the same curves, so that the whole curve is known.

    Args:
        coders: methods by name.
        exams: measured every 1.5 s.
    """
    from bolus.nets.curve_codes import gather_curves

    values, measured = (tensor.numpy() for tensor in gather_curves(exams))
    rows = [
        _error(name, PLAIN, [coder(exam).reconstruction for exam in exams], values, measured)
        for name, coder in coders.items()
    ]
    for protocol, pair in _OTHER.items():
        seen = [_seen(exam, *pair) for exam in exams]
        rows += [
            _error(name, protocol, [coder(e).reconstruction for e in seen], values, measured)
            for name, coder in coders.items()
        ]
    return tuple(rows)


def _error(
    method: str,
    protocol: str,
    curves: Sequence[np.ndarray],
    values: np.ndarray,
    measured: np.ndarray,
) -> ErrorRow:
    found = np.concatenate(list(curves))
    off = np.abs(found - values)
    points = measured.sum(axis=1)
    absolute = (off * measured).sum(axis=1) / points
    square = (off**2 * measured).sum(axis=1) / points
    _, counts = np.unique(found, axis=0, return_counts=True)
    return ErrorRow(
        method=method,
        protocol=protocol,
        absolute=float(absolute.mean()),
        root_square=float(np.sqrt(square.mean())),
        used=int((counts >= 1e-3 * len(found)).sum()),
        curves=len(found),
    )


def _seen(exam: "ExamCurves", interval_s: float, frames: int) -> "ExamCurves":
    """Return the same curves, interpolated to other frames that begin as the exam does."""
    from bolus.nets.physical_axis import ExamCurves

    begin = exam.first_frame * exam.interval_s
    last = (exam.signal.shape[1] - 1) * exam.interval_s
    seconds = begin + interval_s * np.arange(frames)
    place = np.minimum(seconds[seconds <= last] / exam.interval_s, exam.signal.shape[1] - 1)
    lower = np.minimum(place.astype(int), exam.signal.shape[1] - 2)
    share = (place - lower).astype(np.float32)
    signal = (1 - share) * exam.signal[:, lower] + share * exam.signal[:, lower + 1]
    return ExamCurves(signal=signal, interval_s=interval_s, arrival_s=exam.arrival_s - begin)


def _timed(cohort: CurveCohort) -> list["ExamCurves"]:
    return [exam_curves(exam) for exam in cohort.exams]


def _fleet() -> tuple[Scanner, ...]:
    return draw_scanners(SCANNERS, seed=SEED, shape=_SHAPE)


def _carded(card: ModelCard) -> ModelCard:
    return replace(card, trained_on=_TRAINED_ON, simulated=True, limits=_LIMITS)

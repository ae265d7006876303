"""Leakage without an AIF: learn the enhancement of normal voxels, map what is above it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from bolus._version import VERSION
from bolus.core.learned import ModelCard, ProtocolRange, Weights
from bolus.errors import Code, QuantityError, TimingError
from bolus.nets.batches import Tensors
from bolus.nets.leakage import LeakageAutoencoder, LeakageSettings, LeakageTask, start_leakage
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.physical_axis import ExamCurves, PhysicalAxis, resampling
from bolus.nets.train import EpochRow, Trained, TrainSettings, train
from bolus.nets.weighting import load_weights, require_kind, weights_of

KIND = "leakage"
LEAKAGE_AXIS = PhysicalAxis(points=44, step_s=5.0, arrival_s=15.0)
"""A quarter of a minute before the arrival, and 200 s after it."""
RECIPE = TrainSettings(epochs=40, batch_size=512, learning_rate=3e-3, seed=1, patience=8)
_BEFORE_S = 5.0
"""Frames nearer to the arrival than this are no baseline: the bolus smears over them."""
_LIMITS = (-1.0, 10.0)
"""Enhancement beyond this is an error of the baseline; set by us."""
_FEWEST = 100
_CHUNK = 1 << 16
_PROTOCOL = ProtocolRange(limits={"interval_s": (2.0, 15.0), "duration_s": (120.0, 600.0)})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakageScore:
    """What the network did not expect of each voxel (n,), in percent of the baseline signal.

    `residual` is the mean of curve minus reconstruction after the arrival; `leakage` its positive
    part and `vascular` its negative part, turned positive. NaN where a voxel is not usable.
    """

    residual: Float[np.ndarray, " n"]
    usable: Bool[np.ndarray, " n"]

    @property
    def leakage(self) -> Float[np.ndarray, " n"]:
        """Signal above what normal tissue does [%]."""
        return np.asarray(np.maximum(self.residual, 0.0))

    @property
    def vascular(self) -> Float[np.ndarray, " n"]:
        """Signal below what normal tissue does [%]."""
        return np.asarray(np.maximum(-self.residual, 0.0))


def fit_leakage(
    training: Sequence[ExamCurves],
    validation: Sequence[ExamCurves],
    *,
    settings: LeakageSettings | None = None,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
    folder: Path | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> tuple[Weights, Trained]:
    """Learn what the signal of normal voxels does in a DCE scan, without labels and an AIF.

    Args:
        training: curves of tumour-free voxels, exam by exam.
        validation: of other exams, or of other voxels where the network is for one exam only.
        settings: of the network.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        folder: for checkpoints, from which a killed training goes on.
        on_epoch: told about every epoch.

    Returns:
        The weights, whose card says nothing yet of who the curves are from, and the training.

    Raises:
        QuantityError: fewer than 100 usable curves.
        MetadataError: the settings are not those of the axis.

    Assumes:
        No voxel of these leaks. What the voxels of a tumour do without leakage, such as a large
        blood volume, is in the range of normal grey matter and vessels.

    Source:
        The idea: Jang et al., Radiol Artif Intell 2025, doi 10.1148/ryai.240507. Ours are the
        axis, the bounded bottleneck, and that the encoder sees 30 s from the arrival on only.
    """
    settings = settings or LeakageSettings(points=LEAKAGE_AXIS.points)
    curves, others = _gather(training), _gather(validation)
    network = start_leakage(settings, curves[0], seed=recipe.seed)
    done = train(
        LeakageTask(network), curves, others,
        settings=recipe, machine=machine or Machine(), folder=folder, on_epoch=on_epoch,
        about=asdict(settings),
    )  # fmt: skip
    error = min(row.losses["validation_loss"] for row in done.history)
    card = ModelCard(
        name=KIND, kind=KIND, settings=asdict(settings), trained_on="curves that were given",
        simulated=False, protocol=_PROTOCOL, version=VERSION,
        limits="The score is a signal in percent, not a rate: it depends on dose, flip angle and "
        "T1. Compare scores of one protocol only.",
        measured={"validation_error": float(error)},
    )  # fmt: skip
    return weights_of(done.network, card), done


@one_thread_count(1)
def leakage_score(exam: ExamCurves, weights: Weights) -> LeakageScore:
    """Score every curve of an exam by what normal tissue would not have done.

    Args:
        exam: signal curves (n, t) [a.u.] of any voxels, any gain, frames and interval.
        weights: of `fit_leakage`.

    Returns:
        The scores, NaN where a curve has no baseline or is not finite.

    Raises:
        FileError: the weights are of another kind of network.
        TimingError: there is no frame before the arrival.

    Assumes:
        One arrival for all curves of the exam.

    Source:
        As `fit_leakage`.
    """
    require_kind(weights, KIND, command="bolus train leakage")
    settings = LeakageSettings(**{k: int(v) for k, v in weights.card.settings.items()})
    network = LeakageAutoencoder(settings)
    load_weights(network, weights)
    found = [
        _residual(replace(exam, signal=exam.signal[n : n + _CHUNK]), network)
        for n in range(0, len(exam.signal), _CHUNK)
    ]
    residual = np.concatenate(found) if found else np.zeros(0)
    return LeakageScore(residual=residual, usable=np.isfinite(residual))


def enhancement_curves(
    exam: ExamCurves,
) -> tuple[Float[np.ndarray, "n points"], Bool[np.ndarray, " points"], Bool[np.ndarray, " n"]]:
    """Return S / S0 - 1 on the axis of the network, in which the scanner's gain cancels.

    Args:
        exam: signal curves, and when the bolus arrives.

    Returns:
        Curves float32, 0 at times that were not measured; which times were; which curves are
        usable.

    Raises:
        TimingError: there is no frame before the arrival.

    Assumes:
        S0 is the mean of the frames of the steady state until 5 s before the arrival, or the
        first of them.

    Source:
        As `fit_leakage`.
    """
    first = exam.first_frame
    seconds = exam.interval_s * np.arange(exam.signal.shape[1])
    before = np.flatnonzero((seconds <= exam.arrival_s - _BEFORE_S) & (seconds >= exam.start_s))
    if first * exam.interval_s >= exam.arrival_s:
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"the bolus arrives at {exam.arrival_s:g} s, the first frame is at "
            f"{first * exam.interval_s:g} s",
            mend="give a series that begins before the bolus",
        )
    baseline = before if len(before) else np.array([first])
    signal = np.asarray(exam.signal, np.float32)
    start = signal[:, baseline].mean(axis=1)
    usable = np.isfinite(signal).all(axis=1) & (start > 0)
    scaled = np.zeros_like(signal)
    np.divide(signal, start[:, None], out=scaled, where=usable[:, None])
    enhancement = np.where(usable[:, None], np.clip(scaled - 1, *_LIMITS), 0.0)
    matrix, measured = resampling(
        signal.shape[1] - first,
        interval_s=exam.interval_s,
        arrival_s=exam.arrival_s - first * exam.interval_s,
        axis=LEAKAGE_AXIS,
    )
    return np.asarray(enhancement[:, first:] @ matrix, np.float32), measured, usable


def _residual(exam: ExamCurves, network: LeakageAutoencoder) -> Float[np.ndarray, " n"]:
    """Return curve minus reconstruction after the arrival [%], NaN where it is not usable."""
    values, measured, usable = enhancement_curves(exam)
    after = measured & (LEAKAGE_AXIS.seconds >= LEAKAGE_AXIS.arrival_s)
    mask = torch.from_numpy(measured.astype(np.float32)).expand(len(values), -1)
    with torch.inference_mode():
        back = network(torch.from_numpy(values), mask).numpy()
    residual = 100.0 * (values - back)[:, after].mean(axis=1, dtype=np.float64)
    return np.where(usable, residual, np.nan)


def _gather(exams: Sequence[ExamCurves]) -> Tensors:
    """Return the usable curves of exams and their masks.

    Raises:
        QuantityError: there are too few.
    """
    values, masks = [], []
    for exam in exams:
        curves, measured, usable = enhancement_curves(exam)
        values.append(curves[usable])
        masks.append(np.broadcast_to(measured.astype(np.float32), curves[usable].shape))
    count = sum(map(len, values))
    if count < _FEWEST:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{count} usable curves to learn normal tissue from",
            mend=f"give at least {_FEWEST} tumour-free voxels",
        )
    pair = (np.concatenate(part) for part in (values, masks))
    return tuple(torch.from_numpy(np.array(part, np.float32)) for part in pair)

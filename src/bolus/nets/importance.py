"""Where in time a sequence network finds what it says: attention, occlusion, and a test of both.

Attention is what a network weighs, not what its answer depends on. Hiding a window of time shows
the latter: networks were trained with hidden windows, so that hiding is nothing new to them. The
deletion test asks whether the windows called important matter more than others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy.special import expit, logit
from scipy.stats import wilcoxon

from bolus.core import stream
from bolus.core.arrays import read_only
from bolus.errors import Code, QuantityError
from bolus.nets.physical_axis import AXIS
from bolus.nets.sequence import STEPS, STRIDE, SequenceEnsemble
from bolus.nets.sequence_fit import predict_inputs
from bolus.nets.sequence_input import SequenceInput
from bolus.quantify.bolus_phases import PHASES

WINDOW_POINTS = 4
"""Points of a window of time: 6 s."""
WINDOWS = AXIS.points // WINDOW_POINTS
_CLOSE = 1e-6
_FLIPS = 9999


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Importance:
    """Importance of each window of time for each exam.

    `attention` (n, windows) sums to 1; `occlusion` (n, windows) is the change of the log odds, in
    either direction, when the window is hidden. `start_s` (windows,) on `physical_axis.AXIS`.
    """

    attention: Float[np.ndarray, "n windows"]
    occlusion: Float[np.ndarray, "n windows"]
    start_s: Float[np.ndarray, " windows"]

    def __post_init__(self) -> None:
        for name in self.__slots__:
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseImportance:
    """Importance of one phase of the bolus, mean over exams.

    `seconds` is how long it lasts, `attention` its share, `occlusion` the mean change of the log
    odds in either direction, and `harm` the mean rise of the cross entropy, when it is hidden.
    """

    name: str
    seconds: float
    attention: float
    occlusion: float
    harm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionTest:
    """What hiding windows does to the cross entropy [nats]: of those chosen, and of others.

    `chosen` and `random` are mean rises. `p_value` is one-sided, of the difference of the means:
    how often it would be this large if chosen windows were like any other. `p_ranks` is
    Wilcoxon's, which asks whether most exams lose; a few that lose much do not count for more.
    """

    windows: int
    exams: int
    chosen: float
    random: float
    p_value: float
    p_ranks: float


def importance_of(inputs: Sequence[SequenceInput], ensemble: SequenceEnsemble) -> Importance:
    """Return the importance of windows of 6 s, by attention and by occlusion.

    Args:
        inputs: of `sequence_input`.
        ensemble: of `sequence_network`.

    Source:
        Occlusion: Zeiler and Fergus, ECCV 2014 (arXiv 1311.2901). Attention is no explanation by
        itself: Jain and Wallace, NAACL 2019 (arXiv 1902.10186).
    """
    said = predict_inputs(inputs, ensemble)
    whole = logit(said.probability)
    steps = WINDOW_POINTS // STRIDE
    attention = said.attention[:, : WINDOWS * steps].reshape(len(inputs), WINDOWS, steps)
    occlusion = np.zeros((len(inputs), WINDOWS))
    for window in range(WINDOWS):
        hidden = np.zeros((len(inputs), AXIS.points), bool)
        hidden[:, window * WINDOW_POINTS : (window + 1) * WINDOW_POINTS] = True
        occlusion[:, window] = np.abs(_odds_without(inputs, ensemble, hidden) - whole)
    return Importance(
        attention=attention.sum(axis=2),
        occlusion=occlusion,
        start_s=AXIS.step_s * WINDOW_POINTS * np.arange(WINDOWS),
    )


def phase_importance(
    inputs: Sequence[SequenceInput], ensemble: SequenceEnsemble, present: Bool[np.ndarray, " n"]
) -> tuple[PhaseImportance, ...]:
    """Return the importance of each phase of the bolus, as it was found in each exam.

    Args:
        inputs: of `sequence_input`.
        ensemble: of `sequence_network`.
        present: the truth.
    """
    said = predict_inputs(inputs, ensemble)
    whole = logit(said.probability)
    phases = np.array([item.phases for item in inputs])
    measured = np.array([item.known.any(axis=0) for item in inputs])
    weight = np.repeat(said.attention / STRIDE, STRIDE, axis=1)[:, : STEPS * STRIDE]
    found = []
    for number, name in enumerate(PHASES, start=1):
        inside = (phases == number) & measured
        odds = _odds_without(inputs, ensemble, inside)
        found.append(
            PhaseImportance(
                name=name,
                seconds=float(AXIS.step_s * inside.sum(axis=1).mean()),
                attention=float((weight * inside).sum(axis=1).mean()),
                occlusion=float(np.abs(odds - whole).mean()),
                harm=float((_entropy(odds, present) - _entropy(whole, present)).mean()),
            )
        )
    return tuple(found)


def deletion_test(
    inputs: Sequence[SequenceInput],
    ensemble: SequenceEnsemble,
    present: Bool[np.ndarray, " n"],
    order: Integer[np.ndarray, "n windows"],
    *,
    seed: int,
    windows: int = 3,
    repeats: int = 20,
) -> DeletionTest:
    """Hide the windows called most important, and as many others, and compare the harm.

    Args:
        inputs: of `sequence_input`; exams that the order was not found with the truth of.
        ensemble: of `sequence_network`.
        present: the truth.
        order: windows of each exam, the most important first.
        seed: decides the other windows.
        windows: how many are hidden.
        repeats: choices of other windows; their mean harm is compared.

    Raises:
        QuantityError: the order does not fit, or there are fewer windows.

    Assumes:
        Exams are independent. Windows are chosen among those that were measured in each exam.

    Source:
        Deletion: Petsiuk, Das and Saenko, BMVC 2018 (arXiv 1806.07421). The tests, by exam: signs
        of differences flipped at random, and Wilcoxon's signed-rank test.
    """
    if order.shape != (len(inputs), WINDOWS) or not 0 < windows < WINDOWS:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"an order of shape {order.shape} for {len(inputs)} exams, {windows} windows",
            mend=f"give the order of {WINDOWS} windows for each exam, and fewer to hide",
        )
    random = stream(seed, "nets", "deletion")
    seen = np.array([_measured(item) for item in inputs])
    base = _entropy(logit(predict_inputs(inputs, ensemble).probability), present)
    chosen = _harm(inputs, ensemble, present, _first(order, seen, windows)) - base
    others = [
        _harm(inputs, ensemble, present, _first(random.permuted(order, axis=1), seen, windows))
        for _ in range(repeats)
    ]
    rival = np.mean(others, axis=0) - base
    return DeletionTest(
        windows=windows,
        exams=len(inputs),
        chosen=float(chosen.mean()),
        random=float(rival.mean()),
        p_value=_sign_flips(chosen - rival, stream(seed, "nets", "sign flips")),
        p_ranks=float(wilcoxon(chosen, rival, alternative="greater").pvalue),
    )


def _sign_flips(differences: Float[np.ndarray, " n"], random: np.random.Generator) -> float:
    signs = random.choice((-1.0, 1.0), (_FLIPS, len(differences)))
    above = np.count_nonzero(signs @ differences >= differences.sum())
    return float((above + 1) / (_FLIPS + 1))


def _first(
    order: Integer[np.ndarray, "n windows"], seen: Bool[np.ndarray, "n windows"], count: int
) -> Bool[np.ndarray, "n windows"]:
    """Return the first windows of each exam's order that were measured."""
    chosen = np.zeros(order.shape, bool)
    for row, ranks, here in zip(chosen, order, seen, strict=True):
        row[ranks[here[ranks]][:count]] = True
    return chosen


def _harm(
    inputs: Sequence[SequenceInput],
    ensemble: SequenceEnsemble,
    present: Bool[np.ndarray, " n"],
    windows: Bool[np.ndarray, "n windows"],
) -> Float[np.ndarray, " n"]:
    hidden = np.repeat(windows, WINDOW_POINTS, axis=1)
    return _entropy(_odds_without(inputs, ensemble, hidden), present)


def _measured(item: SequenceInput) -> Bool[np.ndarray, " windows"]:
    return np.asarray(item.known.any(axis=0).reshape(WINDOWS, WINDOW_POINTS).all(axis=1))


def _odds_without(
    inputs: Sequence[SequenceInput],
    ensemble: SequenceEnsemble,
    hidden: Bool[np.ndarray, "n points"],
) -> Float[np.ndarray, " n"]:
    """Return the log odds of exams of which some points are hidden."""
    left = [
        replace(item, values=item.values * ~gone, known=item.known * ~gone)
        for item, gone in zip(inputs, hidden, strict=True)
    ]
    return np.asarray(logit(predict_inputs(left, ensemble).probability))


def _entropy(
    odds: Float[np.ndarray, " n"], present: Bool[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    chance = np.clip(expit(odds), _CLOSE, 1 - _CLOSE)
    return np.asarray(-np.log(np.where(present, chance, 1 - chance)))

"""The network of Ktrans with intervals that comes with bolus: how it was learned and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import Weights
from bolus.io.weights import write_weights
from bolus.metrics.coverage import Coverage, interval_coverage
from bolus.simulate.kinetic_curves import KineticExam, KineticRanges, simulate_kinetic_curves

if TYPE_CHECKING:
    from bolus.nets.pharmacokinetics_fit import KineticPosterior

SEED, VALIDATION_SEED, TEST_SEED = 20_840, 20_841, 20_842
EXAMS, VALIDATION_EXAMS, TEST_EXAMS, VOXELS = 900, 240, 100, 128

CALIBRATION = (KineticRanges(), KineticRanges(artery="published"))
"""Intervals are calibrated on half of each: arteries of patients are not those of the training."""
UNSEEN: Mapping[str, KineticRanges] = MappingProxyType(
    {
        "as in training": KineticRanges(),
        "Tofts' residue only": KineticRanges(residue="extended_tofts"),
        "arteries of the calibration": KineticRanges(artery="published"),
        "other arteries": KineticRanges(artery="infused"),
        "longer TR, late tissue": KineticRanges(
            artery="infused", repetition_time_s=(0.008, 0.012), delay_s=(3.0, 6.0)
        ),
        "another residue": KineticRanges(artery="infused", residue="adiabatic"),
        "another residue, sharp arteries": KineticRanges(artery="published", residue="adiabatic"),
    }
)
"""What the network is measured on, from seen to unseen; acquisitions are always new ones."""

SPOILED: Mapping[str, KineticRanges] = MappingProxyType(
    {
        "motion": KineticRanges(spikes=0.1),
        "T10 too high by 1.5 to 2": KineticRanges(t10_error=(1.5, 2.0)),
        "SNR 1 to 2": KineticRanges(snr=(1.0, 2.0)),
    }
)
"""What should be marked as unlike the training."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KineticTest:
    """A posterior of every exam beside the truth, of curves that no training saw."""

    exams: tuple[KineticExam, ...]
    posteriors: "tuple[KineticPosterior, ...]"

    @property
    def snr(self) -> np.ndarray:
        """Of the baseline signal (n,)."""
        return np.concatenate([e.snr for e in self.exams])

    def truth(self, name: str) -> np.ndarray:
        """Return the truth (n,) of one parameter."""
        return np.concatenate([e.truth[name] for e in self.exams])

    def mean(self, name: str) -> np.ndarray:
        """Return the network's estimate (n,)."""
        return np.concatenate([p[name] for p in self.posteriors])

    def least_squares(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the least-squares estimate and its standard error (n,)."""
        return (
            np.concatenate([p.fit[name] for p in self.posteriors]),
            np.concatenate([p.fit.std(name) for p in self.posteriors]),
        )

    def coverage(
        self, name: str, *, level: float = 0.9, where: np.ndarray | None = None
    ) -> Coverage:
        """Count how many intervals of one parameter hold the truth.

        Args:
            name: of the parameter.
            level: of the interval.
            where: (n,) voxels that count; all of them.
        """
        ends = [p.interval(name, level) for p in self.posteriors]
        low, high = (np.concatenate([pair[side] for pair in ends]) for side in (0, 1))
        held = slice(None) if where is None else where
        return interval_coverage(self.truth(name)[held], low[held], high[held], level=level)


def kinetic_test(exams: Sequence[KineticExam], weights: Weights) -> KineticTest:
    """Estimate the kinetics of exams.

    Args:
        exams: that no training saw.
        weights: of a network of kinetics.
    """
    from bolus.nets.pharmacokinetics_fit import kinetic_posterior

    found = (kinetic_posterior(e.tissue, e.arterial, weights, seconds=e.seconds) for e in exams)
    return KineticTest(exams=tuple(exams), posteriors=tuple(found))


def fit_shipped_kinetics(*, head: str = "mve", members: int = 5) -> Weights:
    """Learn the network again, as it was, or with another head.

    Args:
        head: of `nets.pharmacokinetics.HEADS`.
        members: of the ensemble.
    """
    from bolus.nets.pharmacokinetics_fit import fit_kinetics, kinetic_settings

    learned = simulate_kinetic_curves(EXAMS, seed=SEED, voxels=VOXELS)
    others = [
        exam
        for n, ranges in enumerate(CALIBRATION)
        for exam in simulate_kinetic_curves(
            VALIDATION_EXAMS // 2, seed=VALIDATION_SEED + 10 * n, voxels=VOXELS, ranges=ranges
        )
    ]
    settings = kinetic_settings(head=head, members=members)
    return fit_kinetics(learned, others, settings=settings)[0]


def write_shipped_kinetics(folder: Path) -> None:
    """Learn, measure and write the network and its card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_kinetics()
    measured = dict(weights.card.measured)
    for label, ranges in UNSEEN.items():
        exams = simulate_kinetic_curves(TEST_EXAMS, seed=TEST_SEED, voxels=VOXELS, ranges=ranges)
        test = kinetic_test(exams, weights)
        said = "_".join("".join(c for c in label.lower() if c.isalnum() or c == " ").split())
        measured[f"coverage_90_ktrans_{said}"] = test.coverage("ktrans").covered
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))

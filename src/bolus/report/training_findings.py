"""Everything the page of a training is made from: one value, put together by the workflow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bolus.core import ModelCard, Provenance


@runtime_checkable
class Epoch(Protocol):
    """One epoch of a training; `nets.train.EpochRow` is one."""

    @property
    def epoch(self) -> int:
        """Its number, from 0."""

    @property
    def learning_rate(self) -> float:
        """That of its last step."""

    @property
    def losses(self) -> Mapping[str, float]:
        """Mean losses by name, "training_loss" and "validation_loss" among them."""

    @property
    def cpu_seconds(self) -> float:
        """Time of the processor [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """One table of results as text: a title, a note below it, column names, and rows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingFindings:
    """How a network was trained, and what it does on patients it never saw.

    `histories` has the epochs of every network by its name, `patients` how many there were in each
    part. `created` is a text of the caller's: same findings, same bytes but for times.
    """

    label: str
    version: str
    created: str
    card: ModelCard
    weights_digest: str
    histories: Mapping[str, Sequence[Epoch]]
    patients: Mapping[str, int]
    device: str
    seconds: float
    provenance: Provenance
    results: tuple[ResultTable, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Training of a network"

    @property
    def epochs(self) -> int:
        """Epochs of all networks together."""
        return sum(len(rows) for rows in self.histories.values())

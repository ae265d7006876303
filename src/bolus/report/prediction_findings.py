"""Everything the page of a prediction is made from: one value, put together by the workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bolus.core import CurveExam, ModelCard, Provenance, TimeAxis
from bolus.errors import Code, QuantityError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRow:
    """One value of the acquisition beside the range that the network was trained for."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictionFindings:
    """What a network of sequences says of one exam.

    `probability` is that of `positive` (such as "IDH-mutant"), `lower` and `upper` its interval and
    `members` (m,) what each network of the ensemble says. `unlike` is how unlike the exam is to
    those of the training and `unlike_limit` what most of those stay below. `attention` (t',) at
    `attention_s` is where in time the networks looked. `created` is a text of the caller's: same
    findings, same bytes.

    Raises:
        QuantityError: a probability outside 0 to 1, or an interval that does not hold it.
    """

    label: str
    version: str
    created: str
    positive: str
    probability: float
    lower: float
    upper: float
    members: np.ndarray
    unlike: float
    unlike_limit: float
    attention: np.ndarray
    attention_s: np.ndarray
    exam: CurveExam
    card: ModelCard
    weights_digest: str
    provenance: Provenance
    protocol: tuple[ProtocolRow, ...] = ()
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Prediction from perfusion curves"

    def __post_init__(self) -> None:
        if not 0 <= self.lower <= self.probability <= self.upper <= 1:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"a probability of {self.probability:g} with the interval {self.lower:g} to "
                f"{self.upper:g}",
                mend="give an interval within 0 and 1 that holds the probability",
            )

    @property
    def is_unlike(self) -> bool:
        """Whether the exam is unlike those of the training, as far as the network can tell."""
        return not self.unlike <= self.unlike_limit

    @property
    def time(self) -> TimeAxis:
        """When the frames were taken."""
        return self.exam.time

"""What a certificate holds: gates, errors, pictures as numbers; plain data for page and JSON."""

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One number that has to lie within limits that were set before it was measured.

    `value` is None where the gate was not run; `note` then says why. A value that is not finite
    fails. The limits belong to what passes, unless `strict`.

    Example:
        >>> gate = Gate(name="median error", what="flow", object="curves", method="oSVD", value=7.0,
        ...             unit="%", high=10.0, source="set by us")
        >>> gate.goal, gate.passed
        ('<= 10 %', True)
    """

    name: str
    what: str
    object: str
    method: str
    value: float | None
    source: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether the value keeps the goal; None where it was not measured."""
        if self.value is None:
            return None
        if self.strict:
            return self.low < self.value < self.high
        return self.low <= self.value <= self.high

    @property
    def verdict(self) -> Verdict:
        """The same as a word."""
        return "not run" if self.passed is None else "passed" if self.passed else "failed"

    @property
    def goal(self) -> str:
        """What passes, in plain letters."""
        unit = f" {self.unit}" if self.unit else ""
        equal = "" if self.strict else "="
        if self.low == self.high:
            return f"exactly {self.low:g}{unit}"
        if math.isinf(self.low):
            return f"<{equal} {self.high:g}{unit}"
        if math.isinf(self.high):
            return f">{equal} {self.low:g}{unit}"
        return f"{self.low:g} to {self.high:g}{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """The errors of one method on one object, one for each column of the table."""

    object: str
    method: str
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTable:
    """Errors of methods on objects: found minus true, in percent of the truth; NaN for none.

    `absolute` names the columns that hold sizes of errors, without a sign. `what` says what the
    numbers are where they are something else.
    """

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[ErrorRow, ...]
    absolute: tuple[str, ...] = ()
    what: str = "error in % of the truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One method in a panel; `low` and `high` bound the bars of its points, or are empty."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes; `perfect` is the line on which no error lies."""

    title: str
    lines: tuple[Line, ...]
    perfect: Literal["zero", "diagonal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Panels side by side on common axes, and what they show in words."""

    title: str
    text: str
    x_label: str
    y_label: str
    keys: tuple[str, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One subject of a chapter: its gates, then tables and pictures that are not gates."""

    title: str
    text: str
    gates: tuple[Gate, ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[ErrorTable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """Everything that is certified of one kind of analysis."""

    key: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """All chapters of one run, with what decides their numbers.

    `settings` are names and values of what was run; `inputs` names and SHA-256 of the files read.
    """

    version: str
    created: str
    seed: int
    profile: str
    settings: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    chapters: tuple[Chapter, ...]

    @property
    def title(self) -> str:
        """Head of the page."""
        return f"Certificate of bolus {self.version}"

    @property
    def label(self) -> str:
        """What tells two certificates of one version apart."""
        return f"{self.profile} profile, seed {self.seed}"

    @property
    def gates(self) -> tuple[Gate, ...]:
        """All gates, in order."""
        return tuple(g for c in self.chapters for p in c.parts for g in p.gates)

    @property
    def passed(self) -> bool:
        """Whether no gate that was run falls short."""
        return all(gate.passed is not False for gate in self.gates)

    def count(self, verdict: Verdict) -> int:
        """How many gates ended so."""
        return sum(gate.verdict == verdict for gate in self.gates)

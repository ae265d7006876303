"""How a value came about: the steps in order; names, methods text and citations follow from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Step:
    """One function that was applied, with the arguments that mattered and the source of its method.

    `source` is a DOI, a CAPLEX code, or "" for mere bookkeeping.
    """

    function: str
    arguments: Mapping[str, Plain]
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "arguments", MappingProxyType(dict(self.arguments)))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes (a read-only view does not by itself)."""
        return (Step, (self.function, dict(self.arguments), self.source))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The steps in order, and the SHA-256 of every file they began from.

    Example:
        >>> p = Provenance(inputs=(("dsc.nii.gz", "ab12"),)).then(Step("quantify.f", {"a": 1}))
        >>> len(p.digest()), p.steps[0].function
        (16, 'quantify.f')
    """

    steps: tuple[Step, ...] = ()
    inputs: tuple[tuple[str, str], ...] = ()

    def then(self, step: Step) -> "Provenance":
        """Return this history with one more step."""
        return Provenance(steps=(*self.steps, step), inputs=self.inputs)

    def merged(self, other: "Provenance") -> "Provenance":
        """Return both histories; a step or input they share is kept once, in first order."""
        return Provenance(
            steps=(*self.steps, *(s for s in other.steps if s not in self.steps)),
            inputs=tuple(dict.fromkeys((*self.inputs, *other.inputs))),
        )

    def digest(self) -> str:
        """Return 16 hexadecimal digits that name this history."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the history as JSON text with a fixed order of keys."""
        steps = [
            {"function": s.function, "arguments": dict(s.arguments), "source": s.source}
            for s in self.steps
        ]
        return json.dumps({"inputs": list(self.inputs), "steps": steps}, sort_keys=True)

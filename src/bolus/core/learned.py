"""What is learned and on whom: splits of subjects, weights of a network and their card."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, LeakageError, MetadataError

PARTS = ("training", "validation", "test")
_NOTHING: Mapping[str, float] = MappingProxyType({})

Setting = str | int | float | bool
"""One setting of a network; a card holds nothing that cannot be read by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who trains, who chooses, and who is kept for one last look.

    Raises:
        LeakageError: a subject is in two parts.
    """

    training: frozenset[str]
    validation: frozenset[str]
    test: frozenset[str]

    def __post_init__(self) -> None:
        parts = (self.training, self.validation, self.test)
        twice = sum(map(len, parts)) - len(frozenset().union(*parts))
        if twice:
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"{twice} subjects are in more than one of {', '.join(PARTS)}",
                mend="put every subject into one part",
            )

    @property
    def development(self) -> frozenset[str]:
        """Training and validation together."""
        return self.training | self.validation


def split_subjects(
    subjects: Sequence[str],
    *,
    seed: int,
    validation: float = 0.15,
    test: float = 0.4,
    strata: Sequence[str] | None = None,
) -> Split:
    """Deal subjects to training, validation and test at random.

    Args:
        subjects: each once.
        seed: decides who goes where.
        validation: share of all.
        test: share of all.
        strata: a label per subject, such as the scanner; each stratum is split in these shares.

    Raises:
        MetadataError: the shares leave nothing to train on, or strata do not fit.

    Assumes:
        Subjects are independent; a family or centre that must stay together is one subject.

    Source:
        Set by us.

    Example:
        >>> split = split_subjects([f"{n:02d}" for n in range(20)], seed=1)
        >>> len(split.training), len(split.validation), len(split.test)
        (9, 3, 8)
    """
    labels = list(strata) if strata is not None else [""] * len(subjects)
    if not 0 <= validation + test < 1 or len(labels) != len(subjects):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"shares {validation:g} and {test:g}, {len(labels)} strata of {len(subjects)} subjects",
            mend="give shares that sum to less than 1, and one stratum per subject",
        )
    parts: dict[str, set[str]] = {name: set() for name in PARTS}
    for label in sorted(set(labels)):
        own = [s for s, of in zip(subjects, labels, strict=True) if of == label]
        order = stream(seed, "habitats", "split", label).permutation(len(own))
        ends = np.cumsum([round(test * len(own)), round(validation * len(own))])
        for place, n in enumerate(order):
            name = "test" if place < ends[0] else "validation" if place < ends[1] else "training"
            parts[name].add(own[n])
    return Split(**{name: frozenset(parts[name]) for name in PARTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRange:
    """The acquisitions that a network was trained for: least and most of each value.

    `limits` by name, such as "interval_s", "duration_s", "echo_time_s", "flip_angle_deg",
    "field_strength_t". A name that is not there does not matter to the network.

    Example:
        >>> trained = ProtocolRange(limits={"interval_s": (1.0, 3.0)})
        >>> trained.outside({"interval_s": 4.0, "echo_time_s": 0.03})
        ('interval_s is 4, trained for 1 to 3',)
    """

    limits: Mapping[str, tuple[float, float]]

    def outside(self, values: Mapping[str, float | None]) -> tuple[str, ...]:
        """Return a sentence for each limited value that is outside, or not known."""
        said = []
        for name, (low, high) in self.limits.items():
            value = values.get(name)
            if value is None:
                said.append(f"{name} is not known, trained for {low:g} to {high:g}")
            elif not low <= value <= high:
                said.append(f"{name} is {value:.4g}, trained for {low:g} to {high:g}")
        return tuple(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a network is, on what it was trained, and what was measured of it.

    `name` is that of the file, `kind` the family that builds the network from `settings`.
    `trained_on` is a sentence for readers; `simulated` tells that no patient was in it.
    `fitted_on` are the subjects of training and validation, empty where they have no names.
    `measured` are figures with their meaning in the name, such as "test_auc". `limits` says what
    the network cannot do. `version` is that of bolus.
    """

    name: str
    kind: str
    settings: Mapping[str, Setting]
    trained_on: str
    simulated: bool
    protocol: ProtocolRange
    limits: str
    version: str
    fitted_on: frozenset[str] = frozenset()
    measured: Mapping[str, float] = field(default_factory=lambda: _NOTHING)

    def require_unseen(self, subjects: Sequence[str]) -> None:
        """Refuse subjects that the network was fitted on.

        Raises:
            LeakageError: it was.
        """
        if seen := sorted(self.fitted_on.intersection(subjects)):
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"{self.name} was fitted on {len(seen)} of these subjects, such as {seen[0]}",
                mend="evaluate on other subjects",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The numbers of a trained network, and its card.

    Example:
        >>> import numpy as np
        >>> card = ModelCard(name="tiny", kind="test", settings={}, trained_on="nothing",
        ...     simulated=True, protocol=ProtocolRange(limits={}), limits="all", version="0")
        >>> Weights(tensors={"w": np.ones(2, np.float32)}, card=card).digest()[:6]
        '1e16c5'
    """

    tensors: Mapping[str, np.ndarray]
    card: ModelCard

    def __post_init__(self) -> None:
        held = {name: read_only(np.ascontiguousarray(t)) for name, t in self.tensors.items()}
        object.__setattr__(self, "tensors", MappingProxyType(held))

    def digest(self) -> str:
        """Return the SHA-256 of names, types, shapes and bytes; it names results made with them."""
        digest = hashlib.sha256()
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            digest.update(json.dumps([name, tensor.dtype.str, list(tensor.shape)]).encode())
            digest.update(tensor.tobytes())
        return digest.hexdigest()

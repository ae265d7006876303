"""Everything a group report is made from: one value, put together by the workflow."""

from dataclasses import dataclass
from typing import Literal

State = Literal["done", "failed", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStep:
    """What became of one step of a session, and why there is no result where there is none."""

    session: str
    step: str
    state: State
    reason: str = ""
    page: str = ""
    """The exam's report, relative to the group's; "" where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRegion:
    """One quantity in one region of one session; `z` is its robust distance from the group.

    `mean` is over the voxels, in the registry's unit. `z` is NaN where nothing can be said.
    """

    session: str
    step: str
    region: str
    key: str
    voxels: int
    mean: float
    z: float

    def is_outlier(self, far: float) -> bool:
        """Whether it lies further from the group's median than `far`."""
        return abs(self.z) > far


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupQuality:
    """One number of the quality of one series, and whether its report asks for a look."""

    session: str
    step: str
    name: str
    value: float
    unit: str
    look: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProtocol:
    """How one series was acquired: (name, value as text) in a fixed order."""

    session: str
    step: str
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFindings:
    """What a whole cohort gave, ready to be shown.

    `far` is the |z| from which a value is called an outlier, `fewest` the number of sessions below
    which nothing is said of outliers.
    """

    label: str
    version: str
    created: str
    far: float
    fewest: int
    steps: tuple[GroupStep, ...]
    regions: tuple[GroupRegion, ...]
    quality: tuple[GroupQuality, ...]
    protocols: tuple[GroupProtocol, ...]
    title: str = "Group report"

    @property
    def sessions(self) -> tuple[str, ...]:
        """All sessions, in order."""
        return tuple(dict.fromkeys(step.session for step in self.steps))

    @property
    def outliers(self) -> tuple[GroupRegion, ...]:
        """Values far from their group, the furthest first."""
        found = [row for row in self.regions if row.is_outlier(self.far)]
        return tuple(sorted(found, key=lambda r: (-abs(r.z), r.session, r.step, r.region, r.key)))

"""What following a lesion from visit to visit gives, as values for tables and reports."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import LabelMap, SessionKey

OUTSIDE = "outside"
"""Where a voxel is that belongs to no habitat at one of two visits."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the range that holds it in 95 % of repeated measurements."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitVolumes:
    """Habitats of one visit: volumes [mL], shares of the lesion [ratio], and its size [mL].

    `day` counts from the first visit. `left_out_ml` is lesion without a value in some feature.
    """

    key: SessionKey
    day: int
    volumes_ml: Mapping[str, Interval]
    fractions: Mapping[str, Interval]
    lesion_ml: float
    left_out_ml: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitatChange:
    """Change [mL] of one habitat between two visits, and how much noise alone makes.

    `noise_ml` is the size that a change of nothing stays below in 95 % of repeats: errors of the
    maps, of the registration and of soft membership together.
    """

    before: SessionKey
    after: SessionKey
    days: int
    habitat: str
    change_ml: Interval
    noise_ml: float

    @property
    def beyond_noise(self) -> bool:
        """Whether the change is larger than noise makes."""
        return abs(self.change_ml.value) > self.noise_ml


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transition:
    """What became of every habitat between two visits, voxel by voxel on the first's grid.

    `volumes_ml[i, j]` is the volume that was `names[i]` and became `names[j]`; the last name is
    `OUTSIDE`. `labels` has i * len(names) + j + 1 in voxels that are not outside at both visits.
    `noise_ml[i, j]` is what 95 % of repeats of an unchanged lesion stay below, errors of the
    registration among them.
    """

    before: SessionKey
    after: SessionKey
    names: tuple[str, ...]
    volumes_ml: Float[np.ndarray, "before after"]
    labels: LabelMap
    noise_ml: Float[np.ndarray, "before after"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressionSite:
    """Whether growth of a habitat lies where new enhancement comes at the next visit.

    `overlap` is the share of the new enhancement within `reach_mm` of growth of the habitat;
    `expected` what random places of the same size and shape around the lesion give, `p_value`
    (one-sided) from `permutations` of them.
    """

    grew_from: SessionKey
    grew_to: SessionKey
    enhanced_at: SessionKey
    habitat: str
    grown_ml: float
    new_enhancement_ml: float
    reach_mm: float
    overlap: float
    expected: float
    p_value: float
    permutations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalsCheck:
    """Volumes [mL] of one visit on its own grid, and after it was brought to the first visit's.

    What needs no registration stands beside what went through it: a habitat that is much smaller
    on the first grid was lost on the way there.
    """

    key: SessionKey
    own_ml: Mapping[str, float]
    registered_ml: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatTrack:
    """One patient through time; visits in order of their day.

    `missing` names visits that could not be used, and why.
    """

    subject: str
    names: tuple[str, ...]
    visits: tuple[VisitVolumes, ...]
    changes: tuple[HabitatChange, ...]
    transitions: tuple[Transition, ...]
    sites: tuple[ProgressionSite, ...]
    missing: tuple[tuple[SessionKey, str], ...] = ()
    checks: tuple[TotalsCheck, ...] = ()

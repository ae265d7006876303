"""Everything the two habitat reports are made from: one value each, put together by a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import LabelMap, Mask, ParameterMap, Provenance, SessionKey
from bolus.core.arrays import Volume
from bolus.core.learned import Split
from bolus.habitats.analyses import RecurrenceAnalysis, SurvivalAnalysis
from bolus.habitats.cohort_table import HabitatCohort
from bolus.habitats.model import HabitatModel
from bolus.habitats.track import HabitatTrack, Interval

if TYPE_CHECKING:  # matplotlib loads only to draw
    from bolus.report.figures import Picture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatVisitPicture:
    """What is drawn of one visit; all visits of a patient are on the grid of the first.

    `day` counts from the first visit. `background` (x, y, z) is an image of the head, NaN where
    the visit did not see it; `maps` are by registry key; `labels` are those of the habitats, 0
    outside. `lesion` is what the habitats were looked for in; `unusual_percent` the share of its
    voxels that are far from all that the model has seen, NaN if it is not known.
    """

    key: SessionKey
    day: int
    background: Volume
    maps: Mapping[str, ParameterMap]
    labels: LabelMap
    lesion: Mask
    unusual_percent: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitRegistration:
    """How one visit was brought to the first, and how well.

    `kind` is "none", "rigid", "affine" or "deformable". `error_mm` and `error_p95_mm` are median
    and 95th percentile over the head of how far the alignment is likely to be wrong,
    `consistency_mm` the median distance between a place and its way there and back;
    `similarity` the correlation of fine detail. `picture` shows both, if there is one.
    """

    key: SessionKey
    kind: str
    error_mm: float
    error_p95_mm: float
    consistency_mm: float
    similarity: float
    picture: "Picture | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientScore:
    """What the change between two visits scores: the rule's count, and a hazard.

    The rule counts the habitats that grew by more than `cut_offs_ml`; `count` has what it is and
    what it would be over the 95 % intervals of the changes. `hazard` is over that of the same
    patient without growth, with its 95 % interval; `hazard_noise` the ratio that noise alone stays
    below in 95 % of repeats, NaN if it is not known. `source` says where cut-offs and hazard come
    from, `simulated` that no real patient is in them.
    """

    before: SessionKey
    after: SessionKey
    cut_offs_ml: Mapping[str, float]
    count: Interval
    hazard: Interval | None
    hazard_noise: float
    source: str
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatPatientFindings:
    """One patient through time, ready to be shown.

    `visits` are those of `track`, in the same order. `head` are the voxels of the head on the grid
    of the first visit, if known. `warnings` are sentences.
    """

    label: str
    version: str
    created: str
    model: HabitatModel
    visits: tuple[HabitatVisitPicture, ...]
    track: HabitatTrack
    registration: tuple[VisitRegistration, ...]
    provenance: Provenance
    score: PatientScore | None = None
    head: Mask | None = None
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Habitat report"

    @property
    def lesions(self) -> Mask:
        """The union of the lesion over all visits."""
        first = self.visits[0].lesion
        values = np.any([visit.lesion.values for visit in self.visits], axis=0)
        return Mask(values=values, grid=first.grid, name="lesion")

    def day_of(self, key: SessionKey) -> int | None:
        """Return the day of a visit, None where it is not among those followed."""
        return next((v.day for v in self.track.visits if v.key == key), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatCohortFindings:
    """A cohort's habitats against its outcomes, ready to be shown.

    An analysis that is None has its reason in `not_done` as (analysis, why).
    """

    label: str
    version: str
    created: str
    cohort: HabitatCohort
    split: Split
    survival: SurvivalAnalysis | None
    recurrence: RecurrenceAnalysis | None
    provenance: Provenance
    not_done: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Habitat cohort report"

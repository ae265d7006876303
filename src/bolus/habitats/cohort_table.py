"""One row a patient: what the habitats did between two visits, who it was, and what came after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from bolus.errors import Code, MetadataError
from bolus.habitats.model import HabitatMap
from bolus.habitats.table import VoxelTable
from bolus.survival import SurvivalTarget, landmark

BURDEN_NCBV = 1.75
"""Voxels above this count as tumour in the fractional tumour burden."""
LOW_BURDEN_NCBV = 1.0
"""The lower of the two published limits: voxels below it count as treatment effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodMeasures:
    """Known measures of blood volume over one lesion: nCBV [ratio] and shares [ratio] of voxels.

    `burden` is the share above 1.75, `low_burden` above 1.0. All are 0 for a lesion without a
    voxel.
    """

    mean: float
    p95: float
    burden: float
    low_burden: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Time to one kind of event [days since the first visit], or until it could be seen no more."""

    days: float
    event: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitatRow:
    """One patient: habitats [mL] at two visits, blood volume, clinic, outcome.

    `landmark_day` is the day of the second visit since the first, when the change becomes known.
    `clinical` holds numbers by name (`clinical_numbers` gives the usual ones), without those that
    are missing. `outcomes` are keyed by what is awaited, such as "progression" and "death".
    `recurrence` is whether the growing lesion was tumour (True) or treatment effect, None where
    that was not asked or is not known.
    """

    subject: str
    scanner: str
    landmark_day: float
    before_ml: Mapping[str, float]
    after_ml: Mapping[str, float]
    blood_before: BloodMeasures
    blood_after: BloodMeasures
    clinical: Mapping[str, float]
    outcomes: Mapping[str, Followed]
    recurrence: bool | None = None

    @property
    def increase_ml(self) -> Mapping[str, float]:
        """Change [mL] of every habitat from the first visit to the second."""
        return {name: self.after_ml[name] - self.before_ml[name] for name in self.before_ml}


@dataclass(frozen=True, eq=False)
class HabitatCohort:
    """Patients with two visits; `left_out` names those without a row, and why.

    Raises:
        MetadataError: there is no row, a subject is there twice, or rows differ in habitats.
    """

    rows: tuple[HabitatRow, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.rows:
            raise MetadataError(
                Code.OUTCOMES_TOO_FEW,
                "no patient has habitats at two visits",
                mend="give a cohort in which patients were followed",
            )
        if len(set(self.subjects)) < len(self.rows):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{len(self.rows)} rows of {len(set(self.subjects))} subjects",
                mend="give one row a patient",
            )
        if any(tuple(row.before_ml) != self.habitats for row in self.rows):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                "rows differ in the names of their habitats",
                mend="assign all patients with one model",
            )

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Subjects in the order of the rows."""
        return tuple(row.subject for row in self.rows)

    @property
    def habitats(self) -> tuple[str, ...]:
        """Names of the habitats."""
        return tuple(self.rows[0].before_ml)

    @cached_property
    def before_ml(self) -> Float[np.ndarray, "patients habitats"]:
        """Volumes [mL] at the first visit."""
        return np.array([[row.before_ml[name] for name in self.habitats] for row in self.rows])

    @cached_property
    def after_ml(self) -> Float[np.ndarray, "patients habitats"]:
        """Volumes [mL] at the second visit."""
        return np.array([[row.after_ml[name] for name in self.habitats] for row in self.rows])

    def increase_ml(self, habitats: Sequence[str]) -> Float[np.ndarray, "patients chosen"]:
        """Return the changes [mL] of some habitats, in this order."""
        columns = [self.habitats.index(name) for name in habitats]
        return np.asarray((self.after_ml - self.before_ml)[:, columns])

    def select(self, kept: Bool[np.ndarray, " patients"]) -> "HabitatCohort":
        """Return some of the rows in the same order.

        Raises:
            MetadataError: none is kept.
        """
        rows = tuple(row for row, keep in zip(self.rows, kept, strict=True) if keep)
        return HabitatCohort(rows, self.left_out)

    def part(self, subjects: frozenset[str]) -> "HabitatCohort":
        """Return the rows of these subjects.

        Raises:
            MetadataError: none is there.
        """
        return self.select(np.array([subject in subjects for subject in self.subjects]))

    def known(self) -> "HabitatCohort":
        """Return the rows whose recurrence is known.

        Raises:
            MetadataError: none is.
        """
        return self.select(np.array([row.recurrence is not None for row in self.rows]))

    @property
    def recurrence(self) -> Bool[np.ndarray, " patients"]:
        """Whether each lesion was tumour; rows must be those of `known`."""
        return np.array([bool(row.recurrence) for row in self.rows])

    def at_risk(self, outcome: str) -> tuple["HabitatCohort", SurvivalTarget]:
        """Return who was without the event at the second visit, and what came after.

        Days count from the first visit, and everybody enters at the second (left truncation):
        who had the event before the change could be seen tells nothing about it.

        Raises:
            MetadataError: nobody has the outcome, or nobody is left.
        """
        kept = self.select(np.array([outcome in row.outcomes for row in self.rows]))
        whole = SurvivalTarget(
            subjects=kept.subjects,
            days=np.array([row.outcomes[outcome].days for row in kept.rows]),
            event=np.array([row.outcomes[outcome].event for row in kept.rows]),
        )
        days = np.array([row.landmark_day for row in kept.rows])
        target, at_risk = landmark(whole, days, clock="origin")
        return kept.select(at_risk), target


def blood_measures(ncbv: Float[np.ndarray, " voxels"]) -> BloodMeasures:
    """Compute what is usually read from nCBV over a lesion.

    Args:
        ncbv: (voxels,) of the enhancing lesion [ratio].

    Assumes:
        White matter is 1; the published limits of fractional tumour burden were set on maps
        standardised in another way (there white matter is near 1 as well).

    Source:
        Hu et al., Neuro Oncol 2012;14:919 (fractional tumour burden at 1.0); Iv et al., AJNR Am J
        Neuroradiol 2019;40:1642 (1.0 and 1.75).

    Example:
        >>> blood_measures(np.array([0.5, 1.2, 2.0, 4.0])).burden
        0.5
    """
    if not len(ncbv):
        return BloodMeasures(mean=0.0, p95=0.0, burden=0.0, low_burden=0.0)
    return BloodMeasures(
        mean=float(ncbv.mean()),
        p95=float(np.percentile(ncbv, 95)),
        burden=float((ncbv > BURDEN_NCBV).mean()),
        low_burden=float((ncbv > LOW_BURDEN_NCBV).mean()),
    )


def clinical_numbers(
    *,
    lesion_ml: float,
    age_years: float | None = None,
    kps: float | None = None,
    mgmt_methylated: bool | None = None,
    extent: str | None = None,
) -> dict[str, float]:
    """Return what a hazard is adjusted for, as numbers by name; what is missing has no name.

    Args:
        lesion_ml: volume of the lesion at the first visit; its logarithm is used.
        age_years: at the first visit.
        kps: Karnofsky index.
        mgmt_methylated: whether the promoter is.
        extent: of resection: "gross total", "subtotal" or "biopsy".

    Raises:
        MetadataError: another extent.

    Assumes:
        ln hazard is linear in age, index and log volume.

    Source:
        Set by us: the adjustment that reviewers of habitat scores ask for.

    Example:
        >>> sorted(clinical_numbers(lesion_ml=3.0, age_years=61, extent="biopsy"))
        ['age_years', 'extent_biopsy', 'extent_subtotal', 'log_volume']
    """
    if extent not in (None, "gross total", "subtotal", "biopsy"):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"extent of resection {extent!r} is not gross total, subtotal or biopsy",
            mend="name one of the three, or leave it empty",
        )
    given = {
        "age_years": age_years,
        "kps": kps,
        "mgmt_methylated": mgmt_methylated,
        "extent_subtotal": None if extent is None else extent == "subtotal",
        "extent_biopsy": None if extent is None else extent == "biopsy",
        "log_volume": np.log(lesion_ml + SMALL_ML),
    }
    return {name: float(value) for name, value in given.items() if value is not None}


SMALL_ML = 0.1
"""Added to volumes before a logarithm: a few voxels; smaller lesions are not told apart."""


def habitat_row(
    visits: tuple[tuple[VoxelTable, HabitatMap], tuple[VoxelTable, HabitatMap]],
    *,
    landmark_day: float,
    clinical: Mapping[str, float],
    outcomes: Mapping[str, Followed],
    recurrence: bool | None = None,
) -> HabitatRow:
    """Put two visits of one patient into a row.

    Args:
        visits: features and habitats of the first and the second.
        landmark_day: day of the second, counted from the first.
        clinical: numbers by name, as `clinical_numbers` gives.
        outcomes: by what is awaited; days count from the first visit.
        recurrence: truth, where it is known.

    Raises:
        MetadataError: the visits are not of one subject, or not in order.

    Assumes:
        Both visits were assigned with one model.

    Source:
        Volumes: `HabitatMap.volumes_ml`.
    """
    (first, habitats), (second, later) = visits
    if first.key.subject != second.key.subject or not landmark_day > 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"visits of {first.key.subject} and {second.key.subject}, {landmark_day:g} days apart",
            mend="give two visits of one patient, the earlier first",
        )
    return HabitatRow(
        subject=first.key.subject,
        scanner=second.scanner,
        landmark_day=float(landmark_day),
        before_ml=dict(habitats.volumes_ml),
        after_ml=dict(later.volumes_ml),
        blood_before=blood_measures(first.column("ncbv")),
        blood_after=blood_measures(second.column("ncbv")),
        clinical=dict(clinical),
        outcomes=dict(outcomes),
        recurrence=recurrence,
    )


def common_numbers(rows: Iterable[HabitatRow]) -> tuple[str, ...]:
    """Return the clinical numbers that every row has and in which rows differ.

    Assumes:
        A number that some patients lack is better left out than filled in.

    Source:
        Set by us.
    """
    every = [row.clinical for row in rows]
    names = [name for name in every[0] if all(name in clinical for clinical in every)]
    return tuple(name for name in names if len({clinical[name] for clinical in every}) > 1)

"""A simulated cohort as the analyses of habitats want it: tables, one model, one row a patient."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bolus.core import SessionKey
from bolus.core.learned import Split, split_subjects
from bolus.errors import BolusError
from bolus.habitats import HabitatModel, VoxelTable
from bolus.habitats.clustering import adapt_habitats, assign_habitats, fit_habitats
from bolus.habitats.cohort_table import (
    Followed,
    HabitatCohort,
    HabitatRow,
    clinical_numbers,
    habitat_row,
)
from bolus.simulate.habitat_cohort import HabitatPatient, LesionVisit, scan_before_treatment
from bolus.simulate.outcomes import Outcome

FEATURES = ("ncbv", "adc")
PROGRESSION, DEATH = "progression", "death"
_VOXELS_PER_PATIENT = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedStudy:
    """A cohort that was measured and one whose volumes are the truth; the same rows and split.

    `model` was fitted on the training part. `patients` are in the order of the rows.
    """

    measured: HabitatCohort
    truth: HabitatCohort
    split: Split
    model: HabitatModel
    patients: tuple[HabitatPatient, ...]


def lesion_table(patient: HabitatPatient, scan: LesionVisit) -> VoxelTable:
    """Return one scan of a simulated lesion as a table of nCBV and ADC.

    Args:
        patient: who it is.
        scan: one of the patient's.
    """
    return VoxelTable(
        key=SessionKey(patient.profile.subject, f"{scan.visit.course[:3]}{scan.visit.number + 1}"),
        features=FEATURES,
        values=scan.values,
        std=scan.std,
        mask=scan.lesion,
        scanner=scan.scanner,
    )


def study_of(patients: Sequence[HabitatPatient], *, seed: int) -> SimulatedStudy:
    """Split a simulated cohort by subject and scanner, fit habitats, and make rows.

    The habitats are fitted on training patients alone, on their scans before and after treatment,
    and adapted to every patient's scan before treatment, which has all of them. Who missed the
    second visit or whose lesion cannot be seen is left out by name.

    Args:
        patients: of `simulate_habitat_cohort`.
        seed: of the split and of the fit.

    Raises:
        QuantityError: no habitats can be fitted.
    """
    came = [patient for patient in patients if len(patient.visits) > 1]
    split = split_subjects(
        [patient.profile.subject for patient in came],
        seed=seed,
        strata=[patient.visits[0].scanner for patient in came],
    )
    untreated = {
        patient.profile.subject: lesion_table(patient, scan_before_treatment(patient, seed=seed))
        for patient in came
    }
    treated = [
        lesion_table(patient, scan)
        for patient in came
        if patient.profile.subject in split.training
        for scan in patient.visits[:2]
        if scan.lesion.count
    ]
    model = fit_habitats(
        [*treated, *(untreated[subject] for subject in sorted(split.training))],
        voxels_per_patient=_VOXELS_PER_PATIENT,
        seed=seed,
        simulated=True,
    )
    left_out = [
        (patient.profile.subject, "missed the second visit")
        for patient in patients
        if len(patient.visits) < 2
    ]
    rows, kept = [], []
    for patient in came:
        try:
            own = adapt_habitats(model, [untreated[patient.profile.subject]])
            rows.append(_row(patient, own))
        except BolusError as error:
            left_out.append((patient.profile.subject, str(error)))
        else:
            kept.append(patient)
    measured = HabitatCohort(tuple(rows), tuple(left_out))
    truth = HabitatCohort(
        tuple(_true_row(row, patient) for row, patient in zip(rows, kept, strict=True)),
        tuple(left_out),
    )
    return SimulatedStudy(
        measured=measured, truth=truth, split=split, model=model, patients=tuple(kept)
    )


def with_outcomes(cohort: HabitatCohort, outcomes: Sequence[Outcome]) -> HabitatCohort:
    """Return the same patients with other fates.

    Args:
        cohort: of `study_of`.
        outcomes: one a row.
    """
    rows = tuple(
        dataclasses.replace(row, outcomes=_followed(outcome))
        for row, outcome in zip(cohort.rows, outcomes, strict=True)
    )
    return HabitatCohort(rows, cohort.left_out)


def _row(patient: HabitatPatient, own: HabitatModel) -> HabitatRow:
    tables = [lesion_table(patient, scan) for scan in patient.visits[:2]]
    first, second = ((table, assign_habitats(table, own)) for table in tables)
    profile = patient.profile
    return habitat_row(
        (first, second),
        landmark_day=patient.visits[1].visit.day,
        clinical=clinical_numbers(
            lesion_ml=sum(first[1].volumes_ml.values()),
            age_years=profile.age_years,
            kps=profile.kps,
            mgmt_methylated=profile.genotype.mgmt_methylated,
            extent=profile.extent,
        ),
        outcomes=_followed(patient.outcome),
        recurrence=patient.recurrence,
    )


def _true_row(row: HabitatRow, patient: HabitatPatient) -> HabitatRow:
    before, after = (scan.volumes_ml for scan in patient.visits[:2])
    return dataclasses.replace(
        row,
        before_ml=MappingProxyType({name: before[name] for name in row.before_ml}),
        after_ml=MappingProxyType({name: after[name] for name in row.after_ml}),
    )


def _followed(outcome: Outcome) -> dict[str, Followed]:
    return {
        PROGRESSION: Followed(days=outcome.progression_days, event=outcome.progressed),
        DEATH: Followed(days=outcome.survival_days, event=outcome.died),
    }

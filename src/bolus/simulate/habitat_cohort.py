"""A cohort of treated glioblastomas with two or more scans, habitats known and outcomes drawn."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.randomness import stream
from bolus.core.regions import Mask
from bolus.errors import Code, MetadataError
from bolus.simulate.course import Visit, habitat_volumes_ml, plan_visits
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.fleet import Scanner, choose_scanner, draw_scanners
from bolus.simulate.growth import Glioma
from bolus.simulate.habitat_lesion import box_edge, lay_lesion, measure_lesion, noise_at
from bolus.simulate.outcomes import Outcome, draw_outcome
from bolus.simulate.profile import PatientProfile, draw_profile, scaled_tissue

_SCAN = (128, 128, 24)
"""Matrix that the scanners are drawn with; it has no part in lesions."""
_SCANNER_BIAS = 0.05
"""Standard deviation of the logarithm of a scanner's own factor on nCBV; set by us."""
_RADIATED_ADC = 0.12
"""Standard deviation of the logarithm of a patient's factor on ADC of radiated tissue; set by us:
without it no radiated tissue looks like living tumour, and the courses are never mistaken."""
_MIXED_SHARE = 0.3
_MIXED_RISE = 0.45
_MIXED_PEAK_D = 100.0
"""Share of recurrences that swell by treatment as well, ln of how much, and when most; by us."""
RECURRENT = ("progression", "pseudo-response")
"""Courses in which living tumour grows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LesionVisit:
    """One scan of an enhancing lesion.

    Rows of `values` and `std` (voxels, 2: nCBV [ratio], ADC [mm2/s]) and of `habitat` (numbers of
    `HABITAT_LABELS`) belong to the voxels of `lesion` in C order. All visits of a patient share
    one grid and lie alike. `volumes_ml` is the truth, by habitat.
    """

    visit: Visit
    scanner: str
    lesion: Mask
    values: np.ndarray
    std: np.ndarray
    habitat: np.ndarray
    volumes_ml: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HabitatPatient:
    """One patient of the cohort: who it is, the scans that took place, and what followed.

    `planned` holds the visits that were missed as well.
    """

    profile: PatientProfile
    planned: tuple[Visit, ...]
    visits: tuple[LesionVisit, ...]
    outcome: Outcome

    @property
    def recurrence(self) -> bool | None:
        """Whether growth at the second visit is tumour (True), treatment effect, or neither."""
        course = self.planned[1].course if len(self.planned) > 1 else "stable"
        if course in RECURRENT:
            return True
        return False if course == "treatment effect" else None


def simulate_habitat_cohort(
    patients: int, *, seed: int, scanners: int = 3, visits: int = 2
) -> tuple[HabitatPatient, ...]:
    """Return IDH-wildtype patients followed after chemoradiotherapy on several scanners.

    Lesions are laid in boxes (`habitat_lesion`), so a visit takes tens of milliseconds. A scanner
    gives its own noise, by its signal-to-noise ratio, and its own factor on nCBV (5 %); its gain
    cancels in nCBV. Patients keep to one scanner but for 15 % of later visits.

    Args:
        patients: how many, those who drop out included.
        seed: decides all of it; another number of patients changes none of the first.
        scanners: how many, at least 1.
        visits: planned for each, at least 1.

    Raises:
        MetadataError: fewer than one patient, scanner or visit.

    Source:
        Patients, courses, outcomes: `effects.EFFECTS`; noise: `fast_maps.MapNoise`.

    Example:
        >>> cohort = simulate_habitat_cohort(2, seed=1)
        >>> [patient.profile.genotype.idh for patient in cohort]
        ['wildtype', 'wildtype']
    """
    if patients < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID, f"{patients} patients are asked for", mend="ask for at least one"
        )
    fleet = draw_scanners(scanners, seed=seed, shape=_SCAN)
    cohort: list[HabitatPatient] = []
    number = 0
    while len(cohort) < patients:
        profile = draw_profile(seed, number)
        number += 1
        if profile.genotype.idh != "wildtype":
            continue
        planned = _as_treated(profile, plan_visits(profile, visits=visits, post_treatment=True))
        devices = [
            choose_scanner(fleet, seed=seed, patient=len(cohort) + 1, visit=visit.number)
            for visit in planned
        ]
        cohort.append(
            HabitatPatient(
                profile=profile,
                planned=planned,
                visits=_scans(profile, planned, devices, seed=seed),
                outcome=draw_outcome(profile, planned),
            )
        )
    return tuple(cohort)


def scan_before_treatment(patient: HabitatPatient, *, seed: int, scanners: int = 3) -> LesionVisit:
    """Return the scan of the untreated mass, on the patient's own scanner.

    It has all habitats in plenty, which treated lesions do not; its place is not that of the
    later scans.

    Args:
        patient: of `simulate_habitat_cohort`.
        seed: of the cohort.
        scanners: of the cohort.

    Example:
        >>> patient = simulate_habitat_cohort(1, seed=1)[0]
        >>> scan_before_treatment(patient, seed=1).visit.course
        'preoperative'
    """
    fleet = draw_scanners(scanners, seed=seed, shape=_SCAN)
    device = next(item for item in fleet if item.name == patient.visits[0].scanner)
    visit = plan_visits(patient.profile, visits=1, post_treatment=False)[0]
    edge = box_edge(visit.glioma.volume_ml)
    return _scan(patient.profile, visit, device, seed=seed, edge=edge, name="before treatment")


def other_outcome(patient: HabitatPatient, *, seed: int) -> Outcome:
    """Return another fate of the same patient with the same scans: chance alone differs.

    Args:
        patient: of `simulate_habitat_cohort`.
        seed: another number is another fate.

    Example:
        >>> patient = simulate_habitat_cohort(1, seed=1)[0]
        >>> other_outcome(patient, seed=1) == other_outcome(patient, seed=1)
        True
    """
    own = int(stream(patient.profile.seed, "fate", str(seed)).integers(2**31))
    return draw_outcome(dataclasses.replace(patient.profile, seed=own), patient.planned)


def _as_treated(profile: PatientProfile, planned: tuple[Visit, ...]) -> tuple[Visit, ...]:
    """Let radiated tissue differ between patients in ADC, and swell beside some recurrences."""
    random = stream(profile.seed, "habitat cohort", "treatment")
    adc = float(np.exp(_RADIATED_ADC * random.standard_normal()))
    mixed = random.random() < _MIXED_SHARE and any(v.course in RECURRENT for v in planned)
    first_ml = planned[0].glioma.volume_ml
    treated = []
    for visit in planned:
        late = visit.day / _MIXED_PEAK_D
        grown_ml = first_ml * float(np.expm1(_MIXED_RISE * late * np.exp(1 - late)))
        radiation = scaled_tissue(visit.tissues["radiation"], adc=adc)
        treated.append(
            dataclasses.replace(
                visit,
                glioma=_swollen(visit.glioma, grown_ml if mixed else 0.0),
                tissues=MappingProxyType({**visit.tissues, "radiation": radiation}),
            )
        )
    return tuple(treated)


def _swollen(glioma: Glioma, grown_ml: float) -> Glioma:
    """Add radiated tissue to a lesion; the volumes of its other parts stay."""
    whole = glioma.volume_ml + grown_ml
    kept = glioma.volume_ml / whole
    return dataclasses.replace(
        glioma,
        volume_ml=whole,
        necrosis=glioma.necrosis * kept,
        nonviable=glioma.nonviable * kept,
        hypervascular=glioma.hypervascular * kept,
        radiation=min((glioma.radiation * glioma.volume_ml + grown_ml) / whole, 1.0),
    )


def _scans(
    profile: PatientProfile, planned: tuple[Visit, ...], devices: list[Scanner], *, seed: int
) -> tuple[LesionVisit, ...]:
    """Scan a patient on every visit that took place."""
    edge = box_edge(max(visit.glioma.volume_ml for visit in planned))
    return tuple(
        _scan(profile, visit, device, seed=seed, edge=edge)
        for visit, device in zip(planned, devices, strict=True)
        if visit.attended
    )


def _scan(
    profile: PatientProfile,
    visit: Visit,
    device: Scanner,
    *,
    seed: int,
    edge: int,
    name: str = "",
) -> LesionVisit:
    truth = lay_lesion(visit.glioma, visit.tissues, seed=profile.seed, edge=edge)
    noise: MapNoise = noise_at(device.disturbances.snr)
    bias = np.exp(_SCANNER_BIAS * stream(seed, "trial", "bias", device.name).normal())
    values, std = measure_lesion(
        truth,
        white_cbv=visit.tissues["wm"].cbv / float(bias),
        noise=noise,
        seed=profile.seed,
        names=("lesion", "scan", name or str(visit.number)),
    )
    return LesionVisit(
        visit=visit,
        scanner=device.name,
        lesion=Mask(values=truth.inside, grid=truth.grid, name="lesion"),
        values=values,
        std=std,
        habitat=truth.habitat,
        volumes_ml=habitat_volumes_ml(visit.glioma),
    )

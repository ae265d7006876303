"""What a simulated trial asks for, who visits which scanner when, and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

from bolus import io
from bolus.core import SessionKey
from bolus.errors import Code, ConfigError
from bolus.io.dataset import raw_dataset_files
from bolus.io.tables import Cell
from bolus.simulate.course import Visit, plan_visits
from bolus.simulate.fleet import Scanner, choose_scanner, draw_scanners
from bolus.simulate.habitat_cohort import RECURRENT
from bolus.simulate.outcomes import draw_outcome
from bolus.simulate.profile import PatientProfile, draw_profile
from bolus.workflows.simulated_files import acquisition_time

_SOURCE = "https://www.mcgill.ca/bic/neuroinformatics/brain-atlases-human"
_LIMITS = (("patients", 9999), ("visits", 99), ("scanners", 99))
_KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """What to simulate; the same request gives the same bytes.

    `shape` is the matrix of the first scanner (x, y, slices). `post_treatment` begins after the
    operation. `rescan` scans every patient's first visit twice. Patient k does not depend on how
    many there are.

    Raises:
        ConfigError: a number that no trial can have.
    """

    patients: int
    visits: int
    scanners: int
    seed: int
    shape: tuple[int, int, int]
    post_treatment: bool
    dce: bool = True
    rescan: bool = False

    def __post_init__(self) -> None:
        for name, most in _LIMITS:
            if not 1 <= getattr(self, name) <= most:
                raise ConfigError(
                    Code.USAGE,
                    f"--{name} is {getattr(self, name)}, expected 1 to {most}",
                    mend="see bolus simulate --help",
                )
        if self.seed < 0:
            raise ConfigError(
                Code.USAGE, f"--seed is {self.seed}, expected 0 or more", mend="choose another"
            )

    def settings(self) -> dict[str, object]:
        """Return everything that decides what one patient is, as JSON has it."""
        values = asdict(self)
        values.pop("patients")
        return {**values, "shape": list(self.shape)}


def patient_visits(request: TrialRequest, number: int) -> tuple[PatientProfile, tuple[Visit, ...]]:
    """Return a patient and the visits planned for it.

    Args:
        request: the trial.
        number: of the patient, from 1.
    """
    profile = draw_profile(request.seed, number)
    visits = plan_visits(profile, visits=request.visits, post_treatment=request.post_treatment)
    return profile, visits


def visit_key(profile: PatientProfile, visit: Visit, *, scan: int) -> SessionKey:
    """Return subject and session, counted from 01; a second scan of a visit ends in "rescan"."""
    return SessionKey(profile.subject, f"{visit.number + 1:02d}{'rescan' if scan else ''}")


def visit_scanner(request: TrialRequest, number: int, visit: Visit) -> Scanner:
    """Return the scanner of a visit of a patient."""
    return choose_scanner(_fleet(request), seed=request.seed, patient=number, visit=visit.number)


@lru_cache(maxsize=_KEPT)
def _fleet(request: TrialRequest) -> tuple[Scanner, ...]:
    return draw_scanners(request.scanners, seed=request.seed, shape=request.shape)


def trial_files() -> dict[str, str]:
    """Return the files that describe the dataset and the truth in it: name -> text."""
    raw = raw_dataset_files(name="A simulated glioma trial", description=_README, source=_SOURCE)
    truth = io.derivative_files(name="The truth of a simulated glioma trial", source="../../")
    truth[".bidsignore"] += "visits.tsv\n"
    drawn = io.derivative_files(name="Tumours of a simulated glioma trial", source="../../")
    return {
        **raw,
        **{f"derivatives/segmentation/{name}": text for name, text in drawn.items()},
        **{f"derivatives/truth/{name}": text for name, text in truth.items()},
    }


def trial_tables(request: TrialRequest) -> dict[str, str]:
    """Return the tables of patients, visits, scanners and outcomes: name -> text."""
    patients = [(n, *patient_visits(request, n)) for n in range(1, request.patients + 1)]
    tables = {
        "participants.tsv": _table(_PARTICIPANT, [_participant(p) for _, p, _ in patients]),
        "participants.json": io.json_text(_PARTICIPANT_TEXTS),
        "outcomes.tsv": _table(_OUTCOME, [_outcome(p, v) for _, p, v in patients]),
        "scanners.tsv": _table(_SCANNER, [_scanner(s) for s in _fleet(request)]),
        "derivatives/truth/visits.tsv": _table(
            _VISIT, [row for n, p, v in patients for row in _visits(request, n, p, v)]
        ),
    }
    for number, profile, visits in patients:
        name = f"sub-{profile.subject}/sub-{profile.subject}_sessions"
        rows = _sessions(request, number, profile, visits)
        if rows:
            tables[f"{name}.tsv"] = _table(_SESSION, rows)
            tables[f"{name}.json"] = io.json_text(_SESSION_TEXTS)
    return tables


def session_scans(request: TrialRequest, place: int) -> tuple[int, ...]:
    """Return the scans of a visit: two of the first one where repeated scans are asked for.

    Args:
        request: the trial.
        place: of the visit among those planned, from 0.
    """
    return (0, 1) if request.rescan and place == 0 else (0,)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    return io.table_text(columns, rows)


_PARTICIPANT = (
    "participant_id", "age", "sex", "kps", "extent", "idh", "codeleted", "grade",
    "cdkn2a_deleted", "mgmt_methylated",
)  # fmt: skip


def _participant(profile: PatientProfile) -> tuple[Cell, ...]:
    gene = profile.genotype
    return (
        f"sub-{profile.subject}", profile.age_years, profile.sex, profile.kps, profile.extent,
        gene.idh, gene.codeleted, gene.grade, gene.cdkn2a_deleted, gene.mgmt_methylated,
    )  # fmt: skip


_YES_NO = {"true": "yes", "false": "no"}
_PARTICIPANT_TEXTS: Mapping[str, object] = {
    "age": {"Description": "age at the first scan", "Units": "year"},
    "sex": {"Description": "sex", "Levels": {"male": "male", "female": "female"}},
    "kps": {"Description": "Karnofsky performance score at the first scan"},
    "extent": {"Description": "extent of resection"},
    "idh": {"Description": "IDH genotype", "Levels": {"mutant": "mutant", "wildtype": "wild type"}},
    "codeleted": {"Description": "1p/19q codeletion", "Levels": _YES_NO},
    "grade": {"Description": "CNS WHO grade, 2021"},
    "cdkn2a_deleted": {"Description": "homozygous deletion of CDKN2A/B", "Levels": _YES_NO},
    "mgmt_methylated": {"Description": "methylation of the MGMT promoter", "Levels": _YES_NO},
}

_OUTCOME = (
    "participant_id", "progression_days", "progressed", "survival_days", "died", "recurrence",
)  # fmt: skip


def _outcome(profile: PatientProfile, visits: tuple[Visit, ...]) -> tuple[Cell, ...]:
    end = draw_outcome(profile, visits)
    return (
        f"sub-{profile.subject}", end.progression_days, end.progressed, end.survival_days,
        end.died, _recurrence(visits),
    )  # fmt: skip


def _recurrence(visits: tuple[Visit, ...]) -> bool | None:
    """Return what a second operation after the second visit would have found."""
    course = visits[1].course if len(visits) > 1 else ""
    return True if course in RECURRENT else False if course == "treatment effect" else None


_SCANNER = (
    "scanner", "vendor", "field_strength_t", "echo_time_s", "repetition_time_s",
    "flip_angle_deg", "frames", "preload_mmol_per_kg", "matrix", "voxel_mm", "gain", "snr",
    "distortion_mm", "dce_repetition_time_s", "dce_flip_angle_deg", "dce_frame_s", "dce_frames",
)  # fmt: skip


def _scanner(scanner: Scanner) -> tuple[Cell, ...]:
    dsc, dce = scanner.dsc, scanner.dce
    return (
        scanner.name, scanner.vendor, dsc.field_strength_t,
        " ".join(map(str, dsc.echo_times_s)), dsc.repetition_time_s, dsc.flip_angle_deg,
        dsc.frames, dsc.preload_mmol_per_kg, " ".join(map(str, dsc.shape)),
        " ".join(f"{v:.4g}" for v in dsc.voxel_mm), scanner.gain, scanner.disturbances.snr,
        scanner.distortion_mm, dce.repetition_time_s, dce.flip_angle_deg, dce.frame_s, dce.frames,
    )  # fmt: skip


_SESSION = ("session_id", "acq_time", "day", "scanner", "rescan")
_SESSION_TEXTS: Mapping[str, object] = {
    "day": {"Description": "days from the first visit", "Units": "day"},
    "scanner": {"Description": "name in scanners.tsv of the dataset"},
    "rescan": {"Description": "second scan of the same visit", "Levels": _YES_NO},
}


def _sessions(
    request: TrialRequest, number: int, profile: PatientProfile, visits: tuple[Visit, ...]
) -> list[tuple[Cell, ...]]:
    """Return the sessions that took place."""
    return [
        (
            f"ses-{visit_key(profile, visit, scan=scan).session}",
            acquisition_time(visit.day),
            visit.day,
            visit_scanner(request, number, visit).name,
            scan > 0,
        )
        for place, visit in enumerate(visits)
        if visit.attended
        for scan in session_scans(request, place)
    ]


_VISIT = ("participant_id", "session_id", "day", "attended", "course", "scanner")


def _visits(
    request: TrialRequest, number: int, profile: PatientProfile, visits: tuple[Visit, ...]
) -> list[tuple[Cell, ...]]:
    """Return all visits that were planned, and what they were in truth."""
    return [
        (
            f"sub-{profile.subject}", f"ses-{visit_key(profile, visit, scan=0).session}",
            visit.day, visit.attended, visit.course,
            visit_scanner(request, number, visit).name,
        )
        for visit in visits
    ]  # fmt: skip


_README = """\
Made by `bolus simulate`: no patient was scanned. Each session has DSC and DCE series in `perf`
(BIDS has no place for them yet, so `.bidsignore` names them), structural images and images at
several flip angles (VFA, native, for T1) in `anat`, and diffusion-weighted images in `dwi`. The
JSON files beside them hold the settings of each scan. Sessions named `rescan` repeat the one
before them without any change but position and noise.

`participants.tsv` has age, sex, performance score, extent of resection and genotype,
`sub-*_sessions.tsv` the day and scanner of each visit, `scanners.tsv` what the scanners do,
`outcomes.tsv` days to progression and death (censored where `progressed` or `died` is false) and
whether what grew at the second visit was recurrence (`false`: treatment effect).
Day 0 is the first of January 1900.

`derivatives/segmentation` has the parts of each tumour as a reader would draw them on the DSC
series; `bolus run` uses them.

`derivatives/truth` holds what was put in, on the grid of the DSC series (`space-dsc`) and of the
DCE series (`space-dce`), for the undistorted head in the first frame: parameter maps, tumour
parts, habitats, tissues, white matter, brain, arterial curves, head motion; `visits.tsv` says of
each visit whether it shows progression or treatment effect. `code/simulation.json` holds the
settings: the same ones give the same bytes.
"""

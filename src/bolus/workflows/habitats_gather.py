"""One row a patient, from what was followed and from the clinical tables of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bolus import io
from bolus.core import Provenance
from bolus.errors import Code, FileError, MetadataError
from bolus.habitats.cohort_table import (
    BloodMeasures,
    Followed,
    HabitatCohort,
    HabitatRow,
    clinical_numbers,
)
from bolus.io.access import file_digest, read_bytes
from bolus.io.maps import steps_of
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.sidecar import parse_object
from bolus.io.tables import MISSING, read_table
from bolus.io.visits import number_of, read_clinical
from bolus.workflows.habitat_steps import FOLDER, SUMMARY_NAME

OUTCOMES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "progression": (("progression_days", "pfs_days"), ("progressed",)),
    "death": (("survival_days", "overall_survival_days", "os_days"), ("died", "dead")),
}
"""What is awaited -> columns of days since the first visit, and of whether it came."""
_AGE = ("age", "age_years", "age_at_scan_years")
_KPS = ("kps",)
_MGMT = ("mgmt_methylated", "mgmt")
_EXTENT = ("extent", "extent_of_resection")
_RECURRENCE = ("recurrence",)
_EXTENTS: Mapping[str, str] = {
    "gross total": "gross total", "gtr": "gross total", "complete": "gross total",
    "subtotal": "subtotal", "str": "subtotal", "partial": "subtotal", "biopsy": "biopsy",
}  # fmt: skip
_YES = frozenset({"true", "yes", "1", "methylated", "positive", "recurrence"})
_NO = frozenset({"false", "no", "0", "unmethylated", "negative", "treatment effect"})
_SUMMARY_LIMIT_BYTES = 4 << 20
_SUMMARIES = f"sub-*/{FOLDER}/sub-*_{SUMMARY_NAME}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gathered:
    """The patients with habitats at two visits, and the model that found them.

    `noise_ml` is, by habitat, the median over patients of the change that noise alone makes.
    """

    cohort: HabitatCohort
    fitted_on: frozenset[str]
    model_digest: str
    simulated: bool
    history: Provenance
    noise_ml: Mapping[str, float]
    files: tuple[Path, ...]


def anybody_followed(out_dir: Path) -> bool:
    """Return whether `bolus habitats track` has left a result below a folder."""
    return any(out_dir.glob(_SUMMARIES))


def gather(bids_dir: Path, out_dir: Path, *, clinical: Path | None = None) -> Gathered:
    """Return one row for every patient whose habitats were followed.

    Args:
        bids_dir: the dataset, with outcomes and covariates in its tables.
        out_dir: where `bolus habitats track` has written.
        clinical: one more table, whose cells win.

    Raises:
        FileError: nobody was followed, a table cannot be read, or results were altered.
        MetadataError: tables contradict each other, or nobody has a row.
    """
    known, tables = read_clinical(bids_dir, clinical)
    folders = sorted(path.parent for path in out_dir.glob(_SUMMARIES))
    if not folders:
        there = out_dir.exists()
        raise FileError(
            Code.DATASET_INVALID if there else Code.FILE_MISSING,
            "holds no patient whose habitats were followed" if there else "does not exist",
            mend=f"run it first: bolus habitats track {bids_dir} {out_dir}",
            where=str(out_dir),
        )
    patients = [_Patient.read(folder) for folder in folders]
    _require_one_model(patients, out_dir)
    rows, left_out = [], []
    for patient in patients:
        clinic = known.get(patient.subject)
        if clinic is None:
            left_out.append((f"sub-{patient.subject}", "no row in the tables of patients"))
            continue
        try:
            rows.append(patient.row(clinic))
        except MetadataError as error:
            raise error.at(f"sub-{patient.subject}") from None
    return Gathered(
        cohort=HabitatCohort(tuple(rows), tuple(left_out)),
        fitted_on=patients[0].fitted_on,
        model_digest=patients[0].model,
        simulated=bool(patients[0].summary.get("ModelSimulated")),
        history=Provenance(steps=steps_of(patients[0].summary.get("ModelSteps"))),
        noise_ml=_noise(patients),
        files=(*tables, *(folder / RECEIPT_NAME for folder in folders)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patient:
    """The tables of one followed patient, as its receipt says they were written."""

    subject: str
    summary: Mapping[str, object]
    volumes: tuple[Mapping[str, str], ...]
    changes: tuple[Mapping[str, str], ...]
    lesions: tuple[Mapping[str, str], ...]

    @classmethod
    def read(cls, folder: Path) -> "_Patient":
        """Read the tables of a folder.

        Raises:
            FileError: one is missing or altered.
        """
        subject = folder.parent.name.removeprefix("sub-")
        outputs = io.read_receipt(folder / RECEIPT_NAME).outputs

        def path(name: str) -> Path:
            full = f"sub-{subject}_{name}"
            found = folder / full
            if not found.is_file() or file_digest(found) != outputs.get(full):
                raise FileError(
                    Code.RECEIPT_MISMATCH,
                    f"{full} is not as its receipt says",
                    mend="follow the patient again",
                    where=str(folder),
                )
            return found

        def rows(name: str) -> tuple[Mapping[str, str], ...]:
            columns, cells = read_table(path(f"{name}.tsv"))
            return tuple(dict(zip(columns, row, strict=True)) for row in cells)

        return cls(
            subject=subject,
            summary=parse_object(read_bytes(path(SUMMARY_NAME), limit=_SUMMARY_LIMIT_BYTES)),
            volumes=rows("volumes"),
            changes=rows("changes"),
            lesions=rows("lesions"),
        )

    @property
    def model(self) -> str:
        """Digest of the model."""
        return str(self.summary.get("Model", ""))

    @property
    def fitted_on(self) -> frozenset[str]:
        """Whom the model was fitted on."""
        listed = self.summary.get("FittedOn")
        return frozenset(map(str, listed if isinstance(listed, list) else ()))

    def row(self, clinic: Mapping[str, str]) -> HabitatRow:
        """Return the first two visits with what is known of the patient.

        Raises:
            MetadataError: a cell of the tables cannot be understood.
        """
        first, second = self.lesions[:2]
        lesion_ml = next(
            number_of(row["lesion_ml"]) for row in self.volumes if row["visit"] == first["visit"]
        )
        return HabitatRow(
            subject=self.subject,
            scanner="" if second["scanner"] == MISSING else second["scanner"],
            landmark_day=_number(second["day"]) - _number(first["day"]),
            before_ml=self._volumes(first["visit"]),
            after_ml=self._volumes(second["visit"]),
            blood_before=_blood(first),
            blood_after=_blood(second),
            clinical=clinical_numbers(
                lesion_ml=lesion_ml or 0.0,
                age_years=_cell_number(clinic, _AGE),
                kps=_cell_number(clinic, _KPS),
                mgmt_methylated=_truth(clinic, _MGMT),
                extent=_extent(clinic),
            ),
            outcomes=_outcomes(clinic),
            recurrence=_truth(clinic, _RECURRENCE),
        )

    def _volumes(self, visit: str) -> Mapping[str, float]:
        return {
            row["habitat"]: _number(row["volume_ml"])
            for row in self.volumes
            if row["visit"] == visit
        }

    def noise(self) -> Mapping[str, float]:
        """Return the noise limit [mL] of the first change of each habitat."""
        second = self.lesions[1]["visit"]
        return {
            row["habitat"]: _number(row["noise_ml"])
            for row in self.changes
            if row["after"] == second
        }


def _noise(patients: list[_Patient]) -> Mapping[str, float]:
    limits: dict[str, list[float]] = {}
    for patient in patients:
        for habitat, limit in patient.noise().items():
            limits.setdefault(habitat, []).append(limit)
    return {habitat: median(found) for habitat, found in limits.items()}


def _require_one_model(patients: list[_Patient], where: Path) -> None:
    first = patients[0]
    other = next((p for p in patients if p.model != first.model), None)
    if other is not None:
        raise FileError(
            Code.MODEL_INVALID,
            f"sub-{first.subject} and sub-{other.subject} were followed with different models",
            mend="follow all patients with one model: bolus habitats track ... --model",
            where=str(where),
        )


def _blood(row: Mapping[str, str]) -> BloodMeasures:
    return BloodMeasures(
        mean=_number(row["ncbv_mean"]),
        p95=_number(row["ncbv_p95"]),
        burden=_number(row["burden"]),
        low_burden=_number(row["low_burden"]),
    )


def _number(cell: str) -> float:
    value = number_of(cell)
    return float("nan") if value is None else value


def _first(clinic: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first of some columns that has a cell, and the cell; ("", "") if none has."""
    return next(((name, clinic[name]) for name in names if clinic.get(name)), ("", ""))


def _cell_number(clinic: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    name, cell = _first(clinic, names)
    value = number_of(cell)
    if name and value is None:
        raise _wrong(name, cell, "a number")
    return value


def _truth(clinic: Mapping[str, str], names: tuple[str, ...]) -> bool | None:
    name, cell = _first(clinic, names)
    text = cell.strip().lower()
    if not name or text in ("indeterminate", "unknown"):
        return None
    if text not in _YES | _NO:
        raise _wrong(name, cell, "true or false")
    return text in _YES


def _extent(clinic: Mapping[str, str]) -> str | None:
    name, cell = _first(clinic, _EXTENT)
    if name and cell.strip().lower() not in _EXTENTS:
        raise _wrong(name, cell, "gross total, subtotal or biopsy")
    return _EXTENTS[cell.strip().lower()] if name else None


def _outcomes(clinic: Mapping[str, str]) -> Mapping[str, Followed]:
    found = {}
    for outcome, (days, events) in OUTCOMES.items():
        day, event = _cell_number(clinic, days), _truth(clinic, events)
        if day is not None and event is not None:
            found[outcome] = Followed(days=day, event=event)
    return found


def _wrong(name: str, cell: str, expected: str) -> MetadataError:
    return MetadataError(
        Code.METADATA_IMPLAUSIBLE,
        f"{name} is '{cell[:40]}', expected {expected}",
        mend="correct the table; write n/a for what is not known",
    )

"""A folder of DICOM files to sessions of a BIDS-like dataset, without what tells who it is of."""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from bolus import __version__, io
from bolus.core import Acquisition, SessionKey
from bolus.errors import BolusError, Code, ConfigError, FileError
from bolus.io.access import named
from bolus.io.dataset import RawImage, raw_dataset_files, raw_manifest, write_raw_image
from bolus.io.derivatives import BIDS_VERSION
from bolus.io.dicom_fallback import convert_with_dcm2niix
from bolus.io.dicom_scan import DicomFolder, HeaderChild, scan_dicom
from bolus.io.dicom_series import (
    DicomSeries,
    acquisition_of,
    list_series,
    merged,
    read_image_of,
)
from bolus.io.dicom_volume import DicomVolume
from bolus.workflows.import_answers import ImportAnswers
from bolus.workflows.import_plan import (
    STUDY,
    PlannedImage,
    PlannedSession,
    plan_sessions,
    with_choices,
)
from bolus.workflows.import_sidecar import sidecar_of
from bolus.workflows.progress import Progress, silent

_ASKED = (
    "contrast_agent", "contrast_dose_mmol_per_kg", "preload_dose_mmol_per_kg",
    "injection_rate_ml_per_s", "field_strength_t",
)  # fmt: skip
_DYNAMIC = ("dsc", "dce")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import, and how.

    `key_file` receives who is behind which label; it may not lie inside the dataset.
    """

    source: Path
    dataset: Path
    answers: ImportAnswers = field(default_factory=ImportAnswers)
    key_file: Path | None = None
    with_dcm2niix: bool = False
    show_names: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedImage:
    """One file that was written: what it is, and what is known of it."""

    series: int
    name: str
    acquisition: Acquisition
    not_stated: tuple[str, ...]
    shape: tuple[int, ...]
    timing: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome:
    """Everything `bolus import` tells; nothing of it is taken from free text of a header.

    `series` are number, kind and reason; `sessions` whether each was there before.
    """

    dataset: Path
    series: tuple[tuple[int, str, str], ...]
    sessions: Mapping[SessionKey, bool]
    images: tuple[ImportedImage, ...]
    removed: Mapping[str, int]
    others: Mapping[str, int]
    foreign: int
    links: int
    dry_run: bool


def import_dicom(request: ImportRequest, *, progress: Progress = silent) -> ImportOutcome:
    """Import DICOM files into a dataset: all of them, or nothing.

    Args:
        request: what to import.
        progress: told about files and images.

    Raises:
        FileError: a series that is not left out cannot be read as a whole, or the dataset holds
            something else.
        ConfigError: an answer does not fit.
        ResourceError: the disk is full, or may not be written.
    """
    _require_places(request)
    folder = scan_dicom(
        request.source,
        show_names=request.show_names,
        progress=lambda done, total: progress("Headers", done, total),
    )
    listed = with_choices(list_series(folder), request.answers.series)
    sessions = plan_sessions(listed, request.answers, request.dataset)
    digest = _digest(request, listed)
    done = {s.key: _is_there(request.dataset, s, digest) for s in sessions}
    images: list[ImportedImage] = []
    if not request.dry_run:
        fresh = [session for session in sessions if not done[session.key]]
        _require_free(request.dataset, fresh)
        images = _write(request, fresh, digest, progress)
        _write_dataset_files(request.dataset, sessions, folder)
        if request.key_file is not None:
            _write_key(request.key_file, sessions)
    return ImportOutcome(
        dataset=request.dataset,
        series=tuple((s.number, s.kind, s.reason) for s in listed),
        sessions=done,
        images=tuple(images),
        removed=folder.removed,
        others=folder.others,
        foreign=folder.foreign,
        links=folder.links,
        dry_run=request.dry_run,
    )


def _require_places(request: ImportRequest) -> None:
    """Raise before any reading where the result could not be put."""
    dataset = request.dataset.resolve()
    if request.key_file is not None and request.key_file.resolve().is_relative_to(dataset):
        raise ConfigError(
            Code.USAGE,
            "--key-file lies inside the dataset, which would be given away with it",
            mend="name a place outside, that only you can read",
        )
    require_dataset_place(request.dataset)


def require_dataset_place(folder: Path) -> None:
    """Raise unless a dataset can be written there: nothing, an empty folder, or a dataset.

    Raises:
        FileError: a file, or a folder with something else in it.
    """
    with named(folder):
        if not folder.exists():
            return
        if not folder.is_dir():
            raise FileError(
                Code.PATH_KIND, "is a file where a folder is needed", mend="name another folder"
            )
        entries = [p.name for p in folder.iterdir() if not p.name.startswith(".bolus-")]
        if entries and "dataset_description.json" not in entries:
            raise FileError(
                Code.OUTPUT_OCCUPIED,
                f"holds {len(entries)} entries and no dataset_description.json",
                mend="name an empty folder, or a dataset",
            )


def _digest(request: ImportRequest, listed: Sequence[DicomSeries]) -> str:
    """Return a digest of everything that decides what is written, but the labels."""
    answers = request.answers
    said = {
        f.name: getattr(answers, f.name)
        for f in fields(answers)
        if f.name not in ("subject", "session", "series")
    }
    kinds = sorted((s.uid, s.kind) for s in listed)
    text = json.dumps([said, kinds, request.with_dcm2niix], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_there(dataset: Path, session: PlannedSession, digest: str) -> bool:
    return io.is_complete(
        dataset / session.key.folder, inputs=session.inputs, config_digest=digest,
        version=__version__,
    )  # fmt: skip


def _require_free(dataset: Path, sessions: Sequence[PlannedSession]) -> None:
    """Raise where writing a session would lose something.

    An earlier import of the same study is replaced if all its series are imported again.

    Raises:
        FileError: the folder holds another scan, or other series of this one.
    """
    for session in sessions:
        folder = dataset / session.key.folder
        if not folder.exists():
            continue
        receipt = folder / "receipt.json"
        held = io.read_receipt(receipt).inputs if receipt.is_file() else {}
        if held.get(STUDY) != session.inputs[STUDY]:
            raise FileError(
                Code.OUTPUT_OCCUPIED,
                f"{session.key.prefix} holds another scan",
                mend="give another --subject or --session",
                where=str(dataset),
            )
        if not set(held.values()) <= set(session.inputs.values()):
            raise FileError(
                Code.OUTPUT_OCCUPIED,
                f"{session.key.prefix} holds series of this study that are not imported now",
                mend="import all series of the study together, or move that folder away",
                where=str(dataset),
            )


def _write(
    request: ImportRequest,
    sessions: Sequence[PlannedSession],
    digest: str,
    progress: Progress,
) -> list[ImportedImage]:
    """Write every session under a hidden name; all appear together, after the last was read."""
    images: list[ImportedImage] = []
    total = sum(len(session.images) for session in sessions)
    with contextlib.ExitStack() as stack, HeaderChild() as child:
        for session in sessions:
            output = stack.enter_context(
                io.open_output(
                    request.dataset / session.key.folder,
                    inputs=session.inputs,
                    config_digest=digest,
                    version=__version__,
                )
            )
            output.expect(raw_manifest(session.key, [(i.folder, i.ending) for i in session.images]))
            for planned in session.images:
                progress("Images", len(images), total)
                images.append(_write_image(request, output, session.key, planned, child))
        progress("Images", total, total)
    return images


def _write_image(
    request: ImportRequest,
    output: io.OutputFolder,
    key: SessionKey,
    planned: PlannedImage,
    child: HeaderChild,
) -> ImportedImage:
    series = planned.series
    volume = _read(request, planned, child)
    single = volume.values.shape[3] == 1
    if series.kind in _DYNAMIC and single:
        raise FileError(
            Code.NOT_A_SERIES,
            f"is one volume, and is to be {series.kind}",
            mend=f"leave it out with --series {series.number}=skip",
            where=series.label,
        )
    found, notes = acquisition_of(series, planned.frames, volume)
    dynamic = series.kind in _DYNAMIC
    acquisition = merged(found, request.answers.acquisition()) if dynamic else found
    sidecar = sidecar_of(series, planned.frames, volume, acquisition)
    if dynamic and request.answers.haematocrit is not None:
        sidecar["Hematocrit"] = request.answers.haematocrit
    name = write_raw_image(
        output, key,
        RawImage(
            folder=planned.folder, ending=planned.ending,
            values=volume.values[..., 0] if single else volume.values,
            grid=volume.grid, sidecar=sidecar,
            frame_step_s=volume.times.step_s if volume.times else None,
        ),
    )  # fmt: skip
    return ImportedImage(
        series=series.number,
        name=f"{key.folder}/{name}",
        acquisition=acquisition,
        not_stated=tuple(n for n in _ASKED if dynamic and getattr(acquisition, n) is None),
        shape=volume.values.shape,
        timing=_timing(volume),
        notes=(*volume.notes, *notes),
    )


def _read(request: ImportRequest, planned: PlannedImage, child: HeaderChild) -> DicomVolume:
    try:
        return read_image_of(planned.series, planned.frames, child)
    except BolusError as error:
        if not (request.with_dcm2niix and error.code is Code.DICOM_UNSUPPORTED):
            raise
    return convert_with_dcm2niix(planned.series.files, planned.series.label)


def _timing(volume: DicomVolume) -> str:
    times = volume.times
    if times is None:
        return "one volume"
    frames = f"{len(times.seconds)} frames"
    if times.step_s is not None:
        return f"{frames}, {times.step_s:g} s apart (from {times.source})"
    return f"{frames} at irregular times over {times.seconds[-1]:.4g} s (from {times.source})"


def _write_dataset_files(
    dataset: Path, sessions: Sequence[PlannedSession], folder: DicomFolder
) -> None:
    """Write what makes the folder a dataset; what is there is kept, participants are added."""
    ours = raw_dataset_files(name="Imported scans", description=_README, source="")
    ours["dataset_description.json"] = io.json_text(
        {
            "Name": "Imported scans",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "raw",
            "GeneratedBy": [{"Name": "bolus", "Version": __version__}],
        }
    )
    for name, text in ours.items():
        if not (dataset / name).exists():
            io.write_atomically(dataset / name, text.encode())
    io.write_atomically(
        dataset / "participants.tsv",
        _participants(dataset / "participants.tsv", {s.key.subject for s in sessions}).encode(),
    )
    report = io.json_text({"Removed": dict(folder.removed), "Version": __version__})
    for session in sessions:
        io.write_atomically(dataset / "code" / f"import_{session.key.prefix}.json", report.encode())


def _participants(path: Path, subjects: set[str]) -> str:
    """Return the table of participants with new rows; other columns of these are n/a."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else ["participant_id"]
    width = len(lines[0].split("\t"))
    known = {line.split("\t")[0] for line in lines[1:]}
    fresh = sorted({f"sub-{subject}" for subject in subjects} - known)
    return (
        "\n".join([*lines, *("\t".join([name, *["n/a"] * (width - 1)]) for name in fresh)]) + "\n"
    )


def _write_key(path: Path, sessions: Sequence[PlannedSession]) -> None:
    """Write who is behind which label, readable for this user alone."""
    rows = []
    for session in sessions:
        whose, key = session.images[0].series.files[0].whose, session.key
        rows.append(
            (
                f"sub-{key.subject}",
                f"ses-{key.session}",
                whose["identifier"],
                whose["name"],
                session.study,
                session.date[:8],
            )
        )
    header = ("participant_id", "session_id", "PatientID", "PatientName", "StudyInstanceUID",
              "StudyDate")  # fmt: skip
    io.write_atomically(path, io.table_text(header, rows).encode())
    with named(path):
        path.chmod(0o600)


_README = """\
Imported from DICOM. Names, identifiers, dates, free text and private tags were left behind; their
names and counts are in `code/`. Labels count patients and their studies by date.
"""

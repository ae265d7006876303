"""A public dataset as it was downloaded, to a BIDS-like dataset that `bolus run` reads."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from bolus import __version__, io
from bolus.core import Acquisition, SessionKey
from bolus.errors import Code, ConfigError, FileError
from bolus.io.dataset import raw_dataset_files
from bolus.io.datasets import (
    PUBLISHED,
    SEGMENTATION,
    STUDY,
    DatasetImage,
    FoundDataset,
    Layout,
    detect_layout,
    layout_named,
    read_layout,
)
from bolus.io.datasets_layouts import LAYOUTS
from bolus.io.datasets_write import ImageWriter, tree_folder
from bolus.io.derivatives import BIDS_VERSION
from bolus.io.dicom_series import merged
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.tables import read_table
from bolus.workflows.dicom_input import input_entry
from bolus.workflows.import_answers import ImportAnswers
from bolus.workflows.import_dicom import ImportRequest, import_dicom, require_dataset_place
from bolus.workflows.progress import Progress, silent

_ORIGIN = "dataset-session"
"""Name of the session's digest among the inputs of a folder."""
_NEEDED = {
    "contrast_agent": "contrast agent (--contrast-agent)",
    "contrast_dose_mmol_per_kg": "dose (--dose)",
    "preload_dose_mmol_per_kg": "preload dose (--preload-dose)",
    "injection_rate_ml_per_s": "injection rate (--injection-rate)",
    "field_strength_t": "field (--field-strength)",
}
_NEVER_STATED = "echo time (echo_time_s in [acquisition] of the settings of bolus run)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """What to import, and how: `link` makes hard links instead of copies."""

    source: Path
    dataset: Path
    layout: Layout
    answers: ImportAnswers = field(default_factory=ImportAnswers)
    link: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetOutcome:
    """Everything that is told: sessions (whether each was there before), files, what was left."""

    dataset: Path
    layout: Layout
    sessions: Mapping[SessionKey, bool]
    images: tuple[str, ...]
    left: Mapping[str, int]
    notes: tuple[str, ...]
    not_stated: tuple[str, ...]
    dry_run: bool


def find_layout(source: Path, name: str | None) -> Layout | None:
    """Return how a folder is laid out: as named, else the only layout that fits; None for DICOM.

    Args:
        source: the folder; a file is DICOM.
        name: from the user; "dicom" for none of them.

    Raises:
        ConfigError: no layout has this name.
    """
    if name is not None:
        return None if name.lower() == "dicom" else layout_named(name, LAYOUTS)
    return detect_layout(source, LAYOUTS) if source.is_dir() else None


def import_dataset(request: DatasetRequest, *, progress: Progress = silent) -> DatasetOutcome:
    """Import a public dataset, session by session; each appears as a whole or not at all.

    Args:
        request: what to import.
        progress: told about sessions.

    Raises:
        FileError: no such dataset, or the place holds something else.
        ConfigError: an answer does not fit.
        ResourceError: the disk is full, may not be written, or cannot be linked to.
    """
    require_dataset_place(request.dataset)
    _require_answers(request)
    found = read_layout(request.source, request.layout)
    names: list[str] = []
    notes = list(found.notes)
    done = dict.fromkeys(found.sessions, False)
    if not request.dry_run:
        _require_free(request.dataset, found)
        _write_dataset_files(request.dataset, request.layout)
        for place, (key, images) in enumerate(found.sessions.items()):
            progress("Sessions", place, len(found.sessions))
            done[key] = _write_session(request, images, names, notes)
        progress("Sessions", len(found.sessions), len(found.sessions))
        _write_tables(request.dataset, found)
    has_dsc = any(image.place.ending == "dsc" for i in found.sessions.values() for image in i)
    return DatasetOutcome(
        dataset=request.dataset,
        layout=request.layout,
        sessions=done,
        images=tuple(names),
        left=found.left,
        notes=tuple(notes),
        not_stated=_not_stated(request.answers) if has_dsc else (),
        dry_run=request.dry_run,
    )


def _require_answers(request: DatasetRequest) -> None:
    answers = request.answers
    if answers.subject or answers.session or answers.series:
        raise ConfigError(
            Code.USAGE,
            f"--subject, --session and --series do not go with {request.layout.name}",
            mend="leave them out: a public dataset keeps its own labels",
        )
    if request.dataset.resolve().is_relative_to(request.source.resolve()):
        raise ConfigError(
            Code.USAGE,
            "the dataset to write lies inside the one that is read, which is never changed",
            mend="name another folder",
        )


def _not_stated(answers: ImportAnswers) -> tuple[str, ...]:
    lacking = [text for name, text in _NEEDED.items() if getattr(answers, name) is None]
    return (_NEVER_STATED, *lacking)


def _origin(image: DatasetImage, layout: Layout) -> str:
    text = f"{layout.name} {image.subject_id} {image.session_id}"
    return hashlib.sha256(text.encode()).hexdigest()


def _require_free(dataset: Path, found: FoundDataset) -> None:
    """Raise where writing would replace a scan of something else."""
    for images in found.sessions.values():
        for image in images:
            folder = dataset / tree_folder(image)
            if image.place.tree == STUDY or not folder.exists():
                continue
            receipt = folder / RECEIPT_NAME
            held = io.read_receipt(receipt).inputs if receipt.is_file() else {}
            if held.get(_ORIGIN) != _origin(image, found.layout):
                raise FileError(
                    Code.OUTPUT_OCCUPIED,
                    f"{image.key.prefix} holds another scan",
                    mend="name another dataset to write",
                    where=str(dataset),
                )


def _write_session(
    request: DatasetRequest, images: Sequence[DatasetImage], names: list[str], notes: list[str]
) -> bool:
    """Write the trees of a session together; return whether all were there before."""
    trees: dict[str, list[DatasetImage]] = {}
    for image in images:
        if image.place.tree == STUDY:
            return _write_study(request, image, names)
        trees.setdefault(tree_folder(image), []).append(image)
    writer = ImageWriter(
        layout=request.layout,
        acquisition=merged(Acquisition(), request.answers.acquisition()),
        haematocrit=request.answers.haematocrit,
        link=request.link,
    )
    complete, settings = True, _settings(request)
    with contextlib.ExitStack() as stack:
        for folder, members in trees.items():
            place, inputs = request.dataset / folder, _inputs(request, members)
            if io.is_complete(place, inputs=inputs, config_digest=settings, version=__version__):
                continue
            complete = False
            output = stack.enter_context(
                io.open_output(place, inputs=inputs, config_digest=settings, version=__version__)
            )
            for image in members:
                output.expect(writer.manifest(image))
                name, note = writer.write(output, image, beside=images)
                output.expect(io.Manifest(must=[name] if name else []))
                names += [f"{folder}/{name}"] if name else []
                notes += [note] if note else []
    return complete


def _inputs(request: DatasetRequest, images: Iterable[DatasetImage]) -> dict[str, str]:
    inputs = {}
    for image in images:
        inputs[_ORIGIN] = _origin(image, request.layout)
        inputs[image.source.name] = input_entry(image.source)[1]
    return inputs


def _settings(request: DatasetRequest) -> str:
    answers = {f.name: getattr(request.answers, f.name) for f in fields(request.answers)
               if f.name != "series"}  # fmt: skip
    text = json.dumps([request.layout.name, answers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write_study(request: DatasetRequest, image: DatasetImage, names: list[str]) -> bool:
    """Import one study of DICOM series under the dataset's own labels."""
    outcome = import_dicom(
        ImportRequest(
            source=image.source,
            dataset=request.dataset,
            answers=replace(request.answers, subject=image.key.subject, session=image.key.session),
        )
    )
    names += [written.name for written in outcome.images]
    return all(outcome.sessions.values())


def _write_dataset_files(dataset: Path, layout: Layout) -> None:
    """Write what makes the folders datasets; what is there is kept."""
    origin = f"https://doi.org/{layout.doi}"
    texts = raw_dataset_files(name=layout.title, description=_README.format(origin), source=origin)
    texts["dataset_description.json"] = _description(layout.title, "raw", origin)
    trees = {place.tree for place in layout.places.values()} & {SEGMENTATION, PUBLISHED}
    for tree in sorted(trees):
        start, name = f"derivatives/{tree}", f"{layout.title}: {_TREES[tree]}"
        texts[f"{start}/dataset_description.json"] = _description(name, "derivative", origin)
        texts[f"{start}/README.md"] = f"# {name}\n\nAs published: {origin}\n"
        texts[f"{start}/.bidsignore"] = _IGNORED
    for name, text in texts.items():
        if not (dataset / name).exists():
            io.write_atomically(dataset / name, text.encode())


def _description(name: str, kind: str, origin: str) -> str:
    return io.json_text(
        {
            "Name": name,
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": kind,
            "License": f"that of the dataset it was imported from, {origin}",
            "HowToAcknowledge": f"Cite {origin}",
            "SourceDatasets": [{"URL": origin}],
            "GeneratedBy": [{"Name": "bolus", "Version": __version__}],
        }
    )


def _write_tables(dataset: Path, found: FoundDataset) -> None:
    """Add the subjects and sessions, with what the clinical table says of each."""
    people: dict[str, dict[str, str]] = {}
    visits: dict[str, dict[str, dict[str, str]]] = {}
    for key, images in found.sessions.items():
        row = _clinical_row(found, images[0])
        shape = found.clinical.shape if found.clinical else None
        person = people.setdefault(f"sub-{key.subject}", {"source_id": images[0].subject_id})
        for column in shape.subject.values() if shape else ():
            person[column] = person.get(column) or row.get(column, "")
        visit = {"source_id": images[0].session_id}
        visit |= {c: row.get(c, "") for c in (shape.session.values() if shape else ())}
        visits.setdefault(f"sub-{key.subject}", {})[f"ses-{key.session}"] = visit
    _add_rows(dataset / "participants.tsv", "participant_id", people)
    for subject, rows in visits.items():
        _add_rows(dataset / subject / f"{subject}_sessions.tsv", "session_id", rows)


def _clinical_row(found: FoundDataset, image: DatasetImage) -> Mapping[str, str]:
    if found.clinical is None:
        return {}
    identifier = image.subject_id
    if found.clinical.shape.of_visits and image.session_id != found.layout.baseline:
        identifier = f"{image.subject_id}_{image.session_id}"
    return found.clinical.row(identifier, digits=found.layout.subject_digits)


def _add_rows(path: Path, first: str, rows: Mapping[str, Mapping[str, str]]) -> None:
    """Write a table with the rows that are there and these, which win."""
    columns, held = read_table(path) if path.exists() else ([first], [])
    table = {row[0]: dict(zip(columns[1:], row[1:], strict=True)) for row in held}
    for name, values in rows.items():
        table[name] = {**table.get(name, {}), **values}
    every = list(dict.fromkeys([*columns[1:], *(c for values in rows.values() for c in values)]))
    lines = [[name, *(values.get(c) or "n/a" for c in every)] for name, values in table.items()]
    io.write_atomically(path, io.table_text([first, *every], sorted(lines)).encode())


_TREES = {SEGMENTATION: "tumour labels", PUBLISHED: "published maps"}
_README = """\
Imported by bolus from {0}. Files of images are unchanged; only their names and places are new.
Labels are those of the dataset without dashes and underscores; `source_id` has them as published.
Cite the dataset and keep to its licence.
"""
_IGNORED = """\
**/perf/
**/anat/
**/dwi/
receipt.json
**/receipt.json
.bolus-*
**/.bolus-*
"""

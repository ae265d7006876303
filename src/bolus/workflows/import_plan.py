"""Which DICOM series become which files of a dataset, under labels that tell nobody's name."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bolus.core import SessionKey
from bolus.errors import Code, ConfigError, FileError
from bolus.io.access import named
from bolus.io.dicom_frames import DicomFrame
from bolus.io.dicom_series import DicomSeries
from bolus.io.receipt import RECEIPT_NAME, read_receipt
from bolus.workflows.import_answers import ImportAnswers

_PLACES: Mapping[str, tuple[str, str, str]] = {
    "dsc": ("perf", "", "dsc"),
    "dce": ("perf", "", "dce"),
    "vfa": ("anat", "", "VFA"),
    "T1w": ("anat", "", "T1w"),
    "T1ce": ("anat", "ce-gadolinium_", "T1w"),
    "T2w": ("anat", "", "T2w"),
    "FLAIR": ("anat", "", "FLAIR"),
}
"""Kind -> folder, what comes before the run, and the suffix."""
STUDY = "dicom-study"
"""Name of the study's digest among the inputs of a session."""
_TOGETHER_S = 1.0
_NUMBERED = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedImage:
    """One image to write: `folder/PREFIX_ending` of its session."""

    series: DicomSeries
    frames: tuple[DicomFrame, ...]
    folder: str
    ending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSession:
    """One study of one patient, under its labels.

    `inputs` are digests of the identifiers of what it is made from: no renaming of files and no
    instance number changes them.
    """

    key: SessionKey
    images: tuple[PlannedImage, ...]
    inputs: Mapping[str, str]
    patient: str
    date: str
    study: str


def with_choices(
    listed: Sequence[DicomSeries], choices: Mapping[str, str]
) -> tuple[DicomSeries, ...]:
    """Return the series with the kinds that the user says.

    Raises:
        ConfigError: no series has that number or UID.
    """
    known = {str(s.number) for s in listed} | {s.uid for s in listed}
    for name in choices:
        if name not in known:
            raise ConfigError(
                Code.USAGE,
                f"there is no series {name[:64]!r}; they are numbered 1 to {len(listed)}",
                mend="look at the list of `bolus import --dry-run`",
            )
    return tuple(
        series.chosen(choices.get(series.uid, choices.get(str(series.number), "")))
        if series.uid in choices or str(series.number) in choices
        else series
        for series in listed
    )


def plan_sessions(
    listed: Sequence[DicomSeries], answers: ImportAnswers, dataset: Path
) -> tuple[PlannedSession, ...]:
    """Return the sessions to write, with labels.

    Labels count up: `sub-001`, and `ses-01` by study date. A scan that the dataset already holds
    keeps its labels.

    Args:
        listed: series with their kinds.
        answers: may hold labels.
        dataset: may hold earlier imports.

    Raises:
        FileError: nothing is to be written, or a label is no label.
        ConfigError: one label is given for several patients or studies.
    """
    studies: dict[tuple[str, str], list[DicomSeries]] = {}
    for series in listed:
        if series.kind in _PLACES:
            studies.setdefault((series.patient, series.study), []).append(series)
    if not studies:
        seen = "; ".join(f"{s.number} {s.kind}: {s.reason}" for s in listed[:8])
        raise FileError(
            Code.DICOM_NOTHING,
            f"none of {len(listed)} series can be used ({seen})",
            mend="say what a series is with --series NUMBER=KIND",
        )
    patients = list(dict.fromkeys(patient for patient, _ in studies))
    _require_single(answers.subject, "subject", len(patients), "patients")
    _require_single(answers.session, "session", len(studies), "studies")
    held = _held(dataset)
    planned: list[PlannedSession] = []
    for patient in patients:
        own = sorted(
            (members for (whose, _), members in studies.items() if whose == patient),
            key=lambda members: (min(s.date for s in members), members[0].study),
        )
        inputs = [_inputs(members) for members in own]
        taken = [*held.values(), *(p.key for p in planned)]
        found = [held.get(_mark(each)) for each in inputs]
        known = next((key for key in found if key), None)
        subject = answers.subject or (known.subject if known else _free_subject(taken))
        for members, each, before in zip(own, inputs, found, strict=True):
            key = before if before is not None and before.subject == subject else None
            if key is None or (answers.session and key.session != answers.session):
                busy = {k.session for k in taken if k.subject == subject}
                key = SessionKey(subject, answers.session or _free(busy, 2))
            taken.append(key)
            planned.append(_session(key, members, each))
    return tuple(planned)


def _require_single(label: str | None, name: str, count: int, what: str) -> None:
    if label is not None and count > 1:
        raise ConfigError(
            Code.USAGE,
            f"--{name} is given for {count} {what}",
            mend=f"import them one by one, or leave --{name} out",
        )


def _held(dataset: Path) -> dict[str, SessionKey]:
    """Return what the dataset holds: mark of the study -> session.

    A session that was not imported is there under its path, so that its labels are taken.
    """
    found = {}
    with named(dataset):
        folders = sorted(p for p in dataset.glob("sub-*/ses-*") if p.is_dir())
    for folder in folders:
        subject = folder.parent.name.removeprefix("sub-")
        try:
            key = SessionKey(subject, folder.name.removeprefix("ses-"))
            receipt = folder / RECEIPT_NAME
            mark = _mark(read_receipt(receipt).inputs) if receipt.is_file() else ""
        except FileError:
            continue
        found[mark or str(folder)] = key
    return found


def _mark(inputs: Mapping[str, str]) -> str:
    return inputs.get(STUDY, "")


def _free_subject(taken: Sequence[SessionKey]) -> str:
    return _free({key.subject for key in taken}, 3)


def _free(taken: set[str], width: int) -> str:
    numbers = [int(label) for label in taken if _NUMBERED.fullmatch(label)]
    return f"{max(numbers, default=0) + 1:0{width}d}"


def _inputs(members: Sequence[DicomSeries]) -> dict[str, str]:
    """Return a digest of the identifiers of the study and of each series."""
    digests = sorted(
        hashlib.sha256(
            "\n".join([s.uid, *sorted({f.whose["instance"] for f in s.files})]).encode()
        ).hexdigest()
        for s in members
    )
    study = hashlib.sha256(f"study {members[0].study}".encode()).hexdigest()
    return {STUDY: study} | {
        f"dicom-series-{place}": digest for place, digest in enumerate(digests, start=1)
    }


def _session(
    key: SessionKey, members: Sequence[DicomSeries], inputs: Mapping[str, str]
) -> PlannedSession:
    images: list[PlannedImage] = []
    for kind in _PLACES:
        own = [series for series in members if series.kind == kind]
        images += _flip_angles(own) if kind == "vfa" else _runs(own, kind)
    return PlannedSession(
        key=key, images=tuple(images), inputs=inputs, patient=members[0].patient,
        date=members[0].date, study=members[0].study,
    )  # fmt: skip


def _runs(series: Sequence[DicomSeries], kind: str) -> list[PlannedImage]:
    """Return images in order of the series; echoes that were taken together are one run."""
    folder, before, suffix = _PLACES[kind]
    runs: list[list[tuple[DicomSeries, tuple[DicomFrame, ...]]]] = []
    for one in series:
        images = [(one, image) for image in one.images]
        if runs and suffix == "dsc" and len(images) == 1 and _together(runs[-1][0], images[0]):
            runs[-1] += images
        else:
            runs.append(images)
    planned = []
    for number, run in enumerate(runs, start=1):
        counted = f"run-{number}_" if len(runs) > 1 else ""
        run.sort(key=lambda pair: pair[1][0].facts["echo_ms"] or 0.0)
        for place, (one, frames) in enumerate(run, start=1):
            echo = f"echo-{place}_" if len(run) > 1 else ""
            ending = f"{before}{counted}{echo}{suffix}"
            planned.append(PlannedImage(series=one, frames=frames, folder=folder, ending=ending))
    return planned


def _together(
    first: tuple[DicomSeries, tuple[DicomFrame, ...]],
    second: tuple[DicomSeries, tuple[DicomFrame, ...]],
) -> bool:
    """Return whether two images are echoes of one acquisition: same times, another echo."""
    one, other = first[1], second[1]
    if len(one) != len(other) or one[0].facts["echo_ms"] == other[0].facts["echo_ms"]:
        return False
    for name in ("AcquisitionTime", "FrameAcquisitionDateTime"):
        began = [
            min(frame.facts["witness"].get(name, float("inf")) for frame in image)
            for image in (one, other)
        ]
        if max(began) < float("inf"):
            return bool(abs(began[0] - began[1]) < _TOGETHER_S)
    return False


def _flip_angles(series: Sequence[DicomSeries]) -> list[PlannedImage]:
    """Return images by flip angle; an angle that was taken twice is two runs."""
    pairs = sorted(
        ((one, image) for one in series for image in one.images),
        key=lambda pair: (pair[1][0].facts["flip_deg"] or 0.0, pair[0].number),
    )
    angles = sorted({image[0].facts["flip_deg"] or 0.0 for _, image in pairs})
    folder, before, suffix = _PLACES["vfa"]
    seen: dict[float, int] = {}
    repeated = len(pairs) > len(angles)
    planned = []
    for one, frames in pairs:
        angle = frames[0].facts["flip_deg"] or 0.0
        seen[angle] = seen.get(angle, 0) + 1
        counted = f"run-{seen[angle]}_" if repeated else ""
        ending = f"{before}{counted}flip-{angles.index(angle) + 1}_{suffix}"
        planned.append(PlannedImage(series=one, frames=frames, folder=folder, ending=ending))
    return planned

"""A simulated trial as a BIDS dataset, session by session, with the truth beside it."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bolus import __version__, io
from bolus.core import SessionKey
from bolus.errors import Code, FileError
from bolus.io.access import named, read_bytes
from bolus.io.sidecar import parse_object
from bolus.simulate.session import simulate_session
from bolus.workflows import simulated_files as files
from bolus.workflows.execute import processes, run_jobs
from bolus.workflows.progress import Progress, silent
from bolus.workflows.trial import (
    TrialRequest,
    patient_visits,
    session_scans,
    trial_files,
    trial_tables,
    visit_key,
    visit_scanner,
)

PLAN_NAME = "code/simulation.json"
SEGMENTATION = "derivatives/segmentation"
TRUTH = "derivatives/truth"
SIZES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"small": (64, 64, 12), "full": (128, 128, 20)}
)
"""Matrix of the first scanner by the name of a size."""
_LIMIT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOutcome:
    """The dataset, and for each session whether it had been there before."""

    dataset: Path
    patients: int
    skipped: Mapping[SessionKey, bool]

    @property
    def truth(self) -> Path:
        """Where the answers are."""
        return self.dataset / TRUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionJob:
    """One session, as small as it can be told to another process."""

    request: TrialRequest
    patient: int
    visit: int
    """Place among the planned visits, from 0."""
    scan: int


def simulate_trial(
    output: Path, request: TrialRequest, *, workers: int = 1, progress: Progress = silent
) -> SimulationOutcome:
    """Simulate patients, visits and scanners into a BIDS dataset.

    Each session is written as soon as it is there and never kept; a complete one is skipped, so
    a stopped run goes on where it was, and patients can be added later.

    Args:
        output: becomes the dataset; must be empty, or hold an earlier run of the same settings.
        request: what to simulate.
        workers: processes.
        progress: told about every session.

    Raises:
        FileError: the folder holds something else.
        ConfigError: another seed or other settings than the dataset there; no worker.
        ResourceError: the disk is full or may not be written, or a worker was killed.
    """
    executor = processes(workers)
    tables = trial_tables(request)  # before anything is written: what cannot be drawn is refused
    _require_ours(output, request)
    # the plan comes first: it makes the folder ours, whatever stops the run after it
    _write(output, {PLAN_NAME: _plan(request), **trial_files()})
    found = run_jobs(
        partial(_run, output),
        _jobs(request),
        executor=executor,
        progress=lambda done, total: progress("Sessions", done, total),
    )
    _write(output, tables)
    return SimulationOutcome(dataset=output, patients=request.patients, skipped=dict(found))


def _jobs(request: TrialRequest) -> list[SessionJob]:
    return [
        SessionJob(request=request, patient=number, visit=place, scan=scan)
        for number in range(1, request.patients + 1)
        for place, visit in enumerate(patient_visits(request, number)[1])
        if visit.attended
        for scan in session_scans(request, place)
    ]


def _run(output: Path, job: SessionJob) -> tuple[SessionKey, bool]:
    """Simulate and write one session unless it is complete; return whether it was."""
    request = job.request
    profile, visits = patient_visits(request, job.patient)
    visit = visits[job.visit]
    key = visit_key(profile, visit, scan=job.scan)
    raw, drawn, truth = (output / part / key.folder for part in ("", SEGMENTATION, TRUTH))
    if all(_is_there(folder, request) for folder in (raw, drawn, truth)):
        return key, True
    with (
        _opened(raw, request) as images,
        _opened(drawn, request) as tumour,
        _opened(truth, request) as answers,
    ):
        session = simulate_session(
            profile, visit, visit_scanner(request, job.patient, visit),
            scan=job.scan, dce=request.dce,
        )  # fmt: skip
        images.expect(files.raw_files(key, dce=request.dce))
        files.write_raw(images, key, session)
        tumour.expect(files.tumour_files(key))
        files.write_tumour(tumour, key, session)
        answers.expect(files.truth_files(key, session))
        files.write_truth(answers, key, session)
    return key, False


def _is_there(folder: Path, request: TrialRequest) -> bool:
    return io.is_complete(folder, inputs={}, config_digest=_digest(request), version=__version__)


def _opened(folder: Path, request: TrialRequest) -> AbstractContextManager[io.OutputFolder]:
    return io.open_output(folder, inputs={}, config_digest=_digest(request), version=__version__)


def _write(output: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        io.write_atomically(output / name, text.encode())


def _plan(request: TrialRequest) -> str:
    return io.json_text(
        {"Version": __version__, "Patients": request.patients, "Settings": request.settings()}
    )


def _digest(request: TrialRequest) -> str:
    text = json.dumps(request.settings(), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_ours(output: Path, request: TrialRequest) -> None:
    """Raise unless the folder is free, or an earlier run of this request with fewer patients."""
    with named(output):
        if not output.exists():
            return
        if not output.is_dir():
            raise FileError(
                Code.PATH_KIND,
                "is a file where a folder is needed",
                mend="name another output folder",
            )
        entries = sorted(entry.name for entry in output.iterdir())
        if not entries:
            return
        plan = output / PLAN_NAME
        if not plan.is_file():
            raise FileError(
                Code.OUTPUT_OCCUPIED,
                f"holds {len(entries)} entries and no simulated trial",
                mend="name an empty folder",
            )
    held = parse_object(read_bytes(plan, limit=_LIMIT_BYTES))
    if held.get("Settings") != request.settings():
        raise FileError(
            Code.OUTPUT_OCCUPIED,
            f"holds a trial of other settings ({_changed(held, request)})",
            mend="name another folder, or repeat those settings",
            where=str(output),
        )
    patients = held.get("Patients")
    if not isinstance(patients, int) or patients > request.patients:
        raise FileError(
            Code.OUTPUT_OCCUPIED,
            f"holds {patients} patients where {request.patients} are asked for",
            mend="name another folder, or ask for at least as many",
            where=str(output),
        )


def _changed(held: Mapping[str, object], request: TrialRequest) -> str:
    """Return what differs between two requests."""
    before = held.get("Settings")
    if not isinstance(before, dict):
        return "not readable"
    return ", ".join(
        f"{name} {before.get(name)}, now {value}"
        for name, value in request.settings().items()
        if before.get(name) != value
    )

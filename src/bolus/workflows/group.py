"""A cohort as a group: all sessions' numbers in long tables, and one page about them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus import __version__, io
from bolus.core import QUANTITIES
from bolus.errors import BolusError, Code, FileError
from bolus.io.access import file_digest, read_bytes
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.sidecar import parse_object
from bolus.io.tables import MISSING, Cell, read_table
from bolus.metrics.outliers import FAR, FEWEST, robust_z
from bolus.report.group import render_group_report
from bolus.report.group_findings import (
    GroupFindings,
    GroupProtocol,
    GroupQuality,
    GroupRegion,
    GroupStep,
)
from bolus.workflows.cohort import FAILED_NAME
from bolus.workflows.exam import now_text
from bolus.workflows.outputs import REPORT_NAME

FOLDER = "group"
_SIDECAR_LIMIT_BYTES = 1 << 20
_PROTOCOL: tuple[tuple[str, tuple[str, ...], float, str], ...] = (
    ("Manufacturer", ("Manufacturer",), 1.0, ""),
    ("Scanner", ("ManufacturersModelName",), 1.0, ""),
    ("Station", ("StationName", "DeviceSerialNumber"), 1.0, ""),
    ("Field strength", ("MagneticFieldStrength",), 1.0, "T"),
    ("Sequence", ("PerfSequence", "ScanningSequence"), 1.0, ""),
    ("Echo time", ("EchoTime",), 1e3, "ms"),
    ("Repetition time", ("RepetitionTimeExcitation", "RepetitionTime"), 1e3, "ms"),
    ("Flip angle", ("FlipAngle",), 1.0, "°"),
    ("Contrast agent", ("ContrastAgentName", "ContrastBolusIngredient"), 1.0, ""),
    ("Dose", ("ContrastDose",), 1.0, "mmol/kg"),
    ("Preload", ("PreloadDose",), 1.0, "mmol/kg"),
    ("Injection rate", ("InjectionRate",), 1.0, "mL/s"),
)
"""Item, keys of the sidecar in order of preference, factor and unit in print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOutcome:
    """Where the group report is, and what it counts."""

    report: Path
    sessions: int
    failed: int
    outliers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exam:
    """One step of one session with the tables of its folder."""

    step: GroupStep
    regions: tuple[dict[str, str], ...] = ()
    quality: tuple[dict[str, str], ...] = ()
    protocol: GroupProtocol | None = None


def run_group(bids_dir: Path, out_dir: Path) -> GroupOutcome:
    """Gather the sessions of a cohort into tables and a page, in the folder `group`.

    Only tables that match their receipt count. The same results give the same bytes.

    Args:
        bids_dir: the dataset.
        out_dir: where `bolus run ... participant` has written.

    Raises:
        FileError: the dataset holds no series; no session has a result; the folder `group` holds
            something else.
        ResourceError: the disk is full, or may not be written.
    """
    reasons = _failures(out_dir / FAILED_NAME)
    exams = [
        _read_exam(item, step, series, out_dir, reasons)
        for item in io.find_sessions(bids_dir)
        for step, series in (("dsc", item.series), ("dce", item.dce))
        if series is not None
    ]
    if not any(exam.step.state == "done" for exam in exams):
        raise FileError(
            Code.DATASET_INVALID,
            "holds no finished session of this dataset",
            mend=f"run it first: bolus run {bids_dir} {out_dir} participant",
            where=str(out_dir),
        )
    findings = GroupFindings(
        label=bids_dir.resolve().name,
        version=__version__,
        created=now_text(),
        far=FAR,
        fewest=FEWEST,
        steps=tuple(exam.step for exam in exams),
        regions=_with_distances(_regions(exams)),
        quality=_quality(exams),
        protocols=tuple(exam.protocol for exam in exams if exam.protocol is not None),
    )
    report = _write(out_dir / FOLDER, exams, findings)
    return GroupOutcome(
        report=report,
        sessions=len(findings.sessions),
        failed=len({step.session for step in findings.steps if step.state == "failed"}),
        outliers=len(findings.outliers),
    )


def _read_exam(
    item: io.SessionFiles,
    step: str,
    series: Path,
    out_dir: Path,
    reasons: dict[tuple[str, str, str], str],
) -> _Exam:
    folder = out_dir / item.key.folder / step
    name = item.key.prefix
    protocol = _protocol(name, step, series)
    reason = reasons.get((item.key.subject, item.key.session, step), "")
    if reason:
        failed = GroupStep(session=name, step=step, state="failed", reason=reason)
        return _Exam(step=failed, protocol=protocol)
    if not (folder / RECEIPT_NAME).is_file():
        absent = GroupStep(session=name, step=step, state="not run", reason="not run yet")
        return _Exam(step=absent, protocol=protocol)
    try:
        regions, quality = (_table(folder, ending) for ending in ("_regions.tsv", "_quality.tsv"))
    except BolusError as error:
        altered = GroupStep(
            session=name, step=step, state="failed", reason=f"{error.code} {error.what}"
        )
        return _Exam(step=altered, protocol=protocol)
    page = f"../{item.key.folder}/{step}/{REPORT_NAME}"
    done = GroupStep(session=name, step=step, state="done", page=page)
    return _Exam(step=done, regions=regions, quality=quality, protocol=protocol)


def _table(folder: Path, ending: str) -> tuple[dict[str, str], ...]:
    """Return the rows of a table of an exam; none where it has no such table.

    Raises:
        FileError: it is not as the receipt says.
    """
    receipt = io.read_receipt(folder / RECEIPT_NAME)
    rows: list[dict[str, str]] = []
    for name in sorted(n for n in receipt.outputs if n.endswith(ending)):
        path = io.safe_join(folder, name)
        if not path.is_file() or file_digest(path) != receipt.outputs[name]:
            raise FileError(
                Code.RECEIPT_MISMATCH,
                f"{name} is not as its receipt says",
                mend="run the session again",
                where=str(folder),
            )
        columns, cells = read_table(path)
        rows += [dict(zip(columns, row, strict=True)) for row in cells]
    return tuple(rows)


def _failures(path: Path) -> dict[tuple[str, str, str], str]:
    """Return (subject, session, step) -> why, from the table of the last run."""
    if not path.is_file():
        return {}
    columns, cells = read_table(path)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
    return {
        (
            row.get("subject", ""),
            "" if row.get("session") == MISSING else row.get("session", ""),
            row.get("step", ""),
        ): f"{row.get('code', '')} {row.get('what', '')}".strip()
        for row in rows
    }


def _protocol(session: str, step: str, series: Path) -> GroupProtocol | None:
    """Return how a series was acquired as its sidecar says; None where it has none to read."""
    beside = io.find_sidecar(series)
    if beside is None:
        return None
    try:
        values = parse_object(read_bytes(beside, limit=_SIDECAR_LIMIT_BYTES))
    except BolusError:
        return None
    items = []
    for name, keys, factor, unit in _PROTOCOL:
        found = next((values[key] for key in keys if values.get(key) not in (None, "")), None)
        if isinstance(found, int | float) and not isinstance(found, bool):
            space = "" if unit == "°" else " "
            items.append((name, f"{factor * found:.6g}{space}{unit}".strip()))
        else:
            items.append((name, "not stated" if found is None else str(found)[:80]))
    return GroupProtocol(session=session, step=step, items=tuple(items))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _regions(exams: Sequence[_Exam]) -> list[GroupRegion]:
    return [
        GroupRegion(
            session=exam.step.session,
            step=exam.step.step,
            region=row["region"],
            key=row["quantity"],
            voxels=int(_number(row["voxels"])),
            mean=_number(row["mean"]),
            z=float("nan"),
        )
        for exam in exams
        for row in exam.regions
        if row.get("quantity") in QUANTITIES
    ]


def _with_distances(rows: list[GroupRegion]) -> tuple[GroupRegion, ...]:
    """Return the rows, each with its robust distance from the same region of the others."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault((row.step, row.region, row.key), []).append(place)
    found = list(rows)
    for places in groups.values():
        distances = robust_z(np.array([rows[place].mean for place in places]))
        for place, z in zip(places, distances, strict=True):
            found[place] = replace(rows[place], z=float(z))
    return tuple(found)


def _quality(exams: Sequence[_Exam]) -> tuple[GroupQuality, ...]:
    return tuple(
        GroupQuality(
            session=exam.step.session,
            step=exam.step.step,
            name=row["name"],
            value=_number(row["value"]),
            unit="" if row["unit"] == MISSING else row["unit"],
            look=row["look"] == "true",
        )
        for exam in exams
        for row in exam.quality
    )


def _write(folder: Path, exams: Sequence[_Exam], findings: GroupFindings) -> Path:
    texts = {
        "group_regions.tsv": _regions_text(exams, findings),
        "group_quality.tsv": _quality_text(findings),
        "group_protocol.tsv": _protocol_text(findings),
        "group_sessions.tsv": _sessions_text(findings),
    }
    inputs = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(texts.items())
    }
    digest = hashlib.sha256(json.dumps([FAR, FEWEST]).encode()).hexdigest()[:16]
    with io.open_output(folder, inputs=inputs, config_digest=digest, version=__version__) as output:
        output.expect(io.Manifest(must={*texts, REPORT_NAME}))
        for name, text in texts.items():
            output.write(name, text)
        output.write(REPORT_NAME, render_group_report(findings))
    return folder / REPORT_NAME


_NUMBERS = (
    "voxels", "volume_ml", "mean", "mean_std", "low95", "high95", "median", "p05", "p95",
)  # fmt: skip


def _regions_text(exams: Sequence[_Exam], findings: GroupFindings) -> str:
    """Return every row of every session's table, with its distance from the others."""
    distances = {(r.session, r.step, r.region, r.key): r.z for r in findings.regions}
    rows: list[list[Cell]] = []
    for exam in exams:
        session, step = exam.step.session, exam.step.step
        for row in exam.regions:
            z = distances.get((session, step, row["region"], row["quantity"]))
            numbers = [_cell(row.get(name, MISSING)) for name in _NUMBERS]
            rows.append([session, step, row["region"], row["quantity"], row["unit"], *numbers, z])
    head = ("session", "step", "region", "quantity", "unit", *_NUMBERS, "robust_z")
    return io.table_text(head, rows)


def _cell(text: str) -> Cell:
    """Return a number as it was written, whole numbers as such."""
    return int(text) if text.lstrip("-").isdigit() else _number(text)


def _quality_text(findings: GroupFindings) -> str:
    rows = [(q.session, q.step, q.name, q.value, q.unit or None, q.look) for q in findings.quality]
    return io.table_text(("session", "step", "name", "value", "unit", "look"), rows)


def _protocol_text(findings: GroupFindings) -> str:
    names = [name.lower().replace(" ", "_") for name, *_ in _PROTOCOL]
    rows = [(p.session, p.step, *(value for _, value in p.items)) for p in findings.protocols]
    return io.table_text(("session", "step", *names), rows)


def _sessions_text(findings: GroupFindings) -> str:
    rows = [(s.session, s.step, s.state, s.reason or None) for s in findings.steps]
    return io.table_text(("session", "step", "state", "reason"), rows)

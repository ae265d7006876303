"""One exam from files to files: read, quantify, write once, or skip what is already there."""

import datetime
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bolus import __version__, io
from bolus.errors import BolusError
from bolus.report import DscFindings
from bolus.workflows.config import Config
from bolus.workflows.dicom_input import input_entry, is_dicom
from bolus.workflows.dsc import DscScan, quantify_dsc
from bolus.workflows.expected import dsc_manifest
from bolus.workflows.inputs import DscPaths, read_scan
from bolus.workflows.outputs import REPORT_NAME, Names, write_findings
from bolus.workflows.progress import Progress, silent, stage

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome(Generic[F]):
    """Where the report is, and what was found; `findings` is None if it had been done before."""

    report: Path
    findings: F | None

    @property
    def skipped(self) -> bool:
        """Whether a complete result of the same inputs, settings and version was there."""
        return self.findings is None


ExamOutcome = Outcome[DscFindings]


def run_exam(
    paths: DscPaths,
    config: Config,
    output: Path,
    *,
    names: Names,
    label: str,
    progress: Progress = silent,
) -> ExamOutcome:
    """Quantify one exam and write its folder as a whole.

    Args:
        paths: its files.
        config: settings.
        output: the folder of this exam.
        names: how its files are called.
        label: what the report calls it.
        progress: told about every stage.

    Raises:
        BolusError: with the file it is about; nothing is written then.
    """

    def work(folder: io.OutputFolder) -> DscFindings:
        folder.expect(dsc_manifest(paths, config, names))
        try:
            findings = quantify_dsc(
                _read(paths, config, label, progress),  # no name: quantify_dsc lets it go
                config, created=now_text(), progress=progress,
            )  # fmt: skip
        except BolusError as error:
            raise error.at(paths.series) from None
        with stage(progress, "Report and files"):
            write_findings(folder, findings, names)
        return findings

    series = tuple(p for p in (paths.series, paths.second_echo) if p is not None)
    settings = config_digest(config, without="dce")
    return once(with_sidecars(paths.present(), series), output, settings=settings, work=work)


def _read(paths: DscPaths, config: Config, label: str, progress: Progress) -> DscScan:
    with stage(progress, "Reading"):
        return read_scan(paths, config, label=label)


def once(
    files: Iterable[Path],
    output: Path,
    *,
    settings: str,
    work: Callable[[io.OutputFolder], F],
) -> Outcome[F]:
    """Do the work of an exam unless its folder holds the result; the folder appears as a whole.

    Args:
        files: everything that is read.
        output: the folder of this exam.
        settings: digest of all that decides besides the files.
        work: reads, quantifies, and writes into the open folder.
    """
    inputs: dict[str, str] = {}
    for number, path in enumerate(files):  # two folders may hold files of one name
        name, digest = input_entry(path)
        inputs[name if name not in inputs else f"{name} ({number})"] = digest
    if io.is_complete(output, inputs=inputs, config_digest=settings, version=__version__):
        return Outcome(report=output / REPORT_NAME, findings=None)
    with io.open_output(
        output, inputs=inputs, config_digest=settings, version=__version__
    ) as folder:
        findings = work(folder)
    return Outcome(report=output / REPORT_NAME, findings=findings)


def with_sidecars(files: Iterable[Path], images: Iterable[Path]) -> tuple[Path, ...]:
    """Return files, and the sidecars of those images that have one."""
    sidecars = (io.find_sidecar(image) for image in images if not is_dicom(image))
    return (*files, *(sidecar for sidecar in sidecars if sidecar is not None))


def config_digest(config: Config, *, without: str = "") -> str:
    """Return 16 hexadecimal digits that name the settings of maps.

    Habitats, codes and trainings come after the maps and do not decide them; what was done to a
    series before made another series.

    Args:
        config: settings.
        without: a section that does not decide the result, such as that of another step.
    """
    text = config.model_dump_json(exclude={without, "enhance", "habitats", "codes", "train"})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def now_text() -> str:
    """Return the time for the report; SOURCE_DATE_EPOCH replaces it for reproducible output."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), tz=datetime.UTC)
        if epoch.isdigit()
        else datetime.datetime.now(tz=datetime.UTC)
    )
    return moment.strftime("%Y-%m-%d %H:%M UTC")

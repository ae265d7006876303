"""One exam from files to files: read, quantify, write once, or skip what is already there."""

import datetime
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from bolus import __version__, io
from bolus.errors import BolusError
from bolus.report import DscFindings
from bolus.workflows.config import Config
from bolus.workflows.dsc import quantify_dsc
from bolus.workflows.inputs import DscPaths, read_scan
from bolus.workflows.outputs import REPORT_NAME, Names, write_findings
from bolus.workflows.progress import Progress, silent, stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamOutcome:
    """Where the report is, and what was found; `findings` is None if it had been done before."""

    report: Path
    findings: DscFindings | None

    @property
    def skipped(self) -> bool:
        """Whether a complete result of the same inputs, settings and version was there."""
        return self.findings is None


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
    inputs = {path.name: io.file_digest(path) for path in _read_files(paths)}
    settings = config_digest(config)
    if io.is_complete(output, inputs=inputs, config_digest=settings, version=__version__):
        return ExamOutcome(report=output / REPORT_NAME, findings=None)
    with io.open_output(
        output, inputs=inputs, config_digest=settings, version=__version__
    ) as folder:
        with stage(progress, "Reading"):
            scan = read_scan(paths, config, label=label)
        try:
            findings = quantify_dsc(scan, config, created=now_text(), progress=progress)
        except BolusError as error:
            raise error.at(paths.series) from None
        with stage(progress, "Report and files"):
            write_findings(folder, findings, names)
    return ExamOutcome(report=output / REPORT_NAME, findings=findings)


def _read_files(paths: DscPaths) -> tuple[Path, ...]:
    sidecars = (io.find_sidecar(p) for p in (paths.series, paths.second_echo) if p is not None)
    return (*paths.present(), *(s for s in sidecars if s is not None))


def config_digest(config: Config) -> str:
    """Return 16 hexadecimal digits that name the settings."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]


def now_text() -> str:
    """Return the time for the report; SOURCE_DATE_EPOCH replaces it for reproducible output."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = (
        datetime.datetime.fromtimestamp(int(epoch), tz=datetime.UTC)
        if epoch.isdigit()
        else datetime.datetime.now(tz=datetime.UTC)
    )
    return moment.strftime("%Y-%m-%d %H:%M UTC")

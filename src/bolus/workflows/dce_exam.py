"""One DCE exam from files to files: read, quantify, write once, or skip what is already there."""

import hashlib
from pathlib import Path

from bolus import io
from bolus.errors import BolusError
from bolus.report import DceFindings
from bolus.workflows.config import Config
from bolus.workflows.dce import quantify_dce
from bolus.workflows.dce_inputs import DcePaths, read_dce_scan
from bolus.workflows.dce_outputs import write_dce_findings
from bolus.workflows.exam import Outcome, config_digest, now_text, once, with_sidecars
from bolus.workflows.expected import dce_manifest
from bolus.workflows.outputs import Names
from bolus.workflows.progress import Progress, silent, stage

DceOutcome = Outcome[DceFindings]


def run_dce_exam(
    paths: DcePaths,
    config: Config,
    output: Path,
    *,
    names: Names,
    label: str,
    progress: Progress = silent,
) -> DceOutcome:
    """Quantify one DCE exam and write its folder as a whole.

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

    def work(folder: io.OutputFolder) -> DceFindings:
        folder.expect(dce_manifest(paths, config, names))
        try:
            findings = quantify_dce(
                read_dce_scan(paths, config, label=label),  # no name: quantify_dce lets it go
                config, created=now_text(), progress=progress,
            )  # fmt: skip
        except BolusError as error:
            raise error.at(paths.series) from None
        with stage(progress, "Report and files"):
            write_dce_findings(folder, findings, names)
        return findings

    return once(
        with_sidecars(paths.present(), (paths.series, *paths.vfa)),
        output,
        settings=_digest(paths, config),
        work=work,
    )


def _digest(paths: DcePaths, config: Config) -> str:
    """Name the settings and which file has which part: a mask may change places with a map."""
    roles = " ".join(f"{role}:{path.name}" for role, path in paths.roles())
    return hashlib.sha256(f"{config_digest(config, without='dsc')} {roles}".encode()).hexdigest()[
        :16
    ]

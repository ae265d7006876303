"""The codes of a tumour's signal curves: a step of a session that follows its DSC."""

import hashlib
from dataclasses import replace
from pathlib import Path

from bolus import io
from bolus.errors import BolusError
from bolus.report.codes_findings import CodeFindings
from bolus.workflows.codes_found import found_codes
from bolus.workflows.codes_outputs import codes_manifest, write_codes
from bolus.workflows.codes_series import CodesPaths, dsc_files, read_tumour_series
from bolus.workflows.config import Config
from bolus.workflows.exam import Outcome, now_text, once, with_sidecars
from bolus.workflows.networks import chosen_weights, require_protocol, weights_file
from bolus.workflows.notices import collected
from bolus.workflows.progress import Progress, silent, stage

CodesOutcome = Outcome[CodeFindings]
KIND = "curve-codes"


def run_codes(
    paths: CodesPaths,
    config: Config,
    output: Path,
    *,
    names: io.OutputNames,
    label: str,
    progress: Progress = silent,
) -> CodesOutcome:
    """Give every voxel of a tumour a code, and write the step's folder as a whole.

    Args:
        paths: series and DSC results of one session.
        config: its sections `codes` and `acquisition`.
        output: the folder of this step.
        names: how its files are called.
        label: what the report calls the session.
        progress: told about every stage.

    Raises:
        BolusError: with the file it is about; nothing is written then.
    """
    weights = chosen_weights(config.codes.weights, kind=KIND)
    made = dsc_files(paths.dsc, names)

    def work(folder: io.OutputFolder) -> CodeFindings:
        folder.expect(codes_manifest(names, weights))
        notices: list[str] = []
        with collected(notices):
            read = read_tumour_series(paths, config, made, progress)
            try:
                require_protocol(weights.card, read.signal.time, read.signal.acquisition)
                with stage(progress, "Codes"):
                    found = found_codes(read, weights, made, label=label, created=now_text())
            except BolusError as error:
                raise error.at(paths.shown) from None
        found = replace(
            found, warnings=tuple(notices), settings=config.codes.model_dump(mode="json")
        )
        with stage(progress, "Report and files"):
            write_codes(folder, found, names)
        return found

    own = () if config.codes.weights is None else (weights_file(config.codes.weights),)
    files = (*with_sidecars((paths.shown,), (paths.shown,)), *made.values(), *own)
    return once(files, output, settings=_digest(config, weights.digest()), work=work)


def _digest(config: Config, weights: str) -> str:
    """Name what decides the codes besides the files."""
    settings = f"{config.acquisition.model_dump_json()}\n{weights}"
    return hashlib.sha256(settings.encode()).hexdigest()[:16]

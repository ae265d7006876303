"""A series to a series that is quantified in its place: less noise, and a page of what changed."""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from bolus import __version__, io, preprocess, quantify
from bolus.core import Mask, PerfusionSeries
from bolus.errors import BolusError, Code, ConfigError, QualityWarning
from bolus.quantify.series_change import series_change
from bolus.report.enhancement import render_enhancement_report
from bolus.report.enhancement_findings import EnhancementFindings
from bolus.workflows.config import Config
from bolus.workflows.dce_inputs import read_dce_series
from bolus.workflows.enhance_methods import enhancer
from bolus.workflows.exam import Outcome, now_text, once, with_sidecars
from bolus.workflows.inputs import DscPaths, read_scan, series_name
from bolus.workflows.memory import require_exam_memory
from bolus.workflows.notices import collected
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent, stage

KINDS = ("dsc", "dce")
_LOW = 25.0
"""At 15 a third of small simulated lesions were lost, at 30 none."""
EnhanceOutcome = Outcome[EnhancementFindings]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnhanceRequest:
    """Which series, of which kind ("dsc" or "dce"), how it is enhanced, and its brain mask."""

    series: Path
    output: Path
    kind: str = "dsc"
    method: str = "local_pca"
    mask: Path | None = None
    name: str = ""
    """Of the image that is written, without its ending; "" to call it after the series."""


def enhanced_name(request: EnhanceRequest) -> str:
    """Return the name of the image that is written, without its ending.

    Example:
        >>> enhanced_name(EnhanceRequest(series=Path("a/exam.nii.gz"), output=Path("b")))
        'exam_desc-localpca_dsc'
    """
    plain = request.method.replace("_", "")
    return request.name or f"{series_name(request.series)}_desc-{plain}_{request.kind}"


def enhance_series(
    request: EnhanceRequest, config: Config, *, progress: Progress = silent
) -> EnhanceOutcome:
    """Enhance a series, and write it with its sidecar and a page that shows it with and without.

    Args:
        request: what to do.
        config: its sections `acquisition` and `dce` win over the sidecar.
        progress: told about every stage.

    Raises:
        BolusError: with the file it is about; nothing is written then.
    """
    if request.kind not in KINDS:
        raise ConfigError(
            Code.USAGE,
            f"'{request.kind[:40]}' is no kind of series; expected {' or '.join(KINDS)}",
            mend="check --kind",
            where="--kind",
        )
    enhancer(request.method)  # a wrong name is said before anything is read
    stem = enhanced_name(request)

    def work(folder: io.OutputFolder) -> EnhancementFindings:
        folder.expect(io.Manifest(must={f"{stem}.nii.gz", f"{stem}.json", REPORT_NAME}))
        try:
            found = _enhanced(request, config, progress)
        except BolusError as error:
            raise error.at(request.series) from None
        with stage(progress, "Report and files"):
            io.write_series(folder, stem, found.after)
            folder.write(REPORT_NAME, render_enhancement_report(found))
        return found

    own = () if request.mask is None else (request.mask,)
    files = with_sidecars((request.series, *own), (request.series,))
    return once(files, request.output, settings=_digest(request, config), work=work)


def _enhanced(request: EnhanceRequest, config: Config, progress: Progress) -> EnhancementFindings:
    require_exam_memory(request.series, request.series)
    notices: list[str] = []
    with collected(notices):
        with stage(progress, "Reading"):
            before = _read(request, config)
            brain = (
                preprocess.find_brain(before)
                if request.mask is None
                else io.read_mask(request.mask, name="brain", grid=before.grid)
            )
            baseline, moment = _passage(before, brain, request.kind)
        found = enhancer(request.method)(before, brain, progress)
        with stage(progress, "With and without"):
            brain, before = found.brain or brain, found.before or before
            change = series_change(
                before, found.series, brain, baseline=baseline, falls=request.kind == "dsc"
            )
            _note_low(change.tsnr[0])
    return EnhancementFindings(
        label=series_name(request.series),
        version=__version__,
        created=now_text(),
        method=request.method,
        kind=request.kind,
        before=before,
        after=found.series,
        brain=brain,
        baseline=baseline,
        moment=moment,
        change=change,
        provenance=found.series.provenance,
        sigma=found.sigma,
        card=found.card,
        interpolated=found.before is not None,
        warnings=tuple(notices),
        settings={"method": request.method, "kind": request.kind},
    )


def _note_low(tsnr: float) -> None:
    if tsnr < _LOW:
        warnings.warn(
            QualityWarning(
                f"the temporal signal-to-noise ratio is {tsnr:.0f}; below {_LOW:.0f} small lesions "
                "can be lost with the noise (docs/science/denoising.md)"
            ),
            stacklevel=2,
        )


def _read(request: EnhanceRequest, config: Config) -> PerfusionSeries:
    if request.kind == "dce":
        return read_dce_series(request.series, config)
    return read_scan(DscPaths(series=request.series), config).signal


def _passage(series: PerfusionSeries, brain: Mask, kind: str) -> tuple[slice, int]:
    """Return the frames before the bolus, and the one at its peak."""
    if kind == "dce":
        agent = quantify.find_enhancement(series, brain)
        return agent.baseline, agent.peak
    bolus = quantify.find_bolus(series, brain)
    return bolus.baseline, bolus.peak


def _digest(request: EnhanceRequest, config: Config) -> str:
    """Name what decides the result besides the files."""
    parts = (request.kind, request.method, config.acquisition.model_dump_json(),
             config.dce.model_dump_json())  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

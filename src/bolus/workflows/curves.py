"""Curves of voxels, regions and the brain of any perfusion series, DSC or not."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus import __version__, io, preprocess, quantify, report
from bolus.core import Mask, PerfusionSeries, Provenance
from bolus.errors import BolusError, Code, ConfigError, GeometryError, TimingError
from bolus.report.findings import Motion
from bolus.workflows.config import Config
from bolus.workflows.exam import config_digest, now_text
from bolus.workflows.gathered import joined_mask
from bolus.workflows.inputs import DscPaths, read_scan, series_name
from bolus.workflows.notices import collected
from bolus.workflows.outputs import REPORT_NAME, motion_table
from bolus.workflows.progress import Progress, silent, stage

QUANTITIES_OFFERED = ("signal", "delta_r2s")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvesRequest:
    """Which curves of which series."""

    series: Path
    voxels: tuple[tuple[int, int, int], ...] = ()
    regions: tuple[Path, ...] = ()
    quantity: str = "signal"
    motion: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvesOutcome:
    """Where the curves are, and what the series turned out to be."""

    table: Path
    report: Path
    kind: str
    brain_ml: float
    largest_displacement_mm: float
    motion_text: str


def parse_voxel(text: str) -> tuple[int, int, int]:
    """Return the voxel indices written as "i,j,k".

    Raises:
        ConfigError: not three whole numbers from 0 on.

    Example:
        >>> parse_voxel("64,60,10")
        (64, 60, 10)
    """
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
        raise ConfigError(
            Code.USAGE,
            f"'{text}' is not a voxel; expected three whole numbers from 0 on",
            mend="write it as 64,60,10",
            where="--voxel",
        )
    i, j, k = (int(part) for part in parts)
    return i, j, k


def export_curves(
    request: CurvesRequest, config: Config, output: Path, *, progress: Progress = silent
) -> CurvesOutcome:
    """Write curves as a table, with brain mask, motion and a page to look at.

    Args:
        request: which curves.
        config: its `acquisition` section wins over the sidecar.
        output: folder to write.
        progress: told about every stage.

    Raises:
        BolusError: with the file it is about; nothing is written then.
    """
    if request.quantity not in QUANTITIES_OFFERED:
        raise ConfigError(
            Code.USAGE,
            f"'{request.quantity}' cannot be exported; expected {' or '.join(QUANTITIES_OFFERED)}",
            mend="check --quantity",
            where="--quantity",
        )
    name = series_name(request.series)
    files = (request.series, *request.regions)
    with io.open_output(
        output,
        inputs={path.name: io.file_digest(path) for path in files},
        config_digest=config_digest(config),
        version=__version__,
    ) as folder:
        table, motion, mask = f"{name}_curves.tsv", f"{name}_motion.tsv", f"{name}_label-brain_mask"
        folder.expect(
            io.Manifest(must={table, motion, f"{mask}.nii.gz", f"{mask}.json", REPORT_NAME})
        )
        try:
            findings = _examine(request, config, progress)
        except BolusError as error:
            raise error.at(request.series) from None
        with stage(progress, "Writing"):
            folder.write(table, _table(findings))
            folder.write(motion, motion_table(findings))
            io.write_mask(folder, mask, findings.brain, sources=[request.series.name])
            folder.write(REPORT_NAME, report.render_series_report(findings))
    furthest = _furthest_mm(findings.motion)
    return CurvesOutcome(
        table=output / table,
        report=output / REPORT_NAME,
        kind=findings.kind,
        brain_ml=findings.brain.volume_ml,
        largest_displacement_mm=furthest,
        motion_text=findings.motion_skipped or f"at most {furthest:.2f} mm",
    )


def _examine(request: CurvesRequest, config: Config, progress: Progress) -> report.SeriesFindings:
    notices: list[str] = []
    with collected(notices):
        scan = read_scan(DscPaths(series=request.series), config)
        motion = preprocess.correct_motion(
            scan.signal,
            enabled=request.motion,
            overwrite=scan.own,
            progress=lambda done, total: progress("Motion", done, total),
        )
        with stage(progress, "Brain and curves"):
            brain = preprocess.find_brain(motion.series)
            bolus, kind = _judge(motion.series, brain)
            masks = (brain, *_regions(request, motion.series))
            wanted = motion.series
            if request.quantity == "delta_r2s":
                if bolus is None:
                    raise TimingError(
                        Code.NOT_DSC, kind, mend="export the signal instead (--quantity signal)"
                    )
                wanted = quantify.signal_to_delta_r2s(
                    motion.series, baseline=bolus.baseline, mask=joined_mask(*masks)
                )
    return report.SeriesFindings(
        label=scan.label,
        version=__version__,
        created=now_text(),
        signal=motion.series,
        curves_of=wanted,
        anatomy=preprocess.baseline_image(motion.series, _still_frames(bolus)),
        kind=kind,
        bolus=bolus,
        brain=brain,
        curves=tuple((mask.name, wanted.mean_curve(mask)) for mask in masks),
        regions=masks[1:],
        motion=None if motion.skipped else motion,
        motion_skipped=motion.skipped,
        provenance=_with_regions(wanted.provenance, request),
        warnings=(*scan.notices, *notices),
    )


def _furthest_mm(motion: Motion | None) -> float:
    known = [] if motion is None else [d for d in motion.displacement_mm if np.isfinite(d)]
    return float(max(known, default=np.nan))


def _still_frames(bolus: quantify.BolusTiming | None) -> slice:
    """Frames to average for the anatomy: the baseline, or the first three where none is known."""
    return bolus.baseline if bolus is not None else slice(0, 3)


def _judge(series: PerfusionSeries, brain: Mask) -> tuple[quantify.BolusTiming | None, str]:
    """Tell what kind of series this is; one without a DSC bolus still has curves."""
    try:
        bolus = quantify.find_bolus(series, brain)
    except TimingError as error:
        return None, error.what
    arrival = series.time.seconds[bolus.arrival]
    return bolus, f"DSC: the bolus arrives after {arrival:.1f} s (frame {bolus.arrival + 1})"


def _regions(request: CurvesRequest, series: PerfusionSeries) -> list[Mask]:
    masks = []
    for i, j, k in request.voxels:
        if any(n >= size for n, size in zip((i, j, k), series.grid.shape, strict=True)):
            raise GeometryError(
                Code.ARGUMENT_INVALID,
                f"voxel {i},{j},{k} lies outside the series of {series.grid.shape} voxels",
                mend="count from 0",
            )
        values = np.zeros(series.grid.shape, bool)
        values[i, j, k] = True
        masks.append(Mask(values=values, grid=series.grid, name=f"voxel {i},{j},{k}"))
    for path in request.regions:
        labels = io.read_labels(path, grid=series.grid)
        stem = series_name(path)
        several = len(labels.names) > 1
        masks += [
            Mask(
                values=labels.mask(name).values,
                grid=series.grid,
                name=f"{stem} {name}" if several else stem,
            )
            for name in labels.names.values()
        ]
    return masks


def _with_regions(provenance: Provenance, request: CurvesRequest) -> Provenance:
    """Add the files of the regions to what the page says it was made from."""
    files = tuple((path.name, io.file_digest(path)) for path in request.regions)
    return Provenance(steps=provenance.steps, inputs=(*provenance.inputs, *files))


def _table(findings: report.SeriesFindings) -> str:
    columns = ["time_s", *(name.replace(" ", "_") for name, _ in findings.curves)]
    values = np.column_stack([findings.signal.time.seconds, *(c for _, c in findings.curves)])
    return io.table_text(columns, [tuple(float(v) for v in row) for row in values])

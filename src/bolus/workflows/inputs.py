"""Paths to core types: what the user named on the command line, or what a dataset holds."""

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus import io, preprocess
from bolus.core import Acquisition, Grid, LabelMap, Mask, PerfusionSeries
from bolus.errors import Code, GeometryError, QualityWarning
from bolus.io.access import stem_of
from bolus.io.plausible import require_plausible
from bolus.workflows.config import Config
from bolus.workflows.dicom_input import NEUTRAL_NAME, is_dicom, read_dynamic
from bolus.workflows.dsc import DscScan
from bolus.workflows.memory import require_exam_memory
from bolus.workflows.notices import collected

_FIRST_FRAMES = 5
_DARK = 0.1
"""Below this share of the bright voxels there is air, or bone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DscPaths:
    """The files of one DSC exam; everything but the series may be absent."""

    series: Path
    second_echo: Path | None = None
    aif: Path | None = None
    mask: Path | None = None
    reference_mask: Path | None = None
    tumour: Path | None = None

    def present(self) -> tuple[Path, ...]:
        """Every file that was named, in a fixed order."""
        named = (
            self.series,
            self.second_echo,
            self.aif,
            self.mask,
            self.reference_mask,
            self.tumour,
        )
        return tuple(path for path in named if path is not None)


def read_scan(paths: DscPaths, config: Config, *, label: str = "") -> DscScan:
    """Read every file of an exam and check that they belong together.

    Args:
        paths: the files.
        config: its `acquisition` section wins over the sidecar.
        label: what the report calls the exam; the series' file name if empty.

    Raises:
        FileError, GeometryError, TimingError, MetadataError: with the file's name.
        ResourceError: the exam would not fit into memory; nothing was read.
    """
    require_exam_memory(paths.series, paths.second_echo)
    notices: list[str] = []
    given = Acquisition(**config.acquisition.model_dump())
    with collected(notices):
        signal = _series(paths.series, given)
        second = None
        if paths.second_echo is not None:
            # The option and the settings speak of the first echo.
            second = _series(paths.second_echo, replace(given, echo_time_s=None))
        grid = signal.grid
        tumour = given_labels(paths.tumour, grid) if paths.tumour else None
        if tumour is not None:
            _note_dark(tumour, signal)
        scan = DscScan(
            label=label or series_name(paths.series),
            signal=signal,
            second_echo=second,
            brain=_mask(paths.mask, "brain", signal.grid),
            white_matter=_mask(paths.reference_mask, "reference", grid),
            tumour=tumour,
            aif=io.read_curve_tsv(paths.aif) if paths.aif else None,
            own=True,
        )
    return replace(scan, notices=tuple(notices))  # known once the block has ended


def _series(path: Path, given: Acquisition) -> PerfusionSeries:
    if is_dicom(path):
        return read_dynamic(path, "dsc", given)
    return io.read_series(path, given=given)


def _mask(path: Path | None, name: str, grid: Grid) -> Mask | None:
    return io.read_mask(path, name=name, grid=grid) if path is not None else None


def given_labels(path: Path, grid: Grid) -> LabelMap:
    """Read the labels of a tumour; those of another grid in the same space are brought here.

    Nothing is registered: a label drawn on the DSC of a session goes with its DCE, and the
    reverse. That they were resampled is a warning, which the report shows.

    Args:
        path: of the labels.
        grid: of the series.

    Raises:
        GeometryError: they are mirrored, or none of them lies within the series.
        FileError: the file cannot be read, or holds no labels.
    """
    labels = io.read_labels(path)
    try:
        grid.require_match(labels.grid, what="the label map")
    except GeometryError as error:
        if labels.grid.mirrors(grid):
            raise error.at(path) from None
    else:
        return labels
    moved = preprocess.resample_labels(labels, grid)
    if not moved.foreground.count:
        raise GeometryError(
            Code.MASK_EMPTY,
            "no label lies within the series",
            mend="check that both are in the same scanner coordinates",
            where=str(path),
        )
    warnings.warn(QualityWarning(_resampled(labels, moved)), stacklevel=2)
    return moved


def _resampled(before: LabelMap, after: LabelMap) -> str:
    """Say what became of the labels, with their volumes."""
    shape = " x ".join(map(str, before.grid.shape))
    return (
        f"the tumour was drawn on another grid ({shape}) and resampled to that of the series, by "
        f"nearest neighbour ({before.foreground.volume_ml:.3g} mL became "
        f"{after.foreground.volume_ml:.3g} mL); nothing was registered"
    )


def _note_dark(tumour: LabelMap, signal: PerfusionSeries) -> None:
    """Warn where most of the tumour lies in air: it was drawn on another scan, or is mirrored."""
    first = signal.values[..., :_FIRST_FRAMES].mean(axis=-1)
    limit = _DARK * np.nanpercentile(first, 98)
    inside = first[tumour.foreground.values]
    share = float(np.mean(inside < limit)) if inside.size else 0.0
    if share > 0.5:
        warnings.warn(
            QualityWarning(
                f"{share:.0%} of the tumour lies where the series has no signal: it may have been "
                "drawn on another scan, or be mirrored"
            ),
            stacklevel=2,
        )


def series_name(path: Path) -> str:
    """Return a file's name without its endings, of letters, digits, dots, dashes, underscores.

    DICOM is called "series": its folders and files may be named after a patient.

    Example:
        >>> series_name(Path("exams/Müller 1.nii.gz"))
        'M-ller-1'
    """
    if is_dicom(path):
        return NEUTRAL_NAME
    stem = stem_of(path)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-") or "series"


def with_times(
    config: Config, *, echo_time_s: float | None, repetition_time_s: float | None
) -> Config:
    """Return the settings with the times of the command line in front of those of the file.

    Raises:
        MetadataError: a time cannot be right (30 is milliseconds).
    """
    given = {"echo_time_s": echo_time_s, "repetition_time_s": repetition_time_s}
    options = {
        "echo_time_s": "--echo-time",
        "repetition_time_s": "--repetition-time",
    }
    stated = {name: value for name, value in given.items() if value is not None}
    for name, value in stated.items():
        require_plausible(name, value, key=options[name])
    return config.model_copy(update={"acquisition": config.acquisition.model_copy(update=stated)})

"""The signal of a tumour for what comes after DSC: read again, and brought to where DSC had it."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus import io, preprocess, quantify
from bolus.core import Acquisition, LabelMap, Mask, PerfusionSeries
from bolus.errors import Code, FileError, QualityWarning, TimingError
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.tables import MISSING, read_table
from bolus.workflows.config import Config
from bolus.workflows.memory import require_exam_memory
from bolus.workflows.progress import Progress, silent, stage

_MOTION = ("translation_x_mm", "translation_y_mm", "translation_z_mm",
           "rotation_x_deg", "rotation_y_deg", "rotation_z_deg")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesPaths:
    """The series of one session, and the folder of its finished DSC step."""

    series: Path
    dsc: Path
    second_echo: Path | None = None

    @property
    def shown(self) -> Path:
        """The series whose curves are coded: at a short echo time only arteries fall."""
        return self.second_echo or self.series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StillSeries:
    """The signal of a whole series free of motion, and where its brain and tumour are."""

    signal: PerfusionSeries
    brain: Mask
    tumour: LabelMap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TumourSeries:
    """The signal of a series free of motion, and where its brain, tumour and bolus are.

    `bolus` is that of the tumour's mean curve, by which networks know the time; of the brain's
    where the tumour's shows none.
    """

    signal: PerfusionSeries
    brain: Mask
    tumour: LabelMap
    bolus: quantify.BolusTiming
    anatomy: np.ndarray


def dsc_files(folder: Path, names: io.OutputNames) -> dict[str, Path]:
    """Return the files of a finished DSC step that codes rest on: brain, tumour, motion, nCBV.

    Args:
        folder: of the step.
        names: of the session.

    Raises:
        FileError: the step is not finished, or its files are not as its receipt says.
    """
    if not (folder / RECEIPT_NAME).is_file():
        raise FileError(
            Code.FILE_MISSING,
            "the DSC of this session is not finished, on which this step rests",
            mend="see why it failed, and run again",
            where=str(folder),
        )
    outputs = io.read_receipt(folder / RECEIPT_NAME).outputs
    stems = {
        "brain": f"{names.mask('brain')}.nii.gz",
        "tumour": f"{names.segmentation('tumour')}.nii.gz",
        "tumour names": f"{names.segmentation('tumour')}.tsv",
        "motion": names.table("motion"),
    }
    ncbv = [name for name in outputs if name.endswith("_ncbv.nii.gz")]
    wanted = stems | ({"ncbv": ncbv[0]} if ncbv else {})
    found = {}
    for what, name in wanted.items():
        path = io.safe_join(folder, name)
        if name not in outputs or not path.is_file() or io.file_digest(path) != outputs[name]:
            raise FileError(
                Code.RECEIPT_MISMATCH,
                f"the {what} of the DSC step is not there as its receipt says",
                mend="run the session again",
                where=str(path),
            )
        found[what] = path
    return found


def read_tumour_series(
    paths: CodesPaths, config: Config, made: dict[str, Path], progress: Progress = silent
) -> TumourSeries:
    """Read a series and bring it to where its DSC step had it; keep the tumour of it.

    Args:
        paths: of one session.
        config: its section `acquisition`.
        made: from `dsc_files`.
        progress: told about every stage.

    Raises:
        BolusError: a file is damaged, or there is no bolus.
        ResourceError: the series would not fit into memory.
    """
    still = read_still_series(paths, config, made, progress)
    inside = Mask(values=still.tumour.values > 0, grid=still.tumour.grid, name="tumour")
    of_brain = quantify.find_bolus(still.signal, still.brain)
    return TumourSeries(
        signal=still.signal.within(inside),
        brain=still.brain,
        tumour=still.tumour,
        bolus=_bolus(still.signal, inside, of_brain),
        anatomy=preprocess.baseline_image(still.signal, of_brain.baseline),
    )


def _bolus(
    signal: PerfusionSeries, tumour: Mask, of_brain: quantify.BolusTiming
) -> quantify.BolusTiming:
    """Return the bolus of the tumour as networks are trained with, or that of the brain."""
    try:
        return quantify.find_bolus(signal, tumour)
    except TimingError as error:
        warnings.warn(
            QualityWarning(f"the time of the bolus is the brain's, for in the tumour {error.what}"),
            stacklevel=2,
        )
        return of_brain


def read_still_series(
    paths: CodesPaths, config: Config, made: dict[str, Path], progress: Progress = silent
) -> StillSeries:
    """Read a series and bring it to where its DSC step had it.

    Args:
        paths: of one session.
        config: its section `acquisition`.
        made: from `dsc_files`.
        progress: told about every stage.

    Raises:
        BolusError: a file is damaged.
        ResourceError: the series would not fit into memory.
    """
    require_exam_memory(paths.shown)
    given = Acquisition(**config.acquisition.model_dump())
    if paths.second_echo is not None:  # the settings speak of the first echo
        given = replace(given, echo_time_s=None)
    with stage(progress, "Reading"):
        signal = io.read_series(paths.shown, given=given)
        brain = io.read_mask(made["brain"], name="brain", grid=signal.grid)
        tumour = io.read_labels(made["tumour"])
        signal.grid.require_match(tumour.grid, what="the tumour")
        motion = _motion(made["motion"])
    with stage(progress, "Motion"):
        if motion is not None:
            signal = preprocess.reapply_motion(signal, *motion, overwrite=True)
    return StillSeries(signal=signal, brain=brain, tumour=tumour)


def _motion(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return parameters (t, 6) and displacements (t,); None where motion was not looked for."""
    columns, rows = read_table(path)
    if any(MISSING in row for row in rows):
        return None
    values = np.array(rows, dtype=np.float64)
    parameters = values[:, [columns.index(name) for name in _MOTION]]
    return parameters, values[:, columns.index("displacement_mm")]

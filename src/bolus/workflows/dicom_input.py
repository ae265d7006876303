"""A perfusion series named as a DICOM folder or file, where a NIfTI file could be named."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from bolus import io
from bolus.core import Acquisition, PerfusionSeries, TimeAxis
from bolus.errors import BolusError
from bolus.io.access import NIFTI_SUFFIXES
from bolus.workflows.exam_size import exam_bytes

NEUTRAL_NAME = "series"
"""How results of a DICOM series are called: names of its folder and files may be a patient's."""

_INPUT_NAME = "dicom"
_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"


def is_dicom(path: Path) -> bool:
    """Return whether a path is a folder, or a file that says that it is DICOM.

    Example:
        >>> is_dicom(Path("exam_dsc.nii.gz"))
        False
    """
    try:
        if path.is_dir():
            return True
        if path.name.endswith(NIFTI_SUFFIXES) or not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC
    except OSError:  # whoever reads it says so better
        return False


def read_dynamic(
    path: Path, kind: str, given: Acquisition, *, frame_step_s: float | None = None
) -> PerfusionSeries:
    """Read the only series of a kind below a DICOM folder, or of one DICOM file.

    Args:
        path: the folder or file.
        kind: "dsc" or "dce".
        given: settings that win over the header.
        frame_step_s: time between frames [s] that wins over the header.

    Raises:
        BolusError: there is no such series, there are several, or it cannot be read.
        ResourceError: its exam would not fit into memory; no pixels were read.
    """
    try:
        series = io.read_dicom_series(path, kind=kind, given=given, before_pixels=_require_memory)
    except BolusError as error:
        raise error.at(path) from None
    if frame_step_s is None:
        return series
    sources = {**dict(series.acquisition.sources), "time": "user"}
    return replace(
        series,
        time=TimeAxis.regular(len(series.time), step_s=frame_step_s),
        acquisition=replace(series.acquisition, sources=tuple(sources.items())),
    )


def _require_memory(size: int) -> None:
    io.require_memory(exam_bytes(size), purpose="this exam")


def input_entry(path: Path) -> tuple[str, str]:
    """Return how a receipt calls an input, and its SHA-256.

    Of DICOM it is that of the digests of all files in order of the digests, so renaming changes
    nothing; it has a neutral name.
    """
    if not is_dicom(path):
        return path.name, io.file_digest(path)
    files = [path] if path.is_file() else [
        Path(base) / name
        for base, _, names in os.walk(path)
        for name in names
        if (Path(base) / name).is_file() and not (Path(base) / name).is_symlink()
    ]  # fmt: skip
    digests = "".join(sorted(io.file_digest(file) for file in files))
    return _INPUT_NAME, hashlib.sha256(digests.encode()).hexdigest()

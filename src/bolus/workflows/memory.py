"""Whether an exam fits into memory, asked before anything is computed."""

from pathlib import Path

from bolus import io
from bolus.workflows.dicom_input import is_dicom
from bolus.workflows.exam_size import exam_bytes


def require_exam_memory(*series: Path | None) -> None:
    """Raise before anything is read where an exam would not fit.

    Of DICOM the size is known when its headers have been read: `dicom_input` asks then.

    Args:
        series: the images of one exam that are in memory together; None counts nothing.

    Raises:
        ResourceError: too little memory is free.
    """
    named = [path for path in series if path is not None and not is_dicom(path)]
    size = sum(io.series_bytes(path) for path in named)
    io.require_memory(exam_bytes(size), purpose="this exam")

"""Whether an exam fits into memory, asked before anything is computed."""

from pathlib import Path

from bolus import io
from bolus.workflows.dicom_input import is_dicom

BASE_BYTES = 180 << 20
"""What grows whatever the size of the series: compiled kernels, figures, maps of a small grid.

Measured: 130 MiB above what an imported program takes."""
SERIES_FACTOR = 1.3
"""Peak of an exam above that, in sizes of its series as float32.

Measured with a brain of a third of the image (`python benchmarks/memory.py exam-dsc FILE`)."""


def require_exam_memory(*series: Path | None) -> None:
    """Raise before anything is read where an exam would not fit.

    Args:
        series: the images of one exam that are in memory together; None counts nothing.

    Raises:
        ResourceError: too little memory is free.
    """
    named = [path for path in series if path is not None and not is_dicom(path)]
    size = sum(io.series_bytes(path) for path in named)  # DICOM asks as it is read
    io.require_memory(exam_bytes(size), purpose="this exam")


def exam_bytes(size: int) -> int:
    """Return what an exam takes above the program itself [bytes].

    Args:
        size: of its series as float32 [bytes].

    Example:
        >>> exam_bytes(1 << 30) >> 20
        1511
    """
    return BASE_BYTES + int(SERIES_FACTOR * size)

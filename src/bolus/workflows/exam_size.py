"""What an exam takes in memory, measured, for whoever asks before it is read."""

BASE_BYTES = 180 << 20
"""What grows whatever the size of the series: compiled kernels, figures, maps of a small grid.

Measured: 130 MiB above what an imported program takes."""
SERIES_FACTOR = 1.3
"""Peak of an exam above that, in sizes of its series as float32.

Measured with a brain of a third of the image (`python benchmarks/memory.py exam-dsc FILE`)."""


def exam_bytes(size: int) -> int:
    """Return what an exam takes above the program itself [bytes].

    Args:
        size: of its series as float32 [bytes].

    Example:
        >>> exam_bytes(1 << 30) >> 20
        1511
    """
    return BASE_BYTES + int(SERIES_FACTOR * size)

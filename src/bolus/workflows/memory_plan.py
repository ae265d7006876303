"""How much memory the sessions of a cohort will need, from their headers, before anything runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from bolus import io
from bolus.errors import Code, ResourceError

GIB = 1 << 30
BASE_BYTES = 450 << 20
"""What a worker takes before it has read anything: interpreter, libraries, compiled kernels.

Measured: 320 MiB, and up to 100 MiB more for Dask."""
SERIES_FACTOR = 2.0
"""Peak of an exam above `BASE_BYTES`, in sizes of its series as float32.

Measured: 1.2 for DSC and DCE of 192 x 192 x 60 x 90 with a brain of a third of the image
(`python benchmarks/memory.py exam-dsc FILE`); the rest is for brains that fill more of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How many workers fit, and what the largest session needs."""

    workers: int
    asked: int
    need_bytes: int
    available_bytes: int | None
    """None where the workers run on other machines."""
    largest: str

    @property
    def words(self) -> str:
        """The plan as one line."""
        need = f"{self.need_bytes / GIB:.1f} GiB a worker (largest: {self.largest})"
        if self.available_bytes is None:
            return f"{_counted(self.workers)}, {need}"
        fewer = "" if self.workers == self.asked else f" instead of {self.asked}"
        return f"{_counted(self.workers)}{fewer}, {need}, {self.available_bytes / GIB:.1f} GiB free"


def plan_memory(
    sessions: Sequence[io.SessionFiles], *, workers: int, available_bytes: int | None
) -> MemoryPlan:
    """Choose how many workers may run at once.

    Args:
        sessions: what is to be computed.
        workers: how many were asked for.
        available_bytes: free memory of this machine, or what one worker gets where `workers` is
            of other machines; None if that is not known.

    Raises:
        ResourceError: the largest session does not fit; nothing was computed.
    """
    needs = [(session_bytes(item), item.key.prefix) for item in sessions]
    need, largest = max(needs, key=lambda pair: pair[0], default=(BASE_BYTES, ""))
    if available_bytes is None:
        chosen = workers
    elif need > available_bytes:
        raise too_little(need, available_bytes, largest)
    else:
        chosen = max(1, min(workers, available_bytes // need))
    return MemoryPlan(
        workers=chosen,
        asked=workers,
        need_bytes=need,
        available_bytes=available_bytes,
        largest=largest,
    )


def too_little(need: int, available: int, session: str) -> ResourceError:
    """Return the refusal of a session that does not fit."""
    return ResourceError(
        Code.MEMORY,
        f"needs about {need / GIB:.1f} GiB of memory, {available / GIB:.1f} GiB are there; "
        "nothing was computed",
        mend="use a machine with more memory, or leave this session out",
        where=session,
    )


def session_bytes(session: io.SessionFiles) -> int:
    """Return what a worker needs for one session [bytes]; its exams run one after the other.

    A series whose header cannot be read counts nothing: it will fail by name when its turn comes.
    """
    series = [path for path in (session.series, session.dce) if path is not None]
    size = max((io.series_bytes(path) for path in series), default=0)
    if session.second_echo is not None and session.series is not None:
        both = io.series_bytes(session.series) + io.series_bytes(session.second_echo)
        size = max(size, both)
    return BASE_BYTES + int(SERIES_FACTOR * size)


def _counted(workers: int) -> str:
    return f"{workers} worker{'' if workers == 1 else 's'}"

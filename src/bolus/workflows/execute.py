"""The same job for many inputs: in this process, in several, or on a cluster; the same results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from bolus.errors import Code, ConfigError, ResourceError

Job = TypeVar("Job")
Result = TypeVar("Result")

Kind = Literal["serial", "processes", "dask"]
KINDS: tuple[Kind, ...] = ("serial", "processes", "dask")
ATTEMPTS = 3
"""So often a job is begun whose worker dies before it is given up."""


class Stopped(BaseException):
    """A worker was told to end: unwinds like Ctrl-C, so that nothing half-written stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slurm:
    """What SLURM is asked for: one job a worker.

    `memory` is in bytes; None takes what the plan says. `extra` are further `#SBATCH` lines.
    """

    partition: str = ""
    time: str = ""
    memory: int | None = None
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Where jobs run, and how many of them at once.

    Example:
        >>> from bolus.workflows.execute import Executor
        >>> Executor(kind="processes", workers=2).workers
        2
    """

    kind: Kind = "serial"
    workers: int = 1
    memory_bytes: int | None = None
    """What one worker may take; a Dask worker that takes more is ended. None: no limit."""
    scheduler: str = ""
    """Address of a Dask scheduler that runs already; "" starts a cluster."""
    slurm: Slurm | None = None

    def __post_init__(self) -> None:
        require_workers(self.workers)
        if self.kind not in KINDS:
            raise _usage(f"'{self.kind}' is not an executor", f"choose from {', '.join(KINDS)}")
        if self.kind != "dask" and (self.scheduler or self.slurm):
            raise _usage(
                f"the executor '{self.kind}' uses no scheduler and no SLURM", "add --executor dask"
            )
        if self.scheduler and self.slurm:
            raise _usage(
                "a scheduler that runs already and SLURM were both asked for", "choose one of them"
            )

    @property
    def remote(self) -> bool:
        """Whether the workers' memory is not that of this machine."""
        return bool(self.scheduler) or self.slurm is not None


def processes(workers: int) -> Executor:
    """Return so many processes of this machine, or this one process where one is enough.

    Raises:
        ConfigError: fewer than one worker.
    """
    return Executor(kind="processes" if workers > 1 else "serial", workers=workers)


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    executor: Executor,
    progress: Callable[[int, int], None],
    finished: Callable[[Result], None] = lambda _result: None,
    lost: Callable[[Job], Result] | None = None,
) -> tuple[Result, ...]:
    """Call a function for every job and return its results in the order of the jobs.

    Each call has one thread, so that sums are added in the same order wherever it runs. When one
    raises, or the run is stopped, the others unwind and no further one begins.

    Args:
        function: of a module, because other processes import it.
        jobs: its arguments, small; what is large should be read or made by the function.
        executor: where they run.
        progress: told how many are done, and of how many.
        finished: told each result as soon as it is there, in any order.
        lost: gives the result of a job whose worker died each of `ATTEMPTS` times. Without it the
            first death ends the run.

    Raises:
        ResourceError: a worker was killed, for instance for memory; the cluster is not reached.
        ConfigError: the packages of the executor are not installed.

    Example:
        >>> from bolus.workflows.execute import Executor, run_jobs
        >>> run_jobs(abs, [-1, 2], executor=Executor(), progress=lambda done, total: None)
        (1, 2)
    """
    board = Board(jobs=jobs, progress=progress, finished=finished, lost=lost)
    progress(0, len(jobs))
    if executor.kind == "dask":
        from bolus.workflows.execute_dask import run_on_dask

        run_on_dask(function, board, executor)
    elif executor.kind == "serial" or executor.workers == 1 or len(jobs) < 2:
        _in_turn(function, board)
    else:
        from bolus.workflows.execute_processes import run_in_processes

        run_in_processes(function, board, workers=min(executor.workers, len(jobs)))
    return board.results()


class Board:
    """What is still to do, what is done, and how often each job has lost its worker."""

    def __init__(
        self,
        *,
        jobs: Sequence[Job],
        progress: Callable[[int, int], None],
        finished: Callable[[Result], None],
        lost: Callable[[Job], Result] | None,
    ) -> None:
        self.jobs: Sequence[object] = jobs
        self._waiting = list(range(len(jobs)))[::-1]
        self._deaths = [0] * len(jobs)
        self._done: dict[int, object] = {}
        self._progress = progress
        self._finished: Callable[..., None] = finished
        self._lost: Callable[..., object] | None = lost

    @property
    def is_complete(self) -> bool:
        """Whether every job has its result."""
        return len(self._done) == len(self.jobs)

    @property
    def attempts(self) -> int:
        """How often a job may lose its worker."""
        return ATTEMPTS if self._lost is not None else 1

    def take(self) -> int | None:
        """Return the next job to begin, or None where none waits."""
        return self._waiting.pop() if self._waiting else None

    def done(self, number: int, result: object) -> None:
        """Keep a result, and tell of it."""
        self._done[number] = result
        self._finished(result)
        self._progress(len(self._done), len(self.jobs))

    def died(self, number: int, *, deaths: int = 1) -> None:
        """Put a job back whose worker died, or give it up.

        Raises:
            ResourceError: it is given up, and nobody said what stands for its result.
        """
        self._deaths[number] += deaths
        if self._deaths[number] < self.attempts:
            self._waiting.append(number)
        elif self._lost is not None:
            self.done(number, self._lost(self.jobs[number]))
        else:
            raise ResourceError(
                Code.MEMORY,
                "a worker process was killed by the system",
                mend="use fewer --workers, or a machine with more memory, and run again",
            )

    def results(self) -> tuple:  # type: ignore[type-arg]  # of whatever the function returns
        """Return the results in the order of the jobs."""
        return tuple(self._done[number] for number in range(len(self.jobs)))


def require_workers(workers: int) -> None:
    """Raise unless there is somebody to do the work.

    Raises:
        ConfigError: fewer than one worker.
    """
    if workers < 1:
        raise _usage(f"{workers} workers are asked for", "use --workers 1 or more")


def _usage(what: str, mend: str) -> ConfigError:
    return ConfigError(Code.USAGE, what, mend=mend)


def _in_turn(function: Callable[..., object], board: Board) -> None:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        while (number := board.take()) is not None:
            board.done(number, function(board.jobs[number]))

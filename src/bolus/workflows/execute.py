"""The same job for many inputs, in this process or in several, with the same results."""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from types import FrameType
from typing import TypeVar

from bolus.errors import Code, ConfigError, ResourceError

Job = TypeVar("Job")
Result = TypeVar("Result")

_WORKER = {"busy": False, "stopped": False}
"""State of a worker process, for its signal handler."""


class Stopped(BaseException):
    """A worker was told to end: unwinds like Ctrl-C, so that nothing half-written stays."""


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> tuple[Result, ...]:
    """Call a function for every job and return its results in the order of the jobs.

    Each call has one thread, so that sums are added in the same order wherever it runs. When one
    fails, or the run is stopped, the others unwind and no further one begins.

    Args:
        function: of a module, because other processes import it.
        jobs: its arguments, small; what is large should be read or made by the function.
        workers: processes; 1 runs all jobs in this one.
        progress: told how many are done, and of how many.

    Raises:
        ConfigError: fewer than one worker.
        ResourceError: a worker was killed, for instance for memory.

    Example:
        >>> from bolus.workflows.execute import run_jobs
        >>> run_jobs(abs, [-1, 2], workers=1, progress=lambda done, total: None)
        (1, 2)
    """
    require_workers(workers)
    progress(0, len(jobs))
    if workers == 1 or len(jobs) < 2:
        return _in_turn(function, jobs, progress)
    return _in_processes(function, jobs, workers=min(workers, len(jobs)), progress=progress)


def require_workers(workers: int) -> None:
    """Raise unless there is somebody to do the work.

    Raises:
        ConfigError: fewer than one worker.
    """
    if workers < 1:
        raise ConfigError(
            Code.USAGE, f"{workers} workers are asked for", mend="use --workers 1 or more"
        )


def _in_turn(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    progress: Callable[[int, int], None],
) -> tuple[Result, ...]:
    from threadpoolctl import threadpool_limits

    results = []
    with threadpool_limits(1):
        for job in jobs:
            results.append(function(job))
            progress(len(results), len(jobs))
    return tuple(results)


def _in_processes(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> tuple[Result, ...]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare_worker
    )
    try:
        futures: list[Future[Result]] = [pool.submit(_guarded, function, job) for job in jobs]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            progress(done, len(jobs))
        results = tuple(future.result() for future in futures)
    except BaseException as failure:
        _stop(pool, others)
        if isinstance(failure, BrokenProcessPool):
            raise ResourceError(
                Code.MEMORY,
                "a worker process was killed by the system",
                mend="use fewer --workers, or a machine with more memory, and run again",
            ) from failure
        raise
    pool.shutdown()
    return results


def _stop(pool: ProcessPoolExecutor, others: set[multiprocessing.process.BaseProcess]) -> None:
    """End the workers, and wait until what they were writing is cleared away."""
    pool.shutdown(wait=False, cancel_futures=True)
    for child in set(multiprocessing.active_children()) - others:
        child.terminate()
    pool.shutdown(wait=True)


def _guarded(function: Callable[[Job], Result], job: Job) -> Result:
    """Run one job in a worker; one that was told to end begins no further job."""
    from threadpoolctl import threadpool_limits

    if _WORKER["stopped"]:
        raise Stopped
    _WORKER["busy"] = True
    try:
        with threadpool_limits(1):
            return function(job)
    finally:
        _WORKER["busy"] = False


def _prepare_worker() -> None:
    """Leave Ctrl-C to the main process, which tells every worker to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _on_term)


def _on_term(_number: int, _frame: FrameType | None) -> None:
    # An idle worker ends when the pool closes; a second signal must not disturb the clearing up.
    first, _WORKER["stopped"] = not _WORKER["stopped"], True
    if first and _WORKER["busy"]:
        raise Stopped

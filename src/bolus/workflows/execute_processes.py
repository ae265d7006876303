"""Jobs in several processes of this machine; each worker is a pool of one, so deaths have names."""

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import FrameType

from bolus.workflows.execute import Board, Stopped

POLL_S = 0.5
"""So often the main process looks whether it was told to stop."""

_WORKER = {"busy": False, "stopped": False}
"""State of a worker process, for its signal handler."""


def run_in_processes(function: Callable[..., object], board: Board, *, workers: int) -> None:
    """Do all jobs of a board; a job whose worker was killed is begun again by a new one.

    Args:
        function: of a module, because the processes import it.
        board: the jobs, and where their results go.
        workers: processes.

    Raises:
        ResourceError: a worker was killed, and the board gives up on its job.
    """
    others = set(multiprocessing.active_children())
    free = [_worker() for _ in range(workers)]
    busy: dict[Future[object], tuple[int, ProcessPoolExecutor]] = {}
    try:
        while not board.is_complete:
            while free and (number := board.take()) is not None:
                pool = free.pop()
                busy[pool.submit(_guarded, function, board.jobs[number])] = (number, pool)
            for future in wait(busy, timeout=POLL_S, return_when=FIRST_COMPLETED).done:
                number, pool = busy.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    pool.shutdown(wait=True)
                    free.append(_worker())
                    board.died(number)
                else:
                    free.append(pool)
                    board.done(number, result)
    except BaseException:
        _stop([*free, *(pool for _, pool in busy.values())], others)
        raise
    for pool in free:
        pool.shutdown()


def _worker() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, mp_context=context, initializer=_prepare_worker)


def _stop(
    pools: list[ProcessPoolExecutor], others: set[multiprocessing.process.BaseProcess]
) -> None:
    """End the workers, and wait until what they were writing is cleared away."""
    for child in set(multiprocessing.active_children()) - others:
        child.terminate()
    for pool in pools:
        pool.shutdown(wait=True, cancel_futures=True)


def _guarded(function: Callable[..., object], job: object) -> object:
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

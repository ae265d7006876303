"""Jobs on Dask: workers on this machine, behind a scheduler that runs already, or under SLURM.

Each worker is given one job at a time by its address, so that a worker that dies takes exactly the
job it was doing, and the job's deaths are counted here.
"""

import contextlib
import ctypes
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from bolus import __version__
from bolus.errors import Code, ConfigError, ResourceError
from bolus.workflows.execute import ATTEMPTS, Board, Executor, Stopped

CONNECT_S = 30
POLL_S = 0.2
MEND_S = 10
"""So long a worker of this machine may be missing before another one is started."""
UNWIND_S = 20
"""So long a job that was told to end may take to clear away what it was writing."""

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Environment of every worker: it does one job at a time, in one thread."""

_SETTINGS: dict[str, Any] = {
    # a death is counted by the board, and the job given out again by it
    "distributed.scheduler.allowed-failures": 0,
    # a kernel that holds the interpreter for minutes is not dead
    "distributed.scheduler.worker-ttl": "1 hour",
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # a paused worker would wait for memory that its one job keeps
    "distributed.worker.memory.pause": False,
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(ONE_THREAD, "1"),
}

_STOPPED = "stopped"
_JOB: dict[str, int | None] = {"thread": None}
"""The thread of a worker that has a job, for whoever stops it."""
_LOCK = threading.Lock()


def run_on_dask(function: Callable[..., object], board: Board, executor: Executor) -> None:
    """Do all jobs of a board on Dask workers.

    Args:
        function: of a module, because the workers import it.
        board: the jobs, and where their results go.
        executor: how many workers, and where.

    Raises:
        ConfigError: Dask is not installed, or workers are not as they must be.
        ResourceError: the cluster is not reached or went away; a job was given up.
    """
    if not board.jobs:
        return
    require_dask(executor)
    import dask
    import distributed  # noqa: F401  # loads its own settings first, which are changed here

    with dask.config.set(_SETTINGS), _quiet(), _connected(executor, len(board.jobs)) as client:
        if executor.scheduler:
            _require_usable(client)
        else:
            client.register_plugin(_plugin())
        futures: dict[Any, tuple[int, str]] = {}
        try:
            _feed(function, board, client, futures, once=bool(executor.scheduler))
        except BaseException:
            with contextlib.suppress(Exception):
                _stop(client, futures)
            raise


def require_dask(executor: Executor) -> None:
    """Raise unless the packages of a Dask executor are installed.

    Raises:
        ConfigError: one is not; the message says how to get it.
    """
    needed = ["distributed", *(() if executor.scheduler else ("cryptography",))]
    needed += ["dask_jobqueue"] if executor.slurm else []
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ConfigError(
            Code.USAGE,
            f"--executor dask needs the package {missing[0]}, which is not installed",
            mend="pip install 'bolus[cohort]', or use --executor processes",
        )


def _feed(
    function: Callable[..., object],
    board: Board,
    client: Any,
    futures: dict[Any, tuple[int, str]],
    *,
    once: bool,
) -> None:
    """Give each worker one job by name, and collect results until the board is complete."""
    from distributed import wait

    wanted = len(getattr(client.cluster, "worker_spec", ()))
    full = time.monotonic()
    while not board.is_complete:
        there = _workers(client)
        if len(there) >= wanted:
            full = time.monotonic()
        elif time.monotonic() > full + MEND_S and _is_local(client):
            # a nanny gives up on a worker that dies while it is being started
            client.cluster.scale(len(client.cluster.worker_spec) + wanted - len(there))
            full = time.monotonic()
        for address in sorted(set(there) - {place for _, place in futures.values()}):
            number = board.take()
            if number is None:
                break
            future = client.submit(
                on_worker, function, board.jobs[number], __version__,
                pure=False, retries=0, workers=[address], allow_other_workers=False,
            )  # fmt: skip
            futures[future] = (number, address)
        if not futures:
            time.sleep(POLL_S)
            continue
        with contextlib.suppress(TimeoutError):
            wait(list(futures), timeout=POLL_S, return_when="FIRST_COMPLETED")
        for future in [f for f in futures if f.done() or futures[f][1] not in there]:
            number, _ = futures.pop(future)
            _collect(future, number, board, once=once)


def _is_local(client: Any) -> bool:
    from distributed import LocalCluster

    return isinstance(client.cluster, LocalCluster)


def _collect(future: Any, number: int, board: Board, *, once: bool) -> None:
    """Take the result of a job that is done, or whose worker is gone."""
    from distributed import CancelledError, KilledWorker

    if not future.done():  # given to a worker that was gone by then: it never began
        future.cancel()
        board.died(number, deaths=0)
        return
    try:
        result = future.result(timeout=CONNECT_S)
    except KilledWorker:
        # a foreign scheduler counts by itself how often it tries
        board.died(number, deaths=ATTEMPTS if once else 1)
    except (CancelledError, TimeoutError) as failure:
        raise _unreachable("the connection to the Dask scheduler was lost") from failure
    else:
        board.done(number, result)


def _workers(client: Any) -> dict[str, int]:
    """Return address and threads of the workers that are there."""
    try:
        return dict(client.nthreads())
    except (OSError, RuntimeError) as failure:
        raise _unreachable("the connection to the Dask scheduler was lost") from failure


def on_worker(function: Callable[..., object], job: object, version: str) -> object:
    """Run one job in a worker, in one thread, so that it can be told to end.

    Raises:
        ConfigError: the worker has another version of bolus.
    """
    from threadpoolctl import threadpool_limits

    if version != __version__:
        raise ConfigError(
            Code.USAGE,
            f"a Dask worker has bolus {__version__}, and this is {version}",
            mend="start the workers from the same environment",
        )
    with _LOCK:
        _JOB["thread"] = threading.get_ident()
    try:
        with threadpool_limits(1):
            result = function(job)
    except Stopped:
        return _STOPPED
    finally:
        with _LOCK:
            thread, _JOB["thread"] = _JOB["thread"], None
            _raise_in(thread, None)
    return result


def interrupt() -> None:
    """Make the job of this worker unwind, as Ctrl-C would."""
    with _LOCK:
        _raise_in(_JOB["thread"], Stopped)


def _raise_in(thread: int | None, kind: type[BaseException] | None) -> None:
    """Raise in a thread at its next step, or take back what it has not raised yet."""
    if thread is not None:
        error = ctypes.py_object(kind) if kind is not None else None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


def _stop(client: Any, futures: dict[Any, tuple[int, str]]) -> None:
    """End the jobs that run, and wait until what they were writing is cleared away."""
    from distributed import wait

    client.run(interrupt, on_error="ignore")
    wait(list(futures), timeout=UNWIND_S)


@contextlib.contextmanager
def _connected(executor: Executor, jobs: int) -> Iterator[Any]:
    from distributed import Client

    with contextlib.ExitStack() as stack:
        if executor.scheduler:
            try:
                client = Client(executor.scheduler, timeout=CONNECT_S)
            except (OSError, ValueError, TimeoutError) as failure:
                raise _unreachable("no Dask scheduler answers").at(executor.scheduler) from failure
            yield stack.enter_context(client)
            return
        if executor.slurm is not None:
            from bolus.workflows.execute_slurm import slurm_cluster

            cluster = stack.enter_context(slurm_cluster(executor, jobs))
        else:
            cluster = stack.enter_context(_local(min(executor.workers, jobs), executor))
        yield stack.enter_context(Client(cluster))


def _local(workers: int, executor: Executor) -> Any:
    """Start workers on this machine that nobody else on it can talk to."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        security=True,
        dashboard_address=None,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        memory_limit=executor.memory_bytes or 0,
        silence_logs=logging.CRITICAL,
    )


def _plugin() -> Any:
    from distributed import WorkerPlugin

    class LeaveSignals(WorkerPlugin):
        """Leave Ctrl-C to the main process, which tells every worker to end."""

        name = "bolus-signals"

        def setup(self, worker: Any) -> None:
            del worker
            with contextlib.suppress(ValueError):  # not in the main thread: gets no signals
                signal.signal(signal.SIGINT, signal.SIG_IGN)

    return LeaveSignals()


def _require_usable(client: Any) -> None:
    """Raise unless every worker of a foreign scheduler does one job at a time."""
    many = [address for address, threads in _workers(client).items() if threads != 1]
    if many:
        raise ConfigError(
            Code.USAGE,
            f"{len(many)} Dask workers have several threads (first: {many[0]})",
            mend="start them with: dask worker ADDRESS --nthreads 1",
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from writing about workers that come and go: what matters is a result here."""
    names = (
        "distributed",
        "distributed.nanny",
        "distributed.scheduler",
        "dask_jobqueue",
        "asyncio",
    )
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _unreachable(what: str) -> ResourceError:
    return ResourceError(
        Code.CLUSTER_LOST,
        what,
        mend="check the address and that the cluster runs, then run again: it goes on where it was",
    )

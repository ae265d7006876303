"""What every executor promises: the same results, in order, whatever happens to its workers."""

import os
import signal
import threading
import time

import pytest
from executor_jobs import (
    deadly_three,
    deadly_twice,
    later_first,
    leave_a_mark,
    refuse_three,
    square,
    threads,
)

from bolus.errors import Code, ConfigError, ResourceError
from bolus.workflows.execute import Executor, Slurm, run_jobs

DASK = pytest.param(Executor(kind="dask", workers=2), id="dask")
PROCESSES = pytest.param(Executor(kind="processes", workers=2), id="processes")
SERIAL = pytest.param(Executor(), id="serial")
EVERY = pytest.mark.parametrize("executor", [SERIAL, PROCESSES, DASK])
OTHERS = pytest.mark.parametrize("executor", [PROCESSES, DASK])


def unheard(_done, _total):
    pass


@EVERY
def test_results_come_in_the_order_of_the_jobs_whoever_is_first(executor):
    told, finished = [], []

    found = run_jobs(
        later_first, range(6), executor=executor,
        progress=lambda done, total: told.append((done, total)), finished=finished.append,
    )  # fmt: skip

    assert found == tuple(range(6))
    assert told == [(n, 6) for n in range(7)]
    assert sorted(finished) == list(range(6))


@EVERY
def test_nothing_to_do_is_done_at_once(executor):
    assert run_jobs(square, [], executor=executor, progress=unheard) == ()


@EVERY
def test_a_job_has_one_thread(executor):
    assert set(run_jobs(threads, range(3), executor=executor, progress=unheard)) == {1}


@EVERY
def test_what_a_job_raises_ends_the_run(executor):
    with pytest.raises(ValueError, match="three"):
        run_jobs(refuse_three, range(6), executor=executor, progress=unheard)


@OTHERS
def test_a_job_that_kills_each_worker_is_given_up_and_the_others_are_done(executor):
    found = run_jobs(
        deadly_three, range(6), executor=executor, progress=unheard, lost=lambda job: f"lost {job}"
    )

    assert found == (0, 1, 2, "lost 3", 4, 5)


@OTHERS
def test_a_job_whose_worker_died_twice_is_done_by_the_third(executor, tmp_path):
    found = run_jobs(
        deadly_twice, [(n, str(tmp_path)) for n in range(4)], executor=executor, progress=unheard,
        lost=lambda job: "lost",
    )  # fmt: skip

    assert found == (0, 1, 2, 3)
    assert len(list(tmp_path.iterdir())) == 2


@OTHERS
def test_without_a_stand_in_a_dead_worker_ends_the_run_with_a_reason(executor):
    with pytest.raises(ResourceError, match="killed by the system") as caught:
        run_jobs(deadly_three, range(6), executor=executor, progress=unheard)

    assert caught.value.code is Code.MEMORY


@OTHERS
def test_a_stopped_run_lets_its_jobs_clear_up(executor, tmp_path):
    def stop_when_both_work():
        while len(list(tmp_path.glob("working-*"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=stop_when_both_work)
    watcher.start()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(
            leave_a_mark, [(n, str(tmp_path)) for n in range(4)], executor=executor,
            progress=unheard,
        )  # fmt: skip
    watcher.join()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": 0}, "0 workers"),
        ({"kind": "threads"}, "'threads' is not an executor"),
        ({"kind": "processes", "scheduler": "tcp://x:1"}, "no scheduler"),
        ({"kind": "serial", "slurm": Slurm(partition="long")}, "no SLURM"),
        ({"kind": "dask", "scheduler": "tcp://x:1", "slurm": Slurm()}, "both asked for"),
    ],
)
def test_an_executor_that_makes_no_sense_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words) as caught:
        Executor(**settings)

    assert caught.value.code is Code.USAGE


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    from bolus.workflows import execute_dask

    monkeypatch.setattr(execute_dask, "CONNECT_S", 1)
    executor = Executor(kind="dask", scheduler="tcp://127.0.0.1:9")

    with pytest.raises(ResourceError, match="no Dask scheduler answers") as caught:
        run_jobs(square, [1], executor=executor, progress=unheard)

    assert caught.value.code is Code.CLUSTER_LOST
    assert caught.value.where == "tcp://127.0.0.1:9"


def test_a_scheduler_that_runs_already_is_used():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        executor = Executor(kind="dask", scheduler=cluster.scheduler_address)
        assert run_jobs(square, range(3), executor=executor, progress=unheard) == (0, 1, 4)


def test_workers_with_several_threads_are_refused():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        executor = Executor(kind="dask", scheduler=cluster.scheduler_address)
        with pytest.raises(ConfigError, match="several threads"):
            run_jobs(square, range(3), executor=executor, progress=unheard)

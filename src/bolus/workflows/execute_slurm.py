"""Workers under SLURM: one job each, through dask-jobqueue."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bolus.errors import Code, ConfigError, ResourceError
from bolus.workflows.execute import Executor, Slurm
from bolus.workflows.execute_dask import ONE_THREAD

GIB = 1 << 30
DEFAULT_TIME = "12:00:00"
_ADDRESS = "tls://ADDRESS:PORT"
_DASK_MEMORY = ("PAUSE", "SPILL", "TARGET")


def job_script(executor: Executor) -> str:
    """Return the script that every worker's job would be submitted with; nothing is started.

    Args:
        executor: with `slurm`.
    """
    from dask_jobqueue.slurm import SLURMJob

    return str(SLURMJob(scheduler=_ADDRESS, name="NAME", **_job(executor)).job_script())


@contextlib.contextmanager
def slurm_cluster(executor: Executor, jobs: int) -> Iterator[Any]:
    """Start a scheduler here and workers under SLURM; a worker whose job ended is replaced.

    Args:
        executor: with `slurm`.
        jobs: how many there are to do; no more workers are asked for.

    Raises:
        ConfigError: there is no SLURM on this machine.
        ResourceError: SLURM refused the job.
    """
    from dask_jobqueue.slurm import SLURMCluster

    require_slurm()
    workers = min(executor.workers, jobs)
    shared = Path.cwd()  # every node has to see the folder that the run was started in
    with contextlib.ExitStack() as stack:
        try:
            cluster = SLURMCluster(
                **_job(executor),
                security=True,
                shared_temp_directory=str(shared),
                scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            )
            stack.enter_context(cluster)
            cluster.adapt(minimum_jobs=workers, maximum_jobs=workers, interval="5s")
        except RuntimeError as failure:
            raise ResourceError(
                Code.CLUSTER_LOST,
                f"SLURM refused the job: {' '.join(str(failure).split())[-200:]}",
                mend="check --slurm-partition, --slurm-time and --slurm-extra with --dry-run",
            ) from failure
        yield cluster


def require_slurm() -> None:
    """Raise unless jobs can be given to SLURM from here.

    Raises:
        ConfigError: there is no `sbatch`.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(
            Code.USAGE,
            "SLURM was asked for, and there is no sbatch on this machine",
            mend="run this on a login node of the cluster, or leave the --slurm options out",
        )


def _job(executor: Executor) -> dict[str, Any]:
    """Return the settings of one worker's job."""
    slurm = executor.slurm or Slurm()
    pins = [f"export {name}=1" for name in ONE_THREAD]
    pins += [f"export DASK_DISTRIBUTED__WORKER__MEMORY__{name}=False" for name in _DASK_MEMORY]
    pins += [
        f"export {name}='{os.environ[name]}'"
        for name in ("NUMBA_CACHE_DIR", "SOURCE_DATE_EPOCH")
        if name in os.environ
    ]
    return {
        "queue": slurm.partition or None,
        "cores": 1,
        "processes": 1,
        "memory": f"{slurm.memory or executor.memory_bytes or 4 * GIB}B",
        "walltime": slurm.time or DEFAULT_TIME,
        "job_name": "bolus",
        "job_extra_directives": list(slurm.extra),
        "job_script_prologue": pins,
        "config_name": "slurm",
    }

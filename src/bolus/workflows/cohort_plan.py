"""What a run over a dataset will do: its sessions, how many at once, and under SLURM which job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bolus import io
from bolus.errors import Code, ConfigError
from bolus.workflows.execute import Executor
from bolus.workflows.memory_plan import MemoryPlan, plan_memory, too_little

_STEP_BYTES = 256 << 20
"""Memory asked of SLURM is rounded up to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortPlan:
    """The sessions, the memory they need, and the executor that fits it."""

    sessions: tuple[io.SessionFiles, ...]
    memory: MemoryPlan
    executor: Executor
    script: str
    """Under SLURM the job script of a worker, otherwise ""."""


def plan_cohort(
    bids_dir: Path,
    *,
    executor: Executor,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> CohortPlan:
    """Choose the sessions and the number of workers; nothing is started or written.

    Args:
        bids_dir: the dataset.
        executor: what was asked for.
        participants: subject labels to keep, all if empty.
        sessions: session labels to keep, all if empty.

    Raises:
        FileError: the dataset holds no series, or not those asked for.
        ConfigError: no such session; a package the executor needs is not installed.
        ResourceError: the largest session does not fit into the memory there is.
    """
    if executor.kind == "dask":
        from bolus.workflows.execute_dask import require_dask

        require_dask(executor)
    chosen = choose_sessions(bids_dir, participants=participants, sessions=sessions)
    available = None if executor.remote else io.available_memory_bytes()
    memory = plan_memory(chosen, workers=executor.workers, available_bytes=available)
    fitted = _fitted(executor, memory)
    script = ""
    if fitted.slurm is not None:
        from bolus.workflows.execute_slurm import job_script

        script = job_script(fitted)
    return CohortPlan(sessions=chosen, memory=memory, executor=fitted, script=script)


def choose_sessions(
    bids_dir: Path, *, participants: Sequence[str] = (), sessions: Sequence[str] = ()
) -> tuple[io.SessionFiles, ...]:
    """Return the sessions asked for, in order of subject and session.

    Raises:
        FileError: the dataset holds no series, or not those asked for.
        ConfigError: no such session.
    """
    found = io.find_sessions(bids_dir, subjects=participants)
    wanted = {label.removeprefix("ses-") for label in sessions}
    chosen = tuple(item for item in found if not wanted or item.key.session in wanted)
    if not chosen:
        raise ConfigError(
            Code.DATASET_INVALID,
            f"no session {', '.join(sorted(wanted))} with a DSC or DCE series",
            mend="check --session-label",
            where=str(bids_dir),
        )
    return chosen


def _fitted(executor: Executor, memory: MemoryPlan) -> Executor:
    """Return the executor with as many workers as fit, each with its share of the memory."""
    if executor.slurm is not None:
        asked = executor.slurm.memory
        if asked is not None and asked < memory.need_bytes:
            raise too_little(memory.need_bytes, asked, memory.largest)
        each = asked or -(-memory.need_bytes // _STEP_BYTES) * _STEP_BYTES
        return replace(executor, memory_bytes=each)
    if memory.available_bytes is None:
        return executor
    each = memory.available_bytes // memory.workers
    return replace(executor, workers=memory.workers, memory_bytes=each)

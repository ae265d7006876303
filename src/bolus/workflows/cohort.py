"""Every session of a dataset, here or on many workers; a failed one is a row, not the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bolus import io
from bolus.errors import Code, ConfigError
from bolus.workflows.cohort_plan import plan_cohort
from bolus.workflows.config import Config
from bolus.workflows.execute import Executor, run_jobs
from bolus.workflows.progress import Progress, silent
from bolus.workflows.session import SessionJob, SessionOutcome, lost_session, run_session

FAILED_NAME = "failed.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortOutcome:
    """What became of every step of every session, in order."""

    sessions: tuple[SessionOutcome, ...]

    @property
    def failed(self) -> tuple[SessionOutcome, ...]:
        """The steps without a report."""
        return tuple(s for s in self.sessions if s.error is not None)


def run_cohort(
    bids_dir: Path,
    out_dir: Path,
    config: Config,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
    executor: Executor | None = None,
    progress: Progress = silent,
    finished: Callable[[tuple[SessionOutcome, ...]], None] = lambda _steps: None,
) -> CohortOutcome:
    """Quantify every session of a BIDS-like dataset into a derivatives dataset.

    The same bytes come out wherever and in whatever order the sessions run.

    Args:
        bids_dir: the dataset.
        out_dir: becomes a BIDS derivatives dataset; what is complete there is skipped.
        config: settings.
        participants: subject labels to keep, all if empty.
        sessions: session labels to keep, all if empty.
        executor: where sessions run and how many at once; None: one after the other, here.
        progress: told about every session, and where they run here about its stages.
        finished: told the steps of each session as soon as they are done, in any order.

    Raises:
        FileError: the dataset holds no series, or not those asked for.
        ConfigError: the output lies inside the raw data, other than in `derivatives`.
        ResourceError: a session needs more memory than there is; a cluster is not reached.
    """
    _require_apart(bids_dir, out_dir)
    executor = executor or Executor()
    if executor.kind != "serial":  # a worker may stand in another folder
        bids_dir, out_dir = bids_dir.resolve(), out_dir.resolve()
    plan = plan_cohort(bids_dir, executor=executor, participants=participants, sessions=sessions)
    for name, text in io.derivative_files(name="bolus perfusion maps").items():
        io.write_atomically(out_dir / name, text.encode())
    # only this process can be told about stages while they run
    here = plan.executor.kind == "serial"
    outcomes = run_jobs(
        partial(run_session, progress=progress) if here else run_session,
        [SessionJob(files=f, out_dir=out_dir, config=config) for f in plan.sessions],
        executor=plan.executor,
        progress=lambda done, total: progress("Sessions", done, total),
        finished=finished,
        lost=lost_session,
    )
    outcome = CohortOutcome(sessions=tuple(step for steps in outcomes for step in steps))
    _write_failed(out_dir / FAILED_NAME, outcome)
    return outcome


def _write_failed(path: Path, outcome: CohortOutcome) -> None:
    """List what failed; no list where nothing did, so that its presence means something."""
    if not outcome.failed:
        path.unlink(missing_ok=True)
        return
    rows = [
        (
            s.key.subject,
            s.key.session or None,
            s.step,
            str(s.error.code),
            s.error.what,
            s.error.mend,
        )
        for s in outcome.failed
        if s.error is not None
    ]
    io.write_table(path, ("subject", "session", "step", "code", "what", "mend"), rows)


def _require_apart(bids_dir: Path, out_dir: Path) -> None:
    raw, out = bids_dir.resolve(), out_dir.resolve()
    if out == raw or (out.is_relative_to(raw) and "derivatives" not in out.relative_to(raw).parts):
        raise ConfigError(
            Code.USAGE,
            "the output would lie among the raw data",
            mend=f"use {bids_dir / 'derivatives' / 'bolus'} or a folder elsewhere",
            where=str(out_dir),
        )

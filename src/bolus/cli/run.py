"""The command `bolus run`: a whole dataset, session by session, and then as a group."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bolus.cli import show
from bolus.cli.cohort_progress import cohort_progress
from bolus.cli.failure import EXIT_SOME_FAILED

if TYPE_CHECKING:
    from bolus.workflows.execute import Slurm

_LEVELS = ("participant", "group")
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def run(
    context: typer.Context,
    bids_dir: Annotated[
        Path, typer.Argument(help="Dataset with sub-*/[ses-*/]perf/*_dsc.nii.gz or *_dce.nii.gz.")
    ],
    out_dir: Annotated[Path, typer.Argument(help="Becomes a BIDS derivatives dataset.")],
    level: Annotated[str, typer.Argument(help="participant, or group for the report over all.")],
    participant_label: Annotated[
        list[str] | None, typer.Option(help="Only these subjects (may be repeated).")
    ] = None,
    session_label: Annotated[
        list[str] | None, typer.Option(help="Only these sessions (may be repeated).")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    executor: Annotated[str, typer.Option(help="serial, processes or dask.")] = "serial",
    workers: Annotated[
        int | None,
        typer.Option(
            help="How many sessions at once; fewer if memory is short. Left out: "
            "1 for serial, else one a processor."
        ),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="Dask: scheduler that runs already, such as tcp://node1:8786.")
    ] = "",
    slurm_partition: Annotated[str, typer.Option(help="Dask under SLURM: partition.")] = "",
    slurm_time: Annotated[str, typer.Option(help="SLURM: time of a job, such as 04:00:00.")] = "",
    slurm_memory: Annotated[
        str, typer.Option(help="SLURM: memory of a job, such as 8G; left out: by the plan.")
    ] = "",
    slurm_extra: Annotated[
        list[str] | None,
        typer.Option(help="SLURM: one more line of the job, such as --account=lab."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; start and write nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Quantify every session of a BIDS-like dataset; what is complete is skipped."""
    from bolus.workflows import cohort, cohort_plan, execute
    from bolus.workflows import config as settings

    if level not in _LEVELS:
        raise typer.BadParameter(f"level is '{level}', expected {' or '.join(_LEVELS)}")
    if level == "group":
        _group(context, bids_dir, out_dir, config)
        return
    chosen = execute.Executor(
        kind=executor,  # type: ignore[arg-type]  # checked by the executor itself
        workers=_usual_workers(executor) if workers is None else workers,
        scheduler=scheduler,
        slurm=_slurm(slurm_partition, slurm_time, slurm_memory, slurm_extra or []),
    )
    read = settings.read_config(config)
    if dry_run:
        plan = cohort_plan.plan_cohort(
            bids_dir, executor=chosen,
            participants=participant_label or (), sessions=session_label or (),
        )  # fmt: skip
        show.cohort_plan(plan, as_json=context.obj)
        return
    with cohort_progress(shown=not quiet) as view:
        outcome = cohort.run_cohort(
            bids_dir,
            out_dir,
            read,
            participants=participant_label or (),
            sessions=session_label or (),
            executor=chosen,
            progress=view.progress,
            finished=view.finished,
        )
    show.cohort(outcome, out_dir, as_json=context.obj)
    if outcome.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _group(context: typer.Context, bids_dir: Path, out_dir: Path, config: Path | None) -> None:
    from bolus.workflows import config as settings
    from bolus.workflows.group import run_group
    from bolus.workflows.habitats_score import score_if_followed

    read = settings.read_config(config)
    outcome = run_group(bids_dir, out_dir)
    habitats = score_if_followed(bids_dir, out_dir, read)
    show.group(outcome, habitats, as_json=context.obj)


def _usual_workers(executor: str) -> int:
    if executor == "serial":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _slurm(partition: str, time: str, memory: str, extra: list[str]) -> "Slurm | None":
    """Return what SLURM is asked for, or None where no option of it was given."""
    from bolus.workflows.execute import Slurm

    if not (partition or time or memory or extra):
        return None
    return Slurm(
        partition=partition, time=time, memory=_bytes(memory) if memory else None,
        extra=tuple(extra),
    )  # fmt: skip


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None:
        raise typer.BadParameter(f"--slurm-memory is '{text}', expected a size such as 8G")
    return int(match[1]) * _SIZES[match[2].upper()]

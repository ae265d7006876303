"""The commands `bolus habitats fit|assign|track|score`."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show_habitats as show
from bolus.cli.failure import EXIT_SOME_FAILED
from bolus.cli.progress import progress_bars

habitats = typer.Typer(
    name="habitats",
    help="Tumour habitats: learn them, find them, follow them, and score what they did.",
)

BidsDir = Annotated[Path, typer.Argument(help="The dataset.")]
OutDir = Annotated[Path, typer.Argument(help="Where bolus run ... participant has written.")]
Model = Annotated[
    Path | None,
    typer.Option(help="Model from bolus habitats fit; left out: the one that comes with bolus."),
]
Participants = Annotated[
    list[str] | None, typer.Option("--participant-label", help="Only these subjects (repeat).")
]
Sessions = Annotated[
    list[str] | None, typer.Option("--session-label", help="Only these sessions (repeat).")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")]
Workers = Annotated[int, typer.Option(help="Processes.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


@habitats.command()
def fit(
    context: typer.Context,
    bids_dir: BidsDir,
    out_dir: OutDir,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model.")],
    participant_label: Participants = None,
    number: Annotated[
        int, typer.Option("--habitats", help="How many: 2 or 3, for which there are names.")
    ] = 3,
    method: Annotated[str, typer.Option(help="mixture or k-means.")] = "mixture",
    share: Annotated[
        float, typer.Option(help="Fit on this share of the patients; the others can test it.")
    ] = 1.0,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Learn habitats on the finished sessions of a cohort, and freeze them."""
    from bolus.workflows import config as settings
    from bolus.workflows.habitats_fit import FitRequest, fit_cohort

    request = FitRequest(
        bids_dir=bids_dir,
        out_dir=out_dir,
        output=output,
        participants=tuple(participant_label or ()),
        habitats=number,
        method=method,
        share=share,
    )
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = fit_cohort(request, read, progress=progress)
    show.model(outcome, as_json=context.obj)


@habitats.command()
def assign(
    context: typer.Context,
    bids_dir: BidsDir,
    out_dir: OutDir,
    model: Model = None,
    participant_label: Participants = None,
    session_label: Sessions = None,
    config: ConfigFile = None,
    workers: Workers = 1,
    quiet: Quiet = False,
) -> None:
    """Write the habitats of every visit; what is complete is skipped."""
    from bolus.workflows import config as settings
    from bolus.workflows.habitats_assign import CohortRequest, assign_cohort

    request = CohortRequest(
        bids_dir=bids_dir,
        out_dir=out_dir,
        model=model,
        participants=tuple(participant_label or ()),
        sessions=tuple(session_label or ()),
        workers=workers,
    )
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = assign_cohort(request, read, progress=progress)
    show.steps(outcome, "visits", as_json=context.obj)
    if outcome.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@habitats.command()
def track(
    context: typer.Context,
    bids_dir: BidsDir,
    out_dir: OutDir,
    model: Model = None,
    score_file: Annotated[
        Path | None,
        typer.Option("--score", help="score.json of bolus habitats score, to score patients with."),
    ] = None,
    participant_label: Participants = None,
    session_label: Sessions = None,
    config: ConfigFile = None,
    workers: Workers = 1,
    quiet: Quiet = False,
) -> None:
    """Follow the habitats of every patient from visit to visit; what is complete is skipped."""
    from bolus.workflows import config as settings
    from bolus.workflows.habitats_assign import CohortRequest
    from bolus.workflows.habitats_track import track_cohort

    request = CohortRequest(
        bids_dir=bids_dir,
        out_dir=out_dir,
        model=model,
        score=score_file,
        participants=tuple(participant_label or ()),
        sessions=tuple(session_label or ()),
        workers=workers,
    )
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = track_cohort(request, read, progress=progress)
    show.steps(outcome, "patients", as_json=context.obj)
    if outcome.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


@habitats.command()
def score(
    context: typer.Context,
    bids_dir: BidsDir,
    out_dir: OutDir,
    clinical: Annotated[
        Path | None, typer.Option(help="Table of outcomes and covariates, one row a patient.")
    ] = None,
    outcome: Annotated[str, typer.Option(help="progression or death.")] = "progression",
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Score what habitats did in a cohort against its outcomes, and write the cohort's report."""
    from bolus.workflows import config as settings
    from bolus.workflows.habitats_score import ScoreRequest, score_cohort

    request = ScoreRequest(bids_dir=bids_dir, out_dir=out_dir, clinical=clinical, outcome=outcome)
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        found = score_cohort(request, read, progress=progress)
    show.score(found, as_json=context.obj)

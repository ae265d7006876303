"""The command `bolus predict`: what a network of sequences says of one session."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show_networks as show
from bolus.cli.progress import progress_bars


def predict(
    context: typer.Context,
    session: Annotated[
        Path, typer.Argument(help="Folder of one session that bolus run has written.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Dataset of its series; left out: the one it lies in derivatives of."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Parts of the tumour; left out: those of the dataset.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="From bolus train sequence; left out: those of bolus.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Left out: prediction in SESSION.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Give a probability with its interval, and say how far the session is like the training."""
    from bolus.workflows import config as settings
    from bolus.workflows.predict import PredictRequest, predict_session

    request = PredictRequest(
        session=session, data=data, labels=labels, weights=weights, output=output
    )
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = predict_session(request, read, progress=progress)
    show.prediction(outcome, as_json=context.obj)

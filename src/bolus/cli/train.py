"""The command `bolus train`: learn the networks of codes, sequences or leakage."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show_networks as show
from bolus.cli.progress import progress_bars


def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="codes, sequence or leakage.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the weights.")],
    data: Annotated[Path | None, typer.Option(help="Dataset to learn on.")] = None,
    derivatives: Annotated[
        Path | None, typer.Option(help="Where bolus run ... participant has written; with --data.")
    ] = None,
    simulated: Annotated[
        int | None, typer.Option(help="Learn on so many simulated patients instead.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    evaluate: Annotated[
        bool, typer.Option(help="sequence: set it beside baselines on the test part, once.")
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Train a network; what was stopped goes on from its last epoch, with the same result."""
    from bolus.workflows import config as settings
    from bolus.workflows.train import TrainRequest, train_model

    request = TrainRequest(
        model=model, output=output, data=data, derivatives=derivatives, simulated=simulated,
        device=device, evaluate=evaluate,
    )  # fmt: skip
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = train_model(request, read, progress=progress)
    show.training(outcome, as_json=context.obj)

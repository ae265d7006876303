"""The command `bolus enhance`: a series with less noise, to be quantified in its place."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show_networks as show
from bolus.cli.progress import progress_bars


def enhance(
    context: typer.Context,
    series: Annotated[Path, typer.Argument(help="DSC or DCE series: 4-D NIfTI, or DICOM.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    kind: Annotated[str, typer.Option(help="dsc or dce.")] = "dsc",
    method: Annotated[
        str, typer.Option(help="local_pca, or a network: frames, super_resolution.")
    ] = "local_pca",
    mask: Annotated[Path | None, typer.Option(help="Brain mask.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Take noise from a series before it is quantified, and show it with and without."""
    from bolus.workflows import config as settings
    from bolus.workflows.enhance import EnhanceRequest, enhance_series

    request = EnhanceRequest(series=series, output=output, kind=kind, method=method, mask=mask)
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = enhance_series(request, read, progress=progress)
    show.enhancement(request, outcome, as_json=context.obj)

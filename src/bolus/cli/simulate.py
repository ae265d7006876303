"""The command `bolus simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show
from bolus.cli.progress import progress_bars


def simulate(
    context: typer.Context,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Becomes a BIDS dataset.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 3,
    visits: Annotated[int, typer.Option(help="Visits of each patient.")] = 2,
    scanners: Annotated[int, typer.Option(help="Scanners with their own protocols.")] = 1,
    seed: Annotated[int, typer.Option(help="Which trial to simulate.")] = 1,
    size: Annotated[
        str, typer.Option(help="small (64 x 64 x 12) or full (128 x 128 x 20).")
    ] = "small",
    matrix: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Matrix X Y Z, instead of --size.")
    ] = None,
    post_treatment: Annotated[
        bool | None,
        typer.Option(
            "--post-treatment/--preoperative",
            help="Begin after or before the operation; after it if there are several visits.",
        ),
    ] = None,
    dce: Annotated[bool, typer.Option(help="Simulate DCE series and flip-angle images.")] = True,
    rescan: Annotated[bool, typer.Option("--rescan", help="Scan first visits twice.")] = False,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Simulate a trial as a BIDS dataset with its truth; what is complete is skipped."""
    from bolus.workflows.simulate import SIZES, simulate_trial
    from bolus.workflows.trial import TrialRequest

    if size not in SIZES:
        raise typer.BadParameter(f"--size is '{size}', expected {' or '.join(SIZES)}")
    request = TrialRequest(
        patients=patients,
        visits=visits,
        scanners=scanners,
        seed=seed,
        shape=matrix or SIZES[size],
        post_treatment=visits > 1 if post_treatment is None else post_treatment,
        dce=dce,
        rescan=rescan,
    )
    with progress_bars(shown=not quiet) as progress:
        outcome = simulate_trial(output, request, workers=workers, progress=progress)
    show.simulation(outcome, as_json=context.obj)

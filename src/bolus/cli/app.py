"""The commands: what users type, and nothing else."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bolus import RESEARCH_USE, __version__
from bolus.cli import show
from bolus.cli.certify import certify
from bolus.cli.dce import dce
from bolus.cli.enhance import enhance
from bolus.cli.evaluate import evaluate
from bolus.cli.export_dicom import export
from bolus.cli.failure import EXIT_INPUT, EXIT_INTERRUPTED, exit_codes
from bolus.cli.habitats import habitats
from bolus.cli.import_dicom import import_
from bolus.cli.pacs import receive, send
from bolus.cli.predict import predict
from bolus.cli.progress import progress_bars
from bolus.cli.run import run
from bolus.cli.simulate import simulate
from bolus.cli.train import train

app = typer.Typer(
    name="bolus",
    help=f"Perfusion MRI of brain tumours, from the scanner to numbers people can trust.\n\n"
    f"{RESEARCH_USE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"bolus {__version__}\n{RESEARCH_USE}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Version and use.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Results and errors as JSON (anywhere in the line).")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks (anywhere in the line).")
    ] = False,
) -> None:
    """Take options that hold for every command; `main` has acted on `debug` and `version`."""
    del version, debug
    context.obj = as_json


@app.command()
def demo(
    context: typer.Context,
    output: Output = Path("bolus-demo"),
    seed: Annotated[int, typer.Option(help="Which patient to simulate.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Simulate a patient, quantify its DSC and DCE, and say how near the truth that came."""
    from bolus.workflows.demo import run_demo

    with progress_bars(shown=not quiet) as progress:
        outcome = run_demo(output, seed=seed, progress=progress)
    show.demo(outcome, as_json=context.obj)


@app.command()
def dsc(
    context: typer.Context,
    series: Annotated[Path, typer.Argument(help="DSC series: 4-D NIfTI, or DICOM.")],
    output: Output,
    echo_time: Annotated[float | None, typer.Option(help="TE in seconds.")] = None,
    repetition_time: Annotated[float | None, typer.Option(help="TR in seconds.")] = None,
    second_echo: Annotated[Path | None, typer.Option(help="Series of the second echo.")] = None,
    aif: Annotated[Path | None, typer.Option(help="Arterial curve (TSV).")] = None,
    mask: Annotated[Path | None, typer.Option(help="Brain mask.")] = None,
    reference_mask: Annotated[
        Path | None, typer.Option(help="Normal-appearing white matter, where nCBV is 1.")
    ] = None,
    tumour: Annotated[Path | None, typer.Option(help="Tumour mask or labels.")] = None,
    config: ConfigFile = None,
    quiet: Quiet = False,
) -> None:
    """Quantify one DSC series: maps, tables and a report."""
    from bolus.workflows import config as settings
    from bolus.workflows import exam, inputs, outputs

    chosen = inputs.with_times(
        settings.read_config(config), echo_time_s=echo_time, repetition_time_s=repetition_time
    )
    paths = inputs.DscPaths(
        series=series,
        second_echo=second_echo,
        aif=aif,
        mask=mask,
        reference_mask=reference_mask,
        tumour=tumour,
    )
    name = inputs.series_name(series)
    with progress_bars(shown=not quiet) as progress:
        outcome = exam.run_exam(
            paths, chosen, output, names=outputs.FlatNames(name), label=name, progress=progress
        )
    show.exam(outcome, as_json=context.obj)


@app.command()
def curves(
    context: typer.Context,
    series: Annotated[Path, typer.Argument(help="Any perfusion series, 4-D NIfTI.")],
    output: Output,
    voxel: Annotated[
        list[str] | None, typer.Option(help="Voxel as i,j,k (may be repeated).")
    ] = None,
    roi: Annotated[
        list[Path] | None, typer.Option(help="Mask or labels; one curve each (may be repeated).")
    ] = None,
    quantity: Annotated[str, typer.Option(help="signal, or delta_r2s (DSC only).")] = "signal",
    echo_time: Annotated[float | None, typer.Option(help="TE in seconds.")] = None,
    repetition_time: Annotated[float | None, typer.Option(help="Time per frame in s.")] = None,
    motion: Annotated[bool, typer.Option(help="Correct head motion first.")] = True,
    quiet: Quiet = False,
) -> None:
    """Export curves of voxels, regions and the brain, with brain mask, motion and a page."""
    from bolus.workflows import config as settings
    from bolus.workflows import curves as workflow
    from bolus.workflows import inputs

    chosen = inputs.with_times(
        settings.Config(), echo_time_s=echo_time, repetition_time_s=repetition_time
    )
    request = workflow.CurvesRequest(
        series=series,
        voxels=tuple(workflow.parse_voxel(text) for text in voxel or ()),
        regions=tuple(roi or ()),
        quantity=quantity,
        motion=motion,
    )
    with progress_bars(shown=not quiet) as progress:
        outcome = workflow.export_curves(request, chosen, output, progress=progress)
    show.curves(outcome, as_json=context.obj)


app.command()(run)
app.command()(dce)
app.command()(enhance)
app.command()(simulate)
app.command()(certify)
app.add_typer(habitats)
app.command()(train)
app.command()(evaluate)
app.command()(predict)
app.command(name="import")(import_)
app.command()(export)
app.command()(send)
app.command()(receive)


@app.command()
def verify(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Output folder of any earlier run.")],
) -> None:
    """Compare every file of an output folder with its receipt."""
    from bolus import io

    found = io.verify(folder)
    show.differences(folder, found, as_json=context.obj)
    if found:
        raise typer.Exit(EXIT_INPUT)


@app.command()
def doctor(context: typer.Context) -> None:
    """Say whether this machine and installation can do the job."""
    from bolus.workflows.doctor import examine

    checks = examine(Path.cwd())
    show.checks(checks, as_json=context.obj)
    if not all(check.well for check in checks):
        raise typer.Exit(EXIT_INPUT)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with the code of the contract."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    anywhere = [word for word in ("--json", "--debug") if word in words]
    with exit_codes(as_json="--json" in words, debug="--debug" in words):
        status = typer.main.get_command(app).main(
            args=[*anywhere, *(word for word in words if word not in anywhere)],
            prog_name="bolus",
            standalone_mode=False,
        )
        if status == EXIT_INTERRUPTED:  # typer made an exit code of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(status if isinstance(status, int) else 0)

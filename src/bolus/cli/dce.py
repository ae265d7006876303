"""The command `bolus dce`: one DCE series."""

from pathlib import Path
from typing import Annotated

import typer

from bolus.cli import show
from bolus.cli.progress import progress_bars


def dce(
    context: typer.Context,
    series: Annotated[Path, typer.Argument(help="DCE series: 4-D NIfTI, or DICOM.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    t1_map: Annotated[Path | None, typer.Option(help="T1 before the agent, in seconds.")] = None,
    vfa: Annotated[
        list[Path] | None, typer.Option(help="Flip-angle image (repeat for each).")
    ] = None,
    t10: Annotated[
        float | None, typer.Option(help="One T1 in seconds, assumed for all voxels.")
    ] = None,
    b1_map: Annotated[Path | None, typer.Option(help="Actual over nominal flip angle.")] = None,
    aif: Annotated[Path | None, typer.Option(help="Arterial curve (TSV: conc or signal).")] = None,
    aif_medium: Annotated[
        str | None, typer.Option(help="What --aif is a concentration in: blood or plasma.")
    ] = None,
    dsc_aif: Annotated[
        Path | None, typer.Option(help="Arterial curve of the same patient's DSC (TSV).")
    ] = None,
    population_aif: Annotated[
        str | None, typer.Option(help="parker, georgiou, orton_exponential or orton_cosine.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="extended_tofts, tofts, patlak, two_compartment_uptake, "
            "two_compartment_exchange or best."
        ),
    ] = None,
    mask: Annotated[Path | None, typer.Option(help="Brain mask.")] = None,
    reference_mask: Annotated[Path | None, typer.Option(help="Normal white matter.")] = None,
    tumour: Annotated[Path | None, typer.Option(help="Tumour mask or labels.")] = None,
    echo_time: Annotated[float | None, typer.Option(help="TE in seconds.")] = None,
    repetition_time: Annotated[
        float | None, typer.Option(help="TR of the excitations in seconds, such as 0.005.")
    ] = None,
    frame_time: Annotated[float | None, typer.Option(help="Time per frame in seconds.")] = None,
    flip_angle: Annotated[float | None, typer.Option(help="Flip angle in degrees.")] = None,
    relaxivity: Annotated[
        float | None, typer.Option(help="r1 in 1/s per mM; left out: by agent and field.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Quantify one DCE series: leakage and volumes as maps, tables and a report."""
    from bolus.workflows import config as settings
    from bolus.workflows import dce_exam, dce_inputs, inputs, outputs

    chosen = dce_inputs.with_dce_options(
        settings.read_config(config),
        {
            "echo_time_s": echo_time, "repetition_time_s": repetition_time,
            "frame_time_s": frame_time, "flip_angle_deg": flip_angle, "t10_s": t10, "model": model,
            "aif": population_aif or ("dsc" if dsc_aif else None),
            "aif_medium": aif_medium, "relaxivity_per_mmolar_s": relaxivity,
        },
    )  # fmt: skip
    paths = dce_inputs.DcePaths(
        series=series, t1_map=t1_map, vfa=tuple(vfa or ()), b1_map=b1_map, aif=aif,
        dsc_aif=dsc_aif, mask=mask, reference_mask=reference_mask, tumour=tumour,
    )  # fmt: skip
    name = inputs.series_name(series)
    with progress_bars(shown=not quiet) as progress:
        outcome = dce_exam.run_dce_exam(
            paths, chosen, output, names=outputs.FlatNames(name), label=name, progress=progress
        )
    show.dce(outcome, as_json=context.obj)

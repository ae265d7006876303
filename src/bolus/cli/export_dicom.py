"""The command `bolus export`."""

from pathlib import Path
from typing import Annotated

import typer

from bolus import RESEARCH_USE
from bolus.cli import show
from bolus.cli.progress import progress_bars


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Output folder of bolus, or any above it.")],
    dicom_dir: Annotated[Path, typer.Argument(help="Becomes a folder of DICOM files.")],
    reference: Annotated[
        Path | None,
        typer.Option(help="Folder of the source DICOM series; its PATIENT DATA are taken over."),
    ] = None,
    picture: Annotated[
        list[str] | None, typer.Option(help="Map to picture, by its key (may be repeated).")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Write results as DICOM: Parametric Maps, Segmentations, a report of numbers, pictures."""
    from bolus.core import QUANTITIES
    from bolus.workflows.export_dicom import CAPTURED, ExportRequest, export_dicom

    unknown = [key for key in picture or () if key not in QUANTITIES]
    if unknown:
        raise typer.BadParameter(f"--picture is '{unknown[0]}', expected a key such as ncbv")
    request = ExportRequest(
        folder=folder,
        output=dicom_dir,
        reference=reference,
        captured=tuple(dict.fromkeys(picture)) if picture else CAPTURED,
    )
    with progress_bars(shown=not quiet) as progress:
        outcome = export_dicom(request, progress=progress)
    facts = {
        "output": str(dicom_dir),
        "skipped": outcome.counts is None,
        "files": outcome.counts,
        "patient_data": outcome.patient_data,
    }
    if outcome.counts is None:
        lines = ["Already complete: same results, settings and version."]
    else:
        lines = [f"{kind:<14} {count:>5}" for kind, count in outcome.counts.items()]
    whose = (
        "The files carry the patient data of the reference series."
        if outcome.patient_data
        else "The files belong to a nameless patient, BOLUS^RESEARCH."
    )
    lines += ["", whose, RESEARCH_USE, f"DICOM  {dicom_dir}"]
    show.facts(facts, lines, as_json=context.obj)

"""The command `bolus certify`: does this installation measure what it should?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bolus import RESEARCH_USE
from bolus.cli.progress import progress_bars

if TYPE_CHECKING:
    from bolus.report.certificate_findings import Certificate, Gate
    from bolus.workflows.certify import CertifyOutcome

EXIT_SHORT = 1
"""A gate fell short; bad input is 2, as of every command."""

_MARKS = {"passed": "pass", "failed": "SHORT", "not run": "-"}


def certify(
    context: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the certificate.")
    ] = Path("bolus-certificate"),
    only: Annotated[
        list[str] | None, typer.Option(help="Only this chapter, such as dsc (may be repeated).")
    ] = None,
    reference_data: Annotated[
        Path | None, typer.Option(help="Folder of published curves; without it they are left out.")
    ] = None,
    profile: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    seed: Annotated[int, typer.Option(help="Of everything that is simulated.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Run the science gates on objects of known answer and write a dated certificate."""
    from bolus.workflows.certify import run_certify

    with progress_bars(shown=not quiet) as progress:
        outcome = run_certify(
            output,
            seed=seed,
            profile=profile,
            chapters=only or (),
            reference=reference_data,
            progress=progress,
        )
    if context.obj:
        typer.echo(json.dumps(_facts(outcome), allow_nan=False))
    else:
        typer.echo("\n".join(_lines(outcome)))
    if not outcome.certificate.passed:
        raise typer.Exit(EXIT_SHORT)


def _facts(outcome: "CertifyOutcome") -> dict[str, object]:
    from bolus.report.certificate import certificate_record

    record = certificate_record(outcome.certificate)
    return {**record, "page": str(outcome.page), "record": str(outcome.record)}


def _lines(outcome: "CertifyOutcome") -> list[str]:
    certificate = outcome.certificate
    lines = [f"bolus {certificate.version}, {certificate.label}, {certificate.created}"]
    for chapter in certificate.chapters:
        for part in chapter.parts:
            if part.gates:
                lines += ["", f"{chapter.title}: {part.title}"]
                lines += [_line(gate) for gate in part.gates]
    return [*lines, "", _summary(certificate), RESEARCH_USE, f"Certificate  {outcome.page}"]


def _line(gate: "Gate") -> str:
    from bolus.report.certificate import value_text

    value = value_text(gate) if gate.value is not None else gate.verdict
    where = f"{gate.object}, {gate.method}"
    return f"  {_MARKS[gate.verdict]:<5}  {gate.name:<22} {value:>12}   {gate.goal:<12} {where}"


def _summary(certificate: "Certificate") -> str:
    counts = (
        f"{certificate.count('passed')} passed",
        f"{certificate.count('failed')} short",
        f"{certificate.count('not run')} not run",
    )
    return f"Gates: {', '.join(counts)}"

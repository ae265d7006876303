"""The command `bolus evaluate`: what predictors are worth on patients they never saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bolus import RESEARCH_USE
from bolus.cli.progress import progress_bars
from bolus.cli.show import facts

if TYPE_CHECKING:
    from bolus.workflows.evaluate import EvaluateOutcome


def evaluate(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and page.")],
    predictor: Annotated[
        list[str] | None,
        typer.Option(help="Only this one, such as clinic or sequence (may be repeated)."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Dataset to evaluate on.")] = None,
    derivatives: Annotated[
        Path | None, typer.Option(help="Where bolus run ... participant has written; with --data.")
    ] = None,
    simulated: Annotated[
        int | None, typer.Option(help="Evaluate on so many simulated patients instead.")
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Test on a scanner that nobody was fitted on."),
    ] = False,
    permuted: Annotated[
        int | None, typer.Option(help="Deal all labels at random with this seed first: a control.")
    ] = None,
    controls: Annotated[int, typer.Option(help="Further fits to dealt labels.")] = 1,
    config: Annotated[Path | None, typer.Option("--config", help="Settings (TOML).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Judge predictors beside baselines, by one look at patients that nothing was fitted on."""
    from bolus.workflows import config as settings
    from bolus.workflows.evaluate import EvaluateRequest
    from bolus.workflows.evaluate import evaluate as evaluated

    request = EvaluateRequest(
        output=output, predictors=tuple(predictor or ()), data=data, derivatives=derivatives,
        simulated=simulated, held_out=held_out, permuted=permuted, controls=controls,
        device=device,
    )  # fmt: skip
    read = settings.read_config(config)
    with progress_bars(shown=not quiet) as progress:
        outcome = evaluated(request, read, progress=progress)
    _show(outcome, as_json=context.obj)


def _show(outcome: "EvaluateOutcome", *, as_json: bool) -> None:
    """Print one line a predictor, and where the page is."""
    rows = outcome.judgement.rows if outcome.judgement else ()
    values = {
        "report": str(outcome.report),
        "skipped": outcome.judgement is None,
        "auc": {row.name: row.test.auc.value for row in rows},
    }
    lines = ["Already complete: same inputs, settings and version."] * (not rows)
    lines += [
        f"{row.name:<28} AUC {row.test.auc.value:.3f}  "
        f"({row.test.auc.low:.3f} to {row.test.auc.high:.3f})"
        for row in rows
    ]
    lines += ["", RESEARCH_USE, f"Report  {outcome.report}"]
    facts(values, lines, as_json=as_json)

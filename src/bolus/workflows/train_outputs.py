"""A trained network to files: weights and card, learning curves, results, and a page."""

from collections.abc import Mapping

from bolus import __version__, io
from bolus.core import Provenance
from bolus.io.tables import Cell
from bolus.io.weights import write_weights
from bolus.report.training import render_training
from bolus.report.training_findings import TrainingFindings
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.train_recipes import Learnt

CURVES_NAME = "learning_curves.tsv"
RESULTS_NAME = "results.tsv"


def training_manifest() -> io.Manifest:
    """Return the files of a training; the weights are called as their card says."""
    weights = {f"*.{ending}" for ending in ("safetensors", "json", "md")}
    return io.Manifest(must={*weights, CURVES_NAME, RESULTS_NAME, REPORT_NAME})


def write_training(
    output: io.OutputFolder,
    learnt: Learnt,
    *,
    label: str,
    created: str,
    settings: Mapping[str, object],
) -> None:
    """Write everything a training gave into an open folder.

    Args:
        output: the open folder.
        learnt: from a recipe.
        label: what the page calls the training.
        created: when, as text for the page.
        settings: of the training.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    write_weights(output.stage, learnt.weights)
    output.write(CURVES_NAME, curves_table(learnt))
    output.write(RESULTS_NAME, results_table(learnt))
    findings = TrainingFindings(
        label=label,
        version=__version__,
        created=created,
        card=learnt.weights.card,
        weights_digest=learnt.weights.digest(),
        histories=learnt.histories,
        patients=learnt.patients,
        device=learnt.device,
        seconds=learnt.seconds,
        provenance=Provenance(),
        results=learnt.results,
        warnings=learnt.warnings,
        settings=settings,
    )
    output.write(REPORT_NAME, render_training(findings))


def curves_table(learnt: Learnt) -> str:
    """Return every epoch of every network, one a row; `n/a` for a loss that a network has not."""
    losses = sorted({n for rows in learnt.histories.values() for r in rows for n in r.losses})
    rows: list[list[Cell]] = [
        [network, row.epoch, row.learning_rate, *(row.losses.get(name) for name in losses)]
        for network, epochs in learnt.histories.items()
        for row in epochs
    ]
    return io.table_text(["network", "epoch", "learning_rate", *losses], rows)


def results_table(learnt: Learnt) -> str:
    """Return all results as one long table: which table, which row, which column, what."""
    rows = [
        (table.title, row[0], column, text)
        for table in learnt.results
        for row in table.rows
        for column, text in zip(table.columns[1:], row[1:], strict=True)
    ]
    return io.table_text(("table", "row", "column", "value"), rows)

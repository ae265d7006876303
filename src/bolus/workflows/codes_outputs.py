"""Codes of a tumour to files: which there have to be, and how each is written."""

from collections.abc import Iterable

from bolus import io, report
from bolus.core import Weights
from bolus.io.tables import Cell
from bolus.report.codes import render_codes_report
from bolus.report.codes_findings import CodeFindings
from bolus.workflows.codes_found import latent_keys
from bolus.workflows.outputs import REPORT_NAME, sources_of

_METHOD = "vqvae"


def codes_manifest(names: io.OutputNames, weights: Weights) -> io.Manifest:
    """Return the files of the codes of one session.

    Args:
        names: how files are called.
        weights: of the network, which says how many coordinates a curve has.
    """
    labels = names.segmentation("codes")
    images = {f"{labels}{ending}" for ending in (".nii.gz", ".json", ".tsv")}
    tables = {names.table(name) for name in ("codes", "codecurves")}
    facts = names.table("codes").replace(".tsv", ".json")
    files = io.Manifest(must={REPORT_NAME, facts, *images, *tables})
    for key in ("codedistance", *latent_keys(weights)):
        files |= io.map_manifest(names.map(key, method=_METHOD), with_error=False)
    return files


def write_codes(output: io.OutputFolder, found: CodeFindings, names: io.OutputNames) -> None:
    """Write codes, coordinates, shares, curves and the report into an open folder.

    Args:
        output: the open folder.
        found: of one session.
        names: how files are called.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    sources = sources_of(found.provenance)
    io.write_labels(output, names.segmentation("codes"), found.codes, sources=sources)
    for key, item in found.maps.items():
        last = item.provenance.steps[-1]
        io.write_map(
            output, names.map(key, method=_METHOD), item, sources=sources,
            algorithm=report.sentence_for(last), reference=last.source,
        )  # fmt: skip
    output.write(names.table("codes"), shares_table(found))
    output.write(names.table("codecurves"), curves_table(found))
    output.write(names.table("codes").replace(".tsv", ".json"), io.json_text(_facts(found)))
    output.write(REPORT_NAME, render_codes_report(found))


def shares_table(found: CodeFindings) -> str:
    """Return the share of each code in each region, one a row."""
    columns = ("region", "code", "voxels", "volume_ml", "percent", "low95", "high95")
    rows = [
        (r.region, r.code, r.voxels, r.volume_ml, r.percent, r.low95, r.high95)
        for r in found.shares
    ]
    return io.table_text(columns, rows)


def curves_table(found: CodeFindings) -> str:
    """Return the quartiles of the curves of each code, one time a row."""
    parts = ("p25", "median", "p75")
    columns = ["time_s", *(f"{curve.code}_{part}" for curve in found.curves for part in parts)]
    quartiles = [q for curve in found.curves for q in (curve.low, curve.middle, curve.high)]
    rows: Iterable[list[Cell]] = (
        [float(v) for v in row] for row in zip(found.signal.time.seconds, *quartiles, strict=True)
    )
    return io.table_text(columns, list(rows))


def _facts(found: CodeFindings) -> dict[str, object]:
    return {
        "Network": found.card.name,
        "Weights": found.weights_digest,
        "TrainedOnSimulatedCurves": found.card.simulated,
        "TrainedOn": found.card.trained_on,
        "VoxelsWithoutCurve": found.left_out,
        "PercentUnlikeTraining": found.unlike_percent,
        "Notices": list(found.warnings),
    }

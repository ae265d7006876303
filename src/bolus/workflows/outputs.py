"""Findings to files: maps with their sidecars, masks, curves, tables, and the report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bolus import io, report
from bolus.core import Assumed, MapSet, PerfusionSeries, Provenance
from bolus.report import DscFindings
from bolus.report.findings import Motion, QualityLine, Region

REPORT_NAME = "report.html"
SPACE = "dsc"
_SHORT = {
    "extended_tofts": "extendedtofts",
    "two_compartment_uptake": "uptake",
    "two_compartment_exchange": "exchange",
}


class Names(Protocol):
    """How the files of one exam are called, relative to the output folder."""

    def map(self, quantity: str, *, method: str) -> str:
        """Return the stem of a parameter map."""

    def mask(self, label: str) -> str:
        """Return the stem of a mask."""

    def segmentation(self, name: str) -> str:
        """Return the stem of a label map."""

    def table(self, name: str, *, description: str = "") -> str:
        """Return the name of a table or curve."""


@dataclass(frozen=True, slots=True)
class FlatNames:
    """All files of one exam side by side, for a series that belongs to no dataset.

    Example:
        >>> FlatNames("exam1").map("ncbv", method="bsw")
        'exam1_desc-bsw_ncbv'
    """

    prefix: str

    def map(self, quantity: str, *, method: str) -> str:
        """Return the stem of a parameter map."""
        return f"{self.prefix}_desc-{method}_{quantity}"

    def mask(self, label: str) -> str:
        """Return the stem of a mask."""
        return f"{self.prefix}_label-{label}_mask"

    def segmentation(self, name: str) -> str:
        """Return the stem of a label map."""
        return f"{self.prefix}_seg-{name}_dseg"

    def table(self, name: str, *, description: str = "") -> str:
        """Return the name of a table or curve."""
        extra = f"desc-{description}_" if description else ""
        return f"{self.prefix}_{extra}{name}.tsv"


def write_findings(
    output: io.OutputFolder, findings: DscFindings, names: Names, *, report_name: str = REPORT_NAME
) -> None:
    """Write everything one exam gave into an open output folder.

    Args:
        output: from `io.open_output`.
        findings: from `quantify_dsc`.
        names: how files are called.
        report_name: name of the HTML page.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    sources = sources_of(findings.provenance)
    write_maps(
        output, findings.maps, names,
        method=dsc_method(str(findings.settings["leakage_correction"])), sources=sources,
        assumed=findings.assumptions,
    )  # fmt: skip
    for label, mask in (
        ("brain", findings.brain),
        ("whitematter", findings.white_matter),
        ("leakagereference", findings.leakage_reference),
    ):
        io.write_mask(output, names.mask(label), mask, sources=sources)
    if findings.tumour is not None:
        io.write_labels(output, names.segmentation("tumour"), findings.tumour, sources=sources)
    io.write_curve_tsv(output.path(names.table("aif")), findings.aif, spread=True)
    output.write(names.table("regions"), regions_table(findings.regions))
    output.write(names.table("motion"), motion_table(findings))
    output.write(names.table("quality"), quality_table(findings.quality, findings.warnings))
    output.write(report_name, report.render_dsc_report(findings))


def dsc_method(leakage_correction: str) -> str:
    """Return what the names of DSC maps say of how they came about.

    Example:
        >>> dsc_method("none")
        'uncorrected'
    """
    return "uncorrected" if leakage_correction == "none" else leakage_correction


def dce_method(model: str) -> str:
    """Return what the names of DCE maps say of their model: letters and digits only.

    Example:
        >>> dce_method("extended_tofts")
        'extendedtofts'
    """
    return _SHORT.get(model, model)


def sources_of(provenance: Provenance) -> list[str]:
    """Return the names of the files that a history began from."""
    return [name for name, _digest in provenance.inputs] or ["simulated series"]


def write_maps(
    output: io.OutputFolder,
    maps: MapSet,
    names: Names,
    *,
    method: str,
    sources: list[str],
    assumed: tuple[tuple[str, Assumed], ...],
) -> None:
    """Write every map with status, standard error and sidecar.

    Args:
        output: the open folder.
        maps: of one exam.
        names: how files are called.
        method: what the names say of how they came about.
        sources: names of the files they were made from.
        assumed: every value that was not measured.
    """
    for key, item in maps.items():
        last = item.provenance.steps[-1]
        io.write_map(
            output,
            names.map(key, method=method),
            item,
            sources=sources,
            algorithm=report.sentence_for(last),
            reference=last.source or "docs/science of bolus",
            block={"Assumed": {name: value.value for name, value in assumed}},
        )


def regions_table(regions: tuple[Region, ...]) -> str:
    """Return the numbers of all regions as a table."""
    columns = (
        "region", "quantity", "unit", "voxels", "volume_ml", "mean", "mean_std", "low95",
        "high95", "median", "p05", "p95",
    )  # fmt: skip
    rows = [
        (
            r.region, r.key, r.unit, r.voxels, r.volume_ml, r.mean, r.mean_std, r.low95,
            r.high95, r.median, r.p05, r.p95,
        )
        for r in regions
    ]  # fmt: skip
    return io.table_text(columns, rows)


def quality_table(quality: Iterable[QualityLine], warnings: Sequence[str]) -> str:
    """Return the figures of a series and the number of its warnings as a table.

    `look` is true where the report asks its reader to look.
    """
    rows: list[tuple[str, float, str | None, bool]] = [
        (line.name, line.value, line.unit or None, line.look) for line in quality
    ]
    rows.append(("warnings", len(warnings), None, bool(warnings)))
    return io.table_text(("name", "value", "unit", "look"), rows)


class Moving(Protocol):
    """Findings of a series that may have been registered: of a DSC exam or of any series."""

    @property
    def signal(self) -> PerfusionSeries:
        """The series."""

    @property
    def motion(self) -> Motion | None:
        """Its motion; None if it was not estimated."""


def motion_table(findings: Moving) -> str:
    """Return the rigid motion of every frame as a table; `n/a` where it was not estimated."""
    columns = (
        "time_s", "translation_x_mm", "translation_y_mm", "translation_z_mm",
        "rotation_x_deg", "rotation_y_deg", "rotation_z_deg", "displacement_mm",
    )  # fmt: skip
    seconds = findings.signal.time.seconds
    if findings.motion is None:
        return io.table_text(columns, [(float(t), *[None] * 7) for t in seconds])
    rows = zip(seconds, findings.motion.parameters, findings.motion.displacement_mm, strict=True)
    return io.table_text(columns, [tuple(map(float, (t, *p, d))) for t, p, d in rows])

"""Findings of a DCE exam to files: maps with their sidecars, masks, curves, tables, the report."""

from bolus import io, report
from bolus.report import DceFindings
from bolus.workflows.outputs import (
    REPORT_NAME,
    Names,
    dce_method,
    motion_table,
    quality_table,
    regions_table,
    sources_of,
    write_maps,
)


def write_dce_findings(
    output: io.OutputFolder, findings: DceFindings, names: Names, *, report_name: str = REPORT_NAME
) -> None:
    """Write everything one DCE exam gave into an open output folder.

    Args:
        output: from `io.open_output`.
        findings: from `quantify_dce`.
        names: how files are called.
        report_name: name of the HTML page.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    sources = sources_of(findings.provenance)
    method = dce_method(findings.model)
    write_maps(
        output, findings.maps, names, method=method, sources=sources, assumed=findings.assumptions
    )
    io.write_mask(output, names.mask("brain"), findings.brain, sources=sources)
    if findings.white_matter is not None:
        io.write_mask(output, names.mask("whitematter"), findings.white_matter, sources=sources)
    if findings.network is not None:
        io.write_mask(output, names.mask("unlike"), findings.network.unlike, sources=sources)
    for name, labels in (("tumour", findings.tumour), ("model", findings.chosen)):
        if labels is not None:
            io.write_labels(output, names.segmentation(name), labels, sources=sources)
    for name, curve in (
        ("plasma", findings.aif),
        ("blood", findings.measured_aif),
        ("vein", findings.vein),
    ):
        if curve is not None:
            path = output.path(names.table("aif", description=name))
            io.write_curve_tsv(path, curve, spread=name == "blood")
    output.write(names.table("regions"), regions_table(findings.regions))
    output.write(names.table("motion"), motion_table(findings))
    output.write(names.table("quality"), quality_table(findings.quality, findings.warnings))
    output.write(report_name, report.render_dce_report(findings))

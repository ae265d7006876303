"""Results a neuroradiologist reads in two minutes."""

from bolus.report.dce import render_dce_report
from bolus.report.dce_findings import DceFindings, ExampleVoxel
from bolus.report.findings import (
    DscFindings,
    LeakageComparison,
    QualityFigure,
    TissueRatio,
    quality_figures,
)
from bolus.report.html import render_dsc_report
from bolus.report.methods import sentence_for
from bolus.report.protocol import ProtocolItem, Verdict, check_protocol
from bolus.report.series import render_series_report
from bolus.report.series_findings import SeriesFindings

__all__ = [
    "DceFindings",
    "DscFindings",
    "ExampleVoxel",
    "LeakageComparison",
    "ProtocolItem",
    "QualityFigure",
    "SeriesFindings",
    "TissueRatio",
    "Verdict",
    "check_protocol",
    "quality_figures",
    "render_dce_report",
    "render_dsc_report",
    "render_series_report",
    "sentence_for",
]

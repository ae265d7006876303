"""Results a neuroradiologist reads in two minutes."""

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

__all__ = [
    "DscFindings",
    "LeakageComparison",
    "ProtocolItem",
    "QualityFigure",
    "TissueRatio",
    "Verdict",
    "check_protocol",
    "quality_figures",
    "render_dsc_report",
    "sentence_for",
]

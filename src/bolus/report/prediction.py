"""The page of a prediction: the number, its interval, and what it is not."""

import numpy as np

from bolus.core import CURVE_REGIONS
from bolus.report.glance import Glance
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.prediction_findings import PredictionFindings
from bolus.report.tables import WideTable, settings_text
from bolus.report.wording import ABSENT, interval_words, number, plural, significant

_TEMPLATE = "prediction.html.j2"
_SHORT_DIGEST = 16
_WIDE_INTERVAL = 0.5
PROTOCOL_WORDS = {
    "interval_s": "time between frames [s]",
    "duration_s": "duration [s]",
    "frames": "frames",
    "echo_time_s": "echo time [s]",
    "repetition_time_s": "repetition time [s]",
    "flip_angle_deg": "flip angle [°]",
    "field_strength_t": "field strength [T]",
}
"""What a network may be limited to, in words."""


def render_prediction(findings: PredictionFindings) -> str:
    """Return the prediction of one exam as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: the probability, the curves it was read from, and the networks.

    Returns:
        The page as text, to be written as UTF-8.
    """
    from bolus.report import figures_prediction  # matplotlib loads only to draw

    return render_page(
        _TEMPLATE,
        {
            "findings": findings,
            "exam": f"{plural(len(findings.time), 'frame')}, {interval_words(findings.time)} apart",
            "tiles": _tiles(findings),
            "probability": number(findings.probability, 2),
            "interval": f"{number(findings.lower, 2)} to {number(findings.upper, 2)}",
            "members": len(findings.members),
            "protocol": _protocol(findings),
            "measured": [
                (name.replace("_", " "), significant(value))
                for name, value in sorted(findings.card.measured.items())
            ],
            "pictures": {
                "line": figures_prediction.probability_line(findings),
                "curves": figures_prediction.region_curves(findings),
            },
            "weights": findings.weights_digest[:_SHORT_DIGEST],
            "methods": write_methods(
                findings.provenance,
                version=findings.version,
                aim="A probability was read from mean signal curves of the tumour",
            ),
            "settings": settings_text(findings.settings),
            "digest": findings.provenance.digest(),
        },
    )


def _tiles(findings: PredictionFindings) -> tuple[Glance, ...]:
    regions = findings.exam.regions
    there = sum(bool(np.isfinite(curve).all()) for curve in regions)
    width = findings.upper - findings.lower
    return (
        Glance(
            name=f"P({findings.positive})",
            look=False,
            judged=False,
            finding=number(findings.probability, 2),
            detail=f"{number(findings.lower, 2)} to {number(findings.upper, 2)}",
        ),
        Glance(
            name="Agreement",
            look=width > _WIDE_INTERVAL,
            finding=f"{plural(len(findings.members), 'network')}, from "
            f"{number(float(findings.members.min()), 2)} to "
            f"{number(float(findings.members.max()), 2)}",
            detail=f"interval {number(width, 2)} wide",
        ),
        Glance(
            name="Unlike the training",
            look=findings.is_unlike,
            finding="yes: do not use the number" if findings.is_unlike else "no",
            detail=f"score {significant(findings.unlike)}, limit "
            f"{significant(findings.unlike_limit)}",
        ),
        Glance(
            name="Curves",
            look=there < len(CURVE_REGIONS),
            finding=f"{there} of {len(CURVE_REGIONS)} regions",
            detail="" if there == len(CURVE_REGIONS) else "the others count as missing",
        ),
        Glance(
            name="Network",
            look=findings.card.simulated,
            finding=findings.card.name,
            detail="trained on simulated curves" if findings.card.simulated else "",
        ),
    )


def _protocol(findings: PredictionFindings) -> WideTable:
    heads = (("Acquisition", ""), ("this exam", ""), ("trained from", ""), ("trained to", ""))
    rows = tuple(
        (
            (PROTOCOL_WORDS.get(row.name, row.name.replace("_", " ")), ""),
            (significant(row.value) if np.isfinite(row.value) else ABSENT, ""),
            (significant(row.low), ""),
            (significant(row.high), ""),
        )
        for row in findings.protocol
    )
    return WideTable(heads=heads, rows=rows)

"""The page of a training: results, learning curves, and the card."""

from bolus.report.glance import Glance
from bolus.report.page import render_page
from bolus.report.prediction import PROTOCOL_WORDS
from bolus.report.tables import WideTable, settings_text
from bolus.report.training_findings import TrainingFindings
from bolus.report.wording import number, plural, significant

_TEMPLATE = "training.html.j2"
_SHORT_DIGEST = 16
_FEW = 100
"""Patients below which an interval of any figure is wide."""


def render_training(findings: TrainingFindings) -> str:
    """Return how a network was trained as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. All text that came from
    outside is escaped.

    Args:
        findings: the card, the epochs and the results.

    Returns:
        The page as text, to be written as UTF-8.
    """
    from bolus.report.figures_training import learning_curves  # matplotlib loads only to draw

    card = findings.card
    return render_page(
        _TEMPLATE,
        {
            "findings": findings,
            "exam": f"{card.kind}, {plural(len(findings.histories), 'network')}",
            "tiles": _tiles(findings),
            "measured": [
                (name.replace("_", " "), significant(value))
                for name, value in sorted(card.measured.items())
            ],
            "curves": [
                (name, learning_curves(rows)) for name, rows in findings.histories.items() if rows
            ],
            "protocol": _protocol(findings),
            "weights": findings.weights_digest[:_SHORT_DIGEST],
            "settings": settings_text(findings.settings),
            "digest": findings.provenance.digest(),
        },
    )


def _tiles(findings: TrainingFindings) -> tuple[Glance, ...]:
    patients = findings.patients
    parts = ", ".join(f"{count} {name}" for name, count in patients.items())
    total = sum(patients.values())
    cpu = sum(row.cpu_seconds for rows in findings.histories.values() for row in rows)
    return (
        Glance(
            name="Patients",
            look=total < _FEW,
            finding=plural(total, "simulated patient" if findings.card.simulated else "patient"),
            detail=parts,
        ),
        Glance(
            name="Epochs",
            look=False,
            judged=False,
            finding=plural(findings.epochs, "epoch"),
            detail=f"of {plural(len(findings.histories), 'network')}",
        ),
        Glance(
            name="Time",
            look=False,
            judged=False,
            finding=f"{_duration(findings.seconds)} on {findings.device}",
            detail=f"{_duration(cpu)} of processor time in epochs",
        ),
        Glance(
            name="Network",
            look=findings.card.simulated,
            finding=findings.card.name,
            detail="trained on simulated curves" if findings.card.simulated else "",
        ),
    )


def _duration(seconds: float) -> str:
    return f"{number(seconds, 0)} s" if seconds < 90 else f"{number(seconds / 60, 1)} min"


def _protocol(findings: TrainingFindings) -> WideTable:
    heads = (("Acquisition", ""), ("trained from", ""), ("trained to", ""))
    rows = tuple(
        ((PROTOCOL_WORDS.get(name, name), ""), (significant(low), ""), (significant(high), ""))
        for name, (low, high) in findings.card.protocol.limits.items()
    )
    return WideTable(heads=heads, rows=rows)

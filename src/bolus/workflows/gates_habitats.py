"""The chapter of habitats: every part of it, in the order of the page."""

from bolus.report.certificate_findings import Part
from bolus.workflows import gates_habitats_change, gates_habitats_score
from bolus.workflows.gates_habitats_accuracy import accuracy_part
from bolus.workflows.gates_request import GateRequest
from bolus.workflows.progress import Progress, stage


def certify_habitats(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure the gates of habitats, of their change, and of the score.

    Args:
        request: the seed decides lesions, patients and outcomes.
        progress: told about every stage.

    Returns:
        The parts in the order of the page.
    """
    with stage(progress, "Habitats of known lesions"):
        accuracy = accuracy_part(request)
    change = gates_habitats_change.gates(request, progress)
    return (accuracy, *change, *gates_habitats_score.gates(request, progress))

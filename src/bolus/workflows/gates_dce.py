"""The chapter of DCE: every part of it, in the order of the page."""

from bolus.report.certificate_findings import Part
from bolus.workflows.gates_dce_chain import chain_parts
from bolus.workflows.gates_dce_intervals import interval_part
from bolus.workflows.gates_dce_models import model_part
from bolus.workflows.gates_dce_published import published_part
from bolus.workflows.gates_request import GateRequest
from bolus.workflows.progress import Progress, stage


def certify_dce(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure the gates of DCE on curves and exams of known kinetics.

    Args:
        request: seed, profile and reference data.
        progress: told about every stage.

    Returns:
        The parts in the order of the page.

    Raises:
        FileError: the reference data were given and are not usable.
    """
    with stage(progress, "Published DCE objects"):
        published = published_part(request)  # first: a wrong folder is said before the long work
    with stage(progress, "DCE models"):
        models = model_part(request)
    with stage(progress, "DCE standard errors"):
        intervals = interval_part(request)
    chain = chain_parts(request, progress)
    return (published, models, *chain, intervals)

"""The chapter of DSC: every part of it, in the order of the page."""

from bolus.report.certificate_findings import Part
from bolus.workflows.gates_dsc_brain import brain_parts
from bolus.workflows.gates_dsc_curves import residue_part
from bolus.workflows.gates_dsc_leakage import leakage_part
from bolus.workflows.gates_dsc_osipi import osipi_part
from bolus.workflows.gates_request import GateRequest
from bolus.workflows.progress import Progress, stage


def certify_dsc(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure the gates of DSC, and tabulate the error of every method on every object.

    A new subject is one function that returns a `Part`, added to the tuple at the end.

    Args:
        request: seed, profile and reference data.
        progress: told about every stage.

    Returns:
        The parts in the order of the page.

    Raises:
        FileError: the reference data were given and are not usable.
    """
    with stage(progress, "Published curves"):
        published = osipi_part(request)  # first: a wrong folder is said before the long work
    with stage(progress, "Residues and delays"):
        residues = residue_part(request)
    with stage(progress, "Leakage object"):
        leakage = leakage_part(request)
    exams = brain_parts(request, progress)
    return (published, leakage, *exams, residues)

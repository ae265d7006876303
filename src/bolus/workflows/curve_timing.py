"""When the bolus arrives in the curves of an exam, for networks that read any protocol."""

from typing import TYPE_CHECKING

from bolus.core import CurveExam
from bolus.quantify.bolus_phases import find_exam_bolus

if TYPE_CHECKING:
    from bolus.nets.physical_axis import ExamCurves


def exam_curves(exam: CurveExam) -> "ExamCurves":
    """Return the curves of the tumour's voxels, with when their bolus arrives.

    Args:
        exam: its curves.

    Raises:
        TimingError: there is no bolus, or frames are not evenly spaced.
    """
    from bolus.nets.physical_axis import ExamCurves, arrival_seconds

    bolus = find_exam_bolus(exam)
    seconds = exam.time.seconds - exam.time.seconds[0]
    return ExamCurves(
        signal=exam.voxels,
        interval_s=exam.time.uniform_step_s(),
        arrival_s=arrival_seconds(bolus, seconds),
        start_s=float(seconds[bolus.steady]),
    )

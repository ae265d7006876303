"""What the data are: numpy values with quantity, place, time and history. No files, no methods."""

from bolus.core.arrays import (
    Affine,
    Curve,
    Curves,
    MaskVolume,
    Volume,
    read_only,
    sparse_copy,
    sparse_zeros,
)
from bolus.core.cohort import SessionKey
from bolus.core.curves import ArterialInput
from bolus.core.exam_curves import CURVE_REGIONS, CurveCohort, CurveExam
from bolus.core.geometry import Grid
from bolus.core.learned import ModelCard, ProtocolRange, Split, Weights, split_subjects
from bolus.core.maps import FitStatus, MapSet, ParameterMap
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import (
    CONCENTRATION,
    DELTA_R2S,
    NOT_LISTED,
    QUANTITIES,
    SIGNAL,
    Quantity,
)
from bolus.core.randomness import stream
from bolus.core.regions import LabelMap, Mask
from bolus.core.series import PerfusionSeries
from bolus.core.timing import Acquisition, Assumed, TimeAxis

__all__ = [
    "CONCENTRATION",
    "CURVE_REGIONS",
    "DELTA_R2S",
    "NOT_LISTED",
    "QUANTITIES",
    "SIGNAL",
    "Acquisition",
    "Affine",
    "ArterialInput",
    "Assumed",
    "Curve",
    "CurveCohort",
    "CurveExam",
    "Curves",
    "FitStatus",
    "Grid",
    "LabelMap",
    "MapSet",
    "Mask",
    "MaskVolume",
    "ModelCard",
    "ParameterMap",
    "PerfusionSeries",
    "ProtocolRange",
    "Provenance",
    "Quantity",
    "SessionKey",
    "Split",
    "Step",
    "TimeAxis",
    "Volume",
    "Weights",
    "read_only",
    "sparse_copy",
    "sparse_zeros",
    "split_subjects",
    "stream",
]

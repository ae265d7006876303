"""From the series as it came to one that can be measured: motion, brain, grids, times."""

from bolus.preprocess.brain import baseline_image, find_brain
from bolus.preprocess.motion import MotionCorrection, apply_motion, correct_motion
from bolus.preprocess.quality import SeriesQuality, measure_quality
from bolus.preprocess.resample import (
    resample_labels,
    resample_map,
    resample_mask,
    resample_series,
    resample_time,
)

__all__ = [
    "MotionCorrection",
    "SeriesQuality",
    "apply_motion",
    "baseline_image",
    "correct_motion",
    "find_brain",
    "measure_quality",
    "resample_labels",
    "resample_map",
    "resample_mask",
    "resample_series",
    "resample_time",
]

"""From the series as it came to one that can be measured: motion, brain, grids, times."""

from bolus.preprocess.alignment import (
    Alignment,
    VisitImage,
    resample_image_through,
    resample_labels_through,
    resample_map_through,
    resample_mask_through,
)
from bolus.preprocess.brain import baseline_image, find_brain
from bolus.preprocess.local_pca import Denoised, denoise_local_pca
from bolus.preprocess.motion import (
    MotionCorrection,
    apply_motion,
    correct_motion,
    reapply_motion,
)
from bolus.preprocess.quality import SeriesQuality, measure_quality
from bolus.preprocess.register import register_visits
from bolus.preprocess.resample import (
    resample_labels,
    resample_map,
    resample_mask,
    resample_series,
    resample_time,
)

__all__ = [
    "Alignment",
    "Denoised",
    "MotionCorrection",
    "SeriesQuality",
    "VisitImage",
    "apply_motion",
    "baseline_image",
    "correct_motion",
    "denoise_local_pca",
    "find_brain",
    "measure_quality",
    "reapply_motion",
    "register_visits",
    "resample_image_through",
    "resample_labels",
    "resample_labels_through",
    "resample_map",
    "resample_map_through",
    "resample_mask",
    "resample_mask_through",
    "resample_series",
    "resample_time",
]

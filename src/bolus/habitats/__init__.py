"""Tumour habitats: voxels grouped by perfusion and diffusion, and followed through time."""

from bolus.habitats.model import FeatureScale, HabitatMap, HabitatModel
from bolus.habitats.table import VoxelTable
from bolus.habitats.track import (
    HabitatChange,
    HabitatTrack,
    Interval,
    ProgressionSite,
    Transition,
    VisitVolumes,
)

__all__ = [
    "FeatureScale",
    "HabitatChange",
    "HabitatMap",
    "HabitatModel",
    "HabitatTrack",
    "Interval",
    "ProgressionSite",
    "Transition",
    "VisitVolumes",
    "VoxelTable",
]

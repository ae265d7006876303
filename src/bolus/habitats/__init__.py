"""Tumour habitats: voxels grouped by perfusion and diffusion, and followed through time."""

from bolus.habitats.accuracy import HabitatAccuracy, adjusted_rand, habitat_accuracy
from bolus.habitats.choose_k import ChosenK, choose_k
from bolus.habitats.clustering import adapt_habitats, assign_habitats, centres_of, fit_habitats
from bolus.habitats.features import FEATURES, voxel_table
from bolus.habitats.model import FeatureScale, HabitatMap, HabitatModel
from bolus.habitats.naming import ANCHORS, HABITATS, name_centres
from bolus.habitats.spatial import smooth_membership
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
    "ANCHORS",
    "FEATURES",
    "HABITATS",
    "ChosenK",
    "FeatureScale",
    "HabitatAccuracy",
    "HabitatChange",
    "HabitatMap",
    "HabitatModel",
    "HabitatTrack",
    "Interval",
    "ProgressionSite",
    "Transition",
    "VisitVolumes",
    "VoxelTable",
    "adapt_habitats",
    "adjusted_rand",
    "assign_habitats",
    "centres_of",
    "choose_k",
    "fit_habitats",
    "habitat_accuracy",
    "name_centres",
    "smooth_membership",
    "voxel_table",
]

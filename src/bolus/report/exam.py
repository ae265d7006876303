"""What every exam has, whatever was injected for: enough to draw maps and to count voxels."""

from typing import Protocol

import numpy as np

from bolus.core import ArterialInput, LabelMap, MapSet, Mask, PerfusionSeries


class Exam(Protocol):
    """The part of the findings that DSC and DCE share."""

    @property
    def signal(self) -> PerfusionSeries:
        """The series, free of motion."""

    @property
    def anatomy(self) -> np.ndarray:
        """Baseline image (x, y, z) on the grid of `signal`."""

    @property
    def aif(self) -> ArterialInput:
        """The arterial input."""

    @property
    def brain(self) -> Mask:
        """Voxels of the brain."""

    @property
    def maps(self) -> MapSet:
        """The maps by their key."""

    @property
    def tumour(self) -> LabelMap | None:
        """The tumour's parts, if any were given."""

    @property
    def tumour_mask(self) -> Mask | None:
        """The union of all tumour labels."""

    def lost_voxels(self, key: str) -> tuple[int, int]:
        """Return how many brain voxels of a map have no answer, and how many there are."""

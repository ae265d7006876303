"""Everything the page of an enhanced series is made from: one value, put together by a workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from bolus.core import Mask, ModelCard, PerfusionSeries, Provenance, read_only
from bolus.errors import Code, GeometryError


@runtime_checkable
class ShapeBias(Protocol):
    """How far a curve is from another; `quantify.AifBias` is one."""

    @property
    def peak(self) -> float:
        """Difference of the heights over the first [1]."""

    @property
    def fwhm(self) -> float:
        """Difference of the widths over the first [1]."""

    @property
    def time_to_peak_s(self) -> float:
        """Difference of the times to the peak [s]."""

    @property
    def area(self) -> float:
        """Difference of the areas over the first [1]."""


@runtime_checkable
class Change(Protocol):
    """What became of a series; `quantify.series_change.SeriesChange` is one."""

    @property
    def tsnr(self) -> tuple[float, float]:
        """Median temporal signal-to-noise ratio before and after [1]."""

    @property
    def mean_percent(self) -> float:
        """Change of the mean signal of the brain [%]."""

    @property
    def vessels(self) -> np.ndarray:
        """Voxels (x, y, z) of the curves of vessels."""

    @property
    def vessel_before(self) -> np.ndarray:
        """Their contrast (t,) before."""

    @property
    def vessel_after(self) -> np.ndarray:
        """And after."""

    @property
    def shape(self) -> ShapeBias | None:
        """How the second differs from the first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnhancementFindings:
    """A series with and without a method, on one grid.

    `before` and `after` are both the signal; `moment` is the frame that pictures show, at the peak
    of the passage; `baseline` the frames before it. `sigma` (x, y, z) is the noise that was found
    [a.u.], None where the method does not tell. `card` is that of a network, None without one.
    `interpolated`: the method gave other voxels, and `before` was brought onto them by straight
    lines.

    Raises:
        GeometryError: something lies on another grid.
    """

    label: str
    version: str
    created: str
    method: str
    kind: str
    before: PerfusionSeries
    after: PerfusionSeries
    brain: Mask
    baseline: slice
    moment: int
    change: Change
    provenance: Provenance
    sigma: np.ndarray | None = None
    card: ModelCard | None = None
    interpolated: bool = False
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Enhanced series"

    def __post_init__(self) -> None:
        grid = self.before.grid
        grid.require_match(self.after.grid, what="the enhanced series")
        grid.require_match(self.brain.grid, what="the brain mask")
        if self.sigma is not None:
            if self.sigma.shape != grid.shape:
                raise GeometryError(
                    Code.GRID_MISMATCH,
                    f"the noise has shape {self.sigma.shape} where the series has {grid.shape}",
                    mend="give it on the grid of the series",
                )
            object.__setattr__(self, "sigma", read_only(self.sigma))

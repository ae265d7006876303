"""Everything a DCE report is made from: one value, put together by the workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from bolus.core import (
    CONCENTRATION,
    SIGNAL,
    ArterialInput,
    Assumed,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    read_only,
)
from bolus.errors import Code, GeometryError
from bolus.report.findings import Motion, QualityLine, Region


@runtime_checkable
class Enhancing(Protocol):
    """Where the agent is in the frames; `quantify.Enhancement` is one."""

    @property
    def baseline(self) -> slice:
        """Frames before the agent."""

    @property
    def arrival(self) -> int:
        """First frame in which any vessel shows agent."""

    @property
    def peak(self) -> int:
        """Frame in which the leading vessels are brightest."""

    @property
    def vessel_signal(self) -> np.ndarray:
        """Signal of the leading vessels over their baseline (t,) [ratio]."""

    @property
    def contrast_to_noise(self) -> float:
        """Rise of that curve over the noise of its baseline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleVoxel:
    """One voxel for the reader to judge the fit by: what was measured, and what was fitted [mM].

    `parameters` are (registry key, value, standard error) in the units of the registry; the error
    is NaN where it is not known.
    """

    index: tuple[int, int, int]
    region: str
    measured: np.ndarray
    fitted: np.ndarray
    parameters: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One quantity of one region by the fit and by a network, in its unit.

    `low` and `high` are the medians of the ends of the voxels' 90 % intervals; `inside` is the
    share of voxels with a fit whose fit lies in its interval.
    """

    region: str
    key: str
    fit: float
    network: float
    low: float
    high: float
    inside: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkFindings:
    """What a network said beside the fit, and the voxels that are unlike those of its training."""

    name: str
    unlike: Mask
    share_unlike: float
    rows: tuple[NetworkRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceFindings:
    """What one DCE exam gave, ready to be shown; nothing is computed from files here.

    `signal` is free of motion, `concentration` [mM] was made from it. `aif` is the plasma
    concentration [mM] of the artery, before it is brought to the capillaries; `measured_aif` and
    `vein` are the whole-blood
    curves [mM] it came from (None where they were not searched for), `vein_scale` the factor that
    scaling to the vein put on the artery (1 where it was not used). `t10` [s] is None where one
    value was assumed for all voxels (`assumptions` then has it). `model` is the name of the
    settings; `chosen` says, for "best", which model each voxel has. `network` is None where
    intervals are those of the fit. `anatomy` is (x, y, z) on the grid of `signal`. With `motion`
    None, `motion_skipped` says why. `created` is a text of the caller's: same findings, same bytes.

    Raises:
        GeometryError: a mask, map or the anatomy lies on another grid than the series.
        QuantityError: `signal` or `concentration` is another quantity.
    """

    label: str
    version: str
    created: str
    signal: PerfusionSeries
    concentration: PerfusionSeries
    anatomy: np.ndarray
    enhancement: Enhancing
    aif: ArterialInput
    brain: Mask
    maps: MapSet
    model: str
    provenance: Provenance
    title: str = "DCE perfusion report"
    measured_aif: ArterialInput | None = None
    vein: ArterialInput | None = None
    vein_scale: float = 1.0
    chosen: LabelMap | None = None
    network: NetworkFindings | None = None
    white_matter: Mask | None = None
    tumour: LabelMap | None = None
    regions: tuple[Region, ...] = ()
    examples: tuple[ExampleVoxel, ...] = ()
    motion: Motion | None = None
    motion_skipped: str = ""
    quality: tuple[QualityLine, ...] = ()
    warnings: tuple[str, ...] = ()
    assumptions: tuple[tuple[str, Assumed], ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        grid = self.signal.require(SIGNAL).grid
        grid.require_match(self.concentration.require(CONCENTRATION).grid, what="the concentration")
        if self.anatomy.shape != grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"the anatomy has shape {self.anatomy.shape} where the series has {grid.shape}",
                mend="resample it onto the grid of the series",
            )
        for mask in (self.brain, self.white_matter):
            if mask is not None:
                grid.require_match(mask.grid, what=f"the {mask.name} mask")
        for key, item in self.maps.items():
            grid.require_match(item.grid, what=f"the {key} map")
        for labels in (self.tumour, self.chosen):
            if labels is not None:
                grid.require_match(labels.grid, what="a label map")
        object.__setattr__(self, "anatomy", read_only(np.asarray(self.anatomy)))

    @property
    def t10(self) -> ParameterMap | None:
        """The T1 map before the agent [s], or None where one value was assumed."""
        return self.maps.get("t10")

    @property
    def tumour_mask(self) -> Mask | None:
        """The union of all tumour labels, or None where there is no tumour."""
        if self.tumour is None or not self.tumour.foreground.count:
            return None
        return self.tumour.foreground

    def lost_voxels(self, key: str) -> tuple[int, int]:
        """Return how many brain voxels of a map have no answer, and how many there are."""
        item = self.maps[key]
        inside = self.brain.values
        return int(np.count_nonzero(inside & ~np.isfinite(item.values))), self.brain.count

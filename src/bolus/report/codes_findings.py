"""Everything the page of perfusion codes is made from: one value, put together by the workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from bolus.core import (
    LabelMap,
    MapSet,
    Mask,
    ModelCard,
    PerfusionSeries,
    Provenance,
    read_only,
)
from bolus.errors import Code, GeometryError


@runtime_checkable
class CodeShare(Protocol):
    """How much of one region has one code; `habitats.code_shares.CodeShareRow` is one."""

    @property
    def region(self) -> str:
        """Name of the region."""

    @property
    def code(self) -> str:
        """Name of the code, such as H1."""

    @property
    def voxels(self) -> int:
        """Voxels of the region with this code."""

    @property
    def volume_ml(self) -> float:
        """Their volume [mL]."""

    @property
    def percent(self) -> float:
        """Their share of the voxels of the region that have a code [%]."""

    @property
    def low95(self) -> float:
        """Lower end of its 95 % interval [%]."""

    @property
    def high95(self) -> float:
        """Upper end of its 95 % interval [%]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeCurve:
    """The signal curves of the voxels of one code, each over its own 99.5th percentile.

    `low`, `middle` and `high` (t,) are quartiles over the voxels, NaN where the code has no voxel;
    `ncbv` is the median nCBV of these voxels, NaN where that map is not there.
    """

    code: str
    voxels: int
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    ncbv: float = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeFindings:
    """What a network of codes says of one tumour.

    `signal` are the frames that were read, of the tumour alone. `codes` has the number of the code
    of every voxel and its name. `shares` are of the whole tumour first, then of its parts; `maps`
    the latent coordinates and the misfit. `unlike_percent` is the share of voxels whose curve is
    unlike those of the training, NaN where the network cannot tell; `left_out` counts voxels of
    the tumour without a curve. `created` is a text of the caller's: same findings, same bytes.

    Raises:
        GeometryError: a mask or the anatomy lies on another grid.
    """

    label: str
    version: str
    created: str
    signal: PerfusionSeries
    anatomy: np.ndarray
    brain: Mask
    tumour: LabelMap
    codes: LabelMap
    maps: MapSet
    shares: tuple[CodeShare, ...]
    curves: tuple[CodeCurve, ...]
    card: ModelCard
    weights_digest: str
    provenance: Provenance
    unlike_percent: float = float("nan")
    left_out: int = 0
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Perfusion codes"

    def __post_init__(self) -> None:
        grid = self.signal.grid
        if self.anatomy.shape != grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"the anatomy has shape {self.anatomy.shape} where the series has {grid.shape}",
                mend="resample it onto the grid of the series",
            )
        for item, name in ((self.brain, "brain"), (self.tumour, "tumour"), (self.codes, "codes")):
            grid.require_match(item.grid, what=f"the map of the {name}")
        object.__setattr__(self, "anatomy", read_only(np.asarray(self.anatomy)))

    @property
    def names(self) -> tuple[str, ...]:
        """The codes in the order of their numbers."""
        return tuple(self.codes.names[number] for number in sorted(self.codes.names))

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions in the order of `shares`."""
        return tuple(dict.fromkeys(row.region for row in self.shares))

    def of_region(self, region: str) -> tuple[CodeShare, ...]:
        """Return the shares of one region, in the order of the codes."""
        return tuple(row for row in self.shares if row.region == region)

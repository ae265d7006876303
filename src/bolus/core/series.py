"""The one dynamic-image type, from signal to concentration."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Shaped

from bolus.core.arrays import Curves, read_only, sparse_copy
from bolus.core.geometry import Grid
from bolus.core.provenance import Provenance, Step
from bolus.core.quantities import Quantity
from bolus.core.regions import Mask
from bolus.core.timing import Acquisition, TimeAxis
from bolus.errors import Code, GeometryError, QuantityError, TimingError

_CHUNK = 8192
"""Voxels worked on at once; bounds the memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerfusionSeries:
    """Values x y z t with what they mean, where and when they were taken, and their history.

    Raises:
        GeometryError: the spatial shape is not that of the grid.
        TimingError: the number of frames is not that of the times.
    """

    values: Shaped[np.ndarray, "x y z t"]
    quantity: Quantity
    grid: Grid
    time: TimeAxis
    acquisition: Acquisition
    provenance: Provenance

    def __post_init__(self) -> None:
        if self.values.shape[:-1] != self.grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"values have shape {self.values.shape[:-1]} where the grid has {self.grid.shape}",
                mend="give the array and the grid of the same image",
            )
        if self.values.shape[-1] != len(self.time):
            raise TimingError(
                Code.TIME_INVALID,
                f"{self.values.shape[-1]} frames but {len(self.time)} times",
                mend="give one time per frame",
            )
        object.__setattr__(self, "values", read_only(self.values))

    def require(self, quantity: Quantity) -> "PerfusionSeries":
        """Return self.

        Raises:
            QuantityError: the values are another quantity.
        """
        if self.quantity.key != quantity.key:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"expected a series of {quantity.symbol} [{quantity.unit}], "
                f"got {self.quantity.symbol} [{self.quantity.unit}]",
                mend=f"convert the series to {quantity.name} first",
            )
        return self

    def curves(self, mask: Mask, *, dtype: type[np.floating] = np.float64) -> Curves:
        """Return the curves of a mask as (voxels, t), in C order of the voxels.

        Args:
            mask: on the grid of the series.
            dtype: float32 halves the memory where what follows widens chunk by chunk.
        """
        self.grid.require_match(mask.grid, what=f"the {mask.name} mask")
        return np.asarray(self.values[mask.values], dtype=dtype)

    def mean_curve(self, mask: Mask) -> np.ndarray:
        """Return the mean curve (t,) of a mask over its finite voxels; NaN if it has none.

        Raises:
            GeometryError: the mask is empty.
        """
        self.grid.require_match(mask.require_some().grid, what=f"the {mask.name} mask")
        flat = self.values.reshape(-1, len(self.time))
        rows = np.flatnonzero(mask.values)
        total, count = np.zeros(len(self.time)), 0
        for first in range(0, len(rows), _CHUNK):
            part = flat[rows[first : first + _CHUNK]].astype(np.float64)
            finite = np.isfinite(part).all(axis=1)
            total += part[finite].sum(axis=0)
            count += int(finite.sum())
        return total / count if count else np.full(len(self.time), np.nan)

    def from_frame(self, frame: int) -> "PerfusionSeries":
        """Return the series without its first frames; times keep their clock."""
        if frame == 0:
            return self
        return PerfusionSeries(
            values=self.values[..., frame:],
            quantity=self.quantity,
            grid=self.grid,
            time=TimeAxis(seconds=self.time.seconds[frame:]),
            acquisition=self.acquisition,
            provenance=self.provenance.then(Step("core.from_frame", {"frame": frame})),
        )

    def within(self, mask: Mask) -> "PerfusionSeries":
        """Return a copy with 0 outside of a mask; what lies outside takes no memory.

        Args:
            mask: on the grid of the series.

        Raises:
            GeometryError: the mask is on another grid.
        """
        self.grid.require_match(mask.grid, what=f"the {mask.name} mask")
        return replace(self, values=sparse_copy(self.values, mask.values))

    def derive(self, values: np.ndarray, quantity: Quantity, step: Step) -> "PerfusionSeries":
        """Return new values on the same grid and times, with one more step of history."""
        return PerfusionSeries(
            values=values,
            quantity=quantity,
            grid=self.grid,
            time=self.time,
            acquisition=self.acquisition,
            provenance=self.provenance.then(step),
        )

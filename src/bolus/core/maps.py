"""One number per voxel, with how sure it is and why it may be absent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core.arrays import read_only
from bolus.core.geometry import Grid
from bolus.core.provenance import Provenance
from bolus.core.quantities import Quantity
from bolus.core.regions import Mask
from bolus.errors import Code, QuantityError


class FitStatus(IntEnum):
    """Why a voxel has an answer, or none."""

    OK = 0
    OUTSIDE_MASK = 1
    NOT_FINITE = 2
    """The curve holds NaN or infinity."""
    NO_SIGNAL = 3
    """The baseline is zero or negative, or the curve does not vary."""
    NO_BOLUS = 4
    """The curve does not rise above its baseline noise."""
    NOT_CONVERGED = 5
    AT_BOUND = 6
    """The answer lies on the edge of what the method can see."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParameterMap:
    """A quantity on a grid. Status not OK <=> value NaN; `std` is its standard error, if known."""

    quantity: Quantity
    values: Float[np.ndarray, "x y z"]
    status: UInt8[np.ndarray, "x y z"]
    grid: Grid
    provenance: Provenance
    std: Float[np.ndarray, "x y z"] | None = None

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape or self.status.shape != self.grid.shape:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"values {self.values.shape} and status {self.status.shape} do not fit the grid "
                f"{self.grid.shape}",
                mend="build the map with ParameterMap.from_voxels",
            )
        if not np.array_equal(np.isfinite(self.values), self.status == FitStatus.OK):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"the {self.quantity.key} map has values where its status is not OK, or none where "
                "it is",
                mend="build the map with ParameterMap.from_voxels",
            )
        object.__setattr__(self, "values", read_only(self.values))
        object.__setattr__(self, "status", read_only(self.status))
        if self.std is not None:
            object.__setattr__(self, "std", read_only(self.std))

    @classmethod
    def from_voxels(
        cls,
        values: np.ndarray,
        *,
        quantity: Quantity,
        mask: Mask,
        provenance: Provenance,
        status: np.ndarray | None = None,
        std: np.ndarray | None = None,
    ) -> "ParameterMap":
        """Put one number per voxel of `mask` (C order) back onto the grid.

        Args:
            values: (voxels,) in the unit of `quantity`; NaN where there is no answer.
            quantity: what they are.
            mask: the voxels, in the order of `PerfusionSeries.curves`.
            provenance: how they came about.
            status: (voxels,) FitStatus; a value that is not finite never stays OK.
            std: (voxels,) standard errors, same unit.
        """
        inside = mask.values
        codes = np.full(mask.grid.shape, FitStatus.OUTSIDE_MASK, dtype=np.uint8)
        voxel_codes = np.zeros(mask.count, np.uint8) if status is None else status.astype(np.uint8)
        lost = ~np.isfinite(values) & (voxel_codes == FitStatus.OK)
        codes[inside] = np.where(lost, FitStatus.NOT_FINITE, voxel_codes)
        volume = np.full(mask.grid.shape, np.nan)
        volume[inside] = np.where(codes[inside] == FitStatus.OK, values, np.nan)
        errors = None
        if std is not None:
            errors = np.full(mask.grid.shape, np.nan)
            errors[inside] = np.where(codes[inside] == FitStatus.OK, std, np.nan)
        return cls(
            quantity=quantity,
            values=volume,
            status=codes,
            grid=mask.grid,
            provenance=provenance,
            std=errors,
        )

    def counts(self) -> dict[str, int]:
        """Return the number of voxels of each status that occurs.

        Example:
            >>> mask = Mask(values=np.array([[[True, False]]]),
            ...             grid=Grid(shape=(1, 1, 2), affine=np.eye(4)), name="brain")
            >>> ParameterMap.from_voxels(np.array([1.0]), quantity=QUANTITIES["cbv"], mask=mask,
            ...                          provenance=Provenance()).counts()
            {'OK': 1, 'OUTSIDE_MASK': 1}
        """
        return {s.name: n for s in FitStatus if (n := int(np.count_nonzero(self.status == s)))}

    def inside(self, mask: Mask) -> np.ndarray:
        """Return the finite values within a mask."""
        self.grid.require_match(mask.grid, what=f"the {mask.name} mask")
        values = self.values[mask.values]
        return np.asarray(values[np.isfinite(values)])


@dataclass(frozen=True, slots=True, eq=False)
class MapSet(Mapping[str, ParameterMap]):
    """Maps of one scan by their registry key, all on one grid."""

    maps: Mapping[str, ParameterMap]

    def __post_init__(self) -> None:
        maps = dict(self.maps)
        for key, item in maps.items():
            if key != item.quantity.key:
                raise QuantityError(
                    Code.QUANTITY_WRONG,
                    f"a map of {item.quantity.key} was filed under {key}",
                    mend="file maps under the key of their quantity",
                )
            next(iter(maps.values())).grid.require_match(item.grid, what=f"the {key} map")
        object.__setattr__(self, "maps", MappingProxyType(maps))

    def __getitem__(self, key: str) -> ParameterMap:
        return self.maps[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def with_maps(self, *maps: ParameterMap) -> "MapSet":
        """Return this set with more maps, or newer ones of the same key."""
        return MapSet({**self.maps, **{m.quantity.key: m for m in maps}})

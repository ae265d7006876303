"""Regions of a grid: one set of voxels, or several with names."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.core.arrays import MaskVolume, Volume, read_only
from bolus.core.geometry import Grid
from bolus.errors import Code, GeometryError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mask:
    """A set of voxels on a grid.

    Raises:
        GeometryError: the array has another shape than the grid.

    Example:
        >>> grid = Grid(shape=(2, 2, 1), affine=np.eye(4))
        >>> Mask(values=np.ones((2, 2, 1), bool), grid=grid, name="brain").volume_ml
        0.004
    """

    values: MaskVolume
    grid: Grid
    name: str

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=bool)
        _require_shape(values, self.grid, self.name)
        object.__setattr__(self, "values", read_only(values))

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(np.count_nonzero(self.values))

    @property
    def volume_ml(self) -> float:
        """Volume [mL]."""
        return self.count * self.grid.voxel_volume_ml

    def require_some(self) -> "Mask":
        """Return self.

        Raises:
            GeometryError: no voxel is in the mask.
        """
        if not self.count:
            raise GeometryError(
                Code.MASK_EMPTY,
                f"the {self.name} mask holds no voxels",
                mend="check that it was drawn on this series and is not all zero",
            )
        return self

    def within(self, other: "Mask") -> "Mask":
        """Return the voxels that are also in `other`."""
        self.grid.require_match(other.grid, what=f"the {other.name} mask")
        return Mask(values=self.values & other.values, grid=self.grid, name=self.name)

    def without(self, other: "Mask") -> "Mask":
        """Return the voxels that are not in `other`."""
        self.grid.require_match(other.grid, what=f"the {other.name} mask")
        return Mask(values=self.values & ~other.values, grid=self.grid, name=self.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelMap:
    """Whole numbers on a grid with a name each; 0 is background.

    Example:
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> labels = LabelMap(values=np.array([[[0]], [[1]]]), grid=grid, names={1: "core"})
        >>> labels.mask("core").count
        1
    """

    values: Volume
    grid: Grid
    names: Mapping[int, str]

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        _require_shape(values, self.grid, "label map")
        object.__setattr__(self, "values", read_only(values))
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def mask(self, *names: str) -> Mask:
        """Return the union of the named labels."""
        wanted = [label for label, name in self.names.items() if name in names]
        return Mask(values=np.isin(self.values, wanted), grid=self.grid, name="+".join(names))

    @property
    def foreground(self) -> Mask:
        """Every voxel with a label."""
        return Mask(values=self.values > 0, grid=self.grid, name="labels")


def _require_shape(values: np.ndarray, grid: Grid, name: str) -> None:
    if values.shape != grid.shape:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"{name} has shape {values.shape} where its grid has {grid.shape}",
            mend="give the array and the grid of the same image",
        )

"""Voxels of one lesion as rows: what was measured in each, and how surely."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import Mask, SessionKey
from bolus.core.arrays import read_only
from bolus.core.provenance import Provenance
from bolus.errors import Code, QuantityError

_UNKNOWN = Provenance()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxelTable:
    """Features of the voxels of one lesion at one visit.

    `features` are registry keys, such as ("ncbv", "adc"); `values` are in the registry's units and
    finite; `std` is the standard error of each value, NaN where it is not known. Row i belongs to
    the i-th voxel of `mask` in C order. `left_out` counts voxels of the lesion that lack a feature
    and so are no rows. `scanner` names where the visit was, "" if unknown; `provenance` is the
    history of the maps.

    Raises:
        QuantityError: the shapes do not fit each other, or a value is not finite.

    Example:
        >>> import numpy as np
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> both = Mask(values=np.ones((2, 1, 1), bool), grid=grid, name="lesion")
        >>> table = VoxelTable(key=SessionKey("01"), features=("ncbv", "adc"), mask=both,
        ...     values=np.array([[2.0, 1e-3], [1.0, 2e-3]]), std=np.full((2, 2), np.nan))
        >>> table.count, table.column("adc").tolist()
        (2, [0.001, 0.002])
    """

    key: SessionKey
    features: tuple[str, ...]
    values: Float[np.ndarray, "voxels features"]
    std: Float[np.ndarray, "voxels features"]
    mask: Mask
    left_out: int = 0
    scanner: str = ""
    provenance: Provenance = _UNKNOWN

    def __post_init__(self) -> None:
        expected = (self.mask.count, len(self.features))
        if self.values.shape != expected or self.std.shape != expected:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"values {self.values.shape} and errors {self.std.shape} do not fit {expected[0]} "
                f"voxels and {expected[1]} features",
                mend="build the table with habitats.voxel_table",
            )
        if not np.isfinite(self.values).all():
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"{int((~np.isfinite(self.values)).any(axis=1).sum())} voxels lack a feature",
                mend="build the table with habitats.voxel_table, which leaves them out",
            )
        object.__setattr__(self, "values", read_only(np.asarray(self.values, np.float64)))
        object.__setattr__(self, "std", read_only(np.asarray(self.std, np.float64)))

    @property
    def count(self) -> int:
        """Number of voxels."""
        return len(self.values)

    def column(self, feature: str) -> Float[np.ndarray, " voxels"]:
        """Return one feature in its registry unit."""
        return np.asarray(self.values[:, self.features.index(feature)])

"""From maps of one visit to the rows that habitats are made of."""

from collections.abc import Mapping

import numpy as np

from bolus.core import QUANTITIES, Mask, ParameterMap, SessionKey
from bolus.core.provenance import Provenance
from bolus.errors import Code, QuantityError
from bolus.habitats.table import VoxelTable

FEATURES = ("ncbv", "adc")
"""Blood volume over white matter, and diffusion: what habitats are made of unless said."""
_FAR = 5.0
"""A median beyond the plausible range by this factor is of another unit."""


def voxel_table(
    maps: Mapping[str, ParameterMap],
    lesion: Mask,
    *,
    key: SessionKey,
    features: tuple[str, ...] = FEATURES,
    scanner: str = "",
) -> VoxelTable:
    """Return the voxels of a lesion that have every feature.

    Args:
        maps: of one visit by their registry key, on one grid, such as a `MapSet`.
        lesion: where to look; the enhancing lesion, for the habitats that are published.
        key: subject and session.
        features: registry keys, in the order of the columns.
        scanner: where the visit was.

    Returns:
        Values in registry units with their standard errors, in C order. Voxels where a map has no
        value are left out and counted.

    Raises:
        QuantityError: a map is missing or in another unit, or no voxel has all features.
        GeometryError: maps and lesion lie on different grids, or the lesion is empty.

    Assumes:
        Blood volume was corrected for leakage and divided by normal white matter.

    Source:
        Features: Park et al., Clin Cancer Res 2021;27:237.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> lesion = Mask(values=np.ones((2, 1, 1), bool), grid=grid, name="lesion")
        >>> maps = {k: ParameterMap.from_voxels(np.array(v), quantity=QUANTITIES[k], mask=lesion,
        ...     provenance=Provenance()) for k, v in
        ...     (("ncbv", [2.0, np.nan]), ("adc", [1e-3, 1e-3]))}
        >>> table = voxel_table(maps, lesion, key=SessionKey("01"))
        >>> table.values.tolist(), table.left_out
        ([[2.0, 0.001]], 1)
    """
    lesion.require_some()
    chosen = [_map_of(maps, name) for name in features]
    for name, item in zip(features, chosen, strict=True):
        item.grid.require_match(lesion.grid, what=f"the {lesion.name} mask and the {name} map")
    inside = lesion.values.copy()
    for item in chosen:
        inside &= np.isfinite(item.values)
    mask = Mask(values=inside, grid=lesion.grid, name=lesion.name)
    if not mask.count:
        raise QuantityError(
            Code.HABITATS_UNFIT,
            f"none of the {lesion.count} voxels of the {lesion.name} mask has all of "
            f"{', '.join(features)}",
            mend="check that lesion and maps are of one visit",
        )
    values = np.stack([item.values[inside] for item in chosen], axis=1)
    _require_unit(features, values)
    history = Provenance()
    for item in chosen:
        history = history.merged(item.provenance)
    return VoxelTable(
        key=key,
        features=features,
        values=values,
        std=np.stack([_errors(item, inside) for item in chosen], axis=1),
        mask=mask,
        left_out=lesion.count - mask.count,
        scanner=scanner,
        provenance=history,
    )


def _map_of(maps: Mapping[str, ParameterMap], name: str) -> ParameterMap:
    if name not in maps:
        raise QuantityError(
            Code.HABITATS_UNFIT,
            f"there is no {name} map; there are {', '.join(sorted(maps)) or 'none'}",
            mend="compute it first, or choose other features",
        )
    return maps[name]


def _errors(item: ParameterMap, inside: np.ndarray) -> np.ndarray:
    if item.std is None:
        return np.full(int(np.count_nonzero(inside)), np.nan)
    return np.asarray(item.std[inside])


def _require_unit(features: tuple[str, ...], values: np.ndarray) -> None:
    """Refuse a feature whose middle no tissue has: it was stored in another unit."""
    for name, middle in zip(features, np.median(values, axis=0), strict=True):
        high = QUANTITIES[name].high
        if np.isfinite(high) and middle > _FAR * high:
            raise QuantityError(
                Code.HABITATS_UNFIT,
                f"the median {name} of the lesion is {middle:.4g}, expected at most {high:g} "
                f"{QUANTITIES[name].unit}",
                mend=f"convert the map to {QUANTITIES[name].unit}",
            )

"""What a visit says without any registration: volumes on its own grid beside the registered."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from bolus.core import SessionKey
from bolus.habitats.model import HabitatMap
from bolus.habitats.table import VoxelTable
from bolus.habitats.track import TotalsCheck


def check_totals(own: HabitatMap, registered: HabitatMap, *, key: SessionKey) -> TotalsCheck:
    """Return volumes of one visit on its own grid beside those on the first visit's grid.

    Args:
        own: before anything was resampled.
        registered: on the first visit's grid.
        key: of the visit.

    Assumes:
        Both were labelled with one model.

    Source:
        Own.
    """
    return TotalsCheck(key=key, own_ml=own.volumes_ml, registered_ml=registered.volumes_ml)


def lesion_ml(table: VoxelTable) -> float:
    """Return the volume [mL] of the whole lesion, voxels without a feature included.

    Args:
        table: of the lesion.

    Assumes:
        Nothing.

    Source:
        Own.
    """
    return (table.count + table.left_out) * table.mask.grid.voxel_volume_ml


def whole_lesion(table: VoxelTable) -> Mapping[str, Float[np.ndarray, "3"]]:
    """Return mean, median and 95th percentile of every feature in the whole lesion.

    They need neither habitats nor registration: a change of habitats that none of them shows is a
    matter of the border between habitats.

    Args:
        table: of the lesion.

    Assumes:
        Nothing.

    Source:
        Own.

    Example:
        >>> from bolus.core import Grid, Mask
        >>> grid = Grid(shape=(3, 1, 1), affine=np.eye(4))
        >>> mask = Mask(values=np.ones((3, 1, 1), bool), grid=grid, name="lesion")
        >>> values = np.array([[1.0], [2.0], [6.0]])
        >>> table = VoxelTable(key=SessionKey("01"), features=("ncbv",), values=values, mask=mask,
        ...                    std=np.full((3, 1), np.nan))
        >>> whole_lesion(table)["ncbv"][:2].tolist()
        [3.0, 2.0]
    """
    return {
        name: np.array([column.mean(), np.median(column), np.percentile(column, 95)])
        for name, column in zip(table.features, table.values.T, strict=True)
    }

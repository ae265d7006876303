"""How well habitats agree with known ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Shaped

from bolus.core import LabelMap
from bolus.errors import Code, QuantityError
from bolus.habitats.model import HabitatMap


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitatAccuracy:
    """Habitats of one lesion against the truth, over voxels that have both.

    `ari` is the adjusted Rand index. By habitat: `dice` the overlap, NaN where neither has it;
    `volume_error_ml` found less true.
    """

    ari: float
    dice: Mapping[str, float]
    volume_error_ml: Mapping[str, float]


def adjusted_rand(
    first: Shaped[np.ndarray, " voxels"], second: Shaped[np.ndarray, " voxels"]
) -> float:
    """Return the adjusted Rand index of two ways to group the same voxels.

    1 is full agreement whatever the groups are called, 0 what chance gives.

    Args:
        first: a group for each voxel, as whole numbers.
        second: another.

    Raises:
        QuantityError: the lengths differ, or there are fewer than two voxels.

    Assumes:
        Sizes of groups are fixed under chance (the hypergeometric model).

    Source:
        Hubert and Arabie, J Classif 1985;2:193, doi 10.1007/BF01908075.

    Example:
        >>> adjusted_rand(np.array([1, 1, 2, 2]), np.array([5, 5, 3, 3]))
        1.0
    """
    if len(first) != len(second) or len(first) < 2:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(first)} and {len(second)} voxels cannot be compared",
            mend="give two groupings of the same voxels, at least two",
        )
    rows, columns = (np.unique(group, return_inverse=True)[1] for group in (first, second))
    wide = int(columns.max()) + 1
    table = np.bincount(rows * wide + columns, minlength=(int(rows.max()) + 1) * wide)
    counts = table.reshape(-1, wide).astype(float)
    together = float(_pairs(counts).sum())
    by_row, by_column = (float(_pairs(counts.sum(axis=axis)).sum()) for axis in (1, 0))
    expected = by_row * by_column / float(_pairs(np.array(float(len(first)))))
    most = (by_row + by_column) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def habitat_accuracy(found: HabitatMap, truth: LabelMap) -> HabitatAccuracy:
    """Compare the habitats of a lesion with known ones.

    Args:
        found: of `assign_habitats`.
        truth: on the same grid; names that the model does not have count as other tissue.

    Raises:
        GeometryError: the grids differ.
        QuantityError: fewer than two voxels have both.

    Assumes:
        Both use the same names.

    Source:
        `adjusted_rand`; Dice, Ecology 1945;26:297.
    """
    found.labels.grid.require_match(truth.grid, what="the true habitats")
    both = (found.labels.values > 0) & (truth.values > 0)
    ours = found.labels.values[both]
    theirs = truth.values[both]
    voxel_ml = truth.grid.voxel_volume_ml
    dice, error = {}, {}
    for label, name in enumerate(found.names, start=1):
        mine = ours == label
        real = np.isin(theirs, [n for n, called in truth.names.items() if called == name])
        total = int(mine.sum()) + int(real.sum())
        dice[name] = 2.0 * int((mine & real).sum()) / total if total else float("nan")
        error[name] = (int(mine.sum()) - int(real.sum())) * voxel_ml
    return HabitatAccuracy(
        ari=adjusted_rand(ours, theirs),
        dice=MappingProxyType(dice),
        volume_error_ml=MappingProxyType(error),
    )


def _pairs(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts * (counts - 1) / 2)

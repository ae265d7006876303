"""Whether labels lie on the wrong side: where the other side looks like the tumour, not theirs."""

import warnings
from collections.abc import Mapping

import numpy as np

from bolus.core import Grid, LabelMap, MapSet, Mask
from bolus.errors import QualityWarning

_ABNORMAL, _NORMAL = 2.0, 1.0
"""Robust standard deviations of the brain: from here on the other side, and up to here in them."""
_FEWEST = 20
_SIDES = ("left and right", "front and back")
DSC_KEYS: Mapping[str, bool] = {"ncbv": False, "k2": True}
"""Maps in which tumours stand out; whether a deviation in either direction does."""
DCE_KEYS: Mapping[str, bool] = {"ktrans": False, "ps": False, "iauc60": False}


def warn_of_mirrored(
    maps: MapSet, tumour: LabelMap | None, brain: Mask, keys: Mapping[str, bool]
) -> None:
    """Warn where labels look mirrored in their data: the flipped ones cover what stands out.

    The header of such a file is that of the series, so nothing else can tell. A tumour that stands
    out nowhere is no reason to warn, and neither is another lesion on the other side.

    Args:
        maps: of one exam.
        tumour: as it was given; `None` is never mirrored.
        brain: where maps have values.
        keys: which of them to look at, and whether either direction counts.
    """
    if tumour is None:
        return
    own = tumour.foreground.values
    for name, axis in _axes(brain.grid):
        flipped = np.flip(own, axis) & brain.values
        given, other = own & brain.values & ~flipped, flipped & ~own
        if min(given.sum(), other.sum()) < _FEWEST:
            continue
        found = {
            key: (
                _distance(maps, key, given, brain, either),
                _distance(maps, key, other, brain, either),
            )
            for key, either in keys.items()
            if key in maps
        }
        if any(ours > _NORMAL for ours, _ in found.values()):
            continue
        key, (ours, theirs) = max(found.items(), key=lambda pair: pair[1][1])
        if theirs > _ABNORMAL:
            symbol = maps[key].quantity.symbol
            warnings.warn(
                QualityWarning(
                    f"the tumour may be mirrored in its file ({name} swapped): {symbol} there is "
                    f"{ours:.1f} standard deviations above the brain, and {theirs:.1f} where the "
                    "mirrored labels lie"
                ),
                stacklevel=2,
            )
            return


def _axes(grid: Grid) -> list[tuple[str, int]]:
    """Return the voxel axis that runs most along each of the first two world axes."""
    return [(name, int(np.argmax(np.abs(grid.affine[row, :3])))) for row, name in enumerate(_SIDES)]


def _distance(maps: MapSet, key: str, where: np.ndarray, brain: Mask, either: bool) -> float:
    """Return how far the median of voxels lies above that of the brain, in robust deviations."""
    values = maps[key].values
    all_of = values[brain.values & np.isfinite(values)]
    inside = values[where & np.isfinite(values)]
    if len(inside) < _FEWEST:
        return 0.0
    middle = float(np.median(all_of))
    spread = 1.4826 * float(np.median(np.abs(all_of - middle)))
    if spread <= 0:
        return 0.0
    above = (float(np.median(inside)) - middle) / spread
    return abs(above) if either else above

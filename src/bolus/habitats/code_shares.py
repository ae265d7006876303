"""How much of a tumour and of its parts has each perfusion code, and how surely."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy import stats

from bolus.core import LabelMap, Mask
from bolus.habitats.perfusion_ratio import perfusion_ratio
from bolus.quantify.regions import effective_count

WHOLE = "whole tumour"
_SHARED = 0.05
_SCALE_PERCENTILE = 99.5
_UNKNOWN = (float("nan"), float("nan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeShareRow:
    """How much of one region has one code.

    `percent` is of the voxels of the region that have any code, with its 95 % interval, NaN where
    there are none.
    """

    region: str
    code: str
    voxels: int
    volume_ml: float
    percent: float
    low95: float
    high95: float


def code_shares(codes: LabelMap, tumour: LabelMap) -> tuple[CodeShareRow, ...]:
    """Return the share of each code in the whole tumour and in each of its parts.

    This is the perfusion habitat ratio of a region, code by code. Wilson's interval of a share p
    counts n_eff independent voxels instead of n, from the correlation in space of the codes, which
    are in the order of their signal drop.

    Args:
        codes: number of the code of each voxel, 0 where there is none; all names there are.
        tumour: its parts, on the same grid.

    Returns:
        Rows of the whole tumour first, then of the parts in the order of their numbers, each with
        every code. A tumour of one part is told once.

    Raises:
        GeometryError: the grids differ.

    Assumes:
        The interval is of voxels within this scan; that of another scan is not in it.

    Source:
        Wilson, J Am Stat Assoc 1927;22:209-212. Effective number: `quantify.effective_count`.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(4, 1, 1), affine=np.eye(4))
        >>> drawn = LabelMap(values=np.ones((4, 1, 1), int), grid=grid, names={1: "core"})
        >>> found = LabelMap(values=np.array([1, 2, 2, 0]).reshape(4, 1, 1), grid=grid,
        ...                  names={1: "H1", 2: "H2"})
        >>> [(row.code, row.voxels, round(row.percent)) for row in code_shares(found, drawn)]
        [('H1', 1, 33), ('H2', 2, 67)]
    """
    codes.grid.require_match(tumour.grid, what="the tumour")
    numbers = sorted(n for n in tumour.names if (tumour.values == n).any())
    parts = [
        Mask(values=tumour.values == n, grid=tumour.grid, name=tumour.names[n]) for n in numbers
    ]
    whole = Mask(values=tumour.values > 0, grid=tumour.grid, name=WHOLE)
    regions = [whole, *(parts if len(parts) > 1 else [])]
    return tuple(row for region in regions for row in _rows(codes, region))


def _rows(codes: LabelMap, region: Mask) -> list[CodeShareRow]:
    inside = region.values & (codes.values > 0)
    count = int(np.count_nonzero(inside))
    varied = count > 1 and np.ptp(codes.values[inside]) > 0
    independent = effective_count(codes.values.astype(np.float64), inside) if varied else 1.0
    percent = perfusion_ratio(codes.values[inside], count=max(codes.names))
    rows = []
    for number in sorted(codes.names):
        voxels = int(np.count_nonzero(inside & (codes.values == number)))
        share = float(percent[number - 1])
        low, high = _wilson(share / 100, independent) if count else _UNKNOWN
        rows.append(
            CodeShareRow(
                region=region.name,
                code=codes.names[number],
                voxels=voxels,
                volume_ml=voxels * codes.grid.voxel_volume_ml,
                percent=share,
                low95=100 * low,
                high95=100 * high,
            )
        )
    return rows


def _wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of so many independent voxels, not always an integer."""
    z = float(stats.norm.isf(_SHARED / 2))
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    reach = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return float(max(min(middle - reach, share), 0)), float(min(max(middle + reach, share), 1))


def code_quartiles(
    signal: Float[np.ndarray, "n t"], codes: UInt8[np.ndarray, " n"], *, count: int
) -> Float[np.ndarray, "count 3 t"]:
    """Return the quartiles of the curves of each code, each curve over its own 99.5th percentile.

    Args:
        signal: curves [a.u.], positive somewhere.
        codes: of the curves, from 1.
        count: how many codes there are.

    Returns:
        Lower quartile, median and upper quartile at each time; NaN for a code without a curve.

    Assumes:
        Frames before the steady state are not among them.

    Source:
        The scaling is that of the network of codes; docs/science/curve_codes.md.

    Example:
        >>> curves = np.array([[2.0, 1.0], [4.0, 1.0]])
        >>> np.round(code_quartiles(curves, np.array([1, 1], np.uint8), count=2)[:, 1], 2).tolist()
        [[1.0, 0.38], [nan, nan]]
    """
    scaled = signal / np.percentile(signal, _SCALE_PERCENTILE, axis=1, keepdims=True)
    found = np.full((count, 3, signal.shape[1]), np.nan)
    for place in range(count):
        own = scaled[codes == place + 1]
        if len(own):
            found[place] = np.percentile(own, (25, 50, 75), axis=0)
    return found

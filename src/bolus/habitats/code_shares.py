"""How much of a tumour and of its parts has each perfusion code, and how surely."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, UInt8
from scipy import stats

from bolus.core import LabelMap, Mask
from bolus.habitats.perfusion_ratio import perfusion_ratio

WHOLE = "whole tumour"
_SHARED = 0.05
_SCALE_PERCENTILE = 99.5
_SIGMA = 1 / stats.norm.isf(0.25)
"""Standard deviation of normal numbers over their median size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeShareRow:
    """How much of one region has one code.

    `percent` is of the voxels of the region that have any code, with the 95 % interval of what
    noise does to it; NaN where there are none.
    """

    region: str
    code: str
    voxels: int
    volume_ml: float
    percent: float
    low95: float
    high95: float


def code_shares(
    codes: LabelMap, tumour: LabelMap, again: Integer[np.ndarray, "repeats x y z"]
) -> tuple[CodeShareRow, ...]:
    """Return the share of each code in the whole tumour and in each of its parts.

    This is the perfusion habitat ratio of a region, code by code. Its interval is 1.96 standard
    deviations of the shares in `again` to both sides, cut at 0 and 100 %.

    Args:
        codes: number of the code of each voxel, 0 where there is none; all names there are.
        tumour: its parts, on the same grid.
        again: codes of the same voxels with noise of their own size added, two repeats or more;
            see `noisy_again`.

    Returns:
        Rows of the whole tumour first, then of the parts in the order of their numbers, each with
        every code. A tumour of one part is told once.

    Raises:
        GeometryError: the grids differ.

    Assumes:
        Noise is what another scan of the same protocol would change; outline, position and dose
        of another scan are not in the interval.

    Source:
        Bootstrap by noise: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, ch. 6.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(4, 1, 1), affine=np.eye(4))
        >>> drawn = LabelMap(values=np.ones((4, 1, 1), int), grid=grid, names={1: "core"})
        >>> found = LabelMap(values=np.array([1, 2, 2, 0]).reshape(4, 1, 1), grid=grid,
        ...                  names={1: "H1", 2: "H2"})
        >>> again = np.stack([found.values] * 2)
        >>> [(row.code, row.voxels, round(row.percent)) for row in code_shares(found, drawn, again)]
        [('H1', 1, 33), ('H2', 2, 67)]
    """
    codes.grid.require_match(tumour.grid, what="the tumour")
    numbers = sorted(n for n in tumour.names if (tumour.values == n).any())
    parts = [
        Mask(values=tumour.values == n, grid=tumour.grid, name=tumour.names[n]) for n in numbers
    ]
    whole = Mask(values=tumour.values > 0, grid=tumour.grid, name=WHOLE)
    regions = [whole, *(parts if len(parts) > 1 else [])]
    return tuple(row for region in regions for row in _rows(codes, region, again))


def _rows(codes: LabelMap, region: Mask, again: np.ndarray) -> list[CodeShareRow]:
    inside = region.values & (codes.values > 0)
    states = max(codes.names)
    percent = perfusion_ratio(codes.values[inside], count=states)
    repeats = np.array([perfusion_ratio(one[inside], count=states) for one in again])
    reach = stats.norm.isf(_SHARED / 2) * repeats.std(axis=0, ddof=1)
    rows = []
    for number in sorted(codes.names):
        voxels = int(np.count_nonzero(inside & (codes.values == number)))
        share, off = float(percent[number - 1]), float(reach[number - 1])
        rows.append(
            CodeShareRow(
                region=region.name,
                code=codes.names[number],
                voxels=voxels,
                volume_ml=voxels * codes.grid.voxel_volume_ml,
                percent=share,
                low95=float(np.clip(share - off, 0, 100)),
                high95=float(np.clip(share + off, 0, 100)),
            )
        )
    return rows


def noisy_again(
    signal: Float[np.ndarray, "n t"], random: np.random.Generator
) -> Float[np.ndarray, "n t"]:
    """Return curves with as much noise added as each already has.

    The noise of a curve is the median size of its second differences; a passage, which is smooth,
    hardly counts.

    Args:
        signal: curves [a.u.]; where one is not finite it stays so.
        random: gives the noise.

    Assumes:
        Noise is normal and independent from frame to frame and voxel to voxel. Where series were
        interpolated (motion correction) neighbours share it, and shares vary more than this says.

    Source:
        Rice, Ann Stat 12 (1984) 1215, of differences; second ones and the median are ours.

    Example:
        >>> flat = np.full((1, 40), 5.0)
        >>> bool((noisy_again(flat, np.random.default_rng(1)) == flat).all())
        True
    """
    size = np.median(np.abs(np.diff(signal, n=2, axis=1)), axis=1, keepdims=True)
    noise = random.standard_normal(signal.shape, dtype=np.float32)
    return np.asarray(signal + _SIGMA / np.sqrt(6.0) * size * noise, signal.dtype)


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

"""Noise taken from a series by principal components of small blocks, without learning."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy import sparse

from bolus.core.provenance import Step
from bolus.core.regions import Mask
from bolus.core.series import PerfusionSeries
from bolus.errors import Code, GeometryError

_CHUNK = 512
"""Blocks at once: 75 voxels of 60 frames each take 18 MB."""
_VERAART = "10.1016/j.neuroimage.2016.08.016"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Denoised:
    """The series without noise, and what was found in the blocks about each voxel.

    `sigma` is the standard deviation of the noise [unit of the series], `components` how many
    components were kept; both are means over blocks, NaN outside of the mask.
    """

    series: PerfusionSeries
    sigma: Float[np.ndarray, "x y z"]
    components: Float[np.ndarray, "x y z"]


def denoise_local_pca(
    series: PerfusionSeries,
    mask: Mask,
    *,
    window: tuple[int, int, int] = (5, 5, 3),
    stride: tuple[int, int, int] = (2, 2, 1),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Denoised:
    """Keep of each block of voxels the components that stand out of noise, and average blocks.

    The eigenvalues of pure noise follow Marchenko and Pastur's law. Beginning with all of them as
    noise, the largest are called signal until the width of what is left is what its mean predicts.
    Blocks overlap; a block counts 1 / (1 + kept components) in the average.

    Args:
        series: frames of one quantity, motion corrected.
        mask: where noise is taken away; outside nothing is changed.
        window: edges of a block in voxels.
        stride: from one block to the next in voxels, no more than the window.
        progress: told how many blocks are done, of how many.

    Returns:
        The series, float32, and maps of noise and components.

    Raises:
        GeometryError: the mask is empty or on another grid, or the window does not fit.

    Assumes:
        Noise is white, of one size within a block, and not interpolated; then fewer components
        are kept than there are. A curve that one voxel alone has (a small artery) loses height.

    Source:
        Veraart et al., NeuroImage 142 (2016) 394, of diffusion; weights: Manjón et al., PLoS ONE 8
        (2013) e73021.

    Example:
        >>> noise = np.random.default_rng(1).normal(0, 1, (10, 10, 6, 30)).astype(np.float32)
        >>> grid = Grid(shape=(10, 10, 6), affine=np.eye(4))
        >>> flat = PerfusionSeries(values=100 + noise, quantity=SIGNAL, grid=grid,
        ...     time=TimeAxis.regular(30, step_s=1.5), acquisition=Acquisition(),
        ...     provenance=Provenance())
        >>> everywhere = Mask(values=np.ones(grid.shape, bool), grid=grid, name="all")
        >>> bool(denoise_local_pca(flat, everywhere).series.values.std() < 0.3)
        True
    """
    inside = mask.require_some().values
    series.grid.require_match(mask.grid, what=f"the {mask.name} mask")
    fits = all(
        1 <= step <= edge <= size
        for step, edge, size in zip(stride, window, inside.shape, strict=True)
    )
    if not fits or np.prod(window) < 2:
        raise GeometryError(
            Code.ARGUMENT_INVALID,
            f"blocks of {window} voxels, {stride} apart, in an image of {inside.shape}",
            mend="choose blocks no larger than the image, and steps no larger than blocks",
        )
    curves = np.asarray(series.values[inside], np.float32)
    places = _blocks(inside, window, stride)
    total = np.zeros_like(curves)
    sums = np.zeros((len(curves), 3), np.float32)
    for first in range(0, len(places), _CHUNK):
        progress(first, len(places))
        _add(places[first : first + _CHUNK], curves, total, sums)
    found = sums[:, 0] > 0
    total[found] /= sums[found, :1]
    total[~found] = curves[~found]
    values = np.array(series.values, np.float32)
    values[inside] = total
    step = Step("preprocess.denoise_local_pca", {"window": " x ".join(map(str, window))},
                source=_VERAART)  # fmt: skip
    maps = [np.full(inside.shape, np.nan) for _ in range(2)]
    for n, one in enumerate(maps, start=1):
        one[inside] = np.where(found, sums[:, n] / np.where(found, sums[:, 0], 1), np.nan)
    return Denoised(
        series=series.derive(values, series.quantity, step), sigma=maps[0], components=maps[1]
    )


def _blocks(
    inside: np.ndarray, window: tuple[int, int, int], stride: tuple[int, int, int]
) -> Integer[np.ndarray, "blocks voxels"]:
    """Return the voxels of every block that touches the mask: their number in it, else -1."""
    number = np.full(inside.shape, -1, np.int64)
    number[inside] = np.arange(int(inside.sum()))
    windows = np.lib.stride_tricks.sliding_window_view(number, window)
    starts = [
        np.unique([*range(0, size - edge, step), size - edge])
        for size, edge, step in zip(inside.shape, window, stride, strict=True)
    ]
    chosen = windows[np.ix_(*starts)].reshape(-1, int(np.prod(window)))
    return np.asarray(chosen[(chosen >= 0).sum(axis=1) > 1])


def _add(places: np.ndarray, curves: np.ndarray, total: np.ndarray, sums: np.ndarray) -> None:
    """Denoise some blocks, and add them with their weights."""
    there = places >= 0
    data = curves[np.where(there, places, 0)] * there[..., None]
    count = there.sum(axis=1)
    mean = data.sum(axis=1, keepdims=True) / count[:, None, None]
    centred = (data - mean) * there[..., None]
    kept, sigma, clean = _without_noise(centred.astype(np.float64), count - 1)
    weight = np.where(there, 1 / (1 + kept[:, None]), 0.0)
    rows = np.where(there, places, 0).ravel()
    spread = sparse.csr_matrix(
        (weight.ravel(), (rows, np.arange(rows.size))), shape=(len(curves), rows.size)
    )
    flat = (clean + mean).reshape(rows.size, -1)
    total += (spread @ flat).astype(np.float32)
    told = np.stack([np.ones(len(places)), sigma, kept], axis=1).repeat(places.shape[1], axis=0)
    sums += (spread @ told).astype(np.float32)


def _without_noise(
    centred: np.ndarray, freedom: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how many components stand out in each block, the noise, and the block of those.

    `freedom` is the number of independent rows of a block: voxels less the mean.
    """
    frames = centred.shape[2]
    few = np.minimum(freedom, frames)
    many = np.maximum(freedom, frames)
    values, vectors = np.linalg.eigh(np.swapaxes(centred, 1, 2) @ centred)
    values = np.maximum(values[:, ::-1], 0) / many[:, None]  # the largest first
    vectors = vectors[:, :, ::-1]
    place = np.arange(frames)
    valid = place < few[:, None]
    values = np.where(valid, values, 0)
    left = np.maximum(few[:, None] - place, 1)
    tail = np.cumsum(values[:, ::-1], axis=1)[:, ::-1] / left
    last = np.take_along_axis(values, (few - 1)[:, None], axis=1)
    width = (values - last) / (4 * np.sqrt(left / many[:, None]))
    noise = valid & (width <= tail)
    kept = np.where(noise.any(axis=1), noise.argmax(axis=1), few)
    share = tail[np.arange(len(tail)), np.minimum(kept, frames - 1)]
    signal = vectors * (place < kept[:, None])[:, None, :]
    clean = (centred @ signal) @ np.swapaxes(vectors, 1, 2)
    return kept, np.sqrt(share), clean

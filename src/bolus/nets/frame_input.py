"""A series as images of a few time courses, and back: what the frame enhancer works on."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from bolus.errors import Code, QuantityError
from bolus.nets.frame_enhancer import INPUTS

MOST = 16
"""Time courses that are kept at most."""
_STANDS_OUT = 1.3
"""How far above Marchenko and Pastur's edge a time course has to be; set by us."""
_EXPLAINED = 1.5
"""A rest of so many times the variance of noise may still be noise."""
_AROUND = (5, 5, 3)
"""Voxels over which the noise is one."""
_FEWEST = 200
_MOVED = 0.02
"""Share of the voxels that change most, which are asked for time courses of their own: vessels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameParts:
    """Curves (n, t) of the voxels `inside` as coefficients (n, k) of time courses `basis` (t, k).

    `sigma` (n,) is the noise of a frame, `noise` (k,) that of each coefficient over it. `rest`
    (n,) is the share of what the time courses do not explain that noise does not explain either,
    as in a small artery; it is put back.
    """

    inside: Bool[np.ndarray, "x y z"]
    basis: Float[np.ndarray, "t k"]
    coefficients: Float[np.ndarray, "n k"]
    sigma: Float[np.ndarray, " n"]
    noise: Float[np.ndarray, " k"]
    rest: Float[np.ndarray, " n"]

    @property
    def scale(self) -> Float[np.ndarray, " k"]:
        """Root mean square of every coefficient: the unit that the network sees it in."""
        size = np.sqrt(np.mean(self.coefficients.astype(np.float64) ** 2, axis=0))
        return np.asarray(np.maximum(size, 1e-12), np.float32)


def frame_parts(curves: Float[np.ndarray, "n t"], inside: Bool[np.ndarray, "x y z"]) -> FrameParts:
    """Find the time courses that stand out of noise, and the noise.

    Args:
        curves: of the voxels inside, in their order.
        inside: the mask.

    Returns:
        The parts, float32. The first time course is about the mean.

    Raises:
        QuantityError: too few voxels or frames, or values that are not finite.

    Assumes:
        More voxels than frames, and noise in at least half as many dimensions as there are frames.

    Source:
        The edge: Marchenko and Pastur, Math USSR Sb 1967;1:457. The rest: James and Stein, Proc
        4th Berkeley Symp 1961;1:361.
    """
    count, frames = curves.shape
    if count < max(_FEWEST, 2 * frames) or frames < 8 or not np.isfinite(curves).all():
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{count} voxels of {frames} frames to find time courses in",
            mend=f"give finite values of at least {_FEWEST} voxels, and 8 frames or more",
        )
    data = torch.from_numpy(np.array(curves, np.float64))
    basis = _standing_out(data, None, at_most=min(MOST, frames // 2))
    variance, _ = _noise_of(data, basis, inside)
    moved = (data @ basis[:, 1:]).square().sum(dim=1)
    most_moved = moved.topk(max(int(_MOVED * count), 2 * frames)).indices
    rest = (data - data @ basis @ basis.T)[most_moved]
    level = float(variance[most_moved.numpy()].mean())
    more = _standing_out(rest, level, at_most=min(MOST, frames // 2) - basis.shape[1])
    basis = torch.linalg.qr(torch.cat([basis, more], dim=1)).Q
    largest = basis.gather(0, basis.abs().argmax(dim=0, keepdim=True))
    basis = basis * torch.where(largest < 0, -1.0, 1.0)
    coefficients = data @ basis
    variance, over = _noise_of(data, basis, inside)
    return FrameParts(
        inside=inside,
        basis=basis.numpy().astype(np.float32),
        coefficients=coefficients.numpy().astype(np.float32),
        sigma=np.sqrt(variance).astype(np.float32),
        noise=np.ones(basis.shape[1], np.float32),
        rest=np.maximum(0, 1 - _EXPLAINED * variance / over).astype(np.float32),
    )


def half_parts(parts: FrameParts, curves: Float[np.ndarray, "n t"], first: int) -> FrameParts:
    """Return the coefficients that every second frame alone gives: halves have their own noise.

    Args:
        parts: of all frames.
        curves: the same that they are of.
        first: 0 or 1.
    """
    own = torch.from_numpy(np.array(parts.basis[first::2], np.float64))
    inverse = torch.linalg.pinv(own.T @ own, hermitian=True)
    data = torch.from_numpy(np.array(curves[:, first::2], np.float64))
    return replace(
        parts,
        coefficients=(data @ own @ inverse).numpy().astype(np.float32),
        noise=inverse.diagonal().clamp_min(0).sqrt().numpy().astype(np.float32),
    )


def network_inputs(
    parts: FrameParts, component: int, *, scale: Float[np.ndarray, " k"] | None = None
) -> Tensor:
    """Return what the network sees of one time course, slice by slice: (z, 7, x, y).

    Args:
        parts: of a series.
        component: which time course.
        scale: units of the coefficients; None for `parts.scale`.
    """
    units = parts.scale if scale is None else scale
    shape = parts.inside.shape
    images = np.zeros((3, *shape), np.float32)
    images[0][parts.inside] = parts.coefficients[:, component] / units[component]
    images[1][parts.inside] = parts.coefficients[:, 0] / units[0]
    images[2][parts.inside] = parts.sigma * (parts.noise[component] / units[component])
    found = np.zeros((shape[2], INPUTS, *shape[:2]), np.float32)
    for n, step in enumerate((-1, 0, 1)):
        near = np.clip(np.arange(shape[2]) + step, 0, shape[2] - 1)
        found[:, n] = np.moveaxis(images[0][..., near], 2, 0)
        found[:, 3 + n] = np.moveaxis(images[1][..., near], 2, 0)
    found[:, 6] = np.moveaxis(images[2], 2, 0)
    return torch.from_numpy(found)


def _standing_out(data: Tensor, level: float | None, *, at_most: int) -> Tensor:
    """Return the directions (t, k) of curves (n, t) that are above noise, the largest first.

    `level` is the variance of noise; None takes the median over directions, and at least one.
    """
    count, frames = data.shape
    values, vectors = torch.linalg.eigh(data.T @ data / count)
    noise = float(values.median()) if level is None else level
    edge = _STANDS_OUT * (1 + (frames / count) ** 0.5) ** 2 * noise
    kept = int(np.clip(int((values > edge).sum()), int(level is None), max(at_most, 0)))
    found: Tensor = vectors.flip(1)[:, :kept]
    return found


def _noise_of(
    data: Tensor, basis: Tensor, inside: Bool[np.ndarray, "x y z"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the variance of noise about each voxel, and that of its own rest."""
    rest = data - (data @ basis) @ basis.T
    own = rest.square().sum(dim=1).numpy() / (data.shape[1] - basis.shape[1])
    return _smooth(own, inside), np.maximum(own, 1e-30)


def _smooth(
    variance: Float[np.ndarray, " n"], inside: Bool[np.ndarray, "x y z"]
) -> Float[np.ndarray, " n"]:
    """Return the median of the voxels around each, which one artery does not change."""
    image = np.full(inside.shape, np.median(variance))
    image[inside] = variance
    return np.asarray(ndimage.median_filter(image, size=_AROUND)[inside])

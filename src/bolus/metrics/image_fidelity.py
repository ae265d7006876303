"""How near an image is to the one that is true: frames of a series, and maps."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.errors import Code, GeometryError

_WINDOW = 7
"""Voxels along an edge of the windows of SSIM; fewer where an image is smaller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFidelity:
    """Peak signal-to-noise ratio [dB], structural similarity (1 is the same), squared error [1].

    `nmse` is the sum of squared errors over that of the truth; `bias` the mean error over the mean
    of the truth [1].
    """

    psnr: float
    ssim: float
    nmse: float
    bias: float


def image_fidelity(
    image: Float[np.ndarray, "x y z"],
    truth: Float[np.ndarray, "x y z"],
    inside: Bool[np.ndarray, "x y z"],
    *,
    peak: float | None = None,
) -> ImageFidelity:
    """Compare an image with the truth inside a mask.

    Args:
        image: what is judged; voxels that are not finite there count as 0.
        truth: in the same unit.
        inside: voxels that count.
        peak: the range that PSNR and SSIM refer to; None for the 99th percentile of the truth's
            absolute values inside, less easily moved by one voxel than the largest.

    Returns:
        The four figures; PSNR is inf for equal images.

    Raises:
        GeometryError: the shapes differ, or no voxel is inside.

    Assumes:
        SSIM: windows of 7 voxels, in slices where there are fewer than 7 of them. Outside of the
        mask both images are set to 0 first; windows are averaged where their middle is inside.

    Source:
        Wang et al., IEEE Trans Image Process 13 (2004) 600, as scikit-image computes it.

    Example:
        >>> same = np.arange(800.0).reshape(10, 10, 8)
        >>> image_fidelity(same, same, same > 5).ssim
        1.0
    """
    if not image.shape == truth.shape == inside.shape or not inside.any():
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"an image of {image.shape}, a truth of {truth.shape}, {int(inside.sum())} voxels "
            "inside",
            mend="give images and mask on one grid",
        )
    found = np.where(inside & np.isfinite(image), image, 0.0).astype(np.float64)
    known = np.where(inside, truth, 0.0).astype(np.float64)
    limit = peak if peak is not None else float(np.percentile(np.abs(known[inside]), 99))
    error = (found - known)[inside]
    square = float(np.mean(error**2))
    return ImageFidelity(
        psnr=float(10 * np.log10(limit**2 / square)) if square > 0 else float("inf"),
        ssim=_similarity(found, known, inside, limit),
        nmse=float(np.sum(error**2) / np.sum(known[inside] ** 2)),
        bias=float(error.mean() / known[inside].mean()),
    )


def series_fidelity(
    values: Float[np.ndarray, "x y z t"],
    truth: Float[np.ndarray, "x y z t"],
    inside: Bool[np.ndarray, "x y z"],
) -> ImageFidelity:
    """Compare a series with the truth, frame by frame, and return the means over frames.

    Args:
        values: what is judged.
        truth: in the same unit, at the same times.
        inside: voxels that count.

    Raises:
        GeometryError: as `image_fidelity`.

    Assumes:
        One peak for all frames: the 99th percentile of the whole truth inside.

    Source:
        As `image_fidelity`.
    """
    peak = float(np.percentile(np.abs(truth[inside]), 99))
    frames = [
        image_fidelity(values[..., n], truth[..., n], inside, peak=peak)
        for n in range(truth.shape[3])
    ]
    psnr, ssim, nmse, bias = np.mean([[f.psnr, f.ssim, f.nmse, f.bias] for f in frames], axis=0)
    return ImageFidelity(psnr=float(psnr), ssim=float(ssim), nmse=float(nmse), bias=float(bias))


def _similarity(found: np.ndarray, known: np.ndarray, inside: np.ndarray, limit: float) -> float:
    """Return the mean SSIM of windows inside, of blocks or of slices."""
    from skimage.metrics import structural_similarity

    size = min(_WINDOW, *found.shape[:2])
    size -= 1 - size % 2  # windows have a middle
    deep = found.shape[2] >= size
    sets = [(found, known)] if deep else list(zip(found.T, known.T, strict=True))
    full = [
        structural_similarity(one, other, data_range=limit, win_size=size, full=True)[1]  # type: ignore[no-untyped-call]
        for one, other in sets
    ]
    windows = full[0] if deep else np.stack(full).T
    return float(windows[inside].mean())

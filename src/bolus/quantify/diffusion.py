"""Apparent diffusion coefficient from images at two or more b-values."""

import numpy as np
from jaxtyping import Float

from bolus.core import QUANTITIES, FitStatus, Mask, ParameterMap, Provenance, Step
from bolus.core.arrays import Curve
from bolus.errors import Code, GeometryError, MetadataError

HIGHEST_B_S_PER_MM2 = 1500.0
"""Above this, tissue is no longer mono-exponential."""
_SAME_B = 50.0
"""Scanners round b-values, and add what their imaging gradients do."""
_LEAST_SPAN = 300.0


def apparent_diffusion(
    images: Float[np.ndarray, "x y z n"],
    b_s_per_mm2: Curve,
    *,
    mask: Mask,
    provenance: Provenance,
    noise: float | None = None,
) -> ParameterMap:
    """Fit S(b) = S0 exp(-b ADC) to the mean over directions, voxel by voxel.

    Images of one b-value (within 50 s/mm2) are joined by their geometric mean, which for
    directions on three axes or spread over the sphere is the signal of the mean diffusivity. The
    logarithms are fitted by a straight line, each weighted by S² times its number of images: exact
    for two b-values.

    Args:
        images: signal [a.u.].
        b_s_per_mm2: of each image.
        mask: voxels to answer in.
        provenance: of the images.
        noise: standard deviation of the noise of one image [a.u.], if known.

    Returns:
        ADC [mm2/s]; NO_SIGNAL where an image is not positive. Its standard error follows from
        `noise` where that is given.

    Raises:
        GeometryError: mask or b-values do not fit the images.
        MetadataError: b-values up to 1500 s/mm2 span less than 300 s/mm2.

    Assumes:
        One exponential; b-values above 1500 s/mm2 are left out, since tissue has none there.
        Noise is far below the signal: near it, magnitudes are too large and ADC too small.

    Source:
        Stejskal and Tanner, J Chem Phys 1965;42:288; Le Bihan et al., Radiology 1986;161:401,
        doi 10.1148/radiology.161.2.3763909; weights: Salvador et al., Hum Brain Mapp 2005;24:144.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(1, 1, 1), affine=np.eye(4))
        >>> head = Mask(values=np.ones((1, 1, 1), bool), grid=grid, name="head")
        >>> images = np.array([1000.0, 1000 * np.exp(-0.8)]).reshape(1, 1, 1, 2)
        >>> adc = apparent_diffusion(images, np.array([0.0, 1000.0]), mask=head,
        ...                          provenance=Provenance())
        >>> round(float(adc.values[0, 0, 0]), 12)
        0.0008
    """
    if images.shape != (*mask.grid.shape, len(b_s_per_mm2)):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"images {images.shape} do not fit {len(b_s_per_mm2)} b-values and a mask "
            f"{mask.grid.shape}",
            mend="give images, b-values and mask of one scan",
        )
    shells = _shells(np.asarray(b_s_per_mm2, np.float64))
    signal = images[mask.values].astype(np.float64)  # (voxels, n)
    used = np.concatenate([members for _, members in shells])
    positive = np.isfinite(signal[:, used]).all(axis=1) & (signal[:, used] > 0).all(axis=1)
    logs = np.log(np.where(positive[:, None], signal, 1.0))
    b = np.array([value for value, _ in shells])
    counts = np.array([len(members) for _, members in shells], np.float64)
    means = np.stack([logs[:, members].mean(axis=1) for _, members in shells], axis=1)
    weights = counts * np.exp(2 * (means - means.max(axis=1, keepdims=True)))
    total = weights.sum(axis=1, keepdims=True)
    away = b - (weights * b).sum(axis=1, keepdims=True) / total
    spread = (weights * away**2).sum(axis=1)
    adc = -(weights * away * means).sum(axis=1) / spread
    return ParameterMap.from_voxels(
        np.where(positive, adc, np.nan),
        quantity=QUANTITIES["adc"],
        mask=mask,
        provenance=provenance.then(_step(shells, noise)),
        status=np.where(positive, FitStatus.OK, FitStatus.NO_SIGNAL).astype(np.uint8),
        std=None if noise is None else noise * np.exp(-means.max(axis=1)) / np.sqrt(spread),
    )


def noise_of_air(images: Float[np.ndarray, "x y z n"]) -> float | None:
    """Return the standard deviation of the noise from the air in the corners; None if unknown.

    Args:
        images: magnitude images [a.u.].

    Returns:
        sqrt(median of squares / (2 ln 2)) over the eight corners of the volume, a sixth of every
        edge [a.u.]; None where that is 0: then a program has blanked the air.

    Assumes:
        There is no head in the corners; magnitudes of one coil, so that air is Rayleigh
        distributed. Several coils joined by the root of the sum of squares give too much.

    Source:
        Gudbjartsson and Patz, Magn Reson Med 1995;34:910.
    """
    edges = [max(1, size // 6) for size in images.shape[:3]]
    sides = [(slice(None, edge), slice(-edge, None)) for edge in edges]
    air = np.concatenate([images[x, y, z].ravel() for x in sides[0] for y in sides[1]
                          for z in sides[2]])  # fmt: skip
    middle = float(np.median(air.astype(np.float64) ** 2))
    return float(np.sqrt(middle / (2 * np.log(2)))) if middle > 0 else None


def _shells(b: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Return each b-value that counts with the numbers of its images, lowest first."""
    shells: list[tuple[float, np.ndarray]] = []
    left = np.flatnonzero(b <= HIGHEST_B_S_PER_MM2)
    left = left[np.argsort(b[left], kind="stable")]
    while left.size:
        members = left[b[left] <= b[left[0]] + _SAME_B]
        shells.append((float(b[members].mean()), members))
        left = left[len(members) :]
    if len(shells) < 2 or shells[-1][0] - shells[0][0] < _LEAST_SPAN:
        listed = ", ".join(f"{value:g}" for value in np.unique(b))
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"b-values {listed} s/mm2 do not give an ADC; two up to "
            f"{HIGHEST_B_S_PER_MM2:g} that differ by {_LEAST_SPAN:g} are needed",
            mend="give images at b = 0 and about 1000 s/mm2, or the scanner's ADC map",
        )
    return shells


def _step(shells: list[tuple[float, np.ndarray]], noise: float | None) -> Step:
    arguments: dict[str, str | float | None] = {
        "b_s_per_mm2": ", ".join(f"{value:.4g}" for value, _ in shells),
        "noise": noise,
    }
    return Step("quantify.apparent_diffusion", arguments, "10.1148/radiology.161.2.3763909")

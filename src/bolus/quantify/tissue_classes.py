"""White matter, grey matter and fluid, told apart by blood volume and baseline signal alone."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from bolus.core import Curve, Mask, MaskVolume, ParameterMap, Volume
from bolus.errors import Code, MetadataError

_SMOOTH_MM = 2.5
"""Standard deviation of the smoothing in plane: noise of one voxel must not choose the tissue."""
_FEWEST = 500


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TissueClasses:
    """Where tissue looks white or grey, and the levels of smoothed CBV that told so."""

    white: MaskVolume
    grey: MaskVolume
    white_level: float
    grey_level: float
    valley: float


def classify(
    cbv: ParameterMap, baseline_image: Volume, brain: Mask, *, avoid: MaskVolume | None
) -> TissueClasses:
    """Divide the brain by smoothed CBV, after vessels, fluid and `avoid` are left out.

    Args:
        cbv: CBV of any scale.
        baseline_image: signal before the bolus (x, y, z) [a.u.].
        brain: where to look.
        avoid: (x, y, z) what is not normal, or None.

    Returns:
        Masks of the two tissues, and the levels that divide them.

    Raises:
        MetadataError: fewer than 500 usable voxels, or CBV that is not positive.

    Assumes:
        CSF is brighter than tissue; grey matter has more blood than white.

    Source:
        Two-class threshold: Otsu, IEEE Trans Syst Man Cybern 1979;9:62-66.

    Example:
        >>> white = np.zeros((30, 30, 4), bool)
        >>> white[:15] = True
        >>> brain = Mask(values=np.ones(white.shape, bool), name="brain",
        ...              grid=Grid(shape=white.shape, affine=np.diag([2.0, 2, 4, 1])))
        >>> cbv = ParameterMap.from_voxels(np.where(white, 2.0, 5.0)[brain.values],
        ...     quantity=QUANTITIES["cbv"], mask=brain, provenance=Provenance())
        >>> found = classify(cbv, np.full(white.shape, 100.0), brain, avoid=None)
        >>> bool(2 < found.valley < 5)
        True
    """
    usable = brain.values & np.isfinite(cbv.values) & np.isfinite(baseline_image)
    if avoid is not None:
        usable &= ~avoid
    middle = float(np.median(cbv.values[usable])) if usable.any() else np.nan
    if np.count_nonzero(usable) < _FEWEST or not middle > 0:
        raise MetadataError(
            Code.REFERENCE_NOT_FOUND,
            f"{np.count_nonzero(usable)} usable brain voxels with median CBV {middle:.3g}; tissue "
            f"can be told apart from {_FEWEST} voxels with positive CBV on",
            mend="give a white-matter mask with --reference-mask",
        )
    calm = usable & (cbv.values < 4 * middle)
    blood = _smoothed(cbv.values, calm, brain)
    light = _smoothed(baseline_image, usable, brain)
    tissue = calm & (blood > 0.25 * middle) & (blood < 3 * middle)
    valley = _otsu(blood[tissue])
    white_level = float(np.median(blood[tissue & (blood <= valley)]))
    grey_level = float(np.median(blood[tissue & (blood > valley)]))
    pale, rich = tissue & (blood <= valley), tissue & (blood > valley)
    white = pale & ~_fluid(light, pale)
    white &= (blood > 0.5 * white_level) & (blood < (white_level + valley) / 2)
    grey = rich & ~_fluid(light, rich)
    grey &= (blood > (grey_level + valley) / 2) & (blood < 2.5 * grey_level)
    return TissueClasses(
        white=white, grey=grey, white_level=white_level, grey_level=grey_level, valley=valley
    )


def _smoothed(values: Volume, inside: MaskVolume, brain: Mask) -> Float[np.ndarray, "x y z"]:
    """Smooth in plane, over the voxels of a mask only."""
    sizes = brain.grid.voxel_sizes_mm
    sigma = (_SMOOTH_MM / sizes[0], _SMOOTH_MM / sizes[1], 0.0)
    weight = ndimage.gaussian_filter(inside.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(np.where(inside, values, 0.0), sigma)
    return np.where(inside, total / np.maximum(weight, 1e-9), np.nan)


def _otsu(values: Curve) -> float:
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * gap**2)
    return float(edges[int(between.argmax()) + 1])


def _fluid(light: Volume, tissue: MaskVolume) -> MaskVolume:
    """Return what is brighter than a tissue can be: three robust deviations above its median."""
    levels = light[tissue]
    middle = float(np.median(levels))
    spread = max(1.4826 * float(np.median(np.abs(levels - middle))), 0.03 * middle)
    return np.asarray(light > middle + 3 * spread)

"""Whether what was made of a scan may be believed: lesions that came or went, and limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Integer
from scipy import ndimage

from bolus.errors import Code, GeometryError

LIMITS: Mapping[str, float] = MappingProxyType(
    {"aif_peak": 0.05, "aif_fwhm": 0.05, "aif_ttp_s": 0.75, "recovery": 0.05, "map": 0.05,
     "lost": 0.0, "invented": 0.0}
)  # fmt: skip
"""Largest size of each figure that a network may have to be used unasked; design targets. The time
to the peak may move by half a frame of 1.5 s."""
_FOUND = 0.5
"""Share of its contrast that a lesion has to keep, and that something invented has to reach."""
_RING = 2
"""Voxels between a lesion and what it is compared with, and about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionTest:
    """What became of lesions of known place and contrast.

    `contrast` is the mean contrast that is left, over the true one [1]. `lost` of `lesions` have
    less than half of theirs. `invented` are places in normal tissue, as large as the smallest
    lesion or larger, that differ from the truth by half of the lesions' contrast or more.
    """

    lesions: int
    lost: int
    invented: int
    contrast: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasGuard:
    """Figures of a network beside their limits; `reasons` says each that is beyond, in words."""

    figures: Mapping[str, float]
    reasons: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether it may be used without being asked for by name."""
        return not self.reasons


def lesion_test(
    found: Float[np.ndarray, "x y z"],
    truth: Float[np.ndarray, "x y z"],
    lesions: Integer[np.ndarray, "x y z"],
    inside: Bool[np.ndarray, "x y z"],
) -> LesionTest:
    """Look for lesions that were lost, and for some that were never there.

    The contrast of a lesion is its mean less that of a ring of normal tissue about it.

    Args:
        found: the map that is judged; voxels that are not finite count as normal tissue.
        truth: the true map, in the same unit.
        lesions: number of the lesion of each voxel, 0 in normal tissue.
        inside: voxels that are looked at, lesions and what is about them.

    Raises:
        GeometryError: the shapes differ, or there is no lesion inside.

    Assumes:
        Lesions are small beside what is about them, further than four voxels apart, and brighter
        or darker than it in truth.

    Source:
        Set by us.

    Example:
        >>> truth = np.ones((20, 20, 5))
        >>> truth[4:7, 4:7, 1:4] = 2.0
        >>> drawn = (truth > 1).astype(int)
        >>> lesion_test(truth, truth, drawn, np.ones(truth.shape, bool)).contrast
        1.0
    """
    numbers = np.unique(lesions[inside & (lesions > 0)])
    if not found.shape == truth.shape == lesions.shape == inside.shape or not numbers.size:
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"maps of {found.shape} and {truth.shape}, {numbers.size} lesions inside",
            mend="give maps and lesions on one grid",
        )
    near = ndimage.binary_dilation(lesions > 0, iterations=_RING)
    kept, true = [], []
    for number in numbers:
        own = inside & (lesions == number)
        ring = inside & ~near & ndimage.binary_dilation(own, iterations=2 * _RING)
        kept.append(np.nanmean(found[own]) - np.nanmean(found[ring]))
        true.append(truth[own].mean() - truth[ring].mean())
    shares = np.array(kept) / np.array(true)
    smallest = min(int((lesions == number).sum()) for number in numbers)
    off = np.where(inside & ~near & np.isfinite(found), found - truth, 0.0)
    return LesionTest(
        lesions=int(numbers.size),
        lost=int((shares < _FOUND).sum()),
        invented=_clusters(off, _FOUND * float(np.median(np.abs(true))), smallest),
        contrast=float(shares.mean()),
    )


def judge_bias(figures: Mapping[str, float], *, limits: Mapping[str, float] = LIMITS) -> BiasGuard:
    """Hold figures to their limits.

    Args:
        figures: by the names of `limits`, as shares of the truth or counts, signs do not matter.
        limits: largest size of each.

    Returns:
        The verdict. A figure that has a limit and is not there, or not a number, is a reason too.

    Assumes:
        Figures were measured on scans that the network was not fitted on.

    Source:
        Limits: set by us, after the targets of docs/science/denoising.md.

    Example:
        >>> judge_bias({"map": -0.08}, limits={"map": 0.05}).reasons
        ('map is -0.08, at most 0.05 allowed',)
    """
    reasons = []
    for name, most in limits.items():
        value = figures.get(name, float("nan"))
        if not np.isfinite(value):
            reasons.append(f"{name} was not measured")
        elif abs(value) > most:
            reasons.append(f"{name} is {value:.3g}, at most {most:g} allowed")
    return BiasGuard(figures=dict(figures), reasons=tuple(reasons))


def _clusters(off: np.ndarray, least: float, smallest: int) -> int:
    """Count connected places of one sign that reach a size and a difference."""
    total = 0
    for sign in (-1, 1):
        labels, _ = ndimage.label(sign * off >= least)
        total += int((np.bincount(labels.ravel())[1:] >= smallest).sum())
    return total

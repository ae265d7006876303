"""What can be done to a series before it is quantified, by name."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bolus import preprocess
from bolus.core import Mask, ModelCard, PerfusionSeries
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.workflows.networks import chosen_weights
from bolus.workflows.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enhanced:
    """A series after a method, the noise it found (x, y, z), and the network if it was one.

    Where its voxels are others, `before` is the series as it came on them, by straight lines, and
    `brain` the mask.
    """

    series: PerfusionSeries
    sigma: np.ndarray | None = None
    card: ModelCard | None = None
    before: PerfusionSeries | None = None
    brain: Mask | None = None


_FINER = 2
"""Times as many voxels along each axis of a slice: what the network was trained for."""
Enhancer = Callable[[PerfusionSeries, Mask, Progress], Enhanced]


def enhancer(method: str) -> Enhancer:
    """Return a method by its name.

    Raises:
        MetadataError: there is none of this name.
    """
    if method not in ENHANCERS:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"'{method[:40]}' is no way to enhance a series; there are {', '.join(ENHANCERS)}",
            mend="choose one of them",
            where="--method",
        )
    return ENHANCERS[method]


def _local_pca(series: PerfusionSeries, brain: Mask, progress: Progress) -> Enhanced:
    found = preprocess.denoise_local_pca(
        series, brain, progress=lambda done, total: progress("Noise", done, total)
    )
    return Enhanced(series=found.series, sigma=found.sigma)


def _frames(series: PerfusionSeries, brain: Mask, progress: Progress) -> Enhanced:
    weights = chosen_weights(None, kind="frames")
    from bolus.nets.frame_enhance import enhance_frames

    found = enhance_frames(
        series, brain, weights, progress=lambda done, total: progress("Noise", done, total)
    )
    _note_outside(weights.card, found.outside)
    return Enhanced(series=found.series, sigma=found.sigma, card=weights.card)


def _super_resolution(series: PerfusionSeries, brain: Mask, progress: Progress) -> Enhanced:
    weights = chosen_weights(None, kind="spacetime")
    from bolus.nets.spacetime_apply import refine_series
    from bolus.nets.spacetime_input import interpolated

    x, y, z = series.grid.shape
    shape = (_FINER * x, _FINER * y, z)
    found = refine_series(
        series, brain, weights, shape=shape,
        progress=lambda done, total: progress("Resolution", done, total),
    )  # fmt: skip
    _note_outside(weights.card, found.outside)
    plain = replace(
        series, values=interpolated(series.values, shape, order=1), grid=found.series.grid
    )
    return Enhanced(series=found.series, card=weights.card, before=plain, brain=found.mask)


def _note_outside(card: ModelCard, outside: tuple[str, ...]) -> None:
    if outside:
        warnings.warn(
            QualityWarning(f"{card.name} was not trained for this series: {'; '.join(outside)}"),
            stacklevel=3,
        )


ENHANCERS: Mapping[str, Enhancer] = MappingProxyType(
    {"local_pca": _local_pca, "frames": _frames, "super_resolution": _super_resolution}
)
"""Every method; settings name them too."""

"""What can be done to a series before it is quantified, by name."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus import preprocess
from bolus.core import Mask, ModelCard, PerfusionSeries
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.workflows.networks import chosen_weights
from bolus.workflows.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enhanced:
    """A series after a method, the noise it found (x, y, z), and the network if it was one."""

    series: PerfusionSeries
    sigma: np.ndarray | None = None
    card: ModelCard | None = None


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
    if found.outside:
        warnings.warn(
            QualityWarning(
                f"{weights.card.name} was not trained for this series: {'; '.join(found.outside)}"
            ),
            stacklevel=2,
        )
    return Enhanced(series=found.series, sigma=found.sigma, card=weights.card)


ENHANCERS: Mapping[str, Enhancer] = MappingProxyType({"local_pca": _local_pca, "frames": _frames})
"""Every method; settings name them too."""

"""What a cluster is called: by blood volume and diffusion of its centre, against written anchors.

A clustering gives numbers, not names, and which number stands for which tissue changes from fit to
fit. Names follow from physiology here, and where physiology does not decide, there is no name.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.errors import Code, QuantityError

HABITATS = ("hypervascular", "hypovascular", "nonviable")
"""All names, in the order of their labels from 1 on."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the centre of a habitat is expected: blood volume over white matter, and ADC."""

    ncbv: float
    adc_mm2_per_s: float


ANCHORS: Mapping[str, Anchor] = MappingProxyType(
    {
        "hypervascular": Anchor(ncbv=5.0, adc_mm2_per_s=1.05e-3),
        "hypovascular": Anchor(ncbv=1.5, adc_mm2_per_s=1.20e-3),
        "nonviable": Anchor(ncbv=0.6, adc_mm2_per_s=1.90e-3),
    }
)
"""Vascular cellular, less vascular cellular, and dead tissue; see docs/science/habitats.md."""

_STEPS = (0.5, 0.25e-3)
"""One step of distance: in ln(nCBV), and in ADC [mm2/s]."""
_LEAST_NCBV = 0.2
"""Blood volume below this is not told from none."""
_FURTHEST = 2.5
"""No centre may be further [steps] from its anchor."""
_MARGIN = 2.0
"""Squared steps by which the best naming has to beat the next."""


def name_centres(
    features: tuple[str, ...], centres: Float[np.ndarray, "habitats features"]
) -> tuple[str, ...]:
    """Return the name of every centre.

    Names are given so that the squared distances of all centres to their anchors sum to the
    least; a step of distance is 0.5 in ln(nCBV), 0.25e-3 mm2/s in ADC. One name is given once.

    Args:
        features: registry keys of the columns.
        centres: in registry units.

    Raises:
        QuantityError: nCBV or ADC is not among the features, there are more centres than names,
            a centre lies more than 2.5 steps from its anchor, or another naming is nearly as
            good (within 2 squared steps).

    Assumes:
        nCBV is referenced to normal white matter; the lesion is the enhancing one.

    Source:
        The three habitats: Park et al., Clin Cancer Res 2021;27:237. Anchors, steps and limits:
        set by us, docs/science/habitats.md.

    Example:
        >>> name_centres(("ncbv", "adc"), np.array([[0.7, 1.8e-3], [5.5, 1e-3], [1.6, 1.2e-3]]))
        ('nonviable', 'hypervascular', 'hypovascular')
    """
    if not {"ncbv", "adc"} <= set(features):
        raise _unnamed(
            f"centres of {', '.join(features)} have no blood volume over white matter (ncbv) or "
            "no diffusion (adc)"
        )
    if len(centres) > len(HABITATS):
        raise _unnamed(
            f"{len(centres)} clusters for {len(HABITATS)} names: {_told(features, centres)}"
        )
    distance = _distance(features, centres)
    rows = range(len(centres))
    namings = sorted(
        (float(sum(distance[i, j] ** 2 for i, j in zip(rows, chosen, strict=True))), chosen)
        for chosen in itertools.permutations(range(len(HABITATS)), len(centres))
    )
    best, chosen = namings[0]
    furthest = max(distance[i, j] for i, j in zip(rows, chosen, strict=True))
    if furthest > _FURTHEST:
        raise _unnamed(
            f"a centre is {furthest:.1f} steps from what a habitat is like (at most "
            f"{_FURTHEST:g}): {_told(features, centres)}"
        )
    if namings[1][0] - best < _MARGIN:
        other = ", ".join(HABITATS[j] for j in namings[1][1])
        raise _unnamed(
            f"{', '.join(HABITATS[j] for j in chosen)} and {other} fit about as well: "
            f"{_told(features, centres)}"
        )
    return tuple(HABITATS[j] for j in chosen)


def _distance(features: tuple[str, ...], centres: np.ndarray) -> np.ndarray:
    """Return the steps (centres, names) between centres and anchors."""
    blood = np.log(np.maximum(centres[:, features.index("ncbv")], _LEAST_NCBV))
    water = centres[:, features.index("adc")]
    anchors = [ANCHORS[name] for name in HABITATS]
    far_blood = (blood[:, None] - np.log([a.ncbv for a in anchors])) / _STEPS[0]
    far_water = (water[:, None] - np.array([a.adc_mm2_per_s for a in anchors])) / _STEPS[1]
    return np.asarray(np.hypot(far_blood, far_water))


def _told(features: tuple[str, ...], centres: np.ndarray) -> str:
    return "; ".join(
        ", ".join(f"{name} {value:.3g}" for name, value in zip(features, centre, strict=True))
        for centre in centres
    )


def _unnamed(message: str) -> QuantityError:
    return QuantityError(
        Code.HABITATS_UNNAMED,
        message,
        mend="choose another number of habitats, other features, or more patients",
    )

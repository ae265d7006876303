"""Neighbours as evidence: a voxel alone among others is more often noise than a habitat."""

from dataclasses import replace

import numpy as np

from bolus.core import LabelMap
from bolus.core.arrays import read_only
from bolus.core.provenance import Step
from bolus.errors import Code, MetadataError
from bolus.habitats.model import HabitatMap

_TINY = 1e-12


def smooth_membership(
    found: HabitatMap, *, strength: float = 0.5, iterations: int = 10
) -> HabitatMap:
    """Return habitats in which neighbours have a say: a hidden Markov random field.

    log qᵢ = log pᵢ + strength Σⱼ wᵢⱼ qⱼ + constant, repeated from q = p, with p what the voxel
    alone says and j its six neighbours in the lesion. Nearer neighbours say more: w is the
    smallest edge of a voxel over the distance.

    Args:
        found: of `assign_habitats`.
        strength: what a neighbour in plane adds to the log odds of its own habitat; 0 for none.
        iterations: how often.

    Returns:
        New memberships and labels; which voxels are unusual stays.

    Raises:
        MetadataError: the strength or the number of iterations is negative.

    Assumes:
        Habitats are patches of several voxels. Where they are not, this takes away what is there:
        it is left out unless asked for.

    Source:
        Mean field of a Potts model: Zhang et al., IEEE Trans Med Imaging 2001;20:45,
        doi 10.1109/42.906424. Strength: set by us, docs/science/habitats.md.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> from bolus.habitats import assign_habitats, fit_habitats, voxel_table
        >>> tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        ...           for lesion in simulate_habitat_phantom(2, seed=1)]
        >>> found = assign_habitats(tables[0], fit_habitats(tables, seed=1))
        >>> smooth_membership(found).membership.shape == found.membership.shape
        True
    """
    if strength < 0 or iterations < 0:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a strength of {strength:g} over {iterations} iterations",
            mend="give numbers of at least 0",
        )
    inside = found.mask.values
    alone = np.log(np.maximum(found.membership, _TINY))
    field = np.zeros((*inside.shape, len(found.names)))
    member = found.membership
    for _ in range(iterations):
        field[inside] = member
        score = alone + strength * _around(field, found.mask.grid.voxel_sizes_mm)[inside]
        likely = np.exp(score - score.max(axis=1, keepdims=True))
        member = likely / likely.sum(axis=1, keepdims=True)
    labels = np.zeros(inside.shape, np.uint8)
    labels[inside] = member.argmax(axis=1) + 1
    step = Step(
        "habitats.smooth_membership",
        {"strength": strength, "iterations": iterations},
        source="10.1109/42.906424",
    )
    return replace(
        found,
        labels=LabelMap(values=labels, grid=found.labels.grid, names=found.labels.names),
        membership=read_only(np.asarray(member)),
        provenance=found.provenance.then(step),
    )


def _around(field: np.ndarray, sizes_mm: tuple[float, float, float]) -> np.ndarray:
    """Return the weighted sum over six neighbours."""
    total = np.zeros_like(field)
    for axis, size in enumerate(sizes_mm):
        weight = min(sizes_mm) / size
        ahead = [slice(None)] * field.ndim
        behind = [slice(None)] * field.ndim
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        total[tuple(ahead)] += weight * field[tuple(behind)]
        total[tuple(behind)] += weight * field[tuple(ahead)]
    return total

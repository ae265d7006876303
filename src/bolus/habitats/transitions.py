"""What became of every voxel between two visits, and what an unchanged lesion would show."""

import numpy as np
from jaxtyping import Float

from bolus.core import LabelMap
from bolus.habitats.model import HabitatMap, HabitatModel
from bolus.habitats.noise import Lesion, VisitNoise, repeat_labels
from bolus.habitats.track import OUTSIDE, Transition

_REPEATS = 50


def find_transition(
    before: HabitatMap, after: HabitatMap, *, noise_ml: Float[np.ndarray, "before after"] | None
) -> Transition:
    """Return what became of every habitat, voxel by voxel on one grid.

    Args:
        before: of the earlier visit.
        after: of the later one, on the same grid.
        noise_ml: of `transition_noise_ml`.

    Raises:
        GeometryError: the visits lie on different grids.

    Assumes:
        Both were labelled with one model.

    Source:
        Own.
    """
    grid = before.labels.grid
    grid.require_match(after.labels.grid, what="the later visit")
    names = (*before.names, OUTSIDE)
    first, second = before.labels.values, after.labels.values
    both = _kinds(first, len(names)) * len(names) + _kinds(second, len(names))
    labels = np.where((first > 0) | (second > 0), both + 1, 0)
    return Transition(
        before=before.key,
        after=after.key,
        names=names,
        volumes_ml=_crossed(first, second, len(names)) * grid.voxel_volume_ml,
        labels=LabelMap(
            values=labels.astype(np.uint8),
            grid=grid,
            names={
                i * len(names) + j + 1: f"{one} to {other}"
                for i, one in enumerate(names)
                for j, other in enumerate(names)
                if (i, j) != (len(names) - 1, len(names) - 1)
            },
        ),
        noise_ml=noise_ml,
    )


def transition_noise_ml(
    lesion: Lesion,
    noises: tuple[VisitNoise, VisitNoise],
    *,
    model: HabitatModel,
    error_mm: float,
    surroundings: Float[np.ndarray, " features"] | None,
    confidence: float,
    random: np.random.Generator,
) -> Float[np.ndarray, "before after"]:
    """Return the transitions [mL] that an unchanged lesion stays below, displaced by an error.

    Args:
        lesion: of the earlier visit, on the first grid.
        noises: of the earlier and the later visit.
        model: of the habitats.
        error_mm: of the registration, root mean square.
        surroundings: see `repeat_labels`.
        confidence: share of the repeats, for each transition alone.
        random: decides the repeats.

    Assumes:
        A registration error is a shift of the whole lesion, the same along all axes.

    Source:
        Own; docs/science/habitat_change.md.
    """
    one = repeat_labels(lesion, noises[0], model=model, count=_REPEATS, random=random)
    other = repeat_labels(
        lesion, noises[1], model=model, count=_REPEATS, random=random,
        surroundings=surroundings,
    )  # fmt: skip
    mask = lesion.table.mask
    error = error_mm / np.sqrt(3) / np.array(mask.grid.voxel_sizes_mm)
    scores, rounding = random.standard_normal((_REPEATS, 3)), random.random((_REPEATS, 3))
    shifts = np.floor(error * scores + rounding).astype(int)
    pad = np.abs(shifts).max(axis=0)
    places = np.argwhere(mask.values)
    places = places - places.min(axis=0) + pad
    shape = tuple(int(n) for n in places.max(axis=0) + pad + 1)
    found = []
    for labels, moved, shift in zip(one, other, shifts, strict=True):
        first, second = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        first[tuple(places.T)] = labels
        second[tuple((places + shift).T)] = moved
        found.append(_crossed(first, second, len(model.names) + 1))
    return np.asarray(np.quantile(found, confidence, axis=0) * mask.grid.voxel_volume_ml)


def _kinds(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the number of each voxel's kind; the last is outside."""
    return np.asarray((labels.astype(np.intp) - 1) % count)


def _crossed(first: np.ndarray, second: np.ndarray, count: int) -> Float[np.ndarray, "i j"]:
    """Return how many voxels went from each kind to each; those outside twice do not count."""
    both = _kinds(first, count) * count + _kinds(second, count)
    table = np.bincount(both.ravel(), minlength=count**2).reshape(count, count).astype(float)
    table[-1, -1] = 0.0
    return np.asarray(table)

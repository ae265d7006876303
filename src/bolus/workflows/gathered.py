"""What the workflows of DSC and DCE gather in the same way: regions and histories."""

from collections.abc import Mapping

import numpy as np

from bolus import quantify
from bolus.core import LabelMap, MapSet, Mask, Provenance, Step


def region_rows(
    maps: MapSet, *, tumour: LabelMap | None, others: Mapping[str, Mask]
) -> tuple[quantify.RegionRow, ...]:
    """Summarise the tumour as a whole where it has parts, its parts, and other regions.

    Args:
        maps: on one grid.
        tumour: labels as the user numbered them; those without a voxel give no row.
        others: name -> region; voxels of the tumour do not count.
    """
    rows: list[quantify.RegionRow] = []
    if tumour is not None:
        held = set(np.unique(tumour.values).tolist())
        names = {label: name for label, name in tumour.names.items() if label in held}
        if len(tumour.names) > 1:
            rows += quantify.region_table(maps, _one(tumour.foreground, "whole tumour"))
        rows += quantify.region_table(
            maps, LabelMap(values=tumour.values, grid=tumour.grid, names=names)
        )
    for name, region in others.items():
        outside = region if tumour is None else region.without(tumour.foreground)
        rows += quantify.region_table(maps, _one(outside, name))
    return tuple(rows)


def joined_mask(first: Mask, *others: Mask | None) -> Mask:
    """Return the voxels of any of some masks, under the name of the first.

    Raises:
        GeometryError: they lie on different grids.
    """
    values = first.values.copy()
    for other in others:
        if other is not None:
            first.grid.require_match(other.grid, what=f"the {other.name} mask")
            values |= other.values
    return Mask(values=values, grid=first.grid, name=first.name)


def empty_mask(like: Mask) -> Mask:
    """Return a mask without voxels, on the grid of another."""
    return Mask(values=np.zeros_like(like.values), grid=like.grid, name="empty")


def joined_history(maps: MapSet, before: Mapping[str, str]) -> Provenance:
    """Join the maps' histories, each step behind what was searched for before it.

    Args:
        maps: of one exam.
        before: function of a step -> function that ran before its first use and left no step.
    """
    joined, waiting = Provenance(), dict(before)
    for item in maps.values():
        joined = joined.merged(item.provenance)
    steps: list[Step] = []
    for step in joined.steps:
        pending = [step]
        while (earlier := waiting.pop(pending[0].function, None)) is not None:
            pending.insert(0, Step(earlier, {}))
        steps += pending
    return Provenance(steps=tuple(steps), inputs=joined.inputs)


def _one(region: Mask, name: str) -> LabelMap:
    return LabelMap(values=region.values.astype(np.int16), grid=region.grid, names={1: name})

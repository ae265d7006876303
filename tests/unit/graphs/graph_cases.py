"""Tumours to cut: codes in patches, and images that follow them or do not."""

import numpy as np

from bolus.core import QUANTITIES, Grid, LabelMap, MapSet, Mask, ParameterMap, Provenance, stream
from bolus.simulate.anatomy import smooth_field

SIZES_MM = (1.0, 1.0, 3.0)


def patches(shape=(24, 24, 10), *, seed=1, codes=4):
    """Return codes 1 ... in an ellipsoid, in patches of a few voxels, 0 outside."""
    random = stream(seed, "patches")
    fields = np.stack([smooth_field(shape, reach_voxels=1.5, random=random) for _ in range(codes)])
    middle = (np.array(shape) - 1) / 2
    away = (np.moveaxis(np.indices(shape), 0, -1) - middle) / (middle - 1)
    return np.where((away**2).sum(-1) <= 1, fields.argmax(axis=0) + 1, 0)


def grid_of(shape, sizes_mm=SIZES_MM):
    return Grid(shape=shape, affine=np.diag([*sizes_mm, 1.0]))


def label_map(codes, sizes_mm=SIZES_MM):
    used = np.unique(codes[codes > 0])
    names = {int(code): f"code {code}" for code in used}
    return LabelMap(values=codes, grid=grid_of(codes.shape, sizes_mm), names=names)


def map_set(values, grid, key="ncbv"):
    whole = Mask(values=np.ones(grid.shape, bool), grid=grid, name="all")
    found = ParameterMap.from_voxels(
        values.ravel(), quantity=QUANTITIES[key], mask=whole, provenance=Provenance()
    )
    return MapSet({key: found})

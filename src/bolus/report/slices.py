"""Which slices are shown, and how voxels are turned to be read as a radiologist reads them."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from bolus.core import Grid, Mask

_MARGIN_VOXELS = 2
_BRAIN_SHARE = 0.35
"""Without a tumour, slices are spread where the brain fills this share of its largest slice."""

_TUMOUR_SHARE = 0.15
"""Slices that hold less of the tumour than this share of its largest are not worth a picture."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AxialView:
    """Axial images in radiological convention: seen from below, patient's right on the left.

    `order` and `flips` turn voxel axes to right, anterior, superior; `shape` is the turned shape;
    `box` the columns and rows shown; `slices` the turned slice numbers from below to above, and
    `heights_mm` where they lie; `aspect` the height of a shown voxel over its width.
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    shape: tuple[int, int, int]
    box: tuple[slice, slice]
    slices: tuple[int, ...]
    heights_mm: tuple[float, ...]
    aspect: float

    @classmethod
    def of(cls, brain: Mask, focus: Mask | None, *, slices: int) -> "AxialView":
        """Choose the slices: through `focus` where there is one, else through the brain.

        Args:
            brain: what must be seen; where it is empty, everything is.
            focus: what must be in the slices, such as a tumour.
            slices: how many at most.
        """
        grid = brain.grid
        order, flips = _to_ras(grid)
        inside = _turned(brain.values if brain.count else np.ones(grid.shape, bool), order, flips)
        spread = focus is None or not focus.count
        target = inside if spread or focus is None else _turned(focus.values, order, flips)
        chosen = _spread(target, slices) if spread else _through(target, slices)
        sizes = np.array(grid.voxel_sizes_mm)[list(order)]
        return cls(
            order=order,
            flips=flips,
            shape=(inside.shape[0], inside.shape[1], inside.shape[2]),
            box=(_extent(inside, 0), _extent(inside, 1)),
            slices=chosen,
            heights_mm=tuple(_height_mm(grid, order, flips, inside.shape, k) for k in chosen),
            aspect=float(sizes[1] / sizes[0]),
        )

    def with_slices(self, chosen: tuple[int, ...], grid: Grid) -> "AxialView":
        """Return the same view of other slices."""
        return AxialView(
            order=self.order,
            flips=self.flips,
            shape=self.shape,
            box=self.box,
            slices=chosen,
            heights_mm=tuple(
                _height_mm(grid, self.order, self.flips, self.shape, k) for k in chosen
            ),
            aspect=self.aspect,
        )

    @property
    def extent(self) -> tuple[int, int]:
        """Columns and rows of one image."""
        return self.box[0].stop - self.box[0].start, self.box[1].stop - self.box[1].start

    def plane(self, values: np.ndarray, index: int) -> np.ndarray:
        """Return one image: rows from anterior to posterior, columns from right to left."""
        turned = _turned(values, self.order, self.flips)
        return np.asarray(turned[self.box[0], self.box[1], index][::-1, ::-1].T)

    def places(self, voxels: np.ndarray) -> np.ndarray:
        """Return column, row and slice (n, 3) of voxel indices (n, 3)."""
        turned = np.array(voxels, dtype=np.int64)[:, list(self.order)]
        for axis, flip in enumerate(self.flips):
            if flip:
                turned[:, axis] = self.shape[axis] - 1 - turned[:, axis]
        columns = self.box[0].stop - 1 - turned[:, 0]
        rows = self.box[1].stop - 1 - turned[:, 1]
        return np.stack([columns, rows, turned[:, 2]], axis=1)


def _to_ras(grid: Grid) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Find the voxel axis nearest to right, anterior and superior, and whether it runs back."""
    directions = grid.affine[:3, :3] / np.array(grid.voxel_sizes_mm)
    best = max(
        permutations(range(3)), key=lambda p: sum(abs(directions[w, v]) for w, v in enumerate(p))
    )
    order = (best[0], best[1], best[2])
    x, y, z = (bool(directions[world, voxel] < 0) for world, voxel in enumerate(order))
    return order, (x, y, z)


def _turned(
    values: np.ndarray, order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> np.ndarray:
    turned = np.transpose(values, order)
    return turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def _extent(inside: np.ndarray, axis: int) -> slice:
    others = tuple(a for a in range(3) if a != axis)
    hit = np.flatnonzero(inside.any(axis=others))
    return slice(
        max(int(hit[0]) - _MARGIN_VOXELS, 0),
        min(int(hit[-1]) + _MARGIN_VOXELS + 1, inside.shape[axis]),
    )


def _spread(inside: np.ndarray, count: int) -> tuple[int, ...]:
    """Even steps through the part of the brain that is broad enough to be looked at."""
    area = inside.sum(axis=(0, 1))
    broad = np.flatnonzero(area >= _BRAIN_SHARE * area.max())
    return _even(int(broad[0]), int(broad[-1]), count)


def _through(target: np.ndarray, count: int) -> tuple[int, ...]:
    """Even steps through the target; a small one is shown with the slices around it."""
    area = target.sum(axis=(0, 1))
    hit = np.flatnonzero(area >= _TUMOUR_SHARE * area.max())
    first, last = int(hit[0]), int(hit[-1])
    depth = target.shape[2]
    while last - first + 1 < min(count, depth):
        first, last = max(first - 1, 0), min(last + 1, depth - 1)
    return _even(first, last, count)


def _even(first: int, last: int, count: int) -> tuple[int, ...]:
    steps = np.linspace(first, last, min(count, last - first + 1))
    return tuple(int(k) for k in np.unique(np.round(steps)))


def _height_mm(
    grid: Grid,
    order: tuple[int, int, int],
    flips: tuple[bool, bool, bool],
    shape: tuple[int, ...],
    index: int,
) -> float:
    """Superior coordinate [mm] of the middle of a turned slice."""
    place = np.zeros(3)
    for axis, (voxel_axis, flip) in enumerate(zip(order, flips, strict=True)):
        middle = (shape[axis] - 1) / 2 if axis < 2 else float(index)
        place[voxel_axis] = shape[axis] - 1 - middle if flip else middle
    return float(grid.centres_mm(place)[2])

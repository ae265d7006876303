"""Arrays that take memory only for what they hold."""

from pathlib import Path

import numpy as np
import pytest

from bolus.core import (
    SIGNAL,
    Acquisition,
    Grid,
    Mask,
    PerfusionSeries,
    Provenance,
    TimeAxis,
    sparse_copy,
    sparse_zeros,
)
from bolus.errors import GeometryError

GRID = Grid(shape=(40, 40, 40), affine=np.eye(4))


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def series(frames=6) -> PerfusionSeries:
    values = np.arange(np.prod(GRID.shape) * frames, dtype=np.float32) + 1
    return PerfusionSeries(
        values=values.reshape(*GRID.shape, frames), quantity=SIGNAL, grid=GRID,
        time=TimeAxis.regular(frames, step_s=1.5), acquisition=Acquisition(),
        provenance=Provenance(inputs=(("a.nii", "00"),)),
    )  # fmt: skip


def corner() -> Mask:
    values = np.zeros(GRID.shape, bool)
    values[:5, 3:9, 2:4] = True
    return Mask(values=values, grid=GRID, name="corner")


def test_zeros_take_memory_only_where_they_are_written_or_nowhere_by_reading():
    before = resident_bytes()

    zeros = sparse_zeros((256, 256, 1024))
    total = zeros[::3].sum()
    zeros[7, 9] = 1.0

    assert zeros.nbytes == 1 << 28
    assert total == 0
    assert zeros.sum() == 1024
    assert resident_bytes() - before < 1 << 25


def test_an_empty_shape_is_an_empty_array():
    assert sparse_zeros((0, 3)).shape == (0, 3)


def test_a_copy_without_a_mask_is_equal_and_keeps_what_is_not_a_number():
    values = np.zeros((3, 2, 2, 4), np.float32)
    values[1, 0, 1] = (0, 0, np.nan, 0)
    values[2, 1, 1] = 5

    np.testing.assert_array_equal(sparse_copy(values), values)
    assert not np.shares_memory(sparse_copy(values), values)


def test_a_series_within_a_mask_is_the_same_there_and_zero_elsewhere():
    whole, mask = series(), corner()

    part = whole.within(mask)

    np.testing.assert_array_equal(part.curves(mask), whole.curves(mask))
    assert not part.values[~mask.values].any()
    assert part.provenance is whole.provenance
    with pytest.raises(ValueError, match="read-only"):
        part.values[0] = 1


def test_a_mask_of_another_grid_is_refused():
    other = Grid(shape=GRID.shape, affine=np.diag([2.0, 2, 2, 1]))

    with pytest.raises(GeometryError):
        series().within(Mask(values=corner().values, grid=other, name="brain"))

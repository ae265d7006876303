"""Shares of codes: they add up, their intervals hold them, and neighbours that agree count less."""

import numpy as np
import pytest

from bolus.core import Grid, LabelMap
from bolus.core.randomness import stream
from bolus.errors import GeometryError
from bolus.habitats.code_shares import WHOLE, code_quartiles, code_shares

SHAPE = (24, 24, 12)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2, 3, 1]))
NAMES = {number: f"H{number}" for number in range(1, 5)}


def labels(values, names=NAMES, grid=GRID):
    return LabelMap(values=values, grid=grid, names=names)


def drawn():
    return labels(np.where(np.arange(SHAPE[0]) < 10, 1, 2)[:, None, None] * np.ones(SHAPE, int),
                  {1: "core", 2: "oedema", 3: "nowhere"})  # fmt: skip


def test_shares_add_up_and_lie_within_their_intervals():
    codes = stream(1, "codes").integers(0, 4, SHAPE)

    rows = code_shares(labels(codes), drawn())

    assert {row.region for row in rows} == {WHOLE, "core", "oedema"}
    for region in (WHOLE, "core", "oedema"):
        own = [row for row in rows if row.region == region]
        assert [row.code for row in own] == list(NAMES.values())
        assert sum(row.percent for row in own) == pytest.approx(100)
        assert own[3].voxels == 0
        assert own[3].percent == 0 == own[3].low95 < own[3].high95
        for row in own:
            assert row.low95 <= row.percent <= row.high95
            assert row.volume_ml == pytest.approx(row.voxels * 0.012)


def test_neighbours_that_agree_widen_the_interval():
    alone = stream(2, "codes").integers(1, 5, SHAPE)
    coarse = stream(2, "codes").integers(1, 5, (6, 6, 3))
    blocks = coarse.repeat(4, 0).repeat(4, 1).repeat(4, 2)

    def width(codes):
        row = code_shares(labels(codes), labels(np.ones(SHAPE, int), {1: "tumour"}))[0]
        return row.high95 - row.low95

    assert width(blocks) > 3 * width(alone)


def test_a_region_without_codes_has_no_share():
    rows = code_shares(labels(np.zeros(SHAPE, int)), drawn())

    assert all(np.isnan([row.percent, row.low95, row.high95]).all() for row in rows)


def test_another_grid_is_refused():
    other = Grid(shape=SHAPE, affine=np.diag([2.0, 2, 4, 1]))

    with pytest.raises(GeometryError):
        code_shares(labels(np.ones(SHAPE, int)), labels(np.ones(SHAPE, int), {1: "a"}, other))


def test_the_gain_of_a_scanner_does_not_change_quartiles():
    signal = stream(3, "signal").uniform(1, 2, (50, 30))
    codes = stream(3, "codes").integers(1, 3, 50).astype(np.uint8)
    gain = stream(3, "gain").uniform(0.5, 90, (50, 1))

    once, twice = (code_quartiles(s, codes, count=3) for s in (signal, signal * gain))

    np.testing.assert_allclose(once, twice)
    assert (once[:2, 0] <= once[:2, 1]).all()
    assert np.isnan(once[2]).all()

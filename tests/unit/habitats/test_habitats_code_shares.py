"""Shares of codes: they add up, and their intervals hold what other scans would have found."""

import numpy as np
import pytest

from bolus.core import Grid, LabelMap
from bolus.core.randomness import stream
from bolus.errors import GeometryError
from bolus.habitats.code_shares import WHOLE, code_quartiles, code_shares, noisy_again

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

    rows = code_shares(labels(codes), drawn(), np.stack([codes, np.roll(codes, 1), codes]))

    assert {row.region for row in rows} == {WHOLE, "core", "oedema"}
    for region in (WHOLE, "core", "oedema"):
        own = [row for row in rows if row.region == region]
        assert [row.code for row in own] == list(NAMES.values())
        assert sum(row.percent for row in own) == pytest.approx(100)
        assert own[3].voxels == 0
        assert own[3].percent == 0 == own[3].low95 == own[3].high95
        for row in own:
            assert row.low95 <= row.percent <= row.high95
            assert row.volume_ml == pytest.approx(row.voxels * 0.012)


def test_intervals_hold_the_mean_of_many_scans():
    """Levels near borders between codes: 40 tumours, each scanned again and again."""
    grid = Grid(shape=(10, 10, 6), affine=np.eye(4))
    whole = labels(np.ones(grid.shape, int), {1: "tumour"}, grid)
    random = stream(2, "scans")

    def code(signal):
        return np.digitize(signal.mean(axis=1), (-0.5, 0.0, 0.5)).reshape(grid.shape) + 1

    held = []
    for _ in range(40):
        truth = np.repeat(random.normal(0, 0.6, (600, 1)), 30, axis=1)
        scans = [truth + random.normal(0, 1.0, truth.shape) for _ in range(41)]
        found = np.mean([np.bincount(code(scan).ravel(), minlength=5)[1:] / 6 for scan in scans], 0)
        again = np.array([code(noisy_again(scans[0], random)) for _ in range(30)])
        rows = code_shares(labels(code(scans[0]), grid=grid), whole, again)
        held += [row.low95 <= one <= row.high95 for row, one in zip(rows, found, strict=True)]

    assert 0.88 <= np.mean(held) <= 0.99


def test_noise_is_of_the_size_that_is_there():
    """Also in a curve with a passage, whose own bends are no noise."""
    seconds = np.arange(60.0)
    passage = 100 - 40 * np.exp(-(((seconds - 25) / 6) ** 2))
    random = stream(4, "noise")
    signal = passage + random.normal(0, 2.0, (4000, 60))

    added = noisy_again(signal, random) - signal

    assert added.std() == pytest.approx(2.0, rel=0.1)


def test_a_region_without_codes_has_no_share():
    rows = code_shares(labels(np.zeros(SHAPE, int)), drawn(), np.zeros((2, *SHAPE), int))

    assert all(np.isnan([row.percent, row.low95, row.high95]).all() for row in rows)


def test_another_grid_is_refused():
    other = Grid(shape=SHAPE, affine=np.diag([2.0, 2, 4, 1]))

    with pytest.raises(GeometryError):
        code_shares(
            labels(np.ones(SHAPE, int)),
            labels(np.ones(SHAPE, int), {1: "a"}, other),
            np.ones((2, *SHAPE), int),
        )


def test_the_gain_of_a_scanner_does_not_change_quartiles():
    signal = stream(3, "signal").uniform(1, 2, (50, 30))
    codes = stream(3, "codes").integers(1, 3, 50).astype(np.uint8)
    gain = stream(3, "gain").uniform(0.5, 90, (50, 1))

    once, twice = (code_quartiles(s, codes, count=3) for s in (signal, signal * gain))

    np.testing.assert_allclose(once, twice)
    assert (once[:2, 0] <= once[:2, 1]).all()
    assert np.isnan(once[2]).all()

"""Region means, their intervals, and the fractional tumour burden."""

import numpy as np
import pytest
from scipy import ndimage

from bolus.core import QUANTITIES, Grid, LabelMap, MapSet, Mask, ParameterMap, Provenance, stream
from bolus.errors import GeometryError, QuantityError
from bolus.quantify.normalise import normalise_to_white_matter
from bolus.quantify.regions import (
    effective_count,
    fractional_tumour_burden,
    mean_ratio,
    mean_with_error,
    region_table,
)

SHAPE = (16, 16, 8)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 5.0, 1.0]))
EVERYWHERE = Mask(values=np.ones(SHAPE, bool), grid=GRID, name="brain")


def parameter_map(values, key="cbv", std=None):
    return ParameterMap.from_voxels(
        np.asarray(values, float).ravel(), quantity=QUANTITIES[key], mask=EVERYWHERE,
        provenance=Provenance(), std=None if std is None else np.full(EVERYWHERE.count, std),
    )  # fmt: skip


def labels(values, **names):
    return LabelMap(values=values, grid=GRID, names={int(k[1:]): v for k, v in names.items()})


def test_a_row_is_what_the_voxels_say():
    values = np.full(SHAPE, 2.0)
    values[:, :, 4:] = np.nan
    values[:8, :, :4] = 4.0
    where = np.zeros(SHAPE, int)
    where[4:12] = 1

    (row,) = region_table(MapSet({"cbv": parameter_map(values)}), labels(where, l1="core"))

    assert (row.region, row.key, row.unit) == ("core", "cbv", "mL/100mL")
    assert row.voxels == 8 * 16 * 4
    assert row.volume_ml == pytest.approx(8 * 16 * 4 * 0.02)
    assert (row.mean, row.median, row.p05, row.p95) == pytest.approx((3, 3, 2, 4))
    assert row.low95 < 3 < row.high95


def test_an_empty_region_is_nan_not_an_error():
    (row,) = region_table(
        MapSet({"cbv": parameter_map(np.ones(SHAPE))}), labels(np.zeros(SHAPE, int), l3="gone")
    )

    assert row.voxels == 0
    assert np.isnan([row.mean, row.median, row.mean_std, row.low95]).all()


def test_a_single_voxel_has_its_own_error():
    where = np.zeros(SHAPE, int)
    where[0, 0, 0] = 1

    (row,) = region_table(
        MapSet({"cbv": parameter_map(np.ones(SHAPE), std=0.3)}), labels(where, l1="dot")
    )

    assert row.mean_std == pytest.approx(0.3)


def test_labels_of_another_grid_are_refused():
    other = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 6.0, 1.0]))

    with pytest.raises(GeometryError):
        region_table(
            MapSet({"cbv": parameter_map(np.ones(SHAPE))}),
            LabelMap(values=np.ones(SHAPE, int), grid=other, names={1: "core"}),
        )


@pytest.mark.parametrize("width", [0.0, 0.8, 1.5])
def test_the_interval_holds_the_mean_as_often_as_it_says(width):
    rng = stream(1, "interval", str(width))
    held, inside = [], np.zeros(SHAPE, bool)
    inside[2:14, 2:14, 1:7] = True
    for _ in range(300):
        field = rng.normal(size=tuple(n + 16 for n in SHAPE))
        field = ndimage.gaussian_filter(field, width)[8:-8, 8:-8, 8:-8]
        item = parameter_map(5 + field)
        mean, error, _ = mean_with_error(item, inside)
        held.append(abs(mean - 5) <= 1.96 * error)

    # correlation is estimated within the region, whose own mean is taken off: a little too small
    assert 0.87 <= np.mean(held) <= 0.98


def test_smooth_maps_are_worth_fewer_voxels():
    rng = stream(2, "smooth")
    rough = rng.normal(size=SHAPE)
    smooth = ndimage.gaussian_filter(rough, 1.2)
    everywhere = np.ones(SHAPE, bool)

    assert effective_count(rough, everywhere) > 0.7 * rough.size
    assert effective_count(smooth, everywhere) < 0.1 * rough.size
    assert effective_count(np.ones(SHAPE), everywhere) == rough.size


def test_an_error_of_the_reference_does_not_average_out():
    rng = stream(3, "shared")
    cbv = parameter_map(2 + 0.5 * rng.normal(size=SHAPE), std=0.5)
    few = np.zeros(SHAPE, bool)
    few[:4, :4, 0] = True
    many = ~few

    ncbv = normalise_to_white_matter(cbv, Mask(values=few, grid=GRID, name="white matter"))
    mean, error, _ = mean_with_error(ncbv, many)

    # 16 reference voxels of 2 ± 0.5: relative error about 0.06, shared by all
    relative = ncbv.provenance.steps[-1].arguments["reference_relative_std"]
    assert 0.03 < relative < 0.13
    assert error == pytest.approx(mean * relative, rel=0.1)


def test_means_are_divided_by_means():
    values = np.where(np.arange(SHAPE[0]) < 4, 6.0, 2.0)[:, None, None] * np.ones(SHAPE)
    values[0, 0, 0] = np.nan
    tumour, white = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    tumour[:4], white[8:] = True, True
    part = np.ones(SHAPE, bool)
    part[:, :, 0] = False
    brain = Mask(values=part, grid=GRID, name="brain")

    found = mean_ratio(
        values[part], brain, Mask(values=tumour, grid=GRID, name="tumour"),
        Mask(values=white, grid=GRID, name="white matter"),
    )  # fmt: skip

    assert found == pytest.approx(3)


# --- fractional tumour burden


def test_classes_are_counted_with_their_limits_in_the_lower_one():
    values = np.tile([0.5, 1.0, 1.2, 1.75, 1.8, 3.0, np.nan, 3.0], (16, 16, 1))

    found = fractional_tumour_burden(parameter_map(values, "ncbv", std=1e-6), EVERYWHERE)

    assert found.low_percent == pytest.approx(100 * 2 / 7)
    assert found.middle_percent == pytest.approx(100 * 2 / 7)
    assert found.high_percent == pytest.approx(100 * 3 / 7)
    assert found.high_ml == pytest.approx(3 * 256 * 0.02)
    assert (found.voxels, found.lost) == (7 * 256, 256)


def test_burden_intervals_hold_the_count_without_noise():
    rng = stream(4, "burden")
    held = []
    for _ in range(300):
        truth = rng.uniform(0.2, 4, SHAPE)
        share = 100 * np.mean(truth > 1.75)
        noisy = truth + 0.3 * rng.normal(size=SHAPE)
        found = fractional_tumour_burden(parameter_map(noisy, "ncbv", std=0.3), EVERYWHERE)
        held.append(found.high_interval[0] <= share <= found.high_interval[1])

    # binomial error of 300 is 0.013
    assert np.mean(held) == pytest.approx(0.95, abs=0.04)


def test_the_error_of_the_reference_widens_the_burden():
    rng = stream(5, "burden")
    values = 2 * rng.uniform(0.2, 4, SHAPE)
    values[0, :2, 0] = 1.8, 2.2
    cbv = parameter_map(values, std=0.01)
    white = np.zeros(SHAPE, bool)
    white[0, :2, 0] = True

    ncbv = normalise_to_white_matter(cbv, Mask(values=white, grid=GRID, name="white matter"))
    found = fractional_tumour_burden(ncbv, EVERYWHERE)

    assert found.high_interval[1] - found.high_interval[0] > 5


def test_without_errors_there_is_no_interval():
    found = fractional_tumour_burden(parameter_map(np.full(SHAPE, 2.0), "ncbv"), EVERYWHERE)

    assert found.high_percent == 100
    assert np.isnan(found.high_interval).all()


def test_a_tumour_without_any_answer_is_nan():
    found = fractional_tumour_burden(parameter_map(np.full(SHAPE, np.nan), "ncbv"), EVERYWHERE)

    assert np.isnan(found.low_percent)
    assert found.lost == EVERYWHERE.count


@pytest.mark.parametrize(("key", "low"), [("cbv", 1.0), ("ncbv", 2.0)])
def test_other_maps_and_crossed_limits_are_refused(key, low):
    with pytest.raises(QuantityError, match="low < high"):
        fractional_tumour_burden(parameter_map(np.ones(SHAPE), key), EVERYWHERE, low=low)

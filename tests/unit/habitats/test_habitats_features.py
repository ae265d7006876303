"""From maps to rows: what is left out, and what is refused."""

import numpy as np
import pytest

from bolus.core import QUANTITIES, Grid, Mask, ParameterMap, Provenance, SessionKey, Step
from bolus.errors import BolusError, Code
from bolus.habitats import VoxelTable, voxel_table

GRID = Grid(shape=(3, 1, 1), affine=np.eye(4))
LESION = Mask(values=np.array([True, True, False]).reshape(3, 1, 1), grid=GRID, name="lesion")
ALL = Mask(values=np.ones((3, 1, 1), bool), grid=GRID, name="brain")


def item(key, values, std=None):
    return ParameterMap.from_voxels(
        np.array(values, float), quantity=QUANTITIES[key], mask=ALL, std=std,
        provenance=Provenance(steps=(Step(f"quantify.{key}", {}),)),
    )  # fmt: skip


def test_values_errors_and_history_come_along():
    maps = {"ncbv": item("ncbv", [2, 3, 4], np.array([0.1, 0.2, 0.3])),
            "adc": item("adc", [1e-3, 2e-3, 1e-3])}  # fmt: skip
    table = voxel_table(maps, LESION, key=SessionKey("01"), scanner="A")

    assert table.values.tolist() == [[2, 1e-3], [3, 2e-3]]
    assert table.std[:, 0].tolist() == [0.1, 0.2]
    assert np.isnan(table.std[:, 1]).all()
    assert [step.function for step in table.provenance.steps] == ["quantify.ncbv", "quantify.adc"]
    assert table.scanner == "A"


@pytest.mark.parametrize(
    ("ncbv", "adc", "said"),
    [
        (None, [1e-3] * 3, "there is no ncbv map"),
        ([np.nan] * 3, [1e-3] * 3, "none of the 2 voxels"),
        ([2.0] * 3, [1000.0] * 3, "the median adc of the lesion is 1000"),
    ],
)
def test_what_makes_no_row_is_refused(ncbv, adc, said):
    maps = {} if ncbv is None else {"ncbv": item("ncbv", ncbv)}

    with pytest.raises(BolusError, match=said) as refused:
        voxel_table({**maps, "adc": item("adc", adc)}, LESION, key=SessionKey("01"))
    assert refused.value.code is Code.HABITATS_UNFIT


def test_maps_on_another_grid_are_refused():
    other = Grid(shape=(3, 1, 1), affine=np.diag([2.0, 2, 2, 1]))
    moved = Mask(values=LESION.values, grid=other, name="lesion")

    with pytest.raises(BolusError) as refused:
        voxel_table({"ncbv": item("ncbv", [1, 1, 1])}, moved, key=SessionKey("01"),
                    features=("ncbv",))  # fmt: skip
    assert refused.value.code is Code.GRID_MISMATCH


def test_a_table_checks_itself():
    with pytest.raises(BolusError, match="do not fit"):
        VoxelTable(key=SessionKey("01"), features=("ncbv",), mask=LESION,
                   values=np.ones((3, 1)), std=np.ones((3, 1)))  # fmt: skip

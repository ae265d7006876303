"""The gate of unchanged habitats, on a few patients."""

import numpy as np
import pytest

from bolus.core import Grid, Mask
from bolus.io.habitat_model import default_model
from bolus.workflows import gates_habitats_change as gates
from bolus.workflows.gates_request import PROFILES, GateRequest

REQUEST = GateRequest(seed=3, profile=PROFILES["quick"])


@pytest.fixture(scope="module")
def model():
    return default_model()


@pytest.mark.slow
def test_unchanged_patients_are_within_and_growth_is_not(model):
    still = list(gates.follow(model, 6, seed=3, own=True, changed=False))
    assert np.mean([one.beyond.any() for one in still]) <= 1 / 6
    assert all((one.true_ml == 0).all() for one in still)
    grown = list(gates.follow(model, 6, seed=3, own=True, changed=True))
    large = [
        one.beyond[h]
        for one in grown
        for h in range(3)
        if abs(one.true_ml[h]) > 0.5 * one.lesion_ml
    ]
    assert all(large)


@pytest.mark.slow
def test_the_part_says_what_it_measured(model, monkeypatch):
    monkeypatch.setitem(gates.PATIENTS, "quick", 3)
    part = gates.change_part(REQUEST, model)

    assert [gate.unit for gate in part.gates] == ["%", "%"]
    assert {gate.low for gate in part.gates} == {95.0}
    assert [table.title for table in part.tables] == [
        "Printed limits",
        "Changes that are found [%]",
    ]


@pytest.mark.slow
def test_the_part_of_sites_allows_for_chance(monkeypatch):
    monkeypatch.setitem(gates.LESIONS, "quick", 3)
    part = gates.site_part(REQUEST)

    assert part.gates[0].value in (0.0, pytest.approx(100 / 3), pytest.approx(200 / 3), 100.0)
    assert part.gates[0].high == pytest.approx(100 / 3)


def test_enhancement_elsewhere_touches_the_lesion_and_has_the_size_that_was_asked():
    grid = Grid(shape=(20, 20, 10), affine=np.diag([2.0, 2.0, 4.0, 1.0]))
    values = np.zeros(grid.shape, bool)
    values[8:12, 8:12, 4:6] = True
    lesion = Mask(values=values, grid=grid, name="lesion")
    found = gates.elsewhere(lesion, 40, seed=1)

    assert found.count == 40
    assert not (found.values & values).any()
    assert (gates.elsewhere(lesion, 40, seed=2).values != found.values).any()

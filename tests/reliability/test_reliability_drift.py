"""Maps of the same exam stay the same from version to version, or the changelog says why not."""

import json

import pytest
from golden_maps import KEPT, changelog, statistics

pytestmark = pytest.mark.reliability
GOLDEN = json.loads(KEPT.read_text())
TOLERANCE = 1e-6


def test_the_reason_of_the_kept_numbers_stands_in_the_changelog():
    assert GOLDEN["reason"] in changelog()


def test_no_map_drifts():
    found = statistics()

    assert found.keys() == GOLDEN["maps"].keys()
    drifted = {
        f"{key} {name}": (value, found[key][name])
        for key, values in GOLDEN["maps"].items()
        for name, value in values.items()
        if abs(found[key][name] - value) > TOLERANCE * max(abs(value), 1e-3)
    }
    assert drifted == {}

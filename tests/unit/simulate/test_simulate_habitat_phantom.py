"""The phantom of habitats: known voxels, and a gain that changes nothing else."""

import numpy as np
import pytest

from bolus.errors import BolusError
from bolus.simulate.habitat_phantom import simulate_habitat_phantom

PLAIN = simulate_habitat_phantom(10, seed=3)
DOUBLE = simulate_habitat_phantom(10, seed=3, gain=2.0)


def inside(lesion, key):
    return lesion.maps[key].values[lesion.lesion.values]


def test_the_gain_scales_raw_blood_volume_of_every_second_patient_only():
    for number, (one, two) in enumerate(zip(PLAIN, DOUBLE, strict=True)):
        factor = 2.0 if number % 2 else 1.0
        np.testing.assert_allclose(inside(two, "rcbv"), factor * inside(one, "rcbv"))
        np.testing.assert_allclose(inside(two, "ncbv"), inside(one, "ncbv"))
        assert (inside(two, "adc") == inside(one, "adc")).all()
        assert two.scanner == ("scanner-02" if number % 2 else "scanner-01")


def test_shares_are_as_asked():
    for lesion in PLAIN:
        found = np.bincount(lesion.truth.values[lesion.lesion.values])[1:] / lesion.lesion.count
        assert found == pytest.approx([0.30, 0.45, 0.25], abs=0.001)
    unequal = simulate_habitat_phantom(10, seed=3, unequal=True)
    most = [
        np.bincount(one.truth.values[one.lesion.values], minlength=4)[1:].max() / one.lesion.count
        for one in unequal
    ]
    assert max(most) > 0.7


def test_ten_patients_spread_as_the_simulator_says():
    means = [
        np.log(inside(one, "ncbv")[one.truth.values[one.lesion.values] == 1]).mean()
        for one in PLAIN
    ]

    assert np.std(means) == pytest.approx(0.25, rel=0.35)  # and 0.05 of the reference


def test_the_same_seed_gives_the_same_bytes():
    again = simulate_habitat_phantom(10, seed=3)[4]

    assert inside(again, "ncbv").tobytes() == inside(PLAIN[4], "ncbv").tobytes()


@pytest.mark.parametrize("options", [{"patients": 0}, {"gain": 0.0}])
def test_nothing_to_simulate_is_refused(options):
    with pytest.raises(BolusError, match="positive gain"):
        simulate_habitat_phantom(**{"patients": 2, "seed": 1, **options})

"""Scanners of a simulated trial: reproducible, diverse, and within what scanners do."""

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate import PROTOCOLS
from bolus.simulate.fleet import choose_scanner, draw_scanners

SHAPE = (64, 64, 12)


@pytest.fixture(scope="module")
def many():
    return draw_scanners(60, seed=5, shape=SHAPE)


def test_a_scanner_does_not_depend_on_how_many_there_are(many):
    assert draw_scanners(7, seed=5, shape=SHAPE) == many[:7]
    assert draw_scanners(7, seed=6, shape=SHAPE)[1:] != many[1:7]


def test_the_first_scanner_has_the_consensus_protocol_whatever_the_seed():
    consensus = PROTOCOLS["preload_60"]
    for seed in (0, 1, 99):
        first = draw_scanners(1, seed=seed, shape=SHAPE)[0]
        assert first.name == "scanner-01"
        assert first.dsc.shape == SHAPE
        assert first.gain == 1
        for name in ("echo_times_s", "repetition_time_s", "flip_angle_deg", "frames",
                     "preload_mmol_per_kg", "field_strength_t"):  # fmt: skip
            assert getattr(first.dsc, name) == getattr(consensus, name)


def test_scanners_stay_within_what_is_stated(many):
    for scanner in many:
        dsc = scanner.dsc
        assert 0.028 <= dsc.echo_times_s[0] <= 0.045
        assert 1.25 <= dsc.repetition_time_s <= 1.8
        assert dsc.flip_angle_deg in (30, 35, 60, 75, 90)
        assert dsc.frames >= 44
        assert 75 <= dsc.frames * dsc.repetition_time_s <= 101
        assert 0.5 <= scanner.gain <= 3
        assert 0 <= scanner.distortion_mm <= 6
        assert scanner.dce.field_strength_t == dsc.field_strength_t


def test_every_scanner_sees_the_whole_head(many):
    for scanner in many:
        for protocol in (scanner.dsc, scanner.dce):
            extent = np.multiply(protocol.shape, protocol.voxel_mm)
            np.testing.assert_allclose(extent, (220, 220, 120))


def test_scanners_differ_as_sites_do(many):
    assert len({scanner.vendor for scanner in many}) == 4
    # 25 % expected; 60 draws leave 12 to 38 % nine times in ten
    low = np.mean([scanner.dsc.field_strength_t == 1.5 for scanner in many])
    assert 0.1 <= low <= 0.42
    gains = [scanner.gain for scanner in many]
    assert min(gains) < 0.7
    assert max(gains) > 2.2
    assert {scanner.dsc.preload_mmol_per_kg > 0 for scanner in many} == {True, False}
    assert {scanner.dsc.orientation for scanner in many} == {"LAS", "oblique"}


def test_the_agent_of_dce_is_the_preload_of_dsc(many):
    for scanner in many:
        if scanner.dsc.preload_mmol_per_kg:
            assert scanner.dce.dose_mmol_per_kg == scanner.dsc.preload_mmol_per_kg


def test_patients_stay_on_their_scanner_most_of_the_time():
    fleet = draw_scanners(4, seed=1, shape=SHAPE)
    first = [choose_scanner(fleet, seed=1, patient=n, visit=0).name for n in range(1, 9)]
    later = [
        choose_scanner(fleet, seed=1, patient=n, visit=2).name == fleet[(n - 1) % 4].name
        for n in range(1, 401)
    ]

    assert first == [scanner.name for scanner in fleet] * 2
    # 85 % of 400; three standard errors are 5.4 %
    assert 0.79 <= np.mean(later) <= 0.91


@pytest.mark.parametrize(("count", "shape"), [(0, SHAPE), (1, (8, 64, 12)), (1, (64, 64, 2))])
def test_what_no_trial_can_have_is_refused(count, shape):
    with pytest.raises(MetadataError):
        draw_scanners(count, seed=1, shape=shape)

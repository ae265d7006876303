"""Relaxation and signal: limits that must hold, and compiled loops against plain ones."""

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.curves import extravascular_concentration
from bolus.simulate.kernels import local_concentrations, resample_cubic
from bolus.simulate.physics import (
    blood_transverse_change,
    gradient_echo_signal,
    longitudinal_magnetisation,
    relaxivities_at,
    steady_state,
    transverse_change,
)


def test_magnetisation_ends_in_the_steady_state_and_begins_bright():
    mz = longitudinal_magnetisation(
        np.full((2, 80), 0.6), repetition_time_s=1.5, flip_angle_deg=30.0, dummies=0
    )
    expected = steady_state(np.array(0.6), repetition_time_s=1.5, flip_angle_deg=30.0)

    assert mz[0, 0] == 1.0
    assert mz[0, -1] == pytest.approx(float(expected), rel=1e-9)


def test_dummy_scans_skip_the_bright_frames():
    settings = {"repetition_time_s": 1.5, "flip_angle_deg": 30.0}
    all_frames = longitudinal_magnetisation(np.full((1, 20), 0.6), dummies=0, **settings)
    later = longitudinal_magnetisation(np.full((1, 20), 0.6), dummies=3, **settings)

    np.testing.assert_allclose(later[0, :17], all_frames[0, 3:])


def test_shorter_t1_brightens_more_at_a_larger_angle():
    gains = [
        steady_state(np.array(1.5), repetition_time_s=1.5, flip_angle_deg=a)
        / steady_state(np.array(0.7), repetition_time_s=1.5, flip_angle_deg=a)
        for a in (30.0, 60.0)
    ]

    assert 1.0 < gains[0] < gains[1]


def test_the_field_around_vessels_vanishes_when_both_sides_hold_the_same():
    change = transverse_change(
        np.array([3.0]),
        np.array([3.0]),
        vp=np.array(0.03),
        ve=np.array(0.2),
        vascular_per_mmolar_s=40.0,
        extravascular_per_mmolar_s=0.0,
        native_mmolar=0.0,
    )

    assert change[0] == 0.0


def test_native_field_makes_the_difference_linear_where_more_has_leaked_than_is_in_plasma():
    leaked = np.array([0.5])
    settings = {"vp": np.array(0.04), "ve": np.array(0.2), "vascular_per_mmolar_s": 40.0}
    native = transverse_change(
        np.array([0.2]), leaked, extravascular_per_mmolar_s=0.0, native_mmolar=1.0, **settings
    )
    bare = transverse_change(
        np.array([0.2]), leaked, extravascular_per_mmolar_s=0.0, native_mmolar=0.0, **settings
    )

    assert native[0] == pytest.approx(-40 * 0.04 * 0.3)
    assert bare[0] == pytest.approx(40 * 0.04 * 0.3)


def test_the_log_of_the_signal_gives_the_rate_back():
    rate = np.array([[0.0, 4.0, 9.0]])
    signal = gradient_echo_signal(
        np.ones((1, 3)), rate, proton_density=np.ones(1), echo_time_s=0.03, flip_angle_deg=60.0
    )

    np.testing.assert_allclose(-np.log(signal / signal[:, :1]) / 0.03, rate)


def test_blood_follows_the_published_quadratic_law():
    # 7.62 C + 0.574 C^2 at 1.5 T, van Osch 2003
    assert blood_transverse_change(np.array(5.0), linear=7.62, quadratic=0.574) == pytest.approx(
        52.45
    )


def test_an_unknown_field_is_said():
    with pytest.raises(MetadataError, match="7 T"):
        relaxivities_at(7.0)


def test_the_compiled_leakage_is_the_plain_one():
    fine = np.exp(-(((np.arange(900) * 0.1 - 25) / 5) ** 2)) * 8 + 0.5
    table = np.stack([fine, fine])
    frames = np.arange(50) * 15.0
    plasma, leaked = local_concentrations(
        table,
        np.array([0.5]),
        np.array([12.0]),
        np.array([0.15 / 60]),
        np.array([0.3]),
        np.array([0.4]),
        frames,
        0.1,
    )
    late = np.concatenate([np.full(12, fine[0]), fine[:-12]])
    expected = extravascular_concentration(
        late, step_s=0.1, ktrans_per_s=0.15 / 60, ve=0.3, start_mmolar=0.4
    )

    np.testing.assert_allclose(plasma[0], late[::15][:50], rtol=1e-5)
    np.testing.assert_allclose(leaked[0], expected[::15][:50], rtol=1e-5)


def test_cubic_resampling_keeps_a_plane_and_moves_it():
    x = np.arange(12.0, dtype=np.float32)[:, None, None]
    volume = np.ascontiguousarray(np.broadcast_to(10 + 2 * x, (12, 6, 6)))
    moved = resample_cubic(volume, np.eye(3), np.array([0.25, 0.0, 0.0]))

    np.testing.assert_allclose(moved[2:-3], volume[2:-3] + 0.5, rtol=1e-6)

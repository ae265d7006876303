"""Laws of the way from signal to arrival: gain cancels, time shifts, order does not matter."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bolus.core import SIGNAL, Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis
from bolus.quantify.aif import find_aif, score_aif
from bolus.quantify.bolus import find_bolus
from bolus.quantify.signal import dual_echo_to_delta_r2s, signal_to_delta_r2s
from bolus.quantify.summary import descriptor_maps, recovery_map

FRAMES, STEP_S, ECHO_S = 60, 1.5, 0.03
SHAPE = (6, 6, 3)
GRID = Grid(shape=SHAPE, affine=np.diag([2.0, 2.0, 5.0, 1.0]))
BRAIN = Mask(values=np.ones(SHAPE, bool), grid=GRID, name="brain")
SECONDS = STEP_S * np.arange(FRAMES)

LAWS = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
seeds = st.integers(0, 10_000)


def passage(start_s, rise_s):
    x = np.clip((SECONDS[None] - start_s[:, None]) / rise_s[:, None], 0, None)
    return x**3 * np.exp(3 * (1 - x))


def signal(seed: int, *, later_frames: int = 0, noise: float = 0.01) -> np.ndarray:
    """Voxels of tissue and artery, drawn by seed; noise does not depend on the shift."""
    rng = np.random.default_rng(seed)
    voxels = int(np.prod(SHAPE))
    artery = rng.random(voxels) < 0.12
    start_s = np.where(artery, 20.0, 21.5 + rng.uniform(0, 1.5, voxels))
    rise_s = np.where(artery, 5.0, 7.5 + rng.uniform(0, 2, voxels))
    height = np.where(artery, 45.0, rng.uniform(4, 10, voxels))
    rate = height[:, None] * passage(start_s, rise_s)
    level = rng.uniform(600, 1200, voxels)
    values = level[:, None] * np.exp(-ECHO_S * rate) * (1 + rng.normal(0, noise, rate.shape))
    return np.roll(values, later_frames, axis=1).reshape(*SHAPE, FRAMES)


def series(values, *, first_s: float = 0.0, echo_time_s: float = ECHO_S) -> PerfusionSeries:
    return PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=GRID,
        time=TimeAxis(seconds=first_s + SECONDS),
        acquisition=Acquisition(echo_time_s=echo_time_s),
        provenance=Provenance(),
    )


def everything(scan: PerfusionSeries):
    bolus = find_bolus(scan, BRAIN)
    rates = signal_to_delta_r2s(scan, baseline=bolus.baseline)
    maps = descriptor_maps(rates, BRAIN, bolus)
    return bolus, rates, maps, recovery_map(scan, BRAIN, bolus), find_aif(rates, BRAIN, bolus)


def frames(bolus) -> tuple[int, ...]:
    return (
        bolus.steady,
        bolus.baseline.start,
        bolus.baseline.stop,
        bolus.arrival,
        bolus.peak,
        bolus.first_pass_end,
    )


@LAWS
@given(seed=seeds, gain=st.floats(0.01, 100.0))
def test_receiver_gain_cancels(seed, gain):
    values = signal(seed)

    bolus, rates, maps, psr, aif = everything(series(values))
    again, louder, louder_maps, louder_psr, louder_aif = everything(series(gain * values))

    assert frames(again) == frames(bolus)
    np.testing.assert_allclose(louder.values, rates.values, atol=2e-4)  # float32
    for key in maps:
        np.testing.assert_allclose(louder_maps[key].values, maps[key].values, atol=1e-3)
    np.testing.assert_allclose(louder_psr.values, psr.values, rtol=1e-9)
    np.testing.assert_array_equal(np.sort(louder_aif.voxels, 0), np.sort(aif.voxels, 0))
    assert louder_aif.score == pytest.approx(aif.score, abs=1e-3)


@LAWS
@given(seed=seeds, gain=st.floats(0.01, 100.0), other=st.floats(0.01, 100.0))
def test_the_gains_of_two_echoes_cancel(seed, gain, other):
    first, second = signal(seed, noise=0.0), signal(seed, noise=0.01)

    def rate(a, b):
        return dual_echo_to_delta_r2s(
            series(a, echo_time_s=0.01), series(b), baseline=slice(0, 10)
        ).values

    np.testing.assert_allclose(rate(gain * first, other * second), rate(first, second), atol=1e-3)


@LAWS
@given(seed=seeds, later_frames=st.integers(1, 15))
def test_a_later_bolus_is_later_and_nothing_else(seed, later_frames):
    bolus, _, maps, _, aif = everything(series(signal(seed, noise=0.0)))
    after, _, after_maps, _, after_aif = everything(
        series(signal(seed, later_frames=later_frames, noise=0.0))
    )

    later_s = later_frames * STEP_S
    assert (after.arrival, after.peak) == (
        bolus.arrival + later_frames,
        bolus.peak + later_frames,
    )
    for key in ("bat", "ttp"):
        moved = after_maps[key].values - maps[key].values
        np.testing.assert_allclose(moved, later_s, atol=5e-3)
    np.testing.assert_allclose(after_maps["ph"].values, maps["ph"].values, rtol=1e-3)
    assert after_aif.score == pytest.approx(aif.score, abs=0.02)


@LAWS
@given(seed=seeds, first_s=st.floats(-500, 500))
@example(seed=0, first_s=0.0028)
def test_the_clock_of_the_scanner_does_not_matter(seed, first_s):
    values = signal(seed)

    bolus, rates, maps, psr, aif = everything(series(values))
    again, later_rates, later_maps, later_psr, later_aif = everything(
        series(values, first_s=first_s)
    )

    assert frames(again) == frames(bolus)
    np.testing.assert_array_equal(later_rates.values, rates.values)
    for key in maps:
        np.testing.assert_allclose(later_maps[key].values, maps[key].values, atol=1e-6)
    np.testing.assert_allclose(later_psr.values, psr.values)
    assert later_aif.score == pytest.approx(aif.score, abs=1e-6)


@LAWS
@given(seed=seeds, order=st.integers(0, 10_000))
def test_permuting_voxels_permutes_results(seed, order):
    values = signal(seed)
    shuffle = np.random.default_rng(order).permutation(int(np.prod(SHAPE)))

    def shuffled(volume):
        flat = np.reshape(volume, (len(shuffle), *volume.shape[3:]))
        return flat[shuffle].reshape(volume.shape)

    bolus, rates, maps, psr, aif = everything(series(values))
    again, moved_rates, moved_maps, moved_psr, _ = everything(series(shuffled(values)))

    assert frames(again) == frames(bolus)
    np.testing.assert_array_equal(moved_rates.values, shuffled(rates.values))
    for key in maps:
        np.testing.assert_array_equal(moved_maps[key].values, shuffled(maps[key].values))
        np.testing.assert_array_equal(moved_maps[key].status, shuffled(maps[key].status))
    np.testing.assert_array_equal(moved_psr.values, shuffled(psr.values))
    assert score_aif(aif.values, SECONDS, again) == pytest.approx(
        score_aif(aif.values, SECONDS, bolus), rel=1e-6
    )


@LAWS
@given(
    rate=st.lists(st.floats(-20, 100), min_size=6, max_size=30),
    echo_time_s=st.floats(0.005, 0.08),
)
def test_the_conversion_undoes_the_signal_equation(rate, echo_time_s):
    rate = np.array([0.0, 0.0, 0.0, *rate])
    values = np.broadcast_to(700 * np.exp(-echo_time_s * rate), (1, 1, 1, len(rate)))
    scan = PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=Grid(shape=(1, 1, 1), affine=np.eye(4)),
        time=TimeAxis.regular(len(rate), step_s=1.0),
        acquisition=Acquisition(echo_time_s=echo_time_s),
        provenance=Provenance(),
    )

    measured = signal_to_delta_r2s(scan, baseline=slice(0, 3)).values[0, 0, 0]

    np.testing.assert_allclose(measured, rate, atol=2e-6 / echo_time_s)

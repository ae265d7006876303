"""From signal to ΔR2*, one echo and two."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from synthetic_dsc import make_series, patient

from bolus.core import DELTA_R2S, Acquisition, PerfusionSeries, Step
from bolus.errors import Code, GeometryError, MetadataError, QuantityError, TimingError
from bolus.quantify.bolus import find_bolus
from bolus.quantify.signal import dual_echo_to_delta_r2s, signal_to_delta_r2s


def one(curve, *, echo_time_s=0.03) -> PerfusionSeries:
    values = np.asarray(curve, float)[None, None, None]
    return make_series(values, 1.5 * np.arange(values.shape[-1]), echo_time_s)


def rate_of(curve, **settings) -> np.ndarray:
    return signal_to_delta_r2s(one(curve, **settings), baseline=slice(0, 3)).values[0, 0, 0]


def test_the_rate_that_was_put_in_comes_out():
    rate = np.array([0, 0, 0, 5.0, 40.0, 12.0, -3.0])

    measured = rate_of(800 * np.exp(-0.025 * rate), echo_time_s=0.025)

    assert measured == pytest.approx(rate, abs=1e-4)  # float32


def test_negative_values_are_kept():
    assert rate_of([100, 100, 100, 120]).min() == pytest.approx(-np.log(1.2) / 0.03)


def test_a_sample_without_signal_is_half_of_the_smallest():
    rate = rate_of([100, 100, 100, 8, 0, 20, -3])

    assert rate[4] == rate[6] == pytest.approx(np.log(100 / 4) / 0.03)
    assert rate[3] == pytest.approx(np.log(100 / 8) / 0.03)


def test_a_missing_sample_stays_missing_and_costs_one_voxel():
    values = np.full((2, 1, 1, 6), 50.0)
    values[0, 0, 0, 4] = np.nan

    rate = signal_to_delta_r2s(make_series(values, np.arange(6.0)), baseline=slice(0, 3)).values

    assert np.isnan(rate[0, 0, 0]).tolist() == [False] * 4 + [True, False]
    assert (rate[1] == 0).all()


@pytest.mark.parametrize("baseline", [(0, 0, 0), (-5, -5, -5), (0, 0, 90), (-32768, 0, 90)])
def test_a_curve_without_baseline_is_not_a_number(baseline):
    assert np.isnan(rate_of([*baseline, 50, 60])).all()


def test_one_lost_baseline_sample_does_not_spoil_the_level():
    rate = rate_of([100, -32768, 100, 50])

    assert rate[3] == pytest.approx(np.log(2) / 0.03)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_the_result_is_float32_whatever_came(dtype):
    values = np.full((2, 2, 1, 5), 100, dtype)

    rate = signal_to_delta_r2s(make_series(values, np.arange(5.0)), baseline=slice(0, 2))

    assert rate.values.dtype == np.float32
    assert rate.quantity is DELTA_R2S


def test_memory_stays_within_three_times_the_input():
    values = np.full((48, 48, 20, 60), 400, np.int16)
    series = make_series(values, np.arange(60.0))
    tracemalloc.start()

    signal_to_delta_r2s(series, baseline=slice(0, 8))

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * values.nbytes  # of which 2 are the float32 result


def test_the_step_says_what_was_done():
    rate = signal_to_delta_r2s(one([9, 9, 9, 5]), baseline=slice(0, 3))

    step = rate.provenance.steps[-1]
    assert step == Step(
        "quantify.signal_to_delta_r2s",
        {"echo_time_s": 0.03, "baseline": "0:3"},
        "10.1002/mrm.1910140211",
    )


def test_a_missing_echo_time_is_an_error_with_its_mend():
    with pytest.raises(MetadataError, match="--echo-time") as caught:
        rate_of([9, 9, 9, 5], echo_time_s=None)

    assert caught.value.code is Code.METADATA_MISSING


@pytest.mark.parametrize("echo_time_s", [30.0, 0.0, -0.03])
def test_an_echo_time_in_milliseconds_is_stopped(echo_time_s):
    with pytest.raises(MetadataError, match=r"30 ms is 0\.03") as caught:
        rate_of([9, 9, 9, 5], echo_time_s=echo_time_s)

    assert caught.value.code is Code.METADATA_IMPLAUSIBLE


@pytest.mark.parametrize("baseline", [slice(0, 1), slice(3, 3), slice(9, 20)])
def test_a_baseline_needs_two_frames(baseline):
    with pytest.raises(TimingError, match="at least 2"):
        signal_to_delta_r2s(one([9, 9, 9, 5]), baseline=baseline)


def test_a_rate_is_not_converted_twice():
    rate = signal_to_delta_r2s(one([9, 9, 9, 5]), baseline=slice(0, 3))

    with pytest.raises(QuantityError):
        signal_to_delta_r2s(rate, baseline=slice(0, 3))


def two_echoes(rate, enhancement, *, first_s=0.008, second_s=0.03):
    level = 900 * (1 + np.asarray(enhancement, float))
    return tuple(
        one(level * np.exp(-echo_s * (20 + np.asarray(rate))), echo_time_s=echo_s)
        for echo_s in (first_s, second_s)
    )


def test_two_echoes_do_not_see_t1():
    rate = np.array([0, 0, 0, 10.0, 30.0, 8.0])
    first, second = two_echoes(rate, [0, 0, 0, 0.2, 0.5, 0.6])

    both = dual_echo_to_delta_r2s(first, second, baseline=slice(0, 3)).values[0, 0, 0]
    alone = signal_to_delta_r2s(second, baseline=slice(0, 3)).values[0, 0, 0]

    assert both == pytest.approx(rate, abs=1e-4)
    assert alone[-1] < -5  # T1 turns the sign where only one echo is used


def test_the_dual_echo_series_keeps_the_second_echo_and_both_histories():
    first, second = two_echoes(np.zeros(4), np.zeros(4))
    second = second.derive(second.values, second.quantity, Step("preprocess.second", {}))

    rate = dual_echo_to_delta_r2s(first, second, baseline=slice(0, 3))

    assert rate.acquisition == second.acquisition
    assert [s.function for s in rate.provenance.steps] == [
        "preprocess.second",
        "quantify.dual_echo_to_delta_r2s",
    ]
    assert rate.provenance.steps[-1].arguments["first_echo_time_s"] == 0.008


@pytest.mark.parametrize(("first_s", "second_s"), [(0.03, 0.008), (0.03, 0.03)])
def test_the_second_echo_must_be_the_longer_one(first_s, second_s):
    first, second = two_echoes(np.zeros(4), np.zeros(4), first_s=first_s, second_s=second_s)

    with pytest.raises(TimingError) as caught:
        dual_echo_to_delta_r2s(first, second, baseline=slice(0, 3))

    assert caught.value.code is Code.ECHO_TIMES_INVALID


def test_echoes_of_two_acquisitions_are_refused():
    first, second = two_echoes(np.zeros(4), np.zeros(4))
    longer = one(np.ones(5))
    later = make_series(second.values, 10 + second.time.seconds)
    wider = make_series(np.ones((2, 1, 1, 4)), second.time.seconds)

    with pytest.raises(TimingError, match="4 frames and the second 5"):
        dual_echo_to_delta_r2s(first, longer, baseline=slice(0, 3))
    with pytest.raises(TimingError, match="differ by up to 10 s"):
        dual_echo_to_delta_r2s(first, later, baseline=slice(0, 3))
    with pytest.raises(GeometryError):
        dual_echo_to_delta_r2s(first, wider, baseline=slice(0, 3))


def test_the_published_tumour_loses_its_t1_rise_with_two_echoes(reference_data):
    content = scipy.io.loadmat(reference_data / "data/osipi_lcb_dual_echo/data.mat")
    first, second = (
        one(content["tumor_SIt"][echo], echo_time_s=echo_s)
        for echo, echo_s in ((0, 0.002), (1, 0.03))
    )

    both = dual_echo_to_delta_r2s(first, second, baseline=slice(0, 41)).values[0, 0, 0]
    alone = signal_to_delta_r2s(second, baseline=slice(0, 41)).values[0, 0, 0]

    assert alone[-20:].mean() < -5  # SOURCE: the single echo turns negative, T1 leakage
    assert both[-20:].mean() > 3
    assert both[45:60].max() > 2 * max(alone[45:60].max(), 0)


def test_a_whole_patient_comes_out_as_it_went_in():
    made = patient(noise=1e-6, approach=0.0)
    bolus = find_bolus(made.series, made.brain)

    rate = signal_to_delta_r2s(made.series, baseline=bolus.baseline).values[made.tissue == 4]

    scaled = rate / rate.max(axis=-1, keepdims=True)
    assert np.corrcoef(scaled.mean(axis=0), made.arterial)[0, 1] > 0.999


def test_assumed_echo_times_are_used_like_measured_ones():
    from bolus.core import Assumed

    series = one([100, 100, 100, 50])
    assumed = PerfusionSeries(
        values=series.values,
        quantity=series.quantity,
        grid=series.grid,
        time=series.time,
        acquisition=Acquisition(
            echo_time_s=Assumed(value=0.05, reason="not in the header", source="protocol")
        ),
        provenance=series.provenance,
    )

    rate = signal_to_delta_r2s(assumed, baseline=slice(0, 3)).values[0, 0, 0]

    assert rate[3] == pytest.approx(np.log(2) / 0.05)


def test_within_a_mask_the_rate_is_the_same_and_zero_elsewhere():
    made = patient()
    series, brain = made.series, made.brain
    inside = brain.values.copy()
    inside[: len(inside) // 2] = False
    half = replace(brain, values=inside)
    frames = find_bolus(series, brain).baseline

    whole = signal_to_delta_r2s(series, baseline=frames)
    part = signal_to_delta_r2s(series, baseline=frames, mask=half)

    np.testing.assert_array_equal(part.curves(half), whole.curves(half))
    assert not part.values[~inside].any()

import numpy as np
import pytest

from bolus.errors import Code, QuantityError, TimingError
from bolus.nets.physical_axis import AXIS, ExamCurves, align_curves, resampling


def line(interval_s, frames, *, arrival_s, start_s=0.0):
    """A signal that falls evenly with the time from the arrival, from 1000 at -30 s."""
    seconds = interval_s * np.arange(frames) - arrival_s
    signal = (1000 - 3 * (seconds + 30))[None].astype(np.float32)
    return ExamCurves(signal=signal, interval_s=interval_s, arrival_s=arrival_s, start_s=start_s)


@pytest.mark.parametrize(("interval_s", "frames"), [(1.0, 90), (1.5, 60), (2.2, 41), (3.0, 30)])
def test_any_protocol_gives_the_same_values_at_the_same_time_from_the_arrival(interval_s, frames):
    found = align_curves(line(interval_s, frames, arrival_s=14.3))
    truth = 1000 - 3 * (AXIS.seconds - AXIS.arrival_s + 30)
    seen = found.measured
    shape = found.values[0, seen] / found.values[0, seen][0]
    np.testing.assert_allclose(shape, truth[seen] / truth[seen][0], rtol=1e-5)
    assert not seen[0]
    assert found.values[0, ~seen].max() == 0


def test_what_lies_before_and_after_the_series_is_not_measured():
    found = align_curves(line(1.0, 30, arrival_s=10.0))
    seconds = AXIS.seconds[found.measured] - AXIS.arrival_s
    assert seconds.min() >= -10.0 - 1e-6
    assert seconds.max() <= 19.0 + 1e-6


def test_frames_before_the_steady_state_have_no_say():
    exam = line(1.5, 60, arrival_s=20.0, start_s=4.5)
    bright = np.array(exam.signal)
    bright[:, :3] = 1e6
    other = ExamCurves(signal=bright, interval_s=1.5, arrival_s=20.0, start_s=4.5)
    np.testing.assert_array_equal(align_curves(exam).values, align_curves(other).values)


def test_a_curve_of_nothing_or_with_a_gap_is_not_usable_and_spoils_no_other():
    signal = np.repeat(line(1.5, 60, arrival_s=20.0).signal, 3, axis=0)
    signal[0] = 0
    signal[1, 7] = np.nan
    found = align_curves(ExamCurves(signal=signal, interval_s=1.5, arrival_s=20.0))
    assert found.usable.tolist() == [False, False, True]
    assert np.isfinite(found.values).all()


def test_gain_changes_nothing_and_negative_signal_is_none():
    exam = line(1.5, 60, arrival_s=20.0)
    signal = np.array(exam.signal)
    signal[0, 30] = -5
    plain = align_curves(ExamCurves(signal=signal, interval_s=1.5, arrival_s=20.0))
    gained = align_curves(ExamCurves(signal=7 * signal, interval_s=1.5, arrival_s=20.0))
    np.testing.assert_allclose(plain.values, gained.values, rtol=1e-6)
    assert plain.values.min() >= 0


def test_what_cannot_be_aligned_is_refused():
    with pytest.raises(QuantityError) as wrong:
        ExamCurves(signal=np.ones(60), interval_s=1.5, arrival_s=20.0)
    assert wrong.value.code is Code.QUANTITY_WRONG
    for bad in ({"interval_s": 0.0}, {"start_s": 85.0}, {"arrival_s": float("nan")}):
        with pytest.raises(TimingError):
            ExamCurves(**{"signal": np.ones((2, 60)), "interval_s": 1.5, "arrival_s": 20.0, **bad})
    with pytest.raises(TimingError):
        resampling(30, interval_s=1.0, arrival_s=-500.0)

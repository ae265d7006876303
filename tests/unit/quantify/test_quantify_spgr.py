"""Signal and concentration are each other's inverse, and what has no concentration says so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.core import (
    CONCENTRATION,
    DELTA_R2S,
    QUANTITIES,
    SIGNAL,
    Acquisition,
    Assumed,
    FitStatus,
    Grid,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    TimeAxis,
)
from bolus.errors import Code, GeometryError, MetadataError, QuantityError, TimingError
from bolus.quantify.concentration import concentration_curves, signal_to_concentration
from bolus.quantify.relaxivity import relaxivity_of
from bolus.quantify.spgr import SaturationRecovery, SpoiledGradientEcho

R1 = 3.7
FLASH = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0, echo_time_s=0.002)
SATURATED = SaturationRecovery(recovery_time_s=0.12, echo_time_s=0.002)
CONC = np.array([0.0, 0.0, 0.02, 0.5, 4.0, 9.0, -0.1])


def made(conc=CONC, *, r10=0.7, sequence=FLASH, gain=900.0, b1=1.0, r2s=0.0):
    """The forward equation, written out once more."""
    echo_s = sequence.echo_time_s
    decay = np.exp(-echo_s * r2s * np.asarray(conc))
    if isinstance(sequence, SaturationRecovery):
        return gain * (1 - np.exp(-sequence.recovery_time_s * (r10 + R1 * conc))) * decay
    e = np.exp(-sequence.repetition_time_s * (r10 + R1 * np.asarray(conc)))
    a = np.radians(sequence.flip_angle_deg) * b1
    return gain * np.sin(a) * (1 - e) / (1 - e * np.cos(a)) * decay


def found(signal, *, r10=0.7, sequence=FLASH, b1=None, r2s=None):
    signal = np.atleast_2d(signal)
    return concentration_curves(
        signal,
        r10_per_s=np.full(len(signal), r10),
        sequence=sequence,
        r1_per_mmolar_s=R1,
        baseline=slice(0, 2),
        b1=None if b1 is None else np.full(len(signal), b1),
        r2s_per_mmolar_s=r2s,
    )


@settings(max_examples=60, deadline=None)
@given(
    conc=st.floats(-0.9, 20.0),
    r10=st.floats(0.3, 3.0),
    angle=st.floats(5.0, 60.0),
    repetition_s=st.floats(0.002, 0.03),
    gain=st.floats(1e-3, 1e5),
    b1=st.floats(0.7, 1.3),
)
def test_the_inverse_of_the_signal_is_the_concentration(conc, r10, angle, repetition_s, gain, b1):
    flash = SpoiledGradientEcho(
        repetition_time_s=repetition_s, flip_angle_deg=angle, echo_time_s=0.001
    )
    truth = np.array([0.0, 0.0, conc if conc >= 0 else conc * r10 / R1])  # R1 stays positive

    signal = made(truth, r10=r10, sequence=flash, gain=gain, b1=b1)

    result = found(signal, r10=r10, sequence=flash, b1=b1)
    np.testing.assert_allclose(result.values[0], truth, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("sequence", [FLASH, SATURATED], ids=["spoiled", "saturation"])
@pytest.mark.parametrize("r2s", [0.0, 5.2, 20.0])
def test_the_transverse_effect_of_the_agent_is_taken_off(sequence, r2s):
    conc = CONC / 3  # below the summit of the signal, beyond which two concentrations share one

    result = found(made(conc, sequence=sequence, r2s=r2s), sequence=sequence, r2s=r2s)

    np.testing.assert_allclose(result.values[0], conc, atol=1e-9)
    assert result.status[0] == FitStatus.OK


def test_without_the_transverse_effect_high_concentrations_come_out_low():
    error = found(made(r2s=20.0)).values[0] - CONC

    assert error[5] < -0.2 * CONC[5]
    assert abs(error[2]) < 0.05 * CONC[2]


def test_b1_matters_and_is_used():
    wrong = found(made(b1=0.8)).values[0, 4]

    assert wrong < 0.6 * CONC[4]
    assert found(made(b1=0.8), b1=0.8).values[0, 4] == pytest.approx(CONC[4], rel=1e-9)


def test_a_saturation_recovery_does_not_depend_on_b1():
    signal = made(sequence=SATURATED)

    for factor in (0.7, 1.3):
        result = found(signal, sequence=SATURATED, b1=factor)
        np.testing.assert_allclose(result.values[0], CONC, atol=1e-9)


def test_a_signal_above_the_limit_has_no_concentration_and_the_voxel_says_so():
    signal = made()
    signal[3] = 1.001 * 900 * np.sin(np.radians(15.0))  # M0 sin a: more than any R1 gives

    result = found(np.stack([signal, made()]))

    assert result.status.tolist() == [FitStatus.AT_BOUND, FitStatus.OK]
    assert np.isnan(result.values[0]).tolist() == [False] * 3 + [True] + [False] * 3
    np.testing.assert_allclose(np.delete(result.values[0], 3), np.delete(CONC, 3), atol=1e-9)


def test_a_signal_above_the_summit_with_decay_has_no_concentration():
    held = np.linspace(0, 60, 6001)
    summit = made(held, r2s=20.0).max()
    signal = made(np.array([0.0, 0.0, 0.3, 0.3, 0.3]), r2s=20.0)
    signal[2], signal[3] = 0.999 * summit, 1.001 * summit

    result = found(signal, r2s=20.0)

    assert result.status[0] == FitStatus.AT_BOUND
    assert np.isnan(result.values[0]).tolist() == [False, False, False, True, False]
    assert result.values[0, 2] < held[np.argmax(made(held, r2s=20.0))]


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda s: s * np.nan, FitStatus.NOT_FINITE),
        (lambda s: s * 0, FitStatus.NO_SIGNAL),
        (lambda s: np.full_like(s, -32768.0), FitStatus.NO_SIGNAL),
        (lambda s: np.where(np.arange(7) == 4, np.inf, s), FitStatus.NOT_FINITE),
        (lambda s: np.where(np.arange(7) == 4, -32768.0, s), FitStatus.NO_SIGNAL),
    ],
    ids=["nan", "zero", "padding", "one infinite", "one padding"],
)
def test_a_bad_voxel_costs_itself_only(spoil, status):
    signal = np.stack([made(), spoil(made()), made(gain=3.0)])

    result = found(signal)

    assert result.status.tolist() == [FitStatus.OK, status, FitStatus.OK]
    np.testing.assert_allclose(result.values[[0, 2]], np.stack([CONC, CONC]), atol=1e-9)
    assert not np.isfinite(result.values[1, 4])


@pytest.mark.parametrize(
    ("r10", "status"),
    [
        (np.nan, FitStatus.NOT_FINITE),
        (np.inf, FitStatus.NOT_FINITE),
        (0.0, FitStatus.AT_BOUND),
        (-1.0, FitStatus.AT_BOUND),
        (1e4, FitStatus.AT_BOUND),
    ],
)
def test_a_wild_native_rate_gives_no_concentration(r10, status):
    result = found(made(), r10=r10)

    assert result.status[0] == status
    assert np.isnan(result.values).all()


def test_whole_numbers_and_single_precision_are_read():
    signal = np.round(made(gain=20000.0))

    for kind in (np.int16, np.float32):
        np.testing.assert_allclose(found(signal.astype(kind)).values[0], CONC, atol=0.02)


def test_a_repetition_time_in_milliseconds_is_refused_with_the_guess():
    with pytest.raises(MetadataError, match=r"looks like milliseconds: 0\.005 s") as caught:
        SpoiledGradientEcho(repetition_time_s=5.0, flip_angle_deg=15.0)

    assert caught.value.code is Code.METADATA_IMPLAUSIBLE


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"flip_angle_deg": 0.26}, "14.9"),
        ({"flip_angle_deg": 190.0}, "190"),
        ({"flip_angle_deg": float("nan")}, "nan"),
        ({"echo_time_s": 2.0}, "milliseconds"),
        ({"echo_time_s": 0.006}, "swapped"),
        ({"repetition_time_s": 0.0}, "0 s"),
        ({"repetition_time_s": float("nan")}, "nan"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings_, words):
    with pytest.raises(MetadataError, match=words):
        SpoiledGradientEcho(**{"repetition_time_s": 0.005, "flip_angle_deg": 15.0, **settings_})


def test_missing_settings_are_named():
    with pytest.raises(MetadataError, match="flip_angle_deg"):
        SpoiledGradientEcho.of(Acquisition(repetition_time_s=0.005))
    with pytest.raises(MetadataError, match="echo time is not known"):
        found(made(), sequence=SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0),
              r2s=5.0)  # fmt: skip
    with pytest.raises(TimingError, match="none of the 7 frames"):
        concentration_curves(
            made()[None], r10_per_s=np.ones(1), sequence=FLASH, r1_per_mmolar_s=R1,
            baseline=slice(3, 3),
        )  # fmt: skip


def series_of(signal, quantity=SIGNAL):
    return PerfusionSeries(
        values=np.asarray(signal).reshape(2, 1, 1, -1),
        quantity=quantity,
        grid=Grid(shape=(2, 1, 1), affine=np.eye(4)),
        time=TimeAxis.regular(7, step_s=4.0),
        acquisition=Acquisition(repetition_time_s=0.005, flip_angle_deg=15.0, echo_time_s=0.002),
        provenance=Provenance(),
    )


def r10_of(rates, inside=(True, True)):
    grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
    mask = Mask(values=np.array(inside).reshape(2, 1, 1), grid=grid, name="brain")
    return ParameterMap.from_voxels(
        np.array(rates), quantity=QUANTITIES["r10"], mask=mask, provenance=Provenance()
    )


def convert(series, r10, **more):
    return signal_to_concentration(
        series, r10=r10, sequence=SpoiledGradientEcho.of(series.acquisition),
        r1_per_mmolar_s=R1, baseline=slice(0, 2), **more,
    )  # fmt: skip


def test_a_series_uses_the_rate_of_each_voxel():
    series = series_of(np.stack([made(r10=0.7), made(r10=1.1)]))

    conc, status = convert(series, r10_of([0.7, 1.1]))

    assert conc.quantity is CONCENTRATION
    assert conc.values.dtype == np.float32
    assert not status.any()
    np.testing.assert_allclose(conc.values[:, 0, 0], np.stack([CONC, CONC]), atol=1e-5)
    assert conc.provenance.steps[-1].arguments["r10_per_s"] == "map"


def test_a_fixed_rate_is_written_into_the_history():
    guess = Assumed(value=0.7, reason="no T1 scan", source="a textbook")

    conc, _ = convert(series_of(np.stack([made(), made()])), guess)

    assert conc.provenance.steps[-1].arguments["r10_per_s"] == "assumed 0.7"


def test_where_there_is_no_rate_the_reason_is_kept():
    _, status = convert(series_of(np.stack([made(), made()])), r10_of([0.7], (True, False)))

    assert status.ravel().tolist() == [FitStatus.OK, FitStatus.OUTSIDE_MASK]


def test_other_quantities_and_grids_are_refused():
    with pytest.raises(QuantityError):
        convert(series_of(np.ones((2, 7)), DELTA_R2S), r10_of([0.7, 0.7]))
    with pytest.raises(GeometryError, match="B1"):
        convert(series_of(np.ones((2, 7))), r10_of([0.7, 0.7]), b1=np.ones((3, 1, 1)))


@pytest.mark.parametrize(
    ("name", "field", "medium", "r1"),
    [
        ("gadobutrol", 3.0, "plasma", 5.0),
        ("Gadovist", 1.494, "plasma", 5.2),
        ("GADOTERATE MEGLUMINE", 2.89, "plasma", 3.5),
        ("Gd-DTPA", 3.0, "blood", 3.8),
        ("MultiHance", 7.0, "blood", 4.7),
    ],
)
def test_relaxivities_are_those_of_the_sources(name, field, medium, r1):
    """Plasma: Rohrer 2005; whole blood: Shen 2015, abstract."""
    assert relaxivity_of(name, field_strength_t=field, medium=medium).r1_per_mmolar_s == r1


def test_an_agent_or_field_that_is_not_in_the_table_has_no_default():
    with pytest.raises(MetadataError, match="known are gadobenate"):
        relaxivity_of("gadolinium", field_strength_t=3.0, medium="plasma")
    with pytest.raises(MetadataError, match="known are gadobenate"):
        relaxivity_of("", field_strength_t=3.0, medium="plasma")
    with pytest.raises(MetadataError, match=r"7 T; known at 1\.5, 3 T"):
        relaxivity_of("gadobutrol", field_strength_t=7.0, medium="plasma")


def test_outside_of_a_mask_nothing_is_converted():
    series = series_of(np.stack([made(), made()]))
    guess = Assumed(value=0.7, reason="no T1 scan", source="a textbook")
    first = Mask(values=np.array([True, False]).reshape(2, 1, 1), grid=series.grid, name="brain")

    whole, _ = convert(series, guess)
    conc, status = convert(series, guess, mask=first)

    np.testing.assert_array_equal(conc.values[0], whole.values[0])
    assert not conc.values[1].any()
    assert status.ravel().tolist() == [FitStatus.OK, FitStatus.OUTSIDE_MASK]

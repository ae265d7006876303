"""The vessels are found where they are, scaled by what is known, and missed aloud."""

import dataclasses

import numpy as np
import pytest

from bolus.core import (
    CONCENTRATION,
    DELTA_R2S,
    QUANTITIES,
    SIGNAL,
    Acquisition,
    ArterialInput,
    Grid,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    TimeAxis,
)
from bolus.errors import Code, MetadataError, QualityWarning, QuantityError, TimingError
from bolus.quantify.concentration import signal_to_concentration
from bolus.quantify.dce_aif import dce_aif_from_region, find_dce_aif, find_dce_vein
from bolus.quantify.dce_aif_given import dce_aif_from_curve
from bolus.quantify.dce_aif_scale import (
    aif_from_dsc,
    aif_in_plasma,
    average_over_frames,
    scale_to_vein,
)
from bolus.quantify.enhancement import find_enhancement
from bolus.quantify.population_aif import parker_aif
from bolus.quantify.spgr import SpoiledGradientEcho

GREY, TUMOUR, ARTERY, VEIN = range(4)
FLASH = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0)
R1 = 3.7
ARRIVAL_S = 26.0


def blood(seconds, *, late_s=0.0, width_s=0.0):
    """Parker's curve; a vein is later and wider."""
    fine = np.arange(0.0, seconds[-1] + 60, 0.25)
    curve = parker_aif(fine, arrival_s=ARRIVAL_S + late_s)
    if width_s:
        kernel = np.exp(-np.arange(0, 40, 0.25) / width_s)
        curve = np.convolve(curve, kernel / kernel.sum())[: len(fine)]
    return np.interp(seconds, fine, curve)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scan:
    series: PerfusionSeries
    conc: PerfusionSeries
    brain: Mask
    tissue: np.ndarray
    artery: np.ndarray
    vein: np.ndarray


def scan(*, seed=0, step_s=4.0, frames=60, snr=60.0, share=1.0, b_noise=0.03) -> Scan:
    """A cube of grey matter with a tumour, a carotid and a sinus; signals by the exact equation."""
    rng = np.random.default_rng(seed)
    seconds = step_s * np.arange(frames)
    shape = (16, 16, 6)
    tissue = np.full(shape, GREY)
    tissue[4:8, 9:13, 2:5] = TUMOUR
    tissue[3:5, 3:5] = ARTERY
    tissue[11:14, 2:4] = VEIN
    artery = blood(seconds)
    vein = blood(seconds, late_s=4.0, width_s=3.0)
    grey = 0.03 * blood(seconds, late_s=2.0, width_s=4.0)
    leak = 0.002 * np.cumsum(artery) * step_s + 2 * grey
    curves = {GREY: grey, TUMOUR: leak, ARTERY: share * artery + (1 - share) * grey, VEIN: vein}
    rate = {GREY: 0.75, TUMOUR: 0.7, ARTERY: 0.61, VEIN: 0.61}
    held = np.empty((*shape, frames))
    r10 = np.empty(shape)
    for label, curve in curves.items():
        where = tissue == label
        spread = 1 + b_noise * rng.standard_normal((where.sum(), 1))
        held[where] = FLASH.magnetisation(rate[label] + R1 * curve * spread)
        r10[where] = rate[label]
    values = 5000 * held
    values += values[tissue == GREY].mean() / snr * rng.standard_normal(values.shape)
    grid = Grid(shape=shape, affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    brain = Mask(values=np.ones(shape, bool), grid=grid, name="brain")
    series = PerfusionSeries(
        values=values.astype(np.float32),
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis(seconds=seconds),
        acquisition=Acquisition(repetition_time_s=0.005, flip_angle_deg=15.0),
        provenance=Provenance(),
    )
    rates = ParameterMap.from_voxels(
        r10.ravel(), quantity=QUANTITIES["r10"], mask=brain, provenance=Provenance()
    )
    conc, status = signal_to_concentration(
        series, r10=rates,
        sequence=FLASH, r1_per_mmolar_s=R1, baseline=slice(0, 6),
    )  # fmt: skip
    assert not status.any()
    return Scan(series=series, conc=conc, brain=brain, tissue=tissue, artery=artery, vein=vein)


def labels(made, aif):
    return made.tissue[tuple(aif.voxels.T)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_s", [2.0, 4.0])
def test_artery_and_vein_are_found_in_their_vessels(seed, step_s):
    made = scan(seed=seed, step_s=step_s, frames=int(240 / step_s))
    timing = find_enhancement(made.series, made.brain)

    artery = find_dce_aif(made.conc, made.brain, timing)
    vein = find_dce_vein(made.conc, made.brain, timing, artery)

    assert (labels(made, artery) == ARTERY).all()
    assert (labels(made, vein) == VEIN).all()
    assert np.corrcoef(artery.values, made.artery)[0, 1] > 0.99
    assert 0.5 < artery.score <= 1
    assert artery.candidates.shape[1] == len(made.series.time)
    assert artery.quantity is CONCENTRATION


def test_the_arrival_is_found_in_the_signal():
    made = scan()

    timing = find_enhancement(made.series, made.brain)

    assert timing.baseline == slice(0, 7)  # 26 s after the start, at 4 s a frame
    assert timing.vessel_signal[:7].mean() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: v[..., :1] * np.ones(60), Code.NO_BOLUS),
        (lambda v: v[..., :1] ** 2 / v, Code.NO_BOLUS),
        (lambda v: v[..., 6:], Code.BOLUS_TOO_EARLY),
    ],
    ids=["nothing", "falls as in DSC", "too early"],
)
def test_a_series_without_arrival_says_so(change, code):
    made = scan()
    values = change(made.series.values.astype(np.float64))
    series = dataclasses.replace(
        made.series, values=values, time=TimeAxis.regular(values.shape[-1], step_s=4.0)
    )

    with pytest.raises(TimingError) as caught:
        find_enhancement(series, made.brain)

    assert caught.value.code is code


def test_dsc_given_as_dce_is_named():
    made = scan()
    values = made.series.values[..., :1].astype(float) ** 2 / made.series.values

    with pytest.raises(TimingError, match=r"falls by .* as in DSC"):
        find_enhancement(dataclasses.replace(made.series, values=values), made.brain)


def test_without_a_vessel_nothing_is_taken():
    made = scan(snr=20)
    timing = find_enhancement(made.series, made.brain)
    rng = np.random.default_rng(2)
    values = 0.05 * rng.standard_normal(made.conc.values.shape)
    noise = dataclasses.replace(made.conc, values=values)

    with pytest.raises(MetadataError, match=r"scores 0\.\d\d as an artery") as caught:
        find_dce_aif(noise, made.brain, timing)

    assert caught.value.code is Code.AIF_NOT_FOUND


def test_voxels_without_concentration_are_passed_over():
    made = scan()
    timing = find_enhancement(made.series, made.brain)
    values = np.array(made.conc.values)
    lost = np.argwhere(made.tissue == ARTERY)[::2]
    values[(*lost.T, 9)] = np.nan

    found = find_dce_aif(dataclasses.replace(made.conc, values=values), made.brain, timing)

    assert not {tuple(v) for v in lost} & {tuple(v) for v in found.voxels}
    assert (labels(made, found) == ARTERY).all()


def test_a_region_is_averaged_as_drawn():
    made = scan()
    timing = find_enhancement(made.series, made.brain)
    region = Mask(values=made.tissue == ARTERY, grid=made.series.grid, name="carotid")

    drawn = dce_aif_from_region(made.conc, region, timing)

    assert drawn.method == "region carotid"
    np.testing.assert_allclose(drawn.values, made.conc.mean_curve(region), rtol=1e-5, atol=1e-6)
    empty = dataclasses.replace(made.conc, values=np.full_like(made.conc.values, np.nan))
    with pytest.raises(MetadataError, match="none of the"):
        dce_aif_from_region(empty, region, timing)


def curve_of(values, time, quantity=CONCENTRATION):
    return ArterialInput(
        values=values, time=time, quantity=quantity, method="test", provenance=Provenance(),
        voxels=np.empty((0, 3), int), candidates=np.stack([values, values]),
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("step_s", [1.5, 4.0])
def test_a_vein_undoes_partial_volume(share, step_s):
    time = TimeAxis.regular(int(240 / step_s), step_s=step_s)
    artery = curve_of(share * blood(time.seconds), time)
    vein = curve_of(blood(time.seconds, late_s=4.0, width_s=3.0), time)

    scaled, factor = scale_to_vein(artery, vein)

    assert factor == pytest.approx(1 / share, rel=0.03)
    np.testing.assert_allclose(scaled.values, factor * artery.values)
    np.testing.assert_allclose(scaled.candidates, factor * artery.candidates)
    assert scaled.provenance.steps[-1].arguments["factor"] == pytest.approx(factor, abs=1e-5)


def test_a_vein_that_is_lower_than_the_artery_is_doubted():
    time = TimeAxis.regular(60, step_s=4.0)

    with pytest.warns(QualityWarning, match="0.50 times"):
        scale_to_vein(
            curve_of(blood(time.seconds), time), curve_of(0.5 * blood(time.seconds), time)
        )


def test_plasma_holds_more_than_blood():
    time = TimeAxis.regular(60, step_s=4.0)

    plasma = aif_in_plasma(curve_of(blood(time.seconds), time), haematocrit=0.4)

    np.testing.assert_allclose(plasma.values, blood(time.seconds) / 0.6)
    np.testing.assert_allclose(plasma.candidates[0], plasma.values)
    with pytest.raises(QuantityError):
        aif_in_plasma(curve_of(np.ones(60), time, DELTA_R2S), haematocrit=0.4)


@pytest.mark.parametrize("gain", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("with_vein", [False, True])
def test_the_dsc_curve_gives_the_shape_and_dce_the_scale(gain, with_vein):
    """DSC 90 s at 1.5 s, DCE 240 s at 4 s with a first pass flattened by saturation."""
    dsc_time = TimeAxis.regular(60, step_s=1.5)
    dce_time = TimeAxis.regular(60, step_s=4.0)
    dsc = curve_of(gain * blood(dsc_time.seconds + 6.0), dsc_time, DELTA_R2S)
    truth = blood(dce_time.seconds)
    artery = curve_of(0.3 * np.minimum(truth, 4.0) if with_vein else truth, dce_time)
    vein = curve_of(blood(dce_time.seconds, late_s=4.0, width_s=3.0), dce_time)

    made = aif_from_dsc(dsc, artery, vein=vein if with_vein else None)

    exact = blood(made.time.seconds)
    assert made.quantity is CONCENTRATION
    assert np.corrcoef(made.values, exact)[0, 1] > 0.98
    assert np.corrcoef(made.values, exact)[0, 1] > np.corrcoef(artery.values, truth)[0, 1] - 0.015
    area = np.trapezoid(made.values, made.time.seconds)
    assert area == pytest.approx(np.trapezoid(exact, made.time.seconds), rel=0.05)
    assert made.values.max() == pytest.approx(exact.max(), rel=0.08)
    late = made.time.seconds > 150
    np.testing.assert_allclose(made.values[late], exact[late], rtol=0.05)


def test_dsc_and_dce_in_the_wrong_order_are_refused():
    time = TimeAxis.regular(60, step_s=4.0)
    curve = curve_of(blood(time.seconds), time)

    with pytest.raises(QuantityError, match="ΔR2"):
        aif_from_dsc(curve, curve)
    with pytest.raises(QuantityError):
        aif_from_dsc(curve, dataclasses.replace(curve, quantity=DELTA_R2S))


def test_averaging_over_frames_keeps_the_area():
    fine = TimeAxis.regular(961, step_s=0.25)
    given = curve_of(blood(fine.seconds), fine)
    coarse = TimeAxis(seconds=np.sort(np.random.default_rng(1).uniform(0, 240, 50)))

    made = average_over_frames(given, coarse)

    middles = (coarse.seconds[1:] + coarse.seconds[:-1]) / 2
    widths = np.diff(np.concatenate([[2 * coarse.seconds[0] - middles[0]], middles,
                                     [2 * coarse.seconds[-1] - middles[-1]]]))  # fmt: skip
    assert made.values @ widths == pytest.approx(np.trapezoid(given.values, fine.seconds), rel=0.02)
    with pytest.raises(TimingError, match="ends at"):
        average_over_frames(given, TimeAxis.regular(100, step_s=4.0))


def given_as(values, quantity=SIGNAL):
    given = curve_of(values, TimeAxis.regular(60, step_s=4.0), quantity)
    return dce_aif_from_curve(
        given, r10_per_s=0.61, sequence=FLASH, r1_per_mmolar_s=R1, baseline=slice(0, 6)
    )


def test_a_given_signal_becomes_concentration_and_a_given_concentration_stays():
    truth = blood(4.0 * np.arange(60))
    signal = 77 * FLASH.magnetisation(0.61 + R1 * truth)

    np.testing.assert_allclose(given_as(signal).values, truth, atol=1e-9)
    assert given_as(signal).quantity is CONCENTRATION
    np.testing.assert_array_equal(given_as(truth, CONCENTRATION).values, truth)


def test_a_given_curve_that_cannot_be_is_refused():
    signal = 77 * FLASH.magnetisation(0.61 + R1 * blood(4.0 * np.arange(60)))
    signal[9] = 78.0

    with pytest.raises(MetadataError, match=r"1 of 60 samples .*sample 9") as caught:
        given_as(signal)
    assert caught.value.code is Code.AIF_NOT_FOUND
    with pytest.raises(QuantityError, match="aif_from_dsc"):
        given_as(signal, DELTA_R2S)

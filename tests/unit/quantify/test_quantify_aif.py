"""The artery is found where it is, judged as it deserves, and missed aloud."""

import nibabel as nib
import numpy as np
import pytest
from synthetic_dsc import ARTERY, GREY, VEIN, gamma_variate, make_mask, make_series, patient

from bolus.core import DELTA_R2S, Mask, PerfusionSeries
from bolus.errors import Code, GeometryError, MetadataError, QualityWarning, QuantityError
from bolus.quantify.aif import aif_from_region, find_aif, score_aif
from bolus.quantify.bolus import find_bolus
from bolus.quantify.signal import signal_to_delta_r2s


def prepared(**settings):
    made = patient(**settings)
    bolus = find_bolus(made.series, made.brain)
    return made, bolus, signal_to_delta_r2s(made.series, baseline=bolus.baseline)


def tissue_of(made, aif) -> np.ndarray:
    return made.tissue[tuple(aif.voxels.T)]


@pytest.mark.parametrize("seed", range(20))
def test_the_voxels_are_arteries_and_the_shape_is_theirs(seed):
    rng = np.random.default_rng(500 + seed)
    made, bolus, rates = prepared(
        seed=seed,
        step_s=rng.uniform(1.0, 2.2),
        frames=70,
        start_s=rng.uniform(18, 35),
        rise_s=rng.uniform(4, 8),
        dose=rng.uniform(0.6, 1.4),
        noise=rng.uniform(0.005, 0.03),
        recirculation=rng.uniform(0.05, 0.25),
        drift=rng.uniform(-0.02, 0.02),
        t1_leak=rng.uniform(0, 0.6),
    )

    aif = find_aif(rates, made.brain, bolus)

    assert np.mean(tissue_of(made, aif) == ARTERY) >= 0.8
    assert np.corrcoef(aif.values, made.arterial)[0, 1] > 0.98
    assert 0.7 < aif.score <= 1


def test_the_found_artery_says_how_it_was_found():
    made, bolus, rates = prepared()

    aif = find_aif(rates, made.brain, bolus, voxels=6)

    assert aif.method == "automatic"
    assert aif.quantity is DELTA_R2S
    assert aif.voxels.shape == (6, 3)
    assert aif.candidates.shape == (10, 60)
    curves = rates.values[tuple(aif.voxels.T)].astype(float)
    zeroed = curves - curves[:, bolus.baseline].mean(axis=1, keepdims=True)
    assert aif.values == pytest.approx(zeroed.mean(axis=0))
    assert aif.candidates[:6].mean(axis=0) == pytest.approx(aif.values)
    arguments = aif.provenance.steps[-1].arguments
    assert arguments["score"] == pytest.approx(aif.score, abs=1e-4)
    assert {"early", "narrow", "returns", "single", "clean", "lit", "agreement"} <= set(arguments)
    assert aif.provenance.steps[-2].function == "quantify.signal_to_delta_r2s"


def test_taller_arteries_are_preferred_to_mixed_ones():
    made, bolus, _ = prepared(edge=16)
    arteries = np.argwhere(made.tissue == ARTERY)
    values = made.series.values.copy()
    baseline = values[..., bolus.baseline].mean(axis=-1)
    mixed = arteries[: 2 * len(arteries) // 3]
    grey = values[made.tissue == GREY].mean(axis=0)
    for voxel in map(tuple, mixed):  # two thirds of the artery's voxel is tissue
        values[voxel] = baseline[voxel] * (values[voxel] / baseline[voxel] + 2 * grey / grey[0]) / 3
    series = make_series(values, made.series.time.seconds)
    rates = signal_to_delta_r2s(series, baseline=bolus.baseline)

    aif = find_aif(rates, made.brain, bolus, voxels=8)

    spoiled = {tuple(voxel) for voxel in mixed}
    assert not spoiled & {tuple(voxel) for voxel in aif.voxels}


def test_voxels_on_the_border_need_a_better_curve():
    made, bolus, rates = prepared(edge=16)
    inside = np.zeros(made.tissue.shape, bool)
    inside[2:14, 2:14] = True
    brain = Mask(values=inside, grid=made.series.grid, name="brain")

    aif = find_aif(rates, brain, bolus, voxels=5)

    border = (aif.voxels[:, :2] == 2) | (aif.voxels[:, :2] == 13)
    assert not border.any()


def test_a_scan_without_an_artery_says_so_with_numbers():
    made, bolus, rates = prepared()
    veins = Mask(values=made.tissue == VEIN, grid=made.series.grid, name="veins")
    spread = gamma_variate(rates.time.seconds, start_s=30, rise_s=25)
    values = np.array(rates.values)
    values[veins.values] = 40 * spread
    slow = PerfusionSeries(
        values=values,
        quantity=DELTA_R2S,
        grid=rates.grid,
        time=rates.time,
        acquisition=rates.acquisition,
        provenance=rates.provenance,
    )

    with pytest.raises(MetadataError, match=r"scores 0\.\d\d .*early 0\.00.*--aif") as caught:
        find_aif(slow, veins, bolus)

    assert caught.value.code is Code.AIF_NOT_FOUND


def test_voxels_that_are_not_finite_are_passed_over():
    made, bolus, rates = prepared()
    values = np.array(rates.values)
    lost = np.argwhere(made.tissue == ARTERY)[:3]
    values[tuple(lost.T)] = np.nan
    holes = rates.derive(values, DELTA_R2S, rates.provenance.steps[-1])

    aif = find_aif(holes, made.brain, bolus)

    assert np.isfinite(aif.values).all()
    assert not {tuple(v) for v in lost} & {tuple(v) for v in aif.voxels}


def test_a_top_lost_in_the_noise_floor_is_told():
    made, bolus, rates = prepared(dose=3.0, noise=0.03)

    with pytest.warns(QualityWarning, match="the top is cut off"):
        aif = find_aif(rates, made.brain, bolus)

    assert aif.provenance.steps[-1].arguments["lit"] < 1


def test_an_artery_scores_above_a_vein_above_tissue():
    made, bolus, rates = prepared(noise=0.005)
    seconds = rates.time.seconds
    artery, vein, tumour = (
        score_aif(rates.values[made.tissue == kind].mean(axis=0), seconds, bolus)
        for kind in (ARTERY, VEIN, 3)
    )

    assert artery > 0.9
    assert artery > vein + 0.15
    assert vein > tumour


@pytest.mark.parametrize("factor", [1e-3, 0.3, 40.0])
def test_the_score_knows_no_scale(factor):
    made, bolus, rates = prepared()
    curve = rates.values[made.tissue == ARTERY].mean(axis=0)

    assert score_aif(factor * curve, rates.time.seconds, bolus) == pytest.approx(
        score_aif(curve, rates.time.seconds, bolus), rel=1e-5
    )


@pytest.mark.parametrize("later_s", [-30.0, 7.0, 1e4])
def test_the_score_knows_no_zero_of_time(later_s):
    made, bolus, rates = prepared()
    curve = rates.values[made.tissue == ARTERY].mean(axis=0)

    assert score_aif(curve, rates.time.seconds + later_s, bolus) == pytest.approx(
        score_aif(curve, rates.time.seconds, bolus), rel=1e-6
    )


@pytest.mark.parametrize("spoil", ["double", "late", "wide", "remains", "noisy"])
def test_every_fault_costs_score(spoil):
    _, bolus, rates = prepared(noise=0.005)
    seconds = rates.time.seconds
    good = 40 * gamma_variate(seconds, start_s=18.0, rise_s=5.0)
    notch = 0.8 * np.exp(-(((seconds - 23.2) / 1.2) ** 2))
    bad = {
        "double": good * (1 - notch),
        "late": 40 * gamma_variate(seconds, start_s=21.5, rise_s=5.0),
        "wide": 40 * gamma_variate(seconds, start_s=18.0, rise_s=11.0),
        "remains": np.maximum(good, np.where(seconds > 23, 18.0, 0.0)),
        "noisy": good + np.random.default_rng(4).normal(0, 4, len(seconds)),
    }[spoil]

    assert score_aif(bad, seconds, bolus) < score_aif(good, seconds, bolus) - 0.05


@pytest.mark.parametrize("curve", [np.zeros(60), np.full(60, np.nan), -np.arange(60.0)])
def test_what_is_no_bolus_scores_nothing(curve):
    _, bolus, rates = prepared()

    assert score_aif(curve, rates.time.seconds, bolus) == 0


def test_a_region_gives_its_mean_curve_and_its_score():
    made, bolus, rates = prepared()
    region = Mask(values=made.tissue == ARTERY, grid=made.series.grid, name="mca")

    aif = aif_from_region(rates, region, bolus)

    assert aif.method == "region mca"
    assert len(aif.voxels) == region.count
    assert aif.score > 0.8
    assert np.corrcoef(aif.values, made.arterial)[0, 1] > 0.99
    assert len(aif.candidates) == 10


def test_a_region_of_tissue_is_used_but_scores_low():
    made, bolus, rates = prepared(noise=0.005)
    region = Mask(values=made.tissue == 3, grid=made.series.grid, name="tumour")

    assert aif_from_region(rates, region, bolus).score < 0.6


def test_a_region_without_a_first_pass_is_refused():
    made, bolus, rates = prepared()
    empty = np.array(rates.values)
    region = Mask(values=made.tissue == ARTERY, grid=made.series.grid, name="air")
    empty[region.values] = np.nan
    lost = rates.derive(empty, DELTA_R2S, rates.provenance.steps[-1])

    with pytest.raises(MetadataError) as caught:
        aif_from_region(lost, region, bolus)

    assert caught.value.code is Code.AIF_NOT_FOUND


def test_the_wrong_quantity_and_grid_are_refused():
    made, bolus, rates = prepared(edge=8)

    with pytest.raises(QuantityError):
        find_aif(made.series, made.brain, bolus)
    with pytest.raises(GeometryError):
        find_aif(rates, make_mask((8, 8, 5)), bolus)


def test_the_patch_of_real_curves_gives_the_early_tall_narrow_group(reference_data):
    folder = reference_data / "data/osipi_jbja_aif_demo"
    rate = nib.load(folder / "test_concentration.nii").get_fdata()
    allowed = nib.load(folder / "test_artery_ROI.nii").get_fdata().reshape(25, 25, 1) > 0
    series = make_series(1000 * np.exp(-rate), 1.5 * np.arange(40))
    region = Mask(values=allowed, grid=series.grid, name="artery search")
    bolus = find_bolus(series, make_mask((25, 25, 1)))
    rates = signal_to_delta_r2s(series, baseline=bolus.baseline)

    aif = find_aif(rates, region, bolus)

    assert allowed[tuple(aif.voxels.T)].all()
    # Columns 20 to 24 peak in frames 18 to 20, all others in 20 to 23; the tallest there is 0.905.
    assert (aif.voxels[:, 1] >= 20).all()
    assert int(np.argmax(aif.values)) in (18, 19)
    assert rate[tuple(aif.voxels.T)].max(axis=-1).min() >= 0.84
    assert aif.score > 0.9

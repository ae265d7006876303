"""Structural and diffusion images: contrast by equations, agent where it leaks, known noise."""

import dataclasses
import math

import numpy as np
import pytest

from bolus.simulate import QUIET, PatientSettings, scan_grid
from bolus.simulate.diffusion import simulate_diffusion
from bolus.simulate.patient import phantom_of
from bolus.simulate.structural import inverted, nulling_time, simulate_structural
from bolus.simulate.tissues import TISSUES

GRID = scan_grid(shape=(64, 64, 12), voxel_mm=(3.4, 3.4, 6.0), orientation="LAS")
SETTINGS = PatientSettings(seed=4, disturbances=QUIET)


@pytest.fixture(scope="module")
def phantom():
    return phantom_of(SETTINGS, GRID)


@pytest.fixture(scope="module")
def images():
    return simulate_structural(SETTINGS, GRID)


@pytest.fixture(scope="module")
def diffusion():
    return simulate_diffusion(SETTINGS, GRID)


def _pure(phantom, name, least=0.97):
    """Voxels (x, y, z) that hold hardly anything else."""
    tissue = phantom.tissues[name]
    chosen = np.zeros(phantom.present.count, bool)
    chosen[tissue.voxels[tissue.share > least]] = True
    volume = np.zeros(phantom.grid.shape, bool)
    volume[phantom.present.values] = chosen
    return volume


def test_white_and_grey_matter_and_fluid_stand_in_the_known_order(phantom, images):
    where = {name: _pure(phantom, name) for name in ("csf", "gm", "wm")}
    mean = {
        sequence: {name: image[voxels].mean() for name, voxels in where.items()}
        for sequence, image in images.items()
    }

    assert mean["T1w"]["wm"] > 1.2 * mean["T1w"]["gm"] > 3 * mean["T1w"]["csf"]
    assert mean["T2w"]["csf"] > 1.2 * mean["T2w"]["gm"] > 1.4 * mean["T2w"]["wm"]
    assert mean["FLAIR"]["csf"] < 0.1 * mean["FLAIR"]["wm"]


def test_oedema_is_bright_on_flair_and_t2_and_dark_on_t1(phantom, images):
    oedema, white = _pure(phantom, "oedema", 0.9), _pure(phantom, "wm")

    assert images["FLAIR"][oedema].mean() > 1.3 * images["FLAIR"][white].mean()
    assert images["T2w"][oedema].mean() > 1.7 * images["T2w"][white].mean()
    assert images["T1w"][oedema].mean() < 0.8 * images["T1w"][white].mean()


def test_a_pure_voxel_has_the_signal_of_its_equation(phantom, images):
    white = _pure(phantom, "wm", 0.9999)
    native = TISSUES["wm"].native[3.0]
    t1w = native.proton_density * math.exp(-0.003 / native.t2s_s) * (
        1 - 2 * math.exp(-1.1 / native.t1_s) + math.exp(-2.3 / native.t1_s)
    )  # fmt: skip
    t2w = native.proton_density * math.exp(-0.090 / native.t2_s) * (
        1 - math.exp(-5.0 / native.t1_s)
    )  # fmt: skip

    assert white.sum() > 20
    np.testing.assert_allclose(images["T1w"][white], 2000 * t1w, rtol=1e-3)
    np.testing.assert_allclose(images["T2w"][white], 2000 * t2w, rtol=1e-3)


def test_the_nulling_time_nulls():
    null_s = nulling_time(3.8, repetition_time_s=9.0)
    left = inverted(np.array(1 / 3.8), repetition_time_s=9.0, inversion_time_s=null_s)

    assert float(left) == pytest.approx(0.0, abs=1e-12)


def test_the_rim_enhances_and_tissue_behind_the_barrier_hardly_does(phantom, images):
    gain = images["T1ce"] / np.maximum(images["T1w"], 1.0)

    assert gain[_pure(phantom, "hypervascular", 0.9)].mean() > 1.8
    assert 1.0 < gain[_pure(phantom, "wm")].mean() < 1.08
    assert 1.0 < gain[_pure(phantom, "gm")].mean() < 1.15


def test_without_leakage_only_blood_enhances(phantom, images):
    tight = simulate_structural(dataclasses.replace(SETTINGS, leakage=False), GRID)
    rim = _pure(phantom, "hypervascular", 0.9)

    gain = [image["T1ce"][rim].mean() / image["T1w"][rim].mean() - 1 for image in (tight, images)]

    assert 0.05 < gain[0] < 0.2 * gain[1]
    np.testing.assert_array_equal(tight["FLAIR"], images["FLAIR"])


def test_more_permeable_tissue_enhances_more(phantom, images):
    tissues = dict(SETTINGS.tissues)
    tissues["hypovascular"] = dataclasses.replace(tissues["hypovascular"], ktrans_per_min=0.02)
    other = simulate_structural(dataclasses.replace(SETTINGS, tissues=tissues), GRID)
    rim = _pure(phantom, "hypovascular", 0.9)

    assert other["T1ce"][rim].mean() < 0.8 * images["T1ce"][rim].mean()
    np.testing.assert_array_equal(other["T1w"], images["T1w"])


def test_structural_noise_is_as_asked_and_the_same_every_time():
    noise = dataclasses.replace(QUIET, snr=30.0)
    noisy = dataclasses.replace(SETTINGS, disturbances=noise)
    one, two = (simulate_structural(noisy, GRID) for _ in range(2))
    clean = simulate_structural(SETTINGS, GRID)
    white = phantom_of(SETTINGS, GRID).reference.values

    assert one["FLAIR"].tobytes() == two["FLAIR"].tobytes()
    for name in one:
        spread = (one[name] - clean[name])[white].std()
        assert clean[name][white].mean() / spread == pytest.approx(30, rel=0.1)


def test_adc_without_noise_is_the_truth_in_pure_voxels(phantom, diffusion):
    for name in ("wm", "gm", "oedema"):
        voxels = _pure(phantom, name, 0.9999)
        if voxels.any():
            np.testing.assert_allclose(
                diffusion.adc[voxels], TISSUES[name].adc_mm2_per_s, rtol=2e-3
            )


def test_long_t2_shines_through_at_b_1000(phantom, diffusion):
    """Oedema diffuses twice as fast as grey matter, and is not half as dark for it."""
    oedema, white = _pure(phantom, "oedema", 0.9), _pure(phantom, "wm")
    weighted = diffusion.b1000[oedema].mean() / diffusion.b1000[white].mean()
    by_diffusion = math.exp(-1000 * (1.45e-3 - 0.75e-3))

    assert weighted > 1.6 * by_diffusion


def test_adc_is_as_uncertain_as_theory_says():
    snr = 40.0
    noise = dataclasses.replace(QUIET, snr=snr)
    scan = simulate_diffusion(dataclasses.replace(SETTINGS, disturbances=noise), GRID)
    clean = simulate_diffusion(SETTINGS, GRID)
    white = phantom_of(SETTINGS, GRID).reference.values
    spread = (scan.adc - clean.adc)[white].std()
    expected = 1e-3 / snr * math.sqrt(1 + math.exp(2 * 0.76) / 3)

    assert spread == pytest.approx(expected, rel=0.1)


def test_the_noise_floor_makes_fast_diffusion_look_slow(phantom):
    """Known failure: at low SNR the magnitude at b = 1000 cannot fall below its noise."""
    noise = dataclasses.replace(QUIET, snr=5.0)
    scan = simulate_diffusion(dataclasses.replace(SETTINGS, disturbances=noise), GRID)
    fluid = _pure(phantom, "csf")

    assert np.nanmean(scan.adc[fluid]) < 0.85 * TISSUES["csf"].adc_mm2_per_s


def test_diffusion_truth_is_the_phantom_s(phantom, diffusion):
    np.testing.assert_array_equal(diffusion.truth.values, phantom.truth["adc"].values)
    assert np.isnan(diffusion.adc[~phantom.present.values]).all()

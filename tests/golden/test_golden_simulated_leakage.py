"""Gate 4: the simulator reproduces the failure of uncorrected CBV, and correction mends it.

Goals (quality.md, gate 4): uncorrected at 30 degrees without preload, Lin's concordance of nCBV
below 0.7; corrected at least 0.95; leak-free voxels keep their CBV within 1 %.
"""

import dataclasses

import numpy as np
import pytest

from bolus.core import Mask
from bolus.quantify.bolus import find_bolus
from bolus.quantify.leakage import LEAKAGE_MODELS, correct_leakage, find_leakage_reference
from bolus.quantify.signal import signal_to_delta_r2s
from bolus.simulate import PROTOCOLS, QUIET, PatientSettings, simulate_patient
from bolus.workflows.gates_dsc_leakage import CONSENSUS, check_leakage


def test_uncorrected_blood_volume_fails_at_30_degrees_without_preload():
    check = check_leakage("no_preload_30", seed=1)
    error, leaky = check.error("uncorrected"), check.voxels("leaky")

    assert check.agreement("uncorrected") < 0.7
    # T1-dominant voxels lose blood volume, T2*-dominant ones gain it
    assert error[leaky & (check.truth.r2s_extravascular == 5)].mean() < -0.2
    assert error[leaky & (check.truth.r2s_extravascular == 40)].mean() > 0.5


@pytest.mark.parametrize("name", CONSENSUS)
@pytest.mark.parametrize("model", LEAKAGE_MODELS)
def test_correction_mends_it(name, model):
    assert check_leakage(name, seed=1).agreement(model) >= 0.95


@pytest.mark.parametrize("name", CONSENSUS)
@pytest.mark.parametrize("model", LEAKAGE_MODELS)
def test_voxels_without_leakage_keep_their_blood_volume(name, model):
    check = check_leakage(name, seed=1)
    tight = check.voxels("tight", "white")
    before, after = check.areas["uncorrected"][tight], check.areas[model][tight]

    np.testing.assert_allclose(after, before, rtol=0.01)
    assert check.largest_change(model) == pytest.approx(100 * np.abs(after / before - 1).max())


def test_leakage_at_60_degrees_without_preload_is_t1_dominant():
    check = check_leakage("no_preload_60", seed=1)

    assert np.median(check.error("uncorrected")[check.voxels("leaky")]) < -0.2


@pytest.fixture(scope="module", params=CONSENSUS)
def patient(request):
    protocol = dataclasses.replace(
        PROTOCOLS[request.param], shape=(96, 96, 18), voxel_mm=(2.3, 2.3, 6.5)
    )
    return simulate_patient(PatientSettings(seed=3, protocol=protocol, disturbances=QUIET))


def test_a_tumour_s_ncbv_comes_within_5_percent_of_truth(patient):
    bolus = find_bolus(patient.signal, patient.brain)
    series = signal_to_delta_r2s(patient.signal, baseline=bolus.baseline)
    known = Mask(values=np.isfinite(patient.truth["ncbv"].values), grid=series.grid, name="tissue")
    reference = find_leakage_reference(series, patient.brain, bolus, None)
    fixed = correct_leakage(series, known, reference=reference, baseline=bolus.baseline)
    area = np.full(series.grid.shape, np.nan)
    area[known.values] = fixed.area
    ncbv = area / np.nanmean(area[patient.reference.values])
    rim = patient.tumour.mask("hypervascular", "hypovascular", "necrosis").within(known)

    measured = np.nanmean(ncbv[rim.values])
    assert measured == pytest.approx(patient.truth["ncbv"].inside(rim).mean(), rel=0.05)

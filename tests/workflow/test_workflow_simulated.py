"""The whole main job on simulated patients, from signal to nCBV, against what was put in."""

import numpy as np
import pytest

from bolus.metrics import within_subject_cv
from bolus.simulate import PROTOCOLS, PatientSettings, simulate_patient
from bolus.workflows.config import Config, parse_config
from bolus.workflows.dsc import DscScan, quantify_dsc

pytestmark = pytest.mark.slow


def _scan(name):
    patient = simulate_patient(PatientSettings(seed=1, protocol=PROTOCOLS[name]))
    scan = DscScan(
        label=name,
        signal=patient.signal,
        second_echo=patient.second_echo,
        tumour=patient.tumour,
    )
    return patient, scan


@pytest.fixture(scope="module", params=["preload_60", "no_preload_30"])
def exam(request):
    patient, scan = _scan(request.param)
    return patient, scan, quantify_dsc(scan, Config(), created="")


def _error_percent(maps, patient, region):
    found, truth = maps["ncbv"].values, patient.truth["ncbv"].values
    inside = region.values & np.isfinite(found) & np.isfinite(truth)
    return 100 * (found[inside].mean() / truth[inside].mean() - 1)


def test_tumour_ncbv_is_within_five_percent_with_leakage_correction(exam):
    patient, _, findings = exam

    # goal of the design: noise, drift, motion and its correction included
    assert abs(_error_percent(findings.maps, patient, patient.tumour.foreground)) <= 5
    # its leaking part alone: measured -3.7 and -5.2 %, see docs/science/leakage.md
    leaking = patient.tumour.mask("hypovascular", "hypervascular")
    assert abs(_error_percent(findings.maps, patient, leaking)) <= 6


def test_without_correction_the_leaking_tumour_is_far_off(exam):
    patient, scan, _ = exam
    plain = quantify_dsc(
        scan, parse_config('dsc.leakage_correction = "none"\ndsc.flow_method = "csvd"'), created=""
    )

    leaking = patient.tumour.mask("hypovascular", "hypervascular")
    assert abs(_error_percent(plain.maps, patient, leaking)) > 20


def test_a_healthy_brain_looks_like_one(exam):
    """Gate 5: grey over white matter CBV 1.8 to 2.8, CBF 1.9 to 3.4; grey matter MTT 3 to 7 s."""
    patient, _, findings = exam
    grey = patient.tissues.mask("gm").values & ~patient.tumour.foreground.values
    ratios = {r.key: r.value for r in findings.ratios}

    assert 1.8 <= ratios["cbv"] <= 2.8
    assert 1.9 <= ratios["cbf"] <= 3.4
    assert 3 <= np.nanmedian(findings.maps["mtt"].values[grey]) <= 7


def test_the_same_scan_twice_differs_nowhere(exam):
    """Gate 6."""
    _, scan, findings = exam
    again = quantify_dsc(scan, Config(), created="")

    for key, item in findings.maps.items():
        np.testing.assert_array_equal(again.maps[key].values, item.values, err_msg=key)


def test_scan_and_rescan_agree_within_ten_percent():
    """Gate 6: within-subject variation of nCBV over the parts of the tumour."""
    means = []
    for scan in (0, 1):
        patient = simulate_patient(PatientSettings(seed=1, scan=scan))
        findings = quantify_dsc(
            DscScan(label="", signal=patient.signal, tumour=patient.tumour), Config(), created=""
        )
        parts = [patient.tumour.mask(name) for name in patient.tumour.names.values()]
        means.append([findings.maps["ncbv"].inside(part).mean() for part in parts])

    assert within_subject_cv(np.array(means).T).within_cv <= 0.10

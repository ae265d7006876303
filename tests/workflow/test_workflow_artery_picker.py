"""The artery picker that comes with bolus: what its card admits, and that settings ask for it."""

from dataclasses import replace

import numpy as np
import pytest

from bolus import quantify
from bolus.errors import BolusError, Code, QualityWarning
from bolus.io.weights import shipped_weights
from bolus.report.methods import SENTENCES, write_methods
from bolus.simulate.patient import QUIET, PatientSettings, simulate_patient
from bolus.workflows import shipped_artery
from bolus.workflows.artery_study import (
    Conditions,
    artery_fleet,
    artery_scans,
    network_picker,
    pick_of,
    scaled_to_vein,
    searched_artery,
    study_pickers,
)
from bolus.workflows.config import Config, config_with
from bolus.workflows.dsc import DscScan, quantify_dsc
from bolus.workflows.network_artery import dce_artery, dsc_artery, proposed_artery


@pytest.fixture(scope="module")
def weights():
    return shipped_weights("artery-picker")


@pytest.fixture(scope="module")
def scans():
    still = Conditions(motion=0.0)
    fleet = artery_fleet(1, seed=9, shape=(64, 64, 12))
    return tuple(artery_scans(1, seed=9, scanners=fleet, conditions=still))


def test_card_says_what_the_network_is(weights):
    card = weights.card
    assert card.simulated
    assert "simulated" in card.trained_on
    for kind in ("dsc", "dce"):
        network = card.measured[f"unseen_{kind}_network_share_of_artery"]
        assert network > card.measured[f"unseen_{kind}_search_share_of_artery"]
    assert sum(t.nbytes for t in weights.tensors.values()) < 1e6


@pytest.mark.slow
def test_scans_are_what_they_say(scans):
    dsc, dce = scans
    assert (dsc.kind, dce.kind) == ("dsc", "dce")
    for scan in scans:
        inside = scan.brain.values
        assert (scan.artery[inside] > 0.3).any()
        assert (scan.artery + scan.vein).max() <= 1
        pure = np.argwhere(inside & (scan.artery == scan.artery[inside].max()))[0]
        measured = scan.series.values[tuple(pure)]
        assert np.corrcoef(measured, scan.truth)[0, 1] > 0.85


@pytest.mark.slow
def test_the_network_takes_arteries(weights, scans):
    for scan in scans:
        pick = pick_of(scan, network_picker(weights, voxels=5))
        assert pick is not None
        assert pick.artery.mean() > 0.35
        assert pick.vein.mean() < 0.1
        assert pick.correlation > 0.8


@pytest.mark.slow
def test_settings_choose_the_way(weights, scans):
    dsc, dce = scans
    for way, method in (("auto", "automatic"), ("network", "network")):
        one = dsc_artery(dsc.series, dsc.brain, dsc.timing, way=way, voxels=4)
        two = dce_artery(dce.series, dce.brain, dce.timing, way=way, voxels=4)
        assert {one.method, two.method} == {method}
        assert len(one.voxels) <= 4
        for found in (one, two):
            assert found.provenance.steps[-1].function.split(".")[-1] in SENTENCES
    assert one.provenance.steps[-1].arguments["weights"] == weights.digest()[:12]


@pytest.mark.slow
def test_what_the_network_does_not_know_is_searched_for(scans):
    dsc = scans[0]
    fast = replace(dsc.series, time=type(dsc.series.time)(seconds=0.5 * dsc.series.time.seconds))
    with pytest.warns(QualityWarning, match="trained for no such series"):
        found = dsc_artery(fast, dsc.brain, dsc.timing, way="network", voxels=4)
    assert found.method == "automatic"
    none = replace(
        dsc.series, values=np.where(dsc.artery[..., None] > 0, np.nan, dsc.series.values)
    )
    with pytest.warns(QualityWarning, match="without the network"):
        assert proposed_artery(none, dsc.brain, dsc.timing, voxels=4) is None


@pytest.mark.slow
def test_a_perfect_picker_scores_as_one(scans):
    def truth(scan):
        known = searched_artery(scan)
        best = np.argwhere(scan.brain.values & (scan.artery == scan.artery.max()))
        return replace(known, values=scan.truth, voxels=best)

    def nothing(scan):
        raise BolusError(Code.AIF_NOT_FOUND, "nothing", mend="none")

    scores = study_pickers(scans[:1], {"truth": truth})
    score = scores["dsc", "truth"]
    assert (score.peak, score.fwhm, score.area) == pytest.approx((0, 0, 0), abs=1e-5)
    assert score.correlation == pytest.approx(1)
    assert np.isnan(score.peak_icc.value)
    assert pick_of(scans[0], nothing) is None


@pytest.mark.slow
def test_a_vein_scales_dce_only(scans):
    dsc, dce = scans
    picker = scaled_to_vein(searched_artery)
    np.testing.assert_array_equal(picker(dsc).values, searched_artery(dsc).values)
    assert picker(dce).values.max() != searched_artery(dce).values.max()


@pytest.mark.slow
def test_visits_have_the_patient_and_the_truth_in_common():
    fleet = artery_fleet(1, seed=9, shape=(32, 32, 6))
    first, second = (
        s for s in artery_scans(1, seed=9, scanners=fleet, visits=2) if s.kind == "dsc"
    )
    np.testing.assert_allclose(
        first.truth[quantify_frames(first)], second.truth[quantify_frames(first)], rtol=0.02
    )
    assert not np.array_equal(first.artery, second.artery)


@pytest.mark.slow
def test_a_dsc_exam_with_the_network_says_so_in_its_methods():
    scanner = artery_fleet(1, seed=9, shape=(48, 48, 10))[0]
    patient = simulate_patient(PatientSettings(seed=9, protocol=scanner.dsc, disturbances=QUIET))
    config = config_with(
        Config(), "dsc", {"aif": "network", "flow_method": "osvd", "motion_correction": False}
    )
    scan = DscScan(label="one", signal=patient.signal, brain=patient.brain)
    found = quantify_dsc(scan, config, created="")
    assert found.aif.method == "network"
    text = write_methods(found.provenance, version="0").paragraph()
    assert "expects to hold the largest share of artery" in text


def quantify_frames(scan):
    assert isinstance(scan.timing, quantify.BolusTiming)
    return slice(scan.timing.arrival, scan.timing.first_pass_end)


def test_seeds_of_training_and_test_differ():
    seeds = {
        shipped_artery.SEED, shipped_artery.VALIDATION_SEED, shipped_artery.SEEN_SEED,
        shipped_artery.TEST_SEED,
    }  # fmt: skip
    assert len(seeds) == 4

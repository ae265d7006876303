"""The arterial networks that come with bolus: what their card admits, and that they are used."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_dce import TRUTH, write_exam

from bolus.core import CONCENTRATION, ArterialInput, ModelCard, Provenance, TimeAxis
from bolus.errors import QualityWarning
from bolus.io.weights import shipped_weights
from bolus.report.dce_glance import dce_at_a_glance
from bolus.report.methods import SENTENCES
from bolus.report.references import REFERENCES
from bolus.simulate.aif_pairs import draw_aif_scanners, simulate_aif_pairs
from bolus.workflows import shipped_aif
from bolus.workflows.aif_study import BASELINES, DESCRIPTORS, describe, study_aif
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce import quantify_dce
from bolus.workflows.dce_inputs import DcePaths, read_dce_scan
from bolus.workflows.dce_translated import translated_artery


@pytest.fixture(scope="module")
def weights():
    return shipped_weights("aif-translation")


@pytest.fixture(scope="module")
def pairs():
    fleet = draw_aif_scanners(4, seed=9)
    return simulate_aif_pairs(4, seed=9, scanners=fleet, voxels=6)


def artery_of(values, seconds):
    return ArterialInput(
        values=values, time=TimeAxis(seconds=seconds), quantity=CONCENTRATION, method="test",
        provenance=Provenance(), voxels=np.empty((0, 3), int), score=0.5,
    )  # fmt: skip


def test_card_says_what_the_networks_are(weights):
    card: ModelCard = weights.card
    assert card.simulated
    assert "simulated" in card.trained_on
    assert card.measured["unseen_learned_icc"] >= 0.85
    learned = card.measured["unseen_learned_ktrans_error"]
    assert learned < card.measured["unseen_measured_ktrans_error"]
    assert learned < card.measured["unseen_population_parker_ktrans_error"]
    assert sum(t.nbytes for t in weights.tensors.values()) < 10e6


@pytest.mark.slow
def test_learned_curve_is_nearer_to_the_truth_than_the_measured_one(weights, pairs):
    methods = {
        name: way
        for name, way in {**BASELINES, **shipped_aif.learned_methods(weights)}.items()
        if name in {"truth", "measured", "learned"}
    }
    scores = {score.name: score for score in study_aif(pairs, methods)}
    assert scores["truth"].error < 0.4
    assert scores["learned"].error < scores["measured"].error
    assert scores["learned"].descriptor_error("area") < 0.3
    assert scores["truth"].descriptor_error("peak") < 1e-9
    assert scores["learned"].icc.value > 0.8


def test_other_ways_give_a_curve_that_covers_the_scan(pairs):
    mean = shipped_aif.mean_method(pairs)
    for method in (*BASELINES.values(), mean):
        seconds, values = method(pairs[0], 1)
        assert seconds[-1] >= pairs[0].seconds[-1] - 1e-6
        assert np.isfinite(values).all()
        assert (describe((seconds, values), end_s=300.0) > 0).all()
    assert len(DESCRIPTORS) == len(describe((seconds, values), end_s=300.0))


def test_artery_of_a_scan_becomes_the_plasma_curve_and_says_so(weights, pairs):
    pair = pairs[0]
    artery, vein = (artery_of(c[0], pair.seconds) for c in (pair.artery, pair.vein))
    found = translated_artery(
        artery, artery, vein, dose_mmol_per_kg=0.1, haematocrit=0.45, weights=weights
    )
    assert found.method == "learned"
    assert found.time.seconds[-1] >= pair.seconds[-1]
    assert 0 < found.score < 1
    last = found.provenance.steps[-1]
    assert last.function.split(".")[-1] in SENTENCES
    assert last.source in REFERENCES


def test_an_artery_unlike_the_training_keeps_the_patients_own(weights, pairs):
    pair = pairs[0]
    artery = artery_of(80 * pair.artery[0][::-1] + 40, pair.seconds)
    own = artery_of(pair.artery[0], pair.seconds)
    with pytest.warns(QualityWarning, match="patient's own"):
        found = translated_artery(
            artery, own, None, dose_mmol_per_kg=None, haematocrit=0.45, weights=weights
        )
    assert found.method == "test"
    np.testing.assert_allclose(found.values, own.values / 0.55)


def test_slow_frames_keep_the_patients_own(weights, pairs):
    pair = pairs[0]
    slow = 20.0 * np.arange(16)
    own = artery_of(np.interp(slow, pair.seconds, pair.artery[0]), slow)
    with pytest.warns(QualityWarning, match="interval_s"):
        found = translated_artery(
            own, own, None, dose_mmol_per_kg=None, haematocrit=0.45, weights=weights
        )
    assert found.method == "test"


def test_shipped_recipe_can_be_run_again_small(monkeypatch, tmp_path):
    from bolus.nets import aif_translation_fit as fit

    monkeypatch.setattr(shipped_aif, "PATIENTS", 40)
    monkeypatch.setattr(shipped_aif, "VALIDATION_PATIENTS", 30)
    brief = replace(fit.RECIPE, epochs=1)
    monkeypatch.setattr(
        fit.fit_aif, "__kwdefaults__", {**fit.fit_aif.__kwdefaults__, "recipe": brief}
    )
    made = shipped_aif.fit_shipped_aif()
    assert made.card.simulated
    assert made.card.measured["training_curves"] <= 80


@pytest.mark.slow
def test_a_scan_takes_the_learned_curve_by_one_setting(tmp_path):
    exam = write_exam(tmp_path)
    settings = config_with(Config(), "dce", {"motion_correction": False, "aif": "learned"})
    paths = DcePaths(series=exam.series, vfa=exam.vfa, tumour=exam.tumour)
    found = quantify_dce(read_dce_scan(paths, settings), settings, created="")
    assert "nets.translate_aif" in {step.function for step in found.aif.provenance.steps}
    ktrans = next(r.mean for r in found.regions if (r.region, r.key) == ("label-1", "ktrans"))
    assert ktrans == pytest.approx(TRUTH["tumour"][0], rel=0.4)
    assert next(g for g in dce_at_a_glance(found, ()) if g.name == "Arterial input").look

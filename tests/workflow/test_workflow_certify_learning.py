"""The chapter of learning: nothing is found where nothing is, and planted leaks are caught."""

import numpy as np
import pytest

from bolus.errors import Code, ResourceError
from bolus.habitats.predictors import Predictor, ncbv_alone, site_only
from bolus.workflows import gates_learning as chapter
from bolus.workflows.gates_request import PROFILES, GateRequest
from bolus.workflows.progress import silent

QUICK = GateRequest(seed=2, profile=PROFILES["quick"])


@pytest.fixture(scope="module")
def parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapter, "_VOXELS", 50)
        return chapter.cohorts(2)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(chapter, "_REPEATS", {"quick": 20})
    monkeypatch.setattr(chapter, "_LEAKS", {"quick": 10})


@pytest.fixture
def cheap(monkeypatch):
    monkeypatch.setattr(chapter, "BASELINES", (site_only, ncbv_alone))
    monkeypatch.setattr(chapter, "_networks", lambda: ((), "no library"))


def test_baselines_find_nothing_and_what_was_not_run_is_said(parts, cheap):
    part = chapter.null_part(QUICK, parts, silent)
    by_name = {gate.name: gate for gate in part.gates}

    assert by_name["AUC, nCBV"].passed
    assert "of 20" in by_name["findings, nCBV"].what
    assert by_name["AUC, sequence"].verdict == "not run"
    assert by_name["AUC, sequence"].note == "no library"


def test_a_predictor_that_knows_the_dealt_labels_fails(parts, cheap, monkeypatch):
    """The gate falls short where something leaks: here through the fit's own knowledge."""
    dealt = []

    def leaking(outcome):
        def fit(training, validation, seed):
            known = {e.key: one for e, one in zip(dealt[-1].exams, outcome.of(dealt[-1]),
                                                  strict=True)}  # fmt: skip
            return lambda asked: np.array([0.5 + 0.4 * known[e.key] for e in asked.exams])

        return Predictor(name="leaking", fit=fit, baseline=True)

    def remembered(*asked, **more):
        found = own(*asked, **more)
        dealt.append(found[1])
        return found

    from bolus.habitats import judge

    own = judge.dealt_parts
    monkeypatch.setattr(judge, "dealt_parts", remembered)
    monkeypatch.setattr(chapter, "BASELINES", (leaking,))
    part = chapter.null_part(QUICK, parts, silent)

    assert [gate.passed for gate in part.gates[:2]] == [False, False]


def test_planted_leaks_are_caught(parts):
    part = chapter.leak_part(QUICK, parts, silent)

    assert [gate.passed for gate in part.gates] == [True, True, True]


def test_without_libraries_networks_are_left_out_by_name(monkeypatch):
    def absent():
        raise ResourceError(Code.EXTRA_MISSING, "torch is not installed", mend="install it")

    monkeypatch.setattr(chapter, "require_networks", absent)

    assert chapter._networks()[0] == ()
    assert "torch is not installed" in chapter._networks()[1]

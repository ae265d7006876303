"""A frozen score of one patient: its arithmetic, its errors, and its file."""

import dataclasses
import json

import numpy as np
import pytest

from bolus.core import SessionKey, stream
from bolus.errors import FileError, LeakageError, MetadataError
from bolus.habitats import HabitatChange, Interval
from bolus.habitats.patient_score import FrozenScore, score_change
from bolus.io.habitat_score import read_habitat_score, score_bytes

NAMES = ("hypervascular", "hypovascular")
FROZEN = FrozenScore(
    outcome="progression",
    cut_offs_ml={"hypervascular": 0.5, "hypovascular": 1.0},
    habitats=NAMES,
    limits_ml=np.array([np.inf, 3.0]),
    log_hazard_ratios=np.array([0.4, 0.2]),
    covariance=np.array([[0.04, 0.01], [0.01, 0.02]]),
    model="abc",
    fitted_on=frozenset({"01"}),
    simulated=True,
)


def changes(*sizes, width=0.0, noise=0.25):
    return [
        HabitatChange(
            before=SessionKey("9", "a"), after=SessionKey("9", "b"), days=90, habitat=name,
            change_ml=Interval(size, size - width, size + width), noise_ml=noise,
        )
        for name, size in zip((*NAMES, "nonviable"), sizes, strict=True)
    ]  # fmt: skip


def test_growth_counts_and_shrinkage_does_not():
    scored = score_change(changes(2.0, -5.0, 9.0), FROZEN)

    assert scored.hazard.value == pytest.approx(np.exp(0.8))
    assert scored.count == Interval(1.0, 1.0, 1.0)


def test_no_growth_has_the_hazard_of_no_growth_exactly():
    assert score_change(changes(0.0, -1.0, 0.0), FROZEN).hazard == Interval(1.0, 1.0, 1.0)


def test_growth_beyond_a_limit_adds_nothing():
    assert (
        score_change(changes(0.0, 3.0, 0.0), FROZEN).hazard.value
        == score_change(changes(0.0, 30.0, 0.0), FROZEN).hazard.value
    )


def test_the_interval_holds_coefficients_and_changes_drawn_at_random():
    width = 0.3
    scored = score_change(changes(1.0, 1.5, 0.0, width=width), FROZEN)
    random = stream(1, "draws")
    beta = random.multivariate_normal(FROZEN.log_hazard_ratios, FROZEN.covariance, 40_000)
    grown = random.normal((1.0, 1.5), width / 1.96, (40_000, 2))
    drawn = np.exp((beta * grown).sum(axis=1))

    assert scored.hazard.lower == pytest.approx(np.percentile(drawn, 2.5), rel=0.05)
    assert scored.hazard.upper == pytest.approx(np.percentile(drawn, 97.5), rel=0.05)


def test_the_count_says_what_it_would_be_at_both_ends():
    scored = score_change(changes(0.6, 0.9, 0.0, width=0.2), FROZEN)

    assert scored.count == Interval(1.0, 0.0, 2.0)


def test_noise_alone_makes_the_hazard_of_its_limits():
    scored = score_change(changes(0.0, 0.0, 0.0, noise=0.5), FROZEN)

    assert scored.hazard_noise == pytest.approx(np.exp(0.5 * 0.6))


def test_a_habitat_that_was_not_followed_is_named():
    with pytest.raises(MetadataError, match="the change of hypovascular"):
        score_change(changes(1.0, 1.0, 1.0)[:1], FROZEN)


def test_a_patient_of_the_fit_is_refused():
    FROZEN.require_unseen("02")
    with pytest.raises(LeakageError, match="sub-01 took part"):
        FROZEN.require_unseen("01")


def test_a_score_comes_back_from_its_file(tmp_path):
    path = tmp_path / "score.json"
    path.write_bytes(score_bytes(FROZEN))
    found = read_habitat_score(path)

    for field in dataclasses.fields(FrozenScore):
        assert np.all(getattr(found, field.name) == getattr(FROZEN, field.name)), field.name
    assert score_bytes(found) == path.read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Kind": "else"}, "is no score of habitats"),
        ({"Format": 2}, "another version"),
        ({"Covariance": [[1.0]]}, "was altered"),
    ],
)
def test_a_file_that_is_altered_or_something_else_is_refused(tmp_path, change, words):
    path = tmp_path / "score.json"
    path.write_text(json.dumps({**json.loads(score_bytes(FROZEN)), **change}))

    with pytest.raises(FileError, match=words):
        read_habitat_score(path)

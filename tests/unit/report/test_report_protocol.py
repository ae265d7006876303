"""The protocol check: numbers of Boxerman et al., Neuro-Oncology 2020;22:1262 (abstract)."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bolus.core import Acquisition, Assumed, TimeAxis
from bolus.report import Verdict, check_protocol

MEETS, DIFFERS, NOT_STATED = Verdict.MEETS, Verdict.DIFFERS, Verdict.NOT_STATED

PRELOADED = Acquisition(
    echo_time_s=0.030,
    repetition_time_s=1.5,
    flip_angle_deg=60.0,
    field_strength_t=3.0,
    contrast_dose_mmol_per_kg=0.1,
    preload_dose_mmol_per_kg=0.1,
    sequence="GRE-EPI",
)


def verdicts(acquisition, *, frames=40, leakage=True):
    bolus = SimpleNamespace(baseline=slice(2, 2 + frames))
    items = check_protocol(
        acquisition, TimeAxis.regular(120, step_s=1.5), bolus, leakage_corrected=leakage
    )
    return {item.name: item.verdict for item in items}


def test_the_recommended_exam_meets_every_item():
    assert set(verdicts(PRELOADED).values()) == {MEETS}


def test_an_exam_of_which_nothing_is_known_differs_in_nothing():
    found = verdicts(Acquisition(), leakage=None)

    assert set(found.values()) == {MEETS, NOT_STATED}
    assert [name for name, verdict in found.items() if verdict is MEETS] == ["Baseline"]


@pytest.mark.parametrize(
    ("flip", "preload", "expected"),
    [
        (60.0, 0.1, MEETS),
        (30.0, 0.0, MEETS),
        (30.0, 0.1, DIFFERS),
        (60.0, 0.0, DIFFERS),
        (90.0, 0.1, DIFFERS),
        (60.0, 0.025, DIFFERS),
        (60.0, None, NOT_STATED),
        (None, 0.1, NOT_STATED),
    ],
)
def test_flip_angle_and_preload_are_judged_together(flip, preload, expected):
    exam = replace(PRELOADED, flip_angle_deg=flip, preload_dose_mmol_per_kg=preload)

    assert verdicts(exam)["Flip angle and preload"] is expected


@pytest.mark.parametrize(
    ("field", "echo_ms", "expected"),
    [
        (3.0, 20, MEETS),
        (3.0, 35, MEETS),
        (3.0, 45, DIFFERS),
        (2.89, 30, MEETS),
        (1.5, 45, MEETS),
        (1.5, 30, DIFFERS),
        (7.0, 25, NOT_STATED),
        (None, 30, NOT_STATED),
    ],
)
def test_the_echo_time_depends_on_the_field(field, echo_ms, expected):
    exam = replace(PRELOADED, field_strength_t=field, echo_time_s=echo_ms / 1000)

    assert verdicts(exam)["Echo time"] is expected


def test_an_assumed_value_is_not_taken_for_a_stated_one():
    assumed = Assumed(value=0.030, reason="not in the sidecar", source="guess")

    assert verdicts(replace(PRELOADED, echo_time_s=assumed))["Echo time"] is NOT_STATED


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1.0, MEETS), (2.0, DIFFERS), (None, NOT_STATED)]
)
def test_the_repetition_time_is_judged_by_what_was_stated(seconds, expected):
    assert verdicts(replace(PRELOADED, repetition_time_s=seconds))["Repetition time"] is expected


@pytest.mark.parametrize(("frames", "expected"), [(29, DIFFERS), (30, MEETS), (60, MEETS)])
def test_a_short_baseline_differs(frames, expected):
    assert verdicts(PRELOADED, frames=frames)["Baseline"] is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("GRE-EPI", MEETS), ("EP\\GR", MEETS), ("SE-EPI", DIFFERS), ("PRESTO", NOT_STATED)],
)
def test_the_sequence_is_recognised_by_its_words(name, expected):
    assert verdicts(replace(PRELOADED, sequence=name))["Sequence"] is expected


def test_every_item_carries_its_citation():
    bolus = SimpleNamespace(baseline=slice(0, 30))
    items = check_protocol(PRELOADED, TimeAxis.regular(90, step_s=1.5), bolus)

    assert all("2020;22:1262" in item.citation for item in items)

"""The certificate as a reader, a browser and a program see it."""

import json
import math
from dataclasses import replace

import pytest
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.report.certificate import certificate_record, render_certificate, value_text
from bolus.report.certificate_findings import (
    Certificate,
    Chapter,
    ErrorRow,
    ErrorTable,
    Gate,
    Line,
    Panel,
    Part,
    Plot,
)

GATE = Gate(
    name="median error",
    what="median absolute error of flow",
    object="curves",
    method="osvd",
    value=7.0,
    unit="%",
    high=10.0,
    source="set by us",
)


def certificate(*gates):
    plot = Plot(
        title="Flow",
        text="Error of flow.",
        x_label="delay [s]",
        y_label="CBF error [%]",
        keys=("cbf",),
        panels=(
            Panel(
                title="gamma",
                perfect="zero",
                lines=(
                    Line(name="osvd", x=(0.0, 1.0), y=(-20.0, -21.0)),
                    Line(name="vascular", x=(0.0, 1.0), y=(0.1, 0.2)),
                ),
            ),
            Panel(
                title="volume",
                perfect="diagonal",
                lines=(
                    Line(name="osvd", x=(1.0, 2.0), y=(1.0, 2.2), low=(0.9, 2.0), high=(1.2, 2.3)),
                ),
            ),
        ),
    )
    table = ErrorTable(
        title="CBF",
        text="Mean error.",
        columns=("mean", "largest"),
        absolute=("largest",),
        rows=(
            ErrorRow(object="curves", method="osvd", errors=(-20.04, 30.0)),
            ErrorRow(object="curves", method="vascular", errors=(math.nan, 2.0)),
        ),
    )
    part = Part(title="Flow", text="What it is.", gates=gates, plots=(plot,), tables=(table,))
    return Certificate(
        version="9.8.7",
        created="2026-01-01 12:00 UTC",
        seed=3,
        profile="quick",
        settings=(("Chapters", "dsc"),),
        inputs=(("dsc_data.csv.gz", "ab" * 32),),
        chapters=(Chapter(key="dsc", title="DSC perfusion", parts=(part,)),),
    )


@pytest.mark.parametrize(
    ("limits", "value", "passed"),
    [
        ({"high": 10.0}, 10.0, True),
        ({"high": 10.0}, 10.0001, False),
        ({"low": 0.95}, 0.95, True),
        ({"low": 0.95}, 0.9499, False),
        ({"high": 0.7, "strict": True}, 0.7, False),
        ({"low": 1.8, "high": 2.8}, 1.7, False),
        ({"low": 1.8, "high": 2.8}, 2.0, True),
        ({"low": 0.0, "high": 0.0}, 0.0, True),
        ({"low": 0.0, "high": 0.0}, 1e-12, False),
        ({"low": 0.95}, math.nan, False),
        ({"high": 10.0}, math.inf, False),
        ({"high": 10.0}, None, None),
    ],
)
def test_a_gate_passes_within_its_limits_only_and_no_answer_fails(limits, value, passed):
    gate = replace(GATE, high=math.inf)

    assert replace(gate, value=value, **limits).passed is passed


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"high": 10.0}, "<= 10 %"),
        ({"high": 10.0, "strict": True}, "< 10 %"),
        ({"low": 3.0, "high": 7.0}, "3 to 7 %"),
        ({"low": 0.0, "high": 0.0}, "exactly 0 %"),
    ],
)
def test_the_goal_is_said_in_words(limits, text):
    assert replace(GATE, **limits).goal == text


def test_a_value_is_never_rounded_across_its_limit():
    assert value_text(replace(GATE, value=10.0001)) == "10.0001 %"
    assert value_text(replace(GATE, value=9.9996, strict=True)) == "9.9996 %"
    assert value_text(replace(GATE, value=9.9)) == "9.90 %"


def test_one_gate_that_falls_short_fails_the_certificate_and_one_not_run_does_not():
    assert certificate(GATE, replace(GATE, value=None)).passed
    assert not certificate(GATE, replace(GATE, value=11.0)).passed


def test_the_page_says_who_it_is_for_and_what_was_run():
    text = render_certificate(certificate(GATE))
    page = Page(text)

    loads_nothing(text, page)
    assert page.open == []
    for words in (RESEARCH_USE, "bolus 9.8.7", "seed 3", "quick profile", "ab" * 32, "2026-01-01"):
        assert words in page.words
    assert "1 of 1 gate passed." in page.words
    assert "7.00 %" in page.words
    assert "≤ 10 %" in page.words
    assert "−20.0" in page.words
    assert "+30.0" not in page.words  # the size of an error has no sign


def test_a_gate_that_falls_short_is_red_on_the_page():
    good = render_certificate(certificate(GATE))
    bad = render_certificate(certificate(GATE, replace(GATE, value=11.0)))

    assert ">Short</span>" not in good
    assert 'background:#b3261e">Short</span>' in bad
    assert "1 of 2 gates passed; 1 fell short." in Page(bad).words


def test_a_gate_that_was_not_run_is_not_counted_as_passed():
    words = Page(
        render_certificate(certificate(replace(GATE, value=None, note="needs data")))
    ).words

    assert "0 of 0 gates passed; 1 not run." in words
    assert "needs data" in words
    assert "Not run" in words


def test_words_from_outside_are_escaped():
    text = render_certificate(certificate(replace(GATE, name=HOSTILE, note=HOSTILE)))

    assert "<script>" not in text
    assert HOSTILE in Page(text).words


def test_the_same_certificate_gives_the_same_bytes():
    assert render_certificate(certificate(GATE)) == render_certificate(certificate(GATE))


def test_the_record_holds_every_gate_and_every_error_and_is_strict_json():
    record = certificate_record(certificate(GATE, replace(GATE, value=math.nan)))
    read = json.loads(json.dumps(record, allow_nan=False))

    assert [gate["passed"] for gate in read["gates"]] == [True, False]
    assert read["gates"][0] | {"value": 7.0, "goal": "<= 10 %", "low": None} == read["gates"][0]
    assert read["gates"][1]["value"] is None
    assert read["counts"] == {"passed": 1, "failed": 1, "not run": 0}
    assert read["passed"] is False
    assert [e["value"] for e in read["errors"]] == [-20.04, 30.0, None, 2.0]
    assert read["use"] == RESEARCH_USE

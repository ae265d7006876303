"""Methods text: what was done, all of it, and nothing else."""

from bolus.core import Provenance, Step
from bolus.report.methods import SENTENCES, write_methods

HISTORY = Provenance(
    steps=(
        Step("io.read_series", {}),
        Step("quantify.signal_to_delta_r2s", {"echo_time_s": 0.03}, "10.1002/mrm.1910140211"),
        Step("quantify.correct_leakage", {"model": "bsw"}, "Boxerman et al., AJNR 2006;27:859"),
        Step("quantify.brand_new", {"lambda": 0.5, "on": True}, "doi:10.1002/mrm.1910140211"),
    )
)


def test_every_step_is_said_with_its_settings():
    methods = write_methods(HISTORY, version="9.9")

    assert "bolus 9.9" in methods.paragraph()
    assert "(echo time 0.03 s) [1]." in methods.paragraph()
    assert "(model bsw) [2]." in methods.paragraph()


def test_a_step_without_a_sentence_is_listed_and_never_dropped():
    methods = write_methods(HISTORY, version="9.9")

    assert [s.text for s in methods.unknown] == ["quantify.brand_new"]
    assert methods.unknown[0].settings == "lambda 0.5, on yes"


def test_a_source_is_listed_once_under_one_number():
    methods = write_methods(HISTORY, version="9.9")

    assert [r.number for r in methods.references] == [1, 2]
    assert methods.references[0].text.startswith("Rosen BR")
    assert methods.references[0].link == "https://doi.org/10.1002/mrm.1910140211"
    assert methods.references[1].text == "Boxerman et al., AJNR 2006;27:859"
    assert methods.references[1].link == ""
    assert methods.unknown[0].references == (1,)


def test_two_sources_of_one_step_are_both_cited():
    step = Step("quantify.recovery_map", {}, "Cha 2007, AJNR 28:1078; Mangla 2011, AJNR 32:1004")
    methods = write_methods(Provenance(steps=(step,)), version="1")

    assert len(methods.references) == 2
    assert "[1, 2]." in methods.paragraph()


def test_the_same_step_is_said_once():
    once = write_methods(HISTORY, version="1").paragraph()
    twice = write_methods(Provenance(steps=HISTORY.steps * 2), version="1").paragraph()

    assert twice == once


def test_sentences_end_without_a_full_stop_because_the_paragraph_adds_it():
    assert not [s for s in SENTENCES.values() if s.endswith(".") or not s[0].isupper()]


def test_only_telling_settings_of_the_artery_are_said():
    step = Step("quantify.find_aif", {"voxels": 10, "score": 0.9, "narrow": 0.8})

    text = write_methods(Provenance(steps=(step,)), version="1").paragraph()

    assert "(voxels 10, score 0.9)" in text

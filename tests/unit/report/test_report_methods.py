"""Methods text: what was done, all of it, and nothing else."""

import re
from pathlib import Path

import pytest

import bolus
from bolus.core import Provenance, Step
from bolus.quantify import DECONVOLVERS, LEAKAGE_MODELS
from bolus.report import sentence_for
from bolus.report.methods import CHOICES, REFERENCES, SENTENCES, write_methods

SOURCES = [
    path.read_text(encoding="utf-8")
    for path in sorted(Path(bolus.__file__).parent.rglob("*.py"))
    if path.parent.name in ("io", "preprocess", "quantify", "simulate", "workflows")
]

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
    assert "without washout [2]." in methods.paragraph()


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


def paragraph(*steps):
    return write_methods(Provenance(steps=steps), version="1").paragraph()


def test_every_step_of_the_package_has_a_sentence():
    pattern = re.compile(r'"((?:io|preprocess|quantify|simulate)\.[a-z_0-9]+)"')
    steps = {name for text in SOURCES for name in pattern.findall(text)}

    assert len(steps) >= 15
    assert {name for name in steps if name.rsplit(".", 1)[-1] not in SENTENCES} == set()


def test_every_doi_that_a_step_names_is_in_the_references():
    # a module without a step names other things by DOI, such as public datasets
    stepping = [text for text in SOURCES if "Step(" in text]
    dois = {doi for text in stepping for doi in re.findall(r'"(10\.\d{4,9}/[^"\s]+)"', text)}

    assert len(dois) >= 8
    assert dois - set(REFERENCES) == set()


def test_every_deconvolution_and_leakage_model_is_said_in_words():
    methods = {method.__name__ for method in DECONVOLVERS.values()}

    assert set(CHOICES["svd_maps"][1]) == methods
    assert set(CHOICES["correct_leakage"][1]) == set(LEAKAGE_MODELS)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("quantify.svd_maps", {"method": "Osvd"}), "limit of oscillation (oSVD)."),
        (Step("quantify.svd_maps", {"method": "Tikhonov"}), "generalised cross-validation."),
        (Step("quantify.svd_maps", {"method": "Own"}), "by deconvolution (method Own)."),
        (Step("quantify.correct_leakage", {"model": "matched"}), "matched to the transit"),
    ],
)
def test_the_method_that_was_used_is_said(step, words):
    assert words in paragraph(step)
    assert words.split(" (method")[0].rstrip(".") in sentence_for(step)


def test_flow_is_not_said_to_come_from_deconvolution_beside_the_vascular_model():
    deconvolved = Step("quantify.svd_maps", {"method": "Osvd"})

    assert "Flow and Tmax are" in paragraph(deconvolved)
    assert "Flow and Tmax are" not in paragraph(Step("quantify.vascular_maps", {}), deconvolved)


def test_volume_without_a_leakage_correction_is_said_to_be_so():
    volume = Step("quantify.blood_volume", {})

    assert "without a correction for leakage" in paragraph(volume)
    assert "without a correction" not in paragraph(Step("quantify.correct_leakage", {}), volume)


def test_frames_are_counted_from_one():
    text = paragraph(Step("quantify.signal_to_delta_r2s", {"baseline": "2:15"}))

    assert "(baseline frames 3 to 15)" in text


def test_the_origin_of_the_settings_is_said_once_for_each_origin():
    step = Step(
        "io.read_series",
        {"echo_time_s": "sidecar", "contrast_dose_mmol_per_kg": "sidecar", "time": "user"},
    )

    assert (
        "(echo time, contrast dose from the JSON sidecar; frame times given by the user)"
        in paragraph(step)
    )


def test_a_code_of_the_lexicon_is_cited_as_such():
    step = Step("quantify.arrival_map", {}, "Q.BA1.001")
    reference = write_methods(Provenance(steps=(step,)), version="1").references[0]

    assert reference.text.startswith("OSIPI CAPLEX")
    assert reference.text.endswith("Q.BA1.001.")

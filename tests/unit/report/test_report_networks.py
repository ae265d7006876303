"""The pages of codes and of a prediction, as a reader and a browser see them."""

from dataclasses import replace

import numpy as np
import pytest
from networks_example import CARD, codes_findings, prediction_findings
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import LabelMap
from bolus.errors import GeometryError, QuantityError
from bolus.report.codes import render_codes_report
from bolus.report.figures_codes import code_colour
from bolus.report.prediction import render_prediction


@pytest.fixture(scope="module")
def pages():
    return {
        "codes": render_codes_report(codes_findings()),
        "prediction": render_prediction(prediction_findings()),
    }


@pytest.mark.parametrize("name", ["codes", "prediction"])
def test_a_page_is_whole_says_what_it_is_for_and_loads_nothing(pages, name):
    page = Page(pages[name])

    assert page.open == []
    loads_nothing(pages[name], page)
    assert page.words.count(RESEARCH_USE) == 3
    assert "trained on simulated curves" in page.words
    assert "no diagnosis" in page.words
    for image in [a for tag, a in page.tags if tag == "img"]:
        assert len(image["alt"] or "") > 20


def test_the_same_findings_give_the_same_bytes(pages):
    assert render_codes_report(codes_findings()) == pages["codes"]
    assert render_prediction(prediction_findings()) == pages["prediction"]


def test_networks_of_patients_are_not_called_simulated():
    card = replace(CARD, simulated=False, trained_on="Patients of one centre.")

    for text in (
        render_codes_report(replace(codes_findings(), card=card)),
        render_prediction(replace(prediction_findings(), card=card)),
    ):
        assert "simulated curves" not in text


def test_text_from_outside_never_becomes_markup():
    codes = codes_findings()
    names = dict.fromkeys(codes.tumour.names, HOSTILE)
    tumour = LabelMap(values=codes.tumour.values, grid=codes.tumour.grid, names=names)
    card = replace(CARD, name=HOSTILE, trained_on=HOSTILE, limits=HOSTILE)
    shares = tuple(replace(row, region=HOSTILE) for row in codes.shares)

    for text in (
        render_codes_report(replace(codes, label=HOSTILE, tumour=tumour, card=card, shares=shares,
                                    warnings=(HOSTILE,))),
        render_prediction(replace(prediction_findings(), label=HOSTILE, positive=HOSTILE,
                                  card=card, warnings=(HOSTILE,))),
    ):  # fmt: skip
        page = Page(text)
        assert "<script" not in text
        assert page.open == []


def test_an_exam_unlike_the_training_has_no_number_to_use():
    text = render_prediction(replace(prediction_findings(), unlike=4.0))

    assert "do not use the number" in text
    assert "has no meaning for it" in text


def test_an_unknown_likeness_counts_as_unlike():
    assert replace(prediction_findings(), unlike=float("nan")).is_unlike


def test_an_interval_that_does_not_hold_the_probability_is_refused():
    with pytest.raises(QuantityError):
        replace(prediction_findings(), lower=0.9)


def test_codes_of_another_grid_are_refused():
    with pytest.raises(GeometryError):
        replace(codes_findings(), anatomy=np.zeros((3, 3, 3)))


@pytest.mark.parametrize("count", [2, 8, 12])
def test_every_code_has_its_own_colour(count):
    assert len({code_colour(place, count) for place in range(count)}) == count

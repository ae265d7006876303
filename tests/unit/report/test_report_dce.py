"""The DCE page as a reader and a browser see it."""

from dataclasses import replace

import numpy as np
import pytest
from dce_example import (
    all_failed,
    dce_findings,
    population_aif,
    without_t1,
)
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import QUANTITIES, Assumed, LabelMap, MapSet, Mask, ParameterMap, Provenance
from bolus.quantify import find_leaking
from bolus.report import render_dce_report
from bolus.report.dce_glance import assumed_t1, dce_at_a_glance
from bolus.report.figures_dce_maps import (
    half_width_percent,
    model_colours,
    shown_voxels,
)
from bolus.report.figures_maps import scale_of
from bolus.report.pictures_dce import draw_dce
from bolus.report.protocol import Verdict
from bolus.report.protocol_dce import check_dce_protocol
from bolus.report.tables import interval_table

SHAPE = (20, 24, 3)


@pytest.fixture(scope="module")
def findings():
    return dce_findings(SHAPE)


@pytest.fixture(scope="module")
def text(findings):
    return render_dce_report(findings)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def tile(findings, name):
    tiles = dce_at_a_glance(findings, check_dce_protocol(findings))
    return next(t for t in tiles if t.name == name)


def test_the_research_sentence_stands_on_top_in_the_footer_and_on_every_printed_page(page):
    assert page.words.count(RESEARCH_USE) == 3


def test_elements_are_closed_and_nothing_is_loaded_from_anywhere(text, page):
    assert page.open == []
    loads_nothing(text, page)


def test_two_renders_give_the_same_bytes(text):
    assert render_dce_report(dce_findings(SHAPE)) == text


def test_the_page_stays_below_five_megabytes(text):
    assert len(text.encode()) < 5e6


def test_every_picture_has_words_and_a_size(page):
    images = [a for tag, a in page.tags if tag == "img"]

    assert len(images) >= 12
    for image in images:
        assert len(image["alt"] or "") > 20
        assert int(image["width"] or 0) > 0
        assert int(image["height"] or 0) > 0


def test_the_tumour_stands_before_the_maps_and_the_maps_before_everything_else(page):
    places = [
        page.words.index(words)
        for words in ("Ktrans by region", "2 · Maps", "3 · Does the model fit?", "4 · Arterial")
    ]

    assert places == sorted(places)


def test_the_main_maps_come_first_and_each_has_a_row_of_its_precision(findings):
    pictures = draw_dce(findings)

    assert [row["key"] for row in pictures["maps"]] == ["ktrans", "ve", "vp"]
    assert [row["symbol"] for row in pictures["precision"]] == ["Ktrans", "ve", "vp"]
    assert {"r2", "residual"} == {row["key"] for row in pictures["more"]}


def one_map(findings, key, values, std):
    mask = findings.brain
    item = ParameterMap.from_voxels(
        np.full(mask.count, 1.0) * values, quantity=QUANTITIES[key], mask=mask,
        provenance=Provenance(), std=None if std is None else np.full(mask.count, 1.0) * std,
    )  # fmt: skip
    return replace(findings, maps=MapSet({**findings.maps, key: item}))


def test_the_half_width_is_that_of_a_90_percent_interval(findings):
    sure = one_map(findings, "ktrans", 0.1, 0.01)

    percent = half_width_percent(sure, "ktrans")[findings.brain.values]

    assert percent == pytest.approx(np.full(findings.brain.count, 16.45))


def test_a_map_without_errors_has_no_row_of_precision(findings):
    unsure = one_map(findings, "ktrans", 0.1, None)

    assert half_width_percent(unsure, "ktrans") is None
    assert "Ktrans" not in [row["symbol"] for row in draw_dce(unsure)["precision"]]


def test_ve_has_no_colour_where_ktrans_does_not_differ_from_zero(findings):
    barely = one_map(one_map(findings, "ve", 20.0, 1.0), "ktrans", 0.010, 0.0062)
    clearly = one_map(one_map(findings, "ve", 20.0, 1.0), "ktrans", 0.010, 0.0060)
    inside = findings.brain.values

    assert not shown_voxels(barely, "ve")[inside].any()
    assert shown_voxels(clearly, "ve")[inside].all()
    assert shown_voxels(barely, "ktrans")[inside].all()
    assert "ve and kep are not drawn" in Page(render_dce_report(barely)).words


def test_ve_on_a_bound_has_no_colour(findings):
    errors = np.where(np.arange(findings.brain.count) % 2, np.nan, 1.0)
    held = one_map(one_map(findings, "ve", 100.0, errors), "ktrans", 0.1, 0.001)

    assert shown_voxels(held, "ve")[findings.brain.values].mean() == pytest.approx(0.5, abs=0.01)


def test_a_negative_answer_has_no_colour_but_is_kept(findings):
    negative = one_map(findings, "ktrans", -0.01, 0.001)

    assert not shown_voxels(negative, "ktrans").any()
    assert not find_leaking(negative.maps).any()
    assert np.nanmax(negative.maps["ktrans"].values) == -0.01


def test_few_outliers_do_not_stretch_the_colours_of_ktrans(findings):
    values = np.where(np.arange(findings.brain.count) % 50, 0.05, 40.0)

    scale = scale_of(one_map(findings, "ktrans", values, 0.01), "ktrans")

    assert (scale.low, scale.high) == (0, 0.2)


def test_a_wild_interval_does_not_stretch_the_axis_of_ve(findings):
    row = next(r for r in findings.regions if r.key == "ve")
    wild = replace(row, low95=-160.0, high95=280.0)

    table = interval_table((wild,), "ve")

    assert (table.ticks[0][1], table.ticks[-1][1]) == ("0", "100")
    assert min(table.rows[0].marks) == 0
    assert "−160.00 to 280.00" in table.rows[0].interval


def test_without_a_tumour_the_page_says_how_to_get_region_numbers(findings):
    none = replace(findings, tumour=None, regions=())

    assert "Give a tumour mask" in Page(render_dce_report(none)).words


def test_an_assumed_t1_is_said_on_the_tile_and_in_its_section(findings):
    assumed = without_t1(findings)
    words = Page(render_dce_report(assumed)).words

    assert tile(assumed, "T1 before the agent").look
    assert "assumed 1.40 s" in words
    assert "T1 of 1.40 s was assumed for all voxels: no T1 map (a book)." in words
    assert check_dce_protocol(assumed)[0].verdict is Verdict.DIFFERS


def test_a_rate_that_was_assumed_is_said_as_a_time_and_that_of_blood_is_not_taken(findings):
    maps = MapSet({k: v for k, v in findings.maps.items() if k != "t10"})
    rates = (
        ("R10 of arterial blood [1/s]", Assumed(value=0.6, reason="blood", source="x")),
        ("R10 of all voxels [1/s]", Assumed(value=0.8, reason="one T10", source="x")),
    )

    seconds, why = assumed_t1(replace(findings, maps=maps, assumptions=rates))

    assert seconds == pytest.approx(1.25)
    assert why.reason == "one T10"


def test_a_population_artery_has_no_place_and_calls_for_a_look(findings):
    given = population_aif(findings)
    words = Page(render_dce_report(given)).words

    assert tile(given, "Arterial input").look
    assert "it has no place in the images" in words
    assert "It was not scaled to a vein" in words
    names = [item.name for item in check_dce_protocol(given)]
    assert "Frames of the artery" not in names


def test_a_vein_that_disagrees_with_the_artery_calls_for_a_look(findings):
    assert not tile(findings, "Arterial input").look
    assert tile(replace(findings, vein_scale=2.6), "Arterial input").look


def test_the_best_model_is_shown_voxel_by_voxel():
    best = dce_findings(SHAPE, model="best")
    shares = [float(share.removesuffix(" %")) for _, _, share in model_colours(best)]

    assert sum(shares) == pytest.approx(100, abs=0.2)
    words = Page(render_dce_report(best)).words
    assert "Model chosen" in words
    assert "Patlak" in words


def test_two_compartment_exchange_shows_flow_and_permeability():
    exchange = dce_findings(SHAPE, model="two_compartment_exchange")

    keys = [row["key"] for row in draw_dce(exchange)["maps"]]

    assert {"ve", "vp", "fp", "ps"} <= set(keys)
    assert "Fp by region" in Page(render_dce_report(exchange)).words


def test_a_page_of_failed_fits_is_still_a_page(findings):
    failed = all_failed(findings)
    page = Page(render_dce_report(failed))

    assert page.open == []
    assert tile(failed, "Fits").look
    assert "not converged" in tile(failed, "Fits").detail
    assert "nan" not in page.words.lower().split()


def test_implausible_answers_call_for_a_look(findings):
    count = findings.brain.count
    few = one_map(findings, "kep", np.where(np.arange(count) % 25, 0.5, 25.0), None)
    many = one_map(findings, "kep", np.where(np.arange(count) % 10, 0.5, 25.0), None)

    assert "implausible" not in tile(few, "Fits").detail
    assert tile(many, "Fits").look
    assert "10 % of kep implausible" in tile(many, "Fits").detail


def test_motion_that_was_not_corrected_is_said_with_its_reason(findings):
    still = replace(findings, motion=None, motion_skipped="asked not to")

    assert "Not corrected: asked not to." in Page(render_dce_report(still)).words


def test_text_from_outside_never_becomes_markup(findings):
    labels = LabelMap(
        values=findings.tumour.values, grid=findings.tumour.grid,
        names={k: f"{HOSTILE} $x_{k}$" for k in findings.tumour.names},
    )  # fmt: skip
    hostile = replace(
        findings,
        label=HOSTILE,
        title=HOSTILE,
        tumour=labels,
        warnings=(HOSTILE,),
        motion_skipped=HOSTILE,
        examples=tuple(replace(e, region=HOSTILE) for e in findings.examples),
        aif=replace(findings.aif, method=HOSTILE),
        assumptions=((HOSTILE, Assumed(value=1.0, reason=HOSTILE, source=HOSTILE)),),
    )

    text = render_dce_report(hostile)

    loads_nothing(text, Page(text))
    assert "<script" not in text


@pytest.mark.parametrize(
    ("dose", "verdict"),
    [(0.1, Verdict.MEETS), (0.05, Verdict.DIFFERS), (None, Verdict.NOT_STATED)],
)
def test_the_dose_is_held_against_the_profile(findings, dose, verdict):
    acquisition = replace(findings.signal.acquisition, contrast_dose_mmol_per_kg=dose)
    other = replace(findings, signal=replace(findings.signal, acquisition=acquisition))

    found = {item.name: item.verdict for item in check_dce_protocol(other)}

    assert found["Dose"] is verdict
    assert found["Frames of the tissue"] is Verdict.MEETS
    assert found["Frames of the artery"] is Verdict.DIFFERS


def test_an_empty_brain_does_not_stop_the_page(findings):
    nothing = Mask(values=np.zeros(SHAPE, bool), grid=findings.brain.grid, name="brain")

    assert Page(render_dce_report(replace(findings, brain=nothing))).open == []

"""The page as a reader and a browser see it."""

from dataclasses import replace

import numpy as np
import pytest
from findings_example import example_findings, small_findings, without_tumour
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import (
    QUANTITIES,
    Assumed,
    FitStatus,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    Provenance,
)
from bolus.errors import GeometryError, QuantityError
from bolus.report import DscFindings, render_dsc_report
from bolus.report.glance import at_a_glance
from bolus.report.pictures import draw
from bolus.report.protocol import check_protocol
from bolus.report.tables import quantity_table, status_table


@pytest.fixture(scope="module")
def findings() -> DscFindings:
    return example_findings()


@pytest.fixture(scope="module")
def small() -> DscFindings:
    return small_findings()


@pytest.fixture(scope="module")
def text(findings) -> str:
    return render_dsc_report(findings)


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_the_research_sentence_stands_on_top_in_the_footer_and_on_every_printed_page(text, page):
    body = text[text.index("<body>") :]

    assert page.words.count(RESEARCH_USE) == 3
    assert body.index(RESEARCH_USE) < body.index("<h1>")
    assert RESEARCH_USE in body[body.index("<footer>") :]
    assert 'class="print-foot"' in body
    assert "display: table-footer-group" in text  # a table's foot is repeated on printed pages


def test_elements_are_closed_in_order_and_nothing_is_left_open(page):
    assert page.open == []


def test_nothing_is_loaded_from_anywhere(text, page):
    loads_nothing(text, page)


def test_two_renders_give_the_same_bytes(small):
    assert render_dsc_report(small_findings()) == render_dsc_report(small)


def test_the_page_stays_below_six_megabytes(text):
    assert len(text.encode()) < 6e6


def test_every_picture_has_words_and_a_size(page):
    images = [a for tag, a in page.tags if tag == "img"]

    assert len(images) >= 12
    for image in images:
        assert len(image["alt"] or "") > 20
        assert int(image["width"] or 0) > 0
        assert int(image["height"] or 0) > 0


def test_every_quantity_shown_is_in_the_registry(findings):
    drawn = draw(findings)
    pictures = [p for p in drawn.values() if hasattr(p, "keys") and hasattr(p, "uri")]
    rows = [*drawn["maps"], *drawn["more"]]
    keys = {k for p in pictures for k in p.keys} | {row["key"] for row in rows}
    symbols = {q.symbol for q in QUANTITIES.values()}

    assert {"ncbv", "cbf", "mtt", "tmax", "k2", "cbv", "psr", "signal", "delta_r2s"} <= keys
    assert keys <= set(QUANTITIES)
    assert {row[0][0] for row in status_table(findings).rows} <= symbols
    assert {row[0][0] for row in quantity_table(findings.regions).rows} <= symbols


def test_a_quantity_outside_the_registry_is_refused(findings):
    row = replace(findings.regions[0], key="magic")

    with pytest.raises(QuantityError, match="magic"):
        replace(findings, regions=(row,))


def test_a_mask_of_another_grid_is_refused(findings):
    other = example_findings((20, 20, 4))

    with pytest.raises(GeometryError):
        replace(findings, brain=other.brain)


def test_text_from_outside_never_becomes_markup(small):
    labels = LabelMap(
        values=small.tumour.values,
        grid=small.tumour.grid,
        names=dict.fromkeys(small.tumour.names, HOSTILE),
    )
    hostile = replace(
        small,
        title=HOSTILE,
        label=HOSTILE,
        version=HOSTILE,
        created=HOSTILE,
        tumour=labels,
        regions=tuple(replace(r, region=HOSTILE) for r in small.regions),
        aif=replace(small.aif, method=HOSTILE),
        warnings=(HOSTILE,),
        assumptions=((HOSTILE, Assumed(value=1.0, reason=HOSTILE, source=HOSTILE)),),
        motion=None,
        motion_skipped=HOSTILE,
        settings={HOSTILE: HOSTILE},
        provenance=Provenance(inputs=((HOSTILE, HOSTILE),)),
        signal=replace(
            small.signal,
            acquisition=replace(small.signal.acquisition, sequence=HOSTILE),
        ),
    )
    page = Page(render_dsc_report(hostile))

    assert "script" not in {tag for tag, _ in page.tags}
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.words.count(HOSTILE) >= 10
    assert page.open == []


def test_the_numbers_of_the_regions_are_printed_with_their_interval(findings, page):
    row = next(r for r in findings.regions if r.region == "enhancing" and r.key == "ncbv")

    assert f"{row.mean:.2f}" in page.words
    assert f"{row.low95:.2f} to {row.high95:.2f}" in page.words


def test_no_diagnosis_category_or_universal_limit_is_printed(page):
    for word in ("RANO", "high-grade", "low-grade", "malignan", "progression", "recurrence"):
        assert word not in page.words.replace("high-grade gliomas", "")


def test_an_exam_without_tumour_is_reported(small):
    page = Page(render_dsc_report(without_tumour(small)))

    assert "Fractional tumour burden" not in page.words
    assert "no region numbers" in page.words
    assert page.open == []


def test_motion_that_was_not_corrected_is_said_and_asks_for_a_look(small):
    still = replace(small, motion=None, motion_skipped="switched off in the settings")
    page = Page(render_dsc_report(still))
    tile = next(t for t in at_a_glance(still, ()) if t.name == "Motion")

    assert page.words.count("switched off in the settings") == 2
    assert tile.look


def test_maps_without_any_answer_are_reported(small):
    brain = small.brain
    empty = {
        key: ParameterMap.from_voxels(
            np.full(brain.count, np.nan),
            quantity=item.quantity,
            mask=brain,
            provenance=Provenance(),
            status=np.full(brain.count, FitStatus.NO_BOLUS, np.uint8),
        )
        for key, item in small.maps.items()
    }
    lost = replace(small, maps=MapSet(empty))
    page = Page(render_dsc_report(lost))
    tile = next(t for t in at_a_glance(lost, ()) if t.name == "Voxels")

    assert tile.look
    assert "100.0 %" in tile.finding
    assert page.open == []


def test_regions_without_numbers_are_printed_as_dashes(small):
    nothing = dict.fromkeys(
        ("mean", "median", "p05", "p95", "mean_std", "low95", "high95"), float("nan")
    )
    rows = tuple(replace(r, **nothing) for r in small.regions)

    assert Page(render_dsc_report(replace(small, regions=rows))).words.count("–") > 10


def test_a_single_slice_is_reported():
    page = Page(render_dsc_report(example_findings((40, 44, 1))))

    assert page.open == []
    assert any("axial slice 1," in (a.get("alt") or "") for _, a in page.tags)


def test_empty_masks_are_reported(small):
    nothing = Mask(values=np.zeros(small.brain.grid.shape, bool), grid=small.brain.grid,
                   name="nothing")  # fmt: skip
    page = Page(
        render_dsc_report(
            replace(small, brain=nothing, white_matter=nothing, leakage_reference=nothing)
        )
    )

    assert "none was found" in page.words


def test_a_given_curve_needs_no_place_in_the_images(small):
    given = replace(
        small.aif, method="file aif.tsv", voxels=np.empty((0, 3), int), candidates=None,
        score=float("nan"),
    )  # fmt: skip

    page = Page(render_dsc_report(replace(small, aif=given)))

    assert "file aif.tsv" in page.words
    assert "it has no place in the images" in page.words


def test_the_strip_says_ok_or_look_in_words(small):
    protocol = check_protocol(
        small.signal.acquisition, small.signal.time, small.bolus, leakage_corrected=True
    )
    tiles = at_a_glance(small, protocol)
    poor = at_a_glance(
        replace(
            small,
            aif=replace(small.aif, score=0.2),
            bolus=replace(small.bolus, contrast_to_noise=4.0),
            motion=replace(small.motion, displacement_mm=np.full(60, 9.0)),
        ),
        protocol,
    )

    assert [t.word for t in tiles] == ["Look", "OK", "OK", "OK", "OK"]  # baseline is 13 frames
    assert [t.word for t in poor] == ["Look", "Look", "Look", "Look", "OK"]


def test_motion_of_which_nothing_is_known_asks_for_a_look(small):
    nothing = replace(
        small.motion, parameters=np.full((60, 6), np.nan), displacement_mm=np.full(60, np.nan)
    )
    lost = replace(small, motion=nothing)
    tile = next(t for t in at_a_glance(lost, ()) if t.name == "Motion")

    assert (tile.look, tile.finding) == (True, "not known")
    assert Page(render_dsc_report(lost)).open == []

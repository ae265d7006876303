"""The page of any series, as a reader and a browser see it."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from findings_example import example_findings
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import Acquisition, Assumed, Mask, Provenance, Step, TimeAxis
from bolus.errors import GeometryError, TimingError
from bolus.report import SeriesFindings, render_series_report
from bolus.report.figures_series import (
    REGION_COLOURS,
    curve_plots,
    hidden,
    stroke_of,
    view_of,
)
from bolus.report.series import _numbers, _quantity, _tiles
from bolus.report.tables import acquisition_rows

SHAPE = (18, 22, 12)
KIND = "the signal rises by 17 % at 47.5 s and stays there, where DSC falls and recovers"


def region(grid, name, *places, reach=0):
    """Return a mask of single voxels, or of boxes around them."""
    values = np.zeros(grid.shape, bool)
    for i, j, k in places:
        values[i - reach : i + reach + 1, j - reach : j + reach + 1, k] = True
    return Mask(values=values, grid=grid, name=name)


def with_regions(findings, *regions):
    curves = [(m.name, findings.curves_of.mean_curve(m)) for m in (findings.brain, *regions)]
    return replace(findings, curves=tuple(curves), regions=regions)


@pytest.fixture(scope="module")
def dsc() -> SeriesFindings:
    """A series with a bolus, motion, and two regions."""
    exam = example_findings(SHAPE)
    grid = exam.signal.grid
    history = Provenance(inputs=(("sub-example_dce.nii.gz", "9f" * 32),)).then(
        Step("io.read_series", {"echo_time_s": "sidecar", "time": "user"})
    )
    findings = SeriesFindings(
        label="sub-example_dce",
        version="0.1.0",
        created="2026-01-01T12:00:00Z",
        signal=exam.signal,
        curves_of=exam.signal,
        anatomy=exam.anatomy,
        kind="DSC: the bolus arrives after 22.5 s",
        bolus=exam.bolus,
        brain=exam.brain,
        curves=(("brain", exam.signal.mean_curve(exam.brain)),),
        motion=exam.motion,
        provenance=history,
    )
    return with_regions(
        findings,
        region(grid, "voxel 8,11,2", (8, 11, 2)),
        region(grid, "vein", (9, 5, 6), reach=2),
    )


@pytest.fixture(scope="module")
def rise(dsc) -> SeriesFindings:
    """A series that rises and stays: no bolus, motion not corrected."""
    time = TimeAxis.regular(60, step_s=15.84)
    step = np.where(time.seconds > 40, 1.17, 1.0)
    values = (dsc.anatomy[..., None] * step).astype(np.float32)
    signal = replace(
        dsc.signal, values=values, time=time, acquisition=Acquisition(sources=(("time", "user"),))
    )
    return with_regions(
        replace(
            dsc,
            signal=signal,
            curves_of=signal,
            kind=KIND,
            bolus=None,
            motion=None,
            motion_skipped="switched off in the settings",
        ),
        *dsc.regions,
    )


@pytest.fixture(scope="module")
def text(rise) -> str:
    return render_series_report(rise)


@pytest.fixture(scope="module")
def dsc_page(dsc) -> Page:
    return Page(render_series_report(dsc))


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_the_page_says_on_top_what_the_series_is(page):
    verdict = page.words.index("The signal rises by 17 % at 47.5 s and stays there")

    assert verdict < page.words.index("1 · Curves")
    assert "Maps of DSC need one first pass" in page.words


def test_the_research_sentence_stands_on_top_and_at_the_bottom(text):
    body = text[text.index("<body>") :]

    assert body.index(RESEARCH_USE) < body.index("<h1>")
    assert RESEARCH_USE in body[body.index("<footer>") :]


def test_the_page_is_whole_and_loads_nothing(text, page):
    assert page.open == []
    loads_nothing(text, page)


def test_two_renders_give_the_same_bytes(rise, text):
    assert render_series_report(replace(rise)) == text


def test_every_picture_has_words_and_a_size(page):
    images = [a for tag, a in page.tags if tag == "img"]

    assert len(images) == 3  # curves, their change, and where they come from
    assert all(len(image["alt"] or "") > 20 and int(image["width"] or 0) > 0 for image in images)


def test_the_numbers_of_a_curve_are_its_change_from_the_first_frames(rise, page):
    _, values = rise.curves[0]

    assert rise.change_percent(values)[-1] == pytest.approx(17.0, rel=1e-5)
    assert rise.change_percent(values)[:3] == pytest.approx([0, 0, 0], abs=1e-4)
    assert "+17.0 %at 47.5 s" in page.words
    assert "change from first 3 frames" in page.words


def test_with_a_bolus_the_change_is_against_its_baseline_and_the_plots_show_it(dsc, dsc_page):
    words = dsc_page.words
    _, values = dsc.curves[0]

    assert dsc.change_percent(values)[dsc.bolus.baseline].mean() == pytest.approx(0, abs=1e-9)
    assert "change from baseline" in words
    assert "arrives at 22 s" in words
    assert "Maps of DSC need" not in words


def test_relaxation_rates_are_shown_as_they_are(dsc):
    rates = example_findings(SHAPE).delta_r2s
    shown = with_regions(replace(dsc, curves_of=rates), *dsc.regions)
    highest = _numbers(shown).rows[0][3][0]

    assert [p.keys for p in curve_plots(shown)] == [("delta_r2s",)]
    assert _quantity(shown) == "Change of transverse relaxation rate ΔR2*"
    assert _numbers(shown).heads[3] == ("highest", "1/s")
    assert float(highest) == pytest.approx(shown.curves[0][1].max(), rel=0.01)


def test_motion_or_the_reason_it_was_not_corrected_is_said(dsc_page, page):
    assert "Not corrected: switched off in the settings." in page.words
    assert "relative to frame 9" in dsc_page.words
    assert any("displacement" in (a.get("alt") or "") for _, a in dsc_page.tags)


def test_motion_of_which_nothing_is_known_asks_for_a_look(dsc):
    nothing = SimpleNamespace(
        parameters=np.full((60, 6), np.nan), displacement_mm=np.full(60, np.nan), reference_frame=0
    )
    lost = replace(dsc, motion=nothing)
    tile = next(t for t in _tiles(lost) if t.name == "Motion")

    assert (tile.look, tile.finding) == (True, "not known")
    assert Page(render_series_report(lost)).open == []


def test_what_is_known_of_the_acquisition_is_listed_with_its_origin(dsc):
    assumed = Assumed(value=1.0, reason="the header says 1 s", source="NIfTI header")
    known = Acquisition(
        echo_time_s=0.0025,
        flip_angle_deg=12.0,
        repetition_time_s=assumed,
        sequence="SPGR",
        sources=(("echo_time_s", "sidecar"), ("flip_angle_deg", "user"), ("time", "header")),
    )
    rows = {name: said for name, *said in acquisition_rows(replace(dsc.signal, acquisition=known))}

    assert rows["Echo time"] == ["2.5 ms", "JSON sidecar"]
    assert rows["Flip angle"] == ["12°", "given by the user"]
    assert rows["Repetition time"] == ["1 s", "assumed: the header says 1 s"]
    assert rows["Sampling interval"] == ["1.50 s", "NIfTI header"]
    assert rows["Not stated"][0].startswith("field strength, dose, preload")
    assert rows["Sequence"] == ["SPGR", ""]


def test_an_irregular_sampling_is_said_and_asks_for_a_look(dsc):
    seconds = np.concatenate([1.5 * np.arange(30), 45 + 4.0 * np.arange(30)])
    taken = replace(dsc.signal, time=TimeAxis(seconds=seconds))
    uneven = replace(dsc, signal=taken, curves_of=taken)
    tile = next(t for t in _tiles(uneven) if t.name == "Sampling")

    assert tile.look
    assert "irregular: 1.50 to 4.00 s" in acquisition_rows(taken)[2][1]


def test_inputs_methods_and_warnings_are_printed(rise):
    words = Page(render_series_report(replace(rise, warnings=("left is not known",)))).words

    assert "9f" * 32 in words
    assert "Mean curves of regions were read with bolus 0.1.0" in words
    assert "left is not known" in words
    assert "echo time from the JSON sidecar; frame times given by the user" in words
    assert rise.provenance.digest() in words


def test_text_from_outside_never_becomes_markup(dsc):
    regions = tuple(replace(m, name=f"$_{HOSTILE}") for m in dsc.regions)
    hostile = replace(
        with_regions(dsc, *regions),
        title=HOSTILE, label=HOSTILE, version=HOSTILE, created=HOSTILE, kind=HOSTILE,
        warnings=(HOSTILE,), motion=None, motion_skipped=HOSTILE,
        provenance=Provenance(inputs=((HOSTILE, HOSTILE),)),
        signal=replace(
            dsc.signal, acquisition=Acquisition(sequence=HOSTILE, sources=(("time", HOSTILE),))
        ),
    )  # fmt: skip
    page = Page(render_series_report(hostile))

    assert "script" not in {tag for tag, _ in page.tags}
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.words.count(HOSTILE) >= 12
    assert page.open == []


def test_every_region_is_in_a_slice_that_is_shown(dsc):
    view = view_of(dsc)

    assert {2, 6} <= set(view.slices)
    assert len(view.slices) == 6
    assert hidden(dsc, view) == ()


def test_regions_that_no_slice_shows_are_named(dsc):
    grid = dsc.signal.grid
    many = with_regions(dsc, *(region(grid, f"voxel {k}", (9, 11, k)) for k in range(1, 11)))
    left_out = hidden(many, view_of(many))

    assert len(left_out) == 4
    assert {m.name for m in many.regions} - set(left_out) == {
        f"voxel {k}" for k in view_of(many).slices
    }


def test_a_region_outside_of_the_brain_is_not_cut_off(dsc):
    corner = region(dsc.signal.grid, "corner", (0, 21, 5))
    view = view_of(with_regions(dsc, corner))

    assert view.plane(corner.values, 5).sum() == 1


def test_strokes_of_regions_differ(dsc):
    strokes = [stroke_of(place) for place in range(2 * len(REGION_COLOURS) + 1)]

    assert len({(s.colour, s.style) for s in strokes}) == len(strokes)


def test_a_single_slice_without_brain_is_reported(rise):
    grid = replace(rise.signal.grid, shape=(18, 22, 1))
    signal = replace(rise.signal, values=rise.signal.values[:, :, 5:6], grid=grid)
    nothing = Mask(values=np.zeros(grid.shape, bool), grid=grid, name="brain")
    flat = replace(
        rise, signal=signal, curves_of=signal, anatomy=rise.anatomy[:, :, 5:6], brain=nothing,
        curves=(("brain", np.full(60, np.nan)),), regions=(),
    )  # fmt: skip
    page = Page(render_series_report(flat))

    assert page.open == []
    assert "–" in page.words
    assert next(t for t in _tiles(flat) if t.name == "Brain mask").look


def test_voxels_of_an_impossible_size_ask_for_a_look(rise):
    thin = replace(rise.signal.grid, affine=np.diag([2.1, 2.1, 0.023, 1.0]))
    tile = next(t for t in _tiles(replace_grid(rise, thin)) if t.name == "Brain mask")

    assert "2.1 × 2.1 × 0.02 mm" in tile.detail


def replace_grid(findings, grid):
    signal = replace(findings.signal, grid=grid)
    brain, *regions = (replace(m, grid=grid) for m in findings.masks)
    return replace(findings, signal=signal, curves_of=signal, brain=brain, regions=tuple(regions))


def test_findings_that_do_not_belong_together_are_refused(dsc):
    with pytest.raises(GeometryError, match="2 regions have 3"):
        replace(dsc, curves=dsc.curves[:2])
    with pytest.raises(TimingError, match="60 frames"):
        replace(dsc, curves=(*dsc.curves[:2], ("short", np.ones(59))))
    with pytest.raises(GeometryError, match="anatomy"):
        replace(dsc, anatomy=dsc.anatomy[1:])

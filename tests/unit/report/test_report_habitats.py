"""The page of one patient's habitats as a reader and a browser see it."""

from dataclasses import replace

import numpy as np
import pytest
from habitats_example import example_model, patient_findings, without_score
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import LabelMap, Mask, SessionKey
from bolus.habitats import HabitatChange, Interval
from bolus.report.figures_habitats import timelines
from bolus.report.figures_habitats_change import chain, model_plane, transition_diagram
from bolus.report.habitats_patient import (
    change_tables,
    patient_tiles,
    render_habitat_patient,
    site_rows,
    transition_matrix,
    volume_table,
)


@pytest.fixture(scope="module")
def findings():
    return patient_findings(visits=3, patient=0, shape=(40, 40, 10))


@pytest.fixture(scope="module")
def text(findings):
    return render_habitat_patient(findings)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def tile(findings, name):
    return next(t for t in patient_tiles(findings) if t.name == name)


def changed(findings, *, value, noise):
    first, second = findings.track.visits[:2]
    change = HabitatChange(
        before=first.key, after=second.key, days=60, habitat="hypovascular",
        change_ml=Interval(value, value - 0.5, value + 0.5), noise_ml=noise,
    )  # fmt: skip
    return replace(findings, track=replace(findings.track, changes=(change,)))


def test_the_research_sentence_stands_on_top_in_the_footer_and_on_every_printed_page(page):
    assert page.words.count(RESEARCH_USE) == 3


def test_elements_are_closed_and_nothing_is_loaded_from_anywhere(text, page):
    assert page.open == []
    loads_nothing(text, page)


def test_the_same_findings_give_the_same_bytes(findings, text):
    assert render_habitat_patient(findings) == text


def test_no_disease_state_and_no_response_category_is_named(page):
    words = page.words.lower()
    assert not [w for w in ("rano", "responder", "progressive disease", "diagnosis:") if w in words]


def test_text_from_outside_is_shown_as_text(findings):
    hostile = replace(
        findings,
        label=HOSTILE,
        warnings=(HOSTILE,),
        track=replace(findings.track, missing=((SessionKey("07", "04"), HOSTILE),)),
    )
    page = Page(render_habitat_patient(hostile))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "49" not in page.words.split(HOSTILE)[0]
    assert page.words.count('alert("1")') >= 3


def test_a_change_inside_its_noise_says_so_and_one_beyond_says_so(findings):
    inside = change_tables(changed(findings, value=1.0, noise=1.2))[0].rows[0]
    beyond = change_tables(changed(findings, value=-1.3, noise=1.2))[0].rows[0]
    assert (inside.words, inside.beyond) == ("inside measurement noise", False)
    assert (beyond.words, beyond.beyond) == ("beyond measurement noise", True)
    assert beyond.change == "−1.3"


def test_marks_of_a_change_lie_on_the_axis_where_its_ticks_say(findings):
    table = change_tables(changed(findings, value=3.0, noise=1.0))[0]
    places = {text: place for place, text in table.ticks}
    row = table.rows[0]
    assert row.marks[1] == pytest.approx(places["3"])
    assert row.noise == pytest.approx((places["−1"], places["1"]))


def test_a_patient_without_changes_gets_a_page_that_says_so(findings):
    track = replace(findings.track, changes=(), transitions=(), sites=())
    page = Page(render_habitat_patient(replace(without_score(findings), track=track)))
    assert "There are no two visits to compare." in page.words
    assert "No score" in page.words
    assert "Not computed" in page.words


def test_missing_visits_are_named_with_their_reason(page):
    assert "sub-07_ses-04" in page.words
    assert "the visit has no ADC map" in page.words


def test_a_simulated_model_is_marked_on_top_and_a_real_one_is_not(findings, page):
    assert "Habitats learnt on simulated patients." in page.words
    assert tile(findings, "Model").look
    real = replace(findings, model=example_model(simulated=False))
    assert "Habitats learnt on simulated" not in Page(render_habitat_patient(real)).words
    assert not tile(real, "Model").look


def test_registration_worse_than_a_voxel_asks_for_a_look(findings):
    side = min(findings.visits[0].labels.grid.voxel_sizes_mm)
    rows = findings.registration
    poor = replace(findings, registration=(rows[0], replace(rows[1], error_p95_mm=side + 0.1)))
    assert not tile(findings, "Registration").look
    assert tile(poor, "Registration").look


def test_lesion_without_values_and_voxels_unlike_the_model_ask_for_a_look(findings):
    assert not tile(findings, "Voxels").look
    odd = replace(findings.visits[0], unusual_percent=25.0)
    assert tile(replace(findings, visits=(odd, *findings.visits[1:])), "Voxels").look


def test_volumes_of_all_visits_stand_in_the_table_with_their_intervals(findings):
    table = volume_table(findings.track, "volumes")
    assert [head for head, _ in table.heads[1:]] == ["01", "02", "03"]
    found = findings.track.visits[1].volumes_ml["hypovascular"]
    row = next(r for r in table.rows if r[0][0] == "hypovascular")
    assert row[2] == (f"{found.value:.1f}", f"{found.lower:.1f} to {found.upper:.1f}")


def test_the_transition_matrix_sums_to_the_volumes_of_both_visits(findings):
    step = findings.track.transitions[0]
    matrix = transition_matrix(findings, step)
    before, after = findings.track.visits[:2]
    totals = {name: total for name, _, total in matrix["rows"]}
    for place, name in enumerate(findings.track.names):
        assert totals[name] == f"{before.volumes_ml[name].value:.1f}"
        assert matrix["sums"][place] == f"{after.volumes_ml[name].value:.1f}"
    assert matrix["rows"][-1][1][-1][0] == "–"


def test_the_diagram_goes_from_visit_to_visit_and_leaves_out_the_sum(findings):
    steps = chain(findings)
    assert [(s.before.session, s.after.session) for s in steps] == [("01", "02"), ("02", "03")]
    none = replace(findings, track=replace(findings.track, transitions=()))
    assert transition_diagram(none) is None


def test_p_values_of_sites_are_corrected_for_their_number(findings):
    rows = {row["habitat"]: row for row in site_rows(findings.track, findings)}
    assert rows["hypovascular"]["p"] == "0.004"
    assert rows["hypovascular"]["holm"] == "0.008"
    assert rows["hypovascular"]["above"]
    assert not rows["hypervascular"]["above"]


def test_a_site_that_is_sure_alone_may_not_be_after_correction(findings):
    sites = tuple(replace(site, p_value=0.03) for site in findings.track.sites)
    track = replace(findings.track, sites=sites)
    assert not any(row["above"] for row in site_rows(track, findings))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_visits_is_drawn(findings, count):
    visits = (findings.visits * 2)[:count]
    pictures = timelines(replace(findings, visits=visits))
    assert 1 <= len(pictures) <= 3
    assert all(picture.width <= 1160 for picture in pictures)


def test_a_visit_without_a_map_is_drawn_without_it(findings):
    poor = replace(findings.visits[1], maps={"ncbv": findings.visits[1].maps["ncbv"]})
    visits = (findings.visits[0], poor, findings.visits[2])
    assert timelines(replace(findings, visits=visits))


def test_an_empty_lesion_is_no_crash(findings):
    empty = []
    for visit in findings.visits:
        grid = visit.labels.grid
        nothing = np.zeros(grid.shape, bool)
        empty.append(
            replace(
                visit,
                lesion=Mask(values=nothing, grid=grid, name="lesion"),
                labels=LabelMap(values=nothing.astype(np.uint8), grid=grid, names={}),
            )
        )
    assert "Visits side by side" in render_habitat_patient(replace(findings, visits=tuple(empty)))


def test_a_model_without_blood_volume_has_no_plane():
    model = example_model()
    assert model_plane(model) is not None
    assert model_plane(replace(model, features=("ktrans", "adc"))) is None

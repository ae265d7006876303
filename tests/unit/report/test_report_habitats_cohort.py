"""The page of a cohort's habitats as a reader and a browser see it."""

from dataclasses import replace

import numpy as np
import pytest
from cohort_example import cohort_findings
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.habitats import Interval
from bolus.habitats.analyses import PermutedControl
from bolus.habitats.cohort_table import HabitatCohort
from bolus.report.figures_habitats_cohort import ForestRow, forest_plot
from bolus.report.habitats_cohort import (
    class_table,
    cohort_tiles,
    hazard_table,
    left_out_rows,
    render_habitat_cohort,
)
from bolus.report.habitats_patients_table import patients_table
from bolus.report.pictures_habitats import forest_rows


@pytest.fixture(scope="module")
def findings():
    return cohort_findings()


@pytest.fixture(scope="module")
def text(findings):
    return render_habitat_cohort(findings)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def tile(findings, name):
    return next(t for t in cohort_tiles(findings) if t.name == name)


def cells(table, name):
    return next(row for row in table.rows if row[0][0] == name)


def test_the_research_sentence_stands_on_top_in_the_footer_and_on_every_printed_page(page):
    assert page.words.count(RESEARCH_USE) == 3


def test_elements_are_closed_and_nothing_is_loaded_from_anywhere(text, page):
    assert page.open == []
    loads_nothing(text, page)


def test_the_same_findings_give_the_same_bytes(findings, text):
    assert render_habitat_cohort(findings) == text


def test_text_from_outside_is_shown_as_text(findings):
    page = Page(
        render_habitat_cohort(
            replace(findings, label=HOSTILE, warnings=(HOSTILE,), not_done=((HOSTILE, HOSTILE),))
        )
    )
    assert "script" not in {tag for tag, _ in page.tags}


def test_patients_are_counted_part_by_part(findings):
    table = patients_table(findings.cohort, findings.split)
    assert [note for _, note in table.heads] == ["", "n = 40", "n = 18", "n = 6", "n = 16"]
    recurrence = [int(text) for text, _ in cells(table, "recurrence")[1:]]
    assert recurrence[0] == sum(recurrence[1:]) == 14


def test_a_clinical_number_that_some_lack_counts_the_known_alone(findings):
    rows = tuple(
        replace(row, clinical={} if n < 30 else {"mgmt_methylated": float(n % 2)})
        for n, row in enumerate(findings.cohort.rows)
    )
    table = patients_table(HabitatCohort(rows), findings.split)
    assert cells(table, "MGMT promoter methylated")[1][0] == "5 of 10 (50 %)"


def test_an_empty_part_is_a_dash(findings):
    split = replace(findings.split, validation=frozenset())
    assert {row[3][0] for row in patients_table(findings.cohort, split).rows} == {"–"}


def test_n_per_class_counts_events_and_the_others(findings):
    table = class_table(findings)
    assert [text for text, _ in cells(table, "progression")[1:]] == ["12", "4", "11", "27"]
    assert [text for text, _ in cells(table, "censored")[1:]] == ["6", "2", "5", "13"]
    assert [text for text, _ in cells(table, "treatment effect")[1:]] == ["6", "2", "6", "14"]


def test_p_values_of_hazards_are_corrected_within_their_column(findings):
    table = hazard_table(findings.survival)
    adjusted = {row[0][0]: row[3] for row in table.rows}
    alone = {row[0][0]: row[5] for row in table.rows}
    # four adjusted tests: 0.00002, 0.001, 0.03, 0.2; two alone: 0.0005, 0.015
    assert adjusted["hypervascular"] == ("0.001", "Holm 0.003")
    assert adjusted["hypovascular"] == ("0.030", "Holm 0.060")
    assert adjusted["age [years]"] == ("0.20", "Holm 0.20")
    assert alone["hypovascular"] == ("0.015", "Holm 0.015")
    assert alone["age [years]"] == ("–", "")


def test_delong_p_values_are_corrected_for_all_comparisons(page):
    # 0.03, 0.01, 0.02 of three tests
    assert "0.0300.040" in "".join(page.words.split())
    assert "0.0100.030" in "".join(page.words.split())


def test_a_median_that_was_not_reached_is_called_so(page):
    assert "not reached" in page.words


def test_the_control_is_judged_by_both_of_its_limits(findings):
    assert not tile(findings, "Control").look
    for centre, false_positives in ((0.57, 0.05), (0.5, 0.09)):
        control = PermutedControl(
            runs=100, centre=centre, spread=0.1, false_positives=false_positives
        )
        poor = replace(findings, recurrence=replace(findings.recurrence, permuted=control))
        assert tile(poor, "Control").look


def test_a_control_that_was_not_run_asks_for_a_look(findings):
    none = PermutedControl(runs=0, centre=np.nan, spread=np.nan, false_positives=np.nan)
    without = replace(
        findings,
        survival=replace(findings.survival, permuted=None),
        recurrence=replace(findings.recurrence, permuted=none),
    )
    assert tile(without, "Control").look
    assert "Not run." in Page(render_habitat_cohort(without)).words


@pytest.mark.parametrize("gone", ["survival", "recurrence"])
def test_an_analysis_that_was_not_done_is_said_with_its_reason(findings, gone):
    page = Page(
        render_habitat_cohort(
            replace(findings, **{gone: None}, not_done=((gone, "3 events, at least 10 needed"),))
        )
    )
    assert f"Not analysed: {gone}. 3 events, at least 10 needed." in page.words
    assert page.open == []


def test_few_events_in_the_test_part_ask_for_a_look(findings):
    assert tile(findings, "Events").look
    assert tile(replace(findings, recurrence=None), "Events").look is False


def test_whom_the_cohort_left_out_is_listed_once(findings):
    rows = left_out_rows(findings)
    assert ("all", "one visit only", "2: p90, p91") in rows
    assert [row for row in rows if row[0] == "survival"] == [
        ("survival", "progression came before the second visit", "1: p03")
    ]


def test_a_forest_has_a_row_for_every_hazard_and_bears_what_is_not_finite(findings):
    rows = forest_rows(findings.survival)
    assert [row.name for row in rows if row.ratio is None] == [
        "Habitats and clinic together", "Habitats alone", "Rule, adjusted for the clinic",
    ]  # fmt: skip
    assert sum(row.ratio is not None for row in rows) == 8
    wild = ForestRow(name="x", per="1", ratio=Interval(3.0, 0.0, np.inf))
    assert forest_plot((*rows, wild)) is not None
    assert forest_plot((ForestRow(name="x", ratio=Interval(1.0, np.nan, np.nan)),)) is None


def test_curves_that_are_not_known_are_no_crash(findings):
    poor = replace(findings.survival, strata=(), time_auc=(), rule_hazards=(), hazards=())
    assert Page(render_habitat_cohort(replace(findings, survival=poor))).open == []

"""Colour ranges: the same for every patient, unless they would hide the picture."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from findings_example import small_findings

from bolus.core import QUANTITIES, MapSet, ParameterMap, Provenance
from bolus.report import quality_figures
from bolus.report.figures_maps import SCALES, Scale, _ticks, scale_of
from bolus.report.wording import number, of_quantity, tick


@pytest.fixture(scope="module")
def findings():
    return small_findings()


def with_constant(findings, key, value):
    item = ParameterMap.from_voxels(
        np.full(findings.brain.count, value),
        quantity=QUANTITIES[key],
        mask=findings.brain,
        provenance=Provenance(),
    )
    return replace(findings, maps=MapSet({key: item}))


def test_a_usual_map_keeps_the_scale_of_every_report(findings):
    assert scale_of(findings, "ncbv") == SCALES["ncbv"]


def test_a_range_that_most_of_the_brain_exceeds_is_replaced_and_marked(findings):
    scale = scale_of(with_constant(findings, "cbf", 470.0), "cbf")

    assert scale.chosen
    assert scale.low == 0
    assert 470 <= scale.high <= 600


def test_leakage_is_shown_about_zero_and_reaches_the_tumour(findings):
    scale = scale_of(findings, "k2")
    tumour = findings.maps["k2"].inside(findings.tumour_mask)

    assert scale.low == -scale.high
    assert scale.high >= np.percentile(tumour, 95)


def test_a_map_of_one_value_has_a_range(findings):
    scale = scale_of(with_constant(findings, "ttp", 30.0), "ttp")

    assert scale.low < scale.high


@pytest.mark.parametrize("key", sorted(SCALES))
def test_every_scale_is_of_the_registry_and_has_round_ticks_to_its_ends(key):
    scale = SCALES[key]
    ticks = _ticks(scale)

    assert key in QUANTITIES
    assert ticks[0] == pytest.approx(scale.low)
    assert ticks[-1] == pytest.approx(scale.high)
    assert 4 <= len(ticks) <= 9


def test_a_scale_about_zero_shows_zero():
    ticks = _ticks(Scale(colours="berlin", low=-0.005, high=0.005))

    assert 0.0 in [round(t, 12) for t in ticks]
    assert [tick(t, 0.0025) for t in ticks] == ["−0.0050", "−0.0025", "0.0000", "0.0025", "0.0050"]


def test_numbers_have_a_true_minus_a_dash_for_nothing_and_no_negative_zero():
    assert [number(v, 1) for v in (-1.25, float("nan"), -0.01)] == ["−1.2", "–", "0.0"]
    assert [of_quantity(v, k) for v, k in ((46.26, "cbf"), (0.0129, "k2"))] == ["46.3", "0.0129"]


def test_what_was_measured_of_the_series_becomes_lines_counted_from_one():
    measured = SimpleNamespace(
        baseline_tsnr=55.0, drift_percent_per_min=0.4, outlier_frames=(30, 31), lost_percent=0.1,
        look_tsnr=False, look_drift=False, look_lost=False,
    )  # fmt: skip
    lines = {line.name: line for line in quality_figures(measured)}

    assert lines["frames that jump"].look
    assert lines["frames that jump"].detail == "frame 31, 32"
    assert not lines["drift"].look

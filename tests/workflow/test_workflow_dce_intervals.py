"""Intervals of networks in the main DCE job: maps, mask, table and words."""

import numpy as np
import pytest
from tiny_dce import TRUTH, write_exam

from bolus.core.quantities import INTERVAL_KEYS, QUANTITIES
from bolus.report import render_dce_report
from bolus.report.methods import SENTENCES
from bolus.report.references import REFERENCES
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce import quantify_dce
from bolus.workflows.dce_inputs import DcePaths, read_dce_scan


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    exam = write_exam(tmp_path_factory.mktemp("in"))
    settings = {"intervals": "network", "motion_correction": False, "aif_medium": "blood"}
    paths = DcePaths(
        series=exam.series, vfa=exam.vfa, tumour=exam.tumour, mask=exam.brain, aif=exam.artery
    )
    config = config_with(Config(), "dce", settings)
    return quantify_dce(read_dce_scan(paths, config), config, created="")


def test_every_quantity_has_its_four_maps(found):
    for keys in INTERVAL_KEYS.values():
        median, low, high, epistemic = (found.maps[key] for key in keys)
        known = np.isfinite(median.values)
        assert (low.values[known] <= high.values[known]).all()
        assert (epistemic.values[known] >= 0).all()
        assert median.std is not None
        assert low.std is None
        assert {m.quantity.unit for m in (low, high)} == {median.quantity.unit}


def test_interval_of_the_tumour_is_near_its_truth(found):
    inside = found.tumour.foreground.values
    for key, truth in zip(("ktrans", "ve", "vp"), TRUTH["tumour"], strict=True):
        found_value = np.nanmedian(found.maps[f"{key}median"].values[inside])
        assert abs(found_value / truth - 1) < 0.3, key


def test_a_scan_that_is_shorter_than_those_of_the_training_is_told(found):
    assert any("duration_s is 236" in warning for warning in found.warnings)


def test_ve_has_no_interval_where_nothing_leaks(found):
    leaks = np.nan_to_num(found.maps["ktranslow"].values) > 0
    assert not np.isfinite(found.maps["vemedian"].values[~leaks]).any()
    assert np.isfinite(found.maps["vemedian"].values[leaks & found.brain.values]).any()


def test_regions_are_of_the_fit_and_the_table_has_both(found):
    said = {key for keys in INTERVAL_KEYS.values() for key in keys}
    assert not said & {row.key for row in found.regions}
    rows = {(row.key, row.region): row for row in found.network.rows}
    tumour = rows["ktrans", "whole tumour"]
    assert tumour.low < tumour.network < tumour.high
    assert 0 <= tumour.inside <= 1
    assert found.network.share_unlike == found.network.unlike.values[found.brain.values].mean()


def test_report_and_methods_say_that_networks_were_used(found):
    page = render_dce_report(found)
    assert "With calibrated intervals" in page
    assert "not a wrong T1" in page
    step = next(s for s in found.provenance.steps if s.function == "nets.kinetic_posterior")
    assert "kinetic_posterior" in SENTENCES
    assert step.source in REFERENCES


def test_intervals_have_the_units_of_what_they_are_of():
    for key, keys in INTERVAL_KEYS.items():
        assert {QUANTITIES[k].unit for k in keys} == {QUANTITIES[key].unit}

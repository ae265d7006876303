"""The cohort that networks train on beside published habitats: what agrees must stay so."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import curve_cohort

from bolus.simulate import simulate_curve_cohort

pytestmark = [pytest.mark.slow, pytest.mark.reference]


@pytest.fixture(scope="module")
def measured(reference_data):
    folder = reference_data / "data"
    if not (folder / "dsc_reference_curves").is_dir():
        pytest.skip("dsc_reference_curves absent: see docs/how-to/reference_data.md")
    codes, ratios = curve_cohort.published(folder)
    cohort = simulate_curve_cohort(120, seed=7, scanners=[curve_cohort.published_scanner()])
    return curve_cohort.by_group(cohort, codes), codes, ratios


def test_the_deepest_twentieth_of_voxels_falls_as_far_as_published_codes(measured):
    found, codes, ratios = measured
    for group in curve_cohort.GROUPS:
        drop = np.concatenate([row[1] for row in found[group]])
        theirs = curve_cohort.published_quantiles(codes, ratios[group])[-1]
        assert np.quantile(drop, 0.95) == pytest.approx(theirs, abs=0.08)


def test_the_dark_codes_are_commoner_in_the_wildtype_as_published(measured):
    found, _codes, ratios = measured
    dark = {g: np.median([row[0][:2].sum() for row in found[g]]) for g in curve_cohort.GROUPS}
    theirs = {g: ratios[g][:2, 1].sum() for g in curve_cohort.GROUPS}
    assert theirs["wildtype"] > 2 * theirs["mutant"]
    assert dark["wildtype"] > 2 * dark["mutant"]

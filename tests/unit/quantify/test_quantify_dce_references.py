"""Slow uncertainty of DCE fits: held against each other, the own of the fit, and the truth."""

import numpy as np
import pytest

from bolus.core import stream
from bolus.errors import MetadataError
from bolus.metrics.coverage import interval_coverage
from bolus.quantify.dce_bootstrap import bootstrap_fit
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_models import ExtendedTofts
from bolus.quantify.dce_posterior import sample_posterior
from bolus.quantify.population_aif import parker_aif

SECONDS = 4.0 * np.arange(60)
AIF = parker_aif(SECONDS, arrival_s=20.0) / 0.55
MODEL = ExtendedTofts(kep_range_per_min=(0.0, 5.0))
NOISE_MM = 0.03
BOUNDS = {"ktrans": (0.0, 1.0), "ve": (1.0, 100.0), "vp": (0.0, 30.0)}


def exam(voxels, *, seed):
    """Curves of a leaking tumour and the truth; noise of a good scan."""
    random = stream(seed, "references")
    truth = {
        "ktrans": random.uniform(0.05, 0.25, voxels),
        "ve": random.uniform(15, 45, voxels),
        "vp": random.uniform(1, 6, voxels),
    }
    curves = dce_curves("extended_tofts", truth, AIF, seconds=SECONDS)
    return truth, curves + random.normal(0, NOISE_MM, curves.shape)


@pytest.fixture(scope="module")
def repeated():
    truth, curves = exam(150, seed=1)
    random = stream(2, "bootstrap")
    return truth, bootstrap_fit(
        "extended_tofts", MODEL, curves, AIF, seconds=SECONDS, random=random, repeats=80
    )


def test_the_spread_of_repeats_is_the_standard_error_of_the_fit(repeated):
    _, found = repeated
    for place, name in enumerate(found.fit.names):
        ratio = found.std[:, place] / found.fit.std(name)
        assert np.nanmedian(ratio) == pytest.approx(1, abs=0.1)


def test_intervals_hold_the_truth_as_often_as_they_claim(repeated):
    truth, found = repeated
    for place, name in enumerate(found.fit.names):
        row = interval_coverage(truth[name], found.low[:, place], found.high[:, place], level=0.9)
        assert row.low95 < 0.9 < row.high95 + 0.03


def test_a_curve_without_an_answer_has_no_interval():
    _, curves = exam(3, seed=3)
    curves[1] = np.nan
    random = stream(2, "bootstrap")
    found = bootstrap_fit(
        "extended_tofts", MODEL, curves, AIF, seconds=SECONDS, random=random, repeats=20
    )

    assert np.isnan(found.std[1]).all()
    assert np.isfinite(found.std[[0, 2]]).all()


def test_the_posterior_agrees_with_the_fit_where_noise_is_small():
    truth, curves = exam(4, seed=5)
    fit = MODEL(curves, AIF, seconds=SECONDS)
    found = sample_posterior(
        "extended_tofts", BOUNDS, curves, AIF, seconds=SECONDS, seed=1, steps=600
    )

    assert (found.acceptance > 0.2).all()
    for name in found.names:
        np.testing.assert_allclose(found.mean(name), fit[name], atol=0.5 * fit.std(name).max())
        assert np.median(found.std(name) / fit.std(name)) == pytest.approx(1, abs=0.2)
        low, high = found.interval(name, 0.999)
        assert ((low < truth[name]) & (truth[name] < high)).all()


def test_the_same_seed_gives_the_same_samples():
    _, curves = exam(1, seed=5)
    once, again = (
        sample_posterior("extended_tofts", BOUNDS, curves, AIF, seconds=SECONDS, seed=7, steps=100)
        for _ in range(2)
    )

    np.testing.assert_array_equal(once.samples, again.samples)


def test_too_few_repeats_steps_and_empty_ranges_are_refused():
    _, curves = exam(1, seed=5)
    with pytest.raises(MetadataError, match="19 repeats"):
        bootstrap_fit("extended_tofts", MODEL, curves, AIF, seconds=SECONDS,
                      random=stream(1, "x"), repeats=19)  # fmt: skip
    with pytest.raises(MetadataError, match="99 steps"):
        sample_posterior("extended_tofts", BOUNDS, curves, AIF, seconds=SECONDS, seed=1, steps=99)
    empty = BOUNDS | {"vp": (3.0, 3.0)}
    with pytest.raises(MetadataError, match="vp"):
        sample_posterior("extended_tofts", empty, curves, AIF, seconds=SECONDS, seed=1)

"""Plain groups of curves under the contract of codes, and how far codings agree."""

from dataclasses import replace

import numpy as np
import pytest

from bolus.errors import QuantityError
from bolus.habitats.code_stability import code_stability, compare_codings
from bolus.habitats.curve_clusters import (
    component_groups,
    latent_groups,
    mean_groups,
    median_groups,
    network_codes,
)
from bolus.habitats.perfusion_ratio import perfusion_ratio, ratio_table, regional_ratios
from bolus.nets.autoencoder import RECIPE, fit_autoencoder
from bolus.nets.curve_codes import gather_curves
from bolus.nets.physical_axis import ExamCurves
from tests.unit.nets.code_example import depth_curves
from tests.unit.nets.test_nets_curve_codes import fitted

EXAMS = [depth_curves(500, seed=n)[0] for n in (1, 2)]


def autoencoder_groups(exams, groups, *, seed):
    recipe = replace(RECIPE, epochs=40, batch_size=256, seed=seed)
    network = fit_autoencoder(gather_curves(exams), gather_curves(exams[:1]), recipe=recipe)
    return latent_groups(exams, groups, seed=seed, network=network)


@pytest.mark.parametrize("fit", [mean_groups, median_groups, component_groups, autoencoder_groups])
def test_every_way_gives_codes_by_drop_for_any_protocol(fit):
    groups = fit(EXAMS, 8, seed=1)
    exam, number = depth_curves(200, seed=9)
    found = groups(exam)
    assert (found.codes == number).mean() > 0.9
    assert found.distance.max() < 0.05
    other, number = depth_curves(200, seed=9, interval_s=2.0, frames=45, arrival_s=12.0)
    assert np.abs(groups(other).codes.astype(int) - number).mean() < 0.2
    assert (np.diff(groups.curves.min(axis=1)) > 0).all()


def test_a_curve_without_signal_belongs_to_no_group():
    exam, _ = depth_curves(20, seed=9)
    signal = np.array(exam.signal)
    signal[3] = 0
    found = mean_groups(EXAMS, 4, seed=1)(ExamCurves(signal=signal, interval_s=1.5, arrival_s=18.0))
    assert np.flatnonzero(found.codes == 0).tolist() == [3]
    assert np.isnan(found.distance[3])


def test_the_same_codes_agree_fully_and_random_ones_not():
    random = np.random.default_rng(1)
    one = [random.integers(1, 9, 300) for _ in range(12)]
    other = [random.integers(1, 9, 300) for _ in range(12)]
    same = compare_codings([one, one], count=8, method="m", change="none")
    assert (same.ari, same.ratio_icc, same.exams, same.curves) == (1.0, 1.0, 12, 3600)
    none = compare_codings([one, other], count=8, method="m", change="all")
    assert abs(none.ari) < 0.02
    assert none.ratio_icc < 0.7


def test_stability_has_a_row_for_seeds_and_one_for_each_change():
    exams = [depth_curves(80 + 20 * n, seed=n)[0] for n in range(3)]
    changed = [depth_curves(80 + 20 * n, seed=n, interval_s=2.0, frames=45)[0] for n in range(3)]
    coders = [network_codes(fitted(seed)) for seed in (1, 2)]
    rows = code_stability(coders, {"plain": exams, "2 s": changed}, count=8, method="VQ-VAE")
    assert [row.change for row in rows] == ["2 seeds, plain", "2 s"]
    assert rows[0].ari > 0.95
    assert rows[1].ari > 0.9


def test_codings_of_other_voxels_are_refused():
    with pytest.raises(QuantityError):
        compare_codings([[np.ones(3)], [np.ones(4)]], count=8, method="m", change="x")
    with pytest.raises(QuantityError):
        compare_codings([[np.ones(3)]], count=8, method="m", change="x")


def test_ratios_add_up_and_leave_out_curves_without_code():
    codes = np.array([0, 1, 1, 2, 8], np.uint8)
    assert perfusion_ratio(codes, count=8).tolist() == [50, 25, 0, 0, 0, 0, 0, 25]
    assert np.isnan(perfusion_ratio(np.zeros(3, int), count=8)).all()
    regions = {"enhancing": np.array([1, 1, 1, 0, 0], bool)}
    found = regional_ratios(codes, regions, count=8)
    assert found["enhancing"][0] == 100
    assert found["whole"].sum() == 100
    assert ratio_table([codes, codes], count=8).shape == (2, 8)
    with pytest.raises(QuantityError):
        perfusion_ratio(codes, count=4)

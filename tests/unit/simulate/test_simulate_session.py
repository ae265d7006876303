"""One visit: what the scanner does to the images, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from bolus.simulate.course import plan_visits
from bolus.simulate.fleet import draw_scanners
from bolus.simulate.profile import draw_profile
from bolus.simulate.session import session_settings, simulate_session, structural_grid

pytestmark = pytest.mark.slow

PROFILE = draw_profile(1, 3)
VISIT = plan_visits(PROFILE, visits=1, post_treatment=True)[0]
SCANNER = draw_scanners(1, seed=1, shape=(32, 32, 6))[0]


def session(*, scan=0, **changes):
    scanner = replace(SCANNER, **changes)
    return simulate_session(PROFILE, VISIT, scanner, scan=scan, dce=False)


@pytest.fixture(scope="module")
def plain():
    return session(distortion_mm=0.0)


def test_gain_multiplies_every_image_and_no_truth(plain):
    double = session(distortion_mm=0.0, gain=2.0)

    # whole numbers: at most half a unit of each
    for one, two in (
        (plain.dsc.signal.values, double.dsc.signal.values),
        (plain.diffusion.b0, double.diffusion.b0),
        (plain.structural["FLAIR"], double.structural["FLAIR"]),
    ):
        np.testing.assert_allclose(two, 2 * one, atol=1.01)
    np.testing.assert_array_equal(plain.dsc.truth["cbv"].values, double.dsc.truth["cbv"].values)


def test_images_are_whole_numbers_that_sixteen_bits_hold(plain):
    for image in (plain.dsc.signal.values, plain.diffusion.b1000, *plain.structural.values()):
        np.testing.assert_array_equal(image, np.rint(image))
        assert image.min() >= 0
        assert 100 < image.max() < 32767


def test_distortion_changes_echo_planar_images_only(plain):
    moved = session(distortion_mm=6.0)

    def change(one, two):
        return np.abs(one - two).max() / one.max()

    assert change(plain.dsc.signal.values, moved.dsc.signal.values) > 0.05
    assert change(plain.diffusion.b0, moved.diffusion.b0) > 0.05
    for name, image in plain.structural.items():
        np.testing.assert_array_equal(image, moved.structural[name])
    np.testing.assert_array_equal(plain.dsc.tumour.values, moved.dsc.tumour.values)


def test_distortion_leaves_the_noise_as_strong_as_it_was(plain):
    moved = session(distortion_mm=0.01)  # the same code path as of a large one
    difference = plain.dsc.signal.values - moved.dsc.signal.values
    brain = plain.dsc.brain.values

    # the same noise but for its scale, which is taken after coil and drift here
    assert np.abs(difference[brain]).mean() < 0.1 * plain.dsc.signal.values[brain].std(-1).mean()


def test_a_repeated_scan_has_another_position_and_the_same_patient():
    one = session_settings(PROFILE, VISIT, SCANNER, scan=0)
    two = session_settings(PROFILE, VISIT, SCANNER, scan=1)

    assert one.glioma == two.glioma
    assert one.seed == two.seed
    assert one.scan_seed != two.scan_seed
    assert one.head_pose.scale == two.head_pose.scale
    assert one.head_pose.shift_mm != two.head_pose.shift_mm


def test_positions_spread_as_stated():
    shifts, turns = [], []
    for number in range(400):
        visit = replace(VISIT, number=number)
        pose = session_settings(PROFILE, visit, SCANNER).head_pose
        shifts.append(pose.shift_mm)
        turns.append(pose.rotation_deg)

    # 400 draws know a standard deviation to 3.5 %
    np.testing.assert_allclose(np.std(shifts, axis=0), (1.5, 3.0, 3.0), rtol=0.12)
    np.testing.assert_allclose(np.std(turns, axis=0), (4.0, 1.5, 2.0), rtol=0.12)


def test_structural_images_cover_what_the_series_covers(plain):
    series, fine = plain.dsc.signal.grid, structural_grid(SCANNER)

    np.testing.assert_allclose(
        np.multiply(series.shape, series.voxel_sizes_mm),
        np.multiply(fine.shape, fine.voxel_sizes_mm),
    )
    assert fine.voxel_sizes_mm[2] <= 7.5
    centres = [grid.centres_mm((np.array(grid.shape)[None] - 1) / 2)[0] for grid in (series, fine)]
    np.testing.assert_allclose(*centres, atol=1e-6)

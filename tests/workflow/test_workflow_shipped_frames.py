import numpy as np
import pytest

from bolus.io.weights import shipped_weights
from bolus.nets.frame_enhance import enhance_frames
from bolus.workflows.shipped_frames import frame_examples, frame_tests, noisy_scan, score_frames

pytestmark = pytest.mark.slow


def test_truth_scores_as_truth_and_the_shipped_network_is_nearer_to_it_than_noise():
    (test,) = frame_tests(1, seed=3)
    same = score_frames(test, test.truth)
    assert same.map_psnr == float("inf")
    assert (same.aif_peak, same.map_bias, same.lost, same.invented) == (0.0, 0.0, 0, 0)
    assert test.lesions.max() == 6
    noisy = noisy_scan(test, 30.0)
    found = enhance_frames(noisy, test.brain, shipped_weights("frame-enhancer"))
    before, after = (score_frames(test, series) for series in (noisy, found.series))
    assert after.frames_psnr > before.frames_psnr + 10
    assert after.map_psnr > before.map_psnr + 5
    assert after.lost == after.invented == 0


def test_examples_depend_on_their_seed_and_have_noise_of_their_own():
    (one,), (again,), (other,) = (frame_examples(1, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(one.noisy.values, again.noisy.values)
    assert not np.array_equal(one.noisy.values[:8], other.noisy.values[:8])
    off = (one.noisy.values - one.truth.values)[one.mask.values]
    assert off.std() > 0
    assert abs(off.mean()) < 0.2 * off.std()

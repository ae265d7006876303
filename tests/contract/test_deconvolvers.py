"""What every deconvolver keeps, whatever its regularisation."""

import numpy as np
import pytest

from bolus.core import FitStatus
from bolus.errors import InputError, TimingError
from bolus.quantify.convolution import convolve_exponential, convolve_residue
from bolus.quantify.deconvolution import DECONVOLVERS, Deconvolver, flow

STEP_S = 1.5
SECONDS = STEP_S * np.arange(60)


def _pulse(start, scale):
    t = np.maximum(SECONDS - start, 0)
    return t**3 * np.exp(-t / scale)


AIF = _pulse(12, 1.5) + 0.1 * _pulse(24, 2.0)
CIRCULAR = [name for name in DECONVOLVERS if name != "ssvd"]


def tissue(flow_per_s, mtt_s=5.0):
    """A tissue of exponential residue, convolved exactly."""
    curve = convolve_exponential(AIF, seconds=SECONDS, rates_per_s=np.array([1 / mtt_s]))
    return flow_per_s * curve


@pytest.fixture(params=DECONVOLVERS)
def method(request):
    return DECONVOLVERS[request.param]()


@pytest.fixture(params=CIRCULAR)
def circular(request):
    return DECONVOLVERS[request.param]()


@pytest.fixture(scope="module")
def noisy():
    rng = np.random.default_rng(3)
    clean = np.concatenate([tissue(0.01, mtt) for mtt in (3.0, 5.0, 9.0)])
    curves = np.repeat(clean, 40, axis=0)
    return curves + rng.normal(0, 0.01 * clean.max(), curves.shape)


def run(curves, method, **given):
    return flow(curves, AIF, step_s=STEP_S, method=method, **given)


def test_it_is_a_deconvolver(method):
    assert isinstance(method, Deconvolver)


def test_it_recovers_the_flow_of_a_known_curve(method):
    value = method(tissue(0.01, mtt_s=8.0), AIF, step_s=STEP_S).flow_per_s[0]

    assert value == pytest.approx(0.01, rel=0.35)  # truncation costs flow: docs/science/cbf.md


def test_flow_is_that_of_the_residues(method, noisy):
    residues = method(noisy, AIF, step_s=STEP_S)
    value, delay, _, _ = run(noisy, method)

    assert value == pytest.approx(residues.flow_per_s, rel=1e-4)  # float32 against float64
    assert delay == pytest.approx(residues.delay_s, abs=0.02)


def test_lags_increase_by_one_frame(method):
    lags = method(tissue(0.01), AIF, step_s=STEP_S).lags_s

    assert np.diff(lags) == pytest.approx(STEP_S)
    assert 0.0 in lags


def test_flow_follows_the_scale_of_the_tissue(method):
    one, two = run(tissue(0.01), method)[0], run(2 * tissue(0.01), method)[0]

    assert two == pytest.approx(2 * one, rel=1e-5)


def test_a_common_scale_of_tissue_and_artery_cancels(method):
    one = flow(tissue(0.01), AIF, step_s=STEP_S, method=method)[0]
    both = flow(50 * tissue(0.01), 50 * AIF, step_s=STEP_S, method=method)[0]

    assert both == pytest.approx(one, rel=1e-5)


def test_the_same_samples_at_half_the_rate_are_half_the_flow(method):
    one = flow(tissue(0.01), AIF, step_s=STEP_S, method=method)[0]
    slow = flow(tissue(0.01), AIF, step_s=2 * STEP_S, method=method)[0]

    assert slow == pytest.approx(one / 2, rel=1e-5)


def test_permuting_voxels_permutes_results(method, noisy):
    order = np.random.default_rng(0).permutation(len(noisy))

    for before, after in zip(run(noisy, method), run(noisy[order], method), strict=True):
        assert after == pytest.approx(before[order], rel=1e-5)


def test_results_do_not_depend_on_the_voxels_beside(method, noisy):
    many = np.tile(noisy, (40, 1))  # more than one chunk

    assert run(many, method)[0][-120:] == pytest.approx(run(noisy, method)[0], rel=1e-4)


def test_the_same_curves_give_the_same_bytes(method, noisy):
    for first, second in zip(run(noisy, method), run(noisy, method), strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_sample_costs_one_voxel(method, noisy, bad):
    spoilt = noisy.copy()
    spoilt[7, 20] = bad

    value, delay, std, status = run(spoilt, method)

    assert status[7] == FitStatus.NOT_FINITE
    assert np.isnan([value[7], delay[7], std[7]]).all()
    others = np.arange(len(noisy)) != 7
    assert (status[others] == FitStatus.OK).all()
    assert value[others] == pytest.approx(run(noisy, method)[0][others], rel=1e-5)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_a_curve_that_does_not_vary_has_no_flow(method, level):
    value, _, _, status = run(np.full((1, 60), level), method)

    assert status[0] == FitStatus.NO_SIGNAL
    assert np.isnan(value[0])


def test_negative_samples_are_kept(method):
    """Lowering a curve by a constant lowers its estimate: nothing is clipped at zero."""
    lowered = tissue(0.01) - 0.2 * tissue(0.01).max()

    assert (lowered < 0).any()
    assert run(lowered, method)[0][0] != pytest.approx(
        run(np.maximum(lowered, 0), method)[0][0], rel=1e-3
    )


def test_inputs_are_left_as_they_were(method, noisy):
    curves, artery = noisy.copy(), AIF.copy()
    run(curves, method)

    assert np.array_equal(curves, noisy)
    assert np.array_equal(artery, AIF)


def test_single_precision_is_taken(method, noisy):
    assert run(noisy.astype(np.float32), method)[0] == pytest.approx(
        run(noisy, method)[0], rel=1e-3
    )


def test_no_voxels_give_no_results(method):
    assert [len(x) for x in run(np.empty((0, 60)), method)] == [0, 0, 0, 0]


def test_more_noise_means_a_larger_standard_error(method, noisy):
    small = run(noisy, method, noise_std=np.full(len(noisy), 0.1))[2]
    large = run(noisy, method, noise_std=np.full(len(noisy), 0.3))[2]

    assert large == pytest.approx(3 * small, rel=1e-6)
    assert (small > 0).all()


def test_the_noise_is_found_without_being_told(method, noisy):
    sigma = 0.01 * max(tissue(0.01, m).max() for m in (3.0, 5.0, 9.0))

    found, told = run(noisy, method)[2], run(noisy, method, noise_std=np.full(len(noisy), sigma))[2]

    assert np.mean(found / told) == pytest.approx(1.0, abs=0.1)


def test_wrong_input_is_refused(method):
    with pytest.raises(TimingError, match="sampling interval is 0 s"):
        flow(tissue(0.01), AIF, step_s=0.0, method=method)
    with pytest.raises(TimingError, match=r"\(1, 60\) where \(voxels, 59\)"):
        flow(tissue(0.01), AIF[:-1], step_s=STEP_S, method=method)
    with pytest.raises(TimingError, match=r"\(60,\) where"):
        method(tissue(0.01)[0], AIF, step_s=STEP_S)
    with pytest.raises(InputError, match="59 of 60 finite"):
        flow(tissue(0.01), np.where(SECONDS == 0, np.nan, AIF), step_s=STEP_S, method=method)
    with pytest.raises(InputError, match="maximum of 0"):
        flow(tissue(0.01), 0 * AIF, step_s=STEP_S, method=method)
    with pytest.raises(InputError, match="1 values that are not negative"):
        run(tissue(0.01), method, noise_std=np.array([-1.0]))


@pytest.mark.parametrize("shift", [-6, -1, 1, 3, 6])
def test_whole_frames_of_delay_move_the_delay_only(circular, shift):
    now = run(tissue(0.01), circular)
    moved = run(np.roll(tissue(0.01), shift, axis=1), circular)

    assert moved[0] == pytest.approx(now[0], rel=0.01)
    assert moved[1] - now[1] == pytest.approx(shift * STEP_S, abs=0.05)


@pytest.mark.parametrize("delay_s", [0.3, 0.75, 1.2, 2.6, 4.0])
def test_fractions_of_a_frame_of_delay_hardly_change_flow(circular, delay_s):
    lags = np.arange(0, 60, 0.05)
    late = [
        0.01
        * convolve_residue(
            AIF, seconds=SECONDS, residue=np.exp(-lags / 5), lag_step_s=0.05, delay_s=d
        )
        for d in (0.0, delay_s)
    ]

    value, delay, _, _ = run(np.array(late), circular)

    assert value[1] == pytest.approx(value[0], rel=0.04)  # Tikhonov 3.2 %, the others 1 %
    assert delay[1] - delay[0] == pytest.approx(delay_s, abs=0.15)

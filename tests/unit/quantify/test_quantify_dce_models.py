"""DCE models against quadrature on a fine grid, an independent package, and their own errors."""

import numpy as np
import pytest

from bolus.core import FitStatus, stream
from bolus.errors import MetadataError, QuantityError, TimingError
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_models import (
    DCE_MODELS,
    DceModel,
    ExtendedTofts,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    TwoCompartmentUptake,
)
from bolus.quantify.vascular_artery import artery_between_samples

SECONDS = np.arange(120) * 2.5
FINE = np.arange(0.0, 300.0, 0.1)
"""Times at which the artery is known, when its sampling is not the question."""

TRUTH = {
    "tofts": {"ktrans": 0.12, "ve": 25.0},
    "extended_tofts": {"ktrans": 0.12, "ve": 25.0, "vp": 4.0},
    "patlak": {"ktrans": 0.02, "vp": 4.0},
    "two_compartment_uptake": {"fp": 25.0, "ps": 2.0, "vp": 5.0},
    "two_compartment_exchange": {"fp": 25.0, "ps": 6.0, "ve": 20.0, "vp": 5.0},
}


def artery(t):
    """Plasma concentration [mM]: first pass, recirculation and washout, from 20 s on."""
    x = np.maximum(t - 20, 0)
    return 6 * (x / 6) ** 2 * np.exp(2 - x / 3) + 1.4 * (1 - np.exp(-x / 12)) * np.exp(-x / 500)


def residue(name, lag_s, p):
    """Impulse response [1/s] and share of plasma without delay, solved as differential equations.

    Two pools as a matrix exponential: nothing in common with the closed forms of the package.
    """
    if name in ("tofts", "extended_tofts"):
        rate = p["ktrans"] / 60
        return rate * np.exp(-rate / (p["ve"] / 100) * lag_s), p.get("vp", 0) / 100
    if name == "patlak":
        return np.full(lag_s.shape, p["ktrans"] / 60), p["vp"] / 100
    flow, leak, plasma = p["fp"] / 6000, p["ps"] / 6000, p["vp"] / 100
    back = leak / (p["ve"] / 100) if "ve" in p else 0.0
    system = np.array([[-(flow + leak) / plasma, back], [leak / plasma, -back]])
    values, vectors = np.linalg.eig(system)
    start = np.linalg.solve(vectors, [flow, 0.0])
    return (np.exp(np.outer(lag_s, values)) * (vectors.sum(axis=0) * start)).sum(axis=1), 0.0


def curve(name, p, *, delay=0.0, seconds=SECONDS, step=0.02):
    """Midpoint quadrature of artery and residue, independent of the package's convolution."""
    lag = np.arange(0, 320, step) + step / 2
    response, plasma = residue(name, lag, p)
    result = np.array([step * artery(s - delay - lag) @ response for s in seconds])
    return result + plasma * artery(seconds - delay)


def voxels(name, count, *, seed=0):
    """Parameters of many voxels over the range of tumours, and their curves."""
    draw = stream(seed, "dce test", name)
    p = {
        "ktrans": np.exp(draw.uniform(np.log(0.03), np.log(0.4), count)),
        "ve": draw.uniform(10, 50, count),
        "vp": draw.uniform(1.5, 8, count),
        "fp": draw.uniform(15, 60, count),
        "ps": draw.uniform(2, 12, count),
    }
    p = {key: p[key] for key in TRUTH[name]}
    return p, dce_curves(name, p, artery(SECONDS), seconds=SECONDS)


@pytest.mark.parametrize("name", DCE_MODELS)
def test_a_curve_from_fine_quadrature_gives_back_its_parameters(name):
    fit = DCE_MODELS[name]()(
        curve(name, TRUTH[name])[None], artery(FINE), seconds=SECONDS, arterial_seconds=FINE
    )

    assert fit.status[0] == FitStatus.OK
    for key, value in TRUTH[name].items():
        assert fit[key][0] == pytest.approx(value, rel=2e-3), key


@pytest.mark.parametrize("delay", [-4.3, 0.0, 6.2])
@pytest.mark.parametrize("name", DCE_MODELS)
def test_a_delay_of_either_sign_is_found(name, delay):
    fit = DCE_MODELS[name](delay_range_s=(-10.0, 10.0))(
        curve(name, TRUTH[name], delay=delay)[None],
        artery(FINE),
        seconds=SECONDS,
        arterial_seconds=FINE,
    )

    assert fit["delay"][0] == pytest.approx(delay, abs=0.05)
    for key, value in TRUTH[name].items():
        assert fit[key][0] == pytest.approx(value, rel=0.02), key


def test_a_delay_that_is_given_for_every_voxel_is_used_for_every_voxel():
    delays = np.array([-3.7, 0.0, 2.2, 5.0])
    tissue = np.array([curve("extended_tofts", TRUTH["extended_tofts"], delay=d) for d in delays])
    fit = ExtendedTofts()(
        tissue, artery(FINE), seconds=SECONDS, arterial_seconds=FINE, delay_s=delays
    )

    for key, value in TRUTH["extended_tofts"].items():
        np.testing.assert_allclose(fit[key], value, rtol=5e-3)


@pytest.mark.parametrize("name", DCE_MODELS)
def test_irregular_times_give_the_same_answer(name):
    seconds = np.r_[np.arange(0, 18, 4.0), np.arange(18, 60, 1.1), np.arange(60, 290, 7.3)]
    fit = DCE_MODELS[name]()(
        curve(name, TRUTH[name], seconds=seconds)[None],
        artery(FINE),
        seconds=seconds,
        arterial_seconds=FINE,
    )

    for key, value in TRUTH[name].items():
        assert fit[key][0] == pytest.approx(value, rel=2e-3), key


def test_plasma_volume_has_no_bias_at_three_seconds_whatever_the_phase_of_sampling():
    errors = []
    for offset in (0.0, 1.0, 2.0):
        seconds = np.arange(-offset, 290, 3.0)[1:]
        fit = ExtendedTofts()(
            curve("extended_tofts", TRUTH["extended_tofts"], seconds=seconds)[None],
            artery(seconds),
            seconds=seconds,
        )
        errors.append(100 * (fit["vp"][0] / 4.0 - 1))

    assert abs(np.mean(errors)) < 0.5  # per cent; design: targets


@pytest.mark.parametrize("name", DCE_MODELS)
def test_every_model_can_be_called_alike_and_fits_nothing_if_there_is_nothing(name):
    model = DCE_MODELS[name]()
    fit = model(np.empty((0, len(SECONDS))), artery(SECONDS), seconds=SECONDS)

    assert isinstance(model, DceModel)
    assert fit.values.shape == (0, len(TRUTH[name]))


# --- standard errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", DCE_MODELS)
def test_ninety_per_cent_intervals_cover_ninety_per_cent(name):
    truth, clean = voxels(name, 10_000)
    noise = 0.01 if len(truth) < 4 else 0.002  # where the model is linear within its errors
    fit = DCE_MODELS[name]()(
        clean + noise * stream(1, name).standard_normal(clean.shape), artery(SECONDS),
        seconds=SECONDS,
    )  # fmt: skip

    for key, value in truth.items():
        known = np.isfinite(fit.std(key))
        hit = np.abs(fit[key] - value)[known] < 1.6449 * fit.std(key)[known]
        assert known.mean() > 0.97, key
        assert 0.88 < hit.mean() < 0.92, key
    assert np.nanmean(fit.residual_std) == pytest.approx(noise, rel=0.005)


@pytest.mark.parametrize("name", ["extended_tofts", "two_compartment_exchange"])
def test_correlations_are_those_of_repeated_fits(name):
    clean = dce_curves(
        name, {k: np.array([v]) for k, v in TRUTH[name].items()}, artery(SECONDS), seconds=SECONDS
    )
    noisy = clean + 0.002 * stream(2, name).standard_normal((4000, len(SECONDS)))
    fit = DCE_MODELS[name]()(noisy, artery(SECONDS), seconds=SECONDS)
    seen = np.corrcoef(fit.values.T)

    for i, first in enumerate(fit.names):
        for j, second in enumerate(fit.names[:i]):
            median = np.median(fit.correlation(first, second))
            assert median == pytest.approx(seen[i, j], abs=0.05)


def test_median_errors_reach_the_target_at_two_per_cent_of_the_tissue_peak():
    truth, clean = voxels("extended_tofts", 4000)
    noise = 0.02 * clean.max(axis=1, keepdims=True)
    fit = ExtendedTofts()(
        clean + noise * stream(3, "noise").standard_normal(clean.shape), artery(SECONDS),
        seconds=SECONDS,
    )  # fmt: skip

    limits = {"ktrans": 2.5, "ve": 3.0, "vp": 2.0}  # design: targets
    for key, limit in limits.items():
        assert 100 * np.nanmedian(np.abs(fit[key] / truth[key] - 1)) < limit, key


# --- what has no answer --------------------------------------------------------------------------


def test_one_voxel_with_a_hole_costs_one_voxel():
    _, clean = voxels("extended_tofts", 20)
    alone = ExtendedTofts()(clean, artery(SECONDS), seconds=SECONDS)
    holed = clean.copy()
    holed[7, 30] = np.nan
    holed[8, 0] = np.inf
    fit = ExtendedTofts()(holed, artery(SECONDS), seconds=SECONDS)
    others = np.setdiff1d(np.arange(20), [7, 8])

    assert fit.status[[7, 8]].tolist() == [FitStatus.NOT_FINITE] * 2
    assert np.isnan(fit.values[[7, 8]]).all()
    np.testing.assert_allclose(fit.values[others], alone.values[others], rtol=1e-6)


def test_a_negative_curve_keeps_its_sign_in_patlak_and_is_at_the_bound_elsewhere():
    _, clean = voxels("patlak", 5)

    assert (Patlak()(-clean, artery(SECONDS), seconds=SECONDS)["ktrans"] < 0).all()
    for name in set(DCE_MODELS) - {"patlak"}:
        fit = DCE_MODELS[name]()(-clean, artery(SECONDS), seconds=SECONDS)
        assert (fit.status == FitStatus.AT_BOUND).all(), name
        assert np.isnan(fit.values).all(), name


def test_no_leakage_leaves_plasma_known_and_ve_unknown():
    draw = stream(4, "vessels")
    tissue = 0.04 * artery(SECONDS) + 0.002 * draw.standard_normal((500, len(SECONDS)))
    fit = ExtendedTofts()(tissue, artery(SECONDS), seconds=SECONDS)
    none = (fit["ktrans"] == 0) & (fit.status == FitStatus.OK)

    assert 0.1 < none.mean() < 0.9
    np.testing.assert_allclose(fit["vp"][none], 4.0, rtol=0.02)
    assert np.isnan(fit.std("ktrans")[none]).all()
    assert np.isnan(fit["ve"][none]).all()
    assert (fit.status_of("ve")[none] == FitStatus.AT_BOUND).all()
    assert np.isfinite(fit.std("vp")[none]).all()


def test_patlak_is_unbiased_where_nothing_leaks():
    draw = stream(5, "vessels")
    tissue = 0.04 * artery(SECONDS) + 0.02 * draw.standard_normal((4000, len(SECONDS)))
    fit = Patlak()(tissue, artery(SECONDS), seconds=SECONDS)

    error_of_the_mean = fit["ktrans"].std() / np.sqrt(4000)
    assert abs(fit["ktrans"].mean()) < 3 * error_of_the_mean


def test_a_constant_curve_is_no_signal():
    fit = Tofts()(np.zeros((2, len(SECONDS))), artery(SECONDS), seconds=SECONDS)

    assert (fit.status == FitStatus.NO_SIGNAL).all()


def test_one_exponential_does_not_tell_exchange():
    clean = dce_curves(
        "tofts", {"ktrans": np.array([0.3]), "ve": np.array([20.0])}, artery(SECONDS),
        seconds=SECONDS,
    )  # fmt: skip
    tissue = clean + 0.01 * stream(6, "one pool").standard_normal((500, len(SECONDS)))
    fit = TwoCompartmentExchange()(tissue, artery(SECONDS), seconds=SECONDS)
    claimed = fit.status == FitStatus.OK
    for key in ("ps", "ve", "vp"):
        claimed &= fit[key] > 3 * fit.std(key)

    assert claimed.mean() < 0.02
    assert (fit.status == FitStatus.AT_BOUND).mean() > 0.2


# --- the edges of the input ----------------------------------------------------------------------


def test_bounds_are_kept_and_marked():
    tissue = curve("extended_tofts", TRUTH["extended_tofts"])[None]
    fit = ExtendedTofts(vp_range=(0.0, 2.0), ve_range=(0.0, 20.0))(
        tissue, artery(FINE), seconds=SECONDS, arterial_seconds=FINE
    )

    assert fit["vp"][0] == pytest.approx(2.0)
    assert np.isnan(fit.std("vp")[0])
    assert fit["ve"][0] <= 20.0
    assert fit.status[0] == FitStatus.OK


def test_single_precision_gives_the_same_answer():
    _, clean = voxels("two_compartment_uptake", 50)
    seconds, plasma = SECONDS.astype(np.float32), artery(SECONDS).astype(np.float32)
    single = TwoCompartmentUptake()(clean.astype(np.float32), plasma, seconds=seconds)
    double = TwoCompartmentUptake()(clean, artery(SECONDS), seconds=SECONDS)

    np.testing.assert_allclose(single.values, double.values, rtol=2e-3)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"seconds": SECONDS[::-1]}, TimingError),
        ({"seconds": SECONDS[:-1]}, TimingError),
        ({"arterial_seconds": SECONDS / 60}, TimingError),  # minutes
        ({"arterial": np.full(len(SECONDS), np.nan)}, QuantityError),
        ({"arterial": -artery(SECONDS)}, QuantityError),
        ({"delay_s": np.nan}, MetadataError),
        ({"delay_s": np.zeros(3)}, MetadataError),
    ],
)
def test_input_that_cannot_be_right_is_refused(change, error):
    _, clean = voxels("tofts", 2)
    given = {"arterial": artery(SECONDS), "seconds": SECONDS, **change}

    with pytest.raises(error):
        Tofts()(clean, given.pop("arterial"), **given)


def test_an_empty_range_is_refused():
    _, clean = voxels("tofts", 2)

    with pytest.raises(MetadataError, match="range"):
        Tofts(ve_range=(10.0, 5.0))(clean, artery(SECONDS), seconds=SECONDS)


def test_memory_stays_below_three_times_the_input():
    import tracemalloc

    _, clean = voxels("extended_tofts", 30_000)
    tissue = clean.astype(np.float32)
    del clean
    ExtendedTofts()(tissue[:10], artery(SECONDS), seconds=SECONDS)
    tracemalloc.start()
    ExtendedTofts()(tissue, artery(SECONDS), seconds=SECONDS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 3 * tissue.nbytes


# --- an independent package ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinetics", "name", "theirs", "ours"),
    [
        ("HF", "extended_tofts", {"vb": 0.08, "vi": 0.3, "PS": 0.002},
         {"ktrans": 0.12, "ve": 30.0, "vp": 4.4}),
        ("HFU", "patlak", {"vb": 0.08, "PS": 0.0005}, {"ktrans": 0.03, "vp": 4.4}),
        ("2CU", "two_compartment_uptake", {"vb": 0.08, "Fb": 0.01, "PS": 0.0005},
         {"fp": 33.0, "ps": 3.0, "vp": 4.4}),
        ("2CX", "two_compartment_exchange", {"vb": 0.08, "vi": 0.3, "Fb": 0.01, "PS": 0.001},
         {"fp": 33.0, "ps": 6.0, "ve": 30.0, "vp": 4.4}),
    ],
)  # fmt: skip
def test_dcmri_agrees(kinetics, name, theirs, ours):
    dcmri = pytest.importorskip("dcmri")
    haematocrit = 0.45
    blood = (1 - haematocrit) * artery(FINE)
    tissue = dcmri.conc_tissue(blood, t=FINE, kinetics=kinetics, H=haematocrit, **theirs)
    seconds, frames = FINE[::25], tissue[::25]
    fit = DCE_MODELS[name]()(frames[None], artery(FINE), seconds=seconds, arterial_seconds=FINE)

    for key, value in ours.items():
        assert fit[key][0] == pytest.approx(value, rel=5e-3), key


@pytest.mark.parametrize(("step_s", "start_s"), [(3.0, -0.7), (3.0, 0.9), (1.0, 0.35)])
@pytest.mark.parametrize("name", ["tofts", "extended_tofts", "patlak"])
def test_an_artery_coarser_than_the_tissue_and_beside_its_frames(name, step_s, start_s):
    """The artery on a clock of its own, put between its samples, gives back the parameters."""
    own = np.arange(start_s, 301.0, step_s)
    fine = np.arange(own[0], own[-1], 0.2)
    between = artery_between_samples(artery(own), own, fine)

    fit = DCE_MODELS[name]()(
        curve(name, TRUTH[name])[None], between, seconds=SECONDS, arterial_seconds=fine
    )

    for key, true in TRUTH[name].items():
        assert fit[key][0] == pytest.approx(true, rel=0.03)

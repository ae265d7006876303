"""Laws of the DCE models: units, time and order do not matter; more model never fits worse."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bolus.core import FitStatus, stream
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_models import DCE_MODELS, ExtendedTofts, Patlak, Tofts
from bolus.quantify.dce_tables import build_tables, exchange_curves

LAWS = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
SECONDS = np.arange(90) * 3.0
X = np.maximum(SECONDS - 20, 0)
AIF = 6 * (X / 8) ** 2 * np.exp(2 - X / 4) + 1.4 * (1 - np.exp(-X / 12)) * np.exp(-X / 500)
names = st.sampled_from(sorted(DCE_MODELS))
seeds = st.integers(0, 10_000)


def curves(name, seed, *, noise=0.004):
    draw = stream(seed, "law")
    p = {
        "ktrans": draw.uniform(0.05, 0.3, 12),
        "ve": draw.uniform(12, 45, 12),
        "vp": draw.uniform(2, 8, 12),
        "fp": draw.uniform(15, 50, 12),
        "ps": draw.uniform(2, 10, 12),
    }
    clean = dce_curves(name, p, AIF, seconds=SECONDS)
    return clean + noise * draw.standard_normal(clean.shape)


@LAWS
@given(name=names, seed=seeds, factor=st.floats(0.01, 100.0))
def test_the_unit_of_concentration_cancels(name, seed, factor):
    tissue = curves(name, seed)
    one = DCE_MODELS[name]()(tissue, AIF, seconds=SECONDS)
    other = DCE_MODELS[name]()(factor * tissue, factor * AIF, seconds=SECONDS)

    np.testing.assert_allclose(other.values, one.values, rtol=5e-3)
    np.testing.assert_allclose(other.residual_std, factor * one.residual_std, rtol=1e-4)


@LAWS
@given(name=names, seed=seeds, later=st.floats(-500.0, 500.0))
def test_when_the_clock_starts_does_not_matter(name, seed, later):
    tissue = curves(name, seed)
    one = DCE_MODELS[name]()(tissue, AIF, seconds=SECONDS)
    other = DCE_MODELS[name]()(tissue, AIF, seconds=SECONDS + later)

    np.testing.assert_allclose(other.values, one.values, rtol=5e-3)


@LAWS
@given(seed=seeds, factor=st.floats(0.2, 5.0))
def test_slower_time_means_slower_leakage(seed, factor):
    tissue = curves("extended_tofts", seed)
    one = ExtendedTofts()(tissue, AIF, seconds=SECONDS)
    other = ExtendedTofts(kep_range_per_min=(0.0, 60.0 / factor))(
        tissue, AIF, seconds=factor * SECONDS
    )

    np.testing.assert_allclose(other["ktrans"] * factor, one["ktrans"], rtol=5e-3)
    np.testing.assert_allclose(other["ve"], one["ve"], rtol=5e-3)


@LAWS
@given(name=names, seed=seeds)
def test_the_order_and_number_of_voxels_do_not_matter(name, seed):
    tissue = curves(name, seed)
    order = stream(seed, "order").permutation(len(tissue))
    whole = DCE_MODELS[name]()(tissue, AIF, seconds=SECONDS)
    shuffled = DCE_MODELS[name]()(tissue[order], AIF, seconds=SECONDS)
    single = DCE_MODELS[name]()(tissue[:1], AIF, seconds=SECONDS)

    np.testing.assert_allclose(shuffled.values, whole.values[order], rtol=1e-3)
    np.testing.assert_allclose(single.values, whole.values[:1], rtol=1e-3)


@LAWS
@given(seed=seeds)
def test_a_model_with_more_freedom_never_leaves_more(seed):
    tissue = curves("extended_tofts", seed, noise=0.02)
    most = ExtendedTofts()(tissue, AIF, seconds=SECONDS)

    less = Tofts()(tissue, AIF, seconds=SECONDS)
    both = (less.status == FitStatus.OK) & (most.status == FitStatus.OK)
    assert (most.sum_of_squares[both] <= less.sum_of_squares[both] * (1 + 1e-6)).all()


@LAWS
@given(seed=seeds, name=names)
def test_what_a_fit_says_is_what_its_curve_leaves(seed, name):
    tissue = curves(name, seed)
    fit = DCE_MODELS[name]()(tissue, AIF, seconds=SECONDS)
    drawn = dce_curves(name, {n: fit[n] for n in fit.names}, AIF, seconds=SECONDS)
    ok = (fit.status == FitStatus.OK) & np.isfinite(drawn).all(axis=1)

    left = ((tissue - drawn) ** 2).sum(axis=1)
    np.testing.assert_allclose(left[ok], fit.sum_of_squares[ok], rtol=1e-4)


@LAWS
@given(seed=seeds)
def test_patlak_is_linear_in_the_curve(seed):
    tissue = curves("patlak", seed)
    parts = [Patlak()(t, AIF, seconds=SECONDS).values for t in (tissue[:6], tissue[6:])]
    whole = Patlak()(tissue[:6] - tissue[6:], AIF, seconds=SECONDS).values

    np.testing.assert_allclose(whole, parts[0] - parts[1], rtol=1e-6, atol=1e-9)


@LAWS
@given(rate=st.floats(1e-5, 1.0), seed=seeds)
def test_the_tables_hold_the_exact_convolution(rate, seed):
    from bolus.quantify.dce_kernels import EXCHANGE, evaluate

    tables = build_tables(
        AIF, seconds=SECONDS, arterial_seconds=SECONDS, fastest_per_s=1.1, delay_range_s=(0, 0)
    )
    position = tables.rate_position(rate)
    rank = len(tables.basis)
    rows = np.zeros((6, rank))
    evaluate(
        np.array([EXCHANGE, 0]), tables.exchange, tables.artery, tables.axis,
        np.array([position, 0.0, 0.0]), np.zeros((2, 2, 4)), np.zeros((3, rank)), rows,
    )  # fmt: skip
    exact = rate * exchange_curves(
        AIF, seconds=SECONDS, arterial_seconds=SECONDS, rates_per_s=np.array([rate]),
        delays_s=np.zeros(1),
    )[0]  # fmt: skip

    assert rows[0] @ tables.basis == pytest.approx(exact, abs=2e-6 * np.abs(exact).max())

"""Splines and steps that the kernels share, against scipy and plain integrals."""

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from bolus.quantify.piecewise_kernels import spline_weights, step_weights
from bolus.quantify.splines import spline_matrix


@pytest.mark.parametrize("position", [0.0, 0.4, 3.0, 5.7, 8.0])
def test_weights_and_matrix_give_value_and_slope_of_a_cubic_curve(position):
    nodes = np.arange(9.0)
    coefficients = spline_matrix(9) @ (nodes**3 - 4 * nodes**2)
    weight = np.empty((2, 4))
    first = spline_weights(position, 9, weight)
    value, slope = weight @ coefficients[first : first + 4]

    assert value == pytest.approx(position**3 - 4 * position**2, abs=1e-9)
    assert slope == pytest.approx(3 * position**2 - 8 * position, abs=1e-9)


def test_the_spline_goes_through_any_values_and_stays_near_that_of_scipy():
    nodes = np.arange(40.0)
    values = np.sin(nodes / 4)
    coefficients = spline_matrix(40) @ values
    weight = np.empty((2, 4))
    for position in np.linspace(0, 39, 301):
        first = spline_weights(position, 40, weight)
        found = weight[0] @ coefficients[first : first + 4]
        assert found == pytest.approx(CubicSpline(nodes, values)(position), abs=2e-4)
        if position == int(position):
            assert found == pytest.approx(values[int(position)], abs=1e-12)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.1, 0.499999, 0.5, 3.0, 40.0])
def test_a_step_is_the_integral_of_a_line_under_an_exponential(x):
    u, weights = np.polynomial.legendre.leggauss(60)
    u, weights = (u + 1) / 2, weights / 2
    e, p, q, dp, dq = step_weights(x)

    assert e == pytest.approx(np.exp(-x))
    assert p == pytest.approx(weights @ ((1 - u) * np.exp(-x * (1 - u))), rel=1e-12)
    assert q == pytest.approx(weights @ (u * np.exp(-x * (1 - u))), rel=1e-12)
    assert dp == pytest.approx(weights @ (-((1 - u) ** 2) * np.exp(-x * (1 - u))), rel=1e-11)
    assert dq == pytest.approx(weights @ (-u * (1 - u) * np.exp(-x * (1 - u))), rel=1e-11)

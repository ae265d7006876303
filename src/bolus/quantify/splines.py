"""Cubic B-splines at even nodes, as the tables of the models use them."""

import numpy as np


def spline_matrix(nodes: int) -> np.ndarray:
    """Return (nodes + 2, nodes): values at even nodes to cubic B-spline coefficients.

    Args:
        nodes: how many, at least five.

    Returns:
        The matrix; the spline goes through the values, and its fourth difference is zero at the
        ends.

    Assumes:
        Nodes one apart.

    Source:
        The B-spline takes the values 1/6, 4/6, 1/6 at its nodes.

    Example:
        >>> coefficients = spline_matrix(8) @ np.arange(8.0)
        >>> np.diff(coefficients).round(9).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    equations = np.zeros((nodes + 2, nodes + 2))
    for i in range(nodes):
        equations[i + 1, i : i + 3] = (1 / 6, 4 / 6, 1 / 6)
    equations[0, :5] = equations[-1, -5:] = (1, -4, 6, -4, 1)
    return np.asarray(np.linalg.inv(equations)[:, 1:-1])

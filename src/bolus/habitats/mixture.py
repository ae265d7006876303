"""A mixture of Gaussians: fitted by scikit-learn, evaluated the same on every machine."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float

from bolus.core import stream

_STARTS = 4
_REGULAR = 1e-4
"""Added to every variance of scaled features, so that no cluster shrinks to a point."""
_TOLERANCE = 1e-4
_ROUNDS = 500
_START_VOXELS = 5000
"""The best of several starts is found on this many voxels."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Gaussians in scaled features; `settled` says that the fit came to rest."""

    weights: Float[np.ndarray, " clusters"]
    centres: Float[np.ndarray, "clusters features"]
    covariances: Float[np.ndarray, "clusters features features"]
    settled: bool = True


def fit_mixture(
    points: Float[np.ndarray, "voxels features"],
    k: int,
    *,
    seed: int,
    hard: bool = False,
    start: Mixture | None = None,
) -> Mixture:
    """Fit k Gaussians with full covariances, or k-means.

    Without a start, k-means gives some; of those, fitted on a part of the points, the likeliest
    (for k-means the tightest) goes on with all. One thread: with more, sums of floats come out in
    another order.

    Args:
        points: scaled features.
        k: how many clusters.
        seed: of the starts.
        hard: k-means alone; weights and covariances are those of its clusters.
        start: where to begin.

    Returns:
        Clusters in any order.

    Assumes:
        Features are of like scale.

    Source:
        scikit-learn (Pedregosa et al., J Mach Learn Res 2011;12:2825).
    """
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    random = stream(seed, "habitats", "starts")
    part = points
    if len(points) > _START_VOXELS:
        part = points[np.sort(random.choice(len(points), _START_VOXELS, replace=False))]
    state = int(random.integers(2**31))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if hard:
            first = KMeans(k, n_init=_STARTS, random_state=state).fit(part)
            found = KMeans(k, init=first.cluster_centers_, n_init=1).fit(points)
            return _of_clusters(points, found.labels_, found.cluster_centers_)
        common = {"reg_covar": _REGULAR, "tol": _TOLERANCE, "max_iter": _ROUNDS}
        if start is None:
            best = GaussianMixture(k, n_init=_STARTS, random_state=state, **common).fit(part)
            start = Mixture(best.weights_, best.means_, best.covariances_)
        mixture = GaussianMixture(
            k, weights_init=start.weights, means_init=start.centres,
            precisions_init=np.linalg.inv(start.covariances), random_state=state, **common,
        ).fit(points)  # fmt: skip
    return Mixture(
        mixture.weights_, mixture.means_, mixture.covariances_, settled=mixture.converged_
    )


def distances(
    points: Float[np.ndarray, "voxels features"], mixture: Mixture
) -> Float[np.ndarray, "voxels clusters"]:
    """Return squared Mahalanobis distances of every point to every cluster.

    Args:
        points: scaled features.
        mixture: fitted.

    Assumes:
        Covariances are positive definite.

    Source:
        Mahalanobis, Proc Natl Inst Sci India 1936;2:49.

    Example:
        >>> one = Mixture(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
        >>> distances(np.array([[3.0, 4.0]]), one).tolist()
        [[25.0]]
    """
    result = np.empty((len(points), len(mixture.weights)))
    for i, (centre, covariance) in enumerate(
        zip(mixture.centres, mixture.covariances, strict=True)
    ):
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        total = np.zeros(len(points))
        away = points - centre
        # Column by column, without BLAS: sums then do not depend on the number of threads.
        for row in range(len(centre)):
            part = whiten[row, 0] * away[:, 0]
            for column in range(1, row + 1):
                part += whiten[row, column] * away[:, column]
            total += part * part
        result[:, i] = total
    return result


def posterior(
    squared: Float[np.ndarray, "voxels clusters"], mixture: Mixture
) -> Float[np.ndarray, "voxels clusters"]:
    """Return the probability of every cluster given the point.

    Args:
        squared: of `distances`.
        mixture: the same.

    Assumes:
        The mixture's weights hold for this lesion.

    Source:
        Bayes' rule.

    Example:
        >>> same = Mixture(np.array([0.25, 0.75]), np.zeros((2, 1)), np.ones((2, 1, 1)))
        >>> posterior(np.zeros((1, 2)), same).round(2).tolist()
        [[0.25, 0.75]]
    """
    volume = np.linalg.slogdet(mixture.covariances)[1]
    score = np.log(mixture.weights) - 0.5 * volume - 0.5 * squared
    likely = np.exp(score - score.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def nearest(
    points: Float[np.ndarray, "voxels features"], mixture: Mixture
) -> Float[np.ndarray, " voxels"]:
    """Return the number of the most probable cluster of every point.

    Args:
        points: scaled features.
        mixture: fitted.

    Assumes:
        As `posterior`.

    Source:
        Bayes' rule.
    """
    return cast("np.ndarray", posterior(distances(points, mixture), mixture).argmax(axis=1))


def log_likelihood(points: Float[np.ndarray, "voxels features"], mixture: Mixture) -> float:
    """Return the mean logarithm of the density at the points.

    Args:
        points: scaled features.
        mixture: fitted.

    Assumes:
        Points are independent.

    Source:
        Own.
    """
    from scipy.special import logsumexp

    volume = np.linalg.slogdet(mixture.covariances)[1]
    squared = distances(points, mixture)
    constant = points.shape[1] * np.log(2 * np.pi)
    score = np.log(mixture.weights) - 0.5 * (volume + squared + constant)
    return float(logsumexp(score, axis=1).mean())


def mixture_around(
    points: Float[np.ndarray, "voxels features"], centres: Float[np.ndarray, "clusters features"]
) -> Mixture | None:
    """Return the Gaussians of the points that are nearest to each centre.

    Args:
        points: scaled features.
        centres: likewise; NaN in features of which nothing is known, for all centres alike.

    Returns:
        None where a centre has fewer points than two a feature.

    Assumes:
        Features are of like scale.

    Source:
        Own.
    """
    known = np.isfinite(centres).all(axis=0)
    away = ((points[:, None, known] - centres[:, known]) ** 2).sum(axis=2)
    labels = away.argmin(axis=1)
    counts = np.bincount(labels, minlength=len(centres))
    if counts.min() < 2 * points.shape[1]:
        return None
    means = np.stack([points[labels == i].mean(axis=0) for i in range(len(centres))])
    return _of_clusters(points, labels, means)


def _of_clusters(points: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> Mixture:
    k, features = centres.shape
    counts = np.bincount(labels, minlength=k)
    spread = np.stack([
        np.atleast_2d(np.cov(points[labels == i].T, bias=True)) if counts[i] else np.eye(features)
        for i in range(k)
    ])  # fmt: skip
    return Mixture(counts / len(points), centres, spread + _REGULAR * np.eye(features))

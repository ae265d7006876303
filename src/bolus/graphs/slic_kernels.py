"""The inner loops of supervoxels, compiled."""

import numpy as np
from numba import njit


@njit(cache=True)
def settle(
    values: np.ndarray,
    places: np.ndarray,
    start: np.ndarray,
    near: np.ndarray,
    weight: float,
    rounds: int,
) -> np.ndarray:
    """Return the cluster of each voxel after some rounds of local k-means.

    `values` (voxels, channels), `places` (voxels, 3) in units of an edge, `start` (voxels,) the
    first cluster, `near` (clusters, candidates) which clusters a voxel that began in one may
    join (-1: none), `weight` of a squared place against a squared mean value.
    """
    label = start.copy()
    points = np.concatenate((values, np.sqrt(weight * values.shape[1]) * places), axis=1)
    for _ in range(rounds):
        centres, count = _centres(points, label, near.shape[0])
        moved = 0
        for v in range(label.size):
            chosen = _nearest(points[v], centres, count, near[start[v]], label[v])
            moved += chosen != label[v]
            label[v] = chosen
        if moved == 0:
            break
    return label


@njit(cache=True)
def _centres(points: np.ndarray, label: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean point and the number of points of each cluster."""
    centres = np.zeros((clusters, points.shape[1]))
    count = np.zeros(clusters, np.int64)
    for v in range(label.size):
        count[label[v]] += 1
        for c in range(points.shape[1]):
            centres[label[v], c] += points[v, c]
    for k in range(clusters):
        if count[k] > 0:
            centres[k] /= count[k]
    return centres, count


@njit(cache=True)
def _nearest(
    point: np.ndarray, centres: np.ndarray, count: np.ndarray, candidates: np.ndarray, own: int
) -> int:
    """Return the nearest of the candidates that hold a point; of equals, the present one."""
    chosen = own
    least = np.inf
    for j in range(-1, candidates.size):
        k = own if j < 0 else candidates[j]
        if k < 0 or count[k] == 0:
            continue
        far = 0.0
        for c in range(point.size - 1, -1, -1):
            far += (point[c] - centres[k, c]) ** 2
            if far >= least:
                break
        if far < least:
            least = far
            chosen = k
    return chosen

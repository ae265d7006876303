"""How habitats differ from patient to patient, learnt with them and used for a new patient.

One tumour's vessels hold a quarter more blood than another's throughout. Boundaries that are the
same for all then cut into the habitats of such a patient, and boundaries drawn for each lesion
alone follow its mixture. In between: every patient's centres depart from the cohort's by as much
as patients do, and a new patient's are moved no further than that makes likely.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.habitats.mixture import Mixture, log_likelihood

_PRIOR_VARIANCE = 0.04
"""Of centres between patients, in scaled features, before any patient was seen."""
_PRIOR_PATIENTS = 10.0
"""What that is worth."""
_INDEPENDENT = 0.1
"""Share of voxels that count as independent: neighbours have much in common."""
_MOST_INDEPENDENT = 50.0
"""So many at most; a small lesion's voxels are drawn several times."""
_MOST_VOXELS = 2000
"""Of a patient are looked at, spread evenly: more say nothing new about its centres."""
_PRIOR_SHARE = 0.01
"""Of a lesion's voxels: weight of the cohort's shares among its own."""
_WAYS = 2
_STEP = 1.5
"""Standard deviations between patients to either side, along so many ways."""
_REGULAR = 1e-4
_ROUNDS = 300
_FEW_ROUNDS = 50
"""Where centres need not be known to the last digit."""
_TOLERANCE = 2e-4


@dataclass(frozen=True, slots=True)
class Differences:
    """A mixture whose centres differ between patients; all in scaled features.

    `within` are covariances about a patient's own centres. `between` is the covariance of all
    centres of a patient, one after the other, about those of the cohort.
    """

    weights: Float[np.ndarray, " clusters"]
    centres: Float[np.ndarray, "clusters features"]
    within: Float[np.ndarray, "clusters features features"]
    between: Float[np.ndarray, "all all"]
    settled: bool = True

    @property
    def marginal(self) -> Mixture:
        """The same mixture for a patient of whom nothing is known."""
        k, f = self.centres.shape
        blocks = self.between.reshape(k, f, k, f)[np.arange(k), :, np.arange(k), :]
        return Mixture(self.weights, self.centres, self.within + blocks, settled=self.settled)


def fit_differences(
    points: Float[np.ndarray, "patients voxels features"], start: Mixture, *, thorough: bool = True
) -> Differences:
    """Fit a mixture with shares and centres of every patient's own.

    Expectation and maximisation: voxel to cluster given the patient's centres; a patient's centres
    given its voxels and how patients differ (normal, jointly for all clusters); the cohort's
    centres, covariances and differences given all.

    Args:
        points: scaled features, equally many of each patient.
        start: a mixture for all patients alike.
        thorough: whether to look for patients that went to the wrong clusters, and begin again.

    Assumes:
        Centres vary normally between patients. Ten voxels are worth one that is independent.

    Source:
        Mixed effects by expectation and maximisation: Laird and Ware, Biometrics 1982;38:963.
        Weights of the priors: set by us.
    """
    known = Differences(
        start.weights, start.centres, start.covariances,
        _PRIOR_VARIANCE * np.eye(start.centres.size),
    )  # fmt: skip
    own = np.repeat(start.centres[None], len(points), axis=0)
    shares = np.repeat(start.weights[None], len(points), axis=0)
    known = _refined(points, own, shares, known, rounds=_ROUNDS if thorough else _FEW_ROUNDS)
    if not thorough:
        return known
    # A patient far from the others may have gone to the wrong clusters: all begin once more.
    again = [own_mixture(voxels, known) for voxels in points]
    own = np.stack([one.centres for one in again])
    shares = np.stack([one.weights for one in again])
    return _refined(points, own, shares, known, rounds=_ROUNDS)


def own_mixture(points: Float[np.ndarray, "voxels features"], known: Differences) -> Mixture:
    """Return the mixture of one patient: its shares and centres, given its voxels.

    The search begins at the cohort's centres and to either side of them, along the ways in which
    patients differ most; the likeliest end is taken.

    Args:
        points: scaled features of one patient.
        known: learnt on others.

    Assumes:
        The patient is one of those that the cohort stands for.

    Source:
        As `fit_differences`.
    """
    if len(points) > _MOST_VOXELS:
        points = points[np.linspace(0, len(points) - 1, _MOST_VOXELS).astype(int)]
    sizes, ways = np.linalg.eigh(known.between)
    steps = [np.zeros(known.centres.shape)]
    for size, way in list(zip(sizes, ways.T, strict=True))[: -_WAYS - 1 : -1]:
        step = (_STEP * np.sqrt(max(size, 0.0)) * way).reshape(known.centres.shape)
        steps += [step, -step]
    ends = []
    for step in steps:
        shares, own = settle(points[None], known, known.centres + step)
        ends.append(Mixture(shares[0], own[0], known.within))
    return ends[int(np.argmax([_belief(points, known, end) for end in ends]))]


def settle(
    points: Float[np.ndarray, "patients voxels features"],
    known: Differences,
    centres: Float[np.ndarray, "clusters features"],
) -> tuple[Float[np.ndarray, "patients clusters"], Float[np.ndarray, "patients clusters features"]]:
    """Return where every patient's shares and centres come to rest.

    Args:
        points: scaled features.
        known: learnt on these or others.
        centres: where all begin.

    Assumes:
        As `own_mixture`.

    Source:
        As `fit_differences`.
    """
    own = np.repeat(centres[None], len(points), axis=0)
    shares = np.repeat(known.weights[None], len(points), axis=0)
    for _ in range(_FEW_ROUNDS):
        member = _members(points, own, known.within, shares)
        moved, _ = _own_centres(points, member, known.centres, known.within, known.between)
        shares = _shares(member, known.weights)
        change, own = float(np.abs(moved - own).max()), moved
        if change < _TOLERANCE:
            break
    return shares, own


def own_density(
    points: Float[np.ndarray, "patients voxels features"], known: Differences
) -> tuple[Float[np.ndarray, "patients voxels clusters"], float]:
    """Return memberships given every patient's own centres, and the mean log density.

    Args:
        points: scaled features.
        known: learnt on these or others.

    Assumes:
        As `own_mixture`.

    Source:
        As `fit_differences`.
    """
    shares, own = settle(points, known, known.centres)
    ends = [Mixture(share, centre, known.within) for share, centre in zip(shares, own, strict=True)]
    likely = [log_likelihood(one, end) for one, end in zip(points, ends, strict=True)]
    return _members(points, own, known.within, shares), float(np.mean(likely))


def _refined(
    points: np.ndarray, own: np.ndarray, shares: np.ndarray, known: Differences, *, rounds: int
) -> Differences:
    """Return the mixture and its differences after rounds of expectation and maximisation."""
    mean, within, between = known.centres, known.within, known.between
    change = np.inf
    for _ in range(rounds):
        member = _members(points, own, within, shares)
        own, spread = _own_centres(points, member, mean, within, between)
        shares = _shares(member, shares.mean(axis=0))
        moved = own.mean(axis=0)
        away = (own - moved).reshape(len(points), -1)
        total = _PRIOR_PATIENTS * _PRIOR_VARIANCE * np.eye(mean.size)
        total += np.einsum("pi,pj->ij", away, away) + spread.sum(axis=0)
        between = total / (_PRIOR_PATIENTS + len(points))
        within = _within(points, member, own)
        change, mean = float(np.abs(moved - mean).max()), moved
        if change < _TOLERANCE:
            break
    settled = change < 10 * _TOLERANCE
    return Differences(shares.mean(axis=0), mean, within, between, settled=settled)


def _belief(points: np.ndarray, known: Differences, own: Mixture) -> float:
    """Return the log probability of voxels and centres together."""
    away = (own.centres - known.centres).ravel()
    prior = 0.5 * float(away @ np.linalg.solve(known.between, away))
    return _evidence(len(points)) * log_likelihood(points, own) - prior


def _evidence(voxels: int) -> float:
    """Return how many independent voxels these are worth."""
    return min(_INDEPENDENT * voxels, _MOST_INDEPENDENT)


def _members(
    points: np.ndarray, own: np.ndarray, within: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return the probability (patients, voxels, clusters) of every cluster."""
    whiten = np.linalg.inv(np.linalg.cholesky(within))
    volume = np.linalg.slogdet(within)[1]
    score = np.empty((*points.shape[:2], len(within)))
    for i, matrix in enumerate(whiten):
        away = points - own[:, None, i]
        squared = np.zeros(points.shape[:2])
        for row in range(points.shape[2]):
            part = matrix[row, 0] * away[..., 0]
            for column in range(1, row + 1):
                part += matrix[row, column] * away[..., column]
            squared += part * part
        score[..., i] = np.log(shares[:, None, i]) - 0.5 * (volume[i] + squared)
    score -= score.max(axis=2, keepdims=True)
    np.exp(score, out=score)
    score /= score.sum(axis=2, keepdims=True)
    return score


def _own_centres(
    points: np.ndarray,
    member: np.ndarray,
    mean: np.ndarray,
    within: np.ndarray,
    between: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the likeliest centres (patients, clusters, features) and their covariances."""
    k, f = mean.shape
    each = _evidence(points.shape[1]) / points.shape[1]
    weight = each * member.sum(axis=1)
    total = each * np.einsum("pnk,pnf->pkf", member, points)
    precise = np.linalg.inv(within)
    prior = np.linalg.inv(between)
    matrix = np.repeat(prior[None], len(points), axis=0)
    for i in range(k):
        block = slice(i * f, (i + 1) * f)
        matrix[:, block, block] += weight[:, i, None, None] * precise[i]
    right = prior @ mean.ravel() + np.einsum("kfg,pkg->pkf", precise, total).reshape(-1, k * f)
    spread = np.linalg.inv(matrix)
    return np.einsum("pij,pj->pi", spread, right).reshape(-1, k, f), spread


def _shares(member: np.ndarray, usual: np.ndarray) -> np.ndarray:
    found = member.mean(axis=1)
    return np.asarray((found + _PRIOR_SHARE * usual) / (1 + _PRIOR_SHARE))


def _within(points: np.ndarray, member: np.ndarray, own: np.ndarray) -> np.ndarray:
    f = points.shape[2]
    result = np.empty((own.shape[1], f, f))
    for i in range(own.shape[1]):
        away = points - own[:, None, i]
        weighted = member[..., i, None] * away
        result[i] = np.einsum("pnf,png->fg", weighted, away) / member[..., i].sum()
    return result + _REGULAR * np.eye(f)

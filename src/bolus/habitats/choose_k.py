"""How many habitats a cohort supports: as many as come back when other patients are drawn."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import stream
from bolus.core.arrays import read_only
from bolus.errors import Code, MetadataError, QuantityError
from bolus.habitats.accuracy import adjusted_rand
from bolus.habitats.differences import Differences, fit_differences, own_density
from bolus.habitats.mixture import fit_mixture
from bolus.habitats.scaling import common_features, draw_equally, fit_scales, scaled
from bolus.habitats.table import VoxelTable

CANDIDATES = (2, 3, 4, 5, 6)
_CORE_VOXELS = 2000
_RESAMPLES = 4
_STABLE = 0.80
_LEAST_PATIENTS = 4
_LEAST_VOXELS = 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChosenK:
    """The number of habitats, and what spoke for it.

    By candidate: `stability` is the mean adjusted Rand index between the habitats of all patients
    and those of resampled ones, `stability_spread` its standard deviation over resamples, both NaN
    where `bic`, the Bayesian information criterion for each voxel (less is better), is above that
    of a smaller candidate.
    """

    k: int
    candidates: tuple[int, ...]
    stability: Float[np.ndarray, " candidates"]
    stability_spread: Float[np.ndarray, " candidates"]
    bic: Float[np.ndarray, " candidates"]
    patients: int
    voxels: int


def choose_k(
    tables: Sequence[VoxelTable], *, candidates: tuple[int, ...] = CANDIDATES, seed: int
) -> ChosenK:
    """Choose the number of habitats by stability and the Bayesian information criterion.

    On a core set of about 2000 voxels, equally many of each patient, mixtures with differences
    between patients are fitted to all patients and to patients drawn with replacement; each fit
    names the whole core set. The largest number whose stability is at least 0.80, and whose BIC is
    below that of every smaller candidate, is chosen; if there is none, the most stable one.
    BIC counts shares and centres of every patient as parameters.

    Args:
        tables: visits of at least four patients.
        candidates: numbers to try, rising, each from 2 to 12.
        seed: of core set, resamples and starts.

    Raises:
        QuantityError: too few patients or voxels, or features differ.
        MetadataError: the candidates are not usable.

    Assumes:
        Patients are independent of each other, voxels are not: patients are resampled.

    Source:
        Stability under resampling: Ben-Hur et al., Pac Symp Biocomput 2002:6-17; Hennig, Comput
        Stat Data Anal 2007;52:258. BIC: Schwarz, Ann Stat 1978;6:461. Limit 0.80: set by us.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> from bolus.habitats import voxel_table
        >>> tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        ...           for lesion in simulate_habitat_phantom(6, seed=1)]
        >>> choose_k(tables, candidates=(2, 3), seed=1).k
        3
    """
    _require_candidates(candidates)
    features = common_features(tables)
    patients = len({table.key.subject for table in tables})
    if patients < _LEAST_PATIENTS:
        raise _unfit(f"{patients} patients, expected at least {_LEAST_PATIENTS}")
    drawn = draw_equally(tables, max(1, _CORE_VOXELS // patients), seed=seed)
    points = scaled(drawn, fit_scales(features, drawn))
    if len(np.unique(points, axis=0)) < _LEAST_VOXELS * max(candidates):
        raise _unfit(f"{len(points)} voxels for up to {max(candidates)} habitats")
    shaped = points.reshape(patients, -1, len(features))
    bic, agreements = np.empty(len(candidates)), []
    for i, k in enumerate(candidates):
        labels, bic[i] = _of_all(shaped, k, seed=seed)
        improved = bool((bic[:i] > bic[i]).all())
        agreements.append(_resampled(shaped, labels, k, seed=seed) if improved else [np.nan])
    stability = np.array([np.mean(agreement) for agreement in agreements])
    kept = np.flatnonzero(stability >= _STABLE)
    best = int(kept[-1]) if kept.size else int(np.nanargmax(stability))
    return ChosenK(
        k=candidates[best],
        candidates=candidates,
        stability=read_only(stability),
        stability_spread=read_only(np.array([np.std(agreement) for agreement in agreements])),
        bic=read_only(bic),
        patients=patients,
        voxels=len(points),
    )


def _of_all(points: np.ndarray, k: int, *, seed: int) -> tuple[np.ndarray, float]:
    """Return the habitats of all voxels by a fit to all patients, and its criterion a voxel."""
    patients, voxels, features = points.shape
    member, likely = own_density(points, _fitted(points, k, seed=seed))
    parameters = patients * (k * features + k - 1) + k * features * (features + 1) / 2
    count = patients * voxels
    bic = float(parameters * np.log(count) / count - 2 * likely)
    return member.argmax(axis=2).ravel(), bic


def _resampled(points: np.ndarray, labels: np.ndarray, k: int, *, seed: int) -> list[float]:
    """Return how far fits to resampled patients agree with the labels."""
    agreement = []
    for number in range(_RESAMPLES):
        random = stream(seed, "habitats", "resample", str(number))
        chosen = random.integers(len(points), size=len(points))
        other = _fitted(points[chosen], k, seed=seed + number + 1)
        named = own_density(points, other)[0].argmax(axis=2).ravel()
        agreement.append(adjusted_rand(labels, named))
    return agreement


def _fitted(points: np.ndarray, k: int, *, seed: int) -> Differences:
    pooled = points.reshape(-1, points.shape[2])
    return fit_differences(points, fit_mixture(pooled, k, seed=seed, hard=True), thorough=False)


def _require_candidates(candidates: tuple[int, ...]) -> None:
    rising = all(a < b for a, b in itertools.pairwise(candidates))
    if not candidates or not rising or candidates[0] < 2 or candidates[-1] > 12:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"candidates {candidates} for the number of habitats",
            mend="give rising numbers from 2 to 12",
        )


def _unfit(message: str) -> QuantityError:
    return QuantityError(
        Code.HABITATS_UNFIT, message, mend="bring more patients, or choose the number yourself"
    )

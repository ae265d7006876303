"""The posterior of a DCE model in a few voxels, sampled: slow, what quick intervals are held to.

Needs `pip install "bolus[stats]"` (emcee).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core import Curve, Curves
from bolus.errors import Code, MetadataError, ResourceError
from bolus.quantify.dce_forward import dce_curves

_WALKERS = 24
_THIN = 5
_SPREAD = 0.05
"""Walkers begin within this share of the range about the middle of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """Samples (voxels, samples, parameters) in the units of the parameters, by `names`.

    `acceptance` (voxels,) is the share of moves that were taken; below 0.1 the samples are few.
    """

    names: tuple[str, ...]
    samples: Float[np.ndarray, "voxels samples parameters"]
    acceptance: Float[np.ndarray, " voxels"]

    def mean(self, name: str) -> Float[np.ndarray, " voxels"]:
        """Return the posterior mean of a parameter."""
        return np.asarray(self.samples[:, :, self.names.index(name)].mean(axis=1))

    def std(self, name: str) -> Float[np.ndarray, " voxels"]:
        """Return the posterior standard deviation of a parameter."""
        return np.asarray(self.samples[:, :, self.names.index(name)].std(axis=1, ddof=1))

    def interval(self, name: str, level: float) -> Float[np.ndarray, "ends voxels"]:
        """Return the ends (2, voxels) of the central interval of a level."""
        ends = 100 * np.array([(1 - level) / 2, (1 + level) / 2])
        return np.asarray(np.percentile(self.samples[:, :, self.names.index(name)], ends, axis=1))


def sample_posterior(
    name: str,
    bounds: Mapping[str, tuple[float, float]],
    tissue: Curves,
    arterial: Curve,
    *,
    seconds: Curve,
    seed: int,
    steps: int = 1500,
) -> Posterior:
    """Sample what parameters may be, given a curve: flat priors, unknown white noise.

    The noise is integrated out with the prior 1/sigma, so that the posterior is the sum of squares
    to the power of -frames/2. Half of the steps are thrown away, of the rest every fifth is kept.

    Args:
        name: key of the model in `DCE_MODELS`.
        bounds: lowest and highest value of each parameter, in its unit; all of the model's.
        tissue: (voxels, t) concentrations [mM]; some, for this takes about a second each.
        arterial: plasma concentration of the artery [mM] at `seconds`, without a delay.
        seconds: times [s].
        seed: of the walkers.
        steps: moves of each of 24 walkers.

    Raises:
        ResourceError: emcee is not installed.
        MetadataError: a range is empty, or there are fewer than 100 steps.
        InputError: the model is unknown, or a parameter has no bounds.

    Assumes:
        Noise is white, and alike in all frames; the model is right, and so is the artery.

    Source:
        Goodman and Weare, Commun Appl Math Comput Sci 5 (2010) 65; emcee: Foreman-Mackey et al.,
        Publ Astron Soc Pac 125 (2013) 306. For DCE: Schmid et al., IEEE Trans Med Imaging 25
        (2006) 1627.
    """
    if steps < 100 or any(not low < high for low, high in bounds.values()):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{steps} steps within {dict(bounds)}",
            mend="ask for 100 steps or more, and give (lowest, highest) of each parameter",
        )
    names = tuple(bounds)
    low, high = (np.array([bounds[key][end] for key in names]) for end in (0, 1))
    samples, taken = [], []
    for number, curve in enumerate(tissue):

        def logarithm(points: np.ndarray, curve: np.ndarray = curve) -> np.ndarray:
            return _density(points, name, names, (low, high), curve, arterial, seconds)

        one, share = _walked(logarithm, (low, high), seed=seed + number, steps=steps)
        samples.append(one)
        taken.append(share)
    return Posterior(names=names, samples=np.array(samples), acceptance=np.array(taken))


def _density(
    points: np.ndarray,
    name: str,
    names: Sequence[str],
    ends: tuple[np.ndarray, np.ndarray],
    curve: np.ndarray,
    arterial: Curve,
    seconds: Curve,
) -> np.ndarray:
    """Return the logarithm of the posterior of points (n, parameters), without its constant."""
    inside = ((points >= ends[0]) & (points <= ends[1])).all(axis=1)
    safe = np.clip(points, *ends)
    expected = dce_curves(name, dict(zip(names, safe.T, strict=True)), arterial, seconds=seconds)
    square = np.sum((curve - expected) ** 2, axis=1)
    found = -0.5 * len(seconds) * np.log(np.maximum(square, np.finfo(float).tiny))
    return np.where(inside & np.isfinite(found), found, -np.inf)


def _walked(
    logarithm: object, ends: tuple[np.ndarray, np.ndarray], *, seed: int, steps: int
) -> tuple[np.ndarray, float]:
    try:
        import emcee
    except ModuleNotFoundError as absent:
        raise ResourceError(
            Code.EXTRA_MISSING,
            "emcee is not installed, which sampling needs",
            mend='install it with: pip install "bolus[stats]"',
        ) from absent
    random = np.random.default_rng(seed)
    low, high = ends
    middle = low + 0.3 * (high - low)
    begin = middle + _SPREAD * (high - low) * random.uniform(-1, 1, (_WALKERS, len(low)))
    sampler = emcee.EnsembleSampler(_WALKERS, len(low), logarithm, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(begin, steps)
    kept = sampler.get_chain(discard=steps // 2, thin=_THIN, flat=True)
    return np.asarray(kept), float(np.mean(sampler.acceptance_fraction))

"""What the change of one patient scores by a rule and a hazard that are frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.core.arrays import read_only
from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.rule import HabitatRule
from bolus.habitats.score import HabitatScore
from bolus.habitats.track import HabitatChange, Interval

_Z = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenScore:
    """Rule and hazard of a cohort, as far as one further patient needs them.

    `limits_ml`, `log_hazard_ratios` [1/mL] and `covariance` (of those) are by habitat in the order
    of `habitats`. `model` is the digest of the habitat model; `fitted_on` are the patients in it.
    """

    outcome: str
    cut_offs_ml: Mapping[str, float]
    habitats: tuple[str, ...]
    limits_ml: Float[np.ndarray, " habitats"]
    log_hazard_ratios: Float[np.ndarray, " habitats"]
    covariance: Float[np.ndarray, "habitats habitats"]
    model: str
    fitted_on: frozenset[str]
    simulated: bool

    def __post_init__(self) -> None:
        count = len(self.habitats)
        shapes = (self.limits_ml.shape, self.log_hazard_ratios.shape, self.covariance.shape)
        if shapes != ((count,), (count,), (count, count)):
            raise MetadataError(
                Code.MODEL_INVALID,
                f"limits, hazards and covariance of shapes {shapes} do not fit {count} habitats",
                mend="write the score again with bolus habitats score",
            )
        for name in ("limits_ml", "log_hazard_ratios", "covariance"):
            object.__setattr__(self, name, read_only(np.asarray(getattr(self, name), np.float64)))

    def require_unseen(self, subject: str) -> None:
        """Refuse a subject that took part in the fit.

        Raises:
            LeakageError: it did.
        """
        if subject in self.fitted_on:
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"sub-{subject} took part in fitting the score",
                mend="score patients that did not",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredChange:
    """What one change scores.

    `count` is how many habitats grew by more than their cut-off; `hazard` the hazard over that of
    the same patient without growth; `hazard_noise` what noise alone can make of it.
    """

    count: Interval
    hazard: Interval
    hazard_noise: float


def freeze_score(
    rule: HabitatRule, score: HabitatScore, *, model: str, simulated: bool
) -> FrozenScore:
    """Keep of a cohort's rule and score what another patient needs.

    Args:
        rule: cut-offs.
        score: the continuous score, habitats first among its covariates.
        model: digest of the habitat model.
        simulated: whether the patients are.

    Assumes:
        Rule and score were fitted on the same patients.

    Source:
        `fit_score`, `learn_rule`.
    """
    habitats = tuple(score.limits_ml)
    count = len(habitats)
    return FrozenScore(
        outcome=score.outcome,
        cut_offs_ml=MappingProxyType(dict(rule.cut_offs_ml)),
        habitats=habitats,
        limits_ml=np.array([score.limits_ml[name] for name in habitats]),
        log_hazard_ratios=score.model.log_hazard_ratios[:count],
        covariance=score.model.covariance[:count, :count],
        model=model,
        fitted_on=rule.fitted_on | score.model.fitted_on,
        simulated=simulated,
    )


def score_change(changes: Sequence[HabitatChange], frozen: FrozenScore) -> ScoredChange:
    """Score the changes of all habitats between one pair of visits.

    ln HR = Σ βᵢ min(max(ΔVᵢ, 0), limitᵢ). Its variance is xᵀ Σ x of the coefficients plus that of
    the changes, βᵢ² times a quarter of their 95 % interval squared, where they are counted.

    Args:
        changes: of one pair of visits, one for each habitat.
        frozen: from a cohort.

    Returns:
        The rule's count with what it would be at both ends of the intervals; the hazard with its
        95 % interval; the hazard of a patient in whom every habitat with β above 0 grew by its
        noise limit.

    Raises:
        MetadataError: a habitat of the score was not followed.

    Assumes:
        Changes of the habitats err independently; the clinic of the patient does not change.

    Source:
        Variance of a sum: delta method. Form of the hazard: `HabitatScore`.

    Example:
        >>> from bolus.core import SessionKey
        >>> change = HabitatChange(before=SessionKey("1", "a"), after=SessionKey("1", "b"), days=90,
        ...     habitat="hypovascular", change_ml=Interval(2.0, 1.5, 2.5), noise_ml=0.5)
        >>> frozen = FrozenScore(outcome="progression", cut_offs_ml={"hypovascular": 1.8},
        ...     habitats=("hypovascular",), limits_ml=np.array([np.inf]), model="m",
        ...     log_hazard_ratios=np.array([0.5]), covariance=np.array([[0.01]]),
        ...     fitted_on=frozenset(), simulated=True)
        >>> scored = score_change([change], frozen)
        >>> scored.count, round(scored.hazard.value, 3)
        (Interval(value=1.0, lower=0.0, upper=1.0), 2.718)
    """
    by_name = {change.habitat: change for change in changes}
    absent = [name for name in (*frozen.habitats, *frozen.cut_offs_ml) if name not in by_name]
    if absent:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"the score needs the change of {absent[0]}, which was not followed",
            mend="follow with the habitat model of the score",
        )
    limits = frozen.cut_offs_ml.items()

    def count(end: str) -> float:
        sizes = [(getattr(by_name[name].change_ml, end), limit) for name, limit in limits]
        return float(sum(size > limit for size, limit in sizes))

    grown = [by_name[name] for name in frozen.habitats]
    value = np.array([change.change_ml.value for change in grown])
    counted = np.clip(value, 0.0, frozen.limits_ml)
    width = np.array([change.change_ml.upper - change.change_ml.lower for change in grown])
    spread = np.where((value > 0) & (value < frozen.limits_ml), width / (2 * _Z), 0.0)
    beta = frozen.log_hazard_ratios
    centre = float(counted @ beta)
    error = float(np.sqrt(counted @ frozen.covariance @ counted + ((beta * spread) ** 2).sum()))
    noise = np.minimum([change.noise_ml for change in grown], frozen.limits_ml)
    return ScoredChange(
        count=Interval(count("value"), count("lower"), count("upper")),
        hazard=Interval(*(float(np.exp(centre + z * error)) for z in (0.0, -_Z, _Z))),
        hazard_noise=float(np.exp(noise @ np.maximum(beta, 0.0))),
    )

"""The published habitat risk score: how many habitats grew by more than a cut-off."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int

from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.cohort_table import HabitatCohort
from bolus.survival import SurvivalTarget
from bolus.survival.risk_sets import RiskSets

CELLULAR = ("hypervascular", "hypovascular")
"""Habitats whose growth counts."""
_SHARES = (0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Quantiles of the increases that may become cut-offs."""
_LEAST_SHARE = 0.08
"""A cut-off leaves at least this share of patients on either side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitatRule:
    """Cut-offs [mL] by habitat; the score counts the habitats that grew by more.

    `source` says where the cut-offs come from: a publication, or "learnt"; `fitted_on` who took
    part in learning them, nobody if they were given.
    """

    cut_offs_ml: Mapping[str, float]
    source: str
    fitted_on: frozenset[str] = frozenset()

    def score(self, cohort: HabitatCohort) -> Int[np.ndarray, " patients"]:
        """Return 0, 1, 2 ... for every patient: how many habitats grew by more than the cut-off."""
        names = tuple(self.cut_offs_ml)
        limits = np.array([self.cut_offs_ml[name] for name in names])
        return np.asarray((cohort.increase_ml(names) > limits).sum(axis=1), np.int64)

    def require_unseen(self, subjects: Sequence[str]) -> None:
        """Refuse subjects that the cut-offs were learnt on.

        Raises:
            LeakageError: some were.
        """
        if seen := self.fitted_on & set(subjects):
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"the cut-offs were learnt on {len(seen)} of {len(subjects)} subjects (first: "
                f"{min(seen)})",
                mend="learn cut-offs on the training subjects only",
            )


def given_rule(cut_offs_ml: Mapping[str, float], *, source: str) -> HabitatRule:
    """Return the rule with cut-offs from elsewhere.

    Args:
        cut_offs_ml: by habitat [mL].
        source: a publication, or who decided.

    Raises:
        MetadataError: no cut-off, or one that is not a number of at least 0.

    Assumes:
        The cut-offs were found without the patients they are used on.

    Source:
        Moon et al., Neuro Oncol 2024, noae227 (the rule; its cut-offs are not published).

    Example:
        >>> given_rule({"hypovascular": 1.0}, source="set by us").cut_offs_ml["hypovascular"]
        1.0
    """
    wrong = [name for name, value in cut_offs_ml.items() if not 0 <= value < np.inf]
    if wrong or not cut_offs_ml:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"cut-offs {dict(cut_offs_ml)}",
            mend="give a volume in mL of at least 0 for every habitat that counts",
        )
    return HabitatRule(cut_offs_ml=MappingProxyType(dict(cut_offs_ml)), source=source)


def learn_rule(
    cohort: HabitatCohort,
    target: SurvivalTarget,
    *,
    habitats: Sequence[str] = CELLULAR,
    least_ml: Mapping[str, float] | None = None,
) -> HabitatRule:
    """Choose the cut-offs whose score tells best who has the event earlier.

    Every pair (triple ...) of quantiles of the increases is tried; the best is that of the largest
    score test of the trend, as in the log-rank test of ordered groups.

    Args:
        cohort: training patients at risk, as `HabitatCohort.at_risk` returns them.
        target: what came after.
        habitats: that count.
        least_ml: cut-offs are at least this large, such as the change that noise alone makes.

    Raises:
        MetadataError: no cut-off leaves 8 % of the patients on either side.

    Assumes:
        Patients are independent. The best of many cut-offs looks better on these patients than
        it is: test it on others.

    Source:
        Score: Moon et al., Neuro Oncol 2024, noae227. Choice by the largest statistic: Lausen and
        Schumacher, Biometrics 1992;48:73.
    """
    increase = cohort.increase_ml(tuple(habitats))
    floor = [(least_ml or {}).get(name, 0.0) for name in habitats]
    candidates = [
        _candidates(column, least) for column, least in zip(increase.T, floor, strict=True)
    ]
    found = [
        (trend_statistic((increase > np.array(limits)).sum(axis=1), target), limits)
        for limits in itertools.product(*candidates)
    ]
    _, best = max(found, key=lambda item: (item[0], [-limit for limit in item[1]]))
    return HabitatRule(
        cut_offs_ml=MappingProxyType(dict(zip(habitats, map(float, best), strict=True))),
        source="learnt",
        fitted_on=frozenset(cohort.subjects),
    )


def _candidates(increase: Float[np.ndarray, " patients"], least: float) -> list[float]:
    """Return cut-offs to try, none of which leaves a side nearly empty."""
    tried = {max(float(np.quantile(increase, share)), least, 0.0) for share in _SHARES}
    few = _LEAST_SHARE * len(increase)
    kept = [
        limit
        for limit in sorted(tried)
        if few <= np.count_nonzero(increase > limit) <= len(increase) - few
    ]
    if not kept:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"a habitat grew by more than {least:.2g} mL in too few of {len(increase)} patients "
            "to learn a cut-off",
            mend="give cut-offs, or add patients",
        )
    return kept


def trend_statistic(
    score: Float[np.ndarray, " patients"] | Int[np.ndarray, " patients"], target: SurvivalTarget
) -> float:
    """Return the standardised score test that a higher score goes with an earlier event.

    z = U / sqrt(I) of Cox's partial likelihood at no effect: above 0 where the hazard rises with
    the score; 0 where all scores are equal.

    Args:
        score: (patients,).
        target: what happened to them.

    Assumes:
        z is normal: tens of events.

    Source:
        Cox, J R Stat Soc B 1972;34:187; with groups as scores it is the log-rank test of trend.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2", "3"), days=np.array([1.0, 2, 3]),
        ...     event=np.ones(3, bool))
        >>> trend_statistic(np.array([3.0, 2.0, 1.0]), target) > 0
        True
    """
    column = np.asarray(score, np.float64)[:, None]
    spread = column.std()
    if spread == 0 or not target.events:
        return 0.0
    sets = RiskSets((column - column.mean()) / spread, target.days, target.event, target.entry)
    at_none = sets.at(np.zeros(1))
    information = float(at_none.information[0, 0])
    return float(at_none.score[0]) / information**0.5 if information > 0 else 0.0

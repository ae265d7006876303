"""Whether hazards are proportional, as Cox's model needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from bolus.survival.cox import CoxModel, finite_table
from bolus.survival.risk_sets import RiskSets, Table
from bolus.survival.target import SurvivalTarget, require_events


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportionality:
    """Test that the effect of one covariate does not change with time; "all" is the joint test.

    `correlation` is of the scaled Schoenfeld residuals with time: above 0, the effect grows. NaN
    for the joint test.
    """

    name: str
    correlation: float
    statistic: float
    p_value: float


def proportional_hazards(
    model: CoxModel,
    covariates: Table,
    target: SurvivalTarget,
    *,
    strata: Sequence[str] | None = None,
    clock: Literal["rank", "day"] = "rank",
) -> tuple[Proportionality, ...]:
    """Test by Schoenfeld's residuals whether hazards are proportional.

    A residual is the covariate of who had the event less its mean among those at risk. Scaled by
    the covariance they estimate β(t) - β, so a trend with time is a hazard ratio that changes.

    Args:
        model: fitted on the same data.
        covariates: (n, p) that it was fitted on.
        target: that it was fitted on.
        strata: as in the fit.
        clock: trend with the rank of the event among the events, or with its day.

    Returns:
        One row per covariate, and a last one named "all" for all together.

    Raises:
        MetadataError: shapes do not fit.

    Assumes:
        The variance of the covariates among those at risk changes little with time.

    Source:
        Grambsch and Therneau, Biometrika 1994;81:515-526, doi 10.1093/biomet/81.3.515.
    """
    table = finite_table(covariates, model.names, rows=target.count)
    require_events(target, 2, purpose="a test of proportional hazards")
    groups = model.stratum_rows(strata, target.count)
    standard = (table - model.means) / model.spreads
    sets = RiskSets(standard, target.days, target.event, target.entry, groups)
    beta = model.log_hazard_ratios * model.spreads
    covariance = model.covariance * np.outer(model.spreads, model.spreads)
    means = sets.at(beta).means
    tied = np.bincount(sets.group)[:, None]
    means = (np.add.reduceat(means, sets.starts, axis=0) / tied)[sets.group]
    residuals = standard[sets.events] - means
    days = target.days[sets.events]
    time = stats.rankdata(days) if clock == "rank" else days
    time = time - time.mean()
    trend = time @ residuals
    count, spread = len(time), float(time @ time)
    scaled = residuals @ covariance
    single = count * (trend @ covariance) ** 2 / (np.diag(covariance) * spread)
    rows = [
        Proportionality(
            name=name,
            correlation=float(np.corrcoef(time, scaled[:, j])[0, 1]),
            statistic=float(single[j]),
            p_value=float(stats.chi2.sf(single[j], 1)),
        )
        for j, name in enumerate(model.names)
    ]
    joint = float(count * trend @ covariance @ trend / spread)
    chance = float(stats.chi2.sf(joint, len(model.names)))
    rows.append(Proportionality(name="all", correlation=np.nan, statistic=joint, p_value=chance))
    return tuple(rows)

"""Cox's proportional hazards: fit, hazard ratios, predicted survival."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from bolus.errors import Code, LeakageError, MetadataError
from bolus.survival.libraries import require_lifelines
from bolus.survival.risk_sets import (
    SINGULAR,
    Coefficients,
    RiskSets,
    Square,
    Table,
    maximise,
    maximise_firth,
    unsolvable,
)
from bolus.survival.target import SurvivalTarget, require_events

Penalty = float | Literal["firth"]
_SCORE_TOLERANCE = 1e-3
"""How far from its maximum a fit may end, in standard errors of a coefficient."""
_WIDEST = 100.0
"""Largest standard error of ln hazard ratio per standard deviation; more is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRatio:
    """Hazard of one covariate `per` so many of its units, with interval and Wald's p-value."""

    name: str
    per: float
    value: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoxModel:
    """A fitted model h(t | x) = h₀(t) exp(β (x - means)), and whose data it saw.

    `log_hazard_ratios` are per unit of each covariate; `spreads` their standard deviations in the
    training data. `baseline_cumulative_hazard` is Breslow's, at `means`, one row per stratum, on
    `baseline_days`, the days with an event in any stratum. `last_days` is how far each stratum
    was followed: beyond it survival is NaN. `penalty` is ridge's weight, or "firth".
    """

    names: tuple[str, ...]
    log_hazard_ratios: Coefficients
    covariance: Square
    means: Coefficients
    spreads: Coefficients
    fitted_on: frozenset[str]
    baseline_days: Float[np.ndarray, " t"]
    baseline_cumulative_hazard: Float[np.ndarray, "strata t"]
    last_days: Float[np.ndarray, " strata"]
    events: int
    log_likelihood: float
    null_log_likelihood: float
    strata: tuple[str, ...] = field(default=("",))
    penalty: Penalty = 0.0

    def score(self, covariates: Table) -> Float[np.ndarray, " subjects"]:
        """Return ln of each subject's hazard over that at `means`; higher is worse."""
        return np.asarray((self._table(covariates) - self.means) @ self.log_hazard_ratios)

    def survival(
        self,
        covariates: Table,
        days: Float[np.ndarray, " t"],
        *,
        strata: Sequence[str] | None = None,
    ) -> Float[np.ndarray, "subjects t"]:
        """Return each subject's chance to be without the event on some days; NaN if not followed.

        Args:
            covariates: (n, p) in the order of `names`.
            days: (t,) since the origin of the training data.
            strata: the stratum of each subject; needed for a model that has some.

        Raises:
            MetadataError: the table has another shape, or a stratum is not known.
        """
        asked = np.asarray(days, np.float64)
        rows = self.stratum_rows(strata, len(self._table(covariates)))
        place = np.searchsorted(self.baseline_days, asked, side="right")
        padded = np.column_stack([np.zeros(len(self.strata)), self.baseline_cumulative_hazard])
        hazard = padded[:, place]
        hazard[asked[None, :] > self.last_days[:, None]] = np.nan
        return np.asarray(np.exp(-hazard[rows] * np.exp(self.score(covariates))[:, None]))

    def hazard_ratios(
        self, *, per: Mapping[str, float] | None = None, confidence: float = 0.95
    ) -> tuple[HazardRatio, ...]:
        """Return the hazard ratio of each covariate.

        Args:
            per: size of the step of a covariate, by name; 1 of its units where absent.
                `dict(zip(model.names, model.spreads))` gives ratios per standard deviation.
            confidence: of the interval.

        Raises:
            MetadataError: `per` names a covariate that the model does not have.
        """
        steps = dict(per or {})
        if unknown := set(steps) - set(self.names):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{min(unknown)!r} is none of the covariates {', '.join(self.names)}",
                mend="name covariates of the model",
            )
        z = float(stats.norm.ppf((1 + confidence) / 2))
        errors = np.sqrt(np.diag(self.covariance))
        rows = []
        for name, beta, error in zip(self.names, self.log_hazard_ratios, errors, strict=True):
            step = float(steps.get(name, 1.0))
            ends = sorted(float(np.exp(step * (beta + side * z * error))) for side in (-1, 1))
            rows.append(
                HazardRatio(
                    name=name,
                    per=step,
                    value=float(np.exp(step * beta)),
                    low=ends[0],
                    high=ends[1],
                    p_value=float(2 * stats.norm.sf(abs(beta) / error)),
                )
            )
        return tuple(rows)

    def require_unseen(self, subjects: Sequence[str]) -> None:
        """Refuse subjects that took part in the fit.

        Raises:
            LeakageError: some did.
        """
        if seen := self.fitted_on & set(subjects):
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"{len(seen)} of {len(subjects)} subjects were used to fit this model "
                f"(first: {min(seen)})",
                mend="test on subjects that the model did not see, or fit it on others",
            )

    def _table(self, covariates: Table) -> Table:
        return finite_table(covariates, self.names, rows=None)

    def stratum_rows(
        self, strata: Sequence[str] | None, count: int
    ) -> Int[np.ndarray, " subjects"]:
        """Return which stratum each of `count` subjects is in, as a row of the baseline.

        Raises:
            MetadataError: a stratum is not known to the model.
        """
        given = list(strata) if strata is not None else [""] * count
        unknown = set(given) - set(self.strata)
        if unknown or len(given) != count:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{len(given)} strata for {count} subjects, of which {sorted(unknown)[:3]} are "
                f"not in the model; it has {list(self.strata)}",
                mend="give the stratum of every subject, as the model was fitted",
            )
        return np.array([self.strata.index(name) for name in given], np.int64)


def fit_cox(
    covariates: Table,
    names: Sequence[str],
    target: SurvivalTarget,
    *,
    penalty: Penalty = 0.0,
    strata: Sequence[str] | None = None,
    solver: Literal["lifelines", "newton"] = "lifelines",
) -> CoxModel:
    """Fit Cox's proportional hazards model by the partial likelihood.

    Deaths of one day by Efron; late entry by risk sets that begin after it. A ridge penalty takes
    ½ penalty n Σ (sⱼ βⱼ)² off the log likelihood of n subjects, with sⱼ the standard deviation of
    a covariate; "firth" adds ½ ln |I(β)|, for rare habitats that separate the events. The
    covariance is the inverse of the curvature: of the penalised likelihood with ridge, of the
    plain one with Firth's.

    Args:
        covariates: (n, p), finite, in the order of the target's subjects.
        names: of the p covariates.
        target: what happened.
        penalty: weight of ridge per subject, 0 for none, or "firth".
        strata: a label per subject; each stratum has its own baseline hazard.
        solver: "newton" is that of `risk_sets`, for hundreds of fits: the same answer within 1e-4
            standard errors, in less than a tenth of the time. Firth's penalty always uses it.

    Raises:
        MetadataError: shapes do not fit, values are missing, there are fewer events than
            covariates, or the data do not determine the model.
        ResourceError: lifelines is asked for and not installed.

    Assumes:
        Hazards are proportional (see `proportional_hazards`), ln hazard is linear in every
        covariate, censoring and entry tell nothing beyond the covariates. With ridge, intervals
        are too narrow for the truth because they leave out the bias.

    Source:
        Cox, J R Stat Soc B 1972;34:187-220. Efron 1977, doi 10.1080/01621459.1977.10480613. Firth:
        Heinze and Schemper 2001, doi 10.1111/j.0006-341X.2001.00114.x. Fitted by lifelines
        (Davidson-Pilon, J Open Source Softw 2019;4:1317, doi 10.21105/joss.01317).
    """
    table = finite_table(covariates, names, rows=target.count)
    if penalty != "firth" and not 0 <= penalty < np.inf:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a penalty of {penalty}",
            mend='give 0 for none, a positive weight, or "firth"',
        )
    least = 2 if penalty else max(2, len(names))
    require_events(target, least, purpose=f"a hazard model of {len(names)} covariates")
    groups, labels = _strata(strata, target.count)
    means, spreads = table.mean(axis=0), table.std(axis=0, ddof=1)
    if not (spreads > 1e-12 * np.abs(means)).all():
        raise unsolvable()
    standard = (table - means) / spreads
    sets = RiskSets(standard, target.days, target.event, target.entry, groups)
    ridge = np.full(len(names), 0.0 if penalty == "firth" else penalty * target.count)
    if penalty == "firth":
        beta = maximise_firth(sets)
    elif solver == "newton":
        beta = maximise(sets, ridge=ridge)
    else:
        beta = _by_lifelines(standard, target, groups, penalty)
    found = sets.at(beta)
    curvature = found.information + np.diag(ridge)
    if np.linalg.cond(curvature) > SINGULAR:
        raise unsolvable()
    spread = np.linalg.inv(curvature)
    if penalty != "firth":
        _require_maximum(found.score - ridge * beta, spread)
    days, hazard = _breslow(sets, beta, target, groups, len(labels))
    return CoxModel(
        names=tuple(names),
        log_hazard_ratios=beta / spreads,
        covariance=spread / np.outer(spreads, spreads),
        means=means,
        spreads=spreads,
        fitted_on=frozenset(target.subjects),
        baseline_days=days,
        baseline_cumulative_hazard=hazard,
        last_days=np.array([target.days[groups == k].max() for k in range(len(labels))]),
        events=target.events,
        log_likelihood=found.value,
        null_log_likelihood=sets.at(np.zeros(len(names))).value,
        strata=labels,
        penalty=penalty,
    )


def finite_table(covariates: Table, names: Sequence[str], *, rows: int | None) -> Table:
    """Return covariates as finite numbers with one column per name.

    Args:
        covariates: (n, p).
        names: of the p columns, each once.
        rows: n that is expected, None for any.

    Raises:
        MetadataError: another shape, a name twice, or a value that is not finite.

    Assumes:
        Nothing; missing values are not filled in here.

    Source:
        A check; no publication.
    """
    table = np.asarray(covariates, np.float64)
    fits = table.ndim == 2 and table.shape[1] == len(names) > 0
    if not fits or (rows is not None and len(table) != rows):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"covariates of shape {table.shape}, expected ({rows or 'subjects'}, {len(names)})",
            mend="give one row per subject and one column per name",
        )
    if len(set(names)) < len(names) or not np.isfinite(table).all():
        without = [n for n, column in zip(names, table.T, strict=True) if not _finite(column)]
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a name is there twice, or values are missing in {without or list(names)}",
            mend="name each covariate once, and leave out subjects without a value",
        )
    return table


def _finite(column: Float[np.ndarray, " subjects"]) -> bool:
    return bool(np.isfinite(column).all())


def _strata(
    strata: Sequence[str] | None, count: int
) -> tuple[Int[np.ndarray, " subjects"], tuple[str, ...]]:
    if strata is None:
        return np.zeros(count, np.int64), ("",)
    if len(strata) != count:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(strata)} strata for {count} subjects",
            mend="give one stratum per subject",
        )
    labels, rows = np.unique(np.array(strata, dtype=str), return_inverse=True)
    return rows.astype(np.int64), tuple(str(label) for label in labels)


def _by_lifelines(
    standard: Table, target: SurvivalTarget, groups: Int[np.ndarray, " subjects"], penalty: float
) -> Coefficients:
    require_lifelines()
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    columns = [f"x{j}" for j in range(standard.shape[1])]
    frame = pd.DataFrame(standard, columns=columns)
    frame["days"], frame["event"], frame["stratum"] = target.days, target.event, groups
    late = {"entry_col": "entry"} if target.entry.any() else {}
    if late:
        frame["entry"] = target.entry
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is checked at the maximum, by us
        try:
            fitter = CoxPHFitter(penalizer=penalty, strata=["stratum"])
            fitter.fit(frame, "days", "event", fit_options={"precision": 1e-9}, **late)
        except (ConvergenceError, ValueError, np.linalg.LinAlgError) as error:
            raise unsolvable() from error
    return np.asarray(fitter.params_[columns], np.float64)


def _require_maximum(score: Coefficients, covariance: Square) -> None:
    """Refuse coefficients that are not where the likelihood is largest, or have no width."""
    errors = np.sqrt(np.diag(covariance))
    if not np.isfinite(errors).all() or (errors > _WIDEST).any():
        raise unsolvable()
    if (np.abs(covariance @ score) > _SCORE_TOLERANCE * errors).any():
        raise unsolvable()


def _breslow(
    sets: RiskSets,
    beta: Coefficients,
    target: SurvivalTarget,
    groups: Int[np.ndarray, " subjects"],
    strata: int,
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, "strata t"]]:
    """Return days with an event, and the cumulative hazard of each stratum at mean covariates."""
    own_days, own_groups = target.days[sets.events], groups[sets.events]
    days, place = np.unique(own_days, return_inverse=True)
    steps = np.zeros((strata, len(days)))
    np.add.at(steps, (own_groups, place), 1 / sets.at(beta).at_risk)
    return days, np.cumsum(steps, axis=1)

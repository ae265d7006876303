"""The partial likelihood of Cox's model, and the solver that resampling needs.

Lifelines fits what is reported. It has no Firth penalty, its residuals and baseline hazard know no
late entry, and it needs a tenth of a second a fit, too long for two hundred resamples. All of these
rest on the sums over risk sets that are here; tests hold the two solvers to each other.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from bolus.errors import Code, MetadataError

Table = Float[np.ndarray, "subjects covariates"]
Vector = Float[np.ndarray, " subjects"]
Coefficients = Float[np.ndarray, " covariates"]
Square = Float[np.ndarray, "covariates covariates"]

SINGULAR = 1e12
"""Condition of a curvature from which its inverse is no answer."""
_MOST_STEPS = 60
_STEP_TOLERANCE = 1e-9
_LARGEST_STEP = 5.0
_FLAT = 1e-2
"""Largest slope [per standard deviation] that a maximum of Firth's likelihood may be left with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likelihood:
    """Log partial likelihood at some coefficients, its slope, and minus its curvature.

    `means` is the expected covariate among those at risk, one row per event in the order of
    `RiskSets.events`; `at_risk` the sum of relative hazards there, without Efron's correction.
    """

    value: float
    score: Coefficients
    information: Square
    means: Float[np.ndarray, "events covariates"]
    at_risk: Float[np.ndarray, " events"]


class RiskSets:
    """Who was at risk at each event: under observation before it and until it or longer.

    Several strata each have their own risk sets. Deaths of one day are handled as Efron does.

    Args:
        covariates: (n, p).
        days: (n,) end of observation.
        event: (n,) whether it ended with the event.
        entry: (n,) beginning of observation.
        strata: (n,) whole numbers from 0, or None for one stratum.

    Assumes:
        Entry before the end for every row.

    Source:
        Efron, J Am Stat Assoc 1977;72:557-565, doi 10.1080/01621459.1977.10480613.
    """

    def __init__(
        self,
        covariates: Table,
        days: Vector,
        event: Bool[np.ndarray, " subjects"],
        entry: Vector,
        strata: Int[np.ndarray, " subjects"] | None = None,
    ) -> None:
        if strata is not None:  # strata follow each other on one long axis of time
            shift = strata * (float(days.max()) + 1.0)
            days, entry = days + shift, entry + shift
        self.covariates = covariates
        order = np.flatnonzero(event)
        self.events: Int[np.ndarray, " events"] = order[np.argsort(days[order], kind="stable")]
        times = days[self.events]
        _, self.group, size = np.unique(times, return_inverse=True, return_counts=True)
        self.starts = np.concatenate([[0], np.cumsum(size)[:-1]]).astype(np.int64)
        self.fraction = (np.arange(len(times)) - self.starts[self.group]) / size[self.group]
        self._by_days = np.argsort(days, kind="stable")
        self._by_entry = np.argsort(entry, kind="stable")
        self._since = np.searchsorted(days[self._by_days], times[self.starts], "left")
        self._not_yet = np.searchsorted(entry[self._by_entry], times[self.starts], "left")

    def at(self, coefficients: Coefficients) -> Likelihood:
        """Return the log partial likelihood and its derivatives at some coefficients."""
        x = self.covariates
        p = x.shape[1]
        linear = x @ coefficients
        top = float(linear.max())
        weight = np.exp(linear - top)
        products = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
        terms = weight[:, None] * np.column_stack([np.ones(len(x)), x, products])
        everyone = self._from(terms[self._by_days], self._since)
        sums = everyone - self._from(terms[self._by_entry], self._not_yet)
        deaths = np.add.reduceat(terms[self.events], self.starts, axis=0)
        each = sums[self.group] - self.fraction[:, None] * deaths[self.group]
        means = each[:, 1 : p + 1] / each[:, :1]
        second = (each[:, p + 1 :] / each[:, :1]).sum(axis=0).reshape(p, p)
        return Likelihood(
            value=float((linear[self.events] - top - np.log(each[:, 0])).sum()),
            score=(x[self.events] - means).sum(axis=0),
            information=second - means.T @ means,
            means=means,
            at_risk=sums[self.group, 0] * np.exp(top),
        )

    @staticmethod
    def _from(
        terms: Float[np.ndarray, "subjects terms"], first: Int[np.ndarray, " days"]
    ) -> Float[np.ndarray, "days terms"]:
        """Sum rows from `first` to the last."""
        padded = np.concatenate([terms, np.zeros((1, terms.shape[1]))])
        return np.asarray(np.cumsum(padded[::-1], axis=0)[::-1][first])


def maximise(sets: RiskSets, *, ridge: Coefficients) -> Coefficients:
    """Return the coefficients of the largest partial likelihood less ½ Σ ridge β².

    Newton's method with halved steps. The function is concave, so there is one answer.

    Args:
        sets: of the data.
        ridge: (p,) weight of each squared coefficient; zeros for none.

    Raises:
        MetadataError: no finite answer: a covariate separates events, or repeats others.

    Assumes:
        Covariates are of order one (standardise them first).

    Source:
        Therneau and Grambsch, Modeling Survival Data, Springer 2000, section 3.1.
    """
    beta = np.zeros(sets.covariates.shape[1])
    now = sets.at(beta)
    height = now.value
    for _ in range(_MOST_STEPS):
        curvature = now.information + np.diag(ridge)
        if np.linalg.cond(curvature) > SINGULAR:
            raise unsolvable()
        step = np.linalg.solve(curvature, now.score - ridge * beta)
        step *= min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), 1e-300))
        while float(np.abs(step).max()) > _STEP_TOLERANCE:
            then = sets.at(beta + step)
            reached = then.value - 0.5 * float(ridge @ (beta + step) ** 2)
            if reached >= height - 1e-12 * abs(height):
                break
            step /= 2
        if float(np.abs(step).max()) <= _STEP_TOLERANCE:
            return np.asarray(beta)
        beta, now, height = beta + step, then, reached
    raise unsolvable()


def maximise_firth(sets: RiskSets) -> Coefficients:
    """Return the coefficients of the largest partial likelihood with Firth's penalty.

    The penalty is ½ ln |I(β)|. Estimates are finite where a covariate separates the events.

    Args:
        sets: of the data.

    Raises:
        MetadataError: a covariate is constant, or repeats others.

    Assumes:
        Covariates are of order one (standardise them first).

    Source:
        Heinze and Schemper, Biometrics 2001;57:114-119, doi 10.1111/j.0006-341X.2001.00114.x.
    """
    from scipy.optimize import minimize

    def loss(beta: Coefficients) -> float:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            found = sets.at(beta)
            sign, logarithm = np.linalg.slogdet(found.information)
            height = found.value + 0.5 * float(logarithm)
        return -height if sign > 0 and np.isfinite(height) else np.inf

    start = np.zeros(sets.covariates.shape[1])
    if np.linalg.cond(sets.at(start).information) > 1e12:
        raise unsolvable()
    found = minimize(loss, start, method="BFGS", options={"gtol": 1e-4})
    beta = np.asarray(found.x, np.float64)
    if not np.isfinite(found.fun) or float(np.abs(found.jac).max()) > _FLAT:
        raise unsolvable()
    return beta


def unsolvable() -> MetadataError:
    """Return the error of a model that these data cannot determine.

    Assumes:
        Nothing.

    Source:
        A message; no publication.
    """
    return MetadataError(
        Code.OUTCOMES_TOO_FEW,
        "the hazard model has no finite answer: a covariate separates those with the event from "
        "those without, or is constant, or is a sum of others",
        mend="leave the covariate out, or give a penalty",
    )

"""Recurrence or treatment effect: a calibrated classifier on habitats, and what it is held to."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float, Int

from bolus.core.learned import Split
from bolus.core.randomness import stream
from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.cohort_table import SMALL_ML, HabitatCohort, HabitatRow

_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Inverse weights of the ridge penalty that validation patients choose from."""
_FOLDS = 5
_MOST_STEPS = 60
_STEP_TOLERANCE = 1e-9
_LEAST = 8
"""Fewest patients of either kind to fit on."""
FEATURE_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "growth and shares": ("growth", "share"),
        "growth": ("growth",),
        "shares of one visit": ("share",),
    }
)
"""What the classifier may look at; validation patients choose."""

Table = Float[np.ndarray, "patients features"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecurrenceModel:
    """Logistic model of standardised habitat features; the probability is calibrated.

    logit P = `slope` · (`intercept` + Σ `weights` (x - `means`) / `spreads`) + `shift`, slope and
    shift from predictions of patients that were left out of the fit (Platt). `kind` is a key of
    `FEATURE_SETS`, `strength` the inverse weight of ridge.
    """

    kind: str
    names: tuple[str, ...]
    means: Float[np.ndarray, " features"]
    spreads: Float[np.ndarray, " features"]
    weights: Float[np.ndarray, " features"]
    intercept: float
    slope: float
    shift: float
    strength: float
    fitted_on: frozenset[str]

    def log_odds(self, cohort: HabitatCohort) -> Float[np.ndarray, " patients"]:
        """Return the calibrated log odds of recurrence."""
        table, _ = habitat_features(cohort, self.kind)
        linear = (table - self.means) / self.spreads @ self.weights + self.intercept
        return np.asarray(self.slope * linear + self.shift)

    def probability(self, cohort: HabitatCohort) -> Float[np.ndarray, " patients"]:
        """Return the calibrated probability of recurrence."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds(cohort))))

    def require_unseen(self, subjects: frozenset[str]) -> None:
        """Refuse subjects that took part in fit, choice or calibration.

        Raises:
            LeakageError: some did.
        """
        if seen := self.fitted_on & subjects:
            raise LeakageError(
                Code.SPLIT_LEAKS,
                f"the classifier was fitted on {len(seen)} of {len(subjects)} subjects (first: "
                f"{min(seen)})",
                mend="test on subjects that it did not see",
            )


def habitat_features(cohort: HabitatCohort, kind: str) -> tuple[Table, tuple[str, ...]]:
    """Return features of every patient's habitats, and their names.

    Growth is ln((V₂ + 0.1 mL) / (V₁ + 0.1 mL)) of every habitat between the two visits; a share is
    the habitat's part of the lesion at the second visit, the last habitat left out.

    Args:
        cohort: the patients.
        kind: a key of `FEATURE_SETS`.

    Raises:
        MetadataError: another kind.

    Assumes:
        Volumes below 0.1 mL cannot be told from nothing.

    Source:
        Set by us.
    """
    if kind not in FEATURE_SETS:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{kind!r} is none of {', '.join(FEATURE_SETS)}",
            mend="choose one of them",
        )
    growth = np.log((cohort.after_ml + SMALL_ML) / (cohort.before_ml + SMALL_ML))
    share = cohort.after_ml / np.maximum(cohort.after_ml.sum(axis=1, keepdims=True), 1e-9)
    columns, names = [], []
    if "growth" in FEATURE_SETS[kind]:
        columns.append(growth)
        names += [f"growth of {name}" for name in cohort.habitats]
    if "share" in FEATURE_SETS[kind]:
        columns.append(share[:, :-1])
        names += [f"share of {name}" for name in cohort.habitats[:-1]]
    return np.column_stack(columns), tuple(names)


def rival_measures(rows: tuple[HabitatRow, ...]) -> dict[str, Float[np.ndarray, " patients"]]:
    """Return the measures that the classifier is held to, by name; higher means recurrence.

    Args:
        rows: the patients.

    Assumes:
        Recurrence has more blood volume than treatment effect. A lesion that grows more is no
        sign of either; its growth stands here because habitats contain it.

    Source:
        As `blood_measures`; mean nCBV: Patel et al., Neuro Oncol 2017;19:118 (meta-analysis).
    """
    last, first = [row.blood_after for row in rows], [row.blood_before for row in rows]
    grown = [
        np.log((sum(row.after_ml.values()) + SMALL_ML) / (sum(row.before_ml.values()) + SMALL_ML))
        for row in rows
    ]
    return {
        "mean nCBV": np.array([blood.mean for blood in last]),
        "95th percentile of nCBV": np.array([blood.p95 for blood in last]),
        "fractional tumour burden": np.array([blood.burden for blood in last]),
        "share with nCBV above 1.0": np.array([blood.low_burden for blood in last]),
        "change of mean nCBV": np.array(
            [b.mean - a.mean for a, b in zip(first, last, strict=True)]
        ),
        "growth of the lesion": np.array(grown),
    }


def fit_recurrence(cohort: HabitatCohort, split: Split, *, seed: int) -> RecurrenceModel:
    """Fit the classifier on training and validation patients; the test part is not touched.

    Features and strength of ridge are those of the smallest log loss on validation patients when
    fitted on training patients. The chosen model is fitted on both, and calibrated (Platt) on
    predictions of five folds of patients, each predicted without its own.

    Args:
        cohort: rows with known recurrence.
        split: of its subjects.
        seed: of the folds.

    Raises:
        MetadataError: fewer than 8 patients of either kind to fit on.

    Assumes:
        One row a patient, so that folds of rows are folds of patients.

    Source:
        Platt, Advances in Large Margin Classifiers, MIT Press 1999, 61-74.
    """
    training, validation = cohort.part(split.training), cohort.part(split.validation)
    development = cohort.part(split.development)
    label = development.recurrence
    if min(label.sum(), (~label).sum(), training.recurrence.sum()) < _LEAST:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{label.sum()} recurrences and {(~label).sum()} treatment effects to fit on",
            mend=f"give at least {_LEAST} of each",
        )
    kind, strength = _choose(training, validation)
    table, names = habitat_features(development, kind)
    means, spreads, weights, intercept = _fit(table, label, strength)
    left_out = _left_out_odds(table, label, strength, seed=seed)
    slope, shift = _platt(left_out, label)
    return RecurrenceModel(
        kind=kind,
        names=names,
        means=means,
        spreads=spreads,
        weights=weights,
        intercept=intercept,
        slope=slope,
        shift=shift,
        strength=strength,
        fitted_on=frozenset(development.subjects),
    )


def _choose(training: HabitatCohort, validation: HabitatCohort) -> tuple[str, float]:
    """Return features and strength with the smallest log loss on validation patients."""
    best, chosen = np.inf, ("", 0.0)
    for kind in FEATURE_SETS:
        table, _ = habitat_features(training, kind)
        judged, _ = habitat_features(validation, kind)
        for strength in _STRENGTHS:
            means, spreads, weights, intercept = _fit(table, training.recurrence, strength)
            odds = (judged - means) / spreads @ weights + intercept
            loss = float(np.logaddexp(0, np.where(validation.recurrence, -odds, odds)).mean())
            if loss < best:
                best, chosen = loss, (kind, strength)
    return chosen


def _fit(
    table: Table, label: Bool[np.ndarray, " patients"], strength: float
) -> tuple[
    Float[np.ndarray, " features"],
    Float[np.ndarray, " features"],
    Float[np.ndarray, " features"],
    float,
]:
    """Return centres, spreads, weights and intercept of a logistic model with ridge."""
    means, spreads = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-6)
    found = _logistic((table - means) / spreads, label.astype(np.float64), ridge=1 / strength)
    return means, spreads, found[1:], float(found[0])


def _logistic(
    table: Table, wanted: Float[np.ndarray, " patients"], *, ridge: float
) -> Float[np.ndarray, " coefficients"]:
    """Return intercept and weights of the largest log likelihood less ½ ridge Σ weights².

    Newton's method; `wanted` are probabilities from 0 to 1. The function is concave, and with a
    penalty its steps shrink.
    """
    design = np.column_stack([np.ones(len(table)), table])
    penalty = np.diag([1e-9, *np.full(table.shape[1], ridge)])
    found = np.zeros(design.shape[1])
    for _ in range(_MOST_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        slope = design.T @ (wanted - chance) - penalty @ found
        curvature = design.T @ (design * (chance * (1 - chance))[:, None]) + penalty
        step = np.clip(np.linalg.solve(curvature, slope), -2.0, 2.0)
        found = found + step
        if np.abs(step).max() < _STEP_TOLERANCE:
            break
    return np.asarray(found)


def _left_out_odds(
    table: Table, label: Bool[np.ndarray, " patients"], strength: float, *, seed: int
) -> Float[np.ndarray, " patients"]:
    """Return log odds of every patient from a model that did not see the patient."""
    fold = _folds(label, seed=seed)
    odds = np.empty(len(table))
    for n in range(_FOLDS):
        own = fold == n
        means, spreads, weights, intercept = _fit(table[~own], label[~own], strength)
        odds[own] = (table[own] - means) / spreads @ weights + intercept
    return odds


def _folds(label: Bool[np.ndarray, " patients"], *, seed: int) -> Int[np.ndarray, " patients"]:
    """Deal patients to folds, both kinds evenly."""
    random = stream(seed, "habitats", "folds")
    fold = np.empty(len(label), np.int64)
    for kind in (False, True):
        own = random.permutation(np.flatnonzero(label == kind))
        fold[own] = np.arange(len(own)) % _FOLDS
    return fold


def _platt(
    odds: Float[np.ndarray, " patients"], label: Bool[np.ndarray, " patients"]
) -> tuple[float, float]:
    """Return slope and shift of the log odds; a slope below 0 (no signal) becomes 0.

    Targets are drawn in from 0 and 1 as Platt does, so that kinds that are told apart without an
    error do not become certain.
    """
    ones, zeros = int(label.sum()), int((~label).sum())
    wanted = np.where(label, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    shift, slope = _logistic(odds[:, None], wanted, ridge=1e-6)
    if slope > 0:
        return float(slope), float(shift)
    return 0.0, float(np.log(ones / zeros))

"""What the analyses of a cohort give, as values for tables, figures and files."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.habitats.track import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCount:
    """How many patients a part of the cohort has, and with how many of them it happened.

    `part` is "training", "validation" or "test"; `events` counts progressions or deaths, or the
    recurrences among lesions whose truth is known.
    """

    part: str
    patients: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HazardRow:
    """A hazard ratio of one covariate: for `per` more of it, such as "1 mL" or "1 SD (2.3 mL)".

    `adjusted` says whether the other covariates stand in the same model.
    """

    name: str
    per: str
    ratio: Interval
    p_value: float
    adjusted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcordanceRow:
    """How well a score orders patients of the test part by their time, with 95 % intervals."""

    name: str
    harrell: Interval
    uno: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeAucRow:
    """Area under the time-dependent ROC curve of one score at `days` after the second visit."""

    name: str
    days: Float[np.ndarray, " times"]
    auc: Float[np.ndarray, " times"]
    lower: Float[np.ndarray, " times"]
    upper: Float[np.ndarray, " times"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalStratum:
    """A Kaplan-Meier curve of the patients with one value of the rule's score, from the landmark.

    `days` count from the landmark (the second visit); `lower` and `upper` are pointwise 95 %;
    `at_risk` belongs to `at_risk_days`. `median_days` is infinite where it was not reached.
    """

    name: str
    patients: int
    events: int
    days: Float[np.ndarray, " steps"]
    survival: Float[np.ndarray, " steps"]
    lower: Float[np.ndarray, " steps"]
    upper: Float[np.ndarray, " steps"]
    at_risk_days: Float[np.ndarray, " ticks"]
    at_risk: Float[np.ndarray, " ticks"]
    median_days: Interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationCurve:
    """Predicted against observed probability in groups of patients by their prediction.

    `slope` is 1 and `brier` small where probabilities can be taken at their word.
    """

    predicted: Float[np.ndarray, " groups"]
    observed: Float[np.ndarray, " groups"]
    lower: Float[np.ndarray, " groups"]
    upper: Float[np.ndarray, " groups"]
    slope: Interval
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecisionCurves:
    """Net benefit at every threshold, by name of the score; "all" and "none" are among them."""

    thresholds: Float[np.ndarray, " thresholds"]
    net_benefit: Mapping[str, Float[np.ndarray, " thresholds"]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RocRow:
    """ROC curve of one score on the test part, and its area with a 95 % interval (DeLong)."""

    name: str
    auc: Interval
    false_positives: Float[np.ndarray, " points"]
    true_positives: Float[np.ndarray, " points"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AucComparison:
    """The classifier's AUC minus that of `against` on the same patients, by DeLong's test."""

    against: str
    difference: Interval
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedControl:
    """The whole analysis with exchanged outcomes: there is nothing, and how often it finds some.

    `centre` is the mean AUC or C over `runs`, `spread` its standard deviation, `false_positives`
    the share of runs whose p-value is below 0.05.
    """

    runs: int
    centre: float
    spread: float
    false_positives: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalAnalysis:
    """Habitat change at the second visit against time to an event, from there on.

    `outcome` is a key of `HabitatCohort.targets`. `hazards` come from the model fitted on training
    and validation patients: every covariate per unit and per standard deviation, and habitats
    alone (`adjusted=False`). `rule_hazards` are those of the rule's scores against score 0,
    adjusted. `concordance`, `time_auc`, `strata`, `calibration` and `decision` are of the test
    part, which took no part in any choice. `apparent_c` and `corrected_c` are on the fitted part
    without and with correction for optimism. `proportional` has the p-value of Schoenfeld's test
    by covariate, "all" for all together. `horizon_days` is what `calibration` and `decision`
    predict the event within, from the second visit; `time_auc` counts from there as well.
    `permuted` is the control with exchanged outcomes, if it was run. `left_out` names patients
    without a row and why. `assumptions` are sentences for the report.
    """

    outcome: str
    counts: tuple[PartCount, ...]
    limits_ml: Mapping[str, float]
    cut_offs_ml: Mapping[str, float]
    hazards: tuple[HazardRow, ...]
    rule_hazards: tuple[HazardRow, ...]
    concordance: tuple[ConcordanceRow, ...]
    time_auc: tuple[TimeAucRow, ...]
    strata: tuple[SurvivalStratum, ...]
    logrank_p: float
    apparent_c: float
    corrected_c: float
    calibration: CalibrationCurve
    decision: DecisionCurves
    horizon_days: float
    proportional: Mapping[str, float]
    permuted: PermutedControl | None
    left_out: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecurrenceAnalysis:
    """Habitats against known measures of blood volume: recurrence or treatment effect.

    `rocs`, `comparisons`, `calibration` and `decision` are of the test part. The first of `rocs`
    is the classifier ("habitats"); the others are what it is compared with. `probability` and
    `recurrence` hold the test patients in the order of `subjects`. `weights` are the classifier's
    log odds per standard deviation of each feature.
    """

    counts: tuple[PartCount, ...]
    weights: Mapping[str, float]
    rocs: tuple[RocRow, ...]
    comparisons: tuple[AucComparison, ...]
    calibration: CalibrationCurve
    decision: DecisionCurves
    permuted: PermutedControl
    subjects: tuple[str, ...]
    probability: Float[np.ndarray, " patients"]
    recurrence: Bool[np.ndarray, " patients"]
    left_out: tuple[tuple[str, str], ...]
    assumptions: tuple[str, ...]

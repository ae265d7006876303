"""An invented cohort with analyses as they are for a paper; no model is fitted."""

import numpy as np

from bolus.core import Provenance
from bolus.core.learned import Split
from bolus.habitats import Interval
from bolus.habitats.analyses import (
    AucComparison,
    CalibrationCurve,
    ConcordanceRow,
    DecisionCurves,
    HazardRow,
    PartCount,
    PermutedControl,
    RecurrenceAnalysis,
    RocRow,
    SurvivalAnalysis,
    SurvivalStratum,
    TimeAucRow,
)
from bolus.habitats.cohort_table import (
    BloodMeasures,
    Followed,
    HabitatCohort,
    HabitatRow,
)
from bolus.report.habitats_findings import HabitatCohortFindings

_BLOOD = BloodMeasures(mean=1.9, p95=4.1, burden=0.45, low_burden=0.8)
_THRESHOLDS = np.linspace(0.05, 0.95, 19)


def cohort_findings() -> HabitatCohortFindings:
    """Return the findings of an invented cohort of 40 patients; deterministic."""
    rng = np.random.default_rng(2)
    rows = tuple(_patient(n, rng) for n in range(40))
    names = [row.subject for row in rows]
    return HabitatCohortFindings(
        label="cohort",
        version="0.0.0",
        created="2026-11-23 01:00 UTC",
        cohort=HabitatCohort(rows, (("p90", "one visit only"), ("p91", "one visit only"))),
        split=Split(
            training=frozenset(names[:18]),
            validation=frozenset(names[18:24]),
            test=frozenset(names[24:]),
        ),
        survival=survival_analysis(),
        recurrence=recurrence_analysis(),
        provenance=Provenance(),
        warnings=("The model of the habitats was fitted on simulated patients.",),
    )


def _patient(n: int, rng: np.random.Generator) -> HabitatRow:
    before = dict(
        zip(("hypervascular", "hypovascular", "nonviable"), 4 * rng.random(3), strict=True)
    )
    clinical = {"age_years": 45 + 30 * rng.random(), "mgmt_methylated": float(n % 2)}
    if n % 7:
        clinical["kps"] = 80.0
    return HabitatRow(
        subject=f"p{n:02d}",
        scanner=f"scanner{n % 3}",
        landmark_day=60.0 + n,
        before_ml=before,
        after_ml={name: value + rng.normal() for name, value in before.items()},
        blood_before=_BLOOD,
        blood_after=_BLOOD,
        clinical=clinical,
        outcomes={"progression": Followed(days=100.0 + 9 * n, event=bool(n % 3))},
        recurrence=(True, False, None)[n % 3],
    )


def survival_analysis() -> SurvivalAnalysis:
    """Return an invented survival analysis with every part filled."""
    hazards = []
    for name, unit, sd, ratio, p in (
        ("hypervascular", "1 mL", "1 SD (1.4 mL)", (1.62, 1.21, 2.17), 0.001),
        ("hypovascular", "1 mL", "1 SD (3.2 mL)", (1.11, 1.01, 1.22), 0.03),
        ("age_years", "1 year", "1 SD (9.5)", (1.02, 0.99, 1.06), 0.2),
        ("kps", "1 point", "1 SD (11)", (0.98, 0.95, 1.01), 0.00002),
    ):
        for per in (unit, sd):
            hazards.append(_hazard(name, per, ratio, p, adjusted=True))
            if name.startswith("hyp"):
                hazards.append(_hazard(name, per, ratio, p / 2, adjusted=False))
    scores = ("habitats and clinic", "clinic alone", "rule")
    days = np.array([90.0, 180.0, 270.0])
    return SurvivalAnalysis(
        outcome="progression",
        counts=(_count("training", 18, 12), _count("validation", 6, 4), _count("test", 16, 11)),
        limits_ml={"hypervascular": 4.0, "hypovascular": np.inf},
        cut_offs_ml={"hypervascular": 0.8, "hypovascular": 2.1},
        hazards=tuple(hazards),
        rule_hazards=(
            _hazard("score 1", "against score 0", (1.9, 0.9, 4.0), 0.09, adjusted=True),
            _hazard("score 2", "against score 0", (5.2, 2.0, 41.0), 0.004, adjusted=True),
        ),
        concordance=tuple(
            ConcordanceRow(
                name=name, harrell=_around(0.74 - 0.06 * n), uno=_around(0.72 - 0.06 * n)
            )
            for n, name in enumerate(scores)
        ),
        time_auc=tuple(
            TimeAucRow(
                name=name, days=days, auc=np.full(3, 0.8 - 0.05 * n),
                lower=np.full(3, 0.65), upper=np.full(3, 0.92),
            )
            for n, name in enumerate(scores)
        ),
        strata=(_stratum("score 0", 90.0), _stratum("score 1", 60.0), _stratum("score 2", 30.0)),
        logrank_p=0.0004,
        apparent_c=0.761,
        corrected_c=0.738,
        calibration=_calibration(),
        decision=DecisionCurves(
            thresholds=_THRESHOLDS,
            net_benefit={
                "habitats and clinic": 0.45 - 0.45 * _THRESHOLDS,
                "clinic alone": 0.43 - 0.5 * _THRESHOLDS,
                "all": 0.45 - 1.5 * _THRESHOLDS**2,
                "none": np.zeros(len(_THRESHOLDS)),
            },
        ),
        horizon_days=180.0,
        proportional={"hypervascular": 0.6, "age_years": 0.02, "all": 0.3},
        permuted=PermutedControl(runs=200, centre=0.502, spread=0.06, false_positives=0.045),
        left_out=(
            ("p90", "one visit only"),
            ("p91", "one visit only"),
            ("p03", "progression came before the second visit"),
        ),
        assumptions=("Shrinkage of a habitat adds no hazard.",),
    )  # fmt: skip


def recurrence_analysis() -> RecurrenceAnalysis:
    """Return an invented recurrence analysis with every part filled."""
    grid = np.linspace(0, 1, 21)
    names = ("habitats", "mean nCBV", "95th percentile of nCBV", "fractional tumour burden")
    return RecurrenceAnalysis(
        counts=(_count("training", 14, 8), _count("validation", 5, 3), _count("test", 13, 7)),
        weights={"hypervascular increase": 1.2, "ncbv_mean": 0.4},
        rocs=tuple(
            RocRow(
                name=name, auc=_around(0.9 - 0.08 * n), false_positives=grid,
                true_positives=grid ** (0.12 + 0.12 * n),
            )
            for n, name in enumerate(names)
        ),
        comparisons=tuple(
            AucComparison(against=name, difference=Interval(0.08 * n, 0.01, 0.2), p_value=p)
            for n, (name, p) in enumerate(zip(names[1:], (0.03, 0.01, 0.02), strict=True), start=1)
        ),
        calibration=_calibration(),
        decision=DecisionCurves(
            thresholds=_THRESHOLDS,
            net_benefit={
                "habitats": 0.5 - 0.3 * _THRESHOLDS,
                "all": 0.5 - _THRESHOLDS**2,
                "none": np.zeros(len(_THRESHOLDS)),
            },
        ),
        permuted=PermutedControl(runs=200, centre=0.497, spread=0.12, false_positives=0.05),
        subjects=("p24", "p25"),
        probability=np.array([0.9, 0.2]),
        recurrence=np.array([True, False]),
        left_out=(("p02", "recurrence is not known or was not asked"),),
        assumptions=("The truth was found without looking at perfusion.",),
    )  # fmt: skip


def _hazard(
    name: str, per: str, ratio: tuple[float, float, float], p_value: float, *, adjusted: bool
) -> HazardRow:
    return HazardRow(name=name, per=per, ratio=Interval(*ratio), p_value=p_value, adjusted=adjusted)


def _count(part: str, patients: int, events: int) -> PartCount:
    return PartCount(part=part, patients=patients, events=events)


def _around(value: float) -> Interval:
    return Interval(value, value - 0.09, value + 0.07)


def _stratum(name: str, step: float) -> SurvivalStratum:
    days = step * np.arange(1.0, 6.0)
    survival = np.linspace(0.85, 0.15, 5)
    reached = name != "score 0"
    return SurvivalStratum(
        name=name,
        patients=6,
        events=5,
        days=days,
        survival=survival,
        lower=np.clip(survival - 0.15, 0, 1),
        upper=np.clip(survival + 0.15, 0, 1),
        at_risk_days=np.array([0.0, 180.0, 360.0]),
        at_risk=np.array([6.0, 3.0, 1.0]) if reached else np.array([6.0, 5.0, 2.0]),
        median_days=Interval(
            3 * step if reached else np.inf, 2 * step, 5 * step if reached else np.inf
        ),
    )


def _calibration() -> CalibrationCurve:
    predicted = np.array([0.12, 0.35, 0.6, 0.88])
    observed = np.array([0.1, 0.4, 0.55, 0.9])
    return CalibrationCurve(
        predicted=predicted,
        observed=observed,
        lower=np.clip(observed - 0.2, 0, 1),
        upper=np.clip(observed + 0.2, 0, 1),
        slope=Interval(0.94, 0.61, 1.27),
        brier=0.163,
    )

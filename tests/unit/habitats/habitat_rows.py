"""Rows of patients whose hazard and recurrences are written down; no lesion is simulated."""

import numpy as np

from bolus.habitats.cohort_table import BloodMeasures, Followed, HabitatCohort, HabitatRow

RATIO_PER_ML = {"hypervascular": 1.9, "hypovascular": 1.5}
LIMITS_ML = {"hypervascular": 2.0, "hypovascular": 4.0}
HABITATS = ("hypervascular", "hypovascular", "nonviable")


def _blood(mean):
    return BloodMeasures(mean=mean, p95=2 * mean, burden=min(mean / 4, 1.0), low_burden=0.5)


def habitat_row(number, random, *, told=True):
    """Return a patient: tumour grows in half, dead tissue in the others, hazard by the ratios."""
    tumour = bool(random.random() < 0.5)
    first = random.lognormal(0.0, 0.6, 3)
    growth = random.lognormal(0.0, 1.0, 3) * ([0.5, 1.5, 0.6] if tumour else [0.1, 0.3, 2])
    wander = random.normal(0, 0.3, 3)
    after = np.maximum(first + growth + wander, 0.0)
    age = random.normal(60, 10)
    risen = np.clip(after - first, 0, [*LIMITS_ML.values(), 0])[:2]
    log_ratio = float(risen @ np.log(list(RATIO_PER_ML.values()))) + 0.03 * (age - 60)
    landmark = float(random.uniform(60, 110))
    early = random.random() < 0.1
    event_day = landmark * 0.5 if early else landmark + random.exponential(300 / np.exp(log_ratio))
    end = landmark + random.uniform(100, 900)
    mean = 1.5 + 0.5 * tumour + random.normal(0, 0.5)
    days = float(min(event_day, end))
    return HabitatRow(
        subject=f"{number:04d}",
        scanner=f"scanner-{number % 3}",
        landmark_day=landmark,
        before_ml=dict(zip(HABITATS, first.tolist(), strict=True)),
        after_ml=dict(zip(HABITATS, after.tolist(), strict=True)),
        blood_before=_blood(1.6),
        blood_after=_blood(mean),
        clinical={"age_years": float(age), "kps": 80.0},
        outcomes={"progression": Followed(days=days, event=bool(event_day < end))},
        recurrence=tumour if told else None,
    )


def habitat_rows(count, *, seed):
    """Return a cohort."""
    random = np.random.default_rng(seed)
    return HabitatCohort(tuple(habitat_row(n, random) for n in range(count)))

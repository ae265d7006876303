"""Exams of formula: mutants have a shallow bolus; echo time, gain and repetition time are free."""

import numpy as np

from bolus.core import Acquisition, CurveCohort, CurveExam, SessionKey, TimeAxis


def passage(seconds, arrival_s):
    since = np.maximum(seconds - arrival_s, 0) / 4.0
    return since**2 * np.exp(2 * (1 - since / 1.0)) + 0.1 * (seconds > arrival_s + 12)


def exam(
    name="01", *, mutant=False, step_s=1.5, frames=60, echo_s=0.03, gain=500.0, arrival_s=20.0,
    missing=(), noise=0.0, seed=0, site="a", reference=True, labels=None,
):  # fmt: skip
    seconds = step_s * np.arange(frames)
    rate = 12.0 * passage(seconds, arrival_s)
    depth = 1.0 if mutant else 2.0
    ratios = np.array([2.0, 0.8, 1.0, 1.2, 8.0]) * np.array([depth, depth, 1, depth, 1])
    random = np.random.default_rng([seed, 5])
    regions = gain * np.exp(-echo_s * ratios[:, None] * rate)
    regions *= 1 + noise * random.standard_normal(regions.shape)
    regions[list(missing)] = np.nan
    voxels = gain * np.exp(-echo_s * np.linspace(0.5, 2 * depth, 50)[:, None] * rate)
    white = gain * np.exp(-echo_s * rate) * (1 + noise * random.standard_normal(frames) / 10)
    return CurveExam(
        key=SessionKey(name),
        site=site,
        time=TimeAxis.regular(frames, step_s=step_s),
        acquisition=Acquisition(echo_time_s=echo_s, flip_angle_deg=60.0, field_strength_t=3.0),
        regions=regions,
        voxels=voxels,
        reference=white if reference else np.full(frames, np.nan),
        labels={"idh": "mutant" if mutant else "wildtype"} if labels is None else labels,
    )


def cohort(count, *, start=0):
    return CurveCohort(
        exams=tuple(
            exam(f"{n:03d}", mutant=n % 2 == 0, noise=0.02, seed=n, missing=(2,) * (n % 5 == 0))
            for n in range(start, start + count)
        )
    )

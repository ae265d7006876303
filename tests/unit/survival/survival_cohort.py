"""A cohort with a known hazard, and other libraries to hold ours to."""

import sys
import warnings
from importlib import import_module

import numpy as np
import pytest

from bolus.survival import SurvivalTarget

NAMES = ("habitat", "age", "volume", "mgmt")
LOG_RATIOS = np.array([0.7, 0.03, 0.0, -0.6])


def draw(seed=0, subjects=300, *, tied=True, late=False, effects=LOG_RATIOS):
    """Return covariates and a target: exponential times, uniform censoring, whole days if tied.

    With `late` entries who ended before the entry is not there, as in a real cohort.
    """
    random = np.random.default_rng(seed)
    normal = random.normal(size=(subjects, 4))
    table = normal * [1.0, 10.0, 20.0, 1.0] + [0.0, 60.0, 40.0, 0.0]
    table[:, 3] = normal[:, 3] > 0.3
    hazard = np.exp((table - [0.0, 60.0, 40.0, 0.4]) @ effects) / 400
    event_day = random.exponential(1 / hazard)
    end = random.uniform(100, 1200, subjects)
    days = np.minimum(event_day, end) + 0.01
    days = np.ceil(days) if tied else days
    entry = random.uniform(0, 80, subjects) if late else np.zeros(subjects)
    kept = days > entry
    target = SurvivalTarget(
        subjects=tuple(f"{i:04d}" for i in np.flatnonzero(kept)),
        days=days[kept],
        event=(event_day <= end)[kept],
        entry_days=entry[kept],
    )
    return table[kept], target


def target_of(days, event, entry=None):
    """Return a target of a few subjects."""
    return SurvivalTarget(
        subjects=tuple(map(str, range(len(days)))),
        days=np.array(days, float),
        event=np.array(event, bool),
        entry_days=None if entry is None else np.array(entry, float),
    )


def oracle(name):
    """Return another library, or skip; what it warns of on import is not our concern."""
    if name not in sys.modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip(name)
    return import_module(name)

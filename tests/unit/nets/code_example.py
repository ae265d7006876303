"""Curves of eight depths, as any protocol would measure them."""

import numpy as np

from bolus.nets.physical_axis import ExamCurves

DEPTHS = np.array([0.65, 0.5, 0.4, 0.31, 0.23, 0.16, 0.1, 0.05])


def depth_curves(count, *, seed, interval_s=1.5, frames=60, arrival_s=18.0, noise=0.004):
    """Return an exam and the number (1 for the deepest) of each of its curves."""
    random = np.random.default_rng(seed)
    number = random.integers(len(DEPTHS), size=count)
    seconds = interval_s * np.arange(frames) - arrival_s
    later = np.maximum(seconds + 1.2, 0.0) / 6.0
    dip = (later * np.exp(1 - later)) ** 2
    tail = 0.2 * (1 - np.exp(-np.maximum(seconds - 8.0, 0.0) / 8.0))
    signal = 900 * (1 - DEPTHS[number, None] * np.maximum(dip, tail))
    signal += 900 * noise * random.standard_normal(signal.shape)
    exam = ExamCurves(signal=signal.astype(np.float32), interval_s=interval_s, arrival_s=arrival_s)
    return exam, number + 1

"""CPU time of the leakage models on 50,000 curves of 80 frames, one thread.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 pytest benchmarks/test_bench_leakage.py
"""

import time

import numpy as np
import pytest

from bolus.core import stream
from bolus.quantify.leakage import LEAKAGE_MODELS

VOXELS, FRAMES, STEP_S = 50_000, 80, 1.5
SECONDS = STEP_S * np.arange(FRAMES)
BASELINE = slice(1, 9)


def curves(dtype):
    """Return noisy curves with leakage of either sign, their scale, and the reference."""
    rng = stream(1, "bench-leakage")
    x = np.maximum(SECONDS - 15, 0)
    reference = 10 * (x / 9) ** 3 * np.exp(3 - x / 3) + 1.2 * (
        1 - np.exp(-np.maximum(x - 6, 0) / 8)
    )
    leaked = np.r_[0, np.cumsum((reference[1:] + reference[:-1]) / 2 * STEP_S)]
    scale = rng.uniform(0.5, 4, VOXELS)
    k2 = rng.uniform(-0.02, 0.04, VOXELS)
    clean = scale[:, None] * reference - k2[:, None] * leaked
    noisy = clean + rng.normal(0, 0.3, clean.shape)
    noisy -= noisy[:, BASELINE].mean(axis=1, keepdims=True)
    return noisy.astype(dtype), scale, reference


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", sorted(LEAKAGE_MODELS))
def test_leakage(benchmark, name, dtype):
    tissue, scale, reference = curves(dtype)
    model = LEAKAGE_MODELS[name]()
    area = np.trapezoid(reference[9:], dx=STEP_S)

    benchmark._timer = time.process_time
    found = benchmark.pedantic(
        lambda: model(tissue, reference, seconds=SECONDS, baseline=BASELINE),
        rounds=5, warmup_rounds=1,
    )  # fmt: skip

    error = np.abs(found.area / (scale * area) - 1)
    benchmark.extra_info["voxels_per_cpu_second"] = round(VOXELS / benchmark.stats.stats.min)
    benchmark.extra_info["median_area_error_percent"] = round(100 * float(np.median(error)), 2)
    assert np.median(error) < 0.05

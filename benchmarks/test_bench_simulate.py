"""CPU time of labelled curves from the simulator's fast path, one thread.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 pytest benchmarks/test_bench_simulate.py
"""

import time

import numpy as np
import pytest

from bolus.simulate import PROTOCOLS
from bolus.simulate.fast import simulate_curves

CURVES = 50_000


@pytest.mark.parametrize("patients", [50, 500])
def test_labelled_curves(benchmark, patients):
    benchmark._timer = time.process_time
    found = benchmark.pedantic(
        lambda: simulate_curves(
            CURVES, seed=1, protocol=PROTOCOLS["preload_60"], patients=patients
        ),
        rounds=5, warmup_rounds=1,
    )  # fmt: skip

    benchmark.extra_info["voxels_per_cpu_second"] = round(CURVES / benchmark.stats.stats.min)
    assert np.isfinite(found.signal).all()

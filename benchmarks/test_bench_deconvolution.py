"""CPU time of the deconvolutions, 50,000 voxels x 80 frames, one thread.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 .venv/bin/pytest -s
     benchmarks/test_bench_deconvolution.py --benchmark-timer=time.process_time
Voxels per CPU-second are in the extra information (`--benchmark-json`, or the printed lines).
"""

import pytest
from curves import STEP_S, many
from threadpoolctl import threadpool_limits

from bolus.quantify.deconvolution import DECONVOLVERS, flow

CURVES = many()
REACH = {"csvd": 800_000, "osvd": 300_000}
"""Voxels per CPU-second that the design asks for; a goal on a quiet machine, not a test."""


@pytest.mark.parametrize("name", DECONVOLVERS)
def test_flow_and_standard_error(benchmark, name):
    method = DECONVOLVERS[name]()
    with threadpool_limits(1):
        values, _, std, _ = benchmark.pedantic(
            flow,
            args=(CURVES.tissue, CURVES.aif),
            kwargs={"step_s": STEP_S, "method": method},
            rounds=7,
            warmup_rounds=1,
        )
    speed = len(values) / benchmark.stats.stats.min
    benchmark.extra_info["voxels_per_cpu_second"] = round(speed)
    benchmark.extra_info["reach"] = REACH.get(name, 0)
    print(f"\n{name}: {speed / 1000:.0f} k voxels per CPU-second")

    assert (values > 0).all()
    assert (std > 0).all()

"""Voxels per CPU-second of the vascular model: 50,000 x 80, one thread."""

import time

import numpy as np

from bolus.core import stream
from bolus.quantify.vascular import VascularModel
from bolus.quantify.vascular_tables import tissue_curves

SECONDS = np.arange(80) * 1.5


def test_vascular_model(benchmark):
    x = np.maximum(SECONDS - 12, 0)
    aif = x**3 * np.exp(-x / 1.5)
    clean = tissue_curves(
        aif, SECONDS, mtt_s=np.geomspace(2, 12, 20), shape=np.array([1.0, 2.0, 4.0]),
        delay_s=np.linspace(0, 4, 9),
    ).reshape(-1, 80)  # fmt: skip
    draw = stream(1, "bench")
    curves = clean[draw.integers(len(clean), size=50_000)]
    curves = curves + draw.standard_normal(curves.shape) * curves.max(axis=1, keepdims=True) / 50
    model = VascularModel()
    model(curves[:10], aif, seconds=SECONDS)
    start = time.process_time()
    model.tables(aif, SECONDS)
    tables_s = time.process_time() - start
    costs = []

    def once():
        start = time.process_time()
        model(curves, aif, seconds=SECONDS)
        costs.append(time.process_time() - start - tables_s)

    benchmark.pedantic(once, rounds=5)
    benchmark.extra_info["tables_cpu_s"] = tables_s
    benchmark.extra_info["voxels_per_cpu_second"] = len(curves) / min(costs)
    print(f"\ntables {tables_s:.2f} CPU-s, {len(curves) / min(costs):,.0f} voxels per CPU-second")

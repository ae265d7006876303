"""Peak memory of leakage correction and vascular model, beside the series; prints one JSON line.

Run: python benchmarks/memory.py [FRAMES]
"""

import json
import resource
import sys

import numpy as np

from bolus import quantify
from bolus.core import DELTA_R2S, Acquisition, Grid, Mask, PerfusionSeries, Provenance, TimeAxis

SHAPE = (128, 128, 20)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    seconds = 1.5 * np.arange(frames)
    late = np.maximum(seconds - 20, 0)
    bolus = (late / 6) ** 3 * np.exp(3 - late / 2) + 0.1 * (late > 15)
    values = np.empty((*SHAPE, frames), np.float32)
    for plane in values:
        plane[...] = bolus
    values *= np.linspace(5, 9, SHAPE[0], dtype=np.float32)[:, None, None, None]
    series = PerfusionSeries(
        values=values,
        quantity=DELTA_R2S,
        grid=Grid(shape=SHAPE, affine=np.diag([1.8, 1.8, 6.0, 1.0])),
        time=TimeAxis(seconds=seconds),
        acquisition=Acquisition(echo_time_s=0.03),
        provenance=Provenance(),
    )
    scaled = [(i - n / 2) / (0.42 * n) for i, n in zip(np.indices(SHAPE), SHAPE, strict=True)]
    radius = np.linalg.norm(scaled, axis=0)
    brain = Mask(values=radius <= 1, grid=series.grid, name="brain")
    # Compile first: compiler memory is not ours to count.
    quantify.VascularModel()(values[0, 0, :4].astype(float), 9 * bolus, seconds=seconds)
    before = _peak_mb()
    leakage = quantify.correct_leakage(series, brain, reference=brain, baseline=slice(0, 12))
    after_leakage = _peak_mb()
    tissue = leakage.series.curves(brain, dtype=np.float32)
    quantify.VascularModel()(tissue, 60 * bolus, seconds=seconds)
    input_mb = values.nbytes / 2**20
    rows = {
        "input_mb": round(input_mb),
        "brain_percent": round(100 * brain.count / brain.values.size),
        "leakage_over_input": round((after_leakage - before) / input_mb, 2),
        "all_over_input": round((_peak_mb() - before) / input_mb + 1, 2),
    }
    print(json.dumps(rows))


if __name__ == "__main__":
    main()

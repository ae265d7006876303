"""Peak memory of quantification, beside the series, or of a whole exam; prints one JSON line.

Run: python benchmarks/memory.py dsc|dce [FRAMES]
     python benchmarks/memory.py exam-dsc|exam-dce SERIES.nii.gz

dsc: leakage correction and vascular model; dce: concentration and extended Tofts.
"""

import json
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np

from bolus import io, quantify
from bolus.core import (
    DELTA_R2S,
    SIGNAL,
    Acquisition,
    Assumed,
    Grid,
    Mask,
    PerfusionSeries,
    Provenance,
    TimeAxis,
)
from bolus.quantify.concentration import signal_to_concentration
from bolus.quantify.dce_models import ExtendedTofts
from bolus.quantify.spgr import SpoiledGradientEcho

SHAPE = (128, 128, 20)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _brain(grid: Grid) -> Mask:
    scaled = [(i - n / 2) / (0.42 * n) for i, n in zip(np.indices(SHAPE), SHAPE, strict=True)]
    radius = np.linalg.norm(scaled, axis=0)
    return Mask(values=radius <= 1, grid=grid, name="brain")


def _dsc(frames: int) -> dict[str, float]:
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
    brain = _brain(series.grid)
    # Compile first: compiler memory is not ours to count.
    quantify.VascularModel()(values[0, 0, :4].astype(float), 9 * bolus, seconds=seconds)
    before = _peak_mb()
    leakage = quantify.correct_leakage(series, brain, reference=brain, baseline=slice(0, 12))
    after_leakage = _peak_mb()
    tissue = leakage.series.curves(brain, dtype=np.float32)
    quantify.VascularModel()(tissue, 60 * bolus, seconds=seconds)
    input_mb = values.nbytes / 2**20
    return {
        "input_mb": round(input_mb),
        "brain_percent": round(100 * brain.count / brain.values.size),
        "leakage_over_input": round((after_leakage - before) / input_mb, 2),
        "all_over_input": round((_peak_mb() - before) / input_mb + 1, 2),
    }


def _dce(frames: int) -> dict[str, float]:
    seconds = 4.0 * np.arange(frames)
    late = np.maximum(seconds - 30, 0)
    plasma = 6 * (late / 8) * np.exp(1 - late / 8) + 1.2 * (late > 0) * np.exp(-late / 600)
    values = np.empty((*SHAPE, frames), np.float32)
    values[...] = 100 + 10 * plasma
    values *= np.linspace(0.5, 1.5, SHAPE[0], dtype=np.float32)[:, None, None, None]
    series = PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=Grid(shape=SHAPE, affine=np.diag([1.8, 1.8, 6.0, 1.0])),
        time=TimeAxis(seconds=seconds),
        acquisition=Acquisition(repetition_time_s=0.005, flip_angle_deg=15.0),
        provenance=Provenance(),
    )
    brain = _brain(series.grid)
    model = ExtendedTofts()
    model(values[0, 0, :4].astype(float), plasma, seconds=seconds)
    before = _peak_mb()
    held, _ = signal_to_concentration(
        series,
        r10=Assumed(value=0.7, reason="made up", source="this benchmark"),
        sequence=SpoiledGradientEcho.of(series.acquisition),
        r1_per_mmolar_s=3.7,
        baseline=slice(0, 6),
    )
    model(held.curves(brain, dtype=np.float32), plasma, seconds=seconds)
    input_mb = values.nbytes / 2**20
    return {
        "input_mb": round(input_mb),
        "brain_percent": round(100 * brain.count / brain.values.size),
        "all_over_input": round((_peak_mb() - before) / input_mb + 1, 2),
    }


def _exam(series: Path, kind: str) -> dict[str, float]:
    """Run one exam from files to files; T10 is assumed for DCE."""
    from bolus.workflows.config import Config, config_with
    from bolus.workflows.dce_exam import run_dce_exam
    from bolus.workflows.dce_inputs import DcePaths
    from bolus.workflows.exam import run_exam
    from bolus.workflows.exam_size import exam_bytes
    from bolus.workflows.inputs import DscPaths
    from bolus.workflows.outputs import FlatNames

    program = _peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        output, names = Path(folder) / "maps", FlatNames("exam")
        if kind == "dsc":
            run_exam(DscPaths(series=series), Config(), output, names=names, label="exam")
        else:
            assumed = config_with(Config(), "dce", {"t10_s": 1.2})
            run_dce_exam(DcePaths(series=series), assumed, output, names=names, label="exam")
    size = io.series_bytes(series)
    return {
        "series_float32_mb": round(size / 2**20),
        "program_mb": round(program),
        "peak_mb": round(_peak_mb()),
        "above_program_mb": round(_peak_mb() - program),
        "asked_for_mb": round(exam_bytes(size) / 2**20),
    }


def main() -> None:
    if sys.argv[1].startswith("exam-"):
        print(json.dumps(_exam(Path(sys.argv[2]), sys.argv[1].removeprefix("exam-"))))
        return
    frames = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    print(json.dumps({"dsc": _dsc, "dce": _dce}[sys.argv[1]](frames)))


if __name__ == "__main__":
    main()

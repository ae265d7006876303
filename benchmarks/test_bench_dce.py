"""Voxels per CPU-second of DCE, one thread: T1, concentration and models, with standard errors."""

import time

import numpy as np
import pytest
from dce_curves import errors_percent, make

from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_linear import LinearTofts
from bolus.quantify.dce_models import (
    ExtendedTofts,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    TwoCompartmentUptake,
)
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.quantify.t1 import fit_flip_angles

VOXELS = 50_000
TR_S, ANGLES_DEG, R1_PER_MMOLAR_S = 0.005, (2.0, 5.0, 10.0, 15.0), 3.7

CASES = {
    "extended_tofts": (ExtendedTofts(), "extended_tofts"),
    "extended_tofts_delay": (ExtendedTofts(delay_range_s=(-10.0, 10.0)), "extended_tofts"),
    "tofts": (Tofts(), "extended_tofts"),
    "patlak": (Patlak(), "extended_tofts"),
    "linear_tofts": (LinearTofts(), "extended_tofts"),
    "two_compartment_uptake": (TwoCompartmentUptake(), "exchange"),
    "two_compartment_exchange": (TwoCompartmentExchange(), "exchange"),
}


RIGHT = ("extended_tofts", "extended_tofts_delay", "linear_tofts", "two_compartment_exchange")
"""Models that made the curves themselves, so that an error is one."""


@pytest.mark.parametrize("name", CASES)
def test_dce(benchmark, name):
    model, kind = CASES[name]
    curves = make(kind)

    def fit(voxels):
        return model(curves.tissue[:voxels], curves.plasma, seconds=curves.seconds)

    found = _timed(benchmark, fit, len(curves.tissue))
    if name in RIGHT:
        truth = {key: value for key, value in curves.truth.items() if key in found.names}
        benchmark.extra_info["errors"] = errors_percent(truth, found)


def test_t1_flip_angles(benchmark):
    """R1 with standard error from four flip angles; noise 1 % of the largest signal."""
    draw = np.random.default_rng(0)
    r1 = draw.uniform(0.25, 2.0, VOXELS)
    signal = np.stack([_signal(r1, angle) for angle in ANGLES_DEG], axis=1)
    signal += 0.01 * signal.max(axis=1, keepdims=True) * draw.standard_normal(signal.shape)

    def fit(voxels):
        return fit_flip_angles(
            signal[:voxels], flip_angles_deg=ANGLES_DEG, repetition_time_s=TR_S
        ).r1_per_s

    found = _timed(benchmark, fit, VOXELS)
    benchmark.extra_info["errors"] = errors_percent({"r1": r1}, {"r1": found})


def test_concentration(benchmark):
    """The signal of the extended Tofts curves back to concentration, 100 frames."""
    curves = make(voxels=VOXELS)
    r10 = np.random.default_rng(0).uniform(0.5, 1.5, VOXELS)
    signal = _signal(r10[:, None] + R1_PER_MMOLAR_S * curves.tissue, ANGLES_DEG[-1])
    sequence = SpoiledGradientEcho(repetition_time_s=TR_S, flip_angle_deg=ANGLES_DEG[-1])

    def convert(voxels):
        return concentration_curves(
            signal[:voxels], r10_per_s=r10[:voxels], sequence=sequence,
            r1_per_mmolar_s=R1_PER_MMOLAR_S, baseline=slice(0, 6),
        ).values  # fmt: skip

    _timed(benchmark, convert, VOXELS)


def _signal(r1_per_s, angle_deg):
    """Steady state of a spoiled gradient echo, M0 = 1000."""
    decay, angle = np.exp(-TR_S * r1_per_s), np.radians(angle_deg)
    return 1000 * np.sin(angle) * (1 - decay) / (1 - decay * np.cos(angle))


def _timed(benchmark, work, voxels):
    """Run `work` on all voxels, five rounds, after one on ten; note the speed of the best."""
    work(10)
    costs = []

    def once():
        start = time.process_time()
        result = work(voxels)
        costs.append(time.process_time() - start)
        return result

    result = benchmark.pedantic(once, rounds=5)
    speed = voxels / min(costs)
    benchmark.extra_info["voxels_per_cpu_second"] = speed
    print(f"\n{benchmark.name}: {speed:,.0f} voxels per CPU-second")
    return result

"""Voxels per CPU-second of the DCE models: 20,000 x 100, one thread, standard errors included."""

import time

import pytest
from dce_curves import errors_percent, make

from bolus.quantify.dce_linear import LinearTofts
from bolus.quantify.dce_models import (
    ExtendedTofts,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    TwoCompartmentUptake,
)

CASES = {
    "extended_tofts": (ExtendedTofts(), "extended_tofts"),
    "extended_tofts_delay": (ExtendedTofts(delay_range_s=(-10.0, 10.0)), "extended_tofts"),
    "tofts": (Tofts(), "extended_tofts"),
    "patlak": (Patlak(), "extended_tofts"),
    "linear_tofts": (LinearTofts(), "extended_tofts"),
    "two_compartment_uptake": (TwoCompartmentUptake(), "exchange"),
    "two_compartment_exchange": (TwoCompartmentExchange(), "exchange"),
}


@pytest.mark.parametrize("name", CASES)
def test_dce(benchmark, name):
    model, kind = CASES[name]
    curves = make(kind)
    model(curves.tissue[:10], curves.plasma, seconds=curves.seconds)
    costs = []

    def once():
        start = time.process_time()
        fit = model(curves.tissue, curves.plasma, seconds=curves.seconds)
        costs.append(time.process_time() - start)
        return fit

    fit = benchmark.pedantic(once, rounds=5)
    truth = {key: value for key, value in curves.truth.items() if key in fit.names}
    speed = len(curves.tissue) / min(costs)
    benchmark.extra_info["voxels_per_cpu_second"] = speed
    print(f"\n{name}: {speed:,.0f} voxels per CPU-second")
    if name.startswith(("extended", "linear", "two_compartment_exchange")):
        print(f"error, absolute error [%]: {errors_percent(truth, fit)}")

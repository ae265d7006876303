"""How often the intervals of networks hold the truth of whole simulated DCE scans.

Run: OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/uncertainty_scans.py [--scans 3]
Three ways: noise alone with the true T1 and artery; motion, B1, inflow and drift besides; and the
whole job, which measures T1 and finds the artery. The truth of a voxel is the mixture of its
tissues. Both are compared where both have a value; ve in tumours only, where anything leaks.
"""

import argparse
import dataclasses
import warnings

import numpy as np

from bolus.core.quantities import INTERVAL_KEYS
from bolus.simulate import DCE_PROTOCOLS, QUIET, Disturbances, PatientSettings, simulate_dce
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce import DceScan, quantify_dce
from bolus.workflows.dce_t10 import NativeT1
from bolus.workflows.gates_dce_chain import native_images
from bolus.workflows.shipped_pharmacokinetics import TEST_SEED

PROTOCOL = dataclasses.replace(
    DCE_PROTOCOLS["spgr_3t"], frames=75, shape=(64, 64, 12), voxel_mm=(3.4, 3.4, 10.0)
)
STILL = dataclasses.replace(QUIET, snr=60.0)
PLAIN = {"b1": False, "inflow": False}
WAYS = (
    ("noise alone; true T1 and artery", STILL, PLAIN, True),
    ("usual; true T1 and artery", Disturbances(), {}, True),
    ("usual; measured T1, found artery", Disturbances(), {}, False),
)


def job_of(scan, *, known):
    """Return the scan as a job, with its truth or with what was measured."""
    if not known:
        return DceScan(label="", signal=scan.signal, native=native_images(scan), tumour=scan.tumour)
    t1 = 1 / np.maximum(np.nan_to_num(scan.truth["r10"].values, nan=1.0), 0.1)
    return DceScan(
        label="", signal=scan.signal, native=NativeT1(t1_s=t1, b1=scan.b1), tumour=scan.tumour,
        brain=scan.brain, aif=scan.aif,
    )  # fmt: skip


def figures_of(scan, found):
    """Return (key, region) -> share held, median width, RMSE of network and fit."""
    tumour = scan.tumour.foreground.values
    table = {}
    for key, (middle, low, high, _) in INTERVAL_KEYS.items():
        truth, fit = scan.truth[key].values, found.maps[key].values
        said, below, above = (found.maps[name].values for name in (middle, low, high))
        for region, inside in (("tumour", tumour), ("brain", scan.brain.values & ~tumour)):
            use = inside & np.isfinite(said) & np.isfinite(truth) & np.isfinite(fit)
            if key == "ve" and region == "brain":
                continue
            table[key, region] = (
                float(((truth >= below) & (truth <= above))[use].mean()),
                float(np.median((above - below)[use])),
                *(float(np.sqrt(np.mean((x - truth)[use] ** 2))) for x in (said, fit)),
                found.network.share_unlike,
            )
    return table


def main():
    """Print one row of means for every way, quantity and region."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--scans", type=int, default=3)
    given = asked.parse_args()
    print("| scan | quantity | region | 90 % interval holds | its width | RMSE of its median | "
          "of least squares | unlike |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for label, hurt, options, known in WAYS:
        settings = {"intervals": "network", **({"aif_medium": "plasma"} if known else {})}
        config = config_with(Config(), "dce", settings)
        tables = []
        for n in range(given.scans):
            patient = PatientSettings(seed=TEST_SEED + n, disturbances=hurt)
            scan = simulate_dce(patient, PROTOCOL, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is unlike is in the table
                found = quantify_dce(job_of(scan, known=known), config, created="")
            tables.append(figures_of(scan, found))
        for key, region in tables[0]:
            held, width, own, fit, unlike = np.mean([t[key, region] for t in tables], axis=0)
            print(f"| {label} | {key} | {region} | {held:.2f} | {width:.3g} | {own:.3g} | "
                  f"{fit:.3g} | {unlike:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

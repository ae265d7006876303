"""The same curves through osipy (Apache-2.0, needs Python 3.12): CPU time and bias beside ours.

    python3.12 -m venv peer && peer/bin/pip install osipy
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 peer/bin/python benchmarks/peer_osipy.py

Prints one JSON line. Where osipy is absent it says so and leaves. `--ours` runs bolus on the same
curves, with the same timer, in the environment of bolus.
"""

import json
import sys
import time

import numpy as np
from curves import STEP_S, bias_percent, many


def _osipy():
    from osipy import __version__
    from osipy.dsc.deconvolution.svd import deconvolve_cSVD, deconvolve_oSVD

    def call(function):
        return lambda c: np.asarray(
            function(c.tissue[:, None, None, :], c.aif, c.seconds).cbf, float
        ).ravel()

    return f"osipy {__version__}", {"csvd": call(deconvolve_cSVD), "osvd": call(deconvolve_oSVD)}


def _bolus():
    from bolus._version import VERSION
    from bolus.quantify.deconvolution import DECONVOLVERS, flow

    def call(name):
        method = DECONVOLVERS[name]()
        return lambda c: flow(c.tissue, c.aif, step_s=STEP_S, method=method)[0]

    return f"bolus {VERSION}", {name: call(name) for name in ("csvd", "osvd")}


def main() -> None:
    try:
        label, methods = _bolus() if "--ours" in sys.argv else _osipy()
    except ImportError as error:
        print(f"skipped: {error} - install osipy into a Python 3.12 environment")
        return
    curves = many()
    rows = {}
    for name, run in methods.items():
        run(curves)  # compile and warm up
        times = []
        for _ in range(5):
            begin = time.process_time()
            flow_per_s = run(curves)
            times.append(time.process_time() - begin)
        rows[name] = {
            "voxels_per_cpu_second": round(len(flow_per_s) / min(times)),
            "bias_percent": {
                k: [round(x, 1) for x in v] for k, v in bias_percent(curves, flow_per_s).items()
            },
        }
    print(json.dumps({"package": label, "methods": rows}))


if __name__ == "__main__":
    main()

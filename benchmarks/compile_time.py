"""CPU time until the first DCE map: kernels compiled anew, and read from numba's cache.

Run: python benchmarks/compile_time.py; prints one JSON line. Every case is a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

from dce_curves import make


def _first_call() -> float:
    from test_bench_dce import CASES

    begin = time.process_time()
    for model, kind in CASES.values():
        curves = make(kind, distinct=10, voxels=10)
        model(curves.tissue, curves.plasma, seconds=curves.seconds)
    return time.process_time() - begin


def main() -> None:
    if "--child" in sys.argv:
        print(_first_call())
        return
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        found = [
            float(
                subprocess.run(
                    [sys.executable, __file__, "--child"],
                    check=True, capture_output=True, text=True, env=environment,
                ).stdout.split()[-1]
            )
            for _ in range(2)
        ]  # fmt: skip
    print(json.dumps({"compiled_s": round(found[0], 1), "cached_s": round(found[1], 1)}))


if __name__ == "__main__":
    main()

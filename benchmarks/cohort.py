"""Wall time of a cohort on one and on two Dask workers, and whether the bytes are the same.

    python benchmarks/cohort.py [SESSIONS]

Makes a dataset of small exams (those of the tests), runs it with one worker and with two through
the command line, and prints the wall times, their ratio, the load of the machine before each run,
and whether both wrote the same bytes. A first run fills the caches of the compiled kernels and is
not counted. Run it on a quiet machine with at least two processors: the load is printed so that a
reader can see whether it was one.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "workflow"))

from tiny_cohort import run, tree, write_cohort


def _timed(data: Path, output: Path, workers: int, *more: str) -> dict[str, float]:
    load = os.getloadavg()[0]
    begun = time.monotonic()
    status, _, told = run(
        "run", data, output, "participant", "-q", "--executor", "dask",
        "--workers", workers, *more, seconds=3600,
    )  # fmt: skip
    if status:
        raise SystemExit(told)
    return {"workers": workers, "wall_s": round(time.monotonic() - begun, 1), "load": load}


def main() -> None:
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        data = write_cohort(base / "data", sessions)
        _timed(data, base / "warm", 1, "--participant-label", "01")
        one, two = (_timed(data, base / f"out{workers}", workers) for workers in (1, 2))
        print(json.dumps(one))
        print(json.dumps(two))
        print(json.dumps({
            "sessions": sessions,
            "processors": os.cpu_count(),
            "speed_up": round(one["wall_s"] / two["wall_s"], 2),
            "same_bytes": tree(base / "out1") == tree(base / "out2"),
        }))  # fmt: skip


if __name__ == "__main__":
    main()

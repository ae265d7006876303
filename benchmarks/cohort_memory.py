"""Peak memory of whole exams against the size of their series: what `memory_plan` counts with.

    python benchmarks/cohort_memory.py DATASET [DATASET ...]

Each dataset comes from `bolus simulate`, for instance of `--matrix 64 64 12` and of
`--matrix 160 160 30`. Every DSC and DCE exam runs in a process of its own; the peak of its resident
memory is what the kernel says. Printed are, for each series, its size as float32, the peak, and how
many times the size the peak is above that of the smallest series of its kind.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel

MIB = 1 << 20


def _peak(words: list[str]) -> tuple[int, float]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bolus", *words], stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_maxrss * 1024 / MIB


def _rows(root: Path, folder: Path) -> list[dict[str, object]]:
    found = []
    for kind in ("dsc", "dce"):
        for series in sorted(root.glob(f"sub-*/**/perf/*_{kind}.nii.gz")):
            size = 4 * int(nibabel.load(series).header["dim"][1:5].prod()) / MIB  # float32
            words = [kind, str(series), "-q", "-o", str(folder / f"{root.name}-{series.name}")]
            maps = sorted(series.parent.parent.glob("anat/*_VFA.nii.gz")) if kind == "dce" else []
            for flip in maps:
                words += ["--vfa", str(flip)]
            status, peak = _peak(words)
            found.append({"kind": kind, "series_mib": round(size), "peak_mib": round(peak),
                          "status": status})  # fmt: skip
            print(json.dumps(found[-1]), flush=True)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in sys.argv[1:] for row in _rows(Path(name), Path(folder))]
    for kind in ("dsc", "dce"):
        own = sorted(
            (r for r in rows if r["kind"] == kind and not r["status"]),
            key=lambda r: r["series_mib"],
        )
        for row in own[1:]:
            slope = (row["peak_mib"] - own[0]["peak_mib"]) / (
                row["series_mib"] - own[0]["series_mib"]
            )
            print(f"{kind}: {row['series_mib']} MiB, {slope:.1f} times the series above the least")


if __name__ == "__main__":
    main()

"""Run every benchmark on one thread and write docs/reference/benchmarks.md.

Run: python benchmarks/report.py [--peer PYTHON]

PYTHON is the interpreter of an environment with osipy (Python 3.12 or newer); without it the column
of the peer says so. CPU time (user + system), best of several rounds, everything in one session.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "reference" / "benchmarks.md"
_LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMBA")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in _LIBRARIES}
ROWS = (
    ("cSVD, with Tmax and standard error", "[csvd]", 800_000, "csvd"),
    ("oSVD, the same", "[osvd]", 300_000, "osvd"),
    ("sSVD, the same", "[ssvd]", None, None),
    ("Tikhonov with GCV, the same", "[tikhonov]", None, None),
    ("vascular model, refined, standard errors", "test_vascular_model", 80_000, None),
    ("leakage, BSW", "[bsw-float32]", 5_000_000, None),
    ("leakage, bidirectional", "[bidirectional-float32]", 5_000_000, None),
    ("leakage, matched (the default)", "[matched-float32]", None, None),
    ("labelled simulated curves, 1,000 a patient", "test_labelled_curves[50]", 50_000, None),
    ("labelled simulated curves, 100 a patient", "test_labelled_curves[500]", None, None),
)


def _bench() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.json"
        files = sorted(str(p) for p in HERE.glob("test_bench_*.py"))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *files, f"--benchmark-json={out}",
             "--benchmark-timer=time.process_time"],
            check=True, env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
        content = json.loads(out.read_text())
    return {
        item["name"]: item["extra_info"]["voxels_per_cpu_second"] for item in content["benchmarks"]
    }


def _peer(python: str | None) -> dict[str, float]:
    if python is None:
        return {}
    done = subprocess.run(
        [python, str(HERE / "peer_osipy.py")],
        check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    if done.stdout.startswith("skipped"):
        print(done.stdout)
        return {}
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: row["voxels_per_cpu_second"] for name, row in found["methods"].items()}


def _memory() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(HERE / "memory.py")],
        check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    return json.loads(done.stdout)


def _short(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.0f} k"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="interpreter of an environment with osipy")
    arguments = parser.parse_args()
    ours, peer, memory = _bench(), _peer(arguments.peer), _memory()
    lines = [
        "# Benchmarks",
        "",
        "Voxels per CPU-second (user + system time, one thread, best round), 50,000 curves of",
        f"80 frames; Python {platform.python_version()}, {platform.machine()}. Absolute numbers",
        "depend on the machine and on what else it does; ratios are of one session. Written by",
        "",
        "```bash",
        "make bench                                        # without a peer",
        ".venv/bin/python benchmarks/report.py --peer PEER/bin/python   # with osipy in PEER",
        "```",
        "",
        "| work | bolus | goal | osipy | ratio |",
        "|---|---|---|---|---|",
    ]
    for label, end, goal, method in ROWS:
        speed = next(v for k, v in ours.items() if k.endswith(end))
        other = peer.get(method) if method else None
        ratio = f"{speed / other:.1f}x" if other else "-"
        goal_text = "-" if goal is None else _short(goal) + ("" if speed >= goal else " (missed)")
        lines.append(f"| {label} | {_short(speed)} | {goal_text} | {_short(other)} | {ratio} |")
    lines += [
        "",
        f"Memory, for a series of {memory['input_mb']} MB in float32 of which the brain is",
        f"{memory['brain_percent']} %: leakage correction takes {memory['leakage_over_input']} x",
        "the input beside it (the corrected series is 1 x); series, leakage and vascular model",
        f"together peak at {memory['all_over_input']} x the input (goal: 3 x).",
        "",
    ]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

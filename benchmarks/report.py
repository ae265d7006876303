"""Run every benchmark on one thread and write docs/reference/benchmarks.md.

Run: python benchmarks/report.py [--peer PYTHON] [--peer-dce PYTHON], or make bench [PEER=PYTHON]
[PEER_DCE=PYTHON]

The interpreters are those of environments with osipy (Python 3.12 or newer) and with p-brain; dcmri
is looked for there and beside this package. A column without its peer says so. CPU time (user +
system), best of several rounds, everything in one session.
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

DCE_ROWS = (
    ("extended Tofts, standard errors", "[extended_tofts]", 250_000, "extended_tofts"),
    ("the same with a delay fitted", "[extended_tofts_delay]", None, None),
    ("extended Tofts, linear", "[linear_tofts]", 2_000_000, None),
    ("Tofts, standard errors", "[tofts]", None, None),
    ("Patlak, standard errors", "[patlak]", None, None),
    ("two-compartment uptake, standard errors", "[two_compartment_uptake]", 20_000, None),
    ("two-compartment exchange, the same", "[two_compartment_exchange]", 20_000, "exchange"),
    ("T1 by four flip angles, standard error", "test_t1_flip_angles", None, None),
    ("signal to concentration, 100 frames", "test_concentration", None, None),
)
DCE_ERRORS = (
    ("extended Tofts", "[extended_tofts]"),
    ("the same with a delay fitted", "[extended_tofts_delay]"),
    ("extended Tofts, linear", "[linear_tofts]"),
    ("two-compartment exchange", "[two_compartment_exchange]"),
    ("T1 by four flip angles", "test_t1_flip_angles"),
)
DCE_PEERS = ("p-brain", "dcmri")
PARAMETERS = {
    "ktrans": "Ktrans", "ve": "ve", "vp": "vp", "fp": "Fp", "ps": "PS", "r1": "R1",
}  # fmt: skip


def _bench() -> dict[str, dict]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.json"
        files = sorted(str(p) for p in HERE.glob("test_bench_*.py"))
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *files, f"--benchmark-json={out}",
             "--benchmark-timer=time.process_time"],
            check=True, env={**os.environ, **ONE_THREAD},
        )  # fmt: skip
        content = json.loads(out.read_text())
    return {item["name"]: item["extra_info"] for item in content["benchmarks"]}


def _printed(python: str, script: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [python, str(HERE / script), *arguments],
        check=True, capture_output=True, text=True, env={**os.environ, **ONE_THREAD},
    )  # fmt: skip
    return done.stdout.splitlines()


def _peer(python: str | None) -> dict[str, float]:
    if not python:
        return {}
    last = _printed(python, "peer_osipy.py")[-1]
    if last.startswith("skipped"):
        print(last)
        return {}
    found = json.loads(last)
    return {name: row["voxels_per_cpu_second"] for name, row in found["methods"].items()}


def _dce_peers(python: str | None) -> dict[tuple[str, str], dict]:
    """Return what every peer of DCE reached, by model and name; the first interpreter wins."""
    found: dict[tuple[str, str], dict] = {}
    for place in (python, sys.executable):
        wanted = [name for name in DCE_PEERS if not any(key[1] == name for key in found)]
        if not place or not wanted:
            continue
        for line in _printed(place, "peer_dce.py", *wanted):
            if line.startswith("{"):
                row = json.loads(line)
                found[row["model"], row["name"]] = row
            else:
                print(line)
    return found


def _short(number: float | None) -> str:
    if number is None:
        return "-"
    if number >= 1e6:
        return f"{number / 1e6:.2f} M"
    return f"{number / 1e3:.3g} k" if number >= 1e3 else f"{number:.0f}"


def _row(ours: dict[str, dict], label: str, end: str, goal: int | None, others: list) -> str:
    speed = next(v["voxels_per_cpu_second"] for k, v in ours.items() if k.endswith(end))
    goal_text = "-" if goal is None else _short(goal) + ("" if speed >= goal else " (missed)")
    cells = [label, _short(speed), goal_text]
    for other in others:
        cells += [_short(other), f"{speed / other:,.1f}x" if other else "-"]
    return f"| {' | '.join(cells)} |"


def _errors(errors: dict[str, list[float]]) -> str:
    parts = (f"{PARAMETERS[k]} {size:.2f} ({bias:+.2f})" for k, (bias, size) in errors.items())
    return ", ".join(parts)


def _dce(ours: dict[str, dict], peers: dict[tuple[str, str], dict]) -> list[str]:
    heads = " | ".join(f"{name} | ratio" for name in DCE_PEERS)
    lines = [
        f"| work | bolus | goal | {heads} |",
        "|---|---|---|" + "---|---|" * len(DCE_PEERS),
    ]
    for label, end, goal, model in DCE_ROWS:
        others = [
            peers.get((model, name), {}).get("voxels_per_cpu_second") if model else None
            for name in DCE_PEERS
        ]
        lines.append(_row(ours, label, end, goal, others))
    lines += [
        "",
        "Median absolute error and, in brackets, median error [%], noise 0.01 mM at 3 s a frame",
        "(goal for extended Tofts: 2.5, 3 and 2 % of Ktrans, ve and vp; median error of vp under",
        "0.5 %), T1 at noise of 1 % of the largest signal:",
        "",
        "| fit | package | error [%] |",
        "|---|---|---|",
    ]
    for label, end in DCE_ERRORS:
        info = next(v for k, v in ours.items() if k.endswith(end))
        lines.append(f"| {label} | bolus | {_errors(info['errors'])} |")
    names = {"extended_tofts": "extended Tofts", "exchange": "two-compartment exchange"}
    for (model, _), row in sorted(peers.items()):
        errors = row["median_and_absolute_error_percent"]
        lines.append(f"| {names[model]} | {row['package']} | {_errors(errors)} |")
    return lines


def _memory_and_compiling() -> list[str]:
    dsc, dce = (json.loads(_printed(sys.executable, "memory.py", x)[-1]) for x in ("dsc", "dce"))
    start = json.loads(_printed(sys.executable, "compile_time.py")[-1])

    def peak(rows: dict[str, float]) -> str:
        return f"{rows['all_over_input']} x" + (" (missed)" if rows["all_over_input"] > 3 else "")

    return [
        f"Peak memory over a series of {dsc['input_mb']} MB in float32 of which the brain is",
        f"{dsc['brain_percent']} %, the series counted as 1 x (goal: 3 x):",
        "",
        "| work | peak |",
        "|---|---|",
        f"| DSC: leakage and vascular model | {peak(dsc)} |",
        f"| DCE: concentration and extended Tofts | {peak(dce)} |",
        "",
        f"Leakage correction takes {dsc['leakage_over_input']} x beside the input (the corrected",
        "series is 1 x of it).",
        "",
        "The first call of all seven DCE fits compiles their kernels: "
        f"{start['compiled_s']} CPU-seconds",
        f"once in an installation; from the cache they start in {start['cached_s']}.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", default=os.environ.get("PEER"), help="Python with osipy")
    parser.add_argument("--peer-dce", default=os.environ.get("PEER_DCE"), help="with p-brain")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    ours, peer = _bench(), _peer(arguments.peer)
    dce = _dce(ours, _dce_peers(arguments.peer_dce))
    lines = [
        "# Benchmarks",
        "",
        "Voxels per CPU-second: user + system time, one thread, best round. Python",
        f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{before:.1f} at the start. Absolute numbers depend on",
        "the machine and on what else it does; ratios are of one session. Written by",
        "",
        "```bash",
        "python3.12 -m venv OSIPY && OSIPY/bin/pip install osipy             # peer of DSC",
        "python3.11 -m venv PBRAIN && PBRAIN/bin/pip install p-brain dcmri   # peers of DCE",
        "make bench PEER=OSIPY/bin/python PEER_DCE=PBRAIN/bin/python         # or make bench alone",
        "```",
        "",
        "A peer in an environment of its own cannot change what this package is pinned to. Without",
        "one its column is empty.",
        "",
        "## DSC",
        "",
        "50,000 curves of 80 frames.",
        "",
        "| work | bolus | goal | osipy | ratio |",
        "|---|---|---|---|---|",
        *(_row(ours, x, end, goal, [peer.get(m) if m else None]) for x, end, goal, m in ROWS),
        "",
        "## DCE",
        "",
        "20,000 curves of 100 frames (T1 and concentration: 50,000); dcmri, which is fitted one",
        "voxel at a time by scipy, 200 of them. The peers give no standard errors here.",
        "",
        *dce,
        "",
        "## Memory and compiling",
        "",
        *_memory_and_compiling(),
        "",
    ]
    PAGE.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()

"""A dataset of many small exams, the command in a process of its own, and what it wrote."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tiny_exam import write_exam

ENVIRONMENT = {
    "SOURCE_DATE_EPOCH": "0",
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")},
}


def write_cohort(root: Path, count: int) -> Path:
    """Write so many subjects, each with its own noise."""
    for number in range(1, count + 1):
        folder = root / f"sub-{number:02d}" / "perf"
        folder.mkdir(parents=True)
        write_exam(folder, name=f"sub-{number:02d}_dsc", seed=number)
        for extra in folder.glob("*-*-*"):
            extra.unlink()
    return root


def cut_short(path: Path) -> None:
    """Damage a file as a full disk or a lost connection does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def start(*words, env=None, cwd=None):
    return subprocess.Popen(
        [sys.executable, "-m", "bolus", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
        env={**os.environ, **ENVIRONMENT, **(env or {})}, start_new_session=True,
        # a shell that starts the tests in the background makes its children deaf to Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )  # fmt: skip


def run(*words, env=None, cwd=None, seconds=900):
    """Run the command; return its exit code, what it printed, and what it told on the way."""
    process = start(*words, env=env, cwd=cwd)
    printed, told = process.communicate(timeout=seconds)
    return process.returncode, printed, told


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def holders(output: Path) -> dict[int, str]:
    """Return which process works on which folder now, as the locks say."""
    found = {}
    for lock in output.glob("sub-*/.bolus-lock-*"):
        try:
            found[int(json.loads(lock.read_text())["pid"])] = lock.parent.name
        except (OSError, ValueError, KeyError):
            continue  # released, or not yet signed
    return found

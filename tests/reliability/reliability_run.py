"""The program in a process of its own that can be killed, starved or lied to by the system."""

import contextlib
import errno
import functools
import hashlib
import multiprocessing
import multiprocessing.util
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import exam_cases

FULL = os.environ.get("BOLUS_RELIABILITY") == "full"
"""Whether to run the counts of the published suite (`make reliability`) or a quick look."""

_CONTEXT = multiprocessing.get_context("fork")
"""Children are copies of this process, with libraries loaded and kernels compiled: see `warm`."""
_MKDIR = os.mkdir
STEPS = ("fsync", "rename", "replace", "mkdir")
"""Functions of `os` by which an output comes to be; each call is a step that can fail."""


def count(full: int, quick: int) -> int:
    """How many cases to run."""
    return full if FULL else quick


def warm(*words: object) -> None:
    """Run the program here once, so that its copies need not load and compile anything."""
    from bolus.cli import main

    before = signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(SystemExit):
        main([*map(str, words)])
    signal.signal(signal.SIGTERM, before)


def start(*words: object, told: Path, before: Callable[[], None] | None = None):
    """Start the program; what it writes goes into the file `told`."""
    process = _CONTEXT.Process(target=_program, args=([*map(str, words)], told, before))
    process.start()
    return process


def run(*words: object, told: Path, before: Callable[[], None] | None = None) -> int:
    """Run the program and return its exit code; negative where a signal ended it."""
    process = start(*words, told=told, before=before)
    process.join(300)
    code = process.exitcode
    process.close()
    return code


def _program(words: list[str], told: Path, before: Callable[[], None] | None) -> None:
    os.environ["SOURCE_DATE_EPOCH"] = "0"
    handle = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(handle, stream)
    sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
    from bolus.cli import main

    if before is not None:
        before()
    main(words)


class AtStep:
    """Do something at the n-th step of the system's that brings an output to disk."""

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number, self.act, self.seen = number, act, 0

    def __call__(self) -> None:
        for name in STEPS:
            setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, real):
        def step(*words, **more):
            if real is _MKDIR and Path(words[0]).is_dir():
                return real(*words, **more)  # fails always, and is not asked to do anything
            self.seen += 1
            if self.seen == self.number:
                self.act()
            return real(*words, **more)

        return step


class Tally:
    """Write how many steps there were into a file when the program ends."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self) -> None:
        counter = AtStep(-1, die)
        counter()
        multiprocessing.util.Finalize(
            None, lambda: self.path.write_text(str(counter.seen)), exitpriority=1
        )


class Fault:
    """Raise what the system would."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self) -> None:
        raise OSError(self.number, os.strerror(self.number))


class Smallest:
    """Let no file grow beyond a number of bytes: a quota that the kernel itself keeps."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def __call__(self) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


FAULTS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOSPC)


def tree(folder: Path) -> dict[str, str]:
    """Names and hashes of all files below a folder, without locks."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.startswith(".bolus-lock-")
    }


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int):
    """A disk of that size at a folder; gives a function that enlarges it. Needs root."""
    size = f"size={kilobytes}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    grow = ["mount", "-o", "remount,size=64m", str(folder)]
    try:
        yield lambda: subprocess.run(grow, check=True)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this user may make a small disk."""
    if os.geteuid() != 0:
        return False
    try:
        with small_disk(folder, 64):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@functools.cache
def finished() -> tuple[Path, exam_cases.Files]:
    """One exam and its complete result, made once a process; nobody may change it."""
    from bolus.workflows.config import parse_config
    from bolus.workflows.exam import run_exam
    from bolus.workflows.inputs import DscPaths
    from bolus.workflows.outputs import FlatNames

    folder = Path(tempfile.mkdtemp(prefix="bolus-reliability-"))
    multiprocessing.util.Finalize(None, shutil.rmtree, (folder, True), exitpriority=1)
    files = exam_cases.write(folder / "in")
    run_exam(
        DscPaths(series=files.series, tumour=files.tumour),
        parse_config(exam_cases.FAST),
        folder / "out",
        names=FlatNames("exam"),
        label="exam",
    )
    return folder / "out", files

"""Outputs that are there completely or not at all: temporary names, fsync, rename, one writer.

A run that is killed leaves hidden folders that the next run recognises and clears; a finished one
leaves a receipt with the hash of every file. Locks are released by the kernel when their holder
dies, so a dead holder never blocks.
"""

import fcntl
import functools
import json
import operator
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bolus.errors import BolusError, Code, FileError, ResourceError
from bolus.io.access import file_digest, named, os_failure
from bolus.io.manifest import Manifest
from bolus.io.names import safe_join
from bolus.io.receipt import (
    RECEIPT_NAME,
    Receipt,
    differences,
    listed_files,
    read_receipt,
    receipt_bytes,
)

_HIDDEN = ".bolus-"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFolder:
    """A folder being written: files appear in `stage` and move to `target` together.

    Made by `open_output`. Names are checked: nothing is written outside.
    """

    target: Path
    stage: Path
    stated: list[Manifest] = field(default_factory=list)
    """What the step says that it writes, by `expect`."""

    def expect(self, manifest: Manifest) -> None:
        """State what is to be written; parts add up, and the folder is only kept if it is there.

        Args:
            manifest: names of files, from what was asked for.
        """
        self.stated.append(manifest)

    def path(self, name: str) -> Path:
        """Return where to write a file of this output; its folders exist.

        Args:
            name: relative, with forward slashes.

        Raises:
            FileError: the name would leave the folder.
            ResourceError: the folder cannot be made.
        """
        place = safe_join(self.stage, name)
        with named(self.target / name):
            place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, name: str, content: bytes | str) -> Path:
        """Write one file and return its path.

        Raises:
            FileError: the name would leave the folder.
            ResourceError: the disk is full, or may not be written.
        """
        place = self.path(name)
        write_atomically(place, content.encode() if isinstance(content, str) else content)
        return place


@contextmanager
def open_output(
    target: Path | str, *, inputs: Mapping[str, str], config_digest: str, version: str
) -> Iterator[OutputFolder]:
    """Open a folder for one run; it is replaced as a whole when the block ends without an error.

    Whatever ends the block otherwise (an error, Ctrl-C, a kill), the old content stays as it was.

    Args:
        target: the folder; must not exist, be empty, or hold an earlier output of bolus.
        inputs: name -> SHA-256 of every input, for the receipt.
        config_digest: digest of the settings.
        version: version of bolus.

    Raises:
        FileError: the folder holds something else.
        ResourceError: another run is writing to it, the disk is full, it may not be written, or
            the files are not those that were stated with `expect`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from bolus.io import Manifest, open_output, verify
        >>> folder = Path(tempfile.mkdtemp()) / "out"
        >>> with open_output(folder, inputs={}, config_digest="", version="1") as output:
        ...     output.expect(Manifest(must={"numbers.tsv"}))
        ...     _ = output.write("numbers.tsv", "a")
        >>> verify(folder)
        ()
    """
    target = Path(os.path.realpath(target))
    stage, old = _sibling(target, "stage"), _sibling(target, "old")
    with named(target):
        made = _make_parents(target.parent)
    published = False
    try:
        with _locked(target):
            with named(target):
                _heal(target, stage=stage, old=old)
                _require_ours(target)
                stage.mkdir()
            try:
                output = OutputFolder(target=target, stage=stage)
                yield output
                with named(target):
                    _sign(output, inputs=inputs, config_digest=config_digest, version=version)
                    _publish(stage, target, old=old)
                published = True
            except OSError as failure:
                raise os_failure(failure, target) from failure
            except BolusError as error:
                error.where = error.where.replace(str(stage), str(target))
                raise
            finally:
                with suppress(OSError):
                    _heal(target, stage=stage, old=old)
    finally:
        for folder in () if published else made:
            with suppress(OSError):
                folder.rmdir()


def write_atomically(path: Path | str, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write a file so that its name never stands for half of it; its folders are made.

    Args:
        path: the file.
        content: what it holds, or what writes it.

    Raises:
        ResourceError: the disk is full, or may not be written.
        FileError: a part of its path is a file.
    """
    path = Path(path)
    temporary = path.with_name(f"{_HIDDEN}{os.getpid()}-{path.name}")
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _sibling(target: Path, role: str) -> Path:
    return target.with_name(f"{_HIDDEN}{role}-{target.name}")


def _make_parents(folder: Path) -> list[Path]:
    """Make the missing folders above an output and return them, innermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
    return missing


def _require_ours(target: Path) -> None:
    """Raise unless replacing the folder can lose nothing that bolus did not write."""
    if not target.exists():
        return
    if not target.is_dir():
        raise FileError(
            Code.PATH_KIND, "is a file where a folder is needed", mend="name another output folder"
        )
    if target.is_mount():
        raise _occupied("is a mounted volume, which cannot be replaced as a whole", "name a folder")
    if not any(target.iterdir()):
        return
    if not (target / RECEIPT_NAME).is_file():
        count = sum(1 for _ in target.iterdir())
        raise _occupied(f"holds {count} entries and no receipt of bolus", "name an empty folder")
    extra = [d.name for d in differences(target, read_receipt(target / RECEIPT_NAME))
             if d.kind == "extra"]  # fmt: skip
    if extra:
        raise _occupied(
            f"holds {len(extra)} files that bolus did not write (first: {extra[0]})",
            "move them away",
        )


def _occupied(what: str, mend: str) -> FileError:
    return FileError(Code.OUTPUT_OCCUPIED, what, mend=f"{mend}, or choose another output folder")


def _heal(target: Path, *, stage: Path, old: Path) -> None:
    """Clear what a killed run left behind; the lock is held, so nobody else is at work here."""
    if stage.exists():
        shutil.rmtree(stage)
    if old.exists():
        if target.exists():
            shutil.rmtree(old)
        else:
            old.rename(target)


def _sign(
    folder: OutputFolder, *, inputs: Mapping[str, str], config_digest: str, version: str
) -> None:
    """Compare what was hashed with what was stated, and write the receipt."""
    stage = folder.stage
    outputs = {name: file_digest(stage / name) for name in listed_files(stage)}
    if folder.stated:
        functools.reduce(operator.or_, folder.stated).require(outputs)
    receipt = Receipt(
        version=version, config_digest=config_digest, inputs=dict(inputs), outputs=outputs
    )
    write_atomically(stage / RECEIPT_NAME, receipt_bytes(receipt))


def _publish(stage: Path, target: Path, *, old: Path) -> None:
    """Bring everything to disk, then swap: two renames, and `_heal` knows the gap between them."""
    for base, _, files in os.walk(stage):
        for name in files:
            _sync_folder(Path(base) / name)
        _sync_folder(Path(base))
    if target.exists():
        target.rename(old)
    stage.rename(target)
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    """Bring a file or a folder's list of names to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the only permission to write an output.

    Raises:
        ResourceError: another run holds it; the message says which.
    """
    lock = _sibling(target, "lock")
    with named(target):
        handle = _acquire(lock)
        try:
            holder = {"pid": os.getpid(), "host": socket.gethostname()}
            os.truncate(handle, 0)
            os.pwrite(handle, json.dumps(holder).encode(), 0)
        except OSError:
            os.close(handle)
            raise
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # while it is held: who opened it before will see another file
        os.close(handle)


def _acquire(lock: Path) -> int:
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(lock, handle):
                return handle
        except BlockingIOError as failure:
            holder = os.pread(handle, 500, 0)
            os.close(handle)
            raise ResourceError(
                Code.LOCKED,
                f"another run is writing here ({_holder(holder)})",
                mend="wait until it has finished, or choose another output folder",
            ) from failure
        except OSError:
            os.close(handle)
            raise
        os.close(handle)


def _is_still(lock: Path, handle: int) -> bool:
    """Return whether the name still stands for the file that was locked."""
    try:
        return os.path.samestat(lock.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _holder(content: bytes) -> str:
    try:
        known = json.loads(content)
        return f"process {int(known['pid'])} on {str(known['host'])[:60]}"
    except (ValueError, KeyError, TypeError):
        return "its process has not said its name yet"

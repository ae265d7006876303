"""The one place where the operating system's answers become errors with a code.

Nothing here hangs on a named pipe, follows a loop of links, or reads more than it was told to.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from bolus.errors import BolusError, Code, FileError, ResourceError

NIFTI_SUFFIXES = (".nii.gz", ".nii")

_CHUNK_BYTES = 1 << 20
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ABSENT: Mapping[int, str] = MappingProxyType(
    {
        errno.ENOENT: "does not exist",
        errno.ELOOP: "is a link that leads back to itself",
        errno.ENAMETOOLONG: "has a name that is too long",
        errno.EINVAL: "has a name that cannot be a file's",
    }
)
_KIND: Mapping[int, str] = MappingProxyType(
    {
        errno.EISDIR: "is a folder where a file is needed",
        errno.ENOTDIR: "has a file in its path where a folder is needed",
    }
)


def os_failure(failure: OSError, place: object) -> BolusError:
    """Return the error that says what an `OSError` means, and what to do about it.

    Args:
        failure: what the operating system raised.
        place: the file or folder it is about.
    """
    number = failure.errno or 0
    if number in _FULL:
        return ResourceError(
            Code.DISK_FULL,
            "there is no space left to write to",
            mend="free space (or quota) and run again; finished sessions are kept",
            where=str(place),
        )
    if number in _FORBIDDEN:
        return ResourceError(
            Code.PERMISSION,
            "may not be read or written by this user",
            mend="change its permissions, or choose another folder",
            where=str(place),
        )
    if number == errno.ENOMEM:
        return ResourceError(
            Code.MEMORY,
            "the system has no memory left",
            mend="close other programs or use a machine with more memory",
            where=str(place),
        )
    if number in _ABSENT:
        return FileError(
            Code.FILE_MISSING, _ABSENT[number], mend="check the path", where=str(place)
        )
    if number in _KIND:
        return FileError(Code.PATH_KIND, _KIND[number], mend="check the path", where=str(place))
    return ResourceError(
        Code.IO_FAULT,
        f"reading or writing failed ({failure.strerror or type(failure).__name__})",
        mend="check the disk or the network drive and run again",
        where=str(place),
    )


@contextmanager
def named(place: object) -> Iterator[None]:
    """Name the file in every error that leaves the block, and translate the system's own."""
    try:
        yield
    except BolusError as error:
        error.at(place)
        raise
    except OSError as failure:
        raise os_failure(failure, place) from failure
    except MemoryError as failure:
        raise os_failure(OSError(errno.ENOMEM, ""), place) from failure


def stem_of(path: Path) -> str:
    """Return the file name without .nii or .nii.gz."""
    for suffix in NIFTI_SUFFIXES:
        if path.name.endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def require_file(path: Path) -> int:
    """Return the size of a regular file [bytes].

    Raises:
        FileError: it is missing, a folder, or something that is no plain file.
        ResourceError: it may not be looked at.
    """
    with named(path):
        try:
            found = path.stat()
        except ValueError as failure:  # a NUL in the name
            raise OSError(errno.EINVAL, "") from failure
        if stat.S_ISDIR(found.st_mode):
            raise OSError(errno.EISDIR, "")
        if not stat.S_ISREG(found.st_mode):
            raise FileError(
                Code.PATH_KIND,
                "is a device or pipe where a plain file is needed",
                mend="save it as a file first",
            )
        return found.st_size


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Return the content of a small file.

    Raises:
        FileError: it is missing, no plain file, or larger than `limit` bytes.
        ResourceError: it may not be read.
    """
    size = require_file(path)
    if size > limit:
        raise FileError(
            Code.FILE_BOMB,
            f"has {size} bytes where at most {limit} are expected",
            mend="check that this is the right file",
            where=str(path),
        )
    with named(path):
        return path.read_bytes()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    require_file(path)
    with named(path), path.open("rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(_CHUNK_BYTES):
            digest.update(block)
        return digest.hexdigest()


def available_memory_bytes() -> int:
    """Return how much memory this process may still take, by the machine and its container."""
    bounds = [_machine_available(), *_container_available()]
    return min(bounds)


def require_memory(wanted_bytes: int, *, purpose: str) -> None:
    """Raise before a computation that would not fit.

    Raises:
        ResourceError: less than `wanted_bytes` are available.
    """
    available = available_memory_bytes()
    if wanted_bytes > available:
        raise ResourceError(
            Code.MEMORY,
            f"{purpose} needs {wanted_bytes / 2**30:.2f} GiB of memory, "
            f"{available / 2**30:.2f} GiB are free",
            mend="close other programs, or use a machine with more memory",
        )


def _machine_available() -> int:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _container_available() -> list[int]:
    try:
        bound = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return []
    if bound == "max":
        return []
    return [max(int(bound) - used + _reclaimable(), 0)]


def _reclaimable() -> int:
    """Return the file cache that counts as used but is given back on demand [bytes]."""
    try:
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines if line.count(" ") == 1)
    return int(counts.get("inactive_file", 0))

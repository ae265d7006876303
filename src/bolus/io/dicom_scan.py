"""Find the DICOM files of a folder and read their headers in a child of limited memory and time."""

import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from bolus.errors import Code, FileError, ResourceError
from bolus.io.access import named

SECONDS_PER_FILE = 60
_MOST_FILES = 200_000
_CHUNK = 1 << 20
_CODES: Mapping[str, tuple[Code, str]] = MappingProxyType(
    {
        "damaged": (Code.DICOM_DAMAGED, "copy or export the file again"),
        "bomb": (Code.DICOM_BOMB, "check where the file came from, and take it out"),
        "unsupported": (Code.DICOM_UNSUPPORTED, "try --with dcm2niix, or decompress it first"),
        "header": (Code.DICOM_HEADER, "export the series again"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """One MR image file: where it is, how its pixels are stored, and what its header says.

    `label` names it without its path, which may hold a patient's name.
    """

    path: Path
    label: str
    pixels: Mapping[str, Any]
    whose: Mapping[str, Any]
    about: Mapping[str, Any]
    frames: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFolder:
    """The MR images of a folder, and counts of everything that was left alone.

    `others` counts DICOM objects that are no MR image by their kind, `foreign` the files that are
    no DICOM, `links` what was not followed. `removed` counts tags that go no further.
    """

    files: tuple[DicomFile, ...]
    others: Mapping[str, int]
    foreign: int
    links: int
    removed: Mapping[str, int]


@dataclass(slots=True)
class HeaderChild:
    """The process that parses; restarted when a file kills it. Use it in a `with` block."""

    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _buffer: bytearray = field(default_factory=bytearray, init=False)

    def __enter__(self) -> "HeaderChild":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._end()

    def header(self, path: Path, label: str) -> Mapping[str, Any]:
        """Return what the child says of a file.

        Raises:
            FileError: it is damaged, dangerous, or took too long.
        """
        answer, _ = self._ask({"path": str(path), "ask": "header"}, label)
        return answer

    def pixels(self, path: Path, label: str, *, frame: int) -> bytes:
        """Return one decoded frame.

        Raises:
            FileError: it cannot be decoded.
        """
        return self._ask({"path": str(path), "ask": "pixels", "frame": frame}, label)[1]

    def _ask(self, request: Mapping[str, Any], label: str) -> tuple[Mapping[str, Any], bytes]:
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(self._line())
            content = self._bytes(int(answer.get("bytes", 0)))
        except (BrokenPipeError, EOFError, TimeoutError) as failure:
            slow = isinstance(failure, TimeoutError)
            self._end()
            what = f"took more than {SECONDS_PER_FILE} s" if slow else "needs too much memory"
            raise _trouble("bomb", f"{what} to be parsed", label) from None
        except BaseException:
            self._end()
            raise
        if answer["kind"] == "bad":
            raise _trouble(answer["trouble"], answer["what"], label)
        return answer, content

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._buffer.clear()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from bolus.io.dicom_child import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # parsers quote values there
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C reaches the parent, which ends the child
            )
        return self._process

    def _more(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], SECONDS_PER_FILE)
        if not ready:
            raise TimeoutError
        block = os.read(process.stdout.fileno(), _CHUNK)
        if not block:
            raise EOFError
        self._buffer += block

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        process.wait()


def scan_dicom(
    folder: Path | str,
    *,
    show_names: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> DicomFolder:
    """Read the header of every DICOM file below a folder; links are not followed.

    Files are told by their content. One that is DICOM and damaged is an error, not left out: the
    series it belongs to would lack it.

    Args:
        folder: searched with everything below it; or one file.
        show_names: whether messages may name files; paths may hold names of patients.
        progress: told how many files are read, and of how many.

    Raises:
        FileError: no folder, no DICOM file, or one that is damaged or dangerous.
        ResourceError: something may not be read.
    """
    root = Path(folder)
    paths, links = _listed(root)
    files, others, foreign, removed = [], Counter[str](), 0, Counter[str]()
    with HeaderChild() as child:
        for place, path in enumerate(paths, start=1):
            label = str(path) if show_names else f"file {place} of {len(paths)}"
            answer = child.header(path, label)
            if answer["kind"] == "foreign":
                foreign += 1
            elif answer["kind"] == "other":
                others[answer["what"]] += 1
            else:
                removed.update(answer["removed"])
                files.append(_file(path, label, answer))
            progress(place, len(paths))
    if not files:
        raise FileError(
            Code.DICOM_NOTHING,
            f"holds no MR image ({len(paths)} files: {foreign} are no DICOM, "
            f"{sum(others.values())} are other DICOM objects)",
            mend="name the folder that holds the MR series",
            where=str(root),
        )
    return DicomFolder(
        files=tuple(files),
        others=dict(sorted(others.items())),
        foreign=foreign,
        links=links,
        removed=dict(sorted(removed.items())),
    )


def _file(path: Path, label: str, answer: Mapping[str, Any]) -> DicomFile:
    return DicomFile(
        path=path,
        label=label,
        pixels=answer["pixels"],
        whose=answer["whose"],
        about=answer["about"],
        frames=tuple(answer["frames"]),
    )


def _listed(root: Path) -> tuple[Sequence[Path], int]:
    """Return the plain files below a folder in order of their names, and how many links there are.

    Raises:
        FileError: no such folder, or far too many files.
    """
    if root.is_file():
        return [root], 0
    with named(root):
        if not root.is_dir():
            raise FileError(
                Code.PATH_KIND if root.exists() else Code.FILE_MISSING,
                "is no folder and no plain file" if root.exists() else "does not exist",
                mend="name the folder that holds the DICOM files",
            )
    found, links = [], 0
    for base, folders, names in os.walk(root, onerror=_unreadable):
        folders.sort()
        for name in sorted(names):
            path = Path(base) / name
            if path.is_symlink() or not path.is_file():
                links += 1
            else:
                found.append(path)
        links += sum((Path(base) / name).is_symlink() for name in folders)
        if len(found) > _MOST_FILES:
            raise FileError(
                Code.DICOM_NOTHING,
                f"holds more than {_MOST_FILES} files",
                mend="import one patient at a time",
                where=str(root),
            )
    return found, links


def _unreadable(_failure: OSError) -> None:
    raise ResourceError(
        Code.PERMISSION,
        "a folder inside the DICOM folder may not be read by this user",
        mend="change its permissions",
    )


def _trouble(kind: str, what: str, label: str) -> FileError:
    code, mend = _CODES.get(kind, _CODES["damaged"])
    return FileError(code, what, mend=mend, where=label)

"""Bytes of a plain or gzip-compressed file, checked to the last: length, checksum, bombs."""

import hashlib
import zlib
from pathlib import Path
from typing import BinaryIO

from bolus.errors import Code, FileError
from bolus.io.access import require_file

GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 1 << 18
_TAIL_BYTES = 1 << 20
"""What may follow the image in a file; programs pad, but not by more than this."""


class ImageStream:
    """Read a file forwards, unpacking it if it is gzip, and hash every byte on disk.

    Whether a file is compressed is seen from its first bytes, not from its name. `finish` reads to
    the end, so a wrong checksum in the trailer is found, which libraries that stop early miss.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.size = require_file(path)
        self._file = file
        self._digest = hashlib.sha256()
        self._pending = self._next_chunk()
        self.compressed = self._pending[:2] == GZIP_MAGIC
        self._inflater = zlib.decompressobj(wbits=31)
        self._ended = not self.compressed
        self._damaged = False

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, or fewer at the end.

        Raises:
            FileError: the compressed data are damaged.
        """
        parts = []
        while count > 0 and (part := self._some(count)):
            parts.append(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self) -> str:
        """Read the rest and return the SHA-256 of the file as it lies on disk.

        Raises:
            FileError: the checksum is wrong, the end is missing, or far too much follows.
        """
        if len(self.read(_TAIL_BYTES + 1)) > _TAIL_BYTES:
            raise FileError(
                Code.FILE_BOMB if self.compressed else Code.HEADER_INVALID,
                "holds more than 1 MiB behind the image that its header describes",
                mend="rewrite the image; its header and its content do not belong together",
            )
        while self._next_chunk():
            pass
        return self._digest.hexdigest()

    def _next_chunk(self) -> bytes:
        chunk = self._file.read(_CHUNK_BYTES)
        self._digest.update(chunk)
        return chunk

    def _some(self, count: int) -> bytes:
        if not self.compressed:
            self._pending = self._pending or self._next_chunk()
            part, self._pending = self._pending[:count], self._pending[count:]
            return part
        while not self._ended:
            if part := self._inflate(count):
                return part
        return b""

    def _inflate(self, count: int) -> bytes:
        source = self._inflater.unconsumed_tail or self._pending or self._next_chunk()
        self._pending = b""
        if not source and not self._inflater.eof:
            # zlib may still hold output that did not fit the last piece
            if part := self._inflater.decompress(b"", count):
                return part
            raise _damaged("ends before its compressed data do")
        try:
            part = self._inflater.decompress(source, count)
        except zlib.error as failure:
            reason = str(failure).split(": ")[-1]
            raise _damaged(f"is damaged inside its compressed data ({reason})") from failure
        if self._inflater.eof:
            self._begin_next_member()
        return part

    def _begin_next_member(self) -> None:
        """Go on where programs that compress in blocks begin another gzip member."""
        rest = self._inflater.unused_data.lstrip(b"\0")
        rest = rest or self._next_chunk().lstrip(b"\0")
        if rest[:2] == GZIP_MAGIC:
            self._inflater = zlib.decompressobj(wbits=31)
            self._pending = rest
        else:
            self._ended = True


def _damaged(what: str) -> FileError:
    return FileError(Code.FILE_DAMAGED, what, mend="copy or export the file again")

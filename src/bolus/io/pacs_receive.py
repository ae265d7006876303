"""DICOM files from other nodes: only from those named, only the kinds wanted, within a quota.

Nothing a peer sends decides a name on this disk: a file is called by the hash of its content.
"""

import hashlib
import io
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bolus.errors import BolusError, Code, ResourceError
from bolus.io.access import named
from bolus.io.dicom_out_study import require_dicom_tools
from bolus.io.pacs_contexts import received_encodings, received_kinds
from bolus.io.pacs_tls import Tls
from bolus.io.store import write_atomically

STORED, NO_ROOM, MISMATCH, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xA900, 0xC000
_NAME = re.compile(r"[0-9a-f]{64}\.dcm")
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_UID_LENGTH = 64
_RESERVE_BYTES = 256 << 20
"""What must stay free on the disk, whatever the quota."""
_TIMEOUT_S = 60.0
_ASSOCIATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where to listen, under which name, to whom, and how much to take.

    `port` 0 is any free one. `allowed` are the AE titles that may send; at least one. A peer that
    sends one object of more than `largest_bytes` is cut off while it does. With `tls`
    nobody gets in without it.
    """

    folder: Path
    title: str
    allowed: tuple[str, ...]
    port: int
    quota_bytes: int
    address: str = "127.0.0.1"
    largest_bytes: int = 1 << 30
    tls: Tls | None = None


@dataclass(slots=True)
class Tally:
    """How many files came, were there already, and were refused, and why the last one was."""

    stored: int = 0
    repeated: int = 0
    refused: int = 0
    reason: str = ""
    used_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)


class Receiver:
    """A listener at work, from `start` to `stop`.

    Raises:
        ResourceError: the address cannot be listened on, or the folder cannot be written.
        FileError: a certificate or key cannot be used.
    """

    def __init__(self, listener: Listener) -> None:
        require_dicom_tools("pynetdicom")
        self.listener = listener
        self.tally = Tally()
        self._pending: dict[int, int] = {}
        self._server: Any = None

    def start(self) -> int:
        """Begin to listen; return the port."""
        from pynetdicom import AE, evt
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        folder = self.listener.folder
        with named(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.tally.used_bytes = sum(
                p.stat().st_size for p in folder.glob("??/*.dcm") if _NAME.fullmatch(p.name)
            )
        context = None if self.listener.tls is None else self.listener.tls.server()
        node = AE(ae_title=self.listener.title)
        node.require_called_aet = True
        node.require_calling_aet = list(self.listener.allowed)
        node.maximum_associations = _ASSOCIATIONS
        node.acse_timeout = node.dimse_timeout = node.network_timeout = _TIMEOUT_S
        for kind in received_kinds():
            node.add_supported_context(kind, list(received_encodings()))
        node.add_supported_context(str(Verification))
        handlers: list[Any] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_CONN_CLOSE, self._on_close),
        ]
        try:
            self._server = node.start_server(
                (self.listener.address, self.listener.port),
                block=False,
                evt_handlers=handlers,
                ssl_context=context,
            )
        except OSError as failure:
            raise ResourceError(
                Code.PORT_UNAVAILABLE,
                f"cannot be listened on ({failure.strerror or failure})",
                mend="choose a free port above 1024, and an address of this machine",
                where=f"{self.listener.address}:{self.listener.port}",
            ) from failure
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """End all associations and listen no more; a file half received is forgotten."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _room_bytes(self) -> int:
        """Return how much may still come: of the quota, and of the disk less its reserve."""
        free = shutil.disk_usage(self.listener.folder).free - _RESERVE_BYTES
        return min(self.listener.quota_bytes - self.tally.used_bytes, free)

    def _on_data(self, event: Any) -> None:
        """Cut a peer off whose object is larger than any of ours: it is kept in memory."""
        key = id(event.assoc)
        self._pending[key] = self._pending.get(key, 0) + len(event.data)
        if self._pending[key] > self.listener.largest_bytes:
            self._refuse("one object is too large")
            self._pending[key] = -(1 << 62)  # cut off once
            # from a thread of its own: this one must go on for the abort to leave
            threading.Thread(target=event.assoc.abort, daemon=True).start()

    def _on_close(self, event: Any) -> None:
        self._pending.pop(id(event.assoc), None)

    def _on_store(self, event: Any) -> int:
        self._pending.pop(id(event.assoc), None)
        try:
            return self._store(event)
        except (BolusError, OSError):
            return self._refuse("the disk cannot be written", NO_ROOM)

    def _store(self, event: Any) -> int:
        request = event.request
        kind, instance = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        if not (_is_uid(kind) and _is_uid(instance)):
            return self._refuse("its identifier is none", NOT_UNDERSTOOD)
        content = bytes(event.encoded_dataset())
        problem = _problem(content, kind, instance)
        if problem:
            return self._refuse(problem, MISMATCH)
        name = hashlib.sha256(content).hexdigest()
        path = self.listener.folder / name[:2] / f"{name}.dcm"
        with self.tally._lock:
            if path.exists():
                self.tally.repeated += 1
                return STORED
            room = self._room_bytes()
            if len(content) <= room:
                write_atomically(path, content)
                self.tally.used_bytes += len(content)
                self.tally.stored += 1
                return STORED
        return self._refuse("the quota or the disk is full", NO_ROOM)

    def _refuse(self, reason: str, status: int = NO_ROOM) -> int:
        with self.tally._lock:
            self.tally.refused += 1
            self.tally.reason = reason
        return status


def receive(
    listener: Listener,
    *,
    ready: Callable[[int], None],
    done: Callable[[Tally], None],
    stop: threading.Event,
) -> None:
    """Listen until told to stop.

    Args:
        listener: where, to whom, how much.
        ready: told the port as soon as it is open.
        done: told what came, however it ended.
        stop: ends it when set; Ctrl-C does too.

    Raises:
        ResourceError: the address cannot be listened on, or the folder cannot be written.
    """
    receiver = Receiver(listener)
    ready(receiver.start())
    try:
        while not stop.wait(0.2):
            pass
    finally:
        receiver.stop()
        done(receiver.tally)


def _is_uid(text: str) -> bool:
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


def _problem(content: bytes, kind: str, instance: str) -> str:
    """Return why a content is not the object that was announced, or nothing."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        head = dcmread(
            io.BytesIO(content), stop_before_pixels=True,
            specific_tags=["SOPClassUID", "SOPInstanceUID"],
        )  # fmt: skip
        same = (str(head.SOPClassUID), str(head.SOPInstanceUID)) == (kind, instance)
    except (InvalidDicomError, AttributeError, ValueError, EOFError, KeyError, RecursionError):
        return "it cannot be parsed"
    return "" if same else "it is not what was announced"

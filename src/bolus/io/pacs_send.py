"""DICOM files to another node, such as a PACS: each is sent as it is, and each answer is kept."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bolus.errors import Code, FileError, ResourceError
from bolus.io.access import named
from bolus.io.dicom_out_study import require_dicom_tools
from bolus.io.pacs_contexts import MOST_CONTEXTS
from bolus.io.pacs_tls import Tls, try_handshake

_MAGIC = b"DICM"
_SUCCESS = 0x0000
_WARNINGS = range(0xB000, 0xC000)
_REASONS = {
    0x0122: "its kind is not supported there",
    0x0124: "not authorised",
    0xA700: "no room there",
    0xA900: "it does not match its kind",
    0xC000: "it is not understood there",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another DICOM node: where it listens, its name, and the name we go by.

    With `tls` the connection is encrypted, and the node has to prove its host name.
    """

    host: str
    port: int
    called: str
    calling: str
    timeout_s: float = 30.0
    tls: Tls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one file; `refused` is empty where it was stored."""

    path: Path
    refused: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    path: Path
    kind: str
    encoding: str


def send(
    folder: Path, peer: Peer, *, progress: Callable[[int, int], None] | None = None
) -> tuple[Sent, ...]:
    """Send every DICOM file below a folder, and return what became of each.

    Args:
        folder: of DICOM files; other files are left alone.
        peer: who gets them.
        progress: told how many of how many are done.

    Raises:
        FileError: the folder holds no DICOM file.
        ResourceError: nobody answers, or the node refuses the connection.
    """
    require_dicom_tools("pynetdicom")
    files = list(_dicom_files(folder))
    if not files:
        raise FileError(
            Code.DATASET_INVALID,
            "holds no DICOM files",
            mend="name a folder that bolus export wrote",
            where=str(folder),
        )
    kinds = sorted({(file.kind, file.encoding) for file in files})
    done: list[Sent] = []
    for first in range(0, len(kinds), MOST_CONTEXTS):
        part = kinds[first : first + MOST_CONTEXTS]
        chosen = [file for file in files if (file.kind, file.encoding) in part]
        done += _send_some(chosen, part, peer, progress, begun=len(done), total=len(files))
    return tuple(done)


def echo(peer: Peer) -> None:
    """Ask a node whether it is there (C-ECHO).

    Raises:
        ResourceError: nobody answers, or the node refuses the connection.
    """
    require_dicom_tools("pynetdicom")
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    association = _associate(peer, [(str(Verification), "")])
    try:
        status = association.send_c_echo()
        if not status or status.Status != _SUCCESS:
            raise _lost(peer, "does not answer an echo")
    finally:
        association.release()


def _send_some(
    files: Sequence[_File],
    kinds: Sequence[tuple[str, str]],
    peer: Peer,
    progress: Callable[[int, int], None] | None,
    *,
    begun: int,
    total: int,
) -> list[Sent]:
    association = _associate(peer, kinds)
    accepted = {
        (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts
    }
    done = []
    try:
        for count, file in enumerate(files):
            refused = "its kind or encoding is not accepted there"
            if (file.kind, file.encoding) in accepted:
                refused = _send_one(association, file)
            done.append(Sent(path=file.path, refused=refused))
            if progress is not None:
                progress(begun + count + 1, total)
    finally:
        if association.is_established:
            association.release()
    return done


def _send_one(association: Any, file: _File) -> str:
    """Send one file and return why it was refused, or nothing."""
    if not association.is_established:
        return "the connection was lost"
    try:
        status = association.send_c_store(file.path)
    except (ValueError, RuntimeError, AttributeError):
        return "the connection was lost, or the file cannot be sent"
    if "Status" not in status:
        return "no answer came"
    code = int(status.Status)
    if code == _SUCCESS or code in _WARNINGS:
        return ""
    reason = _REASONS.get(code, _REASONS.get(code & 0xFF00, _REASONS.get(code & 0xF000, "refused")))
    return f"{reason} (status {code:04X})"


def _associate(peer: Peer, kinds: Sequence[tuple[str, str]]) -> Any:
    from pynetdicom import AE

    context = None if peer.tls is None else peer.tls.client()
    try:  # pynetdicom leaves its socket open where nobody listens
        try_handshake((peer.host, peer.port), context, timeout_s=peer.timeout_s)
    except OSError as failure:
        raise _lost(peer, f"nobody answers ({failure.strerror or failure})") from failure
    node = AE(ae_title=peer.calling)
    node.connection_timeout = node.acse_timeout = peer.timeout_s
    node.dimse_timeout = node.network_timeout = 4 * peer.timeout_s
    for kind, encoding in kinds:
        if encoding:
            node.add_requested_context(kind, encoding)
        else:
            node.add_requested_context(kind)
    association = node.associate(
        peer.host,
        peer.port,
        ae_title=peer.called,
        tls_args=(context, peer.host) if context else None,
    )
    if association.is_established:
        return association
    if association.is_rejected:
        raise ResourceError(
            Code.PEER_REFUSED,
            f"the node refuses the connection from {peer.calling} to {peer.called}",
            mend="register --aet there, and check --called-aet",
            where=f"{peer.host}:{peer.port}",
        )
    if association.acceptor.primitive is not None:
        raise ResourceError(
            Code.PEER_REFUSED,
            "the node accepts none of the kinds of these files",
            mend="ask its administrator to accept Parametric Map, Segmentation and SR",
            where=f"{peer.host}:{peer.port}",
        )
    secret = ", or does not take our certificate" if context else ""
    raise _lost(peer, f"what answers is no DICOM node{secret}")


def _lost(peer: Peer, what: str) -> ResourceError:
    return ResourceError(
        Code.PEER_UNREACHABLE,
        what,
        mend="check host, port and firewall, and that the PACS runs",
        where=f"{peer.host}:{peer.port}",
    )


def _dicom_files(folder: Path) -> Iterator[_File]:
    """Yield the DICOM files below a folder, or the one file, with their kind and encoding."""
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    with named(folder):
        if not folder.exists():
            raise FileError(
                Code.FILE_MISSING, "does not exist", mend="name a folder of DICOM files"
            )
        paths = sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else [folder]
        for path in paths:
            with path.open("rb") as file:
                if file.read(132)[128:] != _MAGIC:
                    continue
            try:
                meta = read_file_meta_info(path)
                yield _File(
                    path=path,
                    kind=str(meta.MediaStorageSOPClassUID),
                    encoding=str(meta.TransferSyntaxUID),
                )
            except (InvalidDicomError, AttributeError, ValueError, EOFError) as failure:
                raise FileError(
                    Code.FILE_DAMAGED,
                    "begins like a DICOM file but does not say its kind and encoding",
                    mend="export it again, or move it away",
                    where=str(path),
                ) from failure

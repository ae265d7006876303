"""Files to a PACS and back: what is told to the user, without any patient data."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bolus.io.pacs_contexts import title
from bolus.io.pacs_receive import Listener, Tally, receive
from bolus.io.pacs_send import Peer, Sent, send
from bolus.workflows.progress import Progress, silent

_GIGABYTE = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class SendOutcome:
    """What became of every file, by its name below the folder that was sent."""

    stored: int
    refused: dict[str, str]


def send_folder(folder: Path, peer: Peer, *, progress: Progress = silent) -> SendOutcome:
    """Send every DICOM file below a folder.

    Args:
        folder: what `export_dicom` wrote, or any other.
        peer: who gets it.
        progress: told about every file.

    Raises:
        BolusError: nothing to send, nobody answers, or the node refuses the connection.
    """
    title(peer.called, option="--called-aet")
    title(peer.calling, option="--aet")
    done = send(folder, peer, progress=lambda count, total: progress("Sending", count, total))
    return SendOutcome(
        stored=sum(not item.refused for item in done),
        refused={_below(folder, item): item.refused for item in done if item.refused},
    )


def receive_files(
    listener: Listener,
    *,
    ready: Callable[[int], None],
    done: Callable[[Tally], None],
    stop: threading.Event | None = None,
) -> None:
    """Listen for DICOM files until stopped.

    Args:
        listener: where, to whom, how much.
        ready: told the port as soon as it is open.
        done: told what came, however it ended.
        stop: ends it when set; without one, Ctrl-C does.

    Raises:
        BolusError: a name is none, the address cannot be used, or the folder cannot be written.
    """
    title(listener.title, option="--aet")
    for name in listener.allowed:
        title(name, option="--allow-aet")
    receive(listener, ready=ready, done=done, stop=stop or threading.Event())


def quota_bytes(gigabytes: float) -> int:
    """Return a quota in bytes; a gigabyte is 10^9 bytes.

    Example:
        >>> quota_bytes(0.5)
        500000000
    """
    return int(gigabytes * _GIGABYTE)


def _below(folder: Path, item: Sent) -> str:
    return item.path.name if item.path == folder else item.path.relative_to(folder).as_posix()

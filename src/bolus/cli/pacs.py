"""The commands `bolus send` and `bolus receive`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bolus.cli import show
from bolus.cli.failure import EXIT_SOME_FAILED
from bolus.cli.progress import progress_bars

if TYPE_CHECKING:
    from bolus.io.pacs_receive import Tally
    from bolus.io.pacs_tls import Tls


_CA = "PEM file of who may have signed the certificate"
_CERT = "PEM file with our certificate."
_KEY = "PEM file with its key, without a password."


def send(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of DICOM files, such as of export.")],
    host: Annotated[str, typer.Option(help="Address of the PACS.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its DICOM port.")],
    called_aet: Annotated[str, typer.Option(help="Its AE title.")],
    aet: Annotated[str, typer.Option(help="Our AE title, as the PACS knows it.")] = "BOLUS",
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    tls_ca: Annotated[Path | None, typer.Option(help=f"{_CA} of the PACS.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help=_CERT)] = None,
    tls_key: Annotated[Path | None, typer.Option(help=_KEY)] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for an answer.")] = 30.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Send DICOM files to a PACS; say which were refused (exit 3 if any was)."""
    from bolus.io.pacs_send import Peer
    from bolus.workflows.pacs import send_folder

    peer = Peer(
        host=host,
        port=port,
        called=called_aet,
        calling=aet,
        timeout_s=timeout,
        tls=_tls(tls, tls_ca, tls_cert, tls_key),
    )
    with progress_bars(shown=not quiet) as progress:
        outcome = send_folder(folder, peer, progress=progress)
    lines = [f"refused  {name}: {why}" for name, why in outcome.refused.items()]
    lines += [f"{outcome.stored} stored, {len(outcome.refused)} refused by {called_aet}"]
    show.facts({"stored": outcome.stored, "refused": outcome.refused}, lines, as_json=context.obj)
    if outcome.refused:
        raise typer.Exit(EXIT_SOME_FAILED)


def receive(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the files.")],
    allow_aet: Annotated[list[str], typer.Option(help="AE title that may send (may be repeated).")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen here; 0: any free.")] = 11112,
    aet: Annotated[str, typer.Option(help="Our AE title; others must call us so.")] = "BOLUS",
    address: Annotated[
        str, typer.Option(help="Listen on this address; others than this machine need it.")
    ] = "127.0.0.1",
    quota_gb: Annotated[float, typer.Option(min=0.001, help="Most that OUT may hold.")] = 20.0,
    tls_ca: Annotated[Path | None, typer.Option(help=f"{_CA} of senders.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help=f"{_CERT} Only TLS gets in then.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help=_KEY)] = None,
) -> None:
    """Receive DICOM files from named nodes until Ctrl-C; file names never come from outside."""
    from bolus.io.pacs_receive import Listener
    from bolus.workflows.pacs import quota_bytes, receive_files

    listener = Listener(
        folder=out,
        title=aet,
        allowed=tuple(allow_aet),
        port=port,
        quota_bytes=quota_bytes(quota_gb),
        address=address,
        tls=_tls(False, tls_ca, tls_cert, tls_key),
    )

    def ready(opened: int) -> None:
        line = f"Listening on {address}:{opened} as {aet} for {', '.join(allow_aet)}; Ctrl-C stops"
        show.facts({"address": address, "port": opened}, [line], as_json=context.obj)

    def done(tally: "Tally") -> None:
        counts = {"stored": tally.stored, "repeated": tally.repeated, "refused": tally.refused}
        lines = [f"{tally.stored} stored, {tally.repeated} there already, {tally.refused} refused"]
        lines += [f"last refusal: {tally.reason}"] if tally.refused else []
        show.facts({**counts, "reason": tally.reason}, lines, as_json=context.obj)

    receive_files(listener, ready=ready, done=done)


def _tls(wanted: bool, ca: Path | None, cert: Path | None, key: Path | None) -> "Tls | None":
    """Return what was said of encryption; a file of it means that it is wanted."""
    from bolus.io.pacs_tls import Tls

    return Tls(ca=ca, cert=cert, key=key) if wanted or ca or cert or key else None

"""Encrypted connections to other DICOM nodes: who we are, and whom we believe."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from bolus.errors import Code, FileError, ResourceError
from bolus.io.access import require_file

_HANDSHAKE_S = 10.0
_MEND = "check --tls-ca, --tls-cert and --tls-key; they are PEM files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files: certificates of those we believe, and our own certificate with its key.

    Sending, `ca` says who may have signed the node's certificate, and ours is shown if asked for.
    Receiving, ours is needed, and with `ca` nobody gets in whose certificate it did not sign.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def client(self) -> ssl.SSLContext:
        """Return what a connection that we open is made with; the node's name is checked.

        Raises:
            FileError: a file cannot be used.
        """
        context = self._filled(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        if self.ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return context

    def server(self) -> ssl.SSLContext:
        """Return what connections that we take are made with.

        Raises:
            FileError: a file cannot be used, or our certificate is not given.
        """
        if self.cert is None:
            raise FileError(
                Code.TLS_FAILED, "a listener needs a certificate", mend="give --tls-cert, --tls-key"
            )
        context = self._filled(_Listening(ssl.PROTOCOL_TLS_SERVER))
        if self.ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _filled(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.key is not None and self.cert is None:
            raise FileError(Code.TLS_FAILED, "--tls-key has no --tls-cert", mend=_MEND)
        for path in (self.ca, self.cert, self.key):
            if path is not None:
                require_file(path)
        try:
            if self.ca is not None:
                context.load_verify_locations(cafile=self.ca)
            if self.cert is not None:
                # a key that asks for a password would wait for somebody to type it
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except (ssl.SSLError, OSError, ValueError) as failure:
            raise FileError(
                Code.TLS_FAILED,
                f"a certificate or key cannot be used ({_reason(failure)})",
                mend=_MEND,
                where=" ".join(str(p) for p in (self.ca, self.cert, self.key) if p is not None),
            ) from None
        return context


class _Listening(ssl.SSLContext):
    """A context whose handshakes end: one peer that says nothing must not stop all others."""

    def wrap_socket(  # type: ignore[override]
        self, sock: socket.socket, server_side: bool = True
    ) -> ssl.SSLSocket:
        """Greet a peer, but not for ever."""
        before = sock.gettimeout()
        sock.settimeout(_HANDSHAKE_S)
        try:
            wrapped = super().wrap_socket(sock, server_side=server_side)
        except BaseException:
            sock.close()
            raise
        wrapped.settimeout(before)
        return wrapped


def try_handshake(
    address: tuple[str, int], context: ssl.SSLContext | None, *, timeout_s: float
) -> None:
    """Connect and hang up: what is wrong is said here, and pynetdicom leaves no socket open.

    Args:
        address: of the node.
        context: of TLS; `None` where the connection is plain.
        timeout_s: how long to wait.

    Raises:
        ResourceError: there is no encrypted connection with a node that is believed.
        OSError: nobody answers.
    """
    with socket.create_connection(address, timeout=timeout_s) as line:
        if context is None:
            return
        try:
            with context.wrap_socket(line, server_hostname=address[0]) as safe:
                safe.version()
        except (ssl.SSLError, ssl.CertificateError, OSError) as failure:
            raise ResourceError(
                Code.TLS_FAILED,
                f"no encrypted connection ({_reason(failure)})",
                mend="check that the port is the one with TLS, and that --tls-ca signed the "
                "certificate of that very host",
                where=f"{address[0]}:{address[1]}",
            ) from failure


def _reason(failure: BaseException) -> str:
    reason = getattr(failure, "verify_message", "") or getattr(failure, "reason", "") or ""
    return str(reason or getattr(failure, "strerror", "") or type(failure).__name__).lower()

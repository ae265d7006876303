"""Encrypted sending and receiving on loopback, with certificates made here."""

import contextlib
import datetime
import gc
import ipaddress
import json
import socket
import subprocess
import sys
import threading
import time

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from test_workflow_pacs import files_in, make_results, peer, receiving

from bolus.errors import BolusError, Code
from bolus.io.pacs_send import Peer, send
from bolus.io.pacs_tls import Tls
from bolus.workflows.export_dicom import ExportRequest, export_dicom

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")


@pytest.fixture(autouse=True)
def _no_socket_left_for_other_tests():
    yield
    gc.collect()


def self_signed(folder, name, *, host="127.0.0.1"):
    """Write a certificate that signs itself, and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(tz=datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(host))]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}-key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_path, key_path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the certificates of a server, a friend, and of a server called otherwise."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, host in (("server", "127.0.0.1"), ("friend", "127.0.0.1"), ("other", "10.0.0.1")):
        self_signed(folder, name, host=host)
    return folder


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    export_dicom(
        ExportRequest(folder=make_results(folder / "results"), output=folder / "dicom", captured=())
    )
    return next((folder / "dicom").rglob("map_ncbv.dcm"))


def tls(place, own="", ca=""):
    return Tls(
        ca=place / f"{ca}.pem" if ca else None,
        cert=place / f"{own}.pem" if own else None,
        key=place / f"{own}-key.pem" if own else None,
    )


def secure(port, settings):
    return Peer(
        host="127.0.0.1", port=port, calling="FRIEND", called="BOLUS", timeout_s=5, tls=settings
    )


def test_what_is_sent_encrypted_arrives_as_it_was(place, one_file, tmp_path):
    with receiving(tmp_path / "in", tls=tls(place, "server", "friend")) as (receiver, port):
        sent = send(one_file, secure(port, tls(place, "friend", "server")))

    assert [item.refused for item in sent] == [""]
    assert receiver.tally.stored == 1
    (came,) = (tmp_path / "in").rglob("*.dcm")
    assert pydicom.dcmread(came) == pydicom.dcmread(one_file)


def test_nothing_readable_goes_over_the_line(place, one_file, tmp_path):
    """A relay between both ends keeps what it sees: no name of a node, no word of the object."""
    seen = bytearray()
    with (
        receiving(tmp_path / "in", tls=tls(place, "server")) as (receiver, port),
        relay(port, seen) as through,
    ):
        send(one_file, secure(through, tls(place, ca="server")))

    assert receiver.tally.stored == 1
    assert len(seen) > one_file.stat().st_size
    assert not [word for word in (b"FRIEND", b"BOLUS", b"RESEARCH") if word in seen]


@contextlib.contextmanager
def relay(port, seen):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()

    def pump(source, target):
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                seen.extend(block)
                target.sendall(block)
            target.shutdown(socket.SHUT_WR)

    def run():
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        worker.join()
        listener.close()


@pytest.mark.parametrize(
    ("server", "client", "words"),
    [
        (("server", ""), ("", "friend"), "self-signed certificate"),
        (("server", ""), ("", ""), "self-signed certificate"),
        (("other", ""), ("", "other"), "mismatch"),
    ],
    ids=["signed by another", "signed by nobody known", "of another host"],
)
def test_a_node_that_cannot_prove_itself_gets_nothing(
    place, one_file, tmp_path, server, client, words
):
    with (
        receiving(tmp_path / "in", tls=tls(place, *server)) as (_receiver, port),
        pytest.raises(BolusError, match=words) as caught,
    ):
        send(one_file, secure(port, tls(place, *client)))

    assert caught.value.code is Code.TLS_FAILED
    assert files_in(tmp_path / "in") == []


@pytest.mark.parametrize("own", ["", "other"], ids=["none", "of a stranger"])
def test_without_the_right_certificate_nobody_gets_in(place, one_file, tmp_path, own):
    with (
        receiving(tmp_path / "in", tls=tls(place, "server", "friend")) as (_receiver, port),
        pytest.raises(BolusError) as caught,
    ):
        send(one_file, secure(port, tls(place, own, "server")))

    assert caught.value.code in (Code.TLS_FAILED, Code.PEER_UNREACHABLE)
    assert files_in(tmp_path / "in") == []


def test_a_plain_sender_gets_nowhere_and_an_encrypted_one_says_that_the_port_is_plain(
    place, one_file, tmp_path
):
    with receiving(tmp_path / "a", tls=tls(place, "server")) as (_receiver, port):
        with pytest.raises(BolusError) as plain:
            send(one_file, peer(port))
        after = send(one_file, secure(port, tls(place, ca="server")))
    with receiving(tmp_path / "b") as (_receiver, port), pytest.raises(BolusError) as caught:
        send(one_file, secure(port, tls(place, ca="server")))

    assert plain.value.code is Code.PEER_UNREACHABLE
    assert [item.refused for item in after] == [""]
    assert caught.value.code is Code.TLS_FAILED
    assert files_in(tmp_path / "b") == []


def test_a_peer_that_says_nothing_does_not_stop_the_others(place, one_file, tmp_path, monkeypatch):
    monkeypatch.setattr("bolus.io.pacs_tls._HANDSHAKE_S", 0.5)
    with receiving(tmp_path / "in", tls=tls(place, "server")) as (receiver, port):
        with socket.create_connection(("127.0.0.1", port)):
            began = time.monotonic()
            sent = send(one_file, secure(port, tls(place, ca="server")))
        took_s = time.monotonic() - began

    assert [item.refused for item in sent] == [""]
    assert receiver.tally.stored == 1
    assert took_s < 5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ca": "absent.pem"}, "does not exist"),
        ({"ca": "text.pem"}, "cannot be used"),
        ({"cert": "server.pem", "key": "friend-key.pem"}, "cannot be used"),
        ({"key": "server-key.pem"}, "has no --tls-cert"),
    ],
    ids=["absent", "no certificate", "key of another", "key alone"],
)
def test_files_that_are_no_use_are_named(place, one_file, settings, words):
    (place / "text.pem").write_text("hello")
    given = Tls(**{name: place / file for name, file in settings.items()})

    with pytest.raises(BolusError, match=words) as caught:
        send(one_file, secure(1, given))

    assert caught.value.code in (Code.TLS_FAILED, Code.FILE_MISSING)


def test_a_listener_without_a_certificate_does_not_begin(place, tmp_path):
    with pytest.raises(BolusError, match="needs a certificate"), \
            receiving(tmp_path / "in", tls=tls(place, ca="friend")):  # fmt: skip
        pass


def test_the_command_sends_encrypted(place, one_file, tmp_path):
    words = [sys.executable, "-m", "bolus", "--json", "send", str(one_file), "--host", "127.0.0.1"]
    words += ["--called-aet", "BOLUS", "--aet", "FRIEND", "--tls-ca", str(place / "server.pem")]
    with receiving(tmp_path / "in", tls=tls(place, "server")) as (_receiver, port):
        done = subprocess.run(
            [*words, "--port", str(port)], capture_output=True, text=True, check=False,
            cwd=tmp_path,
        )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"stored": 1, "refused": {}}

"""What a finished output holds: the hash of every file, and of everything it was made from."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bolus.errors import Code, FileError
from bolus.io.access import file_digest, named, read_bytes
from bolus.io.names import safe_join
from bolus.io.sidecar import parse_object

RECEIPT_NAME = "receipt.json"
_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Names and SHA-256 of inputs and outputs, the digest of the settings, and the version."""

    version: str
    config_digest: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file that is not as its receipt says: "missing", "changed" or "extra"."""

    kind: str
    name: str


def verify(folder: Path | str) -> tuple[Difference, ...]:
    """Compare an output, or every output below a folder, with its receipts.

    Returns:
        The differences in order of their names; empty if all is as it was written.

    Raises:
        FileError: there is no receipt, or it was altered itself.
        ResourceError: something may not be read.
    """
    folder = Path(folder)
    with named(folder):
        if not folder.is_dir():
            raise FileError(
                Code.PATH_KIND if folder.exists() else Code.FILE_MISSING,
                "is not a folder" if folder.exists() else "does not exist",
                mend="name the output folder of a run",
            )
        receipts = sorted(folder.rglob(RECEIPT_NAME))
    if not receipts:
        raise FileError(
            Code.FILE_MISSING,
            f"holds no {RECEIPT_NAME}, so no run finished here",
            mend="name the output folder of a finished run",
            where=str(folder),
        )
    found = []
    for path in receipts:
        base = path.parent.relative_to(folder)
        found += [
            Difference(kind=d.kind, name=(base / d.name).as_posix())
            for d in differences(path.parent, read_receipt(path))
        ]
    return tuple(found)


def differences(folder: Path, receipt: Receipt) -> list[Difference]:
    """Return how one folder differs from its receipt."""
    found = []
    present = set(listed_files(folder))
    for name, digest in sorted(receipt.outputs.items()):
        if name not in present:
            found.append(Difference(kind="missing", name=name))
        elif file_digest(safe_join(folder, name)) != digest:
            found.append(Difference(kind="changed", name=name))
    extra = sorted(present - set(receipt.outputs))
    return found + [Difference(kind="extra", name=name) for name in extra]


def is_complete(
    folder: Path | str, *, inputs: Mapping[str, str], config_digest: str, version: str
) -> bool:
    """Return whether a folder holds the finished output of just this run, so it may be skipped."""
    folder = Path(folder)
    if not (folder / RECEIPT_NAME).is_file():
        return False
    try:
        receipt = read_receipt(folder / RECEIPT_NAME)
        same = (receipt.version, receipt.config_digest, dict(receipt.inputs)) == (
            version,
            config_digest,
            dict(inputs),
        )
        return same and not differences(folder, receipt)
    except FileError:
        return False


def read_receipt(path: Path) -> Receipt:
    """Read a receipt and check that nobody altered it.

    Raises:
        FileError: missing, not a receipt, or altered.
    """
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path):
        try:
            values = parse_object(content)
        except FileError as failure:
            raise _altered(f"the receipt cannot be read: it {failure.what}") from failure
        receipt = Receipt(
            version=str(values.get("version", "")),
            config_digest=str(values.get("config_digest", "")),
            inputs=_hashes(values, "inputs"),
            outputs=_hashes(values, "outputs"),
        )
        if receipt_bytes(receipt) != content:
            raise _altered("the receipt itself was altered")
    return receipt


def receipt_bytes(receipt: Receipt) -> bytes:
    """Return a receipt as JSON, the same bytes for the same content, with a hash over itself."""
    body = {
        "version": receipt.version,
        "config_digest": receipt.config_digest,
        "inputs": dict(sorted(receipt.inputs.items())),
        "outputs": dict(sorted(receipt.outputs.items())),
    }
    text = json.dumps(body, indent=1)
    signed = {**body, "digest": hashlib.sha256(text.encode()).hexdigest()}
    return (json.dumps(signed, indent=1) + "\n").encode()


def listed_files(folder: Path) -> list[str]:
    """Return the files below a folder, without its receipt, with forward slashes, sorted.

    Links count as files and are never followed.
    """
    names = []
    for base, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(base) / name).is_symlink()]
        inside = Path(base).relative_to(folder)
        names += [(inside / name).as_posix() for name in (*files, *links)]
    return sorted(name for name in names if name != RECEIPT_NAME)


def _hashes(values: Mapping[str, object], key: str) -> dict[str, str]:
    found = values.get(key)
    if not isinstance(found, dict):
        raise _altered(f'the receipt has no "{key}"')
    return {str(name): str(digest) for name, digest in found.items()}


def _altered(what: str) -> FileError:
    return FileError(
        Code.RECEIPT_MISMATCH, what, mend="move the folder away and run again into a new one"
    )

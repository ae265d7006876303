"""Records of looks at test parts: one small sealed file each, kept beside the data."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from bolus._version import VERSION
from bolus.errors import Code, FileError
from bolus.io.access import named, read_bytes
from bolus.io.store import write_atomically
from bolus.metrics.locked import Answer, Look

_LIMIT_BYTES = 8 << 20


def write_look(folder: Path, look: Look, *, question: Mapping[str, Answer]) -> Path:
    """Write the record of a look before it is taken.

    Args:
        folder: of all records; it is made.
        look: from `metrics.locked.look_at`.
        question: the same in words, for readers.

    Returns:
        The file.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"look-{look.test[:16]}.json"
    record = {
        "test": look.test,
        "question": look.question,
        "patients": sorted(look.patients),
        "asked": dict(question),
        "version": VERSION,
    }
    text = json.dumps(record | {"seal": _seal(record)}, indent=2, sort_keys=True) + "\n"
    write_atomically(path, text.encode())
    return path


def read_looks(folder: Path) -> tuple[Look, ...]:
    """Read the records of all looks that were taken; none where there is no folder.

    Args:
        folder: of the records.

    Raises:
        FileError: a record was changed.
    """
    return tuple(_read(path) for path in sorted(folder.glob("look-*.json")))


def _read(path: Path) -> Look:
    with named(path):
        try:
            record = json.loads(read_bytes(path, limit=_LIMIT_BYTES))
            seal = record.pop("seal")
            sealed = seal == _seal(record)
            look = Look(
                test=str(record["test"]),
                question=str(record["question"]),
                patients=frozenset(map(str, record["patients"])),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _changed() from None
        if not sealed:
            raise _changed()
        return look


def _changed() -> FileError:
    return FileError(
        Code.TEST_LOCKED,
        "the record of a look at a test part was changed",
        mend="restore it; without it nobody knows what was asked of these patients",
    )


def _seal(record: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()

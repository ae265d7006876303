"""Read DICOM files in a process of its own that may be killed: the only place that parses them.

Started by `dicom_scan`. Each line on standard input asks for one file (`{"path": ..., "ask":
"header"}`, or `"pixels"` with a frame); each answer is one line of JSON, for pixels followed by so
many raw bytes. Of a header only what a reader needs is answered; names
and counts of the other tags are told, never their values.
"""

import json
import os
import resource
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from bolus.io.dicom_header import described
from bolus.io.dicom_tags import TroubleError, whole

MEMORY_BYTES = 1 << 30
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT = "1.2.840.10008.1.2"
NATIVE = frozenset({IMPLICIT, "1.2.840.10008.1.2.1", BIG_ENDIAN})
MR_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",
        "1.2.840.10008.5.1.4.1.1.4.1",
        "1.2.840.10008.5.1.4.1.1.4.4",
    }
)
HIGHEST_RATIO = 200
LARGEST_BYTES = 1 << 33
WIDEST = 4096
_HARMLESS = 1 << 20
_FOREIGN = ((b"MZ", "a Windows program"), (b"\x7fELF", "a Linux program"), (b"#!", "a script"))


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        content = b""
        try:
            if request["ask"] == "header":
                answer = header(request["path"])
            else:
                content = decoded(request["path"], request["frame"])
                answer = {"kind": "pixels", "bytes": len(content)}
        except TroubleError as trouble:
            answer = {"kind": "bad", "trouble": trouble.kind, "what": trouble.what}
        except MemoryError:
            answer = _bad("bomb", f"needs more than {MEMORY_BYTES >> 30} GiB to be read")
        except OSError as failure:
            answer = _bad("damaged", f"cannot be read ({failure.strerror})")
        except RecursionError:
            answer = _bad("damaged", "is nested deeper than any header")
        except Exception as failure:  # noqa: BLE001 - whatever a hostile file provokes ends here
            answer = _bad("damaged", f"cannot be parsed ({type(failure).__name__})")
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + content)
        sys.stdout.buffer.flush()


def _bad(kind: str, what: str) -> dict[str, Any]:
    return {"kind": "bad", "trouble": kind, "what": what}


def header(path: str) -> dict[str, Any]:
    """Return what one file is and, for an MR image, the facts of each of its frames.

    Raises:
        TroubleError: it is DICOM, and damaged or dangerous.
    """
    from pydicom.uid import UID

    with Path(path).open("rb") as file:
        dataset, syntax = _dataset(file)
        if dataset is None:
            return {"kind": "foreign"}
        place = file.tell()
        sop_class = str(dataset.get("SOPClassUID", ""))
        if "DirectoryRecordSequence" in dataset:
            return {"kind": "other", "what": "DICOMDIR"}
        if sop_class not in MR_CLASSES:
            what = UID(sop_class).name if UID(sop_class) in _known_uids() else "no MR image"
            return {"kind": "other", "what": what}
        if syntax in NATIVE:
            _require_pixel_tag(file, place, syntax)
        facts = described(dataset)
        try:
            pixels = _pixels(dataset, syntax)
        except TroubleError as trouble:
            if trouble.kind != "unsupported":
                raise
            return {"kind": "image", "pixels": {"unsupported": trouble.what}} | facts
        if syntax in NATIVE:
            pixels |= _located(file, place, pixels)
        else:
            _require_sane_ratio(pixels, os.fstat(file.fileno()).st_size)
        return {"kind": "image", "pixels": pixels} | facts


def _known_uids() -> Any:
    from pydicom._uid_dict import UID_dictionary

    return UID_dictionary


def _dataset(file: BinaryIO) -> tuple[Any, str]:
    """Return the header, and the transfer syntax; (None, "") for what is no DICOM."""
    import pydicom
    from pydicom.filereader import read_file_meta_info

    start = file.read(132)
    for magic, name in _FOREIGN:
        if start.startswith(magic) and start[128:] == b"DICM":
            raise TroubleError("bomb", f"begins like {name}, so it is more than a DICOM file")
    named_dicom = str(file.name).lower().endswith((".dcm", ".ima", ".dicom"))
    force = start[128:] != b"DICM"
    if force and not _looks_raw(start):
        if named_dicom:
            what = "is empty" if not start else "has the name of a DICOM file and is none"
            raise TroubleError("damaged", what)
        return None, ""
    syntax = IMPLICIT
    if not force:
        syntax = str(read_file_meta_info(file.name).get("TransferSyntaxUID", ""))
        if not syntax:
            raise TroubleError("damaged", "does not say its transfer syntax")
    if syntax == DEFLATED:
        _require_small_deflated(file)
    file.seek(0)
    dataset = pydicom.dcmread(file, stop_before_pixels=True, force=force)
    if force:
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT))
    return dataset, syntax


def _looks_raw(start: bytes) -> bool:
    """Return whether bytes without preamble can be the first tag of a data set."""
    if len(start) < 8:
        return False
    group, element, length = struct.unpack("<HHI", start[:8])
    return group in (2, 8) and element <= 0x60 and (length < 300 or start[4:6].isalpha())


def _require_small_deflated(file: BinaryIO) -> None:
    """Inflate piece by piece and stop where it becomes absurd."""
    file.seek(128 + 4)
    meta = file.read(12)
    file.seek(128 + 4 + 12 + struct.unpack("<I", meta[8:12])[0])
    packer, total, stored = zlib.decompressobj(-zlib.MAX_WBITS), 0, 0
    while block := file.read(1 << 14):
        stored += len(block)
        while block:
            total += len(packer.decompress(block, 1 << 20))
            block = packer.unconsumed_tail
            if total > max(HIGHEST_RATIO * (stored + 1024), _HARMLESS):
                raise TroubleError(
                    "bomb", f"inflates more than {HIGHEST_RATIO}-fold, which no image does"
                )
    if not packer.eof:
        raise TroubleError("damaged", "ends inside its compressed header")


def _pixels(dataset: Any, syntax: str) -> dict[str, Any]:
    """Return how the pixels are stored, with every number checked."""
    facts: dict[str, Any] = {
        "syntax": syntax,
        "rows": whole(dataset, "Rows"),
        "cols": whole(dataset, "Columns"),
        "frames": whole(dataset, "NumberOfFrames", 1),
        "allocated": whole(dataset, "BitsAllocated"),
        "stored": whole(dataset, "BitsStored"),
        "signed": whole(dataset, "PixelRepresentation", 0),
        "samples": whole(dataset, "SamplesPerPixel", 1),
        "photometric": str(dataset.get("PhotometricInterpretation", ""))[:20],
    }
    for name in ("rows", "cols"):
        if not 1 <= facts[name] <= WIDEST:
            raise TroubleError(
                "bomb" if facts[name] > WIDEST else "header",
                f"has {facts['rows']} rows and {facts['cols']} columns, expected 1 to {WIDEST}",
            )
    if facts["frames"] < 1:
        raise TroubleError("header", f"says it has {facts['frames']} frames")
    if facts["allocated"] not in (8, 16) or not 1 <= facts["stored"] <= facts["allocated"]:
        raise TroubleError(
            "unsupported", f"stores {facts['stored']} of {facts['allocated']} bits a pixel"
        )
    if facts["signed"] not in (0, 1) or facts["samples"] not in (1, 3):
        raise TroubleError("header", "has a pixel representation that does not exist")
    facts["expected"] = (
        facts["rows"] * facts["cols"] * facts["frames"] * facts["samples"] * facts["allocated"] // 8
    )
    if facts["expected"] > LARGEST_BYTES:
        raise TroubleError(
            "bomb", f"promises {facts['frames']} frames, {facts['expected'] / 2**30:.1f} GiB"
        )
    return facts


def _byte_order(syntax: str) -> str:
    return ">" if syntax == BIG_ENDIAN else "<"


def _require_pixel_tag(file: BinaryIO, place: int, syntax: str) -> bytes:
    """Return the head of the pixel data, which must begin at a place."""
    file.seek(place)
    head = file.read(12)
    if len(head) < 12 or struct.unpack(f"{_byte_order(syntax)}HH", head[:4]) != (0x7FE0, 0x10):
        raise TroubleError("damaged", "ends before its pixels, or has none")
    return head


def _located(file: BinaryIO, place: int, pixels: dict[str, Any]) -> dict[str, Any]:
    """Return where uncompressed pixels begin, after checking that they are all there."""
    order = _byte_order(pixels["syntax"])
    size = os.fstat(file.fileno()).st_size
    head = _require_pixel_tag(file, place, pixels["syntax"])
    explicit = pixels["syntax"] != IMPLICIT
    length = struct.unpack(f"{order}I", head[8:12] if explicit else head[4:8])[0]
    offset = place + (12 if explicit else 8)
    expected = pixels["expected"]
    if length not in (expected, expected + expected % 2):
        kind = "bomb" if expected > 100 * size else "damaged"
        raise TroubleError(
            kind, f"says it holds {length} bytes of pixels where {expected} belong to its size"
        )
    if offset + expected > size:
        raise TroubleError("damaged", f"ends {offset + expected - size} bytes before its pixels do")
    return {"offset": offset}


def _require_sane_ratio(pixels: dict[str, Any], size: int) -> None:
    if pixels["expected"] > max(HIGHEST_RATIO * size, _HARMLESS):
        raise TroubleError(
            "bomb",
            f"would unpack from {size} to {pixels['expected']} bytes "
            f"(at most {HIGHEST_RATIO}-fold is expected of an image)",
        )


def decoded(path: str, frame: int) -> bytes:
    """Return one frame of compressed pixels as little-endian bytes, all frames for -1.

    Raises:
        TroubleError: the compression is not known, or the data are damaged.
    """
    import pydicom
    from pydicom.pixels.utils import pixel_array

    with Path(path).open("rb") as file:
        dataset, syntax = _dataset(file)
        facts = _pixels(dataset, syntax)
        file.seek(0)
        if syntax == DEFLATED:
            content = bytes(pydicom.dcmread(file).get("PixelData", b""))
            if len(content) < facts["expected"]:
                raise TroubleError("damaged", "ends before its pixels do")
            size = facts["expected"] // facts["frames"]
            return content[frame * size : (frame + 1) * size]
        try:
            values = pixel_array(file, index=frame, raw=True)
        except (NotImplementedError, RuntimeError) as failure:
            text = str(failure)
            if isinstance(failure, NotImplementedError) or "missing dependencies" in text:
                raise TroubleError(
                    "unsupported", f"is compressed in a way that cannot be read here ({syntax})"
                ) from failure
            raise TroubleError("damaged", "has compressed pixels that cannot be decoded") from None
    wide = "<u1" if facts["allocated"] == 8 else "<u2"
    return bytes(values.astype(wide).tobytes())

"""Bad DICOM folders, each made in code from one good series; see `scanner_series.py`.

A case writes its files into an empty folder.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import scanner_series as scanner
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from bolus.errors import Code

VALUES = scanner.PHANTOM[:, :, :3]
SLICES, TIMES = VALUES.shape[2:]


@dataclass(frozen=True)
class Case:
    """A kind of bad input: what makes it, the code it must give, and words of its message."""

    name: str
    make: Callable[[Path], object]
    code: Code
    says: str


def images(vendor: str = "siemens", **look: object) -> list[Dataset]:
    return scanner.VENDORS[vendor](scanner.look_of(vendor, **look), VALUES)


def good(folder: Path) -> Path:
    return scanner.write(folder, images())


def where(data: Dataset) -> tuple[int, int]:
    """Return slice and time of an image of the first study and series."""
    place = int(str(data.SOPInstanceUID).rsplit(".", 1)[1]) - 1
    return place % 1000, place // 1000


def changed(
    change: Callable[[Dataset], object], *, vendor: str = "siemens", only: int | None = None
):
    """Return a maker that changes every image, or only one of them."""

    def make(folder: Path) -> None:
        listed = images(vendor)
        for number, data in enumerate(listed):
            if only in (None, number):
                change(data)
        scanner.write(folder, listed)

    return make


def stated(*, only: int | None = None, vendor: str = "siemens", **tags: object):
    """Return a maker whose images say something else; `None` takes a tag out."""

    def change(data: Dataset) -> None:
        for name, value in tags.items():
            data["PixelData"].VR = "OW"
            if value is None:
                delattr(data, name)
            else:
                words = (isinstance(value, list) and "b" in value) or value == "much"
                kind = "LO" if words else pydicom.datadict.dictionary_VR(name)
                data[name] = pydicom.DataElement(
                    name, kind, value, validation_mode=pydicom.config.IGNORE
                )

    return changed(change, only=only, vendor=vendor)


def without(keep: Callable[[int, int], bool], vendor: str = "siemens"):
    """Return a maker that leaves out the images of (slice, time) that are not kept."""
    return lambda folder: scanner.write(folder, [d for d in images(vendor) if keep(*where(d))])


def patched(change: Callable[[bytes], bytes], *, number: int = 4):
    """Return a maker that changes the bytes of one file."""

    def make(folder: Path) -> None:
        good(folder)
        path = sorted(folder.iterdir())[number]
        path.write_bytes(change(path.read_bytes()))

    return make


def one_file(content: bytes, name: str = "IM.dcm"):
    return lambda folder: (folder / name).write_bytes(content)


def _pixel_length(content: bytes, length: int) -> bytes:
    place = content.rindex(b"\xe0\x7f\x10\x00OW") + 8
    return content[:place] + struct.pack("<I", length) + content[place + 4 :]


def deflated_bomb(folder: Path) -> None:
    """A megabyte that inflates to a gigabyte."""
    data = images()[0]
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = folder / "IM.dcm"
    pydicom.dcmwrite(path, data, enforce_file_format=True)
    content = path.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = struct.pack("<HH2sHI", 0x0009, 0x0010, b"UN", 0, 1 << 30)
    packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(content[:start] + packed + zeros * (1 << 6) + packer.flush())


def rle_bomb(folder: Path) -> None:
    data = images()[0]
    data.Rows = data.Columns = 4000
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x81\0" * 2])
    data["PixelData"].is_undefined_length = True
    scanner.write(folder, [data])


def sparse_giant(folder: Path) -> None:
    """A private element of three gigabytes in a file that takes no space on disk."""
    good(folder)
    path = sorted(folder.iterdir())[0]
    content = path.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    head = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, 3 << 30)
    with path.open("wb") as file:
        file.write(content[:start] + head)
        file.truncate(start + len(head) + (3 << 30))


def deflated_pixels(folder: Path) -> None:
    """A well-formed image of 4000 x 4000 zeros, deflated."""
    data = images()[0]
    data.Rows = data.Columns = 4000
    data.PixelData = bytes(4000 * 4000 * 2)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    scanner.write(folder, [data])


def many_frames(folder: Path) -> None:
    """An enhanced object of 24 frames of 4000 x 4000 in a few kilobytes."""
    (data,) = images("enhanced")
    data.Rows = data.Columns = 4000
    data.file_meta.TransferSyntaxUID = RLELossless
    data.PixelData = encapsulate([b"\0" * 64] * 24)
    data["PixelData"].is_undefined_length = True
    scanner.write(folder, [data])


GIANT_JPEG = (
    b"\xff\x4f\xff\x51" + struct.pack(">HH8IH", 41, 0, 60000, 60000, 0, 0, 60000, 60000, 0, 0, 1)
    + b"\x0b\x01\x01" + b"\xff\x52\x00\x0c\x00\x00\x00\x01\x00\x05\x04\x04\x00\x01"
    + b"\xff\x5c\x00\x13\x40" + b"\x40" * 16 + b"\xff\x90\x00\x0a\0\0\0\0\0\x20\0\x01\xff\x93"
    + b"\x80" * 32 + b"\xff\xd9"
)  # fmt: skip
"""A codestream that says it is 60000 x 60000."""


def compressed(syntax: str, content: bytes):
    """Return a maker whose pixels are said to be compressed, and are these bytes."""

    def change(data: Dataset) -> None:
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = encapsulate([content])
        data["PixelData"].is_undefined_length = True

    return changed(change)


def nested(folder: Path) -> None:
    """A header that is a sequence in a sequence in a sequence..."""
    good(folder)
    path = sorted(folder.iterdir())[0]
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    opened = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff" + item
    content = path.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    path.write_bytes(content[:start] + opened * 20000)


def enhanced(change: Callable[[Dataset], object]):
    return changed(change, vendor="enhanced")


def pop_group(data: Dataset) -> None:
    del data.PerFrameFunctionalGroupsSequence[-1]


def drop_groups(data: Dataset) -> None:
    del data.PerFrameFunctionalGroupsSequence


def twice(change: Callable[[Dataset], object]):
    """Return a maker that adds a changed copy of the fifth image."""

    def make(folder: Path) -> None:
        listed = images()
        again = pydicom.dcmread(pydicom.filebase.DicomBytesIO(_bytes(listed[4])))
        change(again)
        scanner.write(folder, [*listed, again])

    return make


def _bytes(data: Dataset) -> bytes:
    stream = pydicom.filebase.DicomBytesIO()
    pydicom.dcmwrite(stream, data, enforce_file_format=True)
    return stream.getvalue()


def brighter(data: Dataset) -> None:
    data.PixelData = bytes(np.frombuffer(data.PixelData, "<u2") + np.uint16(1))


def renamed(data: Dataset) -> None:
    brighter(data)
    data.SOPInstanceUID = scanner.uid(1, 1, 99999)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID


def moved(
    data: Dataset, *, along: float = 0.0, aside: float = 0.0, only: int | None = None
) -> None:
    level, _ = where(data)
    if only is None or level == only:
        x, y, z = map(float, data.ImagePositionPatient)
        data.ImagePositionPatient = [x + aside, y, z + along]


def reversed_clock(data: Dataset) -> None:
    """Two tags say one order, two the reverse."""
    level, time = where(data)
    data.AcquisitionTime = scanner.clock(40000 - time * 1.5 + level * 0.1)
    data.ContentTime = scanner.clock(40000 - time * 1.5 + level * 0.1)
    data.TemporalPositionIdentifier = time + 1


def no_clock(data: Dataset) -> None:
    for name in ("AcquisitionTime", "ContentTime", "AcquisitionNumber"):
        delattr(data, name)


def only_numbered(data: Dataset) -> None:
    data.AcquisitionTime = data.ContentTime = "120000"


def only_others(folder: Path) -> None:
    data = images()[0]
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
    del data.PixelData
    scanner.write(folder, [data])


def two_sizes(folder: Path) -> None:
    listed = images()
    scanner.with_pixels(listed[4], VALUES[:12, :, 0, 0])
    scanner.write(folder, listed)


DAMAGED_RLE = struct.pack("<16I", 2, 64, 70, *[0] * 13) + b"\5" * 9
H, D, B = Code.DICOM_HEADER, Code.DICOM_DAMAGED, Code.DICOM_BOMB
N, G, U = Code.DICOM_INCOMPLETE, Code.DICOM_GEOMETRY, Code.DICOM_UNSUPPORTED
CASES = [
    Case("empty file", one_file(b""), D, "is empty"),
    Case("text called dcm", one_file(b"patient notes " * 20), D, "is none"),
    Case("empty folder", lambda f: None, Code.DICOM_NOTHING, "holds no MR image"),
    Case("only text", one_file(b"hello", "notes.txt"), Code.DICOM_NOTHING, "1 are no DICOM"),
    Case("only a report", only_others, Code.DICOM_NOTHING, "1 are other DICOM objects"),
    Case("cut in the header", patched(lambda c: c[:600]), D, "ends before its pixels"),
    Case("cut in the preamble", patched(lambda c: c[:140]), D, "file 5 of 24"),
    Case("cut in the pixels", patched(lambda c: c[:-50]), D, "ends 50 bytes before"),
    Case("pixel length too long", patched(lambda c: _pixel_length(c, 4096)), D, "holds 4096"),
    Case("pixel length lies", patched(lambda c: _pixel_length(c, 0xFFFFFFF0)), D, "384 belong"),
    Case("pixel length too short", patched(lambda c: _pixel_length(c, 100)), D, "holds 100 "),
    Case("Windows program", patched(lambda c: b"MZ\x90\0" + c[4:]), B, "a Windows program"),
    Case("Linux program", patched(lambda c: b"\x7fELF" + c[4:]), B, "a Linux program"),
    Case("script", patched(lambda c: b"#!/bin/sh\n" + c[10:]), B, "a script"),
    Case("deflated bomb", deflated_bomb, B, "inflates more than 200-fold"),
    Case("RLE bomb", rle_bomb, B, "would unpack from"),
    Case("giant element", sparse_giant, B, "needs more than 1 GiB"),
    Case("RLE bomb of many frames", many_frames, B, "would unpack from"),
    Case("deflated pixels", deflated_pixels, B, "inflates more than 200-fold"),
    Case("JPEG 2000 of another size", compressed(JPEG2000Lossless, GIANT_JPEG), D,
         "cannot be decoded"),
    Case("giant rows", stated(Rows=65535, Columns=65535), B, "65535 rows"),
    Case("giant matrix of few bytes", stated(Rows=4000, Columns=4000), B, "bytes of pixels where"),
    Case("absurd frames", enhanced(lambda d: setattr(d, "NumberOfFrames", 2**30)), H,
         "describes 24 of its 1073741824 frames"),
    Case("negative frames", stated(NumberOfFrames=-3), H, "says it has -3 frames"),
    Case("no rows", stated(Rows=0), H, "0 rows"),
    Case("rows not stated", stated(Rows=None), H, "does not state Rows"),
    Case("nested without end", nested, D, "file 1 of 24"),
    Case("no pixel spacing", stated(PixelSpacing=None), H, "does not state PixelSpacing"),
    Case("zero spacing", stated(PixelSpacing=[0, 0]), G, "PixelSpacing is 0 x 0"),
    Case("one number of spacing", stated(PixelSpacing=[1.5]), H, "1 numbers in PixelSpacing"),
    Case("no position", stated(ImagePositionPatient=None), H, "ImagePositionPatient"),
    Case("position of words", stated(ImagePositionPatient=["a", "b", "c"]), H, "that is no number"),
    Case("infinite position", stated(ImagePositionPatient=["inf", "0", "0"]), H, "not finite"),
    Case("no orientation", stated(ImageOrientationPatient=None), H, "ImageOrientationPatient"),
    Case("five cosines", stated(ImageOrientationPatient=[1, 0, 0, 0, 1]), H, "5 numbers"),
    Case("skewed cosines", stated(ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0]), G,
         "perpendicular"),
    Case("one image turned", stated(only=4, ImageOrientationPatient=[0.99, 0.14107, 0, -0.14107,
                                                                     0.99, 0]), G, "not parallel"),
    Case("one image beside", changed(lambda d: moved(d, aside=3), only=4), G, "beside each other"),
    Case("slices on a bent line", changed(lambda d: moved(d, aside=3, only=1)), G, "one line"),
    Case("uneven slices", changed(lambda d: moved(d, along=1.5, only=1)), G, "mm apart"),
    Case("two matrix sizes", two_sizes, G, "matrix sizes"),
    Case("one image missing", without(lambda z, t: (z, t) != (1, 4)), N, "lacks frame 5 of 8"),
    Case("a slice missing", lambda f: scanner.write(f, [
        d for d in scanner.siemens(scanner.look_of("siemens")) if where(d)[0] != 2]), N,
        "lacks the slice at -0.25 mm"),
    Case("a frame missing", without(lambda z, t: t != 3), N, "AcquisitionNumber goes from 3 to 5"),
    Case("first frame missing", without(lambda z, t: t > 0, "ge"), N, "begins with 2"),
    Case("last frame missing", without(lambda z, t: t < 7, "ge"), N,
         "NumberOfTemporalPositions says 8"),
    Case("one missing in every slice", without(lambda z, t: t != z + 2), N, "same frames"),
    Case("same identifier, other pixels", twice(brighter), Code.DICOM_DUPLICATE,
         "have one SOPInstanceUID"),
    Case("same place and time, other pixels", twice(renamed), Code.DICOM_DUPLICATE,
         "claim one time"),
    Case("no time but instance numbers", changed(no_clock), Code.DICOM_ORDER, "instance number"),
    Case("two tags of time", changed(only_numbered), Code.DICOM_ORDER, "3 tags must agree"),
    Case("tags that contradict", changed(reversed_clock), Code.DICOM_ORDER,
         "equally well supported"),
    Case("no series identifier", stated(SeriesInstanceUID=None), H, "SeriesInstanceUID"),
    Case("no image identifier", stated(SOPInstanceUID="", only=3), H, "SOPInstanceUID"),
    Case("two patients in a series", stated(only=4, PatientID="ANOTHER"), Code.DICOM_IDENTITY,
         "different patients"),
    Case("two studies in a series", stated(only=4, StudyInstanceUID="1.2.3"), Code.DICOM_IDENTITY,
         "different studies"),
    Case("burned-in text", stated(BurnedInAnnotation="YES"), Code.DICOM_IDENTITY, "burned into"),
    Case("32 bits", stated(BitsAllocated=32), U, "of 32 bits"),
    Case("more bits stored than there are", stated(BitsStored=20), U, "20 of 16 bits"),
    Case("no bits stated", stated(BitsAllocated=None), H, "does not state BitsAllocated"),
    Case("two numbers of rows", stated(EchoTime=[30, 40]), H, "states 2 values of EchoTime"),
    Case("slope of zero", stated(RescaleSlope=0, RescaleIntercept=0), H, "RescaleSlope of 0"),
    Case("slope that is no number", stated(RescaleSlope="much", RescaleIntercept=0), H,
         "RescaleSlope that is no number"),
    Case("echo time in seconds", stated(EchoTime=0.03), Code.METADATA_IMPLAUSIBLE,
         "EchoTime (in s) is 3e-05"),
    Case("damaged JPEG 2000", compressed(JPEG2000Lossless, b"\xff\x4f\xff\x51" + b"\0" * 60), D,
         "cannot be decoded"),
    Case("damaged RLE", compressed(RLELossless, DAMAGED_RLE), D, "series 1"),
    Case("unknown compression", compressed("1.2.840.10008.1.2.4.103", b"\0" * 90), U,
         "cannot be read here"),
    Case("frames undescribed", enhanced(pop_group), H, "describes 23 of its 24 frames"),
    Case("no groups at all", enhanced(drop_groups), H, "does not say where they lie"),
    Case("no transfer syntax", patched(
        lambda c: c.replace(b"\x02\0\x10\0UI", b"\x02\0\x11\0UI")), D, "file 5 of 24"),
]  # fmt: skip
BOMBS = [case for case in CASES if case.code is B]
assert ExplicitVRLittleEndian

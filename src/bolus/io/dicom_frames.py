"""One image of a DICOM series, whichever way its file holds it: alone, among others, as a tile."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from bolus.errors import Code, FileError
from bolus.io.access import named
from bolus.io.dicom_scan import DicomFile, HeaderChild

MAGNITUDE, PHASE, OTHER_PART = "magnitude", "phase", "real or imaginary"
_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "P": PHASE, "PHASE": PHASE, "PHASE MAP": PHASE, "PHASE_MAP": PHASE, "VELOCITY MAP": PHASE,
        "R": OTHER_PART, "I": OTHER_PART, "REAL": OTHER_PART, "IMAGINARY": OTHER_PART,
    }
)  # fmt: skip
_NATIVE_ORDER = MappingProxyType({"1.2.840.10008.1.2.2": ">"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomFrame:
    """One slice at one time.

    `index` counts the frames of its file from 0; `tile` those of a mosaic, `None` for no mosaic.
    Lengths in mm, times of the header in ms, positions LPS as DICOM has them.
    """

    file: DicomFile
    index: int
    rows: int
    cols: int
    facts: Mapping[str, Any]
    position: tuple[float, ...] | None
    tile: int | None = None
    tiles_across: int = 1

    @property
    def part(self) -> str:
        """Magnitude, phase, or a part of complex data."""
        return next((_PARTS[word] for word in self.facts["type"][2:] if word in _PARTS), MAGNITUDE)

    @property
    def derived(self) -> bool:
        """Whether a computer made it from other images."""
        return "DERIVED" in self.facts["type"][:1]

    @property
    def slope(self) -> float:
        """Factor from stored to displayed values; 1 where nothing is stated."""
        stated = self.facts["slope"]
        return 1.0 if stated is None else float(stated)

    @property
    def intercept(self) -> float:
        """Displayed value of a stored zero."""
        return float(self.facts["intercept"] or 0.0)

    def stack(self) -> tuple[float, float, str, bool, int, int]:
        """Return what frames of one image have in common: echo, angle, part, origin, matrix."""
        echo, flip = self.facts["echo_ms"], self.facts["flip_deg"]
        return (
            -1.0 if echo is None else round(echo, 3),
            -1.0 if flip is None else round(flip, 3),
            self.part, self.derived, self.rows, self.cols,
        )  # fmt: skip


def frames_of(file: DicomFile) -> Iterator[DicomFrame]:
    """Yield the images of one file; a mosaic gives its tiles.

    Raises:
        FileError: its pixels are of an unknown kind, or a mosaic does not say which way its
            slices run.
    """
    if "unsupported" in file.pixels:
        raise FileError(
            Code.DICOM_UNSUPPORTED,
            str(file.pixels["unsupported"]),
            mend="try --with dcm2niix, or decompress it first",
            where=file.label,
        )
    for frame in header_frames(file):
        if "MOSAIC" in frame.facts["type"]:
            yield from _tiles(file, frame.facts, frame.rows, frame.cols)
        else:
            yield frame


def header_frames(file: DicomFile) -> Iterator[DicomFrame]:
    """Yield the images of one file as its header lists them; a mosaic is one."""
    for index, facts in enumerate(file.frames):
        yield DicomFrame(
            file=file,
            index=index,
            rows=file.pixels.get("rows", 0),
            cols=file.pixels.get("cols", 0),
            facts=facts,
            position=tuple(facts["position"]) if facts["position"] else None,
        )


def _tiles(file: DicomFile, facts: Mapping[str, Any], rows: int, cols: int) -> Iterator[DicomFrame]:
    """Yield the slices of a mosaic; its position is that of the whole sheet's corner."""
    count = int(file.about["tiles"] or 0)
    normal, gap = facts.get("normal"), facts["gap"]
    spacing, axes, corner = facts["spacing"], facts["orientation"], facts["position"]
    if count < 1 or None in (normal, gap, spacing, axes, corner):
        raise FileError(
            Code.DICOM_HEADER,
            "is a mosaic that does not say how many slices it has or which way they run",
            mend="export the series with its private tags",
            where=file.label,
        )
    across = math.ceil(math.sqrt(count))
    height, width = rows // across, cols // across
    row, col = np.array(axes[:3]), np.array(axes[3:])
    first = (
        np.array(corner)
        + row * spacing[1] * (cols - width) / 2
        + col * spacing[0] * (rows - height) / 2
    )
    for tile in range(count):
        yield DicomFrame(
            file=file, index=0, rows=height, cols=width, facts=facts,
            position=tuple(float(x) for x in first + tile * gap * np.array(normal)),
            tile=tile, tiles_across=across,
        )  # fmt: skip


def stored_values(frame: DicomFrame, child: HeaderChild) -> np.ndarray:
    """Return the pixels (rows, cols) as they are stored, without bits that are not theirs.

    Overlays once lived in unused high bits; they are cut off.

    Args:
        frame: whose pixels to read.
        child: decodes compressed ones.

    Raises:
        FileError: they cannot be decoded, or the file changed since it was scanned.
    """
    facts = frame.file.pixels
    rows, cols = facts["rows"], facts["cols"]
    kind = "u1" if facts["allocated"] == 8 else "u2"
    if "offset" in facts:
        order = _NATIVE_ORDER.get(facts["syntax"], "<")
        size = rows * cols * facts["allocated"] // 8
        with named(frame.file.label):  # not its path, which may name a patient
            raw = np.fromfile(
                frame.file.path, f"{order}{kind}", rows * cols,
                offset=facts["offset"] + frame.index * size,
            )  # fmt: skip
    else:
        content = child.pixels(frame.file.path, frame.file.label, frame=frame.index)
        raw = np.frombuffer(content, f"<{kind}")
    if raw.size != rows * cols:
        raise FileError(
            Code.DICOM_DAMAGED,
            f"decodes to {raw.size} pixels where {rows * cols} belong to its size",
            mend="copy or export the file again",
            where=frame.file.label,
        )
    values = _own_bits(raw.reshape(rows, cols), facts["stored"], signed=facts["signed"] == 1)
    if frame.tile is None:
        return values
    down, right = divmod(frame.tile, frame.tiles_across)
    return values[
        down * frame.rows : (down + 1) * frame.rows, right * frame.cols : (right + 1) * frame.cols
    ]


def _own_bits(raw: np.ndarray, stored: int, *, signed: bool) -> np.ndarray:
    width = raw.dtype.itemsize * 8
    plain = raw.astype(raw.dtype.newbyteorder("="), copy=False)
    if not signed:
        return plain & plain.dtype.type((1 << stored) - 1) if stored < width else plain
    whole = plain.view(f"i{raw.dtype.itemsize}")
    return (whole << (width - stored)) >> (width - stored) if stored < width else whole


def shown_values(frame: DicomFrame, child: HeaderChild) -> np.ndarray:
    """Return the pixels (rows, cols) with slope and intercept applied, as float64."""
    return stored_values(frame, child).astype(np.float64) * frame.slope + frame.intercept

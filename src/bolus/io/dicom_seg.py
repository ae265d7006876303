"""Tumour labels of a DICOM Segmentation, on the grid of an image: uncompressed objects only."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bolus.core import Grid, LabelMap
from bolus.errors import BolusError, Code, FileError, GeometryError
from bolus.io.access import named, read_bytes, require_memory
from bolus.preprocess import resample_labels

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
_PLAIN_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
_LIMIT_BYTES = 256 << 20
_MOST_FRAMES = 65_536
_MOST_SEGMENTS = 200
_MOST_VOXELS = 1 << 29
_SAME_MM = 0.05
_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frames:
    """Frames of a segmentation: bits (frame, row, column), segment and position [mm, LPS] each."""

    bits: np.ndarray
    segments: np.ndarray
    positions: np.ndarray
    axes: np.ndarray
    """Directions of columns and rows as they count up, and the normal (3, 3), LPS."""
    spacing_mm: tuple[float, float]
    """Between columns, and between rows."""
    thickness_mm: float


def is_segmentation(path: Path) -> bool:
    """Return whether a file says that it is a DICOM Segmentation."""
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    try:
        meta = read_file_meta_info(path)
    except (InvalidDicomError, OSError, ValueError, EOFError):
        return False
    return str(meta.get("MediaStorageSOPClassUID", "")) == SEGMENTATION_CLASS


def read_segmentation(path: Path, grid: Grid | None = None) -> LabelMap:
    """Read the segments of a DICOM SEG as labels.

    Where segments overlap, the smaller one is kept: a part of a tumour before all of it. Names are
    those of the segments.

    Args:
        path: the object; binary, or fractional with a half as the border.
        grid: of the image that it goes with; its own if `None`: from its first to its last frame.

    Returns:
        Labels on `grid`, numbered as the segments are.

    Raises:
        FileError: damaged, too large, or stored in a way that is not read here.
        GeometryError: its frames form no stack, or nothing of it lies in the image.

    Assumes:
        Both lie in the same scanner coordinates; nothing is registered.
    """
    content = read_bytes(path, limit=_LIMIT_BYTES)
    with named(path.name):
        try:
            dataset = _parsed(path, content)
            frames, names = _frames(dataset), _names(dataset)
        except BolusError:
            raise
        except Exception as failure:  # noqa: BLE001  # a parser raises whatever its input makes it
            raise FileError(
                Code.DICOM_DAMAGED,
                f"is no segmentation that can be read ({type(failure).__name__})",
                mend="copy or export the file again",
            ) from None
        labels = _labels(frames, names)
        if grid is None:
            return labels
        moved = resample_labels(labels, grid)
        if not moved.foreground.count:
            raise GeometryError(
                Code.MASK_EMPTY,
                "nothing of the segmentation lies in the image",
                mend="check that both are of one visit",
            )
        return moved


def _parsed(path: Path, content: bytes) -> "Dataset":
    import pydicom
    from pydicom.filereader import read_file_meta_info

    meta = read_file_meta_info(path)  # a deflated one would be inflated by reading it
    if str(meta.TransferSyntaxUID) not in _PLAIN_SYNTAXES:
        raise FileError(
            Code.DICOM_UNSUPPORTED,
            "is a compressed segmentation",
            mend="decompress it first, such as with `gdcmconv --raw`",
        )
    dataset = pydicom.dcmread(io.BytesIO(content))
    if dataset.SOPClassUID != SEGMENTATION_CLASS:
        raise FileError(
            Code.DICOM_UNSUPPORTED, "is no DICOM Segmentation", mend="name the SEG object"
        )
    return dataset


def _names(dataset: "Dataset") -> dict[int, str]:
    segments = list(dataset.SegmentSequence or ())
    if not 0 < len(segments) <= _MOST_SEGMENTS:
        raise _wrong(f"has {len(segments)} segments, expected 1 to {_MOST_SEGMENTS}")
    return {
        int(s.SegmentNumber): " ".join(str(s.SegmentLabel).split())[:64] or f"segment {place}"
        for place, s in enumerate(segments, start=1)
    }


def _frames(dataset: "Dataset") -> _Frames:
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    count, rows, columns = len(groups), int(dataset.Rows), int(dataset.Columns)
    if not 0 < count <= _MOST_FRAMES or count != int(dataset.NumberOfFrames):
        raise _wrong(f"promises {dataset.NumberOfFrames} frames and describes {count}")
    require_memory(2 * count * rows * columns, purpose="this segmentation")

    def part(group: Any, name: str) -> Any:
        return (group if name in group else shared)[name][0]

    measures = [part(g, "PixelMeasuresSequence") for g in groups]
    directions = np.array(
        [part(g, "PlaneOrientationSequence").ImageOrientationPatient for g in groups], float
    )
    spacing = np.array([m.PixelSpacing for m in measures], float)
    if np.ptp(directions, axis=0).max() > 1e-4 or np.ptp(spacing, axis=0).max() > 1e-4:
        raise _wrong("has frames of several orientations or pixel sizes")
    across, down = directions[0][:3], directions[0][3:]
    gap = measures[0].get("SpacingBetweenSlices") or measures[0].get("SliceThickness") or 0
    return _Frames(
        bits=_bits(dataset, count, rows, columns),
        segments=np.array(
            [int(part(g, "SegmentIdentificationSequence").ReferencedSegmentNumber) for g in groups]
        ),
        positions=np.array(
            [part(g, "PlanePositionSequence").ImagePositionPatient for g in groups], float
        ),
        axes=np.array([across, down, np.cross(across, down)]),
        spacing_mm=(float(spacing[0][1]), float(spacing[0][0])),
        thickness_mm=float(gap),
    )


def _bits(dataset: "Dataset", count: int, rows: int, columns: int) -> np.ndarray:
    """Return whether each pixel belongs to the segment of its frame."""
    stored, content = int(dataset.BitsAllocated), bytes(dataset.PixelData)
    pixels = count * rows * columns
    needed = (pixels + 7) // 8 if stored == 1 else pixels
    if stored not in (1, 8) or len(content) < needed:
        raise _wrong(f"holds {len(content)} bytes for {pixels} pixels of {stored} bits")
    if stored == 1:
        flat = np.unpackbits(np.frombuffer(content, np.uint8), count=pixels, bitorder="little")
        return flat.astype(bool).reshape(count, rows, columns)
    values = np.frombuffer(content, np.uint8, count=pixels).reshape(count, rows, columns)
    most = int(dataset.get("MaximumFractionalValue", 1))
    return values * 2 > most if dataset.SegmentationType == "FRACTIONAL" else values > 0


def _labels(frames: _Frames, names: dict[int, str]) -> LabelMap:
    """Put the frames where they lie; a slice without a frame is empty."""
    places, step_mm = _slices(frames)
    count, (rows, columns) = int(places.max()) + 1, frames.bits.shape[1:]
    if count * rows * columns > _MOST_VOXELS:
        raise _wrong(f"spans {count} slices of {rows} x {columns} voxels")
    require_memory(3 * count * rows * columns, purpose="this segmentation")
    sizes = {n: int(frames.bits[frames.segments == n].sum()) for n in names}
    values = np.zeros((columns, rows, count), np.int16)
    for number in sorted(names, key=lambda n: -sizes[n]):  # the smaller one later, on top
        for frame in np.flatnonzero(frames.segments == number):
            values[..., places[frame]][frames.bits[frame].T] = number
    left = {n: name for n, name in names.items() if (values == n).any()}
    if not left:
        raise GeometryError(Code.MASK_EMPTY, "holds no label", mend="take the segmentation away")
    first = frames.positions[int(np.argmin(places))]
    affine = np.eye(4)
    affine[:3, 0] = frames.axes[0] * frames.spacing_mm[0]
    affine[:3, 1] = frames.axes[1] * frames.spacing_mm[1]
    affine[:3, 2] = frames.axes[2] * step_mm
    affine[:3, 3] = first
    affine[:3] = _TO_RAS @ affine[:3]
    return LabelMap(values=values, grid=Grid(shape=values.shape, affine=affine), names=left)


def _slices(frames: _Frames) -> tuple[np.ndarray, float]:
    """Return the slice of each frame from 0, and the distance between slices [mm]."""
    along = frames.positions @ frames.axes[2]
    beside = frames.positions - along[:, None] * frames.axes[2]
    if np.ptp(beside, axis=0).max() > _SAME_MM:
        raise _wrong("has frames that do not lie above each other")
    levels = _levels(along)
    gaps = np.diff(levels)
    step_mm = frames.thickness_mm or (float(gaps.min()) if len(gaps) else 0.0)
    if len(gaps) and gaps.min() < step_mm - _SAME_MM:
        step_mm = float(gaps.min())
    if step_mm <= 0:
        raise _wrong("is one slice of unknown thickness")
    places = (along - levels[0]) / step_mm
    if np.abs(places - np.rint(places)).max() * step_mm > 2 * _SAME_MM:
        raise _wrong(f"has slices that are not {step_mm:g} mm apart")
    return np.rint(places).astype(int), step_mm


def _levels(along: np.ndarray) -> np.ndarray:
    """Return the different positions, in order."""
    ordered = np.sort(along)
    return np.asarray(ordered[np.concatenate([[True], np.diff(ordered) > _SAME_MM])])


def _wrong(what: str) -> FileError:
    return FileError(Code.DICOM_HEADER, what, mend="export the segmentation again")


def segmentation_files(folder: Path) -> Sequence[Path]:
    """Return the segmentations of a folder, in order of their names; links are not followed."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink() and is_segmentation(path)
    ]

"""NIfTI files to core types and back: guarded, in float32, in the order of the file's axes."""

import gzip
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
from jaxtyping import Float

from bolus._version import VERSION
from bolus.core import (
    SIGNAL,
    Acquisition,
    Grid,
    LabelMap,
    Mask,
    PerfusionSeries,
    Provenance,
    Step,
)
from bolus.core.arrays import Curve, Volume
from bolus.errors import BolusError, Code, FileError, GeometryError, QualityWarning
from bolus.io.access import NIFTI_SUFFIXES, named, require_file, require_memory, stem_of
from bolus.io.nifti_guard import HEADER_BYTES, NiftiHeader, read_header
from bolus.io.settings import settle
from bolus.io.sidecar import NO_SIDECAR, earlier_steps, find_sidecar, read_sidecar
from bolus.io.store import write_atomically
from bolus.io.streams import ImageStream
from bolus.io.tables import read_label_names

_NIBABEL: Any = nib  # its classes carry no types
_HIGHEST_RATIO = 200
_HARMLESS_VOXELS = 1 << 25
"""A mask may shrink a thousandfold; up to 33 million voxels that hurts nobody."""
_FRAMES_AT_ONCE = 16
"""Sixteen float32 fill one cache line of the transposed array."""
_SLAB_BYTES = 1 << 26
_VOXELS_AT_ONCE = 1 << 16


def read_series(
    path: Path | str,
    *,
    given: Acquisition | None = None,
    frame_times_s: Curve | None = None,
    frame_step_s: float | None = None,
    excited: bool = False,
) -> PerfusionSeries:
    """Read a 4-D NIfTI file and the JSON sidecar beside it as a signal series.

    Each setting comes from `given`, else from the sidecar, else (the frame spacing only) from the
    header; `acquisition.sources` tells which. Nothing is assumed.

    Args:
        path: a .nii or .nii.gz file.
        given: settings that win over the sidecar.
        frame_times_s: times of the frames [s] that win over the sidecar, one per frame.
        frame_step_s: time between frames [s] that wins over a regular one of the sidecar.
        excited: whether a frame takes many excitations, as in DCE: the repetition time is then
            that of the excitations and says nothing of the frames.

    Returns:
        Signal [a.u.], float32, on the axes of the file; the SHA-256 of both files in its history.

    Raises:
        FileError: a file is missing, damaged or not what it should be.
        GeometryError: the affine or the voxel sizes cannot be right.
        TimingError: the times do not fit the frames.
        MetadataError: a value is missing, implausible or contradicted.
        ResourceError: too little memory, or no permission.
    """
    path = Path(path)
    with named(path):
        header, values, digest = _load(path, series=True)
        _require_signal(values)
    beside = find_sidecar(path)
    sidecar = read_sidecar(beside) if beside else NO_SIDECAR
    with named(beside or path):
        done_before = earlier_steps(sidecar)
        time, acquisition = settle(
            sidecar, header=header, given=given, frame_times_s=frame_times_s,
            frame_step_s=frame_step_s, excited=excited,
        )  # fmt: skip
    if not header.oriented:
        warnings.warn(
            QualityWarning(f"{path.name} does not say which side is left (no sform or qform)"),
            stacklevel=2,
        )
    inputs = [(path.name, digest)]
    if beside:
        inputs.append((beside.name, sidecar.digest))
    return PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=header.grid,
        time=time,
        acquisition=acquisition,
        provenance=Provenance(
            steps=(*done_before, Step("io.read_series", dict(acquisition.sources))),
            inputs=tuple(inputs),
        ),
    )


def series_bytes(path: Path | str) -> int:
    """Return the size of an image in memory (float32) [bytes], from its header alone.

    0 where the header cannot be read: reading the image will say why.
    """
    path = Path(path)
    with suppress(BolusError, OSError):
        require_file(path)
        with path.open("rb") as file:
            header = read_header(ImageStream(path, file).read(HEADER_BYTES))
        return 4 * header.voxels * header.frames
    return 0


def read_image(path: Path | str) -> tuple[Volume, Grid]:
    """Read one 3-D volume as float32 with its grid.

    Raises:
        FileError: missing, damaged, or not one volume.
        GeometryError: the affine or the voxel sizes cannot be right.
    """
    path = Path(path)
    with named(path):
        header, values, _ = _load(path, series=False)
    return values[..., 0], header.grid


def read_volumes(path: Path | str) -> tuple[Float[np.ndarray, "x y z n"], Grid, str]:
    """Read a 4-D file whose last axis is not time as float32, with its grid and its SHA-256."""
    path = Path(path)
    with named(path):
        header, values, digest = _load(path, series=True)
    return values, header.grid, digest


def read_mask(path: Path | str, *, name: str, grid: Grid | None = None) -> Mask:
    """Read a mask: zero outside, one other value inside.

    Args:
        path: a .nii or .nii.gz file of one volume.
        name: what it is a mask of.
        grid: where it must lie; not checked if absent.

    Raises:
        FileError: missing, damaged, or with more than two values.
        GeometryError: empty, or on another grid.
    """
    path = Path(path)
    values, own = read_image(path)
    with named(path):
        if grid is not None:
            grid.require_match(own, what=f"the {name} mask")
        inside = values != 0
        levels = np.unique(values[inside])
        if len(levels) > 1 or not np.isfinite(levels).all():
            raise FileError(
                Code.VALUES_INVALID,
                f"holds {len(levels) + int(not inside.all())} different values from "
                f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}; a mask has 0 and one other",
                mend="threshold it first, or read it as labels",
            )
        return Mask(values=inside, grid=own, name=name).require_some()


def read_labels(
    path: Path | str, *, names: dict[int, str] | None = None, grid: Grid | None = None
) -> LabelMap:
    """Read whole-number labels and their names.

    Names come from `names`, else from the BIDS table beside the file (`..._dseg.tsv` with columns
    `index` and `name`), else they are "label-1", "label-2" and so on.

    Raises:
        FileError: missing, damaged, or with values that are not whole numbers from 0 on.
        GeometryError: empty, or on another grid.
    """
    path = Path(path)
    values, own = read_image(path)
    with named(path):
        if grid is not None:
            grid.require_match(own, what="the label map")
        if not (np.isfinite(values).all() and (values == np.round(values)).all()):
            raise FileError(
                Code.VALUES_INVALID,
                "holds values that are not whole numbers, so they are no labels",
                mend="give a label image, or resample it with nearest-neighbour interpolation",
            )
        if values.min() < 0 or values.max() > np.iinfo(np.int16).max:
            raise FileError(
                Code.VALUES_INVALID,
                f"labels run from {values.min():g} to {values.max():g}, expected 0 to 32767",
                mend="renumber the labels",
            )
        labels = values.astype(np.int16)
        present = [int(n) for n in np.unique(labels) if n > 0]
        if not present:
            raise GeometryError(
                Code.MASK_EMPTY, "holds no label above 0", mend="check that it was drawn here"
            )
    table = path.with_name(stem_of(path) + ".tsv")
    known = names if names is not None else (read_label_names(table) if table.exists() else {})
    listed = {number: known.get(number, f"label-{number}") for number in present}
    return LabelMap(values=labels, grid=own, names={**known, **listed})


def write_volume(
    path: Path | str,
    values: np.ndarray,
    grid: Grid,
    *,
    description: str = "",
    key: str = "",
    frame_step_s: float | None = None,
) -> None:
    """Write a volume or series whose bytes depend on nothing but its content.

    Booleans and small whole numbers stay whole numbers; everything else becomes float32. The
    affine is written as sform and, where it has no shear, as qform; units are mm and s. The file
    appears complete or not at all.

    Args:
        path: ends in .nii.gz or .nii.
        values: (x, y, z) or (x, y, z, t).
        grid: where they lie.
        description: at most 79 characters, no personal data.
        key: registry key of the quantity, for the header's intent name.
        frame_step_s: time between frames [s] of a uniform series.

    Raises:
        FileError: the name ends in something else.
        GeometryError: the array is not of the grid.
        ResourceError: the disk is full, or may not be written.
    """
    path = Path(path)
    if not path.name.endswith(NIFTI_SUFFIXES):
        raise FileError(
            Code.ARGUMENT_INVALID,
            "is not a name for a NIfTI file",
            mend="end it in .nii.gz",
            where=str(path),
        )
    if values.shape[:3] != grid.shape or values.ndim not in (3, 4):
        raise GeometryError(
            Code.GRID_MISMATCH,
            f"values {values.shape} do not fit the grid {grid.shape}",
            mend="give the array and the grid of the same image",
            where=str(path),
        )
    image = _NIBABEL.Nifti1Image(_storable(values), grid.affine)
    _describe(image.header, grid, description=description, key=key, frame_step_s=frame_step_s)
    packed = path.name.endswith(".gz")
    write_atomically(path, lambda file: _written(image, file, packed=packed))


def _load(path: Path, *, series: bool) -> tuple[NiftiHeader, np.ndarray, str]:
    """Return the header, values (x, y, z, t) float32 with contiguous curves, and the SHA-256."""
    require_file(path)
    with path.open("rb") as file:
        stream = ImageStream(path, file)
        head = stream.read(HEADER_BYTES)
        header = read_header(head)
        _require_dimensions(header, series=series)
        _require_size(header, stream)
        wanted = header.voxels * header.frames * 4
        slab = 3 * max(_SLAB_BYTES, header.voxels * header.dtype.itemsize)
        require_memory(wanted + min(slab, 3 * wanted), purpose="reading this image")
        head = _skip(stream, head, header.offset)
        values = _read_values(stream, header, head)
        return header, values, stream.finish()


def _skip(stream: ImageStream, head: bytes, offset: int) -> bytes:
    """Return what was already read of the image data, past the header and its extensions."""
    if offset > len(head):
        stream.read(offset - len(head))
        return b""
    return head[offset:]


def _read_values(stream: ImageStream, header: NiftiHeader, begun: bytes) -> np.ndarray:
    values = np.empty((header.voxels, header.frames), np.float32)
    frame_bytes = header.voxels * header.dtype.itemsize
    at_once = min(_FRAMES_AT_ONCE, max(1, _SLAB_BYTES // frame_bytes))
    for first in range(0, header.frames, at_once):
        count = min(at_once, header.frames - first)
        part = begun + stream.read(count * frame_bytes - len(begun))
        if len(part) < count * frame_bytes:
            whole = first + len(part) // frame_bytes
            raise FileError(
                Code.FILE_DAMAGED,
                f"ends after {whole} of {header.frames} frames that its header promises",
                mend="copy or export the file again",
            )
        begun, part = part[count * frame_bytes :], part[: count * frame_bytes]
        frames = np.frombuffer(part, header.dtype).reshape(count, header.voxels)
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 is infinite, and seen
            for at in range(0, header.voxels, _VOXELS_AT_ONCE):
                part_of = slice(at, at + _VOXELS_AT_ONCE)
                stored = frames[:, part_of]
                if (header.slope, header.intercept) != (1.0, 0.0):
                    stored = stored * header.slope + header.intercept
                values[part_of, first : first + count] = stored.T
    # in the file x runs fastest; a view gives the axes their order and leaves curves contiguous
    return values.reshape(*header.shape[2::-1], header.frames).transpose(2, 1, 0, 3)


def _require_dimensions(header: NiftiHeader, *, series: bool) -> None:
    if series and header.frames < 2:
        raise FileError(
            Code.NOT_A_SERIES,
            f"is one volume ({' x '.join(map(str, header.shape))}), expected x, y, z and time",
            mend="give the 4-D dynamic series",
        )
    if not series and header.frames > 1:
        raise FileError(
            Code.NOT_A_SERIES,
            f"has {header.frames} frames where one volume is needed",
            mend="give a 3-D image",
        )


def _require_size(header: NiftiHeader, stream: ImageStream) -> None:
    """Refuse what cannot be there, or should never be unpacked, before reading it."""
    wanted = header.offset + header.stored_bytes
    if not stream.compressed and wanted > stream.size:
        raise FileError(
            Code.FILE_DAMAGED,
            f"has {stream.size} bytes where its header promises {wanted}",
            mend="copy or export the file again",
        )
    dense = header.frames > 1 or header.voxels > _HARMLESS_VOXELS
    if stream.compressed and dense and wanted > max(_HIGHEST_RATIO * stream.size, 1 << 20):
        raise FileError(
            Code.FILE_BOMB,
            f"unpacks from {stream.size} to {wanted} bytes (ratio {wanted // stream.size}, "
            f"at most {_HIGHEST_RATIO} is expected of an image)",
            mend="check where the file came from; if it is right, unpack it yourself",
        )


def _require_signal(values: np.ndarray) -> None:
    """Refuse a series in which no voxel can hold an answer."""
    low, high = float(np.min(values)), float(np.max(values))
    if np.isfinite(low) and np.isfinite(high):
        if low < high:
            return
        what = f"all values are {low:g}"
    else:
        finite = np.isfinite(values)
        if np.ptp(values[finite]) > 0 if finite.any() else False:
            return
        what = f"{int(finite.sum())} of {finite.size} values are finite, and they do not vary"
    raise FileError(Code.VALUES_INVALID, what, mend="export the series again")


def _storable(values: np.ndarray) -> np.ndarray:
    if values.dtype == bool:
        return values.astype(np.uint8)
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return values.astype(np.dtype(values.dtype).newbyteorder("<"), copy=False)
    return np.asarray(values, dtype="<f4")


def _describe(
    header: Any, grid: Grid, *, description: str, key: str, frame_step_s: float | None
) -> None:
    header.set_sform(grid.affine, code=1)
    axes = grid.affine[:3, :3] / np.asarray(grid.voxel_sizes_mm)
    orthogonal = np.allclose(axes.T @ axes, np.eye(3), atol=1e-4)
    header.set_qform(grid.affine if orthogonal else None, code=int(orthogonal))
    header.set_xyzt_units("mm", "sec")
    if frame_step_s is not None:
        zooms = header.get_zooms()
        header.set_zooms((*zooms[:3], frame_step_s))
    header["descrip"] = (description or f"bolus {VERSION}").encode("ascii", "replace")[:79]
    header["intent_name"] = key.encode("ascii", "replace")[:15]


def _written(image: Any, file: BinaryIO, *, packed: bool) -> None:
    """Write an image part by part: it is never there a second time.

    Packed without name and time, so equal content gives equal files.
    """
    if not packed:
        image.to_stream(file)
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=3) as packer:
        image.to_stream(packer)

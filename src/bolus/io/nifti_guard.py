"""Decide from the first bytes of a NIfTI file whether its header can be believed.

nibabel loads a NaN slope, absurd dimensions, a singular affine and times in milliseconds without a
word. Here each is refused, with a guess at what it should have been.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.nifti1 import header_dtype as nifti1_dtype
from nibabel.nifti2 import header_dtype as nifti2_dtype
from nibabel.spatialimages import HeaderDataError

from bolus.core import Grid
from bolus.errors import Code, FileError, GeometryError

_NIBABEL: Any = nib  # its classes carry no types

HEADER_BYTES = 544
"""Enough for a NIfTI-2 header with its four bytes of extension flag."""

_LARGEST_DIM = 4096
_MOST_FRAMES = 20_000
_LARGEST_OFFSET = 1 << 24
_NUMBER_TYPES = frozenset({2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280})
_OTHER_TYPES: Mapping[int, str] = MappingProxyType(
    {
        1: "single bits",
        32: "complex numbers",
        128: "RGB colours",
        1536: "128-bit numbers",
        1792: "complex numbers",
        2048: "complex numbers",
        2304: "RGBA colours",
    }
)
_SPATIAL_MM: Mapping[int, float] = MappingProxyType({0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001})
_TIME_S: Mapping[int, float] = MappingProxyType({8: 1.0, 16: 1e-3, 24: 1e-6})
_LOOKS_LIKE: tuple[tuple[bytes, int, str], ...] = (
    (b"DICM", 128, "a DICOM file; convert it to NIfTI first (dcm2niix)"),
    (b"NRRD", 0, "a NRRD file; convert it to NIfTI first"),
    (b"PK\x03\x04", 0, "a zip archive; unpack it first"),
    (b"\x89HDF", 0, "an HDF5 or MINC file; convert it to NIfTI first"),
    (b"MATLAB", 0, "a MATLAB file; convert it to NIfTI first"),
    (b"version https://git-lfs", 0, "a Git LFS pointer; fetch the file itself first"),
    (b"<", 0, "a web page or XML text; download the file itself"),
    (b"{", 0, "JSON text; name the image, not its sidecar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHeader:
    """What a checked header says, in this package's units.

    `shape` has no trailing ones beyond three dimensions; `frame_step_s` is `None` where the header
    gives no time unit or no positive step; `oriented` tells whether left and right are known.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    slope: float
    intercept: float
    grid: Grid
    frame_step: float
    frame_step_s: float | None
    oriented: bool

    @property
    def frames(self) -> int:
        """Number of frames; 1 for a three-dimensional image."""
        return self.shape[3] if len(self.shape) > 3 else 1

    @property
    def voxels(self) -> int:
        """Number of voxels of one frame."""
        return int(np.prod(self.shape[:3]))

    @property
    def stored_bytes(self) -> int:
        """Length of the image data in the file, unpacked."""
        return self.voxels * self.frames * self.dtype.itemsize


def read_header(head: bytes) -> NiftiHeader:
    """Return the checked header from the first bytes of a file.

    Args:
        head: the first `HEADER_BYTES` bytes, unpacked; fewer if the file is shorter.

    Raises:
        FileError: not NIfTI, cut short, or with values that cannot be right.
        GeometryError: the affine cannot be the geometry of an image.
    """
    raw, version, order = _raw_header(head)
    shape = _shape(raw["dim"])
    dtype = _number_type(raw).newbyteorder(order)
    slope, intercept = _scaling(raw)
    offset = float(raw["vox_offset"])
    least = 352 if version == 1 else 544
    if not np.isfinite(offset) or not least <= offset <= _LARGEST_OFFSET:
        raise _invalid(
            f"the image data begin at byte {offset:g}, expected {least} or a little more",
            "rewrite the file with a NIfTI library",
        )
    grid, oriented = _grid(raw, version, order, shape)
    step = abs(float(raw["pixdim"][4]))
    unit = _TIME_S.get(int(raw["xyzt_units"]) & 0x38)
    known = unit is not None and np.isfinite(step) and step > 0
    return NiftiHeader(
        shape=shape,
        dtype=dtype,
        offset=int(offset),
        slope=slope,
        intercept=intercept,
        grid=grid,
        frame_step=step,
        frame_step_s=round(step * unit, 9) if unit is not None and known else None,
        oriented=oriented,
    )


def _raw_header(head: bytes) -> tuple[np.void, int, Literal["<", ">"]]:
    """Return the raw header, the NIfTI version, and the byte order."""
    orders: tuple[Literal["<", ">"], ...] = ("<", ">")
    if not head:
        raise FileError(Code.FILE_DAMAGED, "is empty (0 bytes)", mend="copy or export it again")
    if len(head) < 4:
        raise _not_nifti(head)
    for version, layout, length in ((1, nifti1_dtype, 348), (2, nifti2_dtype, 540)):
        for order in orders:
            if int(np.frombuffer(head[:4], f"{order}i4")[0]) != length:
                continue
            if len(head) < length:
                raise FileError(
                    Code.FILE_DAMAGED,
                    f"ends inside its header ({len(head)} of {length} bytes)",
                    mend="copy or export the file again",
                )
            raw = np.frombuffer(head[:length], layout.newbyteorder(order))[0]
            _require_single_file(bytes(raw["magic"]))
            return raw, version, order
    raise _not_nifti(head)


def _require_single_file(magic: bytes) -> None:
    if magic[:2] == b"n+":
        return
    kind = "the header of an .hdr/.img pair" if magic[:2] == b"ni" else "an Analyze header"
    raise FileError(
        Code.FILE_NOT_NIFTI,
        f"is {kind} (magic {magic[:4]!r}), expected a single NIfTI file",
        mend="convert it to one .nii.gz file",
    )


def _not_nifti(head: bytes) -> FileError:
    guess = next((text for magic, at, text in _LOOKS_LIKE if head[at:].startswith(magic)), "")
    return FileError(
        Code.FILE_NOT_NIFTI,
        f"is not a NIfTI image (it begins with {head[:4].hex(' ')})"
        + (f"; it looks like {guess.split(';')[0]}" if guess else ""),
        mend=guess.split("; ")[1] if guess else "give a .nii or .nii.gz file",
    )


def _shape(dim: np.ndarray) -> tuple[int, ...]:
    count = int(dim[0])
    if not 1 <= count <= 7:
        raise _invalid(f"dim[0] is {count}, expected 3 or 4", "rewrite the header")
    sizes = [int(n) for n in dim[1 : count + 1]]
    sizes += [1] * (3 - len(sizes))
    if min(sizes) < 1 or max(sizes[:3]) > _LARGEST_DIM or max(sizes[3:], default=1) > _MOST_FRAMES:
        listed = " x ".join(map(str, sizes))
        raise _invalid(
            f"dimensions {listed} cannot be right (1 to {_LARGEST_DIM} voxels, "
            f"1 to {_MOST_FRAMES} frames)",
            "export the image again",
        )
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 4:
        raise FileError(
            Code.NOT_A_SERIES,
            f"has {len(sizes)} dimensions ({' x '.join(map(str, sizes))}), expected 3 or 4",
            mend="split it into one file per echo or channel",
        )
    return tuple(sizes)


def _number_type(raw: np.void) -> np.dtype:
    code, bits = int(raw["datatype"]), int(raw["bitpix"])
    if code in _OTHER_TYPES:
        raise _invalid(
            f"holds {_OTHER_TYPES[code]} (datatype {code}), expected integers or real numbers",
            "export the magnitude image",
        )
    if code not in _NUMBER_TYPES:
        raise _invalid(f"datatype {code} is not a NIfTI number type", "export the image again")
    dtype: np.dtype = np.dtype(_NIBABEL.nifti1.data_type_codes.type[code])
    if dtype.itemsize * 8 != bits:
        raise _invalid(
            f"bitpix is {bits} where datatype {code} has {dtype.itemsize * 8}",
            "export the image again",
        )
    return dtype


def _scaling(raw: np.void) -> tuple[float, float]:
    """Return slope and intercept; a slope of zero means "not scaled" in the NIfTI standard."""
    slope, intercept = float(raw["scl_slope"]), float(raw["scl_inter"])
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise _invalid(
            f"scl_slope is {slope:g} and scl_inter {intercept:g}, expected finite numbers",
            "write the true scaling, or 1 and 0 if the values are not scaled",
        )
    if slope == 0 and intercept != 0:
        raise _invalid(
            f"scl_slope is 0 (not scaled) but scl_inter is {intercept:g}",
            "write the true scaling, or 1 and 0 if the values are not scaled",
        )
    return (1.0, 0.0) if slope == 0 else (slope, intercept)


def _grid(raw: np.void, version: int, order: str, shape: tuple[int, ...]) -> tuple[Grid, bool]:
    steps = np.abs(np.asarray(raw["pixdim"][1:4], dtype=np.float64))
    needed = steps[np.array(shape[:3]) > 1]
    if needed.size and (not np.isfinite(needed).all() or needed.min() == 0):
        raise GeometryError(
            Code.GRID_INVALID,
            f"voxel sizes (pixdim) are {_by(steps)}, expected positive numbers",
            mend="rewrite the image with its voxel sizes in mm",
        )
    kind = _NIBABEL.Nifti1Header if version == 1 else _NIBABEL.Nifti2Header
    header = kind(raw.tobytes(), endianness=order, check=False)
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        other = header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError) as failure:
        raise _affine_invalid("the rotation of the qform is not one") from failure
    affine[:3] *= _SPATIAL_MM.get(int(raw["xyzt_units"]) & 0x07, 1.0)
    _require_affine(affine)
    coded = int(raw["qform_code"]) > 0, int(raw["sform_code"]) > 0
    if all(coded) and other is not None and float(other[:3, 0] @ affine[:3, 0]) < 0:
        raise GeometryError(
            Code.GRID_INVALID,
            "its sform and qform disagree about which side is left",
            mend="find out which is right, and write it to both",
        )
    return Grid(shape=(shape[0], shape[1], shape[2]), affine=affine), any(coded)


def _require_affine(affine: np.ndarray) -> None:
    if not np.isfinite(affine).all():
        raise _affine_invalid("the affine holds NaN or infinity")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    volume = abs(np.linalg.det(affine[:3, :3]))
    if sizes.min() == 0 or volume < 0.1 * np.prod(sizes):
        raise _affine_invalid(
            f"the affine is singular (voxel edges {_by(sizes)} mm, volume {volume:.3g} mm3)"
        )
    for factor, unit in ((1e-3, "micrometres"), (1e3, "metres")):
        wrong = sizes.max() > 200 if factor < 1 else sizes.max() < 0.02
        if wrong and (sizes * factor).min() >= 0.05 and (sizes * factor).max() <= 50:
            raise GeometryError(
                Code.GRID_INVALID,
                f"voxel sizes {_by(sizes)} mm look like {unit}: {_by(sizes * factor)} mm",
                mend="rewrite the image with its voxel sizes in mm",
            )


def _affine_invalid(what: str) -> GeometryError:
    return GeometryError(
        Code.GRID_INVALID, what, mend="rewrite the image with a valid sform or qform"
    )


def _by(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.5g}" for size in sizes)


def _invalid(what: str, mend: str) -> FileError:
    return FileError(Code.HEADER_INVALID, what, mend=mend)

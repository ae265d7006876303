"""Bad NIfTI files, sidecars and masks, each made in code from one good series.

A case writes its files into an empty folder and returns the path to give to the reader.
"""

import gzip
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.nifti1 import header_dtype

from bolus.errors import Code

SHAPE = (6, 5, 4, 12)
AFFINE = np.array([[-2.0, 0, 0, 5], [0, 2.0, 0, -4], [0, 0, 5.0, 1], [0, 0, 0, 1]])
SIDECAR = {"EchoTime": 0.03, "RepetitionTime": 1.5, "FlipAngle": 60, "MagneticFieldStrength": 3}


@dataclass(frozen=True)
class Case:
    """A kind of bad input: what makes it, the code it must give, and words of its message."""

    name: str
    make: Callable[[Path], Path]
    code: Code
    says: str


def values() -> np.ndarray:
    frames = np.random.default_rng(0).integers(90, 110, SHAPE)
    return frames.astype(np.int16)


def good(
    folder: Path,
    *,
    frames: np.ndarray | None = None,
    sidecar: object = SIDECAR,
    name: str = "dsc.nii.gz",
    affine: np.ndarray = AFFINE,
    step_s: float = 1.5,
) -> Path:
    """Write a series (or other values) and, unless `None`, its sidecar."""
    image = nib.Nifti1Image(values() if frames is None else frames, affine)
    image.header.set_xyzt_units("mm", "sec")
    if image.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], step_s))
    path = folder / name
    nib.save(image, path)
    if sidecar is not None:
        text = sidecar if isinstance(sidecar, str) else json.dumps(sidecar)
        (folder / name.replace(".nii.gz", ".json").replace(".nii", ".json")).write_text(text)
    return path


def patched(**fields: object) -> Callable[[Path], Path]:
    """Return a maker whose header holds other values in these fields."""

    def make(folder: Path) -> Path:
        path = good(folder)
        content = bytearray(gzip.decompress(path.read_bytes()))
        raw = np.frombuffer(content, header_dtype, count=1)
        for field, value in fields.items():
            raw[field][0] = value
        path.write_bytes(gzip.compress(bytes(content)))
        return path

    return make


def sidecar(**values: object) -> Callable[[Path], Path]:
    """Return a maker whose sidecar holds other values; `None` takes a key out."""
    changed = {**SIDECAR, **values}
    return lambda folder: good(folder, sidecar={k: v for k, v in changed.items() if v is not None})


def sidecar_text(text: str) -> Callable[[Path], Path]:
    return lambda folder: good(folder, sidecar=text)


def holding(frames: np.ndarray, **rest: object) -> Callable[[Path], Path]:
    return lambda folder: good(folder, frames=frames, **rest)


def spoiled(spoil: Callable[[bytes], bytes], name: str = "dsc.nii.gz") -> Callable[[Path], Path]:
    """Return a maker that changes the bytes of the finished file."""

    def make(folder: Path) -> Path:
        path = good(folder, name=name)
        path.write_bytes(spoil(path.read_bytes()))
        return path

    return make


def wrong_checksum(content: bytes) -> bytes:
    return content[:-8] + bytes(b ^ 0xFF for b in content[-8:-4]) + content[-4:]


def missing(folder: Path) -> Path:
    return folder / "dsc.nii.gz"


def a_folder(folder: Path) -> Path:
    path = folder / "dsc.nii.gz"
    path.mkdir()
    return path


def a_pipe(folder: Path) -> Path:
    path = folder / "dsc.nii.gz"
    os.mkfifo(path)
    return path


def link_loop(folder: Path) -> Path:
    (folder / "dsc.nii.gz").symlink_to("b.nii.gz")
    (folder / "b.nii.gz").symlink_to("dsc.nii.gz")
    return folder / "dsc.nii.gz"


def sidecar_folder(folder: Path) -> Path:
    path = good(folder, sidecar=None)
    (folder / "dsc.json").mkdir()
    return path


def header_pair(folder: Path) -> Path:
    nib.save(nib.Nifti1Pair(values(), AFFINE), folder / "dsc.img")
    return folder / "dsc.hdr"


def as_other(magic: bytes, at: int = 0) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "dsc.nii"
        path.write_bytes(b"\0" * at + magic + b"\0" * 1000)
        return path

    return make


ZEROS = zlib.compressobj(9, zlib.DEFLATED, 31)
_MEMBER_BYTES = 1 << 26
ZERO_MEMBER = ZEROS.compress(b"\0" * _MEMBER_BYTES) + ZEROS.flush()
"""64 MiB of nothing in 64 kB of gzip; members may follow each other."""


def bomb(folder: Path, *, dim: list[int], members: int) -> Path:
    path = good(folder)
    content = bytearray(gzip.decompress(path.read_bytes())[:352])
    raw = np.frombuffer(content, header_dtype, count=1)
    raw["dim"][0] = dim + [1] * (8 - len(dim))
    path.write_bytes(gzip.compress(bytes(content)) + ZERO_MEMBER * members)
    return path


def honest_bomb(folder: Path) -> Path:
    """Two GiB, as its header says."""
    return bomb(folder, dim=[4, 1024, 1024, 16, 64], members=32)


def hidden_bomb(folder: Path) -> Path:
    """A small image with two GiB behind it."""
    return bomb(folder, dim=[4, 64, 64, 8, 4], members=32)


def mask_bomb(folder: Path) -> Path:
    """One volume of two GiB."""
    return bomb(folder, dim=[3, 1024, 1024, 1024], members=32)


def flipped_qform(folder: Path) -> Path:
    image = nib.Nifti1Image(values(), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(np.diag([2.0, 2.0, 5.0, 1.0]), code=1)
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, folder / "dsc.nii.gz")
    (folder / "dsc.json").write_text(json.dumps(SIDECAR))
    return folder / "dsc.nii.gz"


def untimed(*, step: float, units: int) -> Callable[[Path], Path]:
    """Return a maker without sidecar, with this frame spacing and NIfTI unit code."""

    def make(folder: Path) -> Path:
        path = patched(pixdim=[1, 2, 2, 5, step, 1, 1, 1], xyzt_units=units)(folder)
        (folder / "dsc.json").unlink()
        return path

    return make


def times(*seconds: float) -> Callable[[Path], Path]:
    return sidecar(RepetitionTime=None, VolumeTiming=list(seconds))


_FLOATS = values().astype(np.float32)
_RGB = np.zeros(SHAPE[:3], dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
_STEPS = [1.5 * n for n in range(SHAPE[3])]
_NAN_ROW = [np.nan, 0, 0, 0]

FILE_CASES = (
    Case("missing", missing, Code.FILE_MISSING, "does not exist"),
    Case("folder", a_folder, Code.PATH_KIND, "folder"),
    Case("named pipe", a_pipe, Code.PATH_KIND, "pipe"),
    Case("link loop", link_loop, Code.FILE_MISSING, "itself"),
    Case("empty file", spoiled(lambda _: b""), Code.FILE_DAMAGED, "empty"),
    Case("ten bytes", spoiled(lambda c: gzip.decompress(c)[:10]), Code.FILE_DAMAGED, "10 of 348"),
    Case("not an image", as_other(b"hello world"), Code.FILE_NOT_NIFTI, "not a NIfTI"),
    Case("DICOM", as_other(b"DICM", at=128), Code.FILE_NOT_NIFTI, "DICOM"),
    Case("web page", as_other(b"<!doctype html>"), Code.FILE_NOT_NIFTI, "web page"),
    Case("header of a pair", header_pair, Code.FILE_NOT_NIFTI, "pair"),
    Case("Analyze", patched(magic=b"\0\0\0"), Code.FILE_NOT_NIFTI, "Analyze"),
    Case("cut gzip", spoiled(lambda c: c[: len(c) // 2]), Code.FILE_DAMAGED, "ends before"),
    Case("cut trailer", spoiled(lambda c: c[:-5]), Code.FILE_DAMAGED, "ends before"),
    Case("wrong checksum", spoiled(wrong_checksum), Code.FILE_DAMAGED, "incorrect data check"),
    Case("garbled gzip", spoiled(lambda c: c[:300] + bytes(99) + c[399:]), Code.FILE_DAMAGED, ""),
    Case("cut data", spoiled(lambda c: gzip.compress(gzip.decompress(c)[:-500])),
         Code.FILE_DAMAGED, "of 12 frames"),
    Case("cut plain file", spoiled(lambda c: c[:-500], "dsc.nii"), Code.FILE_DAMAGED, "promises"),
    Case("bomb", honest_bomb, Code.FILE_BOMB, "ratio"),
    Case("bomb behind the image", hidden_bomb, Code.FILE_BOMB, "behind"),
)  # fmt: skip

HEADER_CASES = (
    Case("NaN slope", patched(scl_slope=np.nan), Code.HEADER_INVALID, "scl_slope is nan"),
    Case("infinite intercept", patched(scl_inter=np.inf), Code.HEADER_INVALID, "scl_inter inf"),
    Case("zero slope with intercept", patched(scl_slope=0, scl_inter=5), Code.HEADER_INVALID,
         "scl_slope is 0"),
    Case("NaN affine", patched(srow_x=_NAN_ROW), Code.GRID_INVALID, "NaN"),
    Case("zero affine", patched(srow_x=0, srow_y=0, srow_z=0), Code.GRID_INVALID, "singular"),
    Case("singular affine", patched(srow_y=[-2, 0, 0, 5]), Code.GRID_INVALID, "singular"),
    Case("zero voxel size", patched(pixdim=[1, 0, 2, 5, 1.5, 1, 1, 1]), Code.GRID_INVALID, "0 x"),
    Case("NaN voxel size", patched(pixdim=[1, 2, np.nan, 5, 1.5, 1, 1, 1]), Code.GRID_INVALID,
         "nan"),
    Case("micrometres", holding(values(), affine=np.diag([2812.4, 2812.4, 10000, 1])),
         Code.GRID_INVALID, "look like micrometres: 2.8124 x 2.8124 x 10 mm"),
    Case("metres", holding(values(), affine=np.diag([0.002, 0.002, 0.005, 1])),
         Code.GRID_INVALID, "look like metres"),
    Case("left or right", flipped_qform, Code.GRID_INVALID, "which side is left"),
    Case("no dimensions", patched(dim=[0, 6, 5, 4, 12, 1, 1, 1]), Code.HEADER_INVALID, "dim[0]"),
    Case("negative dimension", patched(dim=[4, -6, 5, 4, 12, 1, 1, 1]), Code.HEADER_INVALID,
         "cannot be right"),
    Case("absurd dimensions", patched(dim=[4, 32767, 32767, 32767, 99, 1, 1, 1]),
         Code.HEADER_INVALID, "cannot be right"),
    Case("five dimensions", holding(values()[..., np.newaxis].repeat(2, 4)), Code.NOT_A_SERIES,
         "5 dimensions"),
    Case("one volume", holding(values()[..., 0]), Code.NOT_A_SERIES, "one volume"),
    Case("one frame", holding(values()[..., :1]), Code.NOT_A_SERIES, "one volume"),
    Case("complex numbers", holding(_FLOATS.astype(np.complex64)), Code.HEADER_INVALID, "complex"),
    Case("colours", holding(_RGB), Code.HEADER_INVALID, "RGB"),
    Case("unknown number type", patched(datatype=999), Code.HEADER_INVALID, "999"),
    Case("bits do not fit", patched(bitpix=32), Code.HEADER_INVALID, "bitpix"),
    Case("data in the header", patched(vox_offset=100), Code.HEADER_INVALID, "byte 100"),
    Case("data far behind", patched(vox_offset=2e9), Code.HEADER_INVALID, "2e+09"),
    Case("all zero", holding(np.zeros(SHAPE, np.int16)), Code.VALUES_INVALID, "all values are 0"),
    Case("all NaN", holding(np.full(SHAPE, np.nan, np.float32)), Code.VALUES_INVALID, "0 of"),
    Case("constant", holding(np.full(SHAPE, 7, np.int16)), Code.VALUES_INVALID, "are 7"),
)  # fmt: skip

SIDECAR_CASES = (
    Case("not JSON", sidecar_text("{EchoTime: 0.03}"), Code.SIDECAR_INVALID, "not JSON"),
    Case("empty sidecar", sidecar_text(""), Code.SIDECAR_INVALID, "not JSON"),
    Case("a list", sidecar_text("[1, 2]"), Code.SIDECAR_INVALID, "list"),
    Case("key twice", sidecar_text('{"EchoTime": 0.03, "EchoTime": 0.04}'), Code.SIDECAR_INVALID,
         "twice"),
    Case("NaN in JSON", sidecar_text('{"EchoTime": NaN}'), Code.SIDECAR_INVALID, "NaN"),
    Case("deep nesting", sidecar_text("[" * 100_000), Code.SIDECAR_INVALID, "nesting"),
    Case("text for a number", sidecar(EchoTime="0.03"), Code.SIDECAR_INVALID, "without quotes"),
    Case("true for a number", sidecar(EchoTime=True), Code.SIDECAR_INVALID, "true or false"),
    Case("two echo times", sidecar(EchoTime=[0.01, 0.03]), Code.METADATA_CONFLICT, "lists 2"),
    Case("sidecar is a folder", sidecar_folder, Code.PATH_KIND, "folder"),
    Case("TR in ms", sidecar(RepetitionTime=1500), Code.METADATA_IMPLAUSIBLE,
         "looks like milliseconds: 1.5"),
    Case("TE in ms", sidecar(EchoTime=30), Code.METADATA_IMPLAUSIBLE,
         "looks like milliseconds: 0.03"),
    Case("TE in us", sidecar(EchoTime=30000), Code.METADATA_IMPLAUSIBLE,
         "looks like microseconds: 0.03"),
    Case("flip angle in radians", sidecar(FlipAngle=1.0472), Code.METADATA_IMPLAUSIBLE,
         "looks like radians: 60"),
    Case("field in gauss", sidecar(MagneticFieldStrength=30000), Code.METADATA_IMPLAUSIBLE,
         "looks like gauss: 3"),
    Case("field in MHz", sidecar(MagneticFieldStrength=127.74), Code.METADATA_IMPLAUSIBLE,
         "looks like MHz: 3"),
    Case("haematocrit in percent", sidecar(Hematocrit=45), Code.METADATA_IMPLAUSIBLE,
         "looks like a percentage: 0.45"),
    Case("dose in umol", sidecar(ContrastDose=100), Code.METADATA_IMPLAUSIBLE, "umol/kg: 0.1"),
    Case("negative TE", sidecar(EchoTime=-0.03), Code.METADATA_IMPLAUSIBLE, "expected"),
    Case("TE beyond TR", sidecar(EchoTime=0.15, RepetitionTimeExcitation=0.12),
         Code.METADATA_IMPLAUSIBLE, "not shorter"),
    Case("eleven times of twelve", times(*_STEPS[:-1]), Code.TIME_INVALID, "11 times"),
    Case("times go back", times(*_STEPS[:5], 0.5, *_STEPS[6:]), Code.TIME_INVALID, "not increase"),
    Case("times in ms", times(*[1000 * t for t in _STEPS]), Code.TIME_INVALID, "milliseconds"),
    Case("times are text", times(*map(str, _STEPS)), Code.SIDECAR_INVALID, "text"),
    Case("times are a number", sidecar(VolumeTiming=1.5), Code.SIDECAR_INVALID, "list of times"),
    Case("times against TR", sidecar(RepetitionTime=2.0, VolumeTiming=_STEPS),
         Code.METADATA_CONFLICT, "RepetitionTime"),
    Case("no time at all", untimed(step=0, units=10), Code.METADATA_MISSING, "not known"),
    Case("time without unit", untimed(step=1.0, units=2), Code.METADATA_MISSING, "without a unit"),
    Case("header in ms, wrong", untimed(step=1.5, units=18), Code.METADATA_IMPLAUSIBLE, "1.5 s"),
)  # fmt: skip

_REGION = np.zeros(SHAPE[:3], np.uint8)
_REGION[2:4, 2:4, 1] = 1
_SHIFTED = AFFINE + np.array([[0, 0, 0, 3.0], [0] * 4, [0] * 4, [0] * 4])

MASK_CASES = (
    Case("other shape", holding(_REGION[:-1], sidecar=None), Code.GRID_MISMATCH, "(5, 5, 4)"),
    Case("other place", holding(_REGION, affine=_SHIFTED), Code.GRID_MISMATCH, "3 mm away"),
    Case("no voxels", holding(_REGION * 0), Code.MASK_EMPTY, "no voxels"),
    Case("three values", holding(_REGION * 2 + 1 - _REGION[::-1]), Code.VALUES_INVALID, "values"),
    Case("NaN inside", holding(np.where(_REGION, np.nan, 0).astype(np.float32)),
         Code.VALUES_INVALID, "values"),
    Case("a series", holding(values()), Code.NOT_A_SERIES, "12 frames"),
    Case("mask bomb", mask_bomb, Code.FILE_BOMB, "ratio"),
)  # fmt: skip

SERIES_CASES = FILE_CASES + HEADER_CASES + SIDECAR_CASES

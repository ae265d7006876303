"""dcm2niix for series whose pixels are stored in a way that is not read here; its text is not kept.

It converts into a temporary folder, with limited memory and time; image, affine and frame spacing
are taken from there, everything else from the headers that were read here.
"""

import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from bolus.core import Grid
from bolus.errors import Code, ConfigError, FileError
from bolus.io.access import read_bytes
from bolus.io.dicom_scan import DicomFile
from bolus.io.dicom_times import FrameTimes
from bolus.io.dicom_volume import DicomVolume
from bolus.io.sidecar import parse_object

_SECONDS = 600
_MEMORY_BYTES = 8 << 30
_SIDECAR_BYTES = 4 << 20
_NIBABEL: Any = nib


def converter() -> Path:
    """Return the dcm2niix program, of its PyPI wheel or of the system.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import dcm2niix  # type: ignore[import-untyped]
    except ImportError:
        found = shutil.which("dcm2niix")
        if found is None:
            raise ConfigError(
                Code.USAGE, "dcm2niix is not installed", mend="pip install dcm2niix, and run again"
            ) from None
        return Path(found)
    return Path(dcm2niix.bin)


def convert_with_dcm2niix(files: Sequence[DicomFile], label: str) -> DicomVolume:
    """Convert one series with dcm2niix.

    Args:
        files: of the series.
        label: how messages call it.

    Raises:
        ConfigError: dcm2niix is not installed.
        FileError: it gives none or several images, or no time between frames.
    """
    program = converter()
    with tempfile.TemporaryDirectory(prefix="bolus-dicom-") as place:
        source, target = Path(place) / "in", Path(place) / "out"
        source.mkdir()
        target.mkdir()
        for number, file in enumerate(files):
            (source / f"{number:06d}.dcm").symlink_to(file.path.resolve())
        try:
            subprocess.run(
                [str(program), "-b", "y", "-ba", "y", "-z", "n", "-f", "image_%s_%e",
                 "-o", str(target), str(source)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_SECONDS,
                check=False, preexec_fn=_limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise _failed(f"took dcm2niix more than {_SECONDS} s", label) from None
        images = sorted(target.glob("*.nii"))
        if len(images) != 1:
            raise _failed(f"gives {len(images)} images with dcm2niix where one is needed", label)
        return _volume(images[0], label)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _volume(path: Path, label: str) -> DicomVolume:
    image = _NIBABEL.load(path)
    values = np.asarray(image.dataobj)
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.dtype.kind not in "iuf":
        raise _failed("is no plain volume or series with dcm2niix", label)
    frames = values.shape[3]
    return DicomVolume(
        values=values,
        grid=Grid(shape=values.shape[:3], affine=image.affine),
        times=None if frames == 1 else _times(path, frames, label),
        order=None,
        notes=("converted by dcm2niix, which orders and scales it by its own rules",),
    )


def _times(path: Path, frames: int, label: str) -> FrameTimes:
    """Return the times of the frames as dcm2niix gives them."""
    said = parse_object(read_bytes(path.with_suffix(".json"), limit=_SIDECAR_BYTES))
    listed = said.get("FrameTimesStart", said.get("VolumeTiming"))
    if isinstance(listed, list) and len(listed) == frames:
        seconds = np.array(listed, float) - float(listed[0])
        return FrameTimes(
            seconds=seconds, step_s=None, source="dcm2niix", notes=(), slice_times_s=None
        )
    step = said.get("RepetitionTime")
    if not isinstance(step, int | float) or step < 0.1:
        raise _failed("has no time between frames with dcm2niix", label)
    return FrameTimes(
        seconds=step * np.arange(frames), step_s=float(step), source="dcm2niix", notes=(),
        slice_times_s=None,
    )  # fmt: skip


def _failed(what: str, label: str) -> FileError:
    return FileError(
        Code.DICOM_UNSUPPORTED,
        what,
        mend="leave it out with --series NUMBER=skip, or decompress it with gdcmconv --raw",
        where=label,
    )

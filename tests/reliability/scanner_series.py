"""Synthetic scanner series: one asymmetric 4-D phantom as each vendor would send it.

The tags follow public conformance statements and what readers such as dcm2niix document; no file
of a scanner was at hand. `PHANTOM` is (column, row, slice, time); no symmetry maps it onto itself.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

SHAPE = (16, 12, 5, 8)
SPACING = (2.0, 1.5, 4.0)
"""Column, row and slice spacing [mm]."""
STEP_S = 1.5
TE_MS, TR_MS, FA_DEG = 30.0, 1500.0, 60.0
MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
ROOT = "1.2.826.0.1.3680043.8.498"
AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)
OBLIQUE = (0.9396926, 0.3420201, 0.0, -0.2961981, 0.8137977, -0.5)
ORIENTATIONS = {"axial": AXIAL, "coronal": CORONAL, "sagittal": SAGITTAL, "oblique": OBLIQUE}
ORIGIN = np.array([-31.0, 22.5, -8.25])


def phantom() -> np.ndarray:
    """Return whole numbers (16, 12, 5, 8) with a drop in time, different in every voxel."""
    x, y, z, t = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    return (400 + 17 * x + 29 * y + 67 * z - 40 * (t == 4) - 90 * (t == 5) + t).astype(np.int16)


PHANTOM = phantom()


@dataclass
class Look:
    """What one series has in common."""

    orientation: tuple[float, ...] = AXIAL
    description: str = "ep2d_perf DSC"
    series: int = 1
    study: int = 1
    patient: str = "PAT-0001"
    echo_ms: float = TE_MS
    repetition_ms: float = TR_MS
    flip_deg: float = FA_DEG
    sequence: tuple[str, ...] = ("EP", "GR")
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "M", "ND")
    step_s: float = STEP_S
    maker: str = "SIEMENS"
    start_s: float = 9 * 3600 + 1830.0
    more: dict[str, object] = field(default_factory=dict)


def normal_of(orientation: Iterable[float]) -> np.ndarray:
    axes = np.array(list(orientation), float)
    return np.cross(axes[:3], axes[3:])


def position(look: Look, level: float) -> list[float]:
    corner = ORIGIN + level * SPACING[2] * normal_of(look.orientation)
    return [round(float(v), 6) for v in corner]


def affine_ras(look: Look) -> np.ndarray:
    """Return the affine that the first, second and third index of `PHANTOM` have."""
    axes = np.array(look.orientation, float)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = axes[:3] * SPACING[0], axes[3:] * SPACING[1]
    affine[:3, 2] = normal_of(look.orientation) * SPACING[2]
    affine[:3, 3] = ORIGIN
    return np.diag([-1.0, -1, 1, 1]) @ affine


def uid(*parts: int) -> str:
    return ".".join([ROOT, *map(str, parts)])


def clock(seconds: float) -> str:
    seconds %= 86400
    whole = int(seconds + 1e-9)
    micro = round((seconds - whole) * 1e6)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{micro:06d}"


def blank(look: Look, *, sop: str = MR, instance: int = 1) -> Dataset:
    """Return a data set with what every image of a series has."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = sop
    data.SOPClassUID = sop
    data.SOPInstanceUID = uid(look.study, look.series, instance)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = uid(look.study), uid(look.study, look.series)
    data.FrameOfReferenceUID = uid(look.study, 99)
    data.PatientName, data.PatientID = "Test^Phantom", look.patient
    data.StudyDate, data.StudyTime = f"2020010{look.study}", "090000"
    data.AcquisitionDate = data.ContentDate = data.StudyDate
    data.Modality, data.Manufacturer = "MR", look.maker
    data.SeriesDescription, data.ProtocolName = look.description, look.description
    data.SeriesNumber = look.series
    data.ImageType = list(look.image_type)
    data.MagneticFieldStrength = 3.0
    data.PatientPosition = "HFS"
    data.MRAcquisitionType = "2D"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    for name, value in look.more.items():
        setattr(data, name, value)
    return data


def with_pixels(data: Dataset, values: np.ndarray) -> Dataset:
    """Give a data set the pixels (columns, rows[, frames]) of the phantom."""
    data.Rows, data.Columns = values.shape[1], values.shape[0]
    data.PixelData = np.ascontiguousarray(values.T).astype("<u2").tobytes()
    return data


def single(look: Look, values: np.ndarray, level: int, time: int, instance: int) -> Dataset:
    """Return one classic slice without any tag that tells its time."""
    data = blank(look, instance=level + 1000 * time + 1)
    data.ScanningSequence, data.SequenceVariant = list(look.sequence), "SK"
    data.EchoTime, data.RepetitionTime, data.FlipAngle = (
        look.echo_ms, look.repetition_ms, look.flip_deg,
    )  # fmt: skip
    data.ImageOrientationPatient = [round(float(v), 7) for v in look.orientation]
    data.ImagePositionPatient = position(look, level)
    data.PixelSpacing = [SPACING[1], SPACING[0]]
    data.SliceThickness = data.SpacingBetweenSlices = SPACING[2]
    data.InstanceNumber = instance
    return with_pixels(data, values[:, :, level, time])


def interleaved(slices: int) -> list[int]:
    return [*range(0, slices, 2), *range(1, slices, 2)]


def siemens(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """Slices of a volume interleaved; each has its own acquisition time."""
    found, slices = [], values.shape[2]
    for time in range(values.shape[3]):
        for turn, level in enumerate(interleaved(slices)):
            data = single(look, values, level, time, time * slices + turn + 1)
            began = look.start_s + time * look.step_s + turn * look.step_s / slices
            data.AcquisitionTime = clock(round(began / 0.0025) * 0.0025)
            data.ContentTime = clock(began + 0.43)
            data.AcquisitionNumber = time + 1
            found.append(data)
    return found


def ge(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """All times of one slice first; the acquisition time is the same for all."""
    found, times = [], values.shape[3]
    for level in range(values.shape[2]):
        for time in range(times):
            data = single(look, values, level, time, level * times + time + 1)
            data.AcquisitionTime = clock(look.start_s)
            data.ContentTime = clock(look.start_s + 300 + time * look.step_s)
            data.AcquisitionNumber = 1
            data.TriggerTime = round(time * look.step_s * 1000, 3)
            data.TemporalPositionIdentifier = time + 1
            data.NumberOfTemporalPositions = times
            block = data.private_block(0x0021, "GEMS_RELA_01", create=True)
            block.add_new(0x5E, "DS", f"{time * look.step_s:.4f}")
            found.append(data)
    return found


def philips(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """Slice by slice or volume by volume, told by temporal position and private tags."""
    found, slices = [], values.shape[2]
    for time in range(values.shape[3]):
        for level in range(slices):
            data = single(look, values, level, time, time * slices + level + 1)
            data.AcquisitionTime = clock(look.start_s)
            data.ContentTime = clock(look.start_s + 2)
            data.AcquisitionNumber = 5
            data.TemporalPositionIdentifier = time + 1
            data.NumberOfTemporalPositions = values.shape[3]
            data.RescaleSlope, data.RescaleIntercept = "2", "10"
            block = data.private_block(0x2001, "Philips Imaging DD 001", create=True)
            block.add_new(0x08, "IS", str(time + 1))
            block = data.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0xA0, "FL", time * look.step_s)
            block.add_new(0x0E, "FL", 0.5)
            found.append(data)
    return found


def canon(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """Slices from the top; one acquisition time and number for each volume."""
    found, slices = [], values.shape[2]
    for time in range(values.shape[3]):
        for turn, level in enumerate(reversed(range(slices))):
            data = single(look, values, level, time, time * slices + turn + 1)
            data.AcquisitionTime = clock(look.start_s + time * look.step_s)
            data.ContentTime = clock(look.start_s + time * look.step_s + 0.1)
            data.AcquisitionNumber = time + 1
            found.append(data)
    return found


def enhanced(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """One multi-frame object with functional groups and dimension indices."""
    slices, times = values.shape[2:]
    data = blank(look, sop=ENHANCED)
    data.EchoPulseSequence, data.EchoPlanarPulseSequence = "GRADIENT", "YES"
    data.InstanceNumber = 1
    data.AcquisitionDateTime = f"{data.StudyDate}{clock(look.start_s)}"
    data.NumberOfFrames = slices * times
    data.DimensionIndexSequence = Sequence([_index(0x00209056), _index(0x00209057),
                                            _index(0x00209128)])  # fmt: skip
    shared = Dataset()
    shared.PixelMeasuresSequence = one(
        PixelSpacing=[SPACING[1], SPACING[0]], SliceThickness=SPACING[2],
        SpacingBetweenSlices=SPACING[2],
    )  # fmt: skip
    shared.PlaneOrientationSequence = one(ImageOrientationPatient=list(look.orientation))
    shared.MREchoSequence = one(EffectiveEchoTime=look.echo_ms)
    shared.MRTimingAndRelatedParametersSequence = one(
        RepetitionTime=look.repetition_ms, FlipAngle=look.flip_deg
    )
    shared.MRImageFrameTypeSequence = one(FrameType=list(look.image_type))
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    groups, frames = [], []
    for level in range(slices):
        for time in range(times):
            group = Dataset()
            group.PlanePositionSequence = one(ImagePositionPatient=position(look, level))
            moment = look.start_s + time * look.step_s
            group.FrameContentSequence = one(
                FrameAcquisitionDateTime=f"{data.StudyDate}{clock(moment)}",
                FrameReferenceDateTime=f"{data.StudyDate}{clock(moment + 0.2)}",
                StackID="1", InStackPositionNumber=level + 1, TemporalPositionIndex=time + 1,
                DimensionIndexValues=[1, level + 1, time + 1],
            )  # fmt: skip
            group.TemporalPositionSequence = one(TemporalPositionTimeOffset=time * look.step_s)
            groups.append(group)
            frames.append(values[:, :, level, time])
    data.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return [with_pixels(data, np.stack(frames, axis=-1))]


def _index(pointer: int) -> Dataset:
    item = Dataset()
    item.DimensionIndexPointer = pointer
    return item


def one(**values: object) -> Sequence:
    """Return a sequence of one item."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def mosaic(look: Look, values: np.ndarray = PHANTOM) -> list[Dataset]:
    """All slices of a volume as tiles of one sheet, as Siemens' EPI has it."""
    cols, rows, slices, times = values.shape
    across = int(np.ceil(np.sqrt(slices)))
    axes = np.array(look.orientation, float)
    corner = np.array(position(look, 0))
    corner = corner - axes[:3] * SPACING[0] * cols * (across - 1) / 2
    corner = corner - axes[3:] * SPACING[1] * rows * (across - 1) / 2
    found = []
    for time in range(times):
        sheet = np.zeros((cols * across, rows * across), values.dtype)
        for level in range(slices):
            down, right = divmod(level, across)
            sheet[right * cols : (right + 1) * cols, down * rows : (down + 1) * rows] = values[
                :, :, level, time
            ]
        data = single(look, values, 0, time, time + 1)
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
        data.ImagePositionPatient = [round(float(v), 6) for v in corner]
        data.AcquisitionTime = clock(look.start_s + time * look.step_s)
        data.ContentTime = clock(look.start_s + time * look.step_s + 0.4)
        data.AcquisitionNumber = time + 1
        block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "US", slices)
        csa = data.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        csa.add_new(0x10, "OB", _csa({"SliceNormalVector": normal_of(look.orientation)}))
        found.append(with_pixels(data, sheet))
    return found


def _csa(tags: dict[str, np.ndarray]) -> bytes:
    """Return a Siemens CSA2 header with these tags."""
    content = b"SV10\x04\x03\x02\x01" + len(tags).to_bytes(4, "little") + (77).to_bytes(4, "little")
    for name, values in tags.items():
        content += (
            name.encode().ljust(64, b"\0")
            + np.array([len(values), 0x4446, 0, 6, 77], "<i4").tobytes()
        )
        for place in range(6):
            text = f"{values[place]:.8f}".encode() + b"\0" if place < len(values) else b""
            content += np.array([len(text)] * 4, "<i4").tobytes()
            content += text.ljust((len(text) + 3) // 4 * 4, b"\0")
    return content + b"\0" * (len(content) % 2)


VENDORS: dict[str, Callable[..., list[Dataset]]] = {
    "siemens": siemens, "ge": ge, "philips": philips, "canon": canon, "enhanced": enhanced,
}  # fmt: skip
MAKERS = {"siemens": "SIEMENS", "ge": "GE MEDICAL SYSTEMS", "philips": "Philips",
          "canon": "TOSHIBA_MEC", "enhanced": "Philips"}  # fmt: skip


def look_of(vendor: str, **changes: object) -> Look:
    return Look(**{"maker": MAKERS.get(vendor, "SIEMENS"), **changes})


def expected(vendor: str, values: np.ndarray = PHANTOM) -> np.ndarray:
    """Return what a reader must give: Philips' series are rescaled."""
    return values * 2 + 10 if vendor == "philips" else values


def write(folder: Path, images: Iterable[Dataset], *, names: Iterable[str] | None = None) -> Path:
    """Write data sets as files; names count up unless given."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = list(images)
    chosen = list(names) if names else [f"IM{n:05d}.dcm" for n in range(len(listed))]
    for name, data in zip(chosen, listed, strict=True):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(place, data, enforce_file_format=True)
    return folder


def shuffled(images: list[Dataset], seed: int) -> tuple[list[Dataset], list[str]]:
    """Return images with instance numbers dealt anew, and file names in an order of their own."""
    generator = np.random.default_rng(seed)
    numbers = generator.permutation(len(images)) + 1
    for data, number in zip(images, numbers, strict=True):
        data.InstanceNumber = int(number)
    return images, [f"{n:06d}.IMA" for n in generator.permutation(len(images))]

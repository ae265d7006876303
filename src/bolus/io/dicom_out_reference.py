"""The DICOM series that results were made from, as the patient and study to file them under."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bolus.core import Grid
from bolus.errors import Code, FileError
from bolus.io.access import named
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_study import NO_DATE, NO_TIME, Study

_MOST_FILES = 50_000
_MAGIC = b"DICM"
_PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription",
)  # fmt: skip
_TAGS = (
    *_PATIENT, "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "StudyDate", "StudyTime", "SeriesNumber", "Rows", "Columns",
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_NEAR_MM = 0.05


def reference_study(folder: Path, grid: Grid) -> Study:
    """Return the study of the source series whose images lie on the grid of the results.

    Args:
        folder: holds the DICOM files, of one or several series of one patient.
        grid: of the maps.

    Raises:
        FileError: nothing readable, several patients, or no series on this grid: the results may
            be of somebody else.
    """
    with named(folder):
        series: dict[str, list[Any]] = {}
        for header in _headers(folder):
            series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
        if not series:
            raise _unusable(
                "holds no DICOM images with a position", "name the folder of the series"
            )
        patients = {str(h.get("PatientID", "")) for group in series.values() for h in group}
        if len(patients) > 1:
            raise _unusable(
                f"holds images of {len(patients)} patients", "name the folder of one series"
            )
        for name in sorted(series):
            if lies_on(series[name], grid):
                return _study(series[name])
        raise _unusable(
            f"none of its {len(series)} series lies on the grid of the maps "
            f"({' x '.join(map(str, grid.shape))} voxels), so the results may be of somebody else",
            "name the series that the maps were made from",
        )


def lies_on(headers: Sequence[Any], grid: Grid) -> bool:
    """Return whether the images of a series, at any time, are the slices of a grid."""
    planes = [plane for header in headers for plane in _planes(header)]
    frames = Frames.of(grid)
    corners = _corners(
        np.array(frames.positions_mm), np.array(frames.row_cosines) * frames.between_columns_mm,
        np.array(frames.column_cosines) * frames.between_rows_mm,
        (grid.shape[frames.order[1]], grid.shape[frames.order[2]]),
    )  # fmt: skip
    found = np.zeros(len(corners), bool)
    for position, orientation, spacing, shape in planes:
        own = _corners(
            position[None], orientation[:3] * spacing[1], orientation[3:] * spacing[0], shape
        )[0]
        gaps = [
            np.linalg.norm(corners[:, :, None] - own[None, None], axis=3).min(axis=2).max(axis=1)
        ]
        hit = gaps[0] < _NEAR_MM
        if not hit.any():
            return False
        found |= hit
    return bool(planes) and bool(found.all())


def _corners(
    first: np.ndarray, right: np.ndarray, down: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Return the four corner voxels of planes: (planes, 4, 3)."""
    steps = [(r, c) for r in (0, shape[0] - 1) for c in (0, shape[1] - 1)]
    return np.stack([first + r * down + c * right for r, c in steps], axis=1)


def _headers(folder: Path) -> list[Any]:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    if not folder.is_dir():
        raise FileError(
            Code.FILE_MISSING, "is no folder", mend="name the folder of the source DICOM series"
        )
    found = []
    for count, path in enumerate(sorted(p for p in folder.rglob("*") if p.is_file())):
        if count >= _MOST_FILES:
            raise _unusable(f"holds more than {_MOST_FILES} files", "name one series")
        with path.open("rb") as file:
            if file.read(132)[128:] != _MAGIC:
                continue
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
            usable = bool(header.get("FrameOfReferenceUID")) and bool(_planes(header))
        except (InvalidDicomError, ValueError, TypeError, AttributeError, EOFError, IndexError):
            continue
        if usable:
            found.append(header)
    return found


def _planes(header: Any) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]]:
    """Return position, orientation, spacing and shape of every frame of an image."""
    shape = (int(header.get("Rows", 0)), int(header.get("Columns", 0)))
    if "PerFrameFunctionalGroupsSequence" not in header:
        if "ImagePositionPatient" not in header:
            return []
        return [
            (_numbers(header.ImagePositionPatient), _numbers(header.ImageOrientationPatient),
             _numbers(header.PixelSpacing), shape)
        ]  # fmt: skip
    shared = header.SharedFunctionalGroupsSequence[0]
    planes = []
    for frame in header.PerFrameFunctionalGroupsSequence:
        position = _group(frame, shared, "PlanePositionSequence").ImagePositionPatient
        orientation = _group(frame, shared, "PlaneOrientationSequence").ImageOrientationPatient
        spacing = _group(frame, shared, "PixelMeasuresSequence").PixelSpacing
        planes.append((_numbers(position), _numbers(orientation), _numbers(spacing), shape))
    return planes


def _group(frame: Any, shared: Any, name: str) -> Any:
    return (frame if name in frame else shared)[name].value[0]


def _numbers(values: Any) -> np.ndarray:
    return np.array([float(v) for v in values])


def _study(headers: Sequence[Any]) -> Study:
    first = headers[0]
    named_by_place: dict[tuple[float, ...], tuple[str, str]] = {}
    for header in sorted(headers, key=lambda h: str(h.SOPInstanceUID)):
        key = tuple(np.round(_planes(header)[0][0], 2))
        named_by_place.setdefault(key, (str(header.SOPClassUID), str(header.SOPInstanceUID)))
    date = str(first.get("StudyDate", "") or NO_DATE)
    return Study(
        study_uid=str(first.StudyInstanceUID),
        frame_uid=str(first.FrameOfReferenceUID),
        patient={"PatientBirthDate": "", "PatientSex": "", "AccessionNumber": "", "StudyID": "",
                 "ReferringPhysicianName": ""}
        | {name: str(first.get(name) or "") for name in _PATIENT if name in first},
        date=date,
        time=str(first.get("StudyTime", "") or NO_TIME),
        series_uid=str(first.SeriesInstanceUID),
        referenced=tuple(named_by_place[key] for key in sorted(named_by_place)),
    )  # fmt: skip


def _unusable(what: str, mend: str) -> FileError:
    return FileError(Code.DICOM_REFERENCE, what, mend=mend)

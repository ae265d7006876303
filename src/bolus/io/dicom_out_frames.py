"""A grid of voxels as DICOM sees it: frames of rows and columns at positions in LPS millimetres."""

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from bolus.core import Grid
from bolus.errors import Code, GeometryError

_SHEAR = 1e-3
"""Cosine between two voxel axes above which they are not at right angles; 0.06 degrees."""
_TO_LPS = np.diag([-1.0, -1.0, 1.0])
_READ_TOWARDS = (1, 1, -1)
"""Images are read towards the patient's left, back and feet: signs of x, y, z in LPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How voxels (x, y, z) become frames, rows and columns, and where each frame lies.

    The third voxel axis counts the slices. Rows and columns are turned and flipped, never
    resampled, to the usual reading direction; frames rise along the normal of the image plane.
    `row_cosines` point along a row, `column_cosines` down a column [LPS]; `positions_mm` (n, 3)
    are the middles of the first voxels [LPS mm].
    """

    order: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    row_cosines: tuple[float, float, float]
    column_cosines: tuple[float, float, float]
    between_rows_mm: float
    between_columns_mm: float
    between_frames_mm: float
    positions_mm: tuple[tuple[float, float, float], ...]

    @classmethod
    def of(cls, grid: Grid) -> "Frames":
        """Return the frames of a grid.

        Raises:
            GeometryError: its axes are not at right angles, which DICOM cannot say.

        Example:
            >>> frames = Frames.of(Grid(shape=(4, 3, 2), affine=np.diag([2.0, 2.0, 5.0, 1.0])))
            >>> frames.arrange(np.zeros((4, 3, 2))).shape, frames.row_cosines
            ((2, 3, 4), (1.0, 0.0, 0.0))
        """
        sizes = np.array(grid.voxel_sizes_mm)
        axes = _TO_LPS @ (grid.affine[:3, :3] / sizes)
        _require_right_angles(axes)
        world = max(
            permutations(range(3)), key=lambda p: sum(abs(axes[w, v]) for v, w in enumerate(p))
        )
        column_axis, row_axis = (0, 1) if world[0] < world[1] else (1, 0)
        flips = [bool(axes[world[v], v] * _READ_TOWARDS[world[v]] < 0) for v in range(3)]
        along = [-axes[:, v] if flips[v] else axes[:, v] for v in range(3)]
        row, column = along[column_axis], along[row_axis]
        flips[2] = bool(np.dot(np.cross(row, column), axes[:, 2]) < 0)
        first = np.array([n - 1 if flip else 0 for n, flip in zip(grid.shape, flips, strict=True)])
        places = np.tile(first, (grid.shape[2], 1)).astype(np.float64)
        places[:, 2] = np.arange(grid.shape[2])[:: -1 if flips[2] else 1]
        positions = grid.centres_mm(places) @ _TO_LPS
        return cls(
            order=(2, row_axis, column_axis),
            flips=(flips[2], flips[row_axis], flips[column_axis]),
            row_cosines=_three(row),
            column_cosines=_three(column),
            between_rows_mm=float(sizes[row_axis]),
            between_columns_mm=float(sizes[column_axis]),
            between_frames_mm=float(sizes[2]),
            positions_mm=tuple(_three(p) for p in positions),
        )

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """Return voxels (x, y, z, ...) as (frames, rows, columns, ...), contiguous."""
        rest = tuple(range(3, values.ndim))
        turned = np.transpose(values, (*self.order, *rest))
        return np.ascontiguousarray(
            turned[tuple(slice(None, None, -1) if flip else slice(None) for flip in self.flips)]
        )

    def letters(self) -> tuple[str, str]:
        """Return the patient's sides that rows and columns run towards, as DICOM writes them."""
        return _side(self.row_cosines), _side(self.column_cosines)

    def sources(self, rows: int, columns: int, study: Any) -> list[Any]:
        """Return stand-ins for the images of these frames, from which highdicom takes geometry.

        Args:
            rows: of a frame.
            columns: of a frame.
            study: a `Study`, whose patient and coordinate system they carry.
        """
        from pydicom.dataset import Dataset
        from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

        made = []
        for number, position in enumerate(self.positions_mm):
            image = Dataset()
            image.file_meta = Dataset()  # type: ignore[assignment]
            image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            image.SOPClassUID = MRImageStorage
            image.SOPInstanceUID = study.uid("stand-in", str(number))
            image.SeriesInstanceUID = study.uid("stand-in series")
            image.StudyInstanceUID, image.FrameOfReferenceUID = study.study_uid, study.frame_uid
            image.PositionReferenceIndicator = ""
            image.Modality = "MR"
            image.StudyDate, image.StudyTime = study.date, study.time
            for keyword, value in study.patient.items():
                setattr(image, keyword, value)
            image.Rows, image.Columns = rows, columns
            image.ImagePositionPatient = [_ds(v) for v in position]
            image.ImageOrientationPatient = [
                _ds(v) for v in (*self.row_cosines, *self.column_cosines)
            ]
            image.PixelSpacing = [_ds(self.between_rows_mm), _ds(self.between_columns_mm)]
            image.SliceThickness = _ds(self.between_frames_mm)
            made.append(image)
        return made

    def described(self) -> dict[str, Any]:
        """Return the geometry as highdicom's arguments."""
        from highdicom import (
            CoordinateSystemNames,
            PixelMeasuresSequence,
            PlaneOrientationSequence,
            PlanePositionSequence,
        )

        patient = CoordinateSystemNames.PATIENT
        return {
            "pixel_measures": PixelMeasuresSequence(
                pixel_spacing=(self.between_rows_mm, self.between_columns_mm),
                slice_thickness=self.between_frames_mm,
                spacing_between_slices=self.between_frames_mm,
            ),
            "plane_orientation": PlaneOrientationSequence(
                patient, (*self.row_cosines, *self.column_cosines)
            ),
            "plane_positions": [PlanePositionSequence(patient, p) for p in self.positions_mm],
        }


def _require_right_angles(axes: np.ndarray) -> None:
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > _SHEAR:
        degrees = 90 - np.degrees(np.arccos(min(float(cosines.max()), 1.0)))
        raise GeometryError(
            Code.GRID_INVALID,
            f"the voxel axes are {degrees:.2f} degrees off the right angle, which a DICOM image "
            "cannot say",
            mend="resample the map onto a grid without shear",
        )


def _three(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(v) + 0.0 for v in values)
    return x, y, z


def _side(cosines: tuple[float, float, float]) -> str:
    largest = int(np.argmax(np.abs(cosines)))
    return ("LR", "PA", "HF")[largest][int(cosines[largest] < 0)]


def _ds(value: float) -> Any:
    from pydicom.valuerep import DSfloat

    return DSfloat(value, auto_format=True)

"""Masks and label maps as DICOM Segmentations: one bit a voxel, every frame kept."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bolus._version import VERSION
from bolus.core import LabelMap
from bolus.io.dicom_out_codes import family_code, region_codes
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_map import content_label, series_of
from bolus.io.dicom_out_study import (
    Study,
    digest_of,
    equipment,
    finish,
    refer,
    require_dicom_tools,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

WHOLE = "whole tumour"
"""Name of the segment that holds all labels of a tumour; the region table calls it so."""
_GIVEN = "labels given to bolus, origin not recorded"


def segmentation(
    labels: LabelMap, study: Study, *, number: int, name: str, given: bool = False
) -> "Dataset":
    """Return labels as a DICOM Segmentation of type BINARY.

    Empty frames are kept, so that the geometry is that of the maps. A tumour of several parts gets
    one more segment with all of them.

    Args:
        labels: what to write; a mask is a label map with one name.
        study: whose it is.
        number: of its series.
        name: what it is, such as "tumour" or "brain".
        given: whether the labels came with the images; else bolus found them.

    Raises:
        GeometryError: the grid is sheared.
        ResourceError: highdicom is not installed.
    """
    require_dicom_tools("highdicom")
    from highdicom.seg import Segmentation, SegmentationTypeValues

    frames = Frames.of(labels.grid)
    arranged = frames.arrange(labels.values)
    numbers = [n for n in sorted(labels.names) if n > 0]
    planes = [arranged == n for n in numbers]
    names = [labels.names[n] for n in numbers]
    if name == "tumour" and len(names) > 1 and WHOLE not in names:
        planes, names = [*planes, arranged > 0], [*names, WHOLE]
    digest = digest_of(arranged, name, *names, repr(labels.grid.affine.tolist()))
    series = series_of(study, number, f"bolus segments: {name}", digest)
    made = Segmentation(
        source_images=frames.sources(arranged.shape[1], arranged.shape[2], study),
        pixel_array=np.stack(planes, axis=-1).astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _described(place + 1, label, study, digest, given=given)
            for place, label in enumerate(names)
        ],
        series_instance_uid=series.uid,
        series_number=number,
        sop_instance_uid=study.uid("segmentation", digest),
        instance_number=1,
        omit_empty_frames=False,
        content_label=content_label(name),
        content_description=f"{name}, on the grid of the maps"[:64],
        **frames.described(),
        **equipment(),
    )
    dataset = finish(made, study, series)
    refer(dataset, study)
    return dataset


def segments_of(dataset: "Dataset") -> dict[str, int]:
    """Return the number of each segment by its name."""
    return {str(s.SegmentLabel): int(s.SegmentNumber) for s in dataset.SegmentSequence}


def _described(number: int, label: str, study: Study, digest: str, *, given: bool) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    category, kind = region_codes(label)
    types = SegmentAlgorithmTypeValues
    return SegmentDescription(
        segment_number=number,
        segment_label=label[:64],
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=types.SEMIAUTOMATIC if given else types.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=_GIVEN if given else "bolus", family=family_code(), version=VERSION
        ),
        tracking_uid=study.uid("segment", digest, label),
        tracking_id=label[:64],
    )

"""Pictures as DICOM secondary captures: plain colour images that every viewer shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bolus._version import VERSION
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_map import series_of
from bolus.io.dicom_out_study import (
    MAKER,
    MODEL,
    Study,
    digest_of,
    finish,
    require_dicom_tools,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def captures(
    pictures: Sequence[np.ndarray], study: Study, *, number: int, frames: Frames, name: str
) -> list["Dataset"]:
    """Return one secondary capture a picture, as one series.

    Pictures carry words, so they say that they hold burned-in annotation; the words hold no
    patient data. Pixels have no size in millimetres: a picture is no measure.

    Args:
        pictures: RGB bytes (rows, columns, 3), in the order of the frames.
        study: whose they are.
        number: of the series.
        frames: that the pictures show.
        name: what they show, for the name of the series.

    Raises:
        ResourceError: highdicom is not installed.
    """
    require_dicom_tools("highdicom")
    from highdicom.sc import SCImage

    digests = [digest_of(picture, name) for picture in pictures]
    series = series_of(study, number, f"bolus picture: {name}", "".join(digests))
    made = []
    for place, (picture, digest) in enumerate(zip(pictures, digests, strict=True)):
        image: Any = SCImage(
            pixel_array=picture,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            study_instance_uid=study.study_uid,
            series_instance_uid=series.uid,
            series_number=number,
            sop_instance_uid=study.uid("picture", str(place), digest),
            instance_number=place + 1,
            manufacturer=MAKER,
            patient_orientation=frames.letters(),
        )
        image.BurnedInAnnotation = "YES"
        image.ManufacturerModelName = MODEL
        image.DateOfSecondaryCapture = study.date
        image.TimeOfSecondaryCapture = study.time
        image.SecondaryCaptureDeviceManufacturer = MAKER
        image.SecondaryCaptureDeviceSoftwareVersions = VERSION
        image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        image.DerivationDescription = f"picture of the map {name}, frame {place + 1}"
        made.append(finish(image, study, series))
    return made

"""What all DICOM objects of one export share: whose they are, their identifiers, their bytes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from bolus import RESEARCH_USE
from bolus._version import VERSION
from bolus.errors import Code, ResourceError
from bolus.io.dicom_out_codes import OWN_SCHEME

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MAKER = "The bolus developers"
MODEL = "bolus"
NO_DATE, NO_TIME = "19000101", "000000"
"""DICOM demands a date where none is known; a clock would make every export differ."""

_UID_ROOT = "2.25."
_UID_BITS = 128
_DATES = ("InstanceCreationDate", "ContentDate", "SeriesDate")
_TIMES = ("InstanceCreationTime", "ContentTime", "SeriesTime")
_DROPPED = ("ReferencedSeriesSequence", "TimezoneOffsetFromUTC")
_PER_FRAME = "DerivationImageSequence"
"""Where highdicom names the stand-ins that it took the geometry from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """The patient, the study and the coordinate system that new objects belong to.

    `patient` holds DICOM keywords of the patient and the study; `referenced` the (class, instance)
    identifiers of the images the results were made from, in the series `series_uid`.
    """

    study_uid: str
    frame_uid: str
    patient: Mapping[str, str]
    date: str = NO_DATE
    time: str = NO_TIME
    series_uid: str = ""
    referenced: tuple[tuple[str, str], ...] = field(default=())

    @classmethod
    def anonymous(cls, digest: str, *, frame: str) -> "Study":
        """Return a study of its own for a nameless patient.

        Args:
            digest: of the results; other results are another patient, so that an archive never
                files two people under one name.
            frame: what tells coordinate systems of this study apart.
        """
        return cls(
            study_uid=uid_of("study", digest),
            frame_uid=uid_of("frame of reference", digest, frame),
            patient={
                "PatientName": "BOLUS^RESEARCH",
                "PatientID": f"BOLUS-{digest[:12].upper()}",
                "PatientBirthDate": "",
                "PatientSex": "",
                "AccessionNumber": "",
                "StudyID": "1",
                "ReferringPhysicianName": "",
            },
        )

    def uid(self, *parts: str) -> str:
        """Return the identifier of something in this study: the same for the same parts."""
        return uid_of(self.study_uid, *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series to write: its number, what a list of series shows, and its identifier."""

    number: int
    description: str
    uid: str


def uid_of(*parts: str) -> str:
    """Return a DICOM identifier made of a SHA-256, the same for the same parts and version.

    Example:
        >>> uid_of("study", "a1") == uid_of("study", "a1"), uid_of("study", "a1")[:5]
        (True, '2.25.')
    """
    digest = hashlib.sha256("\0".join((VERSION, *parts)).encode()).digest()
    return _UID_ROOT + str(int.from_bytes(digest[: _UID_BITS // 8], "big"))


def digest_of(values: np.ndarray, *more: str) -> str:
    """Return the SHA-256 of an array, its shape and what else decides an object."""
    named = hashlib.sha256(repr((values.shape, values.dtype.str, more)).encode())
    named.update(np.ascontiguousarray(values).tobytes())
    return named.hexdigest()


def require_dicom_tools(*modules: str) -> None:
    """Raise unless the optional libraries of the `pacs` extra are installed.

    Raises:
        ResourceError: one of `modules` is absent.
    """
    absent = [name for name in modules if find_spec(name) is None]
    if absent:
        raise ResourceError(
            Code.EXTRA_MISSING,
            f"{', '.join(absent)} is not installed",
            mend='install it with: pip install "bolus[pacs]"',
        )


def equipment() -> dict[str, Any]:
    """Return what made an object, as highdicom's arguments."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": MODEL,
        "software_versions": VERSION,
        "device_serial_number": VERSION,
    }


def finish(dataset: Any, study: Study, series: Series, *, comment: bool = True) -> "Dataset":
    """Complete an object of highdicom: patient, dates, research use; nothing of this moment.

    Args:
        dataset: the object; it is changed.
        study: whose it is.
        series: where it is filed.
        comment: whether it is an image, which has a place for a comment and a part of the body.

    Returns:
        The same object.
    """
    frames = dataset.get("PerFrameFunctionalGroupsSequence", ())
    for holder, keyword in [*((dataset, k) for k in _DROPPED), *((f, _PER_FRAME) for f in frames)]:
        holder.pop(keyword, None)
    for keyword, value in study.patient.items():
        setattr(dataset, keyword, value)
    dataset.StudyDate = study.date if study.date != NO_DATE else ""
    dataset.StudyTime = study.time if study.date != NO_DATE else ""
    for names, value in ((_DATES, study.date), (_TIMES, study.time)):
        for keyword in names:
            if keyword in dataset or keyword.startswith("Instance"):
                setattr(dataset, keyword, value)
    _settle(dataset, study)
    dataset.SeriesDescription = series.description[:64]
    dataset.SoftwareVersions = VERSION
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.CodingSchemeIdentificationSequence = [_own_scheme()]
    if comment:
        dataset.ImageComments = RESEARCH_USE
        dataset.BodyPartExamined = "BRAIN"
    return dataset  # type: ignore[no-any-return]


def _settle(dataset: Any, study: Study) -> None:
    """Replace what highdicom takes from the clock and from chance inside sequences."""
    for item in dataset.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = study.date + study.time
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(keyword, ()):
            item.DimensionOrganizationUID = study.uid("dimensions", str(dataset.SOPInstanceUID))


def _own_scheme() -> "Dataset":
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodingSchemeDesignator = OWN_SCHEME
    item.CodingSchemeName = "Codes of bolus"
    item.CodingSchemeResponsibleOrganization = MAKER
    return item


def refer(dataset: "Dataset", study: Study) -> None:
    """Name the images that an object was made from, where they are known."""
    from pydicom.dataset import Dataset

    if not study.referenced:
        return
    items = []
    for sop_class, instance in study.referenced:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        items.append(item)
    series = Dataset()
    series.SeriesInstanceUID = study.series_uid
    series.ReferencedInstanceSequence = items
    dataset.ReferencedSeriesSequence = [series]


def dicom_bytes(dataset: "Dataset") -> bytes:
    """Return the file of an object: the same bytes for the same object."""
    from pydicom import dcmwrite
    from pydicom.uid import UID

    target = BytesIO()
    dataset.file_meta.ImplementationClassUID = UID(uid_of("implementation"))
    dataset.file_meta.ImplementationVersionName = f"BOLUS_{VERSION}"[:16]
    dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()

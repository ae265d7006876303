"""What a header says of each frame of a file, as plain values; runs in the limited child.

Only numbers, coded terms and identifiers that grouping needs leave here. Free text leaves for one
purpose, to recognise the kind of a series and its contrast agent, and is never written anywhere.
"""

import re
import struct
from collections.abc import Sequence
from typing import Any

from bolus.io.dicom_tags import (
    TroubleError,
    clock_s,
    items,
    moment_s,
    number,
    numbers,
    whole,
    words,
)

_PRIVATE_TIMES: tuple[tuple[str, int, int, int], ...] = (
    ("GE (0021,105E)", 0x0021, 0x5E, 0x0021_0010),
    ("Philips (2001,1008)", 0x2001, 0x08, 0x2001_0010),
    ("Philips (2005,10A0)", 0x2005, 0xA0, 0x2005_0010),
)
"""Name of a witness, group, element of its block, tag of the private creator."""
_TEXT_KINDS = frozenset(
    {"PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "DA", "DT", "TM", "UI", "AE", "AS", "OB"}
)
_KEPT = frozenset({"ContrastBolusAgent", "PixelData", "SOPClassUID", "TransferSyntaxUID"})
_CSA = (0x0029, 0x1010)


def described(dataset: Any) -> dict[str, Any]:
    """Return the facts of one MR file: `whose`, `about`, `removed`, and a list of `frames`.

    Args:
        dataset: of pydicom, without pixels.

    Raises:
        TroubleError: something needed is missing or cannot be right.
    """
    frames = _enhanced(dataset) if "PerFrameFunctionalGroupsSequence" in dataset else None
    if frames is None and whole(dataset, "NumberOfFrames", 1) > 1:
        raise TroubleError("header", "has several frames and does not say where they lie")
    return {
        "whose": {
            "patient": _patient(dataset),
            "name": str(dataset.get("PatientName", "")),
            "identifier": str(dataset.get("PatientID", "")),
            "study": str(dataset.get("StudyInstanceUID", "")),
            "date": str(dataset.get("StudyDate", "")) + str(dataset.get("StudyTime", "")),
            "series": _identifier(dataset, "SeriesInstanceUID"),
            "instance": _identifier(dataset, "SOPInstanceUID"),
            "number": number(dataset, "SeriesNumber") or 0.0,
        },
        "about": _about(dataset),
        "removed": _removed(dataset),
        "frames": frames or [_classic(dataset)],
    }


def _patient(dataset: Any) -> str:
    """Return what tells patients apart: the identifier with its issuer, or the name without one."""
    identifier = str(dataset.get("PatientID") or "")
    issuer = str(dataset.get("IssuerOfPatientID") or "")
    return f"{identifier}\x1f{issuer}" if identifier else str(dataset.get("PatientName", ""))


def _identifier(dataset: Any, keyword: str) -> str:
    found = str(dataset.get(keyword) or "")
    if not found:
        raise TroubleError("header", f"does not state {keyword}")
    return found[:200]


def _about(dataset: Any) -> dict[str, Any]:
    """Return what is the same for all frames of a file."""
    agent = words(dataset, "ContrastBolusAgent")
    for item in items(dataset, "ContrastBolusAgentSequence"):
        agent += words(item, "CodeMeaning")
    profile = next(iter(items(dataset, "ContrastAdministrationProfileSequence")), dataset)
    return {
        "maker": " ".join(words(dataset, "Manufacturer")),
        "described": " ".join(
            word
            for key in ("SeriesDescription", "ProtocolName", "SequenceName", "PulseSequenceName")
            for word in words(dataset, key)
        ).lower(),
        "burned": str(dataset.get("BurnedInAnnotation", "")).strip().upper()[:3],
        "sequence": words(dataset, "ScanningSequence"),
        "echo_pulse": words(dataset, "EchoPlanarPulseSequence")
        + words(dataset, "EchoPulseSequence"),
        "variant": words(dataset, "SequenceVariant"),
        "dimensions": str(dataset.get("MRAcquisitionType", ""))[:2],
        "field_t": number(dataset, "MagneticFieldStrength"),
        "temporal_positions": number(dataset, "NumberOfTemporalPositions"),
        "tiles": _private_number(dataset, 0x0019, 0x0A, 0x0019_0010),
        "agent": " ".join(agent),
        "dose_ml": number(dataset, "ContrastBolusTotalDose"),
        "volume_ml": number(dataset, "ContrastBolusVolume")
        or number(profile, "ContrastBolusVolume"),
        "flow_ml_per_s": next(iter(numbers(dataset, "ContrastFlowRate") or ()), None)
        or number(profile, "ContrastFlowRate"),
        "weight_kg": number(dataset, "PatientWeight"),
    }


def _classic(dataset: Any) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "position": numbers(dataset, "ImagePositionPatient", 3),
        "orientation": numbers(dataset, "ImageOrientationPatient", 6),
        "spacing": numbers(dataset, "PixelSpacing", 2),
        "thickness": number(dataset, "SliceThickness"),
        "gap": number(dataset, "SpacingBetweenSlices"),
        "echo_ms": number(dataset, "EchoTime"),
        "repetition_ms": number(dataset, "RepetitionTime"),
        "inversion_ms": number(dataset, "InversionTime"),
        "flip_deg": number(dataset, "FlipAngle"),
        "b_value": number(dataset, "DiffusionBValue"),
        "slope": number(dataset, "RescaleSlope"),
        "intercept": number(dataset, "RescaleIntercept"),
        "philips_slope": _private_number(dataset, 0x2005, 0x0E, 0x2005_0010),
        "type": [word.upper() for word in words(dataset, "ImageType")],
        "witness": _witnesses(dataset),
    }
    if "MOSAIC" in frame["type"]:
        frame["normal"] = _slice_normal(dataset)
    return frame


def _witnesses(dataset: Any) -> dict[str, float]:
    found: dict[str, float | None] = {
        "TemporalPositionIdentifier": number(dataset, "TemporalPositionIdentifier"),
        "AcquisitionNumber": number(dataset, "AcquisitionNumber"),
        "TriggerTime": number(dataset, "TriggerTime"),
        "InstanceNumber": number(dataset, "InstanceNumber"),
        "AcquisitionTime": clock_s(str(dataset.get("AcquisitionTime") or "")),
        "ContentTime": clock_s(str(dataset.get("ContentTime") or "")),
        "AcquisitionDateTime": moment_s(str(dataset.get("AcquisitionDateTime") or "")),
    }
    for name, group, element, creator in _PRIVATE_TIMES:
        found[name] = _private_number(dataset, group, element, creator)
    return {name: value for name, value in found.items() if value is not None}


def _enhanced(dataset: Any) -> list[dict[str, Any]]:
    """Return the frames of an enhanced object: per-frame groups win over shared ones."""
    shared = next(iter(items(dataset, "SharedFunctionalGroupsSequence")), None)
    groups = items(dataset, "PerFrameFunctionalGroupsSequence")
    count = whole(dataset, "NumberOfFrames", 1)
    if len(groups) != count:
        raise TroubleError("header", f"describes {len(groups)} of its {count} frames")
    pointers = [
        str(int(item.get("DimensionIndexPointer", 0)))
        for item in items(dataset, "DimensionIndexSequence")
    ]
    return [
        _of_group(_Groups(own, shared, dataset), pointers, place)
        for place, own in enumerate(groups, start=1)
    ]


class _Groups:
    """Functional groups of one frame."""

    def __init__(self, own: Any, shared: Any, dataset: Any) -> None:
        self._places = (own,) if shared is None else (own, shared)
        self.dataset = dataset

    def get(self, sequence: str) -> Any:
        for place in self._places:
            found = items(place, sequence)
            if found:
                return found[0]
        return {}


_TEMPORAL_POINTERS = frozenset({str(0x0020_9128), str(0x0020_930D), str(0x0020_9153)})


def _of_group(groups: _Groups, pointers: Sequence[str], place: int) -> dict[str, Any]:
    measures, timing = (
        groups.get("PixelMeasuresSequence"),
        groups.get("MRTimingAndRelatedParametersSequence"),
    )
    content, values = (
        groups.get("FrameContentSequence"),
        groups.get("PixelValueTransformationSequence"),
    )
    kind = groups.get("MRImageFrameTypeSequence")
    return {
        "position": numbers(groups.get("PlanePositionSequence"), "ImagePositionPatient", 3),
        "orientation": numbers(
            groups.get("PlaneOrientationSequence"), "ImageOrientationPatient", 6
        ),
        "spacing": numbers(measures, "PixelSpacing", 2),
        "thickness": number(measures, "SliceThickness"),
        "gap": number(measures, "SpacingBetweenSlices"),
        "echo_ms": number(groups.get("MREchoSequence"), "EffectiveEchoTime"),
        "repetition_ms": number(timing, "RepetitionTime"),
        "inversion_ms": number(groups.get("MRModifierSequence"), "InversionTimes"),
        "flip_deg": number(timing, "FlipAngle"),
        "b_value": number(groups.get("MRDiffusionSequence"), "DiffusionBValue"),
        "slope": number(values, "RescaleSlope"),
        "intercept": number(values, "RescaleIntercept"),
        "philips_slope": None,
        "type": [w.upper() for w in words(kind, "FrameType") or words(groups.dataset, "ImageType")],
        "witness": _frame_witnesses(groups, content, pointers, place),
    }


def _frame_witnesses(
    groups: _Groups, content: Any, pointers: Sequence[str], place: int
) -> dict[str, float]:
    indices = numbers(content, "DimensionIndexValues") or []
    temporal = [
        value
        for value, pointer in zip(indices, pointers, strict=False)
        if pointer in _TEMPORAL_POINTERS
    ]
    offset = number(groups.get("TemporalPositionSequence"), "TemporalPositionTimeOffset")
    found: dict[str, float | None] = {
        "TemporalPositionIndex": number(content, "TemporalPositionIndex"),
        "DimensionIndexValues": temporal[0] if temporal else None,
        "TemporalPositionTimeOffset": offset,
        "FrameAcquisitionDateTime": moment_s(str(content.get("FrameAcquisitionDateTime") or "")),
        "FrameReferenceDateTime": moment_s(str(content.get("FrameReferenceDateTime") or "")),
        "FrameAcquisitionNumber": number(content, "FrameAcquisitionNumber"),
        "frame number": float(place),
    }
    return {name: value for name, value in found.items() if value is not None}


def _private_number(dataset: Any, group: int, element: int, creator: int) -> float | None:
    """Return a private number, however its value representation was lost on the way."""
    if creator not in dataset:
        return None
    found = dataset.get((group, 0x1000 | element))
    value = None if found is None else found.value
    if isinstance(value, bytes):
        text = value.strip(b"\0 ")
        if re.fullmatch(rb"[-+0-9.eE]{1,16}", text):
            value = text.decode()
        elif len(value) == 4:
            value = struct.unpack("<f", value)[0]
    try:
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None


def _slice_normal(dataset: Any) -> list[float] | None:
    """Return SliceNormalVector of Siemens' CSA header, which a mosaic cannot do without."""
    found = dataset.get(_CSA)
    content = found.value if found is not None else b""
    at = content.find(b"SliceNormalVector\0") if isinstance(content, bytes) else -1
    if at < 0:
        return None
    place, values = at + 84, []
    count = struct.unpack("<i", content[at + 76 : at + 80])[0]
    for _ in range(min(max(count, 0), 6)):
        length = struct.unpack("<i", content[place + 4 : place + 8])[0]
        if not 0 <= length < 100:
            return None
        text = content[place + 16 : place + 16 + length].strip(b"\0 ")
        if text:
            values.append(float(text))
        place += 16 + (length + 3) // 4 * 4
    return values if len(values) == 3 else None


def _removed(dataset: Any) -> list[str]:
    """Return the names of the tags whose content goes no further."""
    from pydicom.datadict import dictionary_VR, keyword_for_tag

    names = []
    for tag in dataset.keys():  # noqa: SIM118 - values stay unparsed
        if tag.is_private:
            names.append(f"private ({tag.group:04X},{tag.element:04X})")
            continue
        keyword = keyword_for_tag(tag)
        if not keyword:
            names.append(f"({tag.group:04X},{tag.element:04X})")
        elif keyword not in _KEPT and (
            tag.group in (0x0010, 0x4008) or tag.group >> 8 == 0x60
            or dictionary_VR(tag) in _TEXT_KINDS
        ):  # fmt: skip
            names.append(keyword)
    return names

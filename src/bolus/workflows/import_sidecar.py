"""The sidecar of an imported image: a fixed list of keys, each a number or a coded term."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from bolus import io
from bolus.core import Acquisition
from bolus.io.dicom_frames import DicomFrame
from bolus.io.dicom_series import DicomSeries
from bolus.io.dicom_volume import DicomVolume

_MAKERS: Mapping[str, str] = MappingProxyType(
    {
        "siemens": "Siemens", "ge ": "GE", "ge_": "GE", "general electric": "GE",
        "philips": "Philips", "canon": "Canon", "toshiba": "Canon", "hitachi": "Hitachi",
        "fujifilm": "Fujifilm", "bruker": "Bruker", "united imaging": "UIH", "uih": "UIH",
    }
)  # fmt: skip
_TERMS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sequence": frozenset({"SE", "IR", "GR", "EP", "RM"}),
        "variant": frozenset({"SK", "MTC", "SS", "TRSS", "SP", "MP", "OSP", "TOF", "NONE"}),
    }
)
"""Terms that DICOM defines; anything else in these tags is somebody's text and stays behind."""


def sidecar_of(
    series: DicomSeries,
    frames: Sequence[DicomFrame],
    volume: DicomVolume,
    acquisition: Acquisition,
) -> dict[str, object]:
    """Return the sidecar of one image, in BIDS names and units.

    Args:
        series: it belongs to.
        frames: of the image.
        volume: as it was read.
        acquisition: settings of header and user together.
    """
    times, dynamic = volume.times, volume.times is not None
    step = times.step_s if times is not None else None
    values = io.sidecar_values(acquisition, frame_step_s=step)
    if step is None and (dynamic or series.kind == "vfa") and "RepetitionTime" in values:
        _rename(values, "RepetitionTime", "RepetitionTimeExcitation")
    if times is not None and step is None:
        values["VolumeTiming"] = [float(t) for t in times.seconds]
    if times is not None and times.slice_times_s is not None and series.kind == "dsc":
        values["SliceTiming"] = [float(t) for t in times.slice_times_s]
    return {**values, **_coded(series, frames)}


def _rename(values: dict[str, object], old: str, new: str) -> None:
    values[new] = values.pop(old)
    sources = values.get("ValueSources")
    if isinstance(sources, dict) and old in sources:
        sources[new] = sources.pop(old)


def _coded(series: DicomSeries, frames: Sequence[DicomFrame]) -> dict[str, object]:
    about, facts = series.files[0].about, frames[0].facts
    maker = about["maker"].lower() + " "
    found: dict[str, object] = {
        "Modality": "MR",
        "Manufacturer": next((name for start, name in _MAKERS.items() if start in maker), None),
        "ScanningSequence": _listed(about["sequence"], "sequence"),
        "SequenceVariant": _listed(about["variant"], "variant"),
        "MRAcquisitionType": about["dimensions"] if about["dimensions"] in ("2D", "3D") else None,
        "SliceThickness": facts["thickness"],
        "SpacingBetweenSlices": facts["gap"],
        "InversionTime": None if not facts["inversion_ms"] else facts["inversion_ms"] / 1000,
    }
    if series.kind in ("dsc", "dce"):
        found["PerfTechnique"] = series.kind.upper()
    if series.kind == "vfa":
        found["PulseSequenceType"] = "SPGR"
    if series.kind == "T1ce":
        found["ContrastBolusIngredient"] = "GADOLINIUM"
    return {key: _plain(value) for key, value in found.items() if value is not None}


def _listed(words: Sequence[str], kind: str) -> str | None:
    known = [word for word in words if word in _TERMS[kind]]
    return "\\".join(known) or None


def _plain(value: object) -> object:
    return float(np.round(value, 6)) if isinstance(value, float) else value

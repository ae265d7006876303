"""The numbers of all regions as a DICOM structured report of template TID 1500."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bolus import RESEARCH_USE
from bolus._version import VERSION
from bolus.core import QUANTITIES
from bolus.io.dicom_out_codes import (
    STATISTICS,
    family_code,
    own_code,
    quantity_code,
    region_codes,
    statistic_code,
    unit_code,
)
from bolus.io.dicom_out_map import series_of
from bolus.io.dicom_out_seg import segments_of
from bolus.io.dicom_out_study import MAKER, MODEL, Study, digest_of, finish, require_dicom_tools

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionNumbers:
    """One quantity in one region: `statistics` by their names in the region table."""

    region: str
    key: str
    voxels: int
    volume_ml: float
    statistics: Mapping[str, float]


def measurement_report(
    rows: Sequence[RegionNumbers],
    study: Study,
    *,
    number: int,
    segmentations: Sequence["Dataset"],
    maps: Sequence["Dataset"],
    method: str,
) -> "Dataset":
    """Return the region table as a structured report; numbers without an answer are left out.

    A region that a segmentation holds refers to its segment; mean, standard error, interval,
    median and percentiles are measurements of their own, told apart by their derivation.

    Args:
        rows: of the table; quantities in the units of the registry.
        study: whose it is.
        number: of its series.
        segmentations: that the regions may be found in.
        maps: the Parametric Maps that the numbers were taken from; at least one.
        method: how the maps were made, in a word.

    Raises:
        ResourceError: highdicom is not installed.
    """
    require_dicom_tools("highdicom")
    from highdicom.sr import CodedConcept, ComprehensiveSR, MeasurementReport

    places = {
        name: (item, place) for item in segmentations for name, place in segments_of(item).items()
    }
    digest = digest_of(np.zeros(0), *(repr(row) for row in rows), method)
    source = study.series_uid or str(maps[0].SeriesInstanceUID)
    groups = [
        _group(region, [r for r in rows if r.region == region], study, places=places,
               method=method, source=source, digest=digest)
        for region in dict.fromkeys(row.region for row in rows)
    ]  # fmt: skip
    report = MeasurementReport(
        observation_context=_context(study),
        procedure_reported=CodedConcept("371863001", "SCT", "Perfusion"),
        imaging_measurements=groups,
    )
    report[0].ContentSequence.append(_comment())
    series = series_of(study, number, "bolus region numbers", digest)
    made = ComprehensiveSR(
        evidence=[*segmentations, *maps],
        content=report[0],
        series_instance_uid=series.uid,
        series_number=number,
        sop_instance_uid=study.uid("report", digest),
        instance_number=1,
        manufacturer=MAKER,
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    made.ManufacturerModelName = MODEL
    return finish(made, study, series, comment=False)


def _group(
    region: str,
    rows: Sequence[RegionNumbers],
    study: Study,
    *,
    places: Mapping[str, tuple["Dataset", int]],
    method: str,
    source: str,
    digest: str,
) -> Any:
    from highdicom.sr import (
        AlgorithmIdentification,
        MeasurementsAndQualitativeEvaluations,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    category, kind = region_codes(region)
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=study.uid("region", digest, region), identifier=region[:64]
        ),
        "finding_type": kind,
        "finding_category": category,
        "algorithm_id": AlgorithmIdentification(
            name="bolus", version=VERSION, parameters=[f"method: {method}"], family=family_code()
        ),
        "measurements": [item for row in rows for item in _measurements(row)],
    }
    place = places.get(_SAME_PLACE.get(region, region))
    if place is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    segment = ReferencedSegment(
        sop_class_uid=place[0].SOPClassUID,
        sop_instance_uid=place[0].SOPInstanceUID,
        segment_number=place[1],
        source_series=SourceSeriesForSegmentation(source),
    )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **shared)


_SAME_PLACE = {"normal-appearing white matter": "whitematter"}
"""Regions of the table that a mask has under another name."""


def _measurements(row: RegionNumbers) -> list[Any]:
    from highdicom.sr import Measurement

    quantity = QUANTITIES[row.key]
    made = [
        Measurement(
            name=quantity_code(quantity),
            value=float(row.statistics[name]),
            unit=unit_code(quantity.unit),
            derivation=statistic_code(name),
            method=own_code(quantity),
        )
        for name in STATISTICS
        if np.isfinite(row.statistics.get(name, np.nan))
    ]
    if made and np.isfinite(row.volume_ml):
        from highdicom.sr import CodedConcept

        made.append(
            Measurement(
                name=CodedConcept("118565006", "SCT", "Volume"),
                value=float(row.volume_ml),
                unit=unit_code("mL"),
                method=own_code(quantity),
            )
        )
    return made


def _context(study: Study) -> Any:
    from highdicom.sr import (
        CodedConcept,
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )

    device = DeviceObserverIdentifyingAttributes(
        uid=study.uid("device"), name="bolus", manufacturer_name=MAKER, model_name=MODEL,
        serial_number=VERSION,
    )  # fmt: skip
    observer = ObserverContext(
        observer_type=CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=device,
    )
    return ObservationContext(observer_device_context=observer)


def _comment() -> Any:
    from highdicom.sr import CodedConcept, RelationshipTypeValues, TextContentItem

    return TextContentItem(
        name=CodedConcept("121106", "DCM", "Comment"),
        value=RESEARCH_USE,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )

"""A parameter map as a DICOM Parametric Map: float32, its unit and its meaning as codes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import Grid, Quantity
from bolus.core.arrays import Volume
from bolus.io.dicom_out_codes import own_code, quantity_code, unit_code
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_study import (
    Series,
    Study,
    digest_of,
    equipment,
    finish,
    refer,
    require_dicom_tools,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapImage:
    """Numbers of one quantity on a grid, as read from a map's file."""

    values: Volume
    grid: Grid
    quantity: Quantity
    method: str = ""


def parametric_map(
    image: MapImage, study: Study, *, number: int, window: tuple[float, float]
) -> "Dataset":
    """Return a map as a DICOM Parametric Map.

    Every number keeps its bits; NaN (no answer) stays NaN. Stored values are the real ones: the
    real-world value mapping has slope 1 and carries unit and quantity.

    Args:
        image: (x, y, z), in the unit of the registry.
        study: whose it is.
        number: of its series.
        window: lowest and highest value that a viewer shows at first.

    Raises:
        GeometryError: the grid is sheared.
        ResourceError: highdicom is not installed.
    """
    require_dicom_tools("highdicom")
    from highdicom import VOILUTFunctionValues, VOILUTTransformation
    from highdicom.pm import ParametricMap, RealWorldValueMapping

    frames = Frames.of(image.grid)
    pixels = frames.arrange(image.values.astype(np.float32, copy=False))
    quantity = image.quantity
    finite = pixels[np.isfinite(pixels)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    mapping = RealWorldValueMapping(
        lut_label=quantity.key,
        lut_explanation=quantity.name[:64],
        unit=unit_code(quantity.unit),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=quantity_code(quantity),
    )
    if quantity.dicom:
        _name_method(mapping, quantity)
    digest = digest_of(pixels, quantity.key, image.method, repr(image.grid.affine.tolist()))
    series = series_of(study, number, f"bolus {quantity.symbol} [{quantity.unit}]", digest)
    made = ParametricMap(
        source_images=frames.sources(pixels.shape[1], pixels.shape[2], study),
        pixel_array=pixels,
        series_instance_uid=series.uid,
        series_number=number,
        sop_instance_uid=study.uid("map", digest),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[
            VOILUTTransformation(
                window_center=(window[0] + window[1]) / 2,
                window_width=max(window[1] - window[0], 1e-6),
                voi_lut_function=VOILUTFunctionValues.LINEAR_EXACT,
            )
        ],
        content_label=content_label(quantity.key),
        content_description=quantity.name[:64],
        **frames.described(),
        **equipment(),
    )
    made.DerivationDescription = f"{quantity.name}; method: {image.method or 'not stated'}"
    dataset = finish(made, study, series)
    refer(dataset, study)
    return dataset


def series_of(study: Study, number: int, what: str, digest: str) -> Series:
    """Return a series of one object; its name in a list says that it is for research."""
    return Series(
        number=number,
        description=f"{_ascii(what)[:46]} (RESEARCH USE)",
        uid=study.uid("series", str(number), digest),
    )


def content_label(name: str) -> str:
    """Return a name as DICOM's code strings are: capitals, digits, underscores; at most 16."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name.upper())[:16]


def _name_method(mapping: "Dataset", quantity: Quantity) -> None:
    """Tell apart quantities that share a DICOM concept, such as the three relative volumes."""
    from highdicom.sr import CodeContentItem, CodedConcept

    mapping.QuantityDefinitionSequence.append(
        CodeContentItem(
            name=CodedConcept("370129005", "SCT", "Measurement Method"), value=own_code(quantity)
        )
    )


def _ascii(text: str) -> str:
    plain = text.replace("Δ", "d").replace("²", "2")
    return plain.encode("ascii", "ignore").decode()

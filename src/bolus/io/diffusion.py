"""Diffusion images with their b-values, and ADC maps of a scanner in whatever unit they have."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from bolus.core import QUANTITIES, Grid, Mask, ParameterMap, Provenance, Step
from bolus.core.arrays import Curve
from bolus.errors import AssumptionWarning, Code, FileError, MetadataError, QuantityError
from bolus.io.access import file_digest, named, read_bytes, stem_of
from bolus.io.nifti import read_image, read_volumes
from bolus.io.sidecar import find_sidecar, parse_object

_LIMIT_BYTES = 1 << 20
_HIGHEST_B = 20_000.0
_TISSUE_MM2_PER_S = (2e-4, 4e-3)
"""Where the median ADC of a head lies, whatever its disease."""
_UNITS: Mapping[str, float] = MappingProxyType(
    {
        "mm2/s": 1.0, "mm^2/s": 1.0, "mm²/s": 1.0,
        "1e-3 mm2/s": 1e-3, "10^-3 mm2/s": 1e-3, "10^-3 mm^2/s": 1e-3, "um2/ms": 1e-3,
        "µm²/ms": 1e-3, "um^2/ms": 1e-3,
        "1e-6 mm2/s": 1e-6, "10^-6 mm2/s": 1e-6, "10^-6 mm^2/s": 1e-6, "um2/s": 1e-6,
        "um^2/s": 1e-6, "µm²/s": 1e-6,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DiffusionImages:
    """Images (x, y, z, n) [a.u.] and the b-value of each [s/mm2]."""

    values: Float[np.ndarray, "x y z n"]
    b_s_per_mm2: Curve
    grid: Grid
    provenance: Provenance


def read_diffusion(path: Path | str) -> DiffusionImages:
    """Read diffusion-weighted images and the `.bval` file beside them.

    Raises:
        FileError: a file is missing or damaged, or they do not fit each other.
        MetadataError: a number cannot be a b-value.
    """
    path = Path(path)
    values, grid, digest = read_volumes(path)
    beside = path.with_name(f"{stem_of(path)}.bval")
    content = read_bytes(beside, limit=_LIMIT_BYTES)
    with named(beside):
        b_values = _b_values(content)
        if len(b_values) != values.shape[3]:
            raise FileError(
                Code.TABLE_INVALID,
                f"has {len(b_values)} b-values for {values.shape[3]} images",
                mend="give the .bval file of this series",
            )
    step = Step("io.read_diffusion", {"highest_b_s_per_mm2": float(b_values.max())})
    inputs = ((path.name, digest), (beside.name, file_digest(beside)))
    return DiffusionImages(
        values=values,
        b_s_per_mm2=b_values,
        grid=grid,
        provenance=Provenance(steps=(step,), inputs=inputs),
    )


def _b_values(content: bytes) -> Curve:
    try:
        found = np.array([float(word) for word in content.decode("ascii").split()])
    except ValueError as failure:  # a number, or its letters
        raise FileError(
            Code.TABLE_INVALID, "holds something else than numbers", mend="write b-values in s/mm2"
        ) from failure
    if not len(found) or not (np.isfinite(found).all() and found.min() >= 0):
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            "holds no b-values, or some below 0",
            mend="write one b-value in s/mm2 for each image",
        )
    if found.max() > _HIGHEST_B:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"has a b-value of {found.max():g}, which looks like s/m2: {found.max() / 1e6:g}",
            mend="write b-values in s/mm2",
        )
    return found


def read_adc(path: Path | str) -> ParameterMap:
    """Read an ADC map; its unit comes from the sidecar, else from the size of its numbers.

    Zeros are voxels without an answer, as scanners write them.

    Returns:
        ADC [mm2/s].

    Raises:
        FileError: missing or damaged.
        QuantityError: a unit that is not known, or numbers that no ADC has in any unit.
    """
    path = Path(path)
    values, grid = read_image(path)
    with named(path):
        inside = np.isfinite(values) & (values != 0)
        mask = Mask(values=inside, grid=grid, name="ADC").require_some()
        stated = _stated_unit(path)
        middle = float(np.median(values[inside]))
        factor = _stated_factor(stated) if stated else _guessed_factor(middle)
        low, high = _TISSUE_MM2_PER_S
        if not low <= middle * factor <= high:
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"has a median of {middle:.4g}{f' {stated}' if stated else ''}, which is "
                f"{middle * factor:.3g} mm2/s; expected {low:g} to {high:g}",
                mend='state "Units" in the JSON file beside it, such as "1e-6 mm2/s"',
            )
        if not stated:
            warnings.warn(
                AssumptionWarning(
                    f"{path.name} states no unit; from its median of {middle:.4g} it is taken to "
                    f"be in {factor:g} mm2/s"
                ),
                stacklevel=2,
            )
        step = Step("io.read_adc", {"unit_mm2_per_s": factor, "stated": bool(stated)})
        return ParameterMap.from_voxels(
            values[inside].astype(np.float64) * factor,
            quantity=QUANTITIES["adc"],
            mask=mask,
            provenance=Provenance(steps=(step,), inputs=((path.name, file_digest(path)),)),
        )


def _stated_unit(path: Path) -> str:
    beside = find_sidecar(path)
    if beside is None:
        return ""
    with named(beside):
        return str(parse_object(read_bytes(beside, limit=_LIMIT_BYTES)).get("Units", "")).strip()


def _stated_factor(unit: str) -> float:
    if unit not in _UNITS:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"is in '{unit[:40]}', which is no known unit of ADC",
            mend='write "Units": "mm2/s", "1e-3 mm2/s" or "1e-6 mm2/s" in its JSON file',
        )
    return _UNITS[unit]


def _guessed_factor(middle: float) -> float:
    low, high = _TISSUE_MM2_PER_S
    fitting = [f for f in (1.0, 1e-3, 1e-6) if low <= middle * f <= high]
    return fitting[0] if fitting else math.nan

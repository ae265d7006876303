"""The published OSIPI DSC curves: reading them, and the gates for flow and volume."""

import csv
import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bolus.errors import Code, FileError
from bolus.io.access import read_bytes
from bolus.quantify import Deconvolver, Osvd, VascularModel
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.workflows.gates_dsc_curves import (
    METHODS,
    CurveObject,
    errors_percent,
    measure_curves,
    ratio_of_areas,
)
from bolus.workflows.gates_request import GOALS, GateRequest

OSIPI_FILE = "dsc_data.csv.gz"

_LIMIT_BYTES = 64 << 20
_OSIPI = "OSIPI curves"
_OSIPI_SOURCE = (
    "curves: OSIPI DCE-DSC-MRI_CodeCollection, Chakwizira et al., MAGMA 2022, "
    f"doi:10.1007/s10334-021-00995-0; limits: {GOALS}"
)


def find_osipi_curves(folder: Path) -> Path:
    """Return the file of the OSIPI DSC curves within a folder of reference data.

    Args:
        folder: the folder that holds `harness/data`, that folder itself, or one with the file.

    Raises:
        FileError: the file is in none of these places.
    """
    for place in (folder / "harness" / "data", folder / "data", folder):
        if (place / OSIPI_FILE).is_file():
            return place / OSIPI_FILE
    raise FileError(
        Code.FILE_MISSING,
        f"holds no {OSIPI_FILE}, neither itself nor in harness/data",
        mend="see docs/how-to/reference_data.md, or leave --reference-data out",
        where=str(folder),
    )


def read_osipi_curves(path: Path) -> CurveObject:
    """Read the OSIPI DSC curves: 14 tissues, exponential residues, SNR 200, no delay.

    Args:
        path: `dsc_data.csv.gz` with columns C_tis, C_aif, cbv, cbf and tr.

    Raises:
        FileError: the file is missing, damaged, or not that table.
    """
    content = unpacked(path)
    try:
        text = content.decode("utf-8-sig")
        rows = [
            {str(key).strip(): value for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(text))
        ]
        curves = CurveObject(
            name=_OSIPI,
            tissue=np.array([np.array(row["C_tis"].split(), float) for row in rows]),
            aif=np.array(rows[0]["C_aif"].split(), float),
            step_s=float(rows[0]["tr"]),
            cbf=np.array([float(row["cbf"]) for row in rows]),
            cbv=np.array([float(row["cbv"]) for row in rows]),
        )
        _require_numbers(curves)
    except (KeyError, IndexError, AttributeError, ValueError, csv.Error) as failure:
        raise FileError(
            Code.TABLE_INVALID,
            f"is not the table of the OSIPI DSC curves ({type(failure).__name__})",
            mend="take the file over as published; see docs/how-to/reference_data.md",
            where=str(path),
        ) from None
    return curves


def _require_numbers(curves: CurveObject) -> None:
    """Raise ValueError unless there is one arterial sample a frame and a truth for each curve."""
    numbers = (curves.tissue, curves.aif, curves.cbf, curves.cbv)
    if curves.tissue.shape[1] != len(curves.aif) or not all(np.isfinite(a).all() for a in numbers):
        raise ValueError
    if min(curves.step_s, curves.cbf.min(), curves.cbv.min()) <= 0:
        raise ValueError


def unpacked(path: Path) -> bytes:
    """Return the content of a small gzip file, which may not unpack to more than a limit."""
    packed = read_bytes(path, limit=_LIMIT_BYTES)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(_LIMIT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as failure:
        raise FileError(
            Code.FILE_DAMAGED,
            f"cannot be unpacked ({type(failure).__name__})",
            mend="copy or download the file again",
            where=str(path),
        ) from None
    if len(content) > _LIMIT_BYTES:
        raise FileError(
            Code.FILE_BOMB,
            f"unpacks to more than {_LIMIT_BYTES >> 20} MiB",
            mend="check that this is the right file",
            where=str(path),
        )
    return content


def osipi_part(request: GateRequest) -> Part:
    """Measure gate 2: flow and volume of the OSIPI curves, where they were given.

    Raises:
        FileError: the reference data were given and are not usable.
    """
    text = (
        "Fourteen tissue curves with exponential residues, CBF 5 to 70 mL/min/100mL, CBV 2 and 4 "
        "mL/100mL, noise 1/200, no delay. The published curves are sums over frames, which adds "
        "half a frame of artery times flow to each: areas are too large by that. The CBV map is "
        "the ratio of areas with every flow method."
    )
    title = "Curves of known flow"
    if request.reference is None:
        return Part(title=title, text=text, gates=_osipi_gates(None))
    curves = read_osipi_curves(find_osipi_curves(request.reference))
    return Part(title=title, text=text, gates=_osipi_gates(curves), tables=(_osipi_table(curves),))


def _osipi_gates(curves: CurveObject | None) -> tuple[Gate, ...]:
    """Return the gates of the default flow method, the default SVD, and the CBV map."""
    flows = {
        _method_name(method): None
        if curves is None
        else _with_lost(measure_curves(curves, method)[0], curves.cbf)
        for method in (VascularModel(), Osvd())
    }
    areas = None if curves is None else _with_lost(ratio_of_areas(curves), curves.cbv)
    return (
        *_limits("CBF", flows, median=10.0, largest=35.0),
        *_limits("CBV", {"ratio of areas": areas}, median=11.0, largest=20.0),
    )


def _limits(
    quantity: str, found: Mapping[str, np.ndarray | None], *, median: float, largest: float
) -> list[Gate]:
    return [
        Gate(
            name=f"{quantity}, {word} error",
            what=f"{word} absolute error of {quantity} over the curves",
            object=_OSIPI,
            method=method,
            value=None if errors is None else float(summary(np.abs(errors))),
            unit="%",
            high=limit,
            source=_OSIPI_SOURCE,
            note="needs --reference-data" if errors is None else "",
        )
        for word, summary, limit in (("median", _middle, median), ("largest", _most, largest))
        for method, errors in found.items()
    ]


def _middle(values: np.ndarray) -> float:
    return float(np.median(values))


def _most(values: np.ndarray) -> float:
    return float(values.max())


def _with_lost(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return errors [%]; a curve without an answer counts as lost altogether."""
    return np.asarray(np.where(np.isfinite(found), 100 * (found / truth - 1), np.inf))


def _method_name(method: Deconvolver | VascularModel) -> str:
    return next(name for name, kind in METHODS.items() if type(kind) is type(method))


def _osipi_table(curves: CurveObject) -> ErrorTable:
    rows = []
    for name, method in METHODS.items():
        cbf, cbv = measure_curves(curves, method)
        rows.append(
            ErrorRow(
                object=curves.name,
                method=name,
                errors=(*_three(cbf, curves.cbf), *_three(cbv, curves.cbv)),
            )
        )
    words = ("median", "median abs.", "largest abs.")
    return ErrorTable(
        title="All methods on the OSIPI curves",
        text="CBV of the SVD methods is the ratio of areas; that of the vascular model is its fit.",
        columns=tuple(f"{quantity} {word}" for quantity in ("CBF", "CBV") for word in words),
        absolute=tuple(f"{quantity} {word}" for quantity in ("CBF", "CBV") for word in words[1:]),
        rows=tuple(rows),
    )


def _three(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    error = errors_percent(found, truth)
    if not error.size:
        return np.nan, np.nan, np.nan
    return float(np.median(error)), float(np.median(np.abs(error))), float(np.abs(error).max())

"""Parameter maps back from the files of an earlier run, with status, error and history."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bolus.core import QUANTITIES, FitStatus, ParameterMap, Provenance, Step
from bolus.errors import Code, FileError
from bolus.io.access import file_digest, named, read_bytes, stem_of
from bolus.io.nifti import read_image
from bolus.io.sidecar import parse_object

_LIMIT_BYTES = 1 << 22


def read_map(path: Path | str) -> ParameterMap:
    """Read a map that `write_map` wrote: values, why some are absent, errors, and its history.

    Args:
        path: `..._<key>.nii.gz`; its JSON file lies beside it, `..._<key>std` and
            `..._<key>status` where they were written.

    Raises:
        FileError: missing, damaged, or not a map of bolus.
        GeometryError: the files do not lie on one grid.
    """
    path = Path(path)
    stem = stem_of(path)
    beside = path.with_name(f"{stem}.json")
    block = _block(beside)
    key = str(block.get("Quantity", ""))
    with named(path):
        if key not in QUANTITIES:
            raise FileError(
                Code.QUANTITY_WRONG,
                "its JSON file names no quantity of bolus",
                mend="name a map that bolus has written",
            )
        values, grid = read_image(path)
        finite = np.isfinite(values)
        status = np.where(finite, FitStatus.OK, FitStatus.OUTSIDE_MASK).astype(np.uint8)
        std = None
        if (codes := _sibling(path, "status")) is not None:
            read, own = read_image(codes)
            grid.require_match(own, what="its status")
            status = np.where(finite | (read != FitStatus.OK), read, FitStatus.NOT_FINITE)
        if (errors := _sibling(path, "std")) is not None:
            std, own = read_image(errors)
            grid.require_match(own, what="its standard error")
        return ParameterMap(
            quantity=QUANTITIES[key],
            values=np.where(status == FitStatus.OK, values, np.nan),
            status=status.astype(np.uint8),
            grid=grid,
            provenance=Provenance(
                steps=steps_of(block.get("Steps")), inputs=((path.name, file_digest(path)),)
            ),
            std=std,
        )


def _sibling(path: Path, ending: str) -> Path | None:
    stem = stem_of(path)
    found = path.with_name(f"{stem}{ending}{path.name.removeprefix(stem)}")
    return found if found.is_file() else None


def _block(path: Path) -> Mapping[str, object]:
    with named(path):
        found = parse_object(read_bytes(path, limit=_LIMIT_BYTES)).get("Bolus")
        if not isinstance(found, dict):
            raise FileError(
                Code.SIDECAR_INVALID,
                'has no "Bolus" block',
                mend="name a map that bolus has written",
            )
        return found


def steps_of(listed: object) -> tuple[Step, ...]:
    """Return a history from the "Steps" of a JSON file; what is not plain is kept as text.

    Args:
        listed: what the file has; anything but a list of objects gives nothing.

    Example:
        >>> from bolus.io.maps import steps_of
        >>> steps_of([{"function": "f", "arguments": {"a": 1}, "source": ""}])[0].function
        'f'
    """
    steps = []
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict) and isinstance(arguments := item.get("arguments"), dict):
            plain = {
                str(name): value
                if isinstance(value, str | int | float | bool | None)
                else json.dumps(value)
                for name, value in arguments.items()
            }
            steps.append(
                Step(str(item.get("function", "")), plain, source=str(item.get("source", "")))
            )
    return tuple(steps)

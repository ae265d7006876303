"""Write a raw BIDS dataset from core types, as the demo and the cohort simulator need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bolus._version import VERSION
from bolus.core import Grid, LabelMap, PerfusionSeries, SessionKey
from bolus.core.arrays import Volume
from bolus.io.derivatives import (
    BIDS_VERSION,
    OutputNames,
    derivative_files,
    json_text,
    write_labels,
    write_series,
)
from bolus.io.manifest import Manifest
from bolus.io.nifti import write_volume
from bolus.io.sidecar import sidecar_values
from bolus.io.store import OutputFolder
from bolus.io.tables import table_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSession:
    """What a scanner would give of one session, and the tumour that a reader would draw."""

    key: SessionKey
    signal: PerfusionSeries
    second_echo: PerfusionSeries | None = None
    anatomy: Volume | None = None
    anatomy_grid: Grid | None = None
    tumour: LabelMap | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawImage:
    """One image as a scanner stores it, and what its sidecar says.

    `folder` is BIDS's ("anat", "perf", "dwi"), `ending` what follows subject and session in the
    name, such as "ce-gadolinium_T1w". `values` are (x, y, z) or (x, y, z, t); whole numbers that
    16 bits can hold are stored as such, everything else as float32.
    """

    folder: str
    ending: str
    values: np.ndarray
    grid: Grid
    sidecar: Mapping[str, object]
    frame_step_s: float | None = None


def write_raw_image(
    output: OutputFolder, key: SessionKey, image: RawImage, *, under: str = ""
) -> str:
    """Write an image and its sidecar; return the name of the image in the open folder.

    Args:
        output: the open folder.
        key: of the session.
        image: what to write.
        under: folder of the session in the open one; "" where that is the session's own.
    """
    stem = f"{under}/" * bool(under) + f"{image.folder}/{key.prefix}_{image.ending}"
    name = f"{stem}.nii.gz"
    write_volume(
        output.path(name), _compact(image.values), image.grid, frame_step_s=image.frame_step_s
    )
    output.write(f"{stem}.json", json_text(image.sidecar))
    return name


def raw_manifest(
    key: SessionKey, images: Iterable[tuple[str, str]], *, under: str = ""
) -> Manifest:
    """Return the files of raw images in the folder of their session.

    Args:
        key: of the session.
        images: folder and ending of each.
        under: folder of the session in the open one; "" where that is the session's own.

    Example:
        >>> sorted(raw_manifest(SessionKey("01", "pre"), [("perf", "dsc")]).must)
        ['perf/sub-01_ses-pre_dsc.json', 'perf/sub-01_ses-pre_dsc.nii.gz']
    """
    return Manifest(
        must={
            f"{under}/" * bool(under) + f"{folder}/{key.prefix}_{ending}{suffix}"
            for folder, ending in images
            for suffix in (".nii.gz", ".json")
        }
    )


def raw_dataset_files(*, name: str, description: str, source: str) -> dict[str, str]:
    """Return the files that make a folder a raw dataset: name -> text.

    Args:
        name: of the dataset.
        description: the text of its README, in Markdown.
        source: URL or DOI of the anatomy it was made from.
    """
    return {
        "dataset_description.json": json_text(_described(name, source)),
        "README.md": f"# {name}\n\n{description}",
        ".bidsignore": _IGNORED_RAW,
    }


def _compact(values: np.ndarray) -> np.ndarray:
    """Return whole numbers as 16-bit integers, which pack into less than a third."""
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return values
    bounds = np.iinfo(np.int16)
    whole = np.rint(values)
    fits = whole.min() >= bounds.min and whole.max() <= bounds.max
    return whole.astype(np.int16) if fits and np.array_equal(whole, values) else values


def write_dataset(
    output: OutputFolder,
    sessions: tuple[RawSession, ...],
    *,
    name: str,
    description: str,
    source: str,
) -> tuple[Path, ...]:
    """Write sessions as a raw BIDS dataset, tumours as the derivatives dataset `segmentation`.

    Args:
        output: the open folder; its root becomes the dataset.
        sessions: what to write.
        name: of the dataset.
        description: the text of its README.
        source: URL or DOI of the anatomy it was made from.

    Returns:
        The paths of the first-echo series, where they will be once `output` is closed.
    """
    files = raw_dataset_files(name=name, description=f"{description}\n\n{_README}", source=source)
    for file, text in files.items():
        output.write(file, text)
    subjects = sorted({s.key.subject for s in sessions})
    output.write(
        "participants.tsv", table_text(["participant_id"], [[f"sub-{s}"] for s in subjects])
    )
    if any(s.tumour is not None for s in sessions):
        derived = derivative_files(name=f"{name}: tumour segmentation", source="../../")
        for file, text in derived.items():
            output.write(f"derivatives/segmentation/{file}", text)
    return tuple(_write_session(output, session) for session in sessions)


_README = """\
Each session has its DSC series in `perf` (BIDS has no place for DSC yet, so `.bidsignore` names it)
with the settings of the scan in the JSON file beside it, and a T1-weighted image in `anat` where
there is one. Tumour labels are the derivatives dataset `derivatives/segmentation`.
"""

_IGNORED_RAW = """\
# BIDS has no place for DSC and DCE yet
**/perf/*_dsc.*
**/perf/*_dce.*
# of a simulated cohort
outcomes.*
scanners.*
receipt.json
**/receipt.json
.bolus-*
**/.bolus-*
"""


def _described(name: str, source: str) -> dict[str, object]:
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "raw",
        "License": "CC0",
        "Authors": ["The bolus developers", "The bolus simulator"],
        "HEDVersion": "8.3.0",
        "SourceDatasets": [{"URL": source}],
        "GeneratedBy": [{"Name": "bolus", "Version": VERSION}],
    }


def _write_session(output: OutputFolder, session: RawSession) -> Path:
    start = f"{session.key.folder}/perf/{session.key.prefix}"
    if session.second_echo is None:
        stem = f"{start}_dsc"
    else:
        stem = f"{start}_echo-1_dsc"
        write_series(output, f"{start}_echo-2_dsc", session.second_echo)
    write_series(output, stem, session.signal)
    if session.anatomy is not None and session.anatomy_grid is not None:
        anatomy = f"{session.key.folder}/anat/{session.key.prefix}_T1w"
        write_volume(output.path(f"{anatomy}.nii.gz"), session.anatomy, session.anatomy_grid)
        output.write(f"{anatomy}.json", json_text(_anatomy_values(session.signal)))
    if session.tumour is not None:
        names = OutputNames(
            key=session.key, space="dsc", folder=f"derivatives/segmentation/{session.key.folder}"
        )
        write_labels(
            output, names.segmentation("tumour"), session.tumour, sources=[f"bids::{stem}.nii.gz"]
        )
    return output.target / f"{stem}.nii.gz"


def _anatomy_values(series: PerfusionSeries) -> dict[str, object]:
    field = sidecar_values(series.acquisition).get("MagneticFieldStrength")
    stated = {} if field is None else {"MagneticFieldStrength": field}
    return {**no_scanner_values(), **_NOMINAL, **stated}


def no_scanner_values() -> dict[str, object]:
    """Return what BIDS recommends to tell of a scanner, for one that was never there.

    Example:
        >>> from bolus.io.dataset import no_scanner_values
        >>> no_scanner_values()["StationName"]
        'simulated'
    """
    return dict.fromkeys(_NO_SCANNER, "simulated")


_NO_SCANNER = (
    "Manufacturer", "ManufacturersModelName", "DeviceSerialNumber", "StationName",
    "SoftwareVersions", "ReceiveCoilName", "ReceiveCoilActiveElements", "MatrixCoilMode",
    "CoilCombinationMethod", "PulseSequenceType", "SequenceName", "InstitutionName",
    "InstitutionAddress", "InstitutionalDepartmentName",
)  # fmt: skip
"""What BIDS recommends to tell of a scanner that was never there."""

_NOMINAL: Mapping[str, object] = MappingProxyType(
    {
        "ScanningSequence": "GR",
        "SequenceVariant": "MP",
        "MRAcquisitionType": "3D",
        "NonlinearGradientCorrection": False,
        "EchoTime": 0.003,
        "FlipAngle": 9,
        "DwellTime": 5e-6,
        "PulseSequenceDetails": "not scanned: template anatomy with the contrast of an MPRAGE; "
        "echo time, flip angle and dwell time are nominal",
    }
)

"""Write a raw BIDS dataset from core types, as the demo and the cohort simulator need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bolus._version import VERSION
from bolus.core import Grid, LabelMap, PerfusionSeries, SessionKey
from bolus.core.arrays import Volume
from bolus.io.derivatives import (
    BIDS_VERSION,
    OutputNames,
    derivative_files,
    json_text,
    write_labels,
)
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
    output.write("dataset_description.json", json_text(_described(name, source)))
    output.write("README.md", f"# {name}\n\n{description}\n\n{_README}")
    output.write(".bidsignore", _IGNORED_RAW)
    subjects = sorted({s.key.subject for s in sessions})
    output.write(
        "participants.tsv", table_text(["participant_id"], [[f"sub-{s}"] for s in subjects])
    )
    if any(s.tumour is not None for s in sessions):
        files = derivative_files(name=f"{name}: tumour segmentation", source="../../")
        for file, text in files.items():
            output.write(f"derivatives/segmentation/{file}", text)
    return tuple(_write_session(output, session) for session in sessions)


_README = """\
Each session has its DSC series in `perf` (BIDS has no place for DSC yet, so `.bidsignore` names it)
with the settings of the scan in the JSON file beside it, and a T1-weighted image in `anat` where
there is one. Tumour labels are the derivatives dataset `derivatives/segmentation`.
"""

_IGNORED_RAW = """\
# BIDS has no place for DSC yet
**/perf/*_dsc.*
receipt.json
.bolus-*
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
        _write_series(output, f"{start}_echo-2_dsc", session.second_echo)
    _write_series(output, stem, session.signal)
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


def _write_series(output: OutputFolder, stem: str, series: PerfusionSeries) -> None:
    step = series.time.uniform_step_s() if series.time.is_uniform else None
    write_volume(
        output.path(f"{stem}.nii.gz"), series.values, series.grid, frame_step_s=step, key="signal"
    )
    values = sidecar_values(series.acquisition, frame_step_s=step)
    if step is None:
        values["VolumeTiming"] = series.time.seconds.tolist()
    output.write(f"{stem}.json", json_text(values))


def _anatomy_values(series: PerfusionSeries) -> dict[str, object]:
    field = sidecar_values(series.acquisition).get("MagneticFieldStrength")
    stated = {} if field is None else {"MagneticFieldStrength": field}
    return {**dict.fromkeys(_NO_SCANNER, "simulated"), **_NOMINAL, **stated}


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

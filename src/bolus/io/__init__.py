"""Files to core types and back: guarded reading, atomic writing, receipts."""

from bolus.io.access import available_memory_bytes, file_digest, require_memory
from bolus.io.bids import SessionFiles, find_sessions, second_echo_of, session_key
from bolus.io.dataset import RawSession, write_dataset
from bolus.io.derivatives import (
    OutputNames,
    derivative_files,
    json_text,
    map_manifest,
    write_labels,
    write_map,
    write_mask,
    write_probability,
    write_series,
)
from bolus.io.dicom_series import read_dicom_series
from bolus.io.manifest import Manifest
from bolus.io.maps import read_map
from bolus.io.names import safe_join
from bolus.io.nifti import (
    read_image,
    read_labels,
    read_mask,
    read_series,
    series_bytes,
    write_volume,
)
from bolus.io.receipt import Difference, Receipt, is_complete, read_receipt, verify
from bolus.io.sidecar import Sidecar, find_sidecar, read_sidecar, sidecar_values
from bolus.io.store import OutputFolder, open_output, write_atomically
from bolus.io.tables import read_curve_tsv, table_text, write_curve_tsv, write_table

__all__ = [
    "Difference",
    "Manifest",
    "OutputFolder",
    "OutputNames",
    "RawSession",
    "Receipt",
    "SessionFiles",
    "Sidecar",
    "available_memory_bytes",
    "derivative_files",
    "file_digest",
    "find_sessions",
    "find_sidecar",
    "is_complete",
    "json_text",
    "map_manifest",
    "open_output",
    "read_curve_tsv",
    "read_dicom_series",
    "read_image",
    "read_labels",
    "read_map",
    "read_mask",
    "read_receipt",
    "read_series",
    "read_sidecar",
    "require_memory",
    "safe_join",
    "second_echo_of",
    "series_bytes",
    "session_key",
    "sidecar_values",
    "table_text",
    "verify",
    "write_atomically",
    "write_curve_tsv",
    "write_dataset",
    "write_labels",
    "write_map",
    "write_mask",
    "write_probability",
    "write_series",
    "write_table",
    "write_volume",
]

"""Core types to files of a BIDS derivatives dataset: names, maps with their JSON, descriptions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus._version import VERSION
from bolus.core import (
    FitStatus,
    Grid,
    LabelMap,
    Mask,
    ParameterMap,
    PerfusionSeries,
    SessionKey,
)
from bolus.errors import Code, FileError
from bolus.io.manifest import Manifest
from bolus.io.nifti import write_volume
from bolus.io.sidecar import sidecar_values
from bolus.io.store import OutputFolder
from bolus.io.tables import Cell, table_text

BIDS_VERSION = "1.10.0"
JSON = Mapping[str, object]
_READING = "io.read_series"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputNames:
    """Names of one session's files, relative to the folder they are written to.

    `folder` is "" where the output folder is the session's own.

    Example:
        >>> from bolus.io import OutputNames
        >>> names = OutputNames(key=SessionKey("01", "pre"), space="dsc", folder="sub-01/ses-pre")
        >>> names.map("ncbv", method="bidirectional")
        'sub-01/ses-pre/perf/sub-01_ses-pre_space-dsc_desc-bidirectional_ncbv'
    """

    key: SessionKey
    space: str = "dsc"
    folder: str = ""

    def map(self, quantity: str, *, method: str) -> str:
        """Return the stem of a parameter map."""
        return self._join("perf", f"space-{_label(self.space)}_desc-{_label(method)}_{quantity}")

    def mask(self, label: str) -> str:
        """Return the stem of a mask."""
        return self._join("anat", f"space-{_label(self.space)}_label-{_label(label)}_mask")

    def segmentation(self, name: str) -> str:
        """Return the stem of a label map."""
        return self._join("anat", f"space-{_label(self.space)}_seg-{_label(name)}_dseg")

    def probability(self, label: str) -> str:
        """Return the stem of a map of how likely a voxel belongs to a label."""
        return self._join("anat", f"space-{_label(self.space)}_label-{_label(label)}_probseg")

    def table(self, name: str, *, description: str = "") -> str:
        """Return the name of a table or curve of the perfusion folder."""
        extra = f"desc-{_label(description)}_" if description else ""
        return self._join("perf", f"{extra}{_label(name)}") + ".tsv"

    def _join(self, kind: str, rest: str) -> str:
        start = f"{self.folder}/" if self.folder else ""
        return f"{start}{kind}/{self.key.prefix}_{rest}"


def write_map(
    output: OutputFolder,
    stem: str,
    item: ParameterMap,
    *,
    sources: Sequence[str],
    algorithm: str,
    reference: str,
    block: JSON | None = None,
) -> str:
    """Write a map, its status, its standard error if it has one, and a JSON file for each.

    The files end in `_<key>`, `_<key>status` and `_<key>std`.

    Args:
        output: the open folder.
        stem: from `OutputNames.map`.
        item: the map.
        sources: BIDS URIs or names of the files it was made from.
        algorithm: EstimationAlgorithm, one sentence.
        reference: EstimationReference, a DOI or citation.
        block: what else to state, under "Bolus".

    Returns:
        The name of the map's file.
    """
    quantity = item.quantity
    common: dict[str, object] = {
        "Sources": list(sources),
        "EstimationAlgorithm": algorithm,
        "EstimationReference": reference,
    }
    own = {
        "Version": VERSION,
        "Quantity": quantity.key,
        "Name": quantity.name,
        "Digest": item.provenance.digest(),
        "Steps": json.loads(item.provenance.to_json())["steps"],
        "StatusCounts": item.counts(),
        **(block or {}),
    }
    coded = {"Units": quantity.unit, "CaplexCode": quantity.caplex}
    name = _write(output, stem, item.values, item, {**coded, **common, "Bolus": own})
    from_map = {**common, "Bolus": {"Version": VERSION, "Quantity": quantity.key}}
    statuses = {**from_map, "Units": "1", "Levels": _levels()}
    _write(output, f"{stem}status", item.status, item, statuses)
    if item.std is not None:
        _write(output, f"{stem}std", item.std, item, {**coded, **from_map})
    return name


def write_series(output: OutputFolder, stem: str, series: PerfusionSeries) -> str:
    """Write a series, and a sidecar that reading makes the same series of; return its name.

    What was done to the series is listed under "Bolus", and is the begin of its history when it is
    read again.

    Args:
        output: the open folder.
        stem: name of the image without its ending.
        series: signal [a.u.].
    """
    step = series.time.uniform_step_s() if series.time.is_uniform else None
    name = f"{stem}.nii.gz"
    write_volume(
        output.path(name), series.values, series.grid, frame_step_s=step, key=series.quantity.key
    )
    values = sidecar_values(series.acquisition, frame_step_s=step)
    if step is None:
        values["VolumeTiming"] = series.time.seconds.tolist()
    steps = json.loads(series.provenance.to_json())["steps"]
    done = [one for one in steps if one["function"] != _READING]  # it will be read again
    if done:
        values["Bolus"] = {"Version": VERSION, "Steps": done}
    output.write(f"{stem}.json", json_text(values))
    return name


def map_manifest(stem: str, *, with_error: bool) -> Manifest:
    """Return the files of a map.

    Args:
        stem: as `write_map` is given it.
        with_error: whether the method gives a standard error.

    Example:
        >>> sorted(map_manifest("a_k1", with_error=False).must)
        ['a_k1.json', 'a_k1.nii.gz', 'a_k1status.json', 'a_k1status.nii.gz']
    """
    parts = ("", "status", "std") if with_error else ("", "status")
    return Manifest(must={f"{stem}{p}{ending}" for p in parts for ending in (".nii.gz", ".json")})


def write_mask(output: OutputFolder, stem: str, mask: Mask, *, sources: Sequence[str]) -> str:
    """Write a mask and its JSON file; return the name of the image.

    Args:
        output: the open folder.
        stem: from `OutputNames.mask`.
        mask: what to write.
        sources: BIDS URIs of the files it was made from; the first is the image it lies on.
    """
    name = f"{stem}.nii.gz"
    write_volume(output.path(name), mask.values, mask.grid, description=f"mask: {mask.name}")
    values = {
        "Description": f"mask: {mask.name}",
        "Type": "Brain" if mask.name == "brain" else "ROI",
        **_origin(sources),
    }
    output.write(f"{stem}.json", json_text(values))
    return name


def write_labels(
    output: OutputFolder, stem: str, labels: LabelMap, *, sources: Sequence[str]
) -> str:
    """Write labels, their names as a table, and their JSON file; return the name of the image.

    Args:
        output: the open folder.
        stem: from `OutputNames.segmentation`.
        labels: what to write.
        sources: BIDS URIs of the files it was made from; the first is the image it lies on.
    """
    name = f"{stem}.nii.gz"
    write_volume(output.path(name), labels.values, labels.grid, description="labels")
    rows: list[list[Cell]] = [[number, labels.names[number]] for number in sorted(labels.names)]
    output.write(f"{stem}.tsv", table_text(["index", "name"], rows))
    listed = ", ".join(labels.names[number] for number in sorted(labels.names))
    values = {"Description": f"labels: {listed}", "Manual": False, **_origin(sources)}
    output.write(f"{stem}.json", json_text(values))
    return name


def write_probability(
    output: OutputFolder,
    stem: str,
    probability: Float[np.ndarray, "x y z"],
    grid: Grid,
    *,
    label: str,
    sources: Sequence[str],
) -> str:
    """Write how likely each voxel belongs to a label, and its JSON file; return the image's name.

    Args:
        output: the open folder.
        stem: from `OutputNames.probability`.
        probability: 0 to 1.
        grid: where it lies.
        label: what of.
        sources: BIDS URIs of the files it was made from; the first is the image it lies on.
    """
    name = f"{stem}.nii.gz"
    write_volume(output.path(name), probability, grid, description=f"probability: {label}")
    values = {"Description": f"probability of {label}", "Manual": False, **_origin(sources)}
    output.write(f"{stem}.json", json_text(values))
    return name


def derivative_files(*, name: str, source: str = "") -> dict[str, str]:
    """Return the files that make a folder a derivatives dataset: name -> text.

    Args:
        name: what the dataset is, for people.
        source: URL, DOI or relative path of the raw dataset; left out if empty.
    """
    description: dict[str, object] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": "the licence of the data it was made from",
        "Authors": ["The bolus developers", "Whoever ran bolus"],
        "GeneratedBy": [{"Name": "bolus", "Version": VERSION}],
    }
    if source:
        description["SourceDatasets"] = [{"URL": source}]
    return {
        "dataset_description.json": json_text(description),
        "README.md": f"# {name}\n\n{_README_DERIVATIVES}",
        ".bidsignore": _IGNORED_DERIVATIVES,
    }


def json_text(values: JSON) -> str:
    """Return JSON as people read it, the same text for the same values; NaN becomes null."""
    return json.dumps(_plain(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_README_DERIVATIVES = """\
Research use only. Not a medical device. Not for diagnosis or treatment decisions.

Made by bolus. Where a session was quantified, each step (`dsc`, `dce`, `codes`) has a folder with
its `report.html`, maps and tables in `perf`, masks and labels in `anat`. `habitats` of a session
has its tumour habitats, that of a subject what became of them; `prediction` what a network says of
it. A `receipt.json` has the SHA-256 of every file and of every input; `bolus verify FOLDER`
compares them. Each map has a JSON file with its unit, method and history.
"""

_IGNORED_DERIVATIVES = """\
# BIDS has no names for perfusion parameter maps yet, nor for one folder a step of a session
**/perf/
**/dsc
**/dce
**/codes
**/habitats
**/prediction
group
group_habitats
failed.tsv
receipt.json
**/receipt.json
*.html
**/*.html
.bolus-*
**/.bolus-*
"""


def _write(
    output: OutputFolder, stem: str, values: np.ndarray, item: ParameterMap, sidecar: JSON
) -> str:
    name = f"{stem}.nii.gz"
    key = item.quantity.key
    text = f"bolus {VERSION} {key} [{item.quantity.unit}]"
    write_volume(output.path(name), values, item.grid, description=text, key=key)
    output.write(f"{stem}.json", json_text(sidecar))
    return name


def _origin(sources: Sequence[str]) -> dict[str, object]:
    """Return what an image was made from, and the first of it as the space it lies in."""
    return {"Sources": list(sources), "SpatialReference": sources[0]}


def _levels() -> dict[str, str]:
    return {str(int(status)): status.name for status in FitStatus}


def _label(text: str) -> str:
    """Return a BIDS label as it is, or refuse it."""
    if not (text.isascii() and text.isalnum()):
        raise FileError(
            Code.NAME_UNSAFE,
            f"{text!r} is not a BIDS label",
            mend="use letters and digits only",
        )
    return text


def _plain(value: object) -> object:
    """Return numpy numbers as Python's, and what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

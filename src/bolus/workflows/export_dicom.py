"""An output folder of bolus as DICOM: maps, segments, region numbers, and pictures."""

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bolus import __version__, io
from bolus.core import QUANTITIES, Grid, LabelMap, Mask
from bolus.errors import Code, FileError
from bolus.io.access import NIFTI_SUFFIXES, read_bytes, stem_of
from bolus.io.dicom_out_capture import captures
from bolus.io.dicom_out_frames import Frames
from bolus.io.dicom_out_map import MapImage, parametric_map
from bolus.io.dicom_out_reference import reference_study
from bolus.io.dicom_out_seg import segmentation
from bolus.io.dicom_out_sr import RegionNumbers, measurement_report
from bolus.io.dicom_out_study import Study, dicom_bytes, require_dicom_tools
from bolus.io.sidecar import parse_object
from bolus.io.tables import read_table
from bolus.workflows.capture_pictures import draw_frames, scale_for
from bolus.workflows.progress import Progress, silent

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CAPTURED = ("ncbv", "cbf", "mtt", "ktrans", "ve", "vp")
"""Maps that become pictures unless others are asked for."""

_FIRST_SERIES = 9001
_SIDECAR_BYTES = 16 << 20
_KINDS = ("perf", "anat")
_PREFIX = re.compile(r"(.+?)_(?:space-|desc-|label-|seg-)")
_MASK = re.compile(r"_label-([A-Za-z0-9]+)_mask$")
_LABELS = re.compile(r"_seg-([A-Za-z0-9]+)_dseg$")
_METHOD = re.compile(r"_desc-([A-Za-z0-9]+)_")
_SPACE = re.compile(r"_space-([A-Za-z0-9]+)_")
_STEPS = ("dsc", "dce")
_GIVEN = frozenset({"tumour"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to export, and where to.

    `reference` is a folder with the DICOM series that the maps were made from; the objects then
    belong to its patient and study. Without it they belong to a nameless patient.
    """

    folder: Path
    output: Path
    reference: Path | None = None
    captured: tuple[str, ...] = CAPTURED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOutcome:
    """How many files of each kind were written; None where a complete export was there."""

    output: Path
    counts: dict[str, int] | None
    patient_data: bool


@dataclass(slots=True, kw_only=True)
class Step:
    """The files of one step of one exam: maps by key, masks and labels by name, the table."""

    prefix: str
    name: str
    maps: dict[str, Path] = field(default_factory=dict)
    masks: dict[str, Path] = field(default_factory=dict)
    labels: dict[str, Path] = field(default_factory=dict)
    table: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Everything that is read."""
        images = (*self.maps.values(), *self.masks.values(), *self.labels.values())
        return (*images, *([self.table] if self.table else []))


def export_dicom(request: ExportRequest, *, progress: Progress = silent) -> ExportOutcome:
    """Write everything in an output folder as DICOM files; equal results are equal bytes.

    Args:
        request: what, and where to.
        progress: told about every step.

    Raises:
        FileError: the folder holds no maps of bolus, or the reference is not theirs.
        GeometryError: a map is sheared, or lies elsewhere than its masks.
        ResourceError: highdicom is not installed, or the disk is full.
    """
    require_dicom_tools("highdicom")
    steps = find_steps(request.folder)
    if request.reference and len({step.prefix for step in steps}) > 1:
        raise FileError(
            Code.DICOM_REFERENCE,
            f"holds {len({s.prefix for s in steps})} sessions, and a reference belongs to one",
            mend="export the folder of one session",
            where=str(request.folder),
        )
    inputs = _digests(request, steps)
    settings = hashlib.sha256(repr(request.captured).encode()).hexdigest()[:16]
    done = {"inputs": inputs, "config_digest": settings, "version": __version__}
    with_patient = request.reference is not None
    if io.is_complete(request.output, **done):  # type: ignore[arg-type]
        return ExportOutcome(output=request.output, counts=None, patient_data=with_patient)
    counts: dict[str, int] = {}
    with io.open_output(request.output, **done) as output:  # type: ignore[arg-type]
        for place, step in enumerate(steps):
            progress("DICOM", place, len(steps))
            output.expect(_manifest(step, request))
            for kind, name, dataset in _objects(step, request):
                output.write(name, dicom_bytes(dataset))
                counts[kind] = counts.get(kind, 0) + 1
        progress("DICOM", len(steps), len(steps))
    return ExportOutcome(output=request.output, counts=counts, patient_data=with_patient)


def find_steps(folder: Path) -> tuple[Step, ...]:
    """Return what bolus wrote anywhere below a folder, by exam and step.

    Raises:
        FileError: no folder, or no map of bolus in it.
    """
    if not folder.is_dir():
        raise FileError(
            Code.FILE_MISSING, "is no folder", mend="name an output folder", where=str(folder)
        )
    found: dict[tuple[str, str], Step] = {}
    for path in sorted(folder.rglob("*")):
        stem = stem_of(path)
        if not path.name.endswith(NIFTI_SUFFIXES) or not (match := _PREFIX.match(stem)):
            continue
        base = path.parent.parent if path.parent.name in _KINDS else path.parent
        place = base.relative_to(folder).as_posix()
        step = found.setdefault(
            (place, match[1]), Step(prefix=match[1], name=_step_name(base, stem))
        )
        _sort_in(step, path, stem)
    for (place, prefix), step in found.items():
        step.table = next(iter(sorted((folder / place).rglob(f"{prefix}_regions.tsv"))), None)
    steps = tuple(step for _key, step in sorted(found.items()) if step.maps)
    if not steps:
        raise FileError(
            Code.DATASET_INVALID,
            "holds no maps of bolus (images with a JSON file that names a quantity)",
            mend="name the output folder of bolus dsc, dce, run or demo",
            where=str(folder),
        )
    return steps


def _step_name(base: Path, stem: str) -> str:
    """Return what tells the steps of one exam apart: its folder, or the space of its files."""
    if base.name in _STEPS:
        return base.name
    space = _SPACE.search(stem)
    return space[1] if space else ""


def _sort_in(step: Step, path: Path, stem: str) -> None:
    if match := _MASK.search(stem):
        step.masks[match[1]] = path
    elif match := _LABELS.search(stem):
        step.labels[match[1]] = path
    else:
        key = stem.rsplit("_", 1)[-1]
        beside = path.with_name(f"{stem}.json")
        if key in QUANTITIES and beside.is_file():
            block = parse_object(read_bytes(beside, limit=_SIDECAR_BYTES)).get("Bolus")
            if isinstance(block, dict) and block.get("Quantity") == key:
                step.maps[key] = path


def _digests(request: ExportRequest, steps: Sequence[Step]) -> dict[str, str]:
    """Return the digests of all inputs; names of source files may name a patient and stay out."""
    root = request.folder
    inputs = {p.relative_to(root).as_posix(): io.file_digest(p) for s in steps for p in s.files}
    if request.reference is not None and request.reference.is_dir():
        every = sorted(io.file_digest(p) for p in request.reference.rglob("*") if p.is_file())
        inputs["reference"] = hashlib.sha256("".join(every).encode()).hexdigest()
    return inputs


def _place(step: Step) -> str:
    return "/".join(_safe(part) for part in (step.prefix, step.name) if part)


def _manifest(step: Step, request: ExportRequest) -> io.Manifest:
    """Return the files of a step: one a map, a region and a table, and some a picture."""
    names = [f"map_{key}.dcm" for key in step.maps]
    names += [f"seg_{_safe(name)}.dcm" for name in (*step.labels, *step.masks)]
    names += ["regions_sr.dcm"] if step.table is not None else []
    names += [f"picture_{key}/*.dcm" for key in request.captured if key in step.maps]
    return io.Manifest(must={f"{_place(step)}/{name}" for name in names})


def _objects(step: Step, request: ExportRequest) -> Iterator[tuple[str, str, "Dataset"]]:
    """Yield kind, name and content of every file of a step."""
    images = {key: _read_map(key, path) for key, path in step.maps.items()}
    grid = next(iter(images.values())).grid
    regions = _regions(step, grid)
    study = _study(step, request, grid)
    place, number = _place(step), _FIRST_SERIES
    maps, segments = [], []
    for key, image in images.items():
        scale = scale_for(image.quantity, image.values)
        made = parametric_map(image, study, number=number, window=(scale.low, scale.high))
        maps.append(made)
        number += 1
        yield "maps", f"{place}/map_{key}.dcm", made
    for name, labels in regions.items():
        made = segmentation(labels, study, number=number, name=name, given=name in _GIVEN)
        segments.append(made)
        number += 1
        yield "segmentations", f"{place}/seg_{_safe(name)}.dcm", made
    if step.table is not None:
        method = next((i.method for i in images.values() if i.method), "not stated")
        made = measurement_report(
            _numbers(step.table), study, number=number, segmentations=segments, maps=maps,
            method=method,
        )  # fmt: skip
        number += 1
        yield "reports", f"{place}/regions_sr.dcm", made
    for key in (k for k in request.captured if k in images):
        for count, shown in enumerate(_pictures(images[key], regions, study, number)):
            yield "pictures", f"{place}/picture_{key}/{count + 1:03d}.dcm", shown
        number += 1


def _pictures(
    image: MapImage, regions: dict[str, LabelMap], study: Study, number: int
) -> list["Dataset"]:
    frames = Frames.of(image.grid)

    def mask(name: str) -> Mask | None:
        return regions[name].foreground if name in regions else None

    drawn = draw_frames(
        image.values, image.quantity, frames, brain=mask("brain"), tumour=mask("tumour")
    )
    symbol = image.quantity.symbol
    return captures(list(drawn), study, number=number, frames=frames, name=symbol)


def _read_map(key: str, path: Path) -> MapImage:
    values, grid = io.read_image(path)
    method = _METHOD.search(path.name)
    return MapImage(
        values=values, grid=grid, quantity=QUANTITIES[key], method=method[1] if method else ""
    )


def _regions(step: Step, grid: Grid) -> dict[str, LabelMap]:
    """Return labels and masks by name; an empty one holds nothing to export."""
    found = {name: io.read_labels(path, grid=grid) for name, path in step.labels.items()}
    for name, path in step.masks.items():
        mask = io.read_mask(path, name=name, grid=grid)
        found[name] = LabelMap(values=mask.values.astype("int16"), grid=grid, names={1: name})
    return found


def _study(step: Step, request: ExportRequest, grid: Grid) -> Study:
    if request.reference is not None:
        return reference_study(request.reference, grid)
    digests = "".join(sorted(io.file_digest(path) for path in step.files))
    return Study.anonymous(hashlib.sha256(digests.encode()).hexdigest(), frame=step.name)


def _numbers(table: Path) -> list[RegionNumbers]:
    columns, rows = read_table(table)
    made = []
    for cells in rows:
        row = dict(zip(columns, cells, strict=True))
        if row.get("quantity") in QUANTITIES:
            names = ("mean", "mean_std", "low95", "high95", "median", "p05", "p95")
            made.append(
                RegionNumbers(
                    region=row["region"],
                    key=row["quantity"],
                    voxels=int(_number(row.get("voxels", "0"))),
                    volume_ml=_number(row.get("volume_ml", "n/a")),
                    statistics={n: _number(row[n]) for n in names if n in row},
                )
            )
    return made


def _number(cell: str) -> float:
    return math.nan if cell == "n/a" else float(cell)


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "exam"

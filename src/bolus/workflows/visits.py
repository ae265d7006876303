"""The visits of a patient: which there are, what each lacks, and everything read of one."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from bolus import io, preprocess, quantify
from bolus.core import Grid, LabelMap, MapSet, Mask, ParameterMap, SessionKey
from bolus.errors import BolusError, Code, ConfigError, FileError
from bolus.habitats import VoxelTable
from bolus.habitats.features import voxel_table
from bolus.io.access import read_bytes
from bolus.io.diffusion import read_adc, read_diffusion
from bolus.io.maps import read_map
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.sidecar import parse_object
from bolus.io.visits import VisitDay, VisitImages, find_visit_images, read_visit_days
from bolus.quantify.regions import REFERENCE_ERROR
from bolus.workflows.notices import collected

_SIDECAR_LIMIT_BYTES = 1 << 20
_STEPS = ("dsc", "dce", "codes")
ADC = "adc"
_PARTS = ("hypervascular", "hypovascular", "nonviable", "radiation")
"""Parts of a simulated tumour that take up agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitFiles:
    """What there is of one visit, and in `missing` what there is not; a name says what.

    `maps` are by feature, without ADC; `brain` is on the grid of the first of them.
    """

    when: VisitDay
    maps: Mapping[str, Path]
    images: VisitImages
    brain: Path | None = None
    series: Path | None = None
    tumour: Path | None = None
    missing: tuple[str, ...] = ()

    @property
    def key(self) -> SessionKey:
        """Subject and session."""
        return self.when.key

    def present(self) -> tuple[Path, ...]:
        """Every file that habitats of this visit rest on, in a fixed order."""
        named = (
            *self.maps.values(),
            self.brain,
            self.images.adc,
            None if self.images.adc else self.images.dwi,
            self.tumour,
        )
        return tuple(path for path in named if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Visit:
    """Everything read of one visit, each on the grid of its own scan.

    `labels` are the parts of the tumour as they were drawn, `lesion` those of them in which
    habitats are looked for. `reference_error` is the relative error of white matter's blood
    volume, 0 where it is not known.
    """

    files: VisitFiles
    maps: Mapping[str, ParameterMap]
    labels: LabelMap
    lesion: Mask
    scanner: str
    reference_error: float
    notices: tuple[str, ...]

    @property
    def key(self) -> SessionKey:
        """Subject and session."""
        return self.files.key

    @property
    def grid(self) -> Grid:
        """The grid of its perfusion maps."""
        return next(item.grid for name, item in self.maps.items() if name != ADC)

    def table(self, features: tuple[str, ...]) -> VoxelTable:
        """Return the voxels of the lesion, on the grid of the perfusion maps."""
        grid = self.grid
        maps = MapSet({key: preprocess.resample_map(self.maps[key], grid) for key in features})
        lesion = preprocess.resample_mask(self.lesion, grid)
        return voxel_table(maps, lesion, key=self.key, features=features, scanner=self.scanner)


def find_patients(
    bids_dir: Path,
    out_dir: Path,
    features: Sequence[str],
    *,
    participants: Iterable[str] = (),
    sessions: Iterable[str] = (),
) -> Mapping[str, tuple[VisitFiles, ...]]:
    """Find the visits of every patient in order of their day; what a visit lacks is said in it.

    Args:
        bids_dir: the dataset.
        out_dir: where `bolus run ... participant` has written.
        features: registry keys of the maps that are needed.
        participants: subject labels to keep, all if empty.
        sessions: session labels to keep, all if empty.

    Raises:
        FileError: the dataset holds no series, or not those asked for; there are no results; a
            table cannot be read.
        ConfigError: no such session.
        MetadataError: days and dates contradict each other.
    """
    wanted = {label.removeprefix("ses-") for label in sessions}
    found = {item.key: item for item in io.find_sessions(bids_dir, subjects=participants)}
    _require_results(bids_dir, out_dir)
    patients: dict[str, tuple[VisitFiles, ...]] = {}
    for subject in sorted({key.subject for key in found}):
        keys = {key for key in (*found, *_other_sessions(bids_dir, subject))
                if key.subject == subject}  # fmt: skip
        visits = tuple(
            _visit_files(bids_dir, out_dir, when, found.get(when.key), features)
            for when in read_visit_days(bids_dir, keys)
            if not wanted or when.key.session in wanted
        )
        if visits:
            patients[subject] = visits
    if not patients:
        raise ConfigError(
            Code.DATASET_INVALID,
            f"no session {', '.join(sorted(wanted))} with a DSC or DCE series",
            mend="check --session-label",
            where=str(bids_dir),
        )
    return MappingProxyType(patients)


def read_visit(
    files: VisitFiles, features: Sequence[str], *, lesion_names: Sequence[str] = ()
) -> Visit:
    """Read one visit.

    Args:
        files: from `find_patients`; nothing is missing.
        features: registry keys of the maps that are needed.
        lesion_names: labels that make the lesion; empty: the enhancing ones.

    Raises:
        FileError: something is missing, damaged, or cannot be used; the message names it.
        GeometryError: the lesion is empty.
    """
    if files.missing:
        raise FileError(
            Code.DATASET_INVALID,
            f"{files.key.prefix} has {'; '.join(files.missing)}",
            mend="add it, or leave the session out",
        )
    notices: list[str] = []
    with collected(notices):
        maps = {key: read_map(path) for key, path in files.maps.items() if key in features}
        if ADC in features:
            maps[ADC] = _read_adc(files)
        assert files.tumour is not None  # it would be missing
        labels = io.read_labels(files.tumour)
        lesion = lesion_of(labels, lesion_names, where=files.tumour)
    return Visit(
        files=files,
        maps=MappingProxyType({key: maps[key] for key in features}),
        labels=labels,
        lesion=lesion,
        scanner=files.when.scanner or scanner_of(files.series),
        reference_error=max(map(_reference_error, maps.values()), default=0.0),
        notices=tuple(notices),
    )


def lesion_of(labels: LabelMap, names: Sequence[str] = (), *, where: Path | None = None) -> Mask:
    """Return the part of a tumour in which habitats are looked for: the enhancing lesion.

    Args:
        labels: the parts of the tumour.
        names: labels to take. Empty: those that are called enhancing; a mask as a whole; of a
            simulated tumour the parts that take up agent.
        where: the file, for the message.

    Raises:
        FileError: no label has that name, or none says that it enhances.
        GeometryError: the lesion is empty.

    Example:
        >>> import numpy as np
        >>> grid = Grid(shape=(3, 1, 1), affine=np.eye(4))
        >>> labels = LabelMap(values=np.array([[[1]], [[2]], [[0]]]), grid=grid,
        ...                   names={1: "non-enhancing tumour core", 2: "enhancing tumour"})
        >>> lesion_of(labels).values.ravel().tolist()
        [False, True, False]
    """
    known = tuple(labels.names.values())
    chosen = tuple(name for name in known if name in names) if names else enhancing_names(known)
    if not chosen:
        asked = f"none is called {', '.join(names)}" if names else "none says that it enhances"
        raise FileError(
            Code.DATASET_INVALID,
            f"has the labels {', '.join(known)[:160]}, and {asked}",
            mend='name those of the lesion: [habitats] lesion = ["enhancing tumour"]',
            where="" if where is None else str(where),
        )
    mask = labels.mask(*chosen)
    return Mask(values=mask.values, grid=mask.grid, name="lesion").require_some()


def enhancing_names(known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels that say of themselves that they enhance, of a simulated tumour its parts.

    Example:
        >>> enhancing_names(("necrotic core", "oedema", "enhancing tumour"))
        ('enhancing tumour',)
    """
    by_name = tuple(
        name for name in known
        if "enhanc" in name.lower() and not name.lower().startswith(("non", "not "))
        and "non-enhanc" not in name.lower() and "nonenhanc" not in name.lower()
    )  # fmt: skip
    if by_name or len(known) == 1:
        return by_name or known
    return tuple(name for name in known if name in _PARTS)


def _require_results(bids_dir: Path, out_dir: Path) -> None:
    if not any(out_dir.glob(f"sub-*/**/{RECEIPT_NAME}")):
        raise FileError(
            Code.DATASET_INVALID if out_dir.exists() else Code.FILE_MISSING,
            "holds no finished session" if out_dir.exists() else "does not exist",
            mend=f"run it first: bolus run {bids_dir} {out_dir} participant",
            where=str(out_dir),
        )


def _other_sessions(root: Path, subject: str) -> Iterator[SessionKey]:
    """Yield the sessions of a subject that have a folder, with or without perfusion."""
    for folder in sorted((root / f"sub-{subject}").glob("ses-*")):
        key = io.session_key(folder.relative_to(root))
        if key is not None and folder.is_dir():
            yield key


def _visit_files(
    bids_dir: Path,
    out_dir: Path,
    when: VisitDay,
    session: io.SessionFiles | None,
    features: Sequence[str],
) -> VisitFiles:
    key = when.key
    maps: dict[str, Path] = {}
    missing: list[str] = []
    if session is None:
        missing.append("no perfusion series")
    for feature in features:
        if feature == ADC or session is None:
            continue
        try:
            maps[feature] = _map_file(out_dir / key.folder, feature)
        except BolusError as error:
            missing.append(error.what)
    images = find_visit_images(bids_dir, key)
    if ADC in features and images.adc is None and images.dwi is None:
        missing.append(images.unclear[0] if images.unclear else "no ADC map and no diffusion")
    if session is not None and session.tumour is None:
        missing.append("no lesion (tumour segmentation)")
    brains = sorted((out_dir / key.folder).glob("dsc/**/*_label-brain_mask.nii.gz"))
    return VisitFiles(
        when=when,
        maps=maps,
        images=images,
        brain=brains[0] if brains else None,
        series=None if session is None else session.series or session.dce,
        tumour=None if session is None else session.tumour,
        missing=tuple(missing),
    )


def _map_file(folder: Path, feature: str) -> Path:
    """Return the file of a map that an exam of a session has written, as its receipt says.

    Raises:
        FileError: there is none, or it is not as the receipt says.
    """
    for step in _STEPS:
        if not (folder / step / RECEIPT_NAME).is_file():
            continue
        outputs = io.read_receipt(folder / step / RECEIPT_NAME).outputs
        for name in sorted(n for n in outputs if n.endswith(f"_{feature}.nii.gz")):
            path = io.safe_join(folder / step, name)
            if not path.is_file() or io.file_digest(path) != outputs[name]:
                raise FileError(
                    Code.RECEIPT_MISMATCH,
                    f"a {feature} map that is not as its receipt says",
                    mend="run the session again",
                    where=str(path),
                )
            return path
    raise FileError(
        Code.FILE_MISSING,
        f"no {feature} map",
        mend="run bolus run ... participant first",
        where=str(folder),
    )


def _read_adc(files: VisitFiles) -> ParameterMap:
    if files.images.adc is not None:
        return read_adc(files.images.adc)
    assert files.images.dwi is not None  # it would be missing
    images = read_diffusion(files.images.dwi)
    head = Mask(values=images.values.max(axis=-1) > 0, grid=images.grid, name="diffusion")
    if files.brain is not None:
        brain = io.read_mask(files.brain, name="brain")
        head = preprocess.resample_mask(brain, images.grid).require_some()
    try:
        return quantify.apparent_diffusion(
            images.values,
            images.b_s_per_mm2,
            mask=head,
            provenance=images.provenance,
            noise=quantify.noise_of_air(images.values),
        )
    except BolusError as error:
        raise error.at(files.images.dwi) from None


def scanner_of(series: Path | None) -> str:
    """Return what the sidecar of the series calls its scanner; "" where it does not."""
    beside = io.find_sidecar(series) if series is not None else None
    if beside is None:
        return ""
    try:
        values = parse_object(read_bytes(beside, limit=_SIDECAR_LIMIT_BYTES))
    except BolusError:
        return ""
    names = (values.get("StationName"), values.get("DeviceSerialNumber"))
    return next((str(name)[:80] for name in names if name), "")


def _reference_error(item: ParameterMap) -> float:
    for step in item.provenance.steps:
        value = step.arguments.get(REFERENCE_ERROR)
        if isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    return 0.0

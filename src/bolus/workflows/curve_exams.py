"""Curves of a user's own patients for networks: from a BIDS dataset and the results of its run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from bolus import io
from bolus.core import CURVE_REGIONS, CurveCohort, CurveExam, LabelMap, Mask, SessionKey, stream
from bolus.errors import BolusError, Code, FileError
from bolus.io.maps import read_map
from bolus.io.receipt import RECEIPT_NAME
from bolus.io.tables import read_curve_tsv
from bolus.io.visits import read_clinical, read_visit_days
from bolus.workflows.codes_series import CodesPaths, StillSeries, dsc_files, read_still_series
from bolus.workflows.cohort_plan import choose_sessions
from bolus.workflows.config import Config
from bolus.workflows.curve_patients import CurvePatient, curve_patient
from bolus.workflows.exam import with_sidecars
from bolus.workflows.outputs import SPACE
from bolus.workflows.progress import Progress, silent
from bolus.workflows.visits import enhancing_names, scanner_of

_OEDEMA = ("oedema", "edema", "infiltrat", "peritumo", "flair", "invaded")
_NONE = ("cavity", "resection")
_NECROSIS = "necro"
_MOST_VOXELS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveExamFiles:
    """What curves of one session are read from; `missing` says why they cannot be."""

    key: SessionKey
    paths: CodesPaths
    made: Mapping[str, Path]
    scanner: str
    missing: str = ""

    def present(self) -> tuple[Path, ...]:
        """Every file that the curves rest on, in a fixed order."""
        series = (self.paths.shown,)
        return (*with_sidecars(series, series), *(self.made[name] for name in sorted(self.made)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurvesRead:
    """The exams of a dataset, and which sessions were left out and why."""

    cohort: CurveCohort
    left_out: tuple[tuple[SessionKey, str], ...]


def find_curve_exams(
    bids_dir: Path,
    out_dir: Path,
    *,
    participants: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> tuple[CurveExamFiles, ...]:
    """Find the DSC sessions of a dataset and what `bolus run` made of them.

    Args:
        bids_dir: the dataset.
        out_dir: where `bolus run BIDS_DIR OUT_DIR participant` has written.
        participants: subject labels to keep, all if empty.
        sessions: session labels to keep, all if empty.

    Raises:
        FileError: there is no series, or not those asked for; a table cannot be read.
        ConfigError: no such session.
        MetadataError: days and dates contradict each other.
    """
    chosen = [
        files
        for files in choose_sessions(bids_dir, participants=participants, sessions=sessions)
        if files.series is not None
    ]
    scanners = _scanners(bids_dir, [files.key for files in chosen])
    return tuple(_files(files, out_dir, scanners.get(files.key, "")) for files in chosen)


def read_curve_cohort(
    bids_dir: Path,
    found: Iterable[CurveExamFiles],
    config: Config,
    *,
    clinical: Path | None = None,
    voxels: int = _MOST_VOXELS,
    progress: Progress = silent,
) -> CurvesRead:
    """Read the curves of every session, and what the tables say of its patient.

    Args:
        bids_dir: the dataset, with `participants.tsv`.
        found: from `find_curve_exams`.
        config: its section `acquisition`; `train.label` names a column that is a label too.
        clinical: one more table of patients, whose cells win.
        voxels: at most so many of each tumour, drawn at random.
        progress: told about every session.

    Raises:
        FileError: no session can be used, or a table cannot be read.
        MetadataError: tables contradict each other.
    """
    files = tuple(found)
    known, tables = read_clinical(bids_dir, clinical)
    exams: list[CurveExam] = []
    left_out: list[tuple[SessionKey, str]] = []
    for number, item in enumerate(files):
        progress("Reading curves", number, len(files))
        patient = _patient(known, item.key, config.train.label, tables)
        try:
            exams.append(read_curve_exam(item, config, patient=patient, voxels=voxels))
        except BolusError as error:
            left_out.append((item.key, error.what))
    progress("Reading curves", len(files), len(files))
    if not exams:
        first = f"{left_out[0][0].prefix}: {left_out[0][1]}" if left_out else "no DSC series"
        raise FileError(
            Code.DATASET_INVALID,
            f"has no session whose curves can be used ({first})",
            mend="run bolus run ... participant first, with a tumour segmentation of each session",
            where=str(bids_dir),
        )
    return CurvesRead(cohort=CurveCohort(exams=tuple(exams)), left_out=tuple(left_out))


def read_curve_exam(
    files: CurveExamFiles,
    config: Config,
    *,
    patient: CurvePatient | None = None,
    voxels: int = _MOST_VOXELS,
    progress: Progress = silent,
) -> CurveExam:
    """Read the curves of one session.

    Regions are means of the signal free of motion; a part of the tumour that was not drawn is
    NaN. The artery is that of the DSC step, ΔR2* turned back into signal: exp(-TE ΔR2*). nCBV is
    the mean of its map in solid tumour (enhancing and not, without what is called necrosis), in
    all of the tumour where its parts were not drawn.

    Args:
        files: from `find_curve_exams`, nothing missing.
        config: its section `acquisition`.
        patient: what is known; None for nothing.
        voxels: at most so many of the tumour, drawn at random; the session decides which.
        progress: told about every stage.

    Raises:
        FileError: something is missing or damaged.
        GeometryError: the tumour is empty, or maps lie on other grids.
    """
    if files.missing:
        raise FileError(
            Code.DATASET_INVALID,
            files.missing,
            mend="run the session again, with a tumour segmentation",
            where=files.key.prefix,
        )
    still = read_still_series(files.paths, config, dict(files.made), progress)
    whole = Mask(values=still.tumour.values > 0, grid=still.tumour.grid, name="tumour")
    parts = tumour_parts(still.tumour)
    curves = still.signal.curves(whole.require_some(), dtype=np.float32)
    curves = curves[_drawn(len(curves), voxels, files.key)]
    who = patient or CurvePatient()
    return CurveExam(
        key=files.key,
        site=files.scanner or who.site,
        time=still.signal.time,
        acquisition=still.signal.acquisition,
        regions=_regions(still, whole, parts, files.made),
        voxels=curves[np.isfinite(curves).all(axis=1)],
        reference=_white_matter(still, files.made),
        ncbv=_ncbv(files.made, still, whole, parts),
        age_years=who.age_years,
        sex=who.sex,
        labels=who.labels,
    )


def tumour_parts(labels: LabelMap) -> Mapping[str, Mask]:
    """Return the parts of a tumour by what their labels are called.

    "enhancing" are labels that say so, and the parts of a simulated tumour that take up agent;
    "oedema" those called oedema, infiltrated, peritumoural or FLAIR; "nonenhancing" the others, of
    which those called necrosis are "necrosis" as well. A cavity is none of them. One label alone
    that says nothing is the whole tumour, and there are no parts.

    Args:
        labels: of one exam.

    Example:
        >>> from bolus.core import Grid
        >>> grid = Grid(shape=(3, 1, 1), affine=np.eye(4))
        >>> labels = LabelMap(values=np.array([[[1]], [[2]], [[4]]]), grid=grid,
        ...     names={1: "necrotic tumour core", 2: "peritumoural oedema", 4: "enhancing tumour"})
        >>> {name: mask.values.ravel().tolist().index(True)
        ...  for name, mask in sorted(tumour_parts(labels).items())}
        {'enhancing': 2, 'necrosis': 0, 'nonenhancing': 0, 'oedema': 1}
    """
    known = tuple(labels.names.values())
    bright = set(enhancing_names(known))
    says = {name: _part_of(name, bright) for name in known}
    if len(known) == 1 and not _tells(known[0]):
        return MappingProxyType({})
    parts = {
        part: [name for name in known if says[name] == part]
        for part in ("enhancing", "nonenhancing", "oedema")
    }
    parts["necrosis"] = [name for name in known if _NECROSIS in name.lower()]
    return MappingProxyType({part: labels.mask(*names) for part, names in parts.items() if names})


def _tells(name: str) -> bool:
    return any(word in name.lower() for word in (*_OEDEMA, *_NONE, _NECROSIS, "enhanc"))


def _part_of(name: str, bright: set[str]) -> str:
    text = name.lower()
    if any(word in text for word in _NONE):
        return ""
    if any(word in text for word in _OEDEMA):
        return "oedema"
    return "enhancing" if name in bright else "nonenhancing"


def _files(files: io.SessionFiles, out_dir: Path, scanner: str) -> CurveExamFiles:
    """Say where the curves of a session are, or why there are none."""
    assert files.series is not None  # chosen so
    folder = out_dir / files.key.folder / "dsc"
    names = io.OutputNames(key=files.key, space=SPACE)
    made: Mapping[str, Path] = _NO_FILES
    missing = ""
    try:
        made = _made(folder, names)
    except BolusError as error:
        missing = error.what
    return CurveExamFiles(
        key=files.key,
        paths=CodesPaths(series=files.series, second_echo=files.second_echo, dsc=folder),
        made=made,
        scanner=scanner or scanner_of(files.series),
        missing=missing,
    )


def _made(folder: Path, names: io.OutputNames) -> Mapping[str, Path]:
    """Return what the DSC step made, as its receipt says, with white matter and artery."""
    made = dsc_files(folder, names)
    outputs = io.read_receipt(folder / RECEIPT_NAME).outputs
    for what, name in (
        ("white matter", f"{names.mask('whitematter')}.nii.gz"), ("aif", names.table("aif"))
    ):  # fmt: skip
        path = io.safe_join(folder, name)
        if name not in outputs or not path.is_file() or io.file_digest(path) != outputs[name]:
            raise FileError(
                Code.RECEIPT_MISMATCH,
                f"the {what} of the DSC step is not there as its receipt says",
                mend="run the session again",
                where=str(path),
            )
        made[what] = path
    return MappingProxyType(made)


def _scanners(bids_dir: Path, keys: Sequence[SessionKey]) -> dict[SessionKey, str]:
    """Return what the tables of sessions call the scanner of each."""
    found: dict[SessionKey, str] = {}
    for subject in sorted({key.subject for key in keys}):
        own = [key for key in keys if key.subject == subject]
        found |= {visit.key: visit.scanner for visit in read_visit_days(bids_dir, own)}
    return found


def _patient(
    known: Mapping[str, Mapping[str, str]],
    key: SessionKey,
    label: str,
    tables: tuple[Path, ...],
) -> CurvePatient:
    try:
        return curve_patient(known.get(key.subject, _NOTHING), label=label)
    except BolusError as error:
        raise error.at(
            f"{tables[0] if tables else 'participants.tsv'}, sub-{key.subject}"
        ) from None


def _regions(
    still: StillSeries, whole: Mask, parts: Mapping[str, Mask], made: Mapping[str, Path]
) -> np.ndarray:
    rows = np.full((len(CURVE_REGIONS), len(still.signal.time)), np.nan)
    for row, name in enumerate(CURVE_REGIONS):
        if name == "aif":
            rows[row] = _artery(still, made)
        else:
            mask = whole if name == "whole" else parts.get(name)
            if mask is not None and mask.count:
                rows[row] = still.signal.mean_curve(mask)
    return rows


def _artery(still: StillSeries, made: Mapping[str, Path]) -> np.ndarray:
    """Return the signal that the arterial ΔR2* stands for, at the level of white matter."""
    curve = read_curve_tsv(made["aif"])
    echo_s = still.signal.acquisition.require("echo_time_s")
    change = np.interp(still.signal.time.seconds, curve.time.seconds, curve.values)
    level = float(np.nanmedian(_white_matter(still, made)))
    return np.asarray(level * np.exp(-echo_s * change))


def _white_matter(still: StillSeries, made: Mapping[str, Path]) -> np.ndarray:
    mask = io.read_mask(made["white matter"], name="white matter", grid=still.signal.grid)
    return np.asarray(still.signal.mean_curve(mask))


def _ncbv(
    made: Mapping[str, Path], still: StillSeries, whole: Mask, parts: Mapping[str, Mask]
) -> float:
    """Return the mean nCBV of solid tumour; NaN where there is no map, or no value in it."""
    if "ncbv" not in made:
        return float("nan")
    values = read_map(made["ncbv"])
    still.signal.grid.require_match(values.grid, what="the nCBV map")
    solid = np.zeros(whole.values.shape, bool)
    for name in ("enhancing", "nonenhancing"):
        if name in parts:
            solid |= parts[name].values
    if "necrosis" in parts:
        solid &= ~parts["necrosis"].values
    inside = values.values[solid if solid.any() else whole.values]
    return float(np.nanmean(inside)) if np.isfinite(inside).any() else float("nan")


def _drawn(count: int, most: int, key: SessionKey) -> np.ndarray:
    """Return which voxels are kept, in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(stream(0, "curve exams", key.prefix).choice(count, size=most, replace=False))


_NO_FILES: Mapping[str, Path] = MappingProxyType({})
_NOTHING: Mapping[str, str] = MappingProxyType({})

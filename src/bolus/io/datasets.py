"""Public datasets as they lie on disk: which files there are, of whom, and what each one is.

One table (`datasets_layouts`) says what each dataset calls its files; the reading here is the same
for all. Nothing is opened but clinical tables.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bolus.core import SessionKey
from bolus.errors import Code, ConfigError, FileError
from bolus.io.access import named
from bolus.io.datasets_tables import (
    ClinicalTable,
    TableShape,
    padded,
    read_clinical_table,
)

RAW, SEGMENTATION, PUBLISHED, STUDY = "", "segmentation", "published", "study"
"""Where an image goes: the session itself, one of two derivatives, or `bolus import` of DICOM."""

_MOST_FILES = 1_000_000
_NIFTI = re.compile(r"\.nii(\.gz)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one kind of image goes: `folder/PREFIX_ending`, in one of the trees.

    `labels` are the names of the values of a segmentation. Of images that go to the same place,
    the one of lowest `rank` is taken.
    """

    folder: str
    ending: str
    tree: str = RAW
    labels: Mapping[int, str] = field(default_factory=dict)
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one public dataset lies on disk.

    `pattern` is searched in the path of a file (of a folder, where `of_folders`) and has the groups
    `subject`, `what` and perhaps `session`; `places` is by `what`. `perfusion` says what it offers,
    `source` what the description was taken from. `dated` sessions are numbered by their date.
    """

    name: str
    title: str
    doi: str
    pattern: re.Pattern[str]
    places: Mapping[str, Place]
    perfusion: str
    baseline: str = ""
    of_folders: bool = False
    dated: bool = False
    subject_digits: int = 0
    table: TableShape | None = None

    @property
    def has_dsc(self) -> bool:
        """Whether a raw DSC series is among its files."""
        return any(p.ending == "dsc" or p.tree == STUDY for p in self.places.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetImage:
    """One image: of which session under the dataset's own names and under ours, and its place."""

    key: SessionKey
    subject_id: str
    session_id: str
    source: Path
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDataset:
    """A dataset: its images by session, its clinical table, and what was left alone.

    `left` counts files by what the dataset calls them; `notes` are sentences for the user.
    """

    layout: Layout
    sessions: Mapping[SessionKey, tuple[DatasetImage, ...]]
    clinical: ClinicalTable | None
    left: Mapping[str, int]
    notes: tuple[str, ...]


def detect_layout(root: Path, layouts: Sequence[Layout]) -> Layout | None:
    """Return the only layout that a folder has files of; `None` if there is none or several.

    Raises:
        FileError: no such folder.
    """
    fitting: set[str] = set()
    for path, is_folder in _entries(root):
        fitting |= {
            layout.name
            for layout in layouts
            if layout.of_folders == is_folder and _placed(layout, path) is not None
        }
        if len(fitting) > 1:
            return None
    return next((layout for layout in layouts if layout.name in fitting), None)


def layout_named(name: str, layouts: Sequence[Layout]) -> Layout:
    """Return the layout of a name, however it is written.

    Raises:
        ConfigError: there is none.
    """
    wanted = _plain(name)
    for layout in layouts:
        if _plain(layout.name) == wanted:
            return layout
    raise ConfigError(
        Code.USAGE,
        f"--layout is '{name[:40]}', expected {', '.join(layout.name for layout in layouts)}",
        mend="choose one of them, or leave it out for DICOM",
    )


def read_layout(root: Path, layout: Layout) -> FoundDataset:
    """List the images of a dataset and read its clinical table.

    Args:
        root: folder of the dataset, or one above or below it.
        layout: how it lies on disk.

    Raises:
        FileError: no folder, no such image, or two that nothing tells apart.
    """
    found: list[DatasetImage] = []
    left: Counter[str] = Counter()
    notes: list[str] = []
    for path, is_folder in _entries(root):
        match = _matched(layout, path)
        if is_folder != layout.of_folders or match is None:
            continue
        place = _place_of(layout, match)
        if place is None:
            left[match["what"]] += 1
        elif not is_folder and path.stat().st_size == 0:
            notes.append(f"{path.name} is empty (0 bytes) and was left out")
        else:
            found.append(_image(layout, path, match, place))
    if not found:
        raise FileError(
            Code.DATASET_INVALID,
            f"holds no file of {layout.name}",
            mend="name the folder that was downloaded, or another --layout",
            where=str(root),
        )
    if layout.dated:
        found = _numbered(found)
    sessions = _chosen(found, left, notes)
    clinical = None
    if layout.table is not None:
        clinical, said = read_clinical_table(root, layout.table)
        notes += said
    return FoundDataset(
        layout=layout, sessions=sessions, clinical=clinical,
        left=dict(sorted(left.items())), notes=tuple(notes),
    )  # fmt: skip


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _entries(root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield every folder and plain file below a folder, with whether it is one; no links."""
    with named(root):
        if not root.is_dir():
            raise FileError(
                Code.PATH_KIND if root.exists() else Code.FILE_MISSING,
                "is a file where a folder is needed" if root.exists() else "does not exist",
                mend="name the folder that was downloaded",
            )
    count = 0
    for base, folders, names in os.walk(root.resolve()):
        folders[:] = sorted(f for f in folders if not (Path(base) / f).is_symlink())
        yield Path(base), True
        for name in sorted(names):
            path = Path(base) / name
            count += 1
            if count > _MOST_FILES:
                raise FileError(
                    Code.DATASET_INVALID, f"holds more than {_MOST_FILES} files",
                    mend="name the folder of one dataset", where=str(root),
                )  # fmt: skip
            if not path.is_symlink():
                yield path, False


def _matched(layout: Layout, path: Path) -> re.Match[str] | None:
    return layout.pattern.search(path.as_posix())


def _placed(layout: Layout, path: Path) -> Place | None:
    match = _matched(layout, path)
    return _place_of(layout, match) if match else None


def _place_of(layout: Layout, match: re.Match[str]) -> Place | None:
    return layout.places.get(match["what"])


def _image(layout: Layout, path: Path, match: re.Match[str], place: Place) -> DatasetImage:
    groups = match.groupdict()
    subject = padded(groups["subject"], layout.subject_digits)
    session = groups.get("session") or layout.baseline
    return DatasetImage(
        key=SessionKey(_label(subject), _session_label(session)),
        subject_id=subject, session_id=session, source=path, place=place,
    )  # fmt: skip


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)


def _session_label(text: str) -> str:
    """Return a label; the number after a second dash stays apart (`week-000-1` is week000n1)."""
    return _label(re.sub(r"(?<=\d)-(?=\d)", "n", text))


def _numbered(images: Sequence[DatasetImage]) -> list[DatasetImage]:
    """Return images with the sessions of each subject numbered by their MM-DD-YYYY date."""
    dates: dict[str, set[str]] = {}
    for image in images:
        dates.setdefault(image.subject_id, set()).add(image.session_id)
    places = {
        subject: {name: n for n, name in enumerate(sorted(names, key=_by_date), start=1)}
        for subject, names in dates.items()
    }
    return [
        DatasetImage(
            key=SessionKey(image.key.subject, f"{number:02d}"), subject_id=image.subject_id,
            session_id=f"{number:02d}", source=image.source, place=image.place,
        )
        for image in images
        if (number := places[image.subject_id][image.session_id])
    ]  # fmt: skip


def _by_date(name: str) -> tuple[str, str]:
    month, day, year = name[:2], name[3:5], name[6:10]
    return f"{year}{month}{day}", name


def _chosen(
    images: Sequence[DatasetImage], left: Counter[str], notes: list[str]
) -> dict[SessionKey, tuple[DatasetImage, ...]]:
    """Return one image for each place of each session: the lowest rank, then the shortest path."""
    kept: dict[SessionKey, dict[tuple[str, str, str], DatasetImage]] = {}
    for image in sorted(images, key=lambda i: (i.place.rank, len(str(i.source)), str(i.source))):
        place = image.place
        session = kept.setdefault(image.key, {})
        first = session.setdefault((place.tree, place.folder, place.ending), image)
        if first is image:
            continue
        left[_NIFTI.sub("", image.source.name)] += 1
        if first.place.rank == place.rank:
            notes.append(
                f"{image.key.prefix}: {image.source.name} is there twice; "
                f"that in {first.source.parent.name} was taken"
            )
    return {key: tuple(kept[key].values()) for key in sorted(kept)}

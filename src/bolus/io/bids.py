"""Find the scans of a BIDS-like dataset. BIDS has no place for DSC yet, so several are accepted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bolus.core import SessionKey
from bolus.errors import Code, FileError
from bolus.io.access import NIFTI_SUFFIXES, named, stem_of

_SERIES_GLOBS = ("perf/*_dsc.nii*", "func/*_cbv.nii*", "perf/*_perf.nii*")
"""In order of preference; the first that finds anything counts for a session."""
_DCE_GLOBS = ("perf/*_dce.nii*",)

_SUBJECT = re.compile(r"(?:^|[/_])sub-([A-Za-z0-9]+)(?=[/_.]|$)")
_SESSION = re.compile(r"(?:^|[/_])ses-([A-Za-z0-9]+)(?=[/_.]|$)")
_ECHO = re.compile(r"_echo-(\d+)(?=_)")
_BRAIN = re.compile(r"(_label-brain|_desc-brain)(_[^/]*)?_mask$")
_TUMOUR = re.compile(
    r"(_label-(tumou?r|lesion)(_[^/]*)?_mask|(_seg|_desc|_label)-(tumou?r|lesion)[^/]*_dseg|"
    r"^sub-[^/]*_dseg)$"
)
_ARTERY = re.compile(r"_aif$")
_T1_MAP = re.compile(r"_T1map$")
_B1_MAP = re.compile(r"_TB1map$")
_FLIP = re.compile(r"_flip-(\d+)(?=_)")


_NOT_GIVEN = frozenset({"bolus", "truth"})
"""Derivatives that nobody gave: this package's own maps, and the answers of a simulated trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFiles:
    """The files of one session; `None` where the dataset has none.

    `series` is the DSC series and `dce` the DCE series; of a session found, at least one is there.
    `tumour` is a mask or a segmentation with names in a `.tsv` beside it. `vfa` are the images of
    several flip angles, in order of their number.
    """

    key: SessionKey
    series: Path | None = None
    second_echo: Path | None = None
    anatomy: Path | None = None
    brain: Path | None = None
    tumour: Path | None = None
    aif: Path | None = None
    dce: Path | None = None
    vfa: tuple[Path, ...] = ()
    t1_map: Path | None = None
    b1_map: Path | None = None


def find_sessions(
    root: Path | str, *, pattern: str = "", subjects: Iterable[str] = ()
) -> tuple[SessionFiles, ...]:
    """Find every session with a DSC or a DCE series, in order of subject and session.

    DSC are `perf/*_dsc`, `func/*_cbv` and `perf/*_perf` below `sub-*/` or `sub-*/ses-*/`, or
    whatever `pattern` finds that does not end in `_dce`; DCE are `perf/*_dce`, or what `pattern`
    finds that does. T1 comes from `anat/*_T1map` or `anat/*_flip-N_VFA`, B1 from
    `fmap/*_TB1map`. Masks, tumour labels and arterial curves (`*_aif.tsv`) are taken from
    the session's own folders or from `derivatives/*/`, except from this package's own outputs and
    from the truth of a simulated trial.

    Args:
        root: the dataset.
        pattern: glob below `root`; the paths it finds must name their subject as `sub-LABEL`.
        subjects: labels to keep, with or without `sub-`; all if empty.

    Raises:
        FileError: no folder, no session, a label asked for is not there, or one session has
            several series.
    """
    root = Path(root)
    with named(root):
        if not root.is_dir():
            raise FileError(
                Code.PATH_KIND if root.exists() else Code.FILE_MISSING,
                "is not a folder" if root.exists() else "does not exist",
                mend="name the folder that holds sub-*",
            )
        found = _all_series(root, pattern, dce=False)
        dynamic = _all_series(root, pattern, dce=True)
        keys = sorted({*found, *dynamic})
        wanted = {label.removeprefix("sub-") for label in subjects}
        absent = sorted(wanted - {key.subject for key in keys})
        if absent or not keys:
            what = f"no series of sub-{absent[0]}" if absent else "no DSC series and no DCE series"
            raise FileError(
                Code.DATASET_INVALID,
                f"holds {what} (looked for {pattern or ', '.join(_SERIES_GLOBS + _DCE_GLOBS)})",
                mend="check the folder, or give a pattern that finds the series",
            )
        return tuple(
            _session(root, key, found.get(key), dynamic.get(key))
            for key in keys
            if not wanted or key.subject in wanted
        )


def session_key(path: Path | str) -> SessionKey | None:
    """Return the session a path names with `sub-` and `ses-`, or `None`.

    Example:
        >>> from bolus.io import session_key
        >>> session_key("sub-01/ses-pre/perf/sub-01_ses-pre_dsc.nii.gz").prefix
        'sub-01_ses-pre'
    """
    text = Path(path).as_posix()
    subjects, sessions = set(_SUBJECT.findall(text)), set(_SESSION.findall(text))
    if len(subjects) != 1 or len(sessions) > 1:
        return None
    return SessionKey(subjects.pop(), sessions.pop() if sessions else "")


def second_echo_of(first: Path | str) -> Path | None:
    """Return the `_echo-2_` file that belongs to an `_echo-1_` file, if it is there."""
    first = Path(first)
    match = _ECHO.search(first.name)
    if not match or int(match[1]) != 1:
        return None
    second = first.with_name(_ECHO.sub("_echo-2", first.name, count=1))
    return second if second.exists() else None


def _all_series(root: Path, pattern: str, *, dce: bool) -> dict[SessionKey, Path]:
    found: dict[SessionKey, Path] = {}
    for glob in (pattern,) if pattern else _DCE_GLOBS if dce else _SERIES_GLOBS:
        fresh: dict[SessionKey, list[Path]] = {}
        for path in _matches(root, glob, free=bool(pattern)):
            if stem_of(path).endswith("_dce") != dce:
                continue
            key = session_key(path.relative_to(root))
            if key is None:
                raise FileError(
                    Code.DATASET_INVALID,
                    "does not name one subject and at most one session (sub-LABEL, ses-LABEL)",
                    mend="rename it, or choose another pattern",
                    where=str(path),
                )
            echo = _ECHO.search(path.name)
            if echo is None or int(echo[1]) == 1:
                fresh.setdefault(key, []).append(path)
        for key, paths in fresh.items():
            if key in found:
                continue
            if len(paths) > 1:
                raise FileError(
                    Code.DATASET_INVALID,
                    f"{key.prefix} has {len(paths)} series ({paths[0].name}, {paths[1].name})",
                    mend="choose one with a pattern, such as 'sub-*/**/*run-1_dsc.nii.gz'",
                )
            found[key] = paths[0]
    return found


def _matches(root: Path, glob: str, *, free: bool) -> list[Path]:
    if free:
        if Path(glob).is_absolute() or ".." in Path(glob).parts:
            raise FileError(
                Code.NAME_UNSAFE,
                f"the pattern '{glob}' leaves the dataset",
                mend="give a pattern relative to the dataset",
            )
        found = list(root.glob(glob))
    else:
        found = [p for start in ("sub-*", "sub-*/ses-*") for p in root.glob(f"{start}/{glob}")]
    return sorted(p for p in found if p.name.endswith(NIFTI_SUFFIXES))


def _session(root: Path, key: SessionKey, series: Path | None, dce: Path | None) -> SessionFiles:
    images = _beside(root, key, NIFTI_SUFFIXES)
    tables = _beside(root, key, (".tsv",))
    raw = [p for p in images if "derivatives" not in p.relative_to(root).parts]
    return SessionFiles(
        key=key,
        series=series,
        second_echo=second_echo_of(series) if series else None,
        anatomy=next((p for p in raw if stem_of(p).endswith("_T1w")), None),
        brain=_one(images, _BRAIN, "brain masks"),
        tumour=_one(images, _TUMOUR, "tumour segmentations"),
        aif=_one(tables, _ARTERY, "arterial curves"),
        dce=dce,
        vfa=_flip_angles(raw) if dce else (),
        t1_map=_one(_within(images, "anat"), _T1_MAP, "T1 maps") if dce else None,
        b1_map=_one(_within(images, "fmap"), _B1_MAP, "B1 maps") if dce else None,
    )


def _within(paths: list[Path], folder: str) -> list[Path]:
    return [path for path in paths if path.parent.name == folder]


def _flip_angles(paths: list[Path]) -> tuple[Path, ...]:
    """Return the images of several flip angles; their numbers may pass 9."""
    numbered = [
        (int(match[1]), path)
        for path in _within(paths, "anat")
        if stem_of(path).endswith("_VFA") and (match := _FLIP.search(path.name))
    ]
    return tuple(path for _, path in sorted(numbered))


def _beside(root: Path, key: SessionKey, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files of one session, raw first, without what this package made itself."""
    given = sorted(p for p in root.glob("derivatives/*") if p.name not in _NOT_GIVEN)
    bases = [root, *given]
    return [
        path
        for base in bases
        for path in sorted((base / key.folder).glob("*/*"))
        if path.name.endswith(suffixes)
    ]


def _one(paths: list[Path], pattern: re.Pattern[str], what: str) -> Path | None:
    found = [p for p in paths if pattern.search(stem_of(p))]
    if len(found) > 1:
        raise FileError(
            Code.DATASET_INVALID,
            f"holds {len(found)} {what} of one session ({found[0].name}, {found[1].name})",
            mend="keep the one to use in the dataset",
        )
    return found[0] if found else None

"""Names that stay where they belong: relative, plain characters, no way out of the folder."""

import re
from pathlib import Path

from bolus.errors import Code, FileError

_PART = re.compile(r"\.?[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def safe_join(root: Path, name: str) -> Path:
    """Return `root/name` if that can only lie below `root`.

    Args:
        root: a folder.
        name: relative, forward slashes; letters, digits and `._+-` only.

    Raises:
        FileError: any other name, or a link on the way that leads out.

    Example:
        >>> from pathlib import Path
        >>> from bolus.io import safe_join
        >>> safe_join(Path("out"), "perf/map.nii.gz").as_posix()
        'out/perf/map.nii.gz'
    """
    parts = name.split("/")
    if not all(_PART.fullmatch(part) and not _RESERVED.fullmatch(part) for part in parts):
        raise _unsafe(name)
    place = root
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise _unsafe(name)
    return place


def _unsafe(name: str) -> FileError:
    shown = name.encode("unicode_escape").decode()[:80]
    return FileError(
        Code.NAME_UNSAFE,
        f"the name '{shown}' could leave its folder or is not plain",
        mend="use letters, digits and . _ + - in relative names",
    )

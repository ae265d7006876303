"""What a step must write, said before it is written, and compared before anything is signed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bolus.errors import Code, ResourceError

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Names of files relative to an output folder; `*` stands for any characters.

    `must` are written whatever the data are, `may` where the data have them.

    Example:
        >>> Manifest(must={"report.html"}, may={"perf/*_k2.json"}).differences(["report.htm"])
        (('report.html',), ('report.htm',))
    """

    must: Collection[str]
    may: Collection[str] = ()

    def __or__(self, other: "Manifest") -> "Manifest":
        """Return what both of two parts of a step write."""
        return Manifest(
            must=frozenset({*self.must, *other.must}), may=frozenset({*self.may, *other.may})
        )

    def differences(self, written: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what is missing, and what nobody asked for, each in order.

        Args:
            written: names of all files of the folder.
        """
        found = set(written)
        missing = [name for name in self.must if not _meets(name, found)]
        stated = {*self.must, *self.may}
        patterns = [name for name in stated if "*" in name]
        extra = [
            name
            for name in found - stated
            if not any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        return tuple(sorted(missing)), tuple(sorted(extra))

    def require(self, written: Iterable[str]) -> None:
        """Raise unless everything that was asked for was written, and nothing else.

        Args:
            written: names of all files of the folder.

        Raises:
            ResourceError: a file is missing, or one too many is there.
        """
        missing, extra = self.differences(written)
        if missing or extra:
            parts = [_told("not written", missing), _told("not asked for", extra)]
            raise ResourceError(
                Code.OUTPUT_UNEXPECTED,
                "the files are not those this step has to write: "
                + "; ".join(part for part in parts if part),
                mend="run again with nothing else at work in this folder; if it comes back, "
                "report it: nothing was kept",
            )


def _meets(name: str, found: set[str]) -> bool:
    return name in found or ("*" in name and any(fnmatchcase(each, name) for each in found))


def _told(what: str, names: tuple[str, ...]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{more})"

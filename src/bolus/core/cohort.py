"""Who was scanned and when: the key of one session."""

import re
from dataclasses import dataclass

from bolus.errors import Code, FileError

_LABEL = re.compile(r"[A-Za-z0-9]{1,100}")


@dataclass(frozen=True, slots=True, order=True)
class SessionKey:
    """Subject and session labels, letters and digits only, as BIDS has them.

    Raises:
        FileError: a label holds anything else, such as a path.

    Example:
        >>> SessionKey("01", "pre").prefix
        'sub-01_ses-pre'
    """

    subject: str
    session: str = ""

    def __post_init__(self) -> None:
        for label in (self.subject, self.session or "none"):
            if not _LABEL.fullmatch(label):
                raise FileError(
                    Code.NAME_UNSAFE,
                    f"label {label[:80]!r} is not 1 to 100 letters and digits",
                    mend="rename the subject or session",
                )

    @property
    def prefix(self) -> str:
        """The beginning of every file name of this session."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")

    @property
    def folder(self) -> str:
        """The folder of this session below a dataset, with forward slashes."""
        return f"sub-{self.subject}" + (f"/ses-{self.session}" if self.session else "")

"""What the steps noticed on the way: warnings become lines of the report."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from bolus.errors import BolusWarning


@contextmanager
def collected(notices: list[str]) -> Iterator[None]:
    """Add every BolusWarning raised inside the block to `notices`, once; pass on all others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            found = list(caught)
    for item in found:
        if not issubclass(item.category, BolusWarning):
            warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
        elif (text := str(item.message)) not in notices:
            notices.append(text)

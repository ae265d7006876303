"""Tags of a pydicom data set as plain checked values; what is wrong is said without the value."""

import math
from typing import Any


class TroubleError(Exception):
    """What is wrong with a file: a kind for the error code, and words without any value of it."""

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(kind, what)
        self.kind = kind
        self.what = what


def whole(dataset: Any, keyword: str, default: int | None = None) -> int:
    """Return a whole number of a header.

    Raises:
        TroubleError: it is missing without a default, or is no whole number.
    """
    value = number(dataset, keyword)
    if value is None:
        if default is None:
            raise TroubleError("header", f"does not state {keyword}")
        return default
    if value != int(value):
        raise TroubleError("header", f"has a {keyword} that is no whole number")
    return int(value)


def number(dataset: Any, keyword: str) -> float | None:
    """Return a finite number of a header, or `None` where it is not stated.

    Raises:
        TroubleError: what is stated is no finite number.
    """
    found = numbers(dataset, keyword)
    if found is None:
        return None
    if len(found) != 1:
        raise TroubleError("header", f"states {len(found)} values of {keyword} where one belongs")
    return found[0]


def numbers(dataset: Any, keyword: str, count: int | None = None) -> list[float] | None:
    """Return the finite numbers of a tag, or `None` where it is not stated.

    Raises:
        TroubleError: they are no finite numbers, or not `count`.
    """
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return None
        several = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else None
        found = [float(one) for one in (several if several is not None else [value])]
    except (TypeError, ValueError, ArithmeticError, NotImplementedError) as failure:
        raise TroubleError("header", f"has a {keyword} that is no number") from failure
    if not found:
        return None
    if not all(math.isfinite(one) for one in found):
        raise TroubleError("header", f"has a {keyword} that is not finite")
    if count is not None and len(found) != count:
        raise TroubleError("header", f"has {len(found)} numbers in {keyword}, expected {count}")
    return found


def items(dataset: Any, keyword: str) -> list[Any]:
    """Return the items of a sequence, none where it is not there."""
    found = dataset.get(keyword)
    return list(found) if found else []


def words(dataset: Any, keyword: str) -> list[str]:
    """Return the values of a text tag, each at most 64 characters long."""
    value = dataset.get(keyword)
    if value is None:
        return []
    several = [value] if isinstance(value, str) else value
    try:
        return [str(one)[:64] for one in several if str(one)]
    except TypeError:
        return [str(several)[:64]]


def clock_s(text: str) -> float | None:
    """Return a DICOM time (HHMMSS.FFFFFF) as seconds of the day, or `None`.

    Example:
        >>> from bolus.io.dicom_tags import clock_s
        >>> clock_s("093001.25")
        34201.25
    """
    whole_part, _, fraction = text.strip().partition(".")
    if not (whole_part.isdigit() and len(whole_part) in (2, 4, 6) and (fraction or "0").isdigit()):
        return None
    padded = whole_part.ljust(6, "0")
    hours, minutes, seconds = int(padded[:2]), int(padded[2:4]), int(padded[4:])
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600.0 + minutes * 60.0 + seconds + float(f"0.{fraction or 0}")


def moment_s(text: str) -> float | None:
    """Return a DICOM date and time (YYYYMMDDHHMMSS.FFFFFF&ZZXX) as seconds, or `None`.

    Example:
        >>> from bolus.io.dicom_tags import moment_s
        >>> moment_s("20200102000001.5") - moment_s("20200101235959.5")
        2.0
    """
    from datetime import date

    plain = text.strip().split("+")[0].split("-")[0]
    seconds = clock_s(plain[8:])
    if seconds is None or not plain[:8].isdigit():
        return None
    try:
        day = date(int(plain[:4]), int(plain[4:6]), int(plain[6:8])).toordinal()
    except ValueError:
        return None
    return day * 86400.0 + seconds

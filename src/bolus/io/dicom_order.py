"""Which image of a slice is which frame: an order that at least three tags agree on.

Instance numbers and file names decide nothing. Every tag that can tell time is a witness; it
counts if it tells all images of a slice apart. The order is the one most witnesses give.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.errors import Code, FileError, TimingError
from bolus.io.dicom_frames import DicomFrame

NEEDED = 3
CLOCKS = ("AcquisitionTime", "ContentTime")
WEAK = ("InstanceNumber", "frame number")
"""Witnesses that count once, last, and never decide."""
COUNTERS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "DimensionIndexValues",
    "Philips (2001,1008)", "AcquisitionNumber", "FrameAcquisitionNumber",
)  # fmt: skip
"""Witnesses that number the frames of a series, most reliable first."""
_FROM_ONE = COUNTERS[:3]
_OF_FRAMES = COUNTERS[:4]
"""An acquisition number may also count packages of slices; these count frames alone."""
_SAME_THING = {"AcquisitionDateTime": "AcquisitionTime"}
_DAY_S = 86400.0
Same = Callable[[DicomFrame, DicomFrame], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameOrder:
    """Frames by slice and time.

    `places` is (slices, times): where each image is among `frames`. `agreed` are the tags that
    give this order, `disagreed` those that give another, `dropped` counts identical copies.
    """

    frames: tuple[DicomFrame, ...]
    places: np.ndarray
    agreed: tuple[str, ...]
    disagreed: tuple[str, ...]
    dropped: int
    witnesses: Mapping[str, np.ndarray]
    """Name -> values (frames,) of the tags that agreed."""


def order_frames(
    frames: Sequence[DicomFrame], slice_of: np.ndarray, distances_mm: np.ndarray, same: Same
) -> FrameOrder:
    """Return the frames of one image by slice and time.

    Args:
        frames: in any order.
        slice_of: slice of each frame, (frames,).
        distances_mm: where each slice lies along the normal [mm], for messages.
        same: whether two frames have the same pixels.

    Raises:
        FileError: images are missing, or two different ones claim the same place and time.
        TimingError: fewer than three tags agree on an order, or two orders are as well supported.
    """
    kept = _without_copies(frames, slice_of, distances_mm, same)
    own = tuple(frames[i] for i in kept)
    levels = slice_of[kept]
    values = _witness_values(own)
    counts = np.bincount(levels, minlength=len(distances_mm))
    if counts.max() == 1 and counts.min() == 1:
        places = np.argsort(levels)[:, None]
        return FrameOrder(
            frames=own, places=places, agreed=(), disagreed=(),
            dropped=len(frames) - len(kept), witnesses={},
        )  # fmt: skip
    if counts.min() != counts.max():
        raise _incomplete(levels, counts, distances_mm, values)
    orders = _orders(levels, values, len(distances_mm))
    places, agreed, disagreed = _elected(orders)
    known = {name: values[name] for name in agreed}
    _require_no_holes(own, places, known, distances_mm)
    return FrameOrder(
        frames=own, places=places, agreed=agreed, disagreed=disagreed,
        dropped=len(frames) - len(kept), witnesses=known,
    )  # fmt: skip


def _without_copies(
    frames: Sequence[DicomFrame], slice_of: np.ndarray, distances_mm: np.ndarray, same: Same
) -> list[int]:
    """Return the frames without identical copies."""
    by_name: dict[tuple[object, ...], int] = {}
    kept: list[int] = []
    for place, frame in enumerate(frames):
        name = (frame.file.whose["instance"], frame.index, frame.tile)
        first = by_name.setdefault(name, place)
        if first == place:
            kept.append(place)
        elif not same(frames[first], frame) or slice_of[first] != slice_of[place]:
            raise _duplicate("have one SOPInstanceUID", distances_mm[slice_of[place]])
    groups: dict[tuple[object, ...], list[int]] = {}
    for place in kept:
        told = tuple(sorted((k, v) for k, v in frames[place].facts["witness"].items()
                            if k not in WEAK))  # fmt: skip
        groups.setdefault((slice_of[place], told), []).append(place)
    shared = [members for members in groups.values() if len(members) > 1]
    if shared and len(shared) == len(groups) and len(kept) > 2 * len(groups):
        raise _untold(len(kept) // len(groups))
    single = []
    for members in groups.values():
        single.append(members[0])
        for other in members[1:]:
            if not same(frames[members[0]], frames[other]):
                if len(shared) == len(groups):
                    raise _untold(len(members))
                raise _duplicate("claim one time", distances_mm[slice_of[other]])
    return sorted(single)


def _untold(count: int) -> TimingError:
    return TimingError(
        Code.DICOM_ORDER,
        f"no tag but the instance number tells the {count} images of a slice apart",
        mend="fetch the series again with all its tags; instance numbers alone decide nothing",
    )


def _duplicate(what: str, distance_mm: float) -> FileError:
    return FileError(
        Code.DICOM_DUPLICATE,
        f"two different images at {distance_mm:.2f} mm {what}",
        mend="keep the export that is right in the folder",
    )


def _witness_values(frames: Sequence[DicomFrame]) -> dict[str, np.ndarray]:
    """Return the tags that every frame has, (frames,) each; clocks go on past midnight."""
    names = set(frames[0].facts["witness"])
    for frame in frames[1:]:
        names &= set(frame.facts["witness"])
    found = {n: np.array([f.facts["witness"][n] for f in frames]) for n in sorted(names)}
    for name in CLOCKS:
        if name in found and np.ptp(found[name]) > _DAY_S / 2:
            found[name] = found[name] + _DAY_S * (found[name] < _DAY_S / 2)
    return found


def _orders(
    levels: np.ndarray, values: Mapping[str, np.ndarray], slices: int
) -> dict[str, np.ndarray | None]:
    """Return the order (slices, times) each witness gives; `None` if it cannot tell."""
    members = [np.flatnonzero(levels == number) for number in range(slices)]
    found: dict[str, np.ndarray | None] = {}
    for name, told in values.items():
        ranked = [m[np.argsort(told[m], kind="stable")] for m in members]
        distinct = all((np.diff(told[r]) > 0).all() for r in ranked)
        found[name] = np.array(ranked) if distinct else None
    return found


def _elected(
    orders: Mapping[str, np.ndarray | None],
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Return the order that most witnesses give, who gives it, and who gives another."""
    parties: list[tuple[np.ndarray, list[str]]] = []
    for name, order in orders.items():
        if order is None:
            continue
        party = next((p for p in parties if np.array_equal(p[0], order)), None)
        if party is None:
            parties.append((order, [name]))
        else:
            party[1].append(name)
    parties.sort(key=lambda party: -_weight(party[1]))
    silent = sorted(name for name, order in orders.items() if order is None)
    if not parties or _weight(parties[0][1]) < NEEDED:
        best = parties[0][1] if parties else []
        raise TimingError(
            Code.DICOM_ORDER,
            f"{_listed(best)} on the order of the frames where {NEEDED} tags must agree "
            f"({_listed_plain([n for p in parties[1:] for n in p[1]])} another order, "
            f"{_listed_plain(silent)} cannot tell)",
            mend="fetch the series again from the scanner, with its private tags",
        )
    if len(parties) > 1 and max(_strong(p[1]) for p in parties[1:]) >= _strong(parties[0][1]):
        raise TimingError(
            Code.DICOM_ORDER,
            f"two orders of the frames are equally well supported: by {', '.join(parties[0][1])} "
            f"and by {', '.join(parties[1][1])}",
            mend="fetch the series again from the scanner",
        )
    return (
        parties[0][0],
        tuple(sorted(parties[0][1], key=lambda name: (name in WEAK, name))),
        tuple(sorted(name for party in parties[1:] for name in party[1])),
    )


def _weight(names: Sequence[str]) -> int:
    """Return how many independent tags there are; weak ones count once, beside two others."""
    strong = _strong(names)
    return strong + int(strong >= 2 and any(name in WEAK for name in names))


def _strong(names: Sequence[str]) -> int:
    return len({_SAME_THING.get(name, name) for name in names if name not in WEAK})


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "no tag tells"
    verb = "agrees" if len(names) == 1 else "agree"
    return f"only {', '.join(names)} {verb}"


def _listed_plain(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"


def _incomplete(
    levels: np.ndarray,
    counts: np.ndarray,
    distances_mm: np.ndarray,
    values: Mapping[str, np.ndarray],
) -> FileError:
    """Return the error that names what is missing, or what is too much."""
    common = int(np.bincount(counts).argmax())
    usual = common if np.sum(counts == common) > 1 else int(counts.max())
    parts = []
    for number in np.flatnonzero(counts != usual):
        place = f"the slice at {distances_mm[number]:.2f} mm"
        if counts[number] > usual:
            parts.append(f"{place} has {counts[number]} images where the others have {usual}")
            continue
        absent = _absent_frames(levels, int(number), usual, values)
        named = ", ".join(str(frame) for frame in absent[:3]) or f"{usual - counts[number]} frames"
        parts.append(f"{place} lacks frame {named} of {usual}" if absent else
                     f"{place} lacks {named} of {usual}")  # fmt: skip
    more = f"; {len(parts) - 2} more slices are incomplete" if len(parts) > 2 else ""
    return FileError(
        Code.DICOM_INCOMPLETE,
        "; ".join(parts[:2]) + more,
        mend="fetch the series again; nothing is interpolated",
    )


def _absent_frames(
    levels: np.ndarray, number: int, usual: int, values: Mapping[str, np.ndarray]
) -> list[int]:
    """Return which frames a slice lacks, from 1, where a counter or the clock can tell."""
    for name in COUNTERS:
        told = values.get(name)
        if told is not None and len(known := np.unique(told)) == usual:
            own = set(told[levels == number])
            return [place for place, value in enumerate(known, start=1) if value not in own]
    mine = int(np.sum(levels == number))
    for name in (*CLOCKS, "TriggerTime", "FrameAcquisitionDateTime", "TemporalPositionTimeOffset"):
        told = values.get(name)
        full = [n for n in np.unique(levels) if np.sum(levels == n) == usual]
        if told is None or not full or mine != usual - 1:
            continue
        reference = np.sort(told[levels == full[0]])
        spread = [np.ptp(np.sort(told[levels == number]) - np.delete(reference, gone))
                  for gone in range(usual)]  # fmt: skip
        return [int(np.argmin(spread)) + 1]
    return []


def _require_no_holes(
    frames: Sequence[DicomFrame],
    places: np.ndarray,
    known: Mapping[str, np.ndarray],
    distances_mm: np.ndarray,
) -> None:
    """Raise where the tags that number frames say that some are not there."""
    times = places.shape[1]
    for name in COUNTERS:
        if name not in known or len(found := np.unique(known[name])) >= places.size:
            continue
        if times < len(found) and (name in _OF_FRAMES or len(found) < 1.5 * times):
            shift = known[name][places] - known[name][places[0]]
            odd = int(np.flatnonzero(np.abs(shift).max(axis=1))[0]) if np.any(shift) else 0
            raise _hole(f"slices do not hold the same frames by {name} "
                        f"(the one at {distances_mm[odd]:.2f} mm differs)")  # fmt: skip
        steps = np.diff(found)
        jump = int(steps.argmax())
        if steps.max() > 1.5 * np.median(steps):
            raise _hole(f"after frame {jump + 1}, {name} goes from {found[jump]:g} to "
                        f"{found[jump + 1]:g}: frames are missing")  # fmt: skip
        if name in _FROM_ONE and found[0] > 1:
            raise _hole(f"{name} begins with {found[0]:g}: the first frames are missing")
    stated = {f.file.about["temporal_positions"] for f in frames} - {None}
    if stated and max(stated) > times and max(stated) < places.size:
        raise _hole(f"has {times} frames where NumberOfTemporalPositions says {max(stated):g}")


def _hole(what: str) -> FileError:
    return FileError(
        Code.DICOM_INCOMPLETE, what, mend="fetch the series again; nothing is interpolated"
    )

"""The tables of the page: rows of text, ready for the template."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core import QUANTITIES, Assumed, FitStatus, PerfusionSeries
from bolus.report.exam import Exam
from bolus.report.findings import QualityLine, Region
from bolus.report.wording import (
    ABSENT,
    interval_words,
    number,
    of_quantity,
    shape_words,
    significant,
    size_words,
    symbol,
    thousands,
    tick,
    unit_text,
)

STATUS_WORDS = {
    FitStatus.OK: "answer",
    FitStatus.NOT_FINITE: "not finite",
    FitStatus.NO_SIGNAL: "no signal",
    FitStatus.NO_BOLUS: "no bolus",
    FitStatus.NOT_CONVERGED: "not converged",
    FitStatus.AT_BOUND: "at a bound",
}
"""Why a voxel has an answer or none, as it is printed."""


_ORIGINS = {"user": "given by the user", "sidecar": "JSON sidecar", "header": "NIfTI header"}
_NOT_STATED = "Not stated"
_SETTINGS = (
    ("echo_time_s", "Echo time", 1000.0, "ms"),
    ("repetition_time_s", "Repetition time", 1.0, "s"),
    ("flip_angle_deg", "Flip angle", 1.0, "°"),
    ("field_strength_t", "Field strength", 1.0, "T"),
    ("contrast_dose_mmol_per_kg", "Dose", 1.0, "mmol/kg"),
    ("preload_dose_mmol_per_kg", "Preload", 1.0, "mmol/kg"),
    ("injection_rate_ml_per_s", "Injection rate", 1.0, "mL/s"),
)
"""Field of the acquisition, its name, factor and unit in print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalRow:
    """One region of the main result: text, and where its marks lie on the common axis [%]."""

    region: str
    volume: str
    mean: str
    interval: str
    median: str
    spread: str
    marks: tuple[float, float, float, float, float] | None
    """5th percentile, lower 95 %, mean, upper 95 %, 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalTable:
    """The main result by region, with the ticks of its axis as (place [%], text)."""

    key: str
    name: str
    unit: str
    rows: tuple[IntervalRow, ...]
    ticks: tuple[tuple[float, str], ...]


def interval_table(regions: Iterable[Region], key: str) -> IntervalTable | None:
    """Return the rows of one quantity on a common axis, or None where there are none."""
    chosen = [row for row in regions if row.key == key]
    if not chosen:
        return None
    ends = [v for r in chosen for v in (r.p05, r.p95, r.low95, r.high95) if np.isfinite(v)]
    # An interval beyond what the quantity can be must not squeeze all others together.
    ends = [float(v) for v in np.clip(ends, QUANTITIES[key].low, QUANTITIES[key].high)]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    ticks = round_ticks(low, high if high > low else low + 1.0)
    first, last = ticks[0], ticks[-1]

    def place(value: float) -> float:
        return round(float(np.clip(100 * (value - first) / (last - first), 0, 100)), 2)

    return IntervalTable(
        key=key,
        name=symbol(key),
        unit=unit_text(QUANTITIES[key].unit),
        rows=tuple(_interval_row(row, place) for row in chosen),
        ticks=tuple((place(t), tick(t, ticks[1] - ticks[0])) for t in ticks),
    )


def _interval_row(row: Region, place: object) -> IntervalRow:
    values = (row.p05, row.low95, row.mean, row.high95, row.p95)
    marks = None
    if all(np.isfinite(v) for v in values) and callable(place):
        a, b, c, d, e = (float(place(v)) for v in values)
        marks = (a, b, c, d, e)
    return IntervalRow(
        region=row.region,
        volume=number(row.volume_ml, 1),
        mean=of_quantity(row.mean, row.key),
        interval=_range(row.low95, row.high95, row.key),
        median=of_quantity(row.median, row.key),
        spread=_range(row.p05, row.p95, row.key),
        marks=marks,
    )


def _range(low: float, high: float, key: str) -> str:
    if not (np.isfinite(low) and np.isfinite(high)):
        return ABSENT
    return f"{of_quantity(low, key)} to {of_quantity(high, key)}"


def round_ticks(low: float, high: float) -> list[float]:
    """Return round steps of 1, 2 or 5 that hold the whole range, at most seven of them."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = float(power * next(s for s in (1, 2, 5, 10) if s * power >= rough * (1 - 1e-9)))
    first, last = np.floor(low / step), np.ceil(high / step)
    return [float(k * step) for k in np.arange(first, last + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WideTable:
    """A plain table: column heads, and rows of cells; each is a text and a small note below it."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, str], ...], ...]


def quantity_table(regions: Sequence[Region]) -> WideTable | None:
    """Return every quantity of every region: mean and its 95 % interval."""
    keys = [k for k in QUANTITIES if any(r.key == k for r in regions)]
    names = list(dict.fromkeys(r.region for r in regions))
    if not keys:
        return None
    cells = {(r.region, r.key): r for r in regions}
    return WideTable(
        heads=(("", ""), *((name, "") for name in names)),
        rows=tuple(
            (
                (symbol(key), unit_text(QUANTITIES[key].unit) or "ratio"),
                *(_cell(cells.get((name, key))) for name in names),
            )
            for key in keys
        ),
    )


def _cell(row: Region | None) -> tuple[str, str]:
    if row is None or not np.isfinite(row.mean):
        return ABSENT, ""
    interval = _range(row.low95, row.high95, row.key)
    return of_quantity(row.mean, row.key), "" if interval == ABSENT else interval


def status_table(findings: Exam) -> WideTable:
    """Return per map how many brain voxels have an answer, and why the others have none."""
    inside = findings.brain.values
    used = [
        status
        for status in STATUS_WORDS
        if status is FitStatus.OK
        or any(bool((m.status[inside] == status).any()) for m in findings.maps.values())
    ]
    rows = []
    for key, item in findings.maps.items():
        codes = item.status[inside]
        counts = [int(np.count_nonzero(codes == status)) for status in used]
        values = item.values[inside]
        values = values[np.isfinite(values)]
        odd = int(values.size - np.count_nonzero(item.quantity.is_plausible(values)))
        middle = float(np.median(values)) if values.size else float("nan")
        rows.append(
            (
                (symbol(key), unit_text(item.quantity.unit) or "ratio"),
                (of_quantity(middle, key), ""),
                *((thousands(c), "") for c in counts),
                (thousands(odd), ""),
            )
        )
    words = ("brain median", *(STATUS_WORDS[status] for status in used), "implausible")
    return WideTable(heads=(("Map", ""), *((w, "") for w in words)), rows=tuple(rows))


def quality_rows(lines: Iterable[QualityLine]) -> list[dict[str, object]]:
    """Return the figures of the series, ready to be printed."""
    return [
        {
            "name": item.name,
            "value": f"{_figure(item)} {unit_text(item.unit)}".strip(),
            "look": item.look,
            "detail": item.detail,
        }
        for item in lines
    ]


def _figure(item: QualityLine) -> str:
    """Return a whole number without a unit as a count, all others with three digits."""
    if not item.unit and float(item.value).is_integer():
        return thousands(int(item.value))
    return significant(item.value)


def settings_text(settings: Mapping[str, object]) -> str:
    """Return settings as they are printed at the end of a page; "" where there are none."""
    return json.dumps(dict(settings), indent=2, sort_keys=True, default=str) if settings else ""


def acquisition_rows(series: PerfusionSeries) -> tuple[tuple[str, str, str], ...]:
    """Return name, value and origin of everything known of how a series was taken."""
    settings, time = series.acquisition, series.time
    origins = {name: _ORIGINS.get(origin, origin) for name, origin in settings.sources}
    timed = origins.get("time", "")
    rows = [
        ("Voxels", f"{shape_words(series.grid)} of {size_words(series.grid)}", "image"),
        ("Frames", f"{len(time)} over {number(time.duration_s, 1)} s", timed),
        ("Sampling interval", interval_words(time), timed),
    ]
    absent = []
    for field, name, factor, unit in _SETTINGS:
        value = getattr(settings, field)
        if value is None:
            absent.append(name.lower())
            continue
        origin = origins.get(field, "")
        if isinstance(value, Assumed):
            origin = f"assumed: {value.reason}"
        plain = value.value if isinstance(value, Assumed) else float(value)
        space = "" if unit == "°" else " "
        rows.append((name, f"{factor * plain:.6g}{space}{unit}", origin))
    for field, name, text in (
        ("contrast_agent", "Contrast agent", settings.contrast_agent),
        ("sequence", "Sequence", settings.sequence),
    ):
        if text:
            rows.append((name, text, origins.get(field, "")))
        else:
            absent.append(name.lower())
    if absent:
        rows.append((_NOT_STATED, ", ".join(absent), ""))
    return tuple(rows)
